"""A measured number with its standard error, sample size and unit."""

import math
from dataclasses import asdict, dataclass
from typing import Any

from torch import Tensor

from ..core import DataError


@dataclass(frozen=True)
class Estimate:
    """A value with its standard error (None where there is none), the number of events behind it, and its unit."""

    value: float
    stderr: float | None
    n: int
    unit: str

    def as_dict(self) -> dict[str, Any]:
        """The four fields as a dictionary, for JSON."""
        return asdict(self)


def mean_estimate(values: Tensor, unit: str) -> Estimate:
    """The mean of values (n,) with its standard error s / sqrt(n); no error where n = 1 or a value is infinite.

    An infinite value is kept (ln p = -inf is a fact about a model). Raises `DataError` where a value is NaN or none is given.

    >>> import torch
    >>> mean_estimate(torch.tensor([1.0, 3.0]), "nats")
    Estimate(value=2.0, stderr=1.0, n=2, unit='nats')
    """
    values = values.detach().flatten().double()
    n = len(values)
    if n == 0:
        raise DataError("A mean needs at least one value, got none: evaluate on a data set that is not empty.")
    if bool(values.isnan().any()):
        row = int(values.isnan().nonzero()[0])
        raise DataError(f"A mean expects numbers, got NaN in row {row} of {n}: look for NaN in the data or in the model.")
    has_error = n > 1 and bool(values.isfinite().all())
    return Estimate(values.mean().item(), values.std().item() / math.sqrt(n) if has_error else None, n, unit)


def share_estimate(hits: int, n: int) -> Estimate:
    """The share hits / n with its binomial standard error sqrt(p (1 - p) / n), which is 0 for a share of 0 or 1.

    Raises `DataError` unless 0 <= hits <= n and n > 0.

    >>> share_estimate(50, 100)
    Estimate(value=0.5, stderr=0.05, n=100, unit='share')
    """
    if n <= 0 or not 0 <= hits <= n:
        raise DataError(f"A share expects 0 <= hits <= n and n > 0, got hits={hits}, n={n}: count again.")
    share = hits / n
    return Estimate(share, math.sqrt(share * (1 - share) / n), n, "share")
