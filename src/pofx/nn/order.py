"""The order in which an autoregressive model visits the variables of an event."""

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from ..core import ConfigError, suggest

ORDERS = ("raster", "snake", "random")


def visiting_order(order: str | Sequence[int], event_shape: tuple[int, ...], seed: int = 0) -> Tensor:
    """A permutation (dims,) int64 of the flattened variables: entry d is the variable visited d-th.

    `raster` reads a picture line by line, `snake` every second line backwards (so that neighbours in the order are
    neighbours in the picture), `random` is drawn from `seed`; a list of indices is taken as it is. The channels of a
    pixel (R, G, B) are visited together. For tables raster is the order of the columns and snake is the same.

    Raises `ConfigError` where the order is unknown or no permutation of the variables.

    >>> visiting_order("snake", (1, 2, 3)).tolist()
    [0, 1, 2, 5, 4, 3]
    """
    dims = math.prod(event_shape)
    if not isinstance(order, str):
        given = torch.as_tensor(list(order), dtype=torch.long)
        if sorted(given.tolist()) != list(range(dims)):
            raise ConfigError(f"order must hold each of 0..{dims - 1} once, got {len(given)} entries: {_shortened(given)}.")
        return given
    if order not in ORDERS:
        raise ConfigError(f"order {order!r} is unknown: {suggest(order, ORDERS)}, or a list of variable indices.")
    if order == "random":
        return torch.randperm(dims, generator=torch.Generator().manual_seed(seed))
    index = torch.arange(dims)
    if len(event_shape) != 3:
        return index
    index = index.view(event_shape)
    if order == "snake":
        index = index.clone()
        index[:, 1::2] = index[:, 1::2].flip(-1)
    return index.permute(1, 2, 0).reshape(-1)


def _shortened(values: Tensor) -> str:
    head = ", ".join(map(str, values[:6].tolist()))
    return head + (", ..." if len(values) > 6 else "")
