"""NADE: The Neural Autoregressive Distribution Estimator, Hugo Larochelle and Iain Murray, 2011."""

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.distributions import constraints
from torch.distributions.constraints import Constraint

from ..core import (
    Batch,
    ConfigError,
    Encodes,
    GenerativeModel,
    Player,
    Samples,
    ScoresAnomalies,
    TractableDensity,
    adam,
    describe_support,
    suggest,
)
from ..functional.nade import ACTIVATIONS, nade_logits, nade_sample
from ..nn.order import visiting_order


class NADE(GenerativeModel, Samples, TractableDensity, Encodes, ScoresAnomalies):
    """A density of binary vectors or pictures, one variable after the other, with one hidden layer shared by all.

    p(x) = prod_d p(x_{o_d} | x_{o_<d}), p(x_{o_d} = 1 | x_{o_<d}) = sigmoid(b_{o_d} + V_{o_d} h_d),
    h_d = act(c + sum of W_{o_i} x_{o_i} over i < d), for D variables in the visiting order o and `hidden` = H units.
    2·D·H + H + D parameters; time O(B·D·H) and memory O(B·D + D·H) for a training step, B likelihoods or B samples.

    `order` is the visiting order: "raster", "snake", "random" (drawn from `order_seed`) or a list of all variable indices.
    Raises `ConfigError` for an unknown activation or order.
    Source: The Neural Autoregressive Distribution Estimator, Hugo Larochelle and Iain Murray, 2011.

    >>> model = NADE((1, 8, 8), hidden=16)
    >>> model.log_prob(model.sample(4)).shape
    torch.Size([4])
    """

    name = "nade"
    summary = "neural autoregressive distribution estimator"

    def __init__(
        self,
        event_shape: tuple[int, ...],
        hidden: int = 128,
        activation: str = "sigmoid",
        order: str | Sequence[int] = "raster",
        order_seed: int = 0,
        learning_rate: float = 3e-3,
    ) -> None:
        super().__init__()
        if activation not in ACTIVATIONS:
            raise ConfigError(f"activation {activation!r} is unknown: {suggest(activation, ACTIVATIONS)}.")
        if hidden < 1:
            raise ConfigError(f"hidden must be at least 1, got {hidden}: give the number of hidden units.")
        self.event_shape = tuple(event_shape)
        self.support = constraints.boolean
        self.activation = activation
        self.learning_rate = learning_rate
        self.register_buffer("order", visiting_order(order, self.event_shape, order_seed))
        self.W = nn.Parameter(torch.randn(self.dims, hidden) * (2 / self.dims) ** 0.5)
        self.V = nn.Parameter(torch.randn(self.dims, hidden) / hidden**0.5)
        self.b = nn.Parameter(torch.zeros(self.dims))
        self.c = nn.Parameter(torch.zeros(hidden))

    @classmethod
    def configure_for(cls, event_shape: tuple[int, ...], support: Constraint) -> dict[str, Any]:
        """Nothing to set, but `ConfigError` for data that are not binary."""
        if support is not constraints.boolean:
            raise ConfigError(
                f"nade learns values in {{0, 1}}, and the data are {describe_support(support)}: load pictures with "
                "binarize=True, or use a model for such values (vae, gan)."
            )
        return {}

    def _ordered(self) -> tuple[Tensor, Tensor, Tensor, Tensor, str]:
        return self.W[self.order], self.V[self.order], self.b[self.order], self.c, self.activation

    def log_prob(self, x: Tensor) -> Tensor:
        """Exact ln p(x) in nats, (n,), for x (n, *event_shape) in {0, 1}; `DataError` for other shapes or values."""
        x = self.check(x).flatten(1)[:, self.order].to(self.W.dtype)
        logits = nade_logits(x, *self._ordered())
        return -F.binary_cross_entropy_with_logits(logits, x, reduction="none").sum(1)

    def sample(self, n: int, condition: Any = None, generator: torch.Generator | None = None) -> Tensor:
        """n events (n, *event_shape) in {0, 1}, drawn variable by variable in the visiting order."""
        self.refuse_condition(condition)
        x = torch.empty(n, self.dims, dtype=self.W.dtype, device=self.device)
        x[:, self.order] = nade_sample(n, *self._ordered(), generator=generator)
        return x.view(n, *self.event_shape)

    @torch.no_grad()
    def encode(self, x: Tensor) -> Tensor:
        """The hidden state after every variable has been read, (n, hidden): act(c + W x), whatever the order."""
        return ACTIVATIONS[self.activation].apply(torch.addmm(self.c, self.check(x).flatten(1).to(self.W.dtype), self.W))

    def anomaly_score(self, x: Tensor) -> Tensor:
        """-ln p(x) in nats, (n,): how surprising the event is to the model."""
        return -self.log_prob(x)

    def players(self) -> list[Player]:
        """One player, which minimises the mean negative log-likelihood `nll` in nats."""
        return [Player("model", list(self.parameters()), self._loss, optimizer=adam(self.learning_rate))]

    def _loss(self, batch: Batch) -> dict[str, Tensor]:
        return {"nll": -self.log_prob(batch.x).mean()}
