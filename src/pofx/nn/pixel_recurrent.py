"""Two-dimensional LSTMs over pictures: the Row LSTM and the Diagonal BiLSTM, as one recurrence over different cells.

A sweep visits the pixels of a picture in steps, all pixels of a step at once: a row a step, or a diagonal r + c = t a step.
A pixel's state depends on a few pixels of the step before, its taps j, with states s_j and cells c_j:

    i, f, g, o = a + sum_j W_j s_j,    c = σ(f) c_1 + σ(i) tanh(g),    s = σ(o) tanh(c)

where a comes from the layer's input. Tap 1, whose cell is carried on, is the pixel above (rows) or to the left (diagonals).
The cells of a step lie side by side with a zero cell at either end, so that taps are slices and borders no special case.

Source: Pixel Recurrent Neural Networks, Aäron van den Oord, Nal Kalchbrenner and Koray Kavukcuoglu, 2016.
"""

from functools import lru_cache
from itertools import accumulate, pairwise
from typing import Any, NamedTuple, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from .masked_conv import MaskedConv2d


class Step(NamedTuple):
    """`size` cells from the place `own` on; the taps j of the first of them are at the places `tap` + j."""

    size: int
    own: int
    tap: int


class Sweep(NamedTuple):
    """Where pixels and cells lie, for D directions of N = height·width cells, each at one of P places, zero cells between.

    `pixel` (D, N) is the pixel that a cell reads and `place` (D, N) the place, of all D·P, that a pixel of the output reads;
    `own` (N,) are the places of the cells and `taps` (taps, N) those of their taps, in the order of the cells.
    """

    pixel: Tensor
    place: Tensor
    own: Tensor
    taps: Tensor
    steps: list[Step]
    places: int

    def to(self, device: torch.device) -> "Sweep":
        """The same sweep with its tensors on another device."""
        return self._replace(**{name: getattr(self, name).to(device) for name in ("pixel", "place", "own", "taps")})


def _sweep(pixel: Tensor, counts: list[int], shifts: list[int], taps: int) -> Sweep:
    """`shifts` is by how many cells the first tap of a step's first cell is beyond the zero cell of the step before."""
    starts = list(accumulate([n + 2 for n in counts], initial=counts[0] + taps - 1))  # zeros stand before the first step
    before = [start + shift for start, shift in zip([0, *starts], shifts, strict=False)]
    steps = [Step(n, start + 1, tap) for n, start, tap in zip(counts, starts, before, strict=False)]
    own = torch.cat([torch.arange(n) + own for n, own, _ in steps])
    first = torch.cat([torch.arange(n) + tap for n, _, tap in steps])
    place = own[pixel.argsort(1)] + torch.arange(len(pixel))[:, None] * starts[-1]
    return Sweep(pixel, place, own, first + torch.arange(taps)[:, None], steps, starts[-1])


def row_sweep(height: int, width: int) -> Sweep:
    """One direction, a row a step; the taps are the pixels above: left, middle, right."""
    return _sweep(torch.arange(height * width)[None], [width] * height, [0] * height, taps=3)


def diagonal_sweep(height: int, width: int) -> Sweep:
    """Left to right and right to left, a diagonal a step; the taps are the pixel above and the one before in the row.

    The output of the second direction is moved down by one row, because at (r, c) it has read (r, c + 1).
    """
    first = [max(0, t - width + 1) for t in range(height + width - 1)]  # the first row that diagonal t meets
    counts = [min(t, height - 1) + 1 - low for t, low in enumerate(first)]
    order = skew(torch.arange(height * width), height, width)
    mirrored = order + width - 1 - 2 * (order % width)
    sweep = _sweep(torch.stack([order, mirrored]), counts, [0, *(after - low for low, after in pairwise(first))], taps=2)
    zero_cell = torch.full((width,), sweep.places)
    return sweep._replace(place=torch.stack([sweep.place[0], torch.cat([zero_cell, sweep.place[1, :-width]])]))


def skew(x: Tensor, height: int, width: int) -> Tensor:
    """Pixels (height·width, ...) diagonal by diagonal, from above: row r moved right by r and read by columns, no padding.

    >>> skew(torch.arange(6), 2, 3)  # of the picture 0 1 2 / 3 4 5
    tensor([0, 1, 3, 2, 4, 5])
    """
    return x[_diagonal_order(height, width)]


def unskew(x: Tensor, height: int, width: int) -> Tensor:
    """The inverse of `skew`."""
    return x[_diagonal_order(height, width).argsort()]


def _diagonal_order(height: int, width: int) -> Tensor:
    row, column = torch.arange(height)[:, None], torch.arange(width)
    return (row + column).flatten().argsort(stable=True)


@lru_cache(maxsize=16)
def sweep_over(kind: str, height: int, width: int, device: torch.device) -> Sweep:
    """The sweep of a kind of layer, "row" or "diagonal", over pictures of a size."""
    return (row_sweep if kind == "row" else diagonal_sweep)(height, width).to(device)


class _States(torch.autograd.Function):
    """States (D, P, n, h) from a (D, N, n, 4h) and W (D, taps, h, 4h), whose parts for the gate g come multiplied by -2.

    (tanh(x) = 1 - 2 σ(-2x), and σ is several times faster than tanh.) The backward pass is written out: what does not
    depend on later steps is computed for all steps at once, and 7 calls a step remain.
    """

    @staticmethod
    def forward(ctx: Any, a: Tensor, weight: Tensor, sweep: Sweep) -> Tensor:
        directions, _, n, width = a.shape
        states = a.new_zeros(directions, sweep.places, n, width // 4)
        cells, gates, sizes = torch.zeros_like(states), torch.empty_like(a), [step.size for step in sweep.steps]
        rows, split = states.flatten(1, 2), [part.split(sizes, 1) for part in gates.unflatten(3, (4, -1)).unbind(3)]
        lines = [t.flatten(1, 2).split([count * n for count in sizes], 1) for t in (a, gates)]
        for (count, own, tap), a_t, gate, i, f, g, o in zip(sweep.steps, *lines, *split, strict=True):
            for j, weight_j in enumerate(weight.unbind(1)):
                torch.baddbmm(gate if j else a_t, rows.narrow(1, (tap + j) * n, count * n), weight_j, out=gate)
            gate.sigmoid_()
            s, c = states.narrow(1, own, count), cells.narrow(1, own, count)
            torch.addcmul(i, i, g, value=-2, out=c).addcmul_(f, cells.narrow(1, tap + 1, count))
            torch.addcmul(o, o, torch.mul(c, -2).sigmoid_(), value=-2, out=s)
        ctx.save_for_backward(weight, gates, cells, states)
        ctx.sweep = sweep
        return states

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        (weight, gates, cells, states), sweep, n = ctx.saved_tensors, ctx.sweep, grad.shape[2]
        i, f, g, o = gates.unflatten(3, (4, -1)).unbind(3)
        tanh_c = 1 - 2 * torch.sigmoid(-2 * cells.index_select(1, sweep.own))
        slope_c = o * (1 - tanh_c**2)
        d_a = torch.addcmul(gates, gates, gates, value=-1)  # the slopes of c and s in a, multiplied by d_c and d_s below
        slopes = d_a.unflatten(3, (4, -1)).unbind(3)
        for slope, factor in zip(slopes, (1 - 2 * g, cells.index_select(1, sweep.taps[1]), -2 * i, tanh_c), strict=True):
            slope *= factor
        d_states, d_cells, sizes = grad.clone(), torch.zeros_like(cells), [step.size for step in sweep.steps]
        rows, back = d_states.flatten(1, 2), [w.mT.contiguous() for w in weight.unbind(1)]
        lines = d_a.flatten(1, 2).split([count * n for count in sizes], 1)
        steps = zip(sweep.steps, lines, *(t.split(sizes, 1) for t in (slope_c, f, *slopes)), strict=True)
        for (count, own, tap), d_line, slope, f_t, *d_gates in reversed(list(steps)):
            d_s = d_states.narrow(1, own, count)
            d_c = d_cells.narrow(1, own, count).addcmul_(d_s, slope)
            for d_gate, d in zip(d_gates, (d_c, d_c, d_c, d_s), strict=True):
                d_gate *= d
            torch.mul(d_c, f_t, out=d_cells.narrow(1, tap + 1, count))
            for j, weight_j in enumerate(back):
                rows.narrow(1, (tap + j) * n, count * n).baddbmm_(d_line, weight_j)
        d_weight = [states.index_select(1, tap).flatten(1, 2).mT @ d_a.flatten(1, 2) for tap in sweep.taps]
        return d_a, torch.stack(d_weight, 1), None


class PixelLSTM(nn.Module):
    """A Row LSTM or Diagonal BiLSTM: maps (height, width, n, maps) to (height, width, n, hidden), the current pixel included.

    The input enters by a 1×1 convolution (diagonal; the two directions run as one and are added) or by one that also sees
    the pixel to the left (row). Of a picture with C colours channel i belongs to colour i mod C and sees no later colour.
    Maps of a condition (height, width, n, condition) enter beside it by a 1×1 convolution without a mask.

    >>> PixelLSTM("diagonal", 8, 4)(torch.zeros(3, 3, 2, 8)).shape
    torch.Size([3, 3, 2, 4])
    """

    mask: Tensor
    scale: Tensor

    def __init__(self, kind: str, maps: int, hidden: int, colours: int = 1, condition: int = 0) -> None:
        super().__init__()
        self.kind = kind
        directions, inputs, taps = (1, 2 * maps + condition, 3) if kind == "row" else (2, maps + condition, 2)
        fan = inputs + taps * hidden
        self.input_weight = nn.Parameter(torch.randn(directions, inputs, 4 * hidden) / fan**0.5)
        self.state_weight = nn.Parameter(torch.randn(directions, taps, hidden, 4 * hidden) / fan**0.5)
        gate = torch.arange(4 * hidden) // hidden
        self.bias = nn.Parameter((gate == 1).float().repeat(directions, 1, 1))  # a new layer remembers
        mask = torch.arange(maps)[:, None] % colours <= torch.arange(hidden).repeat(4) % colours
        mask = torch.cat([torch.ones_like(mask), mask]) if kind == "row" else mask
        mask = torch.cat([mask, mask.new_ones(condition, 4 * hidden)])
        self.register_buffer("mask", mask, persistent=False)
        self.register_buffer("scale", 1 - 3 * (gate == 2).int(), persistent=False)

    def weights(self) -> tuple[Tensor, Tensor, Tensor]:
        """Weights of the input, bias and weights of the states as they are used: masked, the parts of the gate g times -2."""
        return self.input_weight * self.mask * self.scale, self.bias * self.scale, self.state_weight * self.scale

    def forward(self, x: Tensor, condition: Tensor | None = None) -> Tensor:
        """(height, width, n, maps), with maps of a condition where there is one, to (height, width, n, hidden)."""
        height, width, n, _ = x.shape
        sweep = sweep_over(self.kind, height, width, x.device)
        if self.kind == "row":
            x = torch.cat([F.pad(x, (0, 0, 0, 0, 1, -1)), x], 3)
        if condition is not None:
            x = torch.cat([x, condition], 3)
        input_weight, bias, state_weight = self.weights()
        x = x.flatten(0, 1).index_select(0, sweep.pixel.flatten()).unflatten(0, sweep.pixel.shape)
        a = torch.baddbmm(bias, x.flatten(1, 2), input_weight).unflatten(1, (height * width, n))
        states = _States.apply(a, state_weight, sweep).flatten(0, 1)
        return states.index_select(0, sweep.place.flatten()).unflatten(0, (-1, height, width)).sum(0)


class RecurrentBlock(nn.Module):
    """An LSTM, and a 1×1 convolution from its states to the residual of the next layer and the skip connection to the end."""

    def __init__(self, kind: str, hidden: int, colours: int, condition: int) -> None:
        super().__init__()
        self.lstm = PixelLSTM(kind, 2 * hidden, hidden, colours, condition)
        self.out = MaskedConv2d(hidden, 4 * hidden, colours=colours)


class RecurrentStack(nn.Module):
    """A masked convolution (mask A), blocks of LSTMs with residual and skip connections, and a 1×1 convolution (mask B).

    Diagonal layers run over one empty column more, on the right: maps at a pixel know only what comes before it, so that
    in the paper's form nothing from right to left tells of the last pixel of the row above.
    """

    def __init__(self, kind: str, colours: int, hidden: int, layers: int, first_kernel: int, condition: int = 0) -> None:
        super().__init__()
        self.hidden, self.diagonal, self.extra = hidden, kind == "diagonal", int(kind == "diagonal")
        self.first = MaskedConv2d(colours, 2 * hidden, (first_kernel // 2 + 1, first_kernel), "A", colours)
        self.blocks = nn.ModuleList(RecurrentBlock(kind, hidden, colours, condition) for _ in range(layers))
        self.merge = MaskedConv2d(2 * hidden, 2 * hidden, colours=colours)

    @property
    def layers(self) -> list[RecurrentBlock]:
        """The blocks, from the first."""
        return cast(list[RecurrentBlock], list(self.blocks))

    def forward(self, x: Tensor, condition: Tensor | None = None) -> Tensor:
        """Features (n, 2 hidden, height, width) from pictures (n, colours, height, width) and maps of a condition."""
        width, x = x.shape[3], self.first(F.pad(x, (0, self.extra)))
        x = x.permute(2, 3, 0, 1).contiguous()  # pixels first: a 1×1 convolution is a matrix product
        if condition is not None:
            condition = F.pad(condition, (0, self.extra)).permute(2, 3, 0, 1)
        skip = torch.zeros_like(x)
        for block in self.layers:
            residual, more = _pointwise(block.out, block.lstm(x, condition)).chunk(2, 3)
            x, skip = x + residual, skip + more
        return _pointwise(self.merge, (x + skip)[:, :width].relu()).relu().permute(2, 3, 0, 1)


def _pointwise(convolution: MaskedConv2d, x: Tensor) -> Tensor:
    return F.linear(x, convolution.masked_weight().flatten(1), convolution.bias)
