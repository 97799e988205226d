"""Adversarial models end to end: `pofx.fit` against loops as public code writes them, with the same networks.

The three networks are those of `gan_reference`; ours are trained by the players of our own models, which differ from the
public loops in what a step computes: no gradients of the discriminator's weights in the generator's move, one pass for data
and samples where the discriminator has no batch normalisation, and the codes of InfoGAN learned in the two moves, as in its
authors' code, not in a third pass through both networks.
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

import gan_reference as reference
import pofx
from pofx.data import Data, Split
from pofx.functional.game import Game
from pofx.models import InfoGAN
from pofx.nn.adversarial import AdversarialModel
from pofx.nn.convolution import Maps, channels_last
from pofx.training.engine import Engine

ROWS = 64 * 40
SOURCE = "the loop of PyTorch-GAN, same networks"
PRECISIONS = ("fp32", "bf16")


class Yardstick(AdversarialModel):
    """The GAN or the DCGAN of the reference in our game."""

    name, summary = "yardstick", "the networks of public code"

    def __init__(self, event_shape: tuple[int, ...], convolutional: bool) -> None:
        super().__init__(event_shape, 100, "unit", Game(), reference.RATE, None, reference.BETAS, 1)
        self.together = not convolutional
        if convolutional:
            self.generator = reference.upsampling_generator(100, lambda: Maps(128, 8))
            self.discriminator = reference.convolutions()[1]
        else:
            self.generator, self.discriminator = reference.perceptrons()

    def judge(self, x: Tensor) -> Tensor:
        return self.discriminator(x if self.together else channels_last(x)).squeeze(1)


class CodedYardstick(InfoGAN):
    """The InfoGAN of the reference: its networks and losses, its codes of fixed scale, learned in our two moves."""

    def __init__(self, event_shape: tuple[int, ...]) -> None:
        super().__init__(
            event_shape, reference.NOISE, scale="fixed", continuous_weight=0.2, width=1, loss="least-squares",
            learning_rate=reference.RATE, betas=reference.BETAS,
        )  # fmt: skip
        _, self.trunk, self.verdict, self.recognition = reference.coded()
        self.generator = reference.upsampling_generator(self.latent, lambda: Maps(128, 8))


def pictures(side: int) -> Tensor:
    """The data of both sides."""
    return torch.rand(ROWS, 1, side, side, generator=torch.Generator().manual_seed(0))


def ours(model: Any, side: int, steps: int, precision: str) -> Callable[[], Any]:
    """Steps of `pofx.fit`; validation and pictures are left out on both sides."""
    Engine(cpu=True)  # libraries loaded: they are no memory of a step
    split = Split(pictures(side))
    data = Data("noise", split, split, split, (1, side, side), model.support)
    settings: dict[str, Any] = {"batch_size": reference.BATCH, "validate_every": 0, "snapshots": 0, "precision": precision}
    return lambda: pofx.fit(model, data, steps=steps, progress=False, cpu=True, **settings)


#: model: side of its pictures, steps of a measurement, our model, the reference's networks and its loop
MODELS: dict[str, tuple[int, int, Callable[[], Any], Callable[[], Any], Callable[..., None]]] = {
    "gan": (28, 50, lambda: Yardstick((1, 28, 28), False), reference.perceptrons, lambda n, *a: reference.train_gan(*n, *a)),
    "dcgan": (32, 5, lambda: Yardstick((1, 32, 32), True), reference.convolutions, lambda n, *a: reference.train_gan(*n, *a)),
    "infogan": (32, 5, lambda: CodedYardstick((1, 32, 32)), reference.coded, reference.train_infogan),
}


def sides(name: str, precision: str) -> tuple[Callable[[], Callable[[], Any]], Callable[[], Callable[[], Any]]]:
    """Set-ups of ours and of the reference, which is in fp32 always, as public code is."""
    side, steps, build, networks, train = MODELS[name]

    def other() -> Callable[[], Any]:
        built: tuple[nn.Module, ...] = networks()
        x = pictures(side)
        return lambda: train(built, x, steps)

    return lambda: ours(build(), side, steps, precision), other
