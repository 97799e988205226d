"""Few labels: a training split in which only some rows keep theirs, as semi-supervised models want it."""

import torch
from torch import Tensor

from ..core import ConfigError, DataError
from .data import Rows, Split, pick
from .noise import generator

UNKNOWN = -1  # the label of a row whose label is not to be seen
_KEY = 0x1ABE1  # of the draw of the rows that keep their labels


class _Chosen:
    """Rows of other rows, by position."""

    def __init__(self, rows: Rows, index: Tensor) -> None:
        self.rows, self.index = rows, index

    def __len__(self) -> int:
        return len(self.index)

    def read(self, index: Tensor) -> Tensor:
        return self.rows.read(self.index[index])


def few_labels(split: Split, labelled: int, seed: int, name: str = "the data") -> tuple[Split, str]:
    """The split with the labels of `labelled` rows, and a note that says so.

    First come all rows of the split, once each, with label −1; then the rows that keep their labels, the same number of times
    each, so that these make up about half of the result: every batch of a shuffled stream then holds about as many labelled
    rows as others, and an epoch has about twice as many rows. The rows are drawn by `seed`, equally many of each class, one
    more of some classes where the number does not divide. Where rows are in memory the result is a copy.

    Raises `DataError` where the rows have no labels or a class has too few, `ConfigError` for a number below that of the
    classes or above that of the rows.

    >>> split, note = few_labels(Split(torch.zeros(6, 1), torch.tensor([0, 1, 0, 1, 0, 1])), labelled=2, seed=0)
    >>> split.label, note
    (tensor([-1, -1, -1, -1, -1, -1,  0,  1,  0,  1,  0,  1]), '2 labels kept in training, each row that has one 3 times')
    """
    if split.label is None:
        raise DataError(f"labelled={labelled} keeps some labels, and {name} has none: leave labelled out, or name label=.")
    classes = split.label.unique().tolist()
    if not len(classes) <= labelled <= len(split):
        raise ConfigError(
            f"labelled must be between {len(classes)}, the number of classes of {name}, and {len(split)}, the number of labels "
            f"in its training split, got {labelled}."
        )
    kept = _balanced(split.label, classes, labelled, seed, name)
    times = round(len(split) / labelled)
    index = torch.cat([torch.arange(len(split)), kept.repeat(times)])
    label = torch.cat([split.label.new_full((len(split),), UNKNOWN), split.label[kept].repeat(times)])
    return _rows(split, index, label), f"{labelled} labels kept in training, each row that has one {times} times"


def _balanced(label: Tensor, classes: list[int], labelled: int, seed: int, name: str) -> Tensor:
    """Positions of rows, as many of each class; the classes that get one more are drawn, too."""
    share, more = divmod(labelled, len(classes))
    lucky = set(torch.randperm(len(classes), generator=generator(seed, _KEY))[:more].tolist())
    chosen = []
    for i, code in enumerate(classes):
        rows, wanted = (label == code).nonzero().flatten(), share + (i in lucky)
        if len(rows) < wanted:
            raise DataError(
                f"labelled={labelled} takes {wanted} rows of each class, and {name} has {len(rows)} with label {code} in its "
                "training split: take fewer."
            )
        chosen.append(rows[torch.randperm(len(rows), generator=generator(seed, _KEY, code))[:wanted]])
    return torch.cat(chosen)


def _rows(split: Split, index: Tensor, label: Tensor) -> Split:
    extras = {key: pick(extra, index) for key, extra in split.extras.items()}
    chances = None if split.chances is None else _chosen(split.chances, index)
    return Split(_chosen(split._x, index), label, extras, split._condition, chances)


def _chosen(rows: Tensor | Rows, index: Tensor) -> Tensor | Rows:
    return rows[index] if isinstance(rows, Tensor) else _Chosen(rows, index)
