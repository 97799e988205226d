"""Chains of probability tables: independence, Markov chains and AR(k), fitted exactly by counting.

The chain rule p(x) = ∏_i p(x_i | x_<i) holds for any distribution. Keeping all of x_<i takes K^n − 1 free parameters for n
variables of K values; keeping only the k variables visited last gives AR(k), of which k = 0 is independence and k = 1 the
first-order Markov chain. Each conditional is a table of counts c(u, s) of value s after context u, smoothed by a
Dirichlet(α, …, α) prior:  P(s | u) = (c(u, s) + α) / (c(u) + K α)  (α = 1: Laplace, Essai philosophique, 1814).
"""

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from ..core import ConfigError, DataError, from_codes, to_codes
from ..nn.counting import CountTable, draw
from ..nn.order import visiting_order


class _Chain(CountTable):
    """AR(k): row u of block i of `counts` is the context of the i-th variable visited, its latest value in the lowest digit."""

    permutation: Tensor

    def __init__(
        self,
        event_shape: Sequence[int],
        levels: int,
        window: int,
        smoothing: float,
        order: str | Sequence[int],
        order_seed: int,
    ) -> None:
        if not isinstance(window, int) or window < 0:
            raise ConfigError(
                f"window must be a whole number of at least 0 (the variables a conditional sees), got {window!r}."
            )
        dims = math.prod(event_shape)
        self.window = min(window, dims - 1)
        self.contexts = levels**self.window
        super().__init__(event_shape, levels, smoothing, rows=dims * self.contexts)
        self.register_buffer("permutation", visiting_order(order, self.event_shape, order_seed))

    def parameter_count(self) -> int:
        """Σ_i (K − 1) K^min(i, k), the free probabilities of all conditionals."""
        return sum((self.levels - 1) * self.levels ** min(i, self.window) for i in range(self.dims))

    def _codes(self, x: Tensor) -> Tensor:
        return to_codes(x.flatten(1), self.support)[:, self.permutation]

    def _events(self, codes: Tensor) -> Tensor:
        values = torch.empty_like(codes)
        values[:, self.permutation] = codes
        return from_codes(values, self.support).view(-1, *self.event_shape)

    def _cells(self, codes: Tensor) -> Tensor:
        """The cell of `counts` that each variable of each event falls into, (n, dims)."""
        context = torch.zeros_like(codes)
        for lag in range(1, self.window + 1):
            context[:, lag:] += codes[:, :-lag] * self.levels ** (lag - 1)
        block = torch.arange(self.dims, device=codes.device) * self.contexts
        return (block + context) * self.levels + codes

    def count(self, x: Tensor) -> None:
        self._add(self._cells(self._codes(self.check(x))))

    def log_prob(self, x: Tensor) -> Tensor:
        cells = self._cells(self._codes(self.check(x)))
        rows = torch.div(cells, self.levels, rounding_mode="floor")
        joint = self.counts.flatten()[cells] + self.smoothing
        total = (self.counts.sum(1) + self.levels * self.smoothing)[rows]
        return torch.where(total > 0, joint / total, 1 / self.levels).log().sum(1).to(x.dtype)

    def sample(self, n: int, condition: Any = None, generator: torch.Generator | None = None) -> Tensor:
        self.refuse_condition(condition)
        codes = torch.empty(n, self.dims, dtype=torch.long, device=self.device)
        context = torch.zeros(n, dtype=torch.long, device=self.device)
        for i in range(self.dims):
            codes[:, i] = draw(self._probabilities(i * self.contexts + context), generator)
            context = (context * self.levels + codes[:, i]) % self.contexts
        return self._events(codes)

    def log_prob_observed(self, x: Tensor, mask: Tensor) -> Tensor:
        """ln p of the observed variables alone (mask True), the others summed out exactly: (n,) nats.

        Costs O(dims · K^(window + 1)) an event.
        """
        return self._forward(x, mask)[1]

    def inpaint(self, x: Tensor, mask: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """Exact draws from p(missing | observed): a forward pass over contexts, then values drawn from the last to the first.

        x (n, *event_shape) is kept where `mask` (the same shape, boolean) is True and ignored elsewhere.
        (Forward filtering, backward sampling: Carter and Kohn, On Gibbs sampling for state space models, 1994.)
        """
        joints, log_evidence = self._forward(x, mask)
        if bool(log_evidence.isneginf().any()):
            row = int(log_evidence.isneginf().nonzero()[0])
            raise DataError(f"{self.name} gives the observed values of row {row} probability 0: fit it with smoothing > 0.")
        n = len(x)
        context = draw(joints[-1].view(n, self.levels, self.contexts).sum(1), generator)  # after the last variable
        codes = torch.empty(n, self.dims, dtype=torch.long, device=x.device)
        for i in reversed(range(self.dims)):
            # Of all (context, value) pairs before variable i keep those that lead to the context drawn after it.
            ways = joints[i].view(n, self.levels, self.contexts)
            ways = ways.gather(2, context.view(-1, 1, 1).expand(-1, self.levels, 1)).squeeze(2)
            pair = draw(ways, generator) * self.contexts + context
            codes[:, i], context = pair % self.levels, torch.div(pair, self.levels, rounding_mode="floor")
        return self._events(codes)

    def _forward(self, x: Tensor, mask: Tensor) -> tuple[list[Tensor], Tensor]:
        """For each variable p(context, value, observed so far) up to a factor, (n, contexts · K), and ln p(observed)."""
        observed = mask.flatten(1)[:, self.permutation]
        codes = self._codes(self.check(torch.where(mask, x, torch.zeros_like(x))))
        belief = torch.zeros(len(x), self.contexts, dtype=torch.float64, device=x.device)
        belief[:, 0] = 1
        joints, log_evidence = [], torch.zeros(len(x), dtype=torch.float64, device=x.device)
        tables = self._probabilities(torch.arange(len(self.counts), device=x.device)).view(
            self.dims, self.contexts, self.levels
        )
        for i in range(self.dims):
            allowed = ~observed[:, i, None] | (torch.arange(self.levels, device=x.device) == codes[:, i, None])
            joint = (belief[:, :, None] * tables[i] * allowed[:, None]).flatten(1)
            evidence = joint.sum(1, keepdim=True)
            log_evidence += evidence.squeeze(1).log()
            joint = joint / evidence.clamp(min=torch.finfo(torch.float64).tiny)  # what cannot be stays at 0, and is no 0/0
            joints.append(joint)
            belief = joint.view(-1, self.levels, self.contexts).sum(1)  # the oldest value leaves the context
        return joints, log_evidence


class Independent(_Chain):
    """Every variable on its own: p(x) = ∏_i p(x_i), n (K − 1) parameters. The baseline that ignores all dependence.

    `levels` is K, the number of values of a variable; `smoothing` the pseudo-count α of every cell.

    >>> Independent((1, 28, 28)).parameter_count()
    784
    """

    name = "independent"
    summary = "every variable on its own"

    def __init__(self, event_shape: Sequence[int], levels: int = 2, smoothing: float = 1.0) -> None:
        super().__init__(event_shape, levels, 0, smoothing, "raster", 0)


class Markov(_Chain):
    """A first-order Markov chain: each variable sees the one visited before it; 1 + 2(n − 1) parameters for binary ones.

    `order` is raster, snake, random (drawn from `order_seed`) or a list of variable indices; other arguments as `Independent`.
    Raster order links the first pixel of a row to the last of the row above; snake order links neighbours throughout.
    (A. A. Markov, 1913, on the letters of Eugene Onegin.)

    >>> Markov((1, 28, 28)).parameter_count()
    1567
    """

    name = "markov"
    summary = "first-order Markov chain, a table per variable"

    def __init__(
        self, event_shape: Sequence[int], levels: int = 2, smoothing: float = 1.0, order: str | Sequence[int] = "raster",
        order_seed: int = 0,
    ) -> None:  # fmt: skip
        super().__init__(event_shape, levels, 1, smoothing, order, order_seed)


class Autoregressive(_Chain):
    """AR(k) with a table per position: each variable sees the `window` = k variables visited before it.

    (n − k + 1) 2^k − 1 parameters for binary variables; window = n − 1 is the full joint in another form. Arguments as
    `Markov`. Time and memory grow as n · K^(k+1), so a table ends where a network begins.

    >>> Autoregressive((784,), window=8).parameter_count()
    198911
    """

    name = "autoregressive"
    summary = "AR(k): a table per variable given the k before it"

    def __init__(
        self, event_shape: Sequence[int], levels: int = 2, window: int = 3, smoothing: float = 1.0,
        order: str | Sequence[int] = "raster", order_seed: int = 0,
    ) -> None:  # fmt: skip
        super().__init__(event_shape, levels, window, smoothing, order, order_seed)
