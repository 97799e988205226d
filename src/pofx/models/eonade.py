"""EoNADE: A Deep and Tractable Density Estimator, Benigno Uria, Iain Murray and Hugo Larochelle, 2014."""

from collections.abc import Sequence
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.distributions import constraints
from torch.distributions.constraints import Constraint

from ..core import (
    Batch,
    ConfigError,
    DataError,
    DrawsStepwise,
    Encodes,
    GenerativeModel,
    Inpaints,
    OnStep,
    Player,
    ScoresAnomalies,
    TractableDensity,
    adam,
    describe_support,
    levels_of,
    suggest,
)
from ..functional.likelihoods import log_mean_exp
from ..functional.mixtures import Bernoulli, Mixture, floored_scale, spread_mixtures
from ..functional.temperature import check_temperature
from ..nn.mlp import check_dropout, drop, mlp
from ..nn.order import visiting_order

LIKELIHOODS = ("bernoulli", "gaussian")
CHUNK = 4_000_000  # numbers of the first layer held at once while conditionals are evaluated


class EoNADE(GenerativeModel, DrawsStepwise, TractableDensity, Encodes, Inpaints, ScoresAnomalies):
    """A density for every order of visiting the variables, from one network that is told which variables are observed.

    For an order o, p_o(x) = prod_d p(x_{o_d} | x_{o_<d}); every conditional is an output of one multi-layer perceptron that is
    given x, zeros for what is not observed, and the mask m. Training draws masks, |m| uniform on 0..D − 1, so that the loss
    D / (D − |m|) · sum over unobserved i of −ln p(x_i | x_m) is in expectation −ln p_o(x) averaged over all orders. The
    density is that of an ensemble, p(x) = 1/J sum_j p_{o_j}(x) for J = `orders` random orders, drawn from `order_seed`.

    `likelihood` is bernoulli for x in {0, 1} or gaussian for real x: mixtures of `components` Gaussians whose standard
    deviation is at least `floor` (in the units of the data) and whose means start inside `mean_range`. `dropout` is the share
    of hidden units left out at random in training, against overfitting. A training step takes one pass of the network; a
    likelihood takes D for each order, and a sample D, but for the first layer, a running sum.
    Raises `ConfigError` for arguments that make no sense. (A Deep and Tractable Density Estimator, Uria et al., 2014.)

    >>> model = EoNADE((1, 4, 4), hidden=[32, 32])
    >>> model.log_prob(model.sample(4)).shape
    torch.Size([4])
    """

    name = "eonade"
    summary = "one network for all orders; exact draws of any part given any other"
    prefers_binary = True
    orders: Tensor

    def __init__(
        self,
        event_shape: Sequence[int],
        hidden: Sequence[int] = (500, 500),
        likelihood: str = "bernoulli",
        components: int = 10,
        orders: int = 1,
        order_seed: int = 0,
        floor: float = 1e-3,
        mean_range: Sequence[float] = (-3.0, 3.0),
        dropout: float = 0.0,
        learning_rate: float = 1e-3,
    ) -> None:
        super().__init__()
        if likelihood not in LIKELIHOODS:
            raise ConfigError(f"likelihood={likelihood!r} is unknown: {suggest(likelihood, LIKELIHOODS)}.")
        if not hidden or min(hidden) < 1:
            raise ConfigError(f"hidden must name at least one layer of at least 1 unit, got {list(hidden)}: give [500, 500].")
        if min(components, orders) < 1 or floor <= 0:
            raise ConfigError(f"components, orders, floor must be positive, got {components}, {orders} and {floor}.")
        check_dropout(dropout)
        self.event_shape, self.likelihood, self.floor = tuple(event_shape), likelihood, floor
        self.dropout, self.learning_rate = dropout, learning_rate
        self.support = constraints.boolean if likelihood == "bernoulli" else constraints.real
        drawn = [visiting_order("random", self.event_shape, order_seed + j) for j in range(orders)]
        self.register_buffer("orders", torch.stack(drawn))
        self.outputs = 1 if likelihood == "bernoulli" else 3 * components  # of the network, for each variable
        self.first = nn.Linear(2 * self.dims, hidden[0])
        self.middle = nn.Sequential(nn.ReLU(), mlp(hidden), nn.ReLU())
        self.last = nn.Linear(hidden[-1], self.outputs * self.dims)
        if likelihood == "gaussian":
            self.last.weight.data.mul_(0.1)
            self.last.bias.data = spread_mixtures(components, *mean_range).repeat(self.dims)

    @classmethod
    def configure_for(cls, event_shape: tuple[int, ...], support: Constraint) -> dict[str, Any]:
        """The likelihood for binary or real data; `ConfigError` for other discrete data."""
        if support is constraints.boolean:
            return {"likelihood": "bernoulli"}
        if levels_of(support):
            raise ConfigError(
                f"eonade learns values in {{0, 1}} or real values, and the data are {describe_support(support)}: load them "
                "with binarize=True or dequantize=True, or use markov."
            )
        return {"likelihood": "gaussian", "mean_range": (0.0, 1.0) if support is constraints.unit_interval else (-3.0, 3.0)}

    def _flat(self, x: Tensor) -> Tensor:
        return self.check(x).flatten(1).to(self.first.weight.dtype)

    def _subset(self, x: Tensor, mask: Tensor, name: str) -> Tensor:
        """A mask for all events, or one for each, as (n, D)."""
        self.check(torch.zeros_like(x))  # the shape alone: values that no mask names are ignored
        if mask.dtype != torch.bool or tuple(mask.shape) not in (tuple(x.shape), self.event_shape):
            raise DataError(
                f"{self.name} expects {name} to be boolean, of shape {tuple(x.shape)} or {self.event_shape}, got {mask.dtype} "
                f"of shape {tuple(mask.shape)}: give a mask for each event, or one for all."
            )
        return mask.expand(x.shape).flatten(1)

    def _conditional(self, output: Tensor) -> Mixture | Bernoulli:
        """The conditionals (...) that outputs (..., outputs) of the network describe."""
        if self.likelihood == "bernoulli":
            return Bernoulli(output.squeeze(-1))
        logits, mean, log_scale = output.chunk(3, -1)
        return Mixture(logits, mean, floored_scale(log_scale, self.floor))

    def order_agnostic_nll(self, x: Tensor, observed: Tensor, dropout: float = 0.0) -> Tensor:
        """D / (D − |m|) · sum over unobserved i of −ln p(x_i | x_m), (n,), nats, no mask m all True; with dropout."""
        flat, mask = self._flat(x), self._subset(x, observed, "observed")
        h = self.first(_visible(flat, mask))
        for layer in (self.middle[0], *cast(nn.Sequential, self.middle[1]), self.middle[2]):
            h = drop(layer(h), dropout if isinstance(layer, nn.ReLU) else 0)
        output = self.last(h).view(*flat.shape, self.outputs)
        missing = torch.where(mask, 0, -self._conditional(output.to(flat.dtype)).log_prob(flat))
        return missing.sum(1) * self.dims / (~mask).sum(1)

    def players(self) -> list[Player]:
        """One player, which minimises an unbiased estimate of the order-averaged negative log-likelihood `nll` in nats."""
        return [Player("model", list(self.parameters()), self._loss, optimizer=adam(self.learning_rate))]

    def _loss(self, batch: Batch) -> dict[str, Tensor]:
        # Where all but one variable are observed with a probability that is itself uniform, every number is as likely.
        random = torch.rand(len(batch), self.dims + 1, device=batch.x.device)
        observed = random[:, 1:] < random[:, :1]
        observed.scatter_(1, torch.randint(self.dims, (len(batch), 1), device=batch.x.device), False)
        return {"nll": self.order_agnostic_nll(batch.x, observed.view_as(batch.x), self.dropout).mean()}

    def _arranged(self, orders: Tensor, chosen: Tensor) -> tuple[Tensor, Tensor]:
        """The chosen variables (n, D) in the given orders (1 or n, D), and which entries count: (1 or n, most chosen)."""
        if len(orders) == 1 and bool((chosen == chosen[:1]).all()):
            chosen = chosen[:1]
        orders = orders.expand(len(chosen), -1)
        chosen = chosen.gather(1, orders)
        chosen, first = chosen.int().sort(dim=1, descending=True, stable=True)
        longest = int(chosen.any(0).sum())
        return orders.gather(1, first)[:, :longest], chosen[:, :longest].bool()

    def _last(self, h: Tensor, order: Tensor) -> Tensor:
        """The outputs (n, T, outputs) for one variable of each place, `order` (1 or n, T), from its features h (n, T, H)."""
        weight, bias = self.last.weight.view(self.dims, self.outputs, -1), self.last.bias.view(self.dims, -1)
        return torch.einsum("nth,ntoh->nto", h, weight[order]) + bias[order]

    def _chain(self, x: Tensor, observed: Tensor, order: Tensor, counts: Tensor) -> Tensor:
        """The sum over places t of ln p(x_{o_t} | observed, x_{o_<t}) where counts, (n,), for x (n, D) and order (1 or n, T).

        All places of a chunk go through the network at once; along the order the first layer is a running sum.
        """
        a, total = self.first(_visible(x, observed)), x.new_zeros(len(x))
        value, flag = self.first.weight.T.contiguous().chunk(2)  # (D, H): what an observed variable adds to the first layer
        at_once = max(1, CHUNK // (max(1, len(x)) * a.shape[1] * (self.outputs if len(order) > 1 else 1)))
        for o, c in zip(order.split(at_once, 1), counts.split(at_once, 1), strict=True):
            values = x.gather(1, o.expand(len(x), -1))
            states = torch.cat([a[:, None], values[..., None] * value[o] + flag[o]], 1).cumsum(1)
            before, a = states[:, :-1], states[:, -1]
            log_prob = self._conditional(self._last(self.middle(before), o)).log_prob(values)
            total = total + torch.where(c, log_prob, 0).sum(1)
        return total

    def log_prob(self, x: Tensor) -> Tensor:
        """Exact ln p(x) in nats, (n,): the log-mean-exp over the orders of the log-probabilities of the whole event."""
        everything = torch.ones(self.event_shape, dtype=torch.bool, device=x.device)
        return self.log_prob_given(x, everything, ~everything)

    def log_prob_given(self, x: Tensor, target: Tensor, observed: Tensor) -> Tensor:
        """ln p(x_target | x_observed) in nats, (n,), for boolean masks of the shape of x, or of one event for all.

        The observed variables come first, the targets follow as in each of the model's orders, and the mean of p over these
        is taken; all other values of x are ignored. Always a normalised distribution of the targets, and `log_prob` where all
        are targeted. But members for different orders are not one joint distribution, though training brings them together:
        ln p(a, b) = ln p(a) + ln p(b | a) holds where orders = 1 and that order visits all of a before b. Raises `DataError`
        where masks have another shape or overlap.
        """
        aim, given = self._subset(x, target, "target"), self._subset(x, observed, "observed")
        if bool((aim & given).any()):
            raise DataError("target and observed must not overlap: leave what is known out of target.")
        flat = self._flat(torch.where((aim | given).view_as(x), x, 0))
        return log_mean_exp(torch.stack([self._chain(flat, given, *self._arranged(o[None], aim)) for o in self.orders]))

    def sample(
        self, n: int, condition: Any = None, generator: torch.Generator | None = None, temperature: float = 1.0,
        on_step: OnStep | None = None,
    ) -> Tensor:  # fmt: skip
        """n events (n, *event_shape), each drawn along one of the model's orders, chosen at random.

        A `temperature` sharpens the conditionals (of real values as `Mixture.at_temperature`), not the choice of the order.
        """
        self.refuse_condition(condition)
        x = torch.zeros(n, *self.event_shape, dtype=self.first.weight.dtype, device=self.device)
        return self.inpaint(x, torch.zeros_like(x, dtype=torch.bool), generator, temperature, on_step)

    @torch.no_grad()
    def inpaint(
        self, x: Tensor, mask: Tensor, generator: torch.Generator | None = None, temperature: float = 1.0,
        on_step: OnStep | None = None,
    ) -> Tensor:  # fmt: skip
        """Keep x where `mask` (boolean, of the shape of x or of one event) is True, draw the rest given all of it.

        The observed variables come first, the missing ones follow as in one of the model's orders, drawn for each event: an
        exact draw from p(missing | observed) of the member with that order, so that draws follow `log_prob_given`. It is not
        the conditional of the ensemble `log_prob`, whose orders visit the two in turns, and which is not tractable.
        """
        observed, temperature = self._subset(x, mask, "mask"), check_temperature(temperature)
        flat = self._flat(torch.where(observed.view_as(x), x, 0)).clone()
        drawn = torch.randint(len(self.orders), (len(x),), device=x.device, generator=generator)
        order, counts = self._arranged(self.orders if len(self.orders) == 1 else self.orders[drawn], ~observed)
        a, (value, flag) = self.first(_visible(flat, observed)), self.first.weight.T.contiguous().chunk(2)
        row = torch.arange(len(x), device=x.device)
        for t, (o, c) in enumerate(zip(order.unbind(1), counts.unbind(1), strict=True), 1):
            conditional = self._conditional(self._last(self.middle(a)[:, None], o[:, None]).squeeze(1))
            new = conditional.at_temperature(temperature).sample(generator)
            flat[row, o] = torch.where(c, new, flat[row, o])
            a += flat[row, o, None] * value[o] + flag[o]
            if on_step:
                on_step(t, order.shape[1])
        return flat.view(x.shape)

    @torch.no_grad()
    def encode(self, x: Tensor) -> Tensor:
        """The last hidden layer with every variable observed, (n, hidden[-1])."""
        flat = self._flat(x)
        return self.middle(self.first(_visible(flat, torch.ones_like(flat))))

    def anomaly_score(self, x: Tensor) -> Tensor:
        """-ln p(x) in nats, (n,): how surprising the event is to the model."""
        return -self.log_prob(x)


def _visible(x: Tensor, observed: Tensor) -> Tensor:
    """The input of the network, (n, 2 D): zeros for what is not observed, and the mask."""
    return torch.cat([x * observed, observed.to(x.dtype)], 1)
