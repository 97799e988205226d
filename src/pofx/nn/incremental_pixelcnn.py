"""The two stacks of PixelCNN, evaluated as far as the next pixels need them; maps and borders as in `incremental`.

* `GatedCache` goes pixel by pixel. The vertical stack runs once a row. Between two gates all maps are linear, so residual
  sum and next convolution are one matrix: three calls for a layer and pixel.
* `PlainCache` goes diagonal by diagonal. A plain stack sees the row above only up to `reach` columns to the right (there its
  blind spot begins), so pixels (r, t - (reach + 1) r) of one t are independent given those of smaller t.
"""

from collections.abc import Iterator
from typing import cast

import torch
from torch import Tensor

from .incremental import PixelCache, Position, bias_column, matrix, on_unit_interval
from .masked_conv import GatedLayer, GatedStack, MaskedConv2d, PlainBlock, PlainStack


class PlainCache(PixelCache):
    """A `PlainStack` and its head, diagonal by diagonal."""

    def __init__(
        self, stack: PlainStack, head: tuple[MaskedConv2d, MaskedConv2d], n: int, size: tuple[int, int],
        condition: Tensor | None = None,
    ) -> None:  # fmt: skip
        super().__init__(stack.first, stack.first.kernel_size[0] - 1, head, n, size)
        blocks, h = cast(list[PlainBlock], list(stack.blocks)), stack.hidden
        self.first = on_unit_interval(stack.first)
        self.blocks = [(matrix(b.narrow), bias_column(b.narrow), matrix(b.widen), bias_column(b.widen)) for b in blocks]
        rows, columns = blocks[0].look.kernel_size
        self.rows, self.columns = rows, columns
        looks = torch.stack([b.look.masked_weight().flatten(2) for b in blocks])
        self.past = rows * columns - columns // 2 - 1  # taps before the pixel itself, in raster order
        self.own, self.earlier = looks[..., self.past].contiguous(), looks[..., : self.past].flatten(2)
        shift = self.x.new_zeros(len(blocks), h, 1) if condition is None else condition.T.reshape(len(blocks), h, n)
        self.bias = torch.stack([bias_column(b.look) for b in blocks]) + shift
        # the input of every masked convolution, with its border of zeros
        self.maps = self.x.new_zeros(len(blocks), h, size[0] + rows - 1, size[1] + columns - 1, n)

    def positions(self) -> Iterator[Position]:
        (height, width), device = self.size, self.x.device
        slope = min(max(self.side, self.columns // 2) + 1, width)  # at most raster order
        for t in range(width + slope * (height - 1)):
            row = torch.arange(max(0, -((width - 1 - t) // slope)), min(height - 1, t // slope) + 1, device=device)
            column = t - slope * row
            self._enter(row, column)
            yield Position(row, column)
            self.maps[:, :, row + self.rows - 1, column + self.columns // 2] = self.inputs.view(
                len(self.blocks), -1, len(row), self.n
            )

    def _enter(self, row: Tensor, column: Tensor) -> None:
        """What the masked convolutions see of earlier pixels, for all blocks at once."""
        tap = torch.arange(self.past, device=row.device)[:, None]
        seen = self.maps[:, :, row + tap // self.columns, column + tap % self.columns].view(
            len(self.blocks), -1, len(row) * self.n
        )
        seen = torch.bmm(self.earlier, seen).view(len(self.blocks), -1, len(row), self.n)
        self.context = (seen + self.bias[:, :, None]).flatten(2)
        self.taps = (
            row + torch.arange(self.above + 1, device=row.device)[:, None, None],
            column + torch.arange(2 * self.side + 1, device=row.device)[:, None],
        )

    def features(self) -> Tensor:
        weight, bias = self.first
        seen = self.x[self.taps].permute(3, 0, 1, 2, 4).reshape(weight.shape[1], -1)
        x, inputs = torch.addmm(bias, weight, seen), []
        for (narrow, narrow_bias, widen, widen_bias), own, context in zip(self.blocks, self.own, self.context, strict=True):
            inputs.append(torch.addmm(narrow_bias, narrow, x.relu()).relu_())
            x.add_(widen_bias).addmm_(widen, torch.addmm(context, own, inputs[-1]).relu_())
        self.inputs = torch.stack(inputs)
        return x.relu_()


class GatedCache(PixelCache):
    """A `GatedStack` and its head, pixel by pixel.

    With s, t the sigmoids of a layer's two halves its gated output is 2 s t - t. The state of a layer at the pixel is
    (its input h, s t, t), from which one matrix makes the next layer's h and the arguments of its gate.
    """

    def __init__(
        self, stack: GatedStack, head: tuple[MaskedConv2d, MaskedConv2d], n: int, size: tuple[int, int],
        condition: Tensor | None = None,
    ) -> None:  # fmt: skip
        layers, p = cast(list[GatedLayer], list(stack.layers)), stack.hidden
        super().__init__(layers[0].vertical, layers[0].vertical.kernel_size[0], head, n, size)
        self.p, depth = p, len(layers)
        rows, columns = layers[-1].vertical.kernel_size  # of all layers but the first
        self.left = columns // 2
        shift = self.x.new_zeros(depth, 4 * p, 1) if condition is None else condition.T.reshape(depth, 4 * p, n)
        self._fuse_vertical(layers, shift[:, : 2 * p])
        self._fuse_horizontal(layers, cast(list[MaskedConv2d], list(stack.residuals)), shift[:, 2 * p :])
        gated = matrix(stack.skip).view(2 * p, depth, p)
        self.skip = torch.cat([0 * gated, 2 * gated, -gated], dim=2).flatten(1), bias_column(stack.skip)
        self.above_maps = self.x.new_zeros(depth, rows, p, size[1] + 2 * self.left, n)  # vertical maps, the last rows of them
        self.left_maps = self.x.new_zeros(depth - 1, self.left + size[1], p, n)  # inputs h of the row so far
        self.state, self.context = self.x.new_zeros(depth, 3 * p, n), self.x.new_zeros(depth - 1, 3 * p, n)
        self.gates = [(state[p:], state[p : 2 * p], state[2 * p :]) for state in self.state]
        self.steps = list(zip(self.context, self.chain, self.state[:-1], self.state[1:], self.gates[1:], strict=True))

    def _fuse_vertical(self, layers: list[GatedLayer], shift: Tensor) -> None:
        later = [(matrix(layer.vertical), bias_column(layer.vertical)) for layer in layers[1:]]
        maps = [on_unit_interval(layers[0].vertical), *later]
        self.vertical = [(weight, (bias + one)[:, None]) for (weight, bias), one in zip(maps, shift, strict=True)]
        self.link = torch.stack([_below(matrix(layer.link)) for layer in layers])

    def _fuse_horizontal(self, layers: list[GatedLayer], residuals: list[MaskedConv2d], shift: Tensor) -> None:
        p, taps = self.p, self.side + 1  # those of the first layer: to the left, and the pixel itself
        weight, bias = on_unit_interval(layers[0].horizontal)
        self.read = weight.view(2 * p, self.colours, -1)[..., :taps].transpose(1, 2).flatten(1)
        self.chain, past, biases = [], [], [_below(bias + shift[0])]
        carry = torch.zeros(p, p).to(weight)  # the first layer has no residual
        for residual, layer, one in zip(residuals, layers[1:], shift[1:], strict=True):
            output, output_bias = matrix(residual), bias_column(residual)
            step = torch.cat([carry, 2 * output, -output], dim=1)  # (h, s t, t) -> next h
            own = layer.horizontal.masked_weight()[:, :, 0, self.left]
            self.chain.append(torch.cat([step, own @ step]))
            past.append(_below(layer.horizontal.masked_weight()[:, :, 0, : self.left].transpose(1, 2).flatten(1)))
            bias = own @ output_bias + bias_column(layer.horizontal) + one
            biases.append(torch.cat([output_bias.expand(-1, bias.shape[1]), bias]))
            carry = torch.eye(p).to(weight)
        self.past = torch.stack(past)
        self.bias = torch.stack(biases)[:, :, None]

    def positions(self) -> Iterator[Position]:
        for row in range(self.size[0]):
            self._enter_row(row)
            for column in range(self.size[1]):
                seen = self.left_maps[:, column : column + self.left].flatten(1, 2)
                torch.baddbmm(self.from_above[1:, :, column], self.past, seen, out=self.context)
                self.seen = self.x[row + self.above, column : column + self.side + 1].view(-1, self.n)
                self.first = self.from_above[0, self.p :, column]
                yield Position(row, column)
                self.left_maps[:, column + self.left] = self.state[1:, : self.p]

    def _enter_row(self, row: int) -> None:
        """The vertical stack at this row, and what it gives to each layer of the horizontal one at each column."""
        height, width = self.above_maps.shape[1], self.size[1]
        self.left_maps.zero_()
        for i in range(height - 1):
            self.above_maps[:, i] = self.above_maps[:, i + 1]
        seen, pre = self.x[row : row + self.above].permute(2, 0, 1, 3), []  # (C, rows, columns, n)
        for (weight, bias), maps in zip(self.vertical, self.above_maps, strict=True):
            columns = weight.shape[1] // (seen.shape[0] * seen.shape[1])
            taps = seen.unfold(2, columns, 1).permute(0, 1, 4, 2, 3).reshape(weight.shape[1], -1)
            pre.append(((weight @ taps).view(-1, width, self.n) + bias).flatten(1))
            s, t = pre[-1].sigmoid().view(2, self.p, width, self.n)
            torch.addcmul(-t, s, t, value=2, out=maps[-1, :, self.left : self.left + width])
            seen = maps.transpose(0, 1)
        self.from_above = torch.bmm(self.link, torch.stack(pre)).view(len(pre), -1, width, self.n) + self.bias

    def features(self) -> Tensor:
        gate, s, t = self.gates[0]
        torch.addmm(self.first, self.read, self.seen, out=gate).sigmoid_()
        s.mul_(t)
        for context, step, state, following, (gate, s, t) in self.steps:
            torch.addmm(context, step, state, out=following)
            gate.sigmoid_()
            s.mul_(t)
        weight, bias = self.skip
        return torch.addmm(bias, weight, self.state.view(-1, self.n)).relu_()


def _below(x: Tensor) -> Tensor:
    """Rows for the gate's arguments (2p), under rows of zeros for h (p)."""
    return torch.cat([torch.zeros_like(x[: len(x) // 2]), x])
