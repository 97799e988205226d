"""Masked convolutions, and the two stacks of them that make a PixelCNN: plain and gated.

One layout throughout: of a map with C colours channel i belongs to colour i mod C, from the picture (R, G, B) to the logits.
"""

import math
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .mlp import drop


class MaskedConv2d(nn.Conv2d):
    """A convolution that sees rows above and, of its own row, only what comes earlier in raster order (and in R, G, B).

    `kernel` = (rows, columns): `rows` counts the pixel's own row and those above, `columns` is odd and centred. At the pixel
    itself mask "A" connects colour g to colours after g only, "B" to g as well. Without a mask the whole row is seen.
    Input (n, in_channels, H, W), output (n, out_channels, H, W); the picture is surrounded by zeros.
    Source: Pixel Recurrent Neural Networks, Aaron van den Oord, Nal Kalchbrenner and Koray Kavukcuoglu, 2016.

    >>> MaskedConv2d(1, 1, (2, 3), "A").mask.squeeze().tolist()
    [[1.0, 1.0, 1.0], [1.0, 0.0, 0.0]]
    """

    mask: Tensor

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel: tuple[int, int] = (1, 1),
        mask: str | None = "B",
        colours: int = 1,
        bias: bool = True,
    ) -> None:
        rows, columns = kernel
        super().__init__(in_channels, out_channels, kernel, padding=(rows - 1, columns // 2), bias=bias)
        seen = torch.ones_like(self.weight)
        if mask:
            colour_in, colour_out = torch.arange(in_channels) % colours, torch.arange(out_channels)[:, None] % colours
            earlier = colour_in < colour_out if mask == "A" else colour_in <= colour_out
            seen[:, :, -1, columns // 2] = earlier.to(seen.dtype)
            seen[:, :, -1, columns // 2 + 1 :] = 0
        self.register_buffer("mask", seen, persistent=False)

    def masked_weight(self) -> Tensor:
        """The weights that count, zero elsewhere; (out_channels, in_channels, rows, columns)."""
        return self.weight * self.mask

    def forward(self, x: Tensor) -> Tensor:
        return F.conv2d(x, self.masked_weight(), self.bias, padding=self.padding)[:, :, : x.shape[2]]


class PlainBlock(nn.Module):
    """The residual block of PixelCNN: 2h -> 1×1 -> h -> masked k×k -> h -> 1×1 -> 2h channels, with ReLU before each."""

    def __init__(self, hidden: int, kernel: int, colours: int) -> None:
        super().__init__()
        self.narrow = MaskedConv2d(2 * hidden, hidden, colours=colours)
        self.look = MaskedConv2d(hidden, hidden, (kernel // 2 + 1, kernel), "B", colours)
        self.widen = MaskedConv2d(hidden, 2 * hidden, colours=colours)

    def forward(self, x: Tensor, condition: Tensor | None, dropout: float) -> Tensor:
        seen = self.look(self.narrow(x.relu()).relu())
        seen = (seen if condition is None else seen + condition).relu()
        return x + self.widen(drop(seen, dropout))


class PlainStack(nn.Module):
    """A masked convolution (mask A) and residual blocks (mask B): a pixel misses what lies above it to the far right."""

    def __init__(self, colours: int, hidden: int, layers: int, first_kernel: int, kernel: int) -> None:
        super().__init__()
        self.hidden, self.features, self.condition_width = hidden, 2 * hidden, layers * hidden
        self.first = MaskedConv2d(colours, 2 * hidden, (first_kernel // 2 + 1, first_kernel), "A", colours)
        self.blocks = nn.ModuleList(PlainBlock(hidden, kernel, colours) for _ in range(layers))

    def forward(self, x: Tensor, condition: Tensor | None = None, dropout: float = 0.0) -> Tensor:
        """Features (n, 2 hidden, H, W) from pictures (n, colours, H, W) and condition (n, condition_width)."""
        x = self.first(x)
        for block, shift in zip(self.blocks, per_layer(condition, len(self.blocks)), strict=True):
            x = block(x, shift, dropout)
        return x.relu()


class GatedLayer(nn.Module):
    """One layer of the vertical stack (rows above) and of the horizontal one (own row to the left, and the vertical map)."""

    def __init__(self, inputs: int, hidden: int, kernel: int, mask: str, colours: int) -> None:
        super().__init__()
        self.vertical = MaskedConv2d(inputs, 2 * hidden, (kernel // 2 + 1, kernel), None)
        self.horizontal = MaskedConv2d(inputs, 2 * hidden, (1, kernel), mask, colours)
        self.link = MaskedConv2d(2 * hidden, 2 * hidden, mask=None, bias=False)
        # A gate's output has a small spread, and torch's default weights would make that of the next one several times
        # smaller again: deep layers would have nothing to say for thousands of steps.
        first = mask == "A"
        spread(self.vertical, 1 if first else 3)
        spread(self.horizontal, 1 if first else 2)
        spread(self.link, 0.7)

    def forward(self, above: Tensor, row: Tensor, condition: Tensor | None) -> tuple[Tensor, Tensor]:
        """What the gates of the two stacks are given, each (n, 2 hidden, H, W)."""
        vertical, horizontal = self.vertical(above), self.horizontal(row)
        if condition is not None:
            to_vertical, to_horizontal = condition.chunk(2, dim=1)
            vertical, horizontal = vertical + to_vertical, horizontal + to_horizontal
        return vertical, horizontal + self.link(vertical)


class GatedStack(nn.Module):
    """Vertical and horizontal stacks of gated convolutions: every earlier sub-pixel is seen, there is no blind spot.

    The vertical stack reads the picture shifted down by one row, once, where the paper shifts each layer's vertical map.
    Source: Conditional Image Generation with PixelCNN Decoders, Aaron van den Oord and others, 2016.
    """

    def __init__(self, colours: int, hidden: int, layers: int, first_kernel: int, kernel: int) -> None:
        super().__init__()
        self.hidden, self.features, self.condition_width = hidden, 2 * hidden, (layers + 1) * 4 * hidden
        self.layers = nn.ModuleList([GatedLayer(colours, hidden, first_kernel, "A", colours)])
        self.layers.extend(GatedLayer(hidden, hidden, kernel, "B", colours) for _ in range(layers))
        self.residuals = nn.ModuleList(MaskedConv2d(hidden, hidden, colours=colours) for _ in range(layers))
        for residual in self.residuals:
            spread(residual, 1)
        self.skip = MaskedConv2d((layers + 1) * hidden, 2 * hidden, colours=colours)  # of all layers at once

    def forward(self, x: Tensor, condition: Tensor | None = None, dropout: float = 0.0) -> Tensor:
        """Features (n, 2 hidden, H, W) from pictures (n, colours, H, W) and condition (n, condition_width)."""
        above, row, gated = F.pad(x, (0, 0, 1, -1)), x, list[Tensor]()
        for i, (layer, shift) in enumerate(zip(self.layers, per_layer(condition, len(self.layers)), strict=True)):
            if i:
                above, residual = drop(gate(above), dropout), self.residuals[i - 1](gated[-1])
                row = row + residual if i > 1 else residual  # the first layer must not hand the pixel itself on
            above, horizontal = layer(above, row, shift)
            gated.append(drop(gate(horizontal), dropout))
        return self.skip(torch.cat(gated, dim=1)).relu()


def spread(convolution: nn.Module, factor: float) -> None:
    """Random weights that multiply the spread (the standard deviation) of independent inputs by this factor."""
    weight = cast(MaskedConv2d, convolution).weight
    bound = factor * math.sqrt(3 / weight[0].numel())
    nn.init.uniform_(weight, -bound, bound)


def gate(x: Tensor) -> Tensor:
    """tanh(f/2)·sigmoid(g) for channels (f, g), with one call of sigmoid for both: tanh(f/2) = 2 sigmoid(f) - 1."""
    f, g = x.sigmoid().chunk(2, dim=1)
    return torch.addcmul(-g, f, g, value=2)


def per_layer(condition: Tensor | None, layers: int) -> list[Tensor] | list[None]:
    """What is added to each layer's channels, (n, channels, 1, 1) a layer, from (n, layers · channels)."""
    return [None] * layers if condition is None else list(condition[:, :, None, None].tensor_split(layers, dim=1))
