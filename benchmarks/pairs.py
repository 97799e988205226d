"""What speed.py measures: pairs of ways to do one piece of work, ours and a reference's."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch

import adversarial_pairs as adversarial
import autoencoder_pairs as autoencoders
import pixel_pairs as pixels
import progan_reference as progan
from nade_reference import PaperNADE, PlainNADE, UnboundNADE
from pofx.models.nade import NADE
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


def adversarial_pairs() -> list[Pair]:
    """Steps of GAN, DCGAN and InfoGAN with the networks of public code, by `pofx.fit` and by its loops; and their memory."""
    pairs = []
    for name, (side, steps, *_) in adversarial.MODELS.items():
        data, items = f"{side}×{side}, batch 64", 64 * steps
        for precision in adversarial.PRECISIONS:
            both, key = adversarial.sides(name, precision), f"{name}-{precision}"
            memory = (None, None, "MB", "lower")
            pairs += [
                Pair(f"{key}-train", name, data, f"training in {precision}", adversarial.SOURCE, *both, items),
                Pair(f"{key}-memory", name, data, f"training in {precision}, peak memory", adversarial.SOURCE, *both, *memory),
            ]
    return pairs


def progan_pairs() -> list[Pair]:
    """Steps of Progressive GAN's full networks at one resolution, by `pofx.fit` and by a loop of public code; their memory."""
    pairs = []
    for side, steps in progan.STEPS.items():
        data, items = f"3×{side}×{side}, 512 maps, batch {progan.BATCH}", progan.BATCH * steps
        for precision in ("fp32", "bf16"):
            both, key = progan.sides(side, precision), f"progan-{side}-{precision}"
            memory = (None, None, "MB", "lower")
            pairs += [
                Pair(f"{key}-train", "progan", data, f"training in {precision}", progan.SOURCE, *both, items),
                Pair(f"{key}-memory", "progan", data, f"{precision}, peak memory", progan.SOURCE, *both, *memory),
            ]
    return pairs


GROUPS: dict[str, Callable[[], list[Pair]]] = {
    "nade": nade_pairs,
    "trainer": trainer_pairs,
    "pixels": pixel_pairs,
    "autoencoders": autoencoder_pairs,
    "adversarial": adversarial_pairs,
    "progan": progan_pairs,
}
