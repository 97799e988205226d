"""RNADE: The real-valued neural autoregressive density-estimator, Benigno Uria, Iain Murray and Hugo Larochelle, 2013."""

import math
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.distributions import constraints
from torch.distributions.constraints import Constraint

from ..core import (
    Batch,
    Completes,
    ConfigError,
    DrawsStepwise,
    Encodes,
    GenerativeModel,
    OnStep,
    Player,
    ScoresAnomalies,
    TractableDensity,
    adam,
    describe_support,
    levels_of,
    suggest,
)
from ..functional.mixtures import FAMILIES, Mixture, floored_scale, spread_mixtures
from ..functional.nade import ACTIVATIONS
from ..functional.penalties import check_weight_decay, weight_decay
from ..functional.temperature import check_temperature
from ..nn.order import visiting_order

CHUNK = 400_000  # numbers of the largest tensor held at once while rows are evaluated: about a processor's cache


class RNADE(GenerativeModel, DrawsStepwise, TractableDensity, Encodes, Completes, ScoresAnomalies):
    """A density of real-valued rows, one variable after the other: each is a mixture whose parameters a hidden layer predicts.

    p(x) = ∏_d Σ_c α_dc f((x_{o_d} − μ_dc) / σ_dc) / σ_dc for D variables in the visiting order o, f Gaussian or Laplace, with
    α_d = softmax(z_d), σ_d = floor + exp(s_d), (z_d, μ_d, s_d) = b_{o_d} + V_{o_d} h_d of C = `components` entries each,
    h_d = act(ρ_{o_d} a_d), a_d = c + sum of W_{o_i} x_{o_i} over i < d, for `hidden` = H units and learned scalars ρ.
    D·H + H + D + 3·D·C·(H + 1) parameters; a training step on B rows takes time O(B·D·H·C), memory O(B·D·(H + C)).

    `order` is the visiting order: "raster", "snake", "random" (drawn from `order_seed`) or a list of all variable indices.
    `floor` is the least scale, in the units of the data: columns that repeat exact values would have infinite density without
    one. The components' means start evenly spread inside `mean_range` (standardise tables, or give theirs). With
    `scale_mean_gradient` the gradient at each μ is multiplied by σ in training, so that narrow components take no huge steps.
    `weight_decay` = λ adds λ/2 (‖W‖² + ‖V‖²) to the loss, for tables of few rows.
    Raises `ConfigError` for an unknown family, activation or order and for sizes that make no sense.
    Source: RNADE: The real-valued neural autoregressive density-estimator, Uria, Murray and Larochelle, 2013.

    >>> model = RNADE((5,), hidden=16, components=3)
    >>> model.log_prob(model.sample(4)).shape
    torch.Size([4])
    """

    name = "rnade"
    summary = "NADE of real values, a mixture per variable"

    def __init__(
        self,
        event_shape: Sequence[int],
        hidden: int = 100,
        components: int = 10,
        family: str = "gaussian",
        activation: str = "relu",
        order: str | Sequence[int] = "raster",
        order_seed: int = 0,
        floor: float = 1e-3,
        mean_range: Sequence[float] = (-3.0, 3.0),
        scale_mean_gradient: bool = True,
        learning_rate: float = 3e-3,
        weight_decay: float = 0.0,
    ) -> None:
        super().__init__()
        _check_sizes(hidden, components, floor, mean_range)
        check_weight_decay(weight_decay)
        if family not in FAMILIES:
            raise ConfigError(f"family {family!r} is unknown: {suggest(family, FAMILIES)}.")
        if activation not in ACTIVATIONS:
            raise ConfigError(f"activation {activation!r} is unknown: {suggest(activation, ACTIVATIONS)}.")
        self.event_shape = tuple(event_shape)
        self.support = constraints.real
        self.family, self.activation, self.floor = family, activation, floor
        self.scale_mean_gradient, self.learning_rate = scale_mean_gradient, learning_rate
        self.weight_decay = weight_decay
        self.register_buffer("order", visiting_order(order, self.event_shape, order_seed))
        self.W = nn.Parameter(torch.randn(self.dims, hidden) * (2 / self.dims) ** 0.5)
        self.V = nn.Parameter(torch.randn(self.dims, hidden, 3 * components) * 0.01)
        self.b = nn.Parameter(spread_mixtures(components, *mean_range).repeat(self.dims, 1))
        self.c = nn.Parameter(torch.zeros(hidden))
        self.rho = nn.Parameter(torch.ones(self.dims))

    @classmethod
    def configure_for(cls, event_shape: tuple[int, ...], support: Constraint) -> dict[str, Any]:
        """Means that start inside [0, 1] for data there; `ConfigError` for discrete data, which have no density."""
        if levels_of(support):
            raise ConfigError(
                f"rnade learns real values, and the data are {describe_support(support)}: load them with dequantize=True, or "
                "use a model for such values (nade, vae)."
            )
        return {"mean_range": (0.0, 1.0)} if support is constraints.unit_interval else {}

    def _rows(self, x: Tensor) -> Tensor:
        """Events as rows (n, D) of variables in visiting order."""
        return x.flatten(1)[:, self.order].to(self.W.dtype)

    def _columns(self, rows: Tensor) -> Tensor:
        """The inverse of `_rows`, (n, D) in the order of the data."""
        columns = torch.empty_like(rows)
        columns[:, self.order] = rows
        return columns

    def _mixture(self, output: Tensor) -> Mixture:
        logits, mean, log_scale = output.chunk(3, -1)
        return Mixture(logits, mean, floored_scale(log_scale, self.floor), self.family)

    def _conditionals(self, rows: Tensor) -> Mixture:
        """p(x_{o_d} | x_{o_<d}) of all variables at once: a batch of (D, n) mixtures for rows (n, D)."""
        with torch.autocast(rows.device.type, enabled=False):
            a = [self.c.expand(len(rows), -1)]
            for x_d, W_d in zip(rows.T[:-1, :, None], self.W[self.order[:-1]], strict=True):
                a.append(torch.addcmul(a[-1], x_d, W_d))
            h = ACTIVATIONS[self.activation].apply(torch.stack(a) * self.rho[self.order, None, None])
            return self._mixture(torch.baddbmm(self.b[self.order, None], h, self.V[self.order]))

    def _each(self, x: Tensor, read: Callable[[Mixture, Tensor], Tensor]) -> Tensor:
        """read(conditionals, values) of every variable, (n, D) in visiting order, computed some rows at a time."""
        chunks = self._rows(self.check(x)).split(max(1, CHUNK // (self.dims * max(self.V.shape[1:]))))
        return torch.cat([read(self._conditionals(rows), rows.T) for rows in chunks], 1).T

    def log_prob(self, x: Tensor) -> Tensor:
        """Exact ln p(x) in nats, (n,), for real x (n, *event_shape); `DataError` for other shapes, NaN or infinity."""
        return self._each(x, Mixture.log_prob).sum(1)

    @torch.no_grad()
    def pit(self, x: Tensor) -> Tensor:
        """The probability integral transform P(X_d ≤ x_d | the variables before d), (n, D): uniform where the model is right.

        Columns are in the order of the flattened event. (Rosenblatt, Remarks on a multivariate transformation, 1952.)
        """
        return self._columns(self._each(x, Mixture.cdf))

    @torch.no_grad()
    def conditional_quantiles(self, x: Tensor, q: float) -> Tensor:
        """The q-quantile (0 < q < 1) of each variable given the variables of x before it, (n, D), columns as in `pit`."""
        return self._columns(self._each(x, lambda conditionals, _: conditionals.quantile(q)))

    def sample(
        self, n: int, condition: Any = None, generator: torch.Generator | None = None, temperature: float = 1.0,
        on_step: OnStep | None = None,
    ) -> Tensor:  # fmt: skip
        """n events (n, *event_shape), drawn variable by variable in the visiting order.

        A `temperature` T takes components by α^(1/T), normalised, and values of scale √T·σ (Laplace: T·σ), at 0 the location
        of the likeliest component (`Mixture.at_temperature`). `on_step(variables drawn, dims)` is called after each.
        """
        self.refuse_condition(condition)
        x = torch.zeros(n, *self.event_shape, dtype=self.W.dtype, device=self.device)
        return self.complete(x, torch.zeros_like(x, dtype=torch.bool), generator, temperature, on_step)

    @torch.no_grad()
    def complete(
        self, x: Tensor, mask: Tensor, generator: torch.Generator | None = None, temperature: float = 1.0,
        on_step: OnStep | None = None,
    ) -> Tensor:  # fmt: skip
        """Keep x where `mask` is True, draw the rest in the visiting order given all variables before; time O(n·D·H·C)."""
        x, temperature = self._rows(self.check(torch.where(mask, x, torch.zeros_like(x)))), check_temperature(temperature)
        kept = mask.flatten(1)[:, self.order]
        a = self.c.repeat(len(x), 1)
        with torch.autocast(x.device.type, enabled=False):
            for d, variable in enumerate(self.order):
                h = ACTIVATIONS[self.activation].apply(a * self.rho[variable])
                conditional = self._mixture(torch.addmm(self.b[variable], h, self.V[variable])).at_temperature(temperature)
                x[:, d] = torch.where(kept[:, d], x[:, d], conditional.sample(generator))
                a.addcmul_(x[:, d, None], self.W[variable])
                if on_step:
                    on_step(d + 1, self.dims)
        return self._columns(x).view(-1, *self.event_shape)

    @torch.no_grad()
    def encode(self, x: Tensor) -> Tensor:
        """The hidden state after every variable has been read, (n, hidden): act(c + W x), whatever the order."""
        return ACTIVATIONS[self.activation].apply(torch.addmm(self.c, self.check(x).flatten(1).to(self.W.dtype), self.W))

    def anomaly_score(self, x: Tensor) -> Tensor:
        """-ln p(x) in nats, (n,): how surprising the event is to the model."""
        return -self.log_prob(x)

    def players(self) -> list[Player]:
        """One player, which minimises the mean negative log-likelihood `nll` in nats, and `weight_decay` where that is set."""
        return [Player("model", list(self.parameters()), self._loss, optimizer=adam(self.learning_rate))]

    def _loss(self, batch: Batch) -> dict[str, Tensor]:
        rows = self._rows(self.check(batch.x))
        conditionals = self._conditionals(rows)
        if self.scale_mean_gradient and conditionals.mean.requires_grad:
            scale = conditionals.scale.detach()
            conditionals.mean.register_hook(lambda gradient: gradient * scale)
        return {"nll": -conditionals.log_prob(rows.T).sum(0).mean(), **weight_decay(self.weight_decay, self.W, self.V)}


def _check_sizes(hidden: int, components: int, floor: float, mean_range: Sequence[float]) -> None:
    if hidden < 1:
        raise ConfigError(f"hidden must be at least 1, got {hidden}: give the number of hidden units.")
    if components < 1:
        raise ConfigError(f"components must be at least 1, got {components}: give the number of each mixture's components.")
    if not 0 < floor < math.inf:
        raise ConfigError(f"floor must be a positive number, got {floor}: it is the least scale, in the units of the data.")
    if len(mean_range) != 2 or not -math.inf < mean_range[0] < mean_range[1] < math.inf:
        raise ConfigError(f"mean_range must be two rising numbers, got {mean_range!r}: (-3, 3) suits standardised data.")
