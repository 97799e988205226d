"""Sampling from stacks of Row LSTMs or Diagonal BiLSTMs without computing anything twice.

At a pixel every layer advances by one cell, its neighbours' states at hand. What depends on the rows above alone is computed
once a row, for all columns and layers at once, and so is the right-to-left direction, which runs over a row when it is drawn
and enters below it. Seven calls a layer and pixel remain: what is linear between two cells is one matrix.
"""

from collections.abc import Iterator

import torch
import torch.nn.functional as F
from torch import Tensor

from .incremental import PixelCache, Position, bias_column, matrix
from .masked_conv import MaskedConv2d
from .pixel_recurrent import RecurrentBlock, RecurrentStack


class RecurrentCache(PixelCache):
    """A `RecurrentStack` and its head, pixel by pixel.

    `line` (layers + 1, (1 + width)·5h, n) holds a row, after an empty pixel: 5h numbers a pixel are the layer's input x (2h),
    the sum of the skip connections so far (2h) and the state s (h). The gates read the pixel before and the x of this one,
    the next layer's x and sum are read from this one: both are slices. `condition` is maps (n, maps, H, W), all of them known.
    """

    def __init__(
        self, stack: RecurrentStack, head: tuple[MaskedConv2d, MaskedConv2d], n: int, size: tuple[int, int],
        condition: Tensor | None = None,
    ) -> None:  # fmt: skip
        self.width = width = size[1] + stack.extra
        super().__init__(stack.first, stack.first.kernel_size[0] - 1, head, n, (size[0], width))
        self.size, self.diagonal, self.hidden = size, stack.diagonal, stack.hidden
        self.merge = matrix(stack.merge), bias_column(stack.merge)
        self._take_first(stack.first)
        self._take_layers(stack.layers)
        self.condition = None if condition is None else F.pad(condition, (0, stack.extra)).permute(2, 3, 1, 0).contiguous()
        layers, h, zeros = len(stack.layers), stack.hidden, self.x.new_zeros
        self.line, self.right = zeros(layers + 1, (1 + width) * 5 * h, n), zeros(layers, width + 1, h, n)
        self.cells, self.cells_above, self.right_cells = (zeros(layers, 1 + width, h, n) for _ in range(3))
        self.gates, self.right_gates = zeros(4 * h, n), zeros(layers, 4 * h, n)
        self.from_above, self.to_next = zeros(layers, width, 4 * h, n), zeros(layers, width, 4 * h, n)
        self.columns = [[self._views(layer, column) for layer in range(layers)] for column in range(width)]

    def _take_first(self, first: MaskedConv2d) -> None:
        weight = first.masked_weight()  # of 2x - 1, here of x
        bias = bias_column(first) - weight.sum((1, 2, 3))[:, None]
        above, own = (2 * weight).split([self.above, 1], 2)
        self.first = above.flatten(1), bias, own[:, :, 0, : self.side + 1].transpose(1, 2).flatten(1)

    def _take_layers(self, layers: list[RecurrentBlock]) -> None:
        inputs, biases, states = (torch.stack(parts).mT for parts in zip(*(b.lstm.weights() for b in layers), strict=True))
        outs, h = torch.stack([matrix(block.out) for block in layers]), self.hidden
        inputs, conditions = inputs.tensor_split((2 * h if self.diagonal else 4 * h,), 3)
        self.condition_weights = conditions.unbind(1)
        gap = outs.new_zeros(len(layers), 4 * h, 2 * h)
        if self.diagonal:  # the pixel before by its state, the row above by that of its column
            self.enter = torch.cat([gap, gap, states[:, 0, 1], inputs[:, 0]], 2)
            self.taps, self.right_weights = states[:, 0, :1], (inputs[:, 1], biases[:, 1], states[:, 1, 0], states[:, 1, 1])
        else:  # the pixel before by its x, the row above by the states of three columns
            self.enter = torch.cat([inputs[:, 0, :, : 2 * h], gap, gap[:, :, :h], inputs[:, 0, :, 2 * h :]], 2)
            self.taps = states[:, 0]
        keep = torch.eye(4 * h, dtype=outs.dtype, device=outs.device).expand(len(layers), -1, -1)
        self.bias, self.leave, self.right_leave = biases[:, :1], torch.cat([keep, outs], 2), outs[:, None]
        self.leave_bias = torch.stack([bias_column(block.out) for block in layers])[:, None]

    def _views(self, layer: int, column: int) -> tuple[Tensor, ...]:
        """What a layer reads and writes at a column, in the order in which `features` uses it."""
        h, place = self.hidden, (1 + column) * 5 * self.hidden
        line, before = self.line[layer], self.cells[layer, column] if self.diagonal else self.cells_above[layer, 1 + column]
        return (
            self.from_above[layer, column], self.enter[layer], line[place - 5 * h : place + 2 * h],
            before, self.cells[layer, 1 + column], line[place + 4 * h : place + 5 * h],
            self.to_next[layer, column], self.leave[layer], line[place : place + 5 * h],
            self.line[layer + 1, place : place + 4 * h],
        )  # fmt: skip

    def positions(self) -> Iterator[Position]:
        for row in range(self.size[0]):
            self._begin(row)
            for column in range(self.width):
                self.column, start = column, column * self.n
                self.around = (
                    self.seen_above[:, start : start + self.n],
                    self.x[row + self.above, column : column + self.side + 1],
                )
                if column < self.size[1]:
                    yield Position(row, column)
                else:
                    self.features()

    def _begin(self, row: int) -> None:
        """All that the rows above give to this one."""
        width, h = self.width, self.hidden
        above, bias, _ = self.first
        seen = self.x[row : row + self.above].unfold(1, 2 * self.side + 1, 1).permute(2, 0, 4, 1, 3)
        self.seen_above = torch.addmm(bias, above, seen.reshape(-1, width * self.n))
        line = self.line[:-1].unflatten(1, (1 + width, 5 * h))[:, 1:]
        if self.diagonal and row:
            self._run_right_to_left(row - 1, line[:, :, : 2 * h])
        states = line[:, :, 4 * h :] if self.diagonal else F.pad(line[:, :, 4 * h :], (0, 0, 0, 0, 1, 1))
        self.from_above.copy_(self.bias)
        if self.condition is not None:
            self.from_above += self.condition_weights[0][:, None] @ self.condition[row]
        for j, weight in enumerate(self.taps.unbind(1)):
            self.from_above += weight[:, None] @ states[:, j : j + width]
        torch.add(self.leave_bias, self.right_leave @ self.right[:, :width], out=self.to_next)
        self.cells_above.copy_(self.cells)

    def _run_right_to_left(self, row: int, x: Tensor) -> None:
        """States of the right-to-left direction in a row that has been drawn, from its x, all layers at once."""
        weight, bias, weight_above, weight_before = self.right_weights
        width = self.width
        a = weight[:, None] @ x + bias[:, None] + weight_above[:, None] @ self.right[:, :width]
        if self.condition is not None:
            a += self.condition_weights[1][:, None] @ self.condition[row]
        parts = self.right_gates.unflatten(1, (4, -1)).unbind(1)
        for column in reversed(range(width)):
            torch.baddbmm(a[:, column], weight_before, self.right[:, column + 1], out=self.right_gates).sigmoid_()
            _advance(parts, self.right_cells[:, column + 1], self.right_cells[:, column], self.right[:, column])

    def features(self) -> Tensor:
        """Features (2h, n) at the position, from all sub-pixels in x that come before."""
        (seen_above, own), gates, parts = self.around, self.gates, self.gates.unflatten(0, (4, -1)).unbind(0)
        x = self.line[0, (1 + self.column) * 5 * self.hidden :][: 2 * self.hidden]
        torch.addmm(seen_above, self.first[2], own.flatten(0, 1), out=x)
        for from_above, enter, read, before, cell, state, to_next, leave, whole, following in self.columns[self.column]:
            torch.addmm(from_above, enter, read, out=gates).sigmoid_()
            _advance(parts, before, cell, state)
            torch.addmm(to_next, leave, whole, out=following)
        weight, bias = self.merge
        return torch.addmm(bias, weight, following.unflatten(0, (2, -1)).sum(0).relu_()).relu_()


def _advance(gates: tuple[Tensor, ...], before: Tensor, cell: Tensor, state: Tensor) -> None:
    """Cells and states (..., h, n) after one step, from the gates σ(i), σ(f), σ(-2g), σ(o)."""
    i, f, g, o = gates
    torch.addcmul(i, i, g, value=-2, out=cell).addcmul_(f, before)
    torch.mul(o, torch.tanh(cell), out=state)  # a few cells: one call fewer is worth more than a sigmoid's speed
