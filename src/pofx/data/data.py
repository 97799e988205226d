"""What `load_data` returns: data in three splits, with the shape and the support that a model needs to know."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

import torch
from torch import Tensor
from torch.distributions.constraints import Constraint

from ..core import Batch, describe_support
from .noise import generator

Extra = Tensor | list[str]


class Rows(Protocol):
    """Events that are read when they are asked for: from a file, a memory map or a tensor."""

    def __len__(self) -> int: ...

    def read(self, index: Tensor) -> Tensor:
        """The events at these positions (int64, (m,)), shape (m, *event_shape)."""


class Split:
    """One part of the data: events, and where the data have them labels and extras.

    `x` is a float32 tensor (n, *event_shape), or `Rows` that stay on disk and are read batch by batch.
    `label` is int64 (n,); `extras` holds captions (list of str), attributes (n, k), masks; `condition` names what a
    conditional model is given: "label" or one of the extras. `chances`, like x, are probabilities of 1 from which training
    draws the events anew at every visit; x then holds one draw.

    >>> Split(torch.zeros(3, 2), label=torch.tensor([0, 1, 1])).rows(torch.tensor([2])).label
    tensor([1])
    """

    def __init__(
        self,
        x: Tensor | Rows,
        label: Tensor | None = None,
        extras: dict[str, Extra] | None = None,
        condition: str | None = None,
        chances: Tensor | Rows | None = None,
    ) -> None:
        self._x = x
        self.chances = chances
        self.label = label
        self.extras = extras or {}
        self._condition = condition

    def __len__(self) -> int:
        return len(self._x)

    @property
    def x(self) -> Tensor:
        """All events, (n, *event_shape); data on disk are read into memory as a whole each time, so prefer `rows`."""
        return self._x if isinstance(self._x, Tensor) else self._x.read(torch.arange(len(self)))

    @property
    def in_memory(self) -> bool:
        """Whether the events are one tensor, rather than read from disk when asked for."""
        return isinstance(self._x, Tensor)

    @property
    def condition(self) -> Extra | None:
        """What a conditional model is given: labels, captions or attributes; None where none was chosen."""
        if self._condition is None:
            return None
        return self.label if self._condition == "label" else self.extras[self._condition]

    def rows(self, indices: Tensor) -> Batch:
        """The events at these positions (int64, (m,)) with their labels and conditions; reads nothing else."""
        x = self._x.index_select(0, indices) if isinstance(self._x, Tensor) else self._x.read(indices)
        label = None if self.label is None else self.label.index_select(0, indices)
        condition = label if self._condition == "label" else pick(self.condition, indices)
        return Batch(x, condition, label)

    def seen(self, indices: Tensor, *key: int) -> Batch:
        """The rows as training sees them on the visit that the key names: x is drawn from `chances`, where there are such."""
        rows = self.rows(indices)
        if self.chances is None:
            return rows
        chances = self.chances[indices] if isinstance(self.chances, Tensor) else self.chances.read(indices)
        x = (torch.rand(chances.shape, generator=generator(*key)) < chances).to(chances.dtype)
        return replace(rows, x=x)


def pick(extra: Any, indices: Tensor) -> Any:
    """The entries of an extra (a tensor, a list or None) at these positions."""
    if extra is None or isinstance(extra, Tensor):
        return None if extra is None else extra.index_select(0, indices)
    return [extra[i] for i in indices.tolist()]


@dataclass
class Data:
    """Data in three splits, with what a model must know of them.

    `support` holds every value of x; `transform` (JSON) is everything that `load_data(other, transform=...)` needs to
    load other data as these were; `dequantized` is the number of levels K where noise was added to them, so that
    densities can be corrected; `modes` are the centres (k, d) and the standard deviation of a drawn mixture;
    `channel_classes` is the number K of classes of one channel where the label is the number whose digits, to the base K, are
    the classes of the channels.
    """

    name: str
    train: Split
    valid: Split
    test: Split
    event_shape: tuple[int, ...]
    support: Constraint
    label_names: list[str] | None = None
    column_names: list[str] | None = None
    attribute_names: list[str] | None = None
    dequantized: int | None = None
    modes: tuple[Tensor, float] | None = None
    channel_classes: int | None = None
    transform: dict[str, Any] = field(default_factory=dict)
    description: str = ""

    @property
    def splits(self) -> dict[str, Split]:
        """The three splits by name."""
        return {"train": self.train, "valid": self.valid, "test": self.test}

    @property
    def class_counts(self) -> Tensor | None:
        """How many training events are of each class, int64 (K,); of stacked channels 1 for each whole label: all are alike."""
        if self.channel_classes:
            return torch.ones(self.channel_classes ** self.event_shape[0], dtype=torch.long)
        label = self.train.label
        return None if label is None else label[label >= 0].bincount()

    @property
    def summary(self) -> str:
        """Several lines for people: what the data are, and what each split holds."""
        lines = [f"{self.name}: {self.description}"]
        for name, split in self.splits.items():
            extras = [*(["label"] if split.label is not None else []), *split.extras]
            lines.append(f"  {name:5} {len(split):>9,} events" + (f", with {', '.join(extras)}" if extras else ""))
        return "\n".join(lines)


def describe(lengths: Sequence[int], event_shape: tuple[int, ...], support: Constraint, notes: Sequence[str]) -> str:
    """One line: sizes of the splits, shape, support, and what was done to the data.

    >>> from torch.distributions import constraints
    >>> describe([1200, 297, 300], (1, 8, 8), constraints.boolean, ["binarised at 0.5"])
    '1,200 / 297 / 300 events of shape 1×8×8 in {0, 1}, binarised at 0.5'
    """
    sizes, shape = " / ".join(f"{n:,}" for n in lengths), "×".join(map(str, event_shape))
    return ", ".join([f"{sizes} events of shape {shape} in {describe_support(support)}", *notes])
