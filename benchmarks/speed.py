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
from pathlib import Path
from typing import Any

import torch
from rich.console import Console
from rich.table import Table

from pairs import GROUPS, SEED, Pair, Work
from pofx.comparison import machine
from results import ratio, record


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
