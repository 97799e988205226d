"""The order of training: which examples are seen when, as a pure function of the seed and the progress."""

import torch
from torch import Tensor

from ..core import Batch, ConfigError, DataError
from .data import Split
from .noise import generator

_DRAW = 0xD4A3  # of the values of a batch, where they are drawn anew


class Stream:
    """An endless shuffled sequence of examples, cut into batches; `batch(position)` is a function of (seed, position).

    Epoch e is the split in the order of the permutation seeded by (seed, e), and the sequence is epoch 0, epoch 1, ...
    without a gap: every example comes exactly once an epoch, every batch is full, and batches may cross epochs.
    At `position`, the number of examples that all processes have consumed so far, the next `batch_size * processes`
    examples are the global batch, of which this process takes its contiguous share. Nothing needs to be saved to resume.
    One batch may have another size than the stream's own.

    Raises `DataError` for an empty split and `ConfigError` for sizes that make no sense.

    >>> stream = Stream(Split(torch.arange(5.0).unsqueeze(1)), batch_size=5)
    >>> stream.batch(position=5).x.sort(0).values.flatten()
    tensor([0., 1., 2., 3., 4.])
    """

    def __init__(self, split: Split, batch_size: int, seed: int = 0, process: int = 0, processes: int = 1) -> None:
        if batch_size < 1:
            raise ConfigError(f"batch_size must be at least 1, got {batch_size}.")
        if not 0 <= process < processes:
            raise ConfigError(f"process must be in 0..{processes - 1} with processes={processes}, got {process}.")
        if len(split) == 0:
            raise DataError("the split to train on is empty: choose split fractions that leave it examples.")
        self.split, self.batch_size, self.seed = split, batch_size, seed
        self._process = process
        self._orders: dict[int, Tensor] = {}

    def batch(self, position: int, batch_size: int | None = None) -> Batch:
        """This process's examples of the global batch that begins at `position` (examples, counted from 0)."""
        first = position + self._process * (batch_size or self.batch_size)
        return self.split.seen(self.indices(position, batch_size), self.seed, first, _DRAW)

    def indices(self, position: int, batch_size: int | None = None) -> Tensor:
        """The positions in the split, int64 (batch_size,), of the examples that `batch(position)` returns."""
        n, missing = len(self.split), batch_size or self.batch_size
        epoch, first = divmod(position + self._process * missing, n)
        if first + missing <= n:
            return self._order(epoch)[first : first + missing]
        pieces = []
        while missing > 0:
            pieces.append(self._order(epoch)[first : first + missing])
            missing -= len(pieces[-1])
            epoch, first = epoch + 1, 0
        return torch.cat(pieces)

    def _order(self, epoch: int) -> Tensor:
        if epoch not in self._orders:
            if len(self._orders) == 2:  # a batch seldom spans more than two epochs
                self._orders.pop(min(self._orders))
            self._orders[epoch] = torch.randperm(len(self.split), generator=generator(self.seed, epoch))
        return self._orders[epoch]
