"""From raw values to what a model sees: grey, resize, binarise, quantise, dequantise, standardise."""

from dataclasses import dataclass
from functools import cached_property

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.distributions import constraints
from torch.distributions.constraints import Constraint

from ..core import discrete_support, to_codes
from .data import Rows
from .noise import uniform
from .options import Options
from .raw import pieces

_LUMA = torch.tensor([0.299, 0.587, 0.114]).view(1, 3, 1, 1)  # ITU-R 601, as Pillow's "L"
_BITS = 14  # of the dequantisation noise: code + u needs at most 8 + 15 bits, so float32 keeps it inside its cell


def resized(x: Tensor, size: int) -> Tensor:
    """Images (n, c, h, w) in [0, 1], cut to their largest centred square and brought to size × size pixels.

    >>> resized(torch.ones(1, 3, 10, 20), 5).shape
    torch.Size([1, 3, 5, 5])
    """
    height, width = x.shape[-2:]
    side = min(height, width)
    top, left = (height - side) // 2, (width - side) // 2
    x = x[..., top : top + side, left : left + side]
    if side == size:
        return x
    return F.interpolate(x, size=(size, size), mode="bilinear", antialias=True, align_corners=False).clamp(0, 1)


@dataclass(frozen=True)
class Pipeline:
    """A pure function of rows and their positions; what it does is fixed by the options and by facts of the data.

    `shape` is the raw event shape; raw values are divided by `top`; `grid` is the number of levels K where values are
    discrete. `mean` and `std` (float64, per column) belong to the training split of standardised tables.
    """

    options: Options
    image: bool
    shape: tuple[int, ...]
    top: int = 1
    grid: int | None = None
    mean: Tensor | None = None
    std: Tensor | None = None

    def __call__(self, x: Tensor, index: Tensor, key: int) -> Tensor:
        """Raw rows (m, *shape) at the positions `index` (m,) as a float32 tensor (m, *event_shape); NaN stays NaN."""
        if self.options.missing and not self.image and bool((gaps := x.isnan()).any()):
            return self(x.where(~gaps, 0), index, key).where(~gaps, torch.nan)
        if self.mean is not None and self.std is not None:
            return ((x - self.mean) / self.std).float()
        x = x / self.top if self.top > 1 else x.float()
        x = self._levels(self._geometry(x) if self.image else x, index, key)
        if not self.options.dequantize:
            return x
        codes = to_codes(x, discrete_support(self.levels, tuple(x.shape[1:])))
        return (codes + uniform(key, index, x[0].numel(), bits=_BITS).view_as(x)) / self.levels

    def _geometry(self, x: Tensor) -> Tensor:
        o, before = self.options, x
        if o.grey and x.shape[1] == 3:
            x = (x * _LUMA).sum(1, keepdim=True)
        elif o.known and o.known["event_shape"][0] == 3 and x.shape[1] == 1:
            x = x.expand(-1, 3, -1, -1)
        if o.resize is not None:
            x = resized(x, o.resize)
        if self.grid is None or (x is before and self.grid == self.top + 1):
            return x
        return _on_grid(x, self.grid)

    def _levels(self, x: Tensor, index: Tensor, key: int) -> Tensor:
        o = self.options
        if o.threshold is not None:
            return (x >= o.threshold).float()
        if o.binarize in ("draw", "redraw"):
            return (uniform(key, index, x[0].numel(), bits=23).view_as(x) < x).float()
        if o.levels is not None:
            return _on_grid(x, o.levels)
        return x

    @cached_property
    def event_shape(self) -> tuple[int, ...]:
        """The shape of what comes out."""
        row = torch.zeros(1, *self.shape)
        return tuple(self._geometry(row).shape[1:]) if self.image else self.shape

    @property
    def levels(self) -> int:
        """The number of values a variable has after quantisation; only where values are discrete."""
        if self.options.binarize:
            return 2
        return self.options.levels or self.grid or 0

    @property
    def support(self) -> Constraint:
        """The values that come out."""
        if self.options.dequantize:
            return constraints.unit_interval
        if self.mean is not None:
            return constraints.real
        if self.levels:
            return discrete_support(self.levels, self.event_shape)
        return constraints.unit_interval if self.image else constraints.real

    def notes(self) -> list[str]:
        """What was done, in words."""
        o = self.options
        return [
            *(["grey"] if o.grey and self.shape[0] == 3 else []),
            *([f"resized to {o.resize} pixels"] if o.resize and self.shape[1:] != (o.resize, o.resize) else []),
            *([f"binarised at {o.threshold:g}"] if o.threshold is not None else []),
            *(["binarised by one draw"] if o.binarize == "draw" else []),
            *(["binarised by a draw, a new one at each visit in training"] if o.binarize == "redraw" else []),
            *([f"{o.levels} levels"] if o.levels else []),
            *([f"dequantised from {self.levels} levels"] if o.dequantize else []),
            *(["standardised"] if self.mean is not None else []),
        ]


def _on_grid(x: Tensor, levels: int) -> Tensor:
    return (x * (levels - 1)).round() / (levels - 1)


@dataclass(frozen=True)
class View:
    """Rows seen through a pipeline: positions `index` of `rows`, read and transformed when asked for."""

    rows: Rows
    index: Tensor
    pipeline: Pipeline
    key: int

    def __len__(self) -> int:
        return len(self.index)

    def read(self, index: Tensor) -> Tensor:
        """The transformed events at these positions of the view, read piece by piece, float32 (m, *event_shape)."""
        x = torch.empty(len(index), *self.pipeline.event_shape)
        for piece in pieces(len(index), self.pipeline.shape) if len(index) else []:
            chosen = self.index[index[piece]]
            x[piece[0] : piece[-1] + 1] = self.pipeline(self.rows.read(chosen), chosen, self.key)
        return x
