"""Multi-layer perceptrons."""

from collections.abc import Sequence
from itertools import pairwise

import torch.nn.functional as F
from torch import Tensor, nn

from ..core import ConfigError


def mlp(
    sizes: Sequence[int], activation: type[nn.Module] = nn.ReLU, normalise: bool = False, **options: float
) -> nn.Sequential:
    """Linear layers of the given sizes with an activation between them, none after the last.

    With `normalise` each activation follows a batch normalisation.

    >>> [type(layer).__name__ for layer in mlp([4, 8, 2])]
    ['Linear', 'ReLU', 'Linear']
    """
    layers: list[nn.Module] = []
    for before, after in pairwise(sizes):
        layers += [nn.Linear(before, after), *([nn.BatchNorm1d(after)] if normalise else []), activation(**options)]
    return nn.Sequential(*layers[: -2 if normalise else -1])


class Maxout(nn.Module):
    """The largest of each unit's linear pieces: (n, units · pieces) to (n, units).

    Maxout Networks, Ian Goodfellow, David Warde-Farley, Mehdi Mirza, Aaron Courville and Yoshua Bengio, 2013.

    >>> import torch
    >>> Maxout(2)(torch.tensor([[1.0, 3.0, -2.0, -4.0]]))
    tensor([[ 3., -2.]])
    """

    def __init__(self, pieces: int) -> None:
        super().__init__()
        self.pieces = pieces

    def forward(self, x: Tensor) -> Tensor:
        return x.unflatten(1, (-1, self.pieces)).amax(2)


def check_dropout(share: float) -> None:
    """Raise `ConfigError` where this is no share of numbers to drop."""
    if not 0 <= share < 1:
        raise ConfigError(f"dropout must be a share in [0, 1), got {share}: 0 drops nothing.")


def drop(x: Tensor, share: float) -> Tensor:
    """x with this share of its numbers, drawn at random, set to zero and the others scaled up (Srivastava and others, 2014)."""
    return F.dropout(x, share) if share else x
