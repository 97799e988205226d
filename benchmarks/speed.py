"""Speed and memory against a reference that does the same work, measured in one run.

    python benchmarks/speed.py [--only nade,nade-sample,...] [--quick]

The two sides take turns, each first as often as the other, because a machine's speed drifts; the figures are medians and
their quotient. Peak memory is that of a fresh process for each side, on top of what it held before the work.
"""

import argparse
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from rich.console import Console
from rich.table import Table

import autoencoder_pairs as autoencoders
import pixel_pairs as pixels
from nade_reference import PaperNADE, PlainNADE, UnboundNADE
from pofx.comparison import machine
from pofx.models.nade import NADE
from results import ratio, record
from trainer_pairs import ROWS, STEPS, sides
from work import training_step

SEED = 0
Work = Callable[[], Any]


@dataclass(frozen=True)
class Pair:
    """Two ways to do one piece of work.

    `ours` and `reference` set their side up and return the work; or `rates(repeats)` measures both, in processes of their own.
    With `items` the measure is items a second (of such a piece of work), or ms an item where lower is better; without
    `items` it is the peak memory of the work in MB.
    """

    id: str
    model: str
    data: str
    metric: str
    reference_source: str
    ours: Callable[[], Work] | None = None
    reference: Callable[[], Work] | None = None
    items: int | None = None
    reference_items: float | None = None  # where the reference's work makes another number of items
    unit: str = "examples/s"
    better: str = "higher"
    rates: Callable[[int], tuple[list[float], list[float]]] | None = None


def nade_pairs() -> list[Pair]:
    """NADE 784-500 with batches of 100, the size of the paper's binarised MNIST."""
    dims, hidden, rows = 784, 500, 100

    def bits(share: float) -> torch.Tensor:
        return (torch.rand(rows, dims, generator=torch.Generator().manual_seed(SEED)) < share).float()

    def training(build: Callable[[], Any], share: float) -> Work:
        x = bits(share)
        step = training_step(build(), x)
        step(x[:1])  # libraries loaded, gradients and the optimiser's state allocated
        return step

    def likelihood(build: Callable[[], Any], share: float) -> Work:
        model, x = build(), bits(share)
        return lambda: torch.no_grad()(model.log_prob)(x)

    def sampling(build: Callable[[], Any]) -> Work:
        model = build()
        return lambda: torch.no_grad()(model.sample)(rows)

    def ours() -> NADE:
        return NADE((dims,), hidden)

    yardsticks = {
        "": ("plain loop over variables", lambda: PlainNADE(dims, hidden)),
        "-unbound": ("the same loop over unbound rows", lambda: UnboundNADE(dims, hidden)),
        "-paper": ("the loop as public code writes it", lambda: PaperNADE(dims, hidden)),
    }
    pairs = []
    for suffix, (source, other) in yardsticks.items():
        for share, data in ((0.13, "784 bits, 13 % ones (as MNIST)"), (0.5, "784 bits, 50 % ones")):
            name = f"{share * 100:.0f}"
            train = [lambda build=build, share=share: training(build, share) for build in (ours, other)]
            score = [lambda build=build, share=share: likelihood(build, share) for build in (ours, other)]
            memory = (None, None, "MB", "lower")
            pairs.append(Pair(f"nade-train-{name}{suffix}", "nade", data, "training", source, *train, rows))
            if suffix != "-unbound":  # which differs in training only
                pairs += [
                    Pair(f"nade-log-prob-{name}{suffix}", "nade", data, "log-likelihood", source, *score, rows),
                    Pair(f"nade-memory-{name}{suffix}", "nade", data, "training, peak memory", source, *train, *memory),
                ]
        if suffix != "-unbound":
            draw = [lambda build=build: sampling(build) for build in (ours, other)]
            pairs.append(
                Pair(f"nade-sample{suffix}", "nade", "784 bits", "sampling 100", source, *draw, rows, unit="samples/s")
            )
    return pairs


def trainer_pairs() -> list[Pair]:
    """A step of small models, in ms; the difference is what the trainer adds."""
    pairs = []
    for name in ("vae", "gan"):
        ours, reference = sides(name)
        data = f"digits, {ROWS} rows a step"
        by_hand = "the same step in a loop written by hand"
        pairs.append(
            Pair(f"trainer-{name}", name, data, "training step", by_hand, ours, reference, STEPS, None, "ms/step", "lower")
        )
    return pairs


def pixel_pairs() -> list[Pair]:
    """PixelRNN (7 layers) and PixelCNN (15 layers), h = 16, on 16 pictures of 28 × 28; MADE 784-500."""
    pairs, data = [], "28×28 bits, batch 16"
    for name, (ours, plain) in pixels.MODELS.items():
        model, key = name.split()[0], name.replace(" ", "-")
        train = [lambda build=build: pixels.training(build) for build in (ours, plain)]
        draw = (lambda ours=ours: pixels.sampling(ours)), (lambda p=plain: pixels.sampling(p, pixels=pixels.TIMED_PIXELS))
        share = pixels.ROWS * pixels.TIMED_PIXELS / pixels.SIDE**2
        kind, naive = name.split()[1], f"a pass per pixel, timed on {pixels.TIMED_PIXELS} of 784"
        pairs += [
            Pair(f"{key}-train", model, data, f"{kind}, training", "plain network", *train, pixels.ROWS),
            Pair(f"{key}-sample", model, data, f"{kind}, sampling", naive, *draw, pixels.ROWS, share, "samples/s"),
            Pair(
                f"{key}-memory",
                model,
                data,
                f"{kind}, training, peak memory",
                "plain network",
                *train,
                None,
                None,
                "MB",
                "lower",
            ),
        ]
    for name in ("pixelcnn plain", "pixelcnn gated"):  # the recurrent models and NADE compute in fp32 whatever the setting
        model, kind, ours = *name.split(), pixels.MODELS[name][0]
        sides = [lambda ours=ours, bf16=bf16: pixels.training(ours, bf16) for bf16 in (True, False)]
        key = f"{name.replace(' ', '-')}-train-bf16"
        pairs.append(Pair(key, model, data, f"{kind}, training in bf16", "the same in fp32", *sides, pixels.ROWS))
    made = pixels.made_sampling()
    return [
        *pairs,
        Pair("made-sample", "made", "784 bits", "sampling 100", "a pass per variable", *made, 100, unit="samples/s"),
    ]


def autoencoder_pairs() -> list[Pair]:
    """Whole trainings by `pofx.fit` and by pythae, which lives in another environment."""
    pairs = []
    for name, (model, _, kind) in autoencoders.MODELS.items():
        for precision in autoencoders.PRECISIONS:

            def rates(repeats: int, name: str = name, precision: str = precision) -> tuple[list[float], list[float]]:
                return autoencoders.rates(name, precision, repeats, torch.get_num_threads())

            metric, source = f"{name}, training in {precision}", f"{autoencoders.SOURCE}: {kind}"
            pairs.append(Pair(f"pythae-{name}-{precision}", model, autoencoders.DATA, metric, source, rates=rates))
    return pairs


GROUPS: dict[str, Callable[[], list[Pair]]] = {
    "nade": nade_pairs,
    "trainer": trainer_pairs,
    "pixels": pixel_pairs,
    "autoencoders": autoencoder_pairs,
}


def measure(pair: Pair, quick: bool) -> tuple[list[float], list[float]]:
    """The measurements of ours and of the reference."""
    if pair.rates is not None:
        return pair.rates(2 if quick else 8)
    if pair.items is None:
        repeats = range(1 if quick else 3)
        return [peak_memory(pair.id, "ours") for _ in repeats], [peak_memory(pair.id, "reference") for _ in repeats]
    works = [build() for build in (pair.ours, pair.reference)]
    calls = [max(1, round((0.05 if quick else 0.2) / seconds(work))) for work in works]
    rates: tuple[list[float], list[float]] = ([], [])
    for repeat in range(3 if quick else 15):
        for side in (0, 1) if repeat % 2 else (1, 0):
            took = seconds(works[side], calls[side])
            items = pair.reference_items if side and pair.reference_items else pair.items
            rates[side].append(items / took if pair.better == "higher" else 1000 * took / items)
    return rates


def seconds(work: Work, calls: int = 1) -> float:
    """Wall-clock seconds a call."""
    start = time.perf_counter()
    for _ in range(calls):
        work()
    return (time.perf_counter() - start) / calls


def peak_memory(pair_id: str, side: str) -> float:
    """Peak memory in MB of one call of a side's work, in a process of its own."""
    command = [sys.executable, __file__, "--threads", str(torch.get_num_threads()), "--memory-of", pair_id, side]
    return float(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def own_peak_memory(pair: Pair, side: str) -> float:
    """The rise of this process's resident memory, from before the work to its peak, in MB (Linux only)."""
    work = getattr(pair, side)()
    Path("/proc/self/clear_refs").write_text("5")  # the peak so far is forgotten
    before = resident("VmRSS")
    work()
    return (resident("VmHWM") - before) / 1000


def resident(field: str) -> int:
    """A field of the process's status, in kB."""
    status = Path("/proc/self/status").read_text()
    return next(int(line.split()[1]) for line in status.splitlines() if line.startswith(field))


def row(pair: Pair, quick: bool) -> dict[str, Any]:
    """The pair's measurements as a row of results.json."""
    start = time.perf_counter()
    ours, reference = measure(pair, quick)
    spread = statistics.stdev(ours) / len(ours) ** 0.5 if len(ours) > 1 else None
    return {
        "id": pair.id, "kind": "speed", "model": pair.model, "data": pair.data, "metric": pair.metric, "unit": pair.unit,
        "better": pair.better, "ours": statistics.median(ours), "stderr": spread, "reference": statistics.median(reference),
        "reference_source": pair.reference_source, "command": f"python benchmarks/speed.py --only {pair.id}", "seed": SEED,
        "seconds": round(time.perf_counter() - start, 1), "machine": machine(),
    }  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description="Speed and memory against references, side by side.")
    parser.add_argument("--only", help=f"groups or ids to measure, comma-separated; groups: {', '.join(GROUPS)}")
    parser.add_argument("--quick", action="store_true", help="few repetitions, nothing written")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--memory-of", nargs=2, metavar=("ID", "SIDE"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    torch.manual_seed(SEED)
    groups = {name: build() for name, build in GROUPS.items()}
    pairs = {pair.id: pair for group in groups.values() for pair in group}
    wanted = set(options.only.split(",")) if options.only else set(groups)
    if unknown := wanted - {*groups, *pairs}:
        parser.error(f"unknown: {', '.join(unknown)}. Known: {', '.join([*groups, *pairs])}")
    if options.memory_of:
        print(own_peak_memory(pairs[options.memory_of[0]], options.memory_of[1]))
        return
    chosen = [pair for name, group in groups.items() for pair in group if {name, pair.id} & wanted]
    table = Table("id", "metric", "data", "unit", "ours", "reference", "times better", title=machine())
    for pair in chosen:
        r = row(pair, options.quick)
        figures = (f"{r['ours']:.4g}", f"{r['reference']:.4g}", f"{ratio(r):.2f}")
        table.add_row(r["id"], r["metric"], r["data"], r["unit"], *figures)
        if not options.quick:
            record([r])
    Console(width=140).print(table)


if __name__ == "__main__":
    main()
