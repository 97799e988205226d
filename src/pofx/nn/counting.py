"""Tables of counts with Dirichlet smoothing: what all models that are fitted by counting share."""

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.distributions.constraints import Constraint

from ..core import (
    ConfigError,
    FitsByCounting,
    GenerativeModel,
    Inpaints,
    Player,
    Samples,
    ScoresAnomalies,
    TractableDensity,
    describe_support,
    discrete_support,
    levels_of,
)

MAX_CELLS = 2**26  # of any table: 512 MB of counts


class CountTable(GenerativeModel, FitsByCounting, Samples, TractableDensity, Inpaints, ScoresAnomalies):
    """What every table of counts shares: `counts` (rows, K), a row for each context, and the smoothed probabilities."""

    counts: Tensor

    def __init__(self, event_shape: Sequence[int], levels: int, smoothing: float, rows: int) -> None:
        super().__init__()
        self.event_shape, self.levels, self.smoothing = tuple(event_shape), levels, smoothing
        if not isinstance(levels, int) or levels < 2:
            raise ConfigError(f"levels must be a whole number of at least 2 (the values of a variable), got {levels!r}.")
        if smoothing < 0:
            raise ConfigError(f"smoothing is a pseudo-count and must be at least 0, got {smoothing}.")
        if rows * levels > MAX_CELLS:
            raise ConfigError(
                f"{self.name} would need a table of {large_count(rows * levels)} counts, and at most {MAX_CELLS:,} are kept: "
                "use a smaller window, fewer levels, or nade."
            )
        self.support = discrete_support(levels, self.event_shape)
        self.register_buffer("counts", torch.zeros(rows, levels, dtype=torch.float64))

    @classmethod
    def configure_for(cls, event_shape: tuple[int, ...], support: Constraint) -> dict[str, Any]:
        levels = levels_of(support)
        if levels is None:
            raise ConfigError(
                f"{cls.name} counts discrete values, and the data are {describe_support(support)}: load them with "
                "binarize=True or levels=K, or use a model for real values (vae, gan)."
            )
        return {"levels": levels}

    def players(self) -> list[Player]:
        """None: the model is fitted by counting."""
        return []

    def forget(self) -> None:
        self.counts.zero_()

    def anomaly_score(self, x: Tensor) -> Tensor:
        """−ln p(x) in nats."""
        return -self.log_prob(x)

    def _add(self, cells: Tensor) -> None:
        self.counts += torch.bincount(cells.flatten(), minlength=self.counts.numel()).view_as(self.counts)

    def _probabilities(self, rows: Tensor) -> Tensor:
        """P(s | u) for contexts u given as row numbers (...,): (..., K); uniform where nothing was ever counted."""
        smoothed = self.counts[rows] + self.smoothing
        total = smoothed.sum(-1, keepdim=True)
        return torch.where(total > 0, smoothed / total, 1 / self.levels)


def draw(weights: Tensor, generator: torch.Generator | None) -> Tensor:
    """One index per row of unnormalised weights (n, choices), by inversion of the cumulative sum."""
    cumulative = weights.cumsum(1)
    u = torch.rand(len(weights), 1, dtype=weights.dtype, generator=generator, device=weights.device) * cumulative[:, -1:]
    return (cumulative <= u).sum(1).clamp(max=weights.shape[1] - 1)


def large_count(count: int) -> str:
    """A count in figures, or as a power of ten where it has too many.

    >>> large_count(1023), large_count(2**784)
    ('1,023', '1.0e+236')
    """
    if count < 10**15:
        return f"{count:,}"
    exponent = int(math.log10(count))
    return f"{count / 10**exponent if exponent < 300 else 10 ** (math.log10(count) - exponent):.1f}e+{exponent}"
