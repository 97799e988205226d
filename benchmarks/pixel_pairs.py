"""Models of pictures pixel by pixel, and MADE: our training and sampling against plain implementations of the same networks."""

from collections.abc import Callable
from typing import Any

import torch

from made_reference import PlainMADE
from pixelcnn_reference import PlainGatedPixelCNN, PlainPixelCNN
from pixelrnn_reference import PlainPixelRNN
from pofx.models import MADE, PixelCNN, PixelRNN
from work import training_step

SIDE, ROWS, HIDDEN = 28, 16, 16
TIMED_PIXELS = 8  # of 784: a plain sampler spends one whole pass on each, so that the rest follows
Setup = Callable[[], Callable[[], Any]]

MODELS: dict[str, tuple[Callable[[], Any], Callable[[], Any]]] = {
    "pixelrnn diagonal": (
        lambda: PixelRNN((1, SIDE, SIDE), hidden=HIDDEN, layers=7),
        lambda: PlainPixelRNN((SIDE, SIDE), "diagonal", HIDDEN, 7),
    ),
    "pixelrnn row": (
        lambda: PixelRNN((1, SIDE, SIDE), kind="row", hidden=HIDDEN, layers=7),
        lambda: PlainPixelRNN((SIDE, SIDE), "row", HIDDEN, 7),
    ),
    "pixelcnn plain": (
        lambda: PixelCNN((1, SIDE, SIDE), kind="plain", hidden=HIDDEN, layers=15),
        lambda: PlainPixelCNN(HIDDEN, 15),
    ),
    "pixelcnn gated": (
        lambda: PixelCNN((1, SIDE, SIDE), kind="gated", hidden=HIDDEN, layers=15),
        lambda: PlainGatedPixelCNN(HIDDEN, 15),
    ),
}


def training(build: Callable[[], Any], bf16: bool = False) -> Callable[[], Any]:
    """A step on a batch of 16 binary pictures."""
    x = (torch.rand(ROWS, 1, SIDE, SIDE, generator=torch.Generator().manual_seed(0)) < 0.13).float()
    return training_step(build(), x, bf16)


def sampling(build: Callable[[], Any], **options: int) -> Callable[[], Any]:
    """Draw 16 pictures, or the first pixels of them."""
    model = build()
    return lambda: torch.no_grad()(model.sample)(ROWS, **options)


def made_sampling() -> tuple[Setup, Setup]:
    """Draw 100 events from MADE 784-500."""
    ours, plain = (lambda: MADE((SIDE * SIDE,), (500,), direct=False)), (lambda: PlainMADE(SIDE * SIDE, 500))

    def draw(build: Callable[[], Any]) -> Callable[[], Any]:
        model = build()
        return lambda: torch.no_grad()(model.sample)(100)

    return lambda: draw(ours), lambda: draw(plain)
