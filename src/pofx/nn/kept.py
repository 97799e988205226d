"""What one player of a step leaves for the next."""

from torch import Tensor

from ..core import Batch


class Kept:
    """Tensors made of a batch, for the players that move later in the same step; they are made once and passed on detached.

    >>> import torch
    >>> kept, batch = Kept(), Batch(torch.zeros(2, 3))
    >>> kept.keep(batch, torch.ones(2))
    >>> kept.take(batch), kept.take(batch)
    ((tensor([1., 1.]),), None)
    """

    def __init__(self) -> None:
        self._batch: Batch | None = None
        self._tensors: tuple[Tensor, ...] = ()

    def keep(self, batch: Batch, *tensors: Tensor) -> None:
        """Leave these tensors, in place of any others, for whoever takes them with the same batch."""
        self._batch, self._tensors = batch, tuple(tensor.detach() for tensor in tensors)

    def take(self, batch: Batch) -> tuple[Tensor, ...] | None:
        """What was left with this very batch, and forget it; None where that was another, or nothing."""
        found = self._tensors if batch is self._batch else None
        self._batch, self._tensors = None, ()
        return found
