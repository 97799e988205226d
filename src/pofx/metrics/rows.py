"""Rows of numbers: what the sample-based metrics compare."""

from collections.abc import Iterator

import torch
from torch import Tensor

from ..core import DataError

BLOCK_ENTRIES = 2**22  # of a distance matrix held at a time: 32 MB


def check_rows(x: Tensor, name: str, at_least: int = 1) -> None:
    """Nothing, or a `DataError` where x is no (n, ...) array, has too few rows, NaN or infinity."""
    if x.ndim < 2 or len(x) < at_least:
        raise DataError(f"{name} expects at least {at_least} rows, (n, features), got {tuple(x.shape)}: pass more events.")
    bad = (~x.isfinite()).flatten(1).any(1).nonzero()
    if len(bad):
        raise DataError(f"{name} expects finite numbers, got NaN or infinity in row {int(bad[0])}: has training diverged?")


def finite_rows(x: Tensor, name: str, at_least: int = 1) -> Tensor:
    """x as a float64 matrix (n, features), flattened event by event; raises what `check_rows` raises."""
    check_rows(x, name, at_least)
    return x.detach().flatten(1).double()


def distance_blocks(a: Tensor, b: Tensor, exact: bool = True) -> Iterator[tuple[slice, Tensor]]:
    """Euclidean distances of rows a (n, f) to rows b (m, f), some rows of a at a time, so that n x m is never held.

    The faster form |a|^2 + |b|^2 - 2ab, `exact=False`, does not give equal points the distance 0.
    """
    mode = "donot_use_mm_for_euclid_dist" if exact else "use_mm_for_euclid_dist"
    size = max(1, BLOCK_ENTRIES // max(len(b), 1))
    for start in range(0, len(a), size):
        block = slice(start, min(start + size, len(a)))
        yield block, torch.cdist(a[block], b, compute_mode=mode)


def same_width(a: Tensor, b: Tensor, names: str) -> None:
    """Nothing, or a `DataError` where two matrices have different numbers of columns."""
    if a.shape[1] != b.shape[1]:
        raise DataError(f"{names} expect the same features, got {a.shape[1]} and {b.shape[1]}: use one feature extractor.")
