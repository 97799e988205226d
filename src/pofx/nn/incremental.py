"""Sampling from stacks of masked convolutions without computing anything twice.

What a new pixel needs of earlier ones is cached, so that a picture costs about one pass of the network and not one for each
pixel. A `PixelCache` says in which order pixels are drawn and what the network says at each; a `Choice` draws the values.

Maps are (channels, pixels · n): a 1×1 convolution is a product W @ map. Pictures are kept in [0, 1] with a border of 1/2, the
zero of the networks, whose input is 2x - 1.
"""

from collections.abc import Callable, Iterator
from typing import NamedTuple

import torch
from torch import Tensor

from ..functional.temperature import check_temperature, sharpened, thresholds
from .masked_conv import MaskedConv2d

Index = int | Tensor


class Position(NamedTuple):
    """The pixels to draw next: a row and a column, or as many of each, (m,)."""

    row: Index
    column: Index


class Choice:
    """How a value follows from its logits: by uniform numbers in [0, 1), (n, C, H, W), unless it is given.

    `temperature` divides the logits, 0 takes the likeliest value; `given` (n, C, H, W) is NaN where a value is to be drawn.
    """

    def __init__(self, uniforms: Tensor, levels: int, temperature: float = 1.0, given: Tensor | None = None) -> None:
        self.levels, self.temperature = levels, check_temperature(temperature)
        self.uniforms = _batch_last(uniforms)
        self.given = None if given is None else _batch_last(given)
        if levels == 2:
            self.threshold = thresholds(self.uniforms, self.temperature)
            if self.given is not None:
                fixed = torch.where(self.given > 0.5, -torch.inf, torch.inf).to(self.threshold)
                self.threshold = torch.where(self.given.isnan(), self.threshold, fixed)

    def __call__(self, logits: Tensor, colour: int, row: Index, column: Index) -> Tensor:
        """Values in [0, 1], (n,) or (m, n), from logits (levels or 1, n or m · n)."""
        if self.levels == 2:
            threshold = self.threshold[colour, row, column]
            return logits.view(threshold.shape) > threshold
        u = self.uniforms[colour, row, column]
        share = sharpened(logits, self.temperature, 0).softmax(0).cumsum(0)
        code = (share <= u.flatten() * share[-1]).sum(0).clamp_(max=self.levels - 1)
        value = code.view(u.shape).to(u.dtype) / (self.levels - 1)
        if self.given is None:
            return value
        given = self.given[colour, row, column]
        return torch.where(given.isnan(), value, given)


class PixelCache:
    """A network evaluated a few pixels at a time, in an order in which all that they depend on is drawn before them.

    `x` (above + H, side + W + side, C, n) holds the picture and its border.
    """

    def __init__(
        self, first: MaskedConv2d, above: int, head: tuple[MaskedConv2d, MaskedConv2d], n: int, size: tuple[int, int]
    ) -> None:
        self.n, self.size, self.above, self.side, self.colours = n, size, above, first.kernel_size[1] // 2, first.in_channels
        self.x = first.weight.new_full((above + size[0], size[1] + 2 * self.side, self.colours, n), 0.5)
        hidden, out = head
        self.head = matrix(hidden), bias_column(hidden)
        self.out = [
            (matrix(out)[c :: self.colours].contiguous(), bias_column(out)[c :: self.colours]) for c in range(self.colours)
        ]

    def positions(self) -> Iterator[Position]:
        """All pixels, each once; the cache is ready for the features of the one yielded last."""
        raise NotImplementedError

    def features(self) -> Tensor:
        """Features (2 hidden, m · n) at the position, from all sub-pixels in x that come before."""
        raise NotImplementedError

    def logits(self, colour: int) -> Tensor:
        """(levels or 1, m · n) at the position."""
        weight, bias = self.head
        hidden = torch.addmm(bias, weight, self.features()).relu_()
        weight, bias = self.out[colour]
        return torch.addmm(bias, weight, hidden)

    def draw(self, choose: Choice, on_step: Callable[[int], None] | None = None) -> Tensor:
        """The picture (n, C, H, W) in [0, 1], sub-pixel by sub-pixel; `on_step(pixels drawn)` follows every position."""
        drawn = 0
        for row, column in self.positions():
            for colour in range(self.colours):
                self.x[row + self.above, column + self.side, colour] = choose(self.logits(colour), colour, row, column).to(
                    self.x.dtype
                )
            drawn += 1 if isinstance(row, int) else len(row)
            if on_step:
                on_step(drawn)
        return self.x[self.above :, self.side : self.side + self.size[1]].permute(3, 2, 0, 1).contiguous()


def _batch_last(x: Tensor) -> Tensor:
    return x.permute(1, 2, 3, 0).contiguous()


def matrix(convolution: MaskedConv2d) -> Tensor:
    """The weights that count, (out_channels, in_channels · taps)."""
    return convolution.masked_weight().flatten(1)


def bias_column(convolution: MaskedConv2d) -> Tensor:
    """The bias, (out_channels, 1); zeros where there is none."""
    bias = convolution.weight.new_zeros(convolution.out_channels) if convolution.bias is None else convolution.bias
    return bias[:, None]


def on_unit_interval(convolution: MaskedConv2d) -> tuple[Tensor, Tensor]:
    """Weight and bias for x in place of 2x - 1."""
    weight = matrix(convolution)
    return 2 * weight, bias_column(convolution) - weight.sum(1, keepdim=True)
