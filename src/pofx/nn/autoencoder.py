"""Encoders from events to vectors, and decoders back: perceptrons, or stride-2 convolutions."""

import math
from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn

from ..core import ConfigError, suggest
from .mlp import mlp

NETWORKS = ("mlp", "conv")
ACTIVATIONS: dict[str, type[nn.Module]] = {"relu": nn.ReLU, "tanh": nn.Tanh}


def check_autoencoder(event_shape: Sequence[int], latent: int, hidden: Sequence[int], network: str, activation: str) -> None:
    """Raise `ConfigError` where there are no such networks between events of this shape and codes of width `latent`."""
    if latent < 1:
        raise ConfigError(f"latent must be at least 1, got {latent}: it is the width of the code z.")
    if network not in NETWORKS:
        raise ConfigError(f"network={network!r} is unknown: {suggest(network, NETWORKS)}.")
    if activation not in ACTIVATIONS:
        raise ConfigError(f"activation={activation!r} is unknown: {suggest(activation, ACTIVATIONS)}.")
    if hidden and min(hidden) < 1:
        raise ConfigError(f"hidden must name layers of at least 1 unit, got {list(hidden)}.")
    if network == "mlp":
        return
    if not hidden:
        raise ConfigError("hidden must name at least one layer for network='conv', got none: give its channels, as [32, 64].")
    factor = 2 ** len(hidden)
    if len(event_shape) != 3 or event_shape[1] % factor or event_shape[2] % factor:
        raise ConfigError(
            f"network='conv' with {len(hidden)} layers needs pictures whose sides are divisible by {factor}, got events of "
            f"shape {tuple(event_shape)}: resize them, give fewer hidden layers, or use network='mlp'."
        )


class Encoder(nn.Sequential):
    """Events (n, *event_shape) to vectors (n, outputs); `hidden` are widths of layers (mlp) or channels (conv).

    `extra` numbers for each event, (n, extra), such as a one-hot label or noise, join the input of the perceptron, or that of
    the linear layer behind the convolutions.

    >>> Encoder((1, 8, 8), [16], 4)(torch.zeros(5, 1, 8, 8)).shape
    torch.Size([5, 4])
    """

    def __init__(
        self,
        event_shape: Sequence[int],
        hidden: Sequence[int],
        outputs: int,
        network: str = "mlp",
        activation: str = "relu",
        extra: int = 0,
    ) -> None:
        act = ACTIVATIONS[activation]
        if network == "mlp":
            super().__init__(nn.Flatten(), mlp([math.prod(event_shape) + extra, *hidden, outputs], act))
            return
        layers: list[nn.Module] = []
        for before, after in pairwise([event_shape[0], *hidden]):
            layers += [nn.Conv2d(before, after, 4, stride=2, padding=1), act()]
        width = math.prod(_inner(event_shape, hidden))
        super().__init__(*layers, nn.Flatten(), nn.Linear(width + extra, outputs))

    def forward(self, x: Tensor, extra: Tensor | None = None) -> Tensor:
        *body, last = self
        for layer in body:
            x = layer(x)
        return last(x if extra is None else torch.cat([x, extra.to(x.dtype)], 1))


class Decoder(nn.Sequential):
    """Vectors (n, latent) to outputs (n, *event_shape), or (n, per_value, *event_shape) where a value has several.

    The layers mirror those of an `Encoder` of the same `hidden`; what joins the code is part of `latent`.

    >>> Decoder(4, [16], (1, 8, 8), per_value=3)(torch.zeros(5, 4)).shape
    torch.Size([5, 3, 1, 8, 8])
    """

    def __init__(
        self,
        latent: int,
        hidden: Sequence[int],
        event_shape: Sequence[int],
        network: str = "mlp",
        activation: str = "relu",
        per_value: int = 1,
    ) -> None:
        act, shape = ACTIVATIONS[activation], tuple(event_shape)
        out = shape if per_value == 1 else (per_value, *shape)
        if network == "mlp":
            super().__init__(mlp([latent, *reversed(hidden), math.prod(out)], act), nn.Unflatten(1, out))
            return
        inner, layers = _inner(shape, hidden), list[nn.Module]()
        for before, after in pairwise([per_value * shape[0], *hidden]):
            layers = [act(), nn.ConvTranspose2d(after, before, 4, stride=2, padding=1), *layers]
        shaped = [] if per_value == 1 else [nn.Unflatten(1, (per_value, shape[0]))]
        super().__init__(nn.Linear(latent, math.prod(inner)), nn.Unflatten(1, inner), *layers, *shaped)


def _inner(event_shape: Sequence[int], hidden: Sequence[int]) -> tuple[int, int, int]:
    """The shape of the innermost map of the convolutions."""
    factor = 2 ** len(hidden)
    return hidden[-1], event_shape[1] // factor, event_shape[2] // factor


def codes_between(start: Tensor, end: Tensor, steps: int) -> Tensor:
    """Codes on the straight line from each row of `start` (n, latent) to that of `end`, both ends included: (n steps, latent).

    Raises `ConfigError` for fewer than two steps, or another number of rows at the end.

    >>> codes_between(torch.zeros(1, 1), torch.ones(1, 1), 3).T
    tensor([[0.0000, 0.5000, 1.0000]])
    """
    if steps < 2 or len(start) != len(end):
        raise ConfigError(
            f"a line from a to b needs at least 2 steps and as many a as b, got steps={steps}, {len(start)} and {len(end)}."
        )
    share = torch.linspace(0, 1, steps, dtype=start.dtype, device=start.device)[:, None]
    return torch.lerp(start[:, None], end[:, None], share).flatten(0, 1)


def gradients_of(z: Tensor) -> torch.set_grad_enabled:
    """The context in which a decoder is differentiable if its codes are, and keeps no gradients if they are not.

    >>> with gradients_of(torch.zeros(2, 3)):
    ...     Decoder(3, [4], (5,))(torch.zeros(2, 3)).requires_grad
    False
    """
    return torch.set_grad_enabled(torch.is_grad_enabled() and z.requires_grad)
