"""The full joint table: a probability for every event there is."""

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from ..core import ConfigError, DataError, from_codes, to_codes
from ..nn.counting import MAX_CELLS, CountTable, draw, large_count

MAX_VARIABLES = 20


class Joint(CountTable):
    """The full joint table: K^n − 1 parameters, no assumption at all, and therefore only for a handful of variables.

    One RGB pixel of 256 levels a channel is such an event: 256³ − 1 = 16,777,215 parameters. Raises `ConfigError` beyond 20
    variables or the memory for the table, with the count it would need. `smoothing` is per cell of the joint table.

    >>> Joint((4,)).parameter_count()
    15
    """

    name = "joint"
    summary = "full joint table, up to 20 variables"

    def __init__(self, event_shape: Sequence[int], levels: int = 2, smoothing: float = 1.0) -> None:
        dims = math.prod(event_shape)
        if dims > MAX_VARIABLES or levels**dims > MAX_CELLS:
            raise ConfigError(
                f"joint would need {large_count(levels**dims - 1)} parameters for {dims} variables of {levels} values; "
                f"it takes at most {MAX_VARIABLES} variables and {MAX_CELLS:,} cells: use independent, markov, autoregressive "
                "or nade."
            )
        super().__init__(event_shape, levels, smoothing, rows=levels ** (dims - 1))
        self.register_buffer("places", levels ** torch.arange(dims - 1, -1, -1), persistent=False)

    def parameter_count(self) -> int:
        """K^n − 1: a probability per event, less the one that the others imply."""
        return self.counts.numel() - 1

    def _index(self, x: Tensor) -> Tensor:
        return (to_codes(x.flatten(1), self.support) * self.places).sum(1)

    def _events(self, index: Tensor) -> Tensor:
        codes = torch.div(index[:, None], self.places, rounding_mode="floor") % self.levels
        return from_codes(codes, self.support).view(-1, *self.event_shape)

    def _joint(self) -> Tensor:
        smoothed = self.counts.flatten() + self.smoothing
        total = smoothed.sum()
        return smoothed / total if total > 0 else torch.full_like(smoothed, 1 / len(smoothed))

    def count(self, x: Tensor) -> None:
        self._add(self._index(self.check(x)))

    def log_prob(self, x: Tensor) -> Tensor:
        return self._joint()[self._index(self.check(x))].log().to(x.dtype)

    def sample(self, n: int, condition: Any = None, generator: torch.Generator | None = None) -> Tensor:
        self.refuse_condition(condition)
        cumulative = self._joint().cumsum(0)
        u = torch.rand(n, dtype=torch.float64, generator=generator, device=self.device) * cumulative[-1]
        return self._events(torch.searchsorted(cumulative, u, right=True).clamp(max=len(cumulative) - 1))

    def inpaint(self, x: Tensor, mask: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """Exact draws from p(missing | observed): the table cut at the observed values and renormalised."""
        joint, result = self._joint(), torch.empty(len(x), dtype=torch.long, device=x.device)
        known = self._index(self.check(torch.where(mask, x, torch.zeros_like(x))))
        masks, group = torch.unique(mask.flatten(1), dim=0, return_inverse=True)
        for g, observed in enumerate(masks):
            free = self.places[~observed]
            digits = torch.arange(self.levels ** len(free), device=x.device)[:, None]
            digits = torch.div(digits, self.levels ** torch.arange(len(free), device=x.device), rounding_mode="floor")
            cells = known[group == g, None] + (digits % self.levels * free).sum(1)
            weights = joint[cells]
            if bool((weights.sum(1) == 0).any()):
                raise DataError("joint gives these observed values probability 0: fit it with smoothing above 0.")
            result[group == g] = cells.gather(1, draw(weights, generator)[:, None]).squeeze(1)
        return self._events(result)
