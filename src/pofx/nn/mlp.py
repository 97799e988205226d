"""Multi-layer perceptrons."""

from collections.abc import Sequence
from itertools import pairwise

from torch import nn


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
