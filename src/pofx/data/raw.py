"""What a source gives before any option is applied, and how it is divided into splits."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from .data import Extra, Rows
from .noise import generator

_PIECE = 1 << 22


@dataclass
class Part:
    """Events of one source or of one published split; rows with equal `groups` (int64, (n,)) stay in one split."""

    rows: Rows
    label: Tensor | None = None
    extras: dict[str, Extra] = field(default_factory=dict)
    groups: Tensor | None = None


@dataclass
class Raw:
    """Events as the source has them: images as codes 0..grid-1 (uint8) or values in [0, 1] (float), tables as numbers.

    `parts` is {"all": ...}, to be split by seed, or published splits: "train" with "valid" and "test" where they exist.
    `note` says in words how the splits came about where it is more than that; `on_disk` that events are not to be loaded.
    """

    name: str
    parts: dict[str, Part]
    image: bool
    grid: int | None = None
    label_names: list[str] | None = None
    column_names: list[str] | None = None
    attribute_names: list[str] | None = None
    modes: tuple[Tensor, float] | None = None
    channel_classes: int | None = None
    note: str | None = None
    on_disk: bool = False

    def __len__(self) -> int:
        return sum(len(part.rows) for part in self.parts.values())

    @property
    def event_shape(self) -> tuple[int, ...]:
        """The shape of one event; reads the first."""
        rows = next(part.rows for part in self.parts.values() if len(part.rows))
        return tuple(rows.read(torch.zeros(1, dtype=torch.long)).shape[1:])


class ArrayRows:
    """Rows of a numpy array, in memory or memory-mapped; with `channels_last` they are read as (c, h, w), not (h, w, c)."""

    def __init__(self, array: np.ndarray, channels_last: bool = False) -> None:
        self.array, self.channels_last = array, channels_last

    def __len__(self) -> int:
        return len(self.array)

    def read(self, index: Tensor) -> Tensor:
        """The rows in their own type where that is uint8 or float32, else as float64."""
        rows = self.array[index.numpy()]
        x = torch.from_numpy(rows if rows.dtype in (np.uint8, np.float32) else rows.astype(np.float64))
        return x.movedim(-1, 1) if self.channels_last else x


def pieces(n: int, event_shape: Sequence[int]) -> list[Tensor]:
    """The positions 0..n-1 in consecutive pieces that hold about four million numbers each."""
    return list(torch.arange(n).split(max(1, _PIECE // max(1, math.prod(event_shape)))))


def partition(raw: Raw, fractions: Sequence[float], seed: int) -> list[tuple[str, Tensor]]:
    """For train, valid and test: the part of `raw` its events come from and their positions in it.

    Published splits stay as they are; a missing validation or test split is taken from the training split by seed.
    A split that takes everything keeps the order of the source, the others are in the order of the permutation.
    """
    source = "all" if "all" in raw.parts else "train"
    fractions = [0.0 if name in raw.parts and name != source else f for name, f in zip(_NAMES, fractions, strict=True)]
    shares = _divide(raw.parts[source], [f / (sum(fractions) or 1) for f in fractions], seed)
    return [
        (source, share) if name == source or name not in raw.parts else (name, torch.arange(len(raw.parts[name].rows)))
        for name, share in zip(_NAMES, shares, strict=True)
    ]


_NAMES = ("train", "valid", "test")


def _divide(part: Part, fractions: Sequence[float], seed: int) -> list[Tensor]:
    n = len(part.rows)
    if 1.0 in fractions:
        return [torch.arange(n if fraction == 1.0 else 0) for fraction in fractions]
    if part.groups is None:
        return _cut(torch.randperm(n, generator=generator(seed)), fractions)
    names, group = part.groups.unique(return_inverse=True)
    shares = _cut(torch.randperm(len(names), generator=generator(seed)), fractions)
    order = torch.randperm(n, generator=generator(seed, 1))
    return [order[torch.isin(group[order], share)] for share in shares]


def _cut(order: Tensor, fractions: Sequence[float]) -> list[Tensor]:
    _, valid, test = (round(fraction * len(order)) for fraction in fractions)
    return list(order.split([len(order) - valid - test, valid, test]))
