"""MADE: Masked Autoencoder for Distribution Estimation, Germain, Gregor, Murray and Larochelle, 2015."""

from collections.abc import Callable, Sequence
from functools import partial
from itertools import pairwise
from typing import Any, NamedTuple

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
    suggest,
)
from ..functional.likelihoods import bernoulli_log_prob, log_mean_exp
from ..functional.temperature import check_temperature, thresholds
from ..nn.masked import MaskedLinear, shuffled_degrees
from ..nn.mlp import check_dropout, drop
from ..nn.order import visiting_order

ACTIVATIONS = {"relu": torch.relu, "sigmoid": torch.sigmoid, "tanh": torch.tanh}


class MADE(GenerativeModel, DrawsStepwise, TractableDensity, Encodes, Completes, ScoresAnomalies):
    """A density of binary vectors or pictures: an autoencoder whose masks hide from each output what comes after it.

    p(x) = prod_d p(x_{o_d} | x_{o_<d}) for variables in the visiting order o, all D conditionals in one pass through the
    layers of `hidden` units; `direct` adds weights from every variable to all later ones. With `masks` = S > 1 the model is
    a mixture of S members, p(x) = 1/S sum_s p_s(x), that share their weights: in each the hidden units have other degrees,
    and with order="random" the variables another order. A step of training moves one member, drawn at random.

    `dropout` is the share of hidden units left out at random in training, against overfitting. `order` is "raster", "snake",
    "random" (drawn from `order_seed`) or a list of all variable indices. Time grows as that of a multi-layer perceptron of D
    inputs and outputs, times S for a likelihood; n samples cost as much as n likelihoods of one member, in D small steps.
    Raises `ConfigError` for arguments that make no sense.
    Source: MADE: Masked Autoencoder for Distribution Estimation, Germain, Gregor, Murray, Larochelle, 2015.

    >>> model = MADE((1, 8, 8), hidden=[32])
    >>> model.log_prob(model.sample(4)).shape
    torch.Size([4])
    """

    name = "made"
    summary = "masked autoencoder, all conditionals in one pass"
    prefers_binary = True

    orders: Tensor

    def __init__(
        self,
        event_shape: Sequence[int],
        hidden: Sequence[int] = (500,),
        activation: str = "relu",
        direct: bool = True,
        masks: int = 1,
        order: str | Sequence[int] = "raster",
        order_seed: int = 0,
        dropout: float = 0.0,
        learning_rate: float = 1e-3,
    ) -> None:
        super().__init__()
        if activation not in ACTIVATIONS:
            raise ConfigError(f"activation {activation!r} is unknown: {suggest(activation, ACTIVATIONS)}.")
        if not hidden or min(hidden) < 1:
            raise ConfigError(f"hidden must name at least one layer of at least 1 unit, got {list(hidden)}: give [500].")
        if masks < 1:
            raise ConfigError(f"masks must be at least 1, got {masks}: it is the number of members in the mixture.")
        self.event_shape, self.support = tuple(event_shape), constraints.boolean
        check_dropout(dropout)
        self.activation, self.masks, self.dropout, self.learning_rate = activation, masks, dropout, learning_rate
        orders = [visiting_order(order, self.event_shape, order_seed + s) for s in range(masks)]
        self.register_buffer("orders", torch.stack(orders))
        places = self.orders.argsort(1) + 1
        generator = torch.Generator().manual_seed(order_seed)
        degrees = [places, *(shuffled_degrees(units, self.dims, masks, generator) for units in hidden)]
        self.layers = nn.ModuleList(MaskedLinear(before, after) for before, after in pairwise(degrees))
        self.output = MaskedLinear(degrees[-1], places, strict=True)
        self.direct = MaskedLinear(places, places, strict=True, bias=False) if direct else None
        if self.direct is not None:
            nn.init.zeros_(self.direct.weight)

    @classmethod
    def configure_for(cls, event_shape: tuple[int, ...], support: Constraint) -> dict[str, Any]:
        """Nothing to set, but `ConfigError` for data that are not binary."""
        if support is not constraints.boolean:
            raise ConfigError(
                f"made learns values in {{0, 1}}, and the data are {describe_support(support)}: load pictures with "
                "binarize=True, or use a model for such values (eonade, vae, gan)."
            )
        return {}

    def _features(self, x: Tensor, member: int, dropout: float = 0.0) -> Tensor:
        for layer in self.layers:
            x = drop(ACTIVATIONS[self.activation](layer(x, member)), dropout)
        return x

    def logits(self, x: Tensor, member: int = 0, dropout: float = 0.0) -> Tensor:
        """Logits (n, D) of p(x_d = 1 | what member visits before d) for flat x (n, D); outputs lie as the inputs do.

        This share of the hidden units, drawn for each event, is left out (as in training, where `dropout` is the model's).
        """
        logits = self.output(self._features(x, member, dropout), member)
        return logits if self.direct is None else logits + self.direct(x, member)

    def _flat(self, x: Tensor) -> Tensor:
        return self.check(x).flatten(1).to(self.output.weight.dtype)

    def member_log_probs(self, x: Tensor) -> Tensor:
        """Exact ln p_s(x) in nats of every member of the mixture, (masks, n)."""
        flat = self._flat(x)
        return torch.stack([bernoulli_log_prob(flat, self.logits(flat, s)) for s in range(self.masks)])

    def log_prob(self, x: Tensor) -> Tensor:
        """Exact ln p(x) in nats, (n,): the log-mean-exp over the members of their log-probabilities of the whole event."""
        return log_mean_exp(self.member_log_probs(x))

    @torch.no_grad()
    def encode(self, x: Tensor) -> Tensor:
        """The last hidden layer, (n, hidden[-1]), averaged over the members; a unit of degree k has read k variables."""
        flat = self._flat(x)
        return torch.stack([self._features(flat, s) for s in range(self.masks)]).mean(0)

    def anomaly_score(self, x: Tensor) -> Tensor:
        """-ln p(x) in nats, (n,): how surprising the event is to the model."""
        return -self.log_prob(x)

    def players(self) -> list[Player]:
        """One player, which minimises the mean negative log-likelihood `nll`, in nats, of a member drawn for the step."""
        return [Player("model", list(self.parameters()), self._loss, optimizer=adam(self.learning_rate))]

    def _loss(self, batch: Batch) -> dict[str, Tensor]:
        member = int(torch.randint(self.masks, ()))  # from the global generator, which the trainer seeds for each step
        flat = self._flat(batch.x)
        return {"nll": -bernoulli_log_prob(flat, self.logits(flat, member, self.dropout).to(flat.dtype)).mean()}

    @torch.no_grad()
    def sample(
        self, n: int, condition: Any = None, generator: torch.Generator | None = None, temperature: float = 1.0,
        on_step: OnStep | None = None,
    ) -> Tensor:  # fmt: skip
        """n events (n, *event_shape) in {0, 1}, each from a member drawn for it, variable by variable in its order.

        `temperature` divides the logits (the member is drawn as ever), `on_step(done, total)` counts variables of each member.
        """
        self.refuse_condition(condition)
        threshold = self._thresholds(n, generator, temperature)
        return self._draw(torch.ones(self.masks, n, device=self.device), threshold, generator, on_step)

    @torch.no_grad()
    def complete(
        self, x: Tensor, mask: Tensor, generator: torch.Generator | None = None, temperature: float = 1.0,
        on_step: OnStep | None = None,
    ) -> Tensor:  # fmt: skip
        """x (n, *event_shape) where `mask` (the same shape, boolean) is True, the rest drawn by a member in its order.

        Where all members share an order, a member is drawn with its probability given the kept variables that come before
        the first missing one; if these are all that is kept, the draw is from p(missing | observed) of the mixture. Where
        each has its own (order="random", masks > 1) all members are as likely.
        """
        kept, flat = mask.flatten(1), self._flat(torch.where(mask, x, torch.zeros_like(x)))
        threshold = self._thresholds(len(x), generator, temperature)
        threshold = torch.where(kept, (0.5 - flat) * torch.inf, threshold)  # -inf is passed for sure, +inf never
        weights = torch.ones(self.masks, len(x), device=self.device)
        if self.masks > 1 and bool((self.orders == self.orders[0]).all()):
            first = torch.empty_like(kept)
            first[:, self.orders[0]] = kept[:, self.orders[0]].cumprod(1).bool()
            logits = torch.stack([self.logits(flat, s) for s in range(self.masks)])
            terms = nn.functional.logsigmoid(torch.where(flat > 0, logits, -logits))
            weights = torch.where(first, terms, 0).sum(2).softmax(0)
        return self._draw(weights, threshold, generator, on_step)

    def _thresholds(self, n: int, generator: torch.Generator | None, temperature: float) -> Tensor:
        temperature = check_temperature(temperature)
        weight = self.output.weight
        u = torch.rand(n, self.dims, dtype=weight.dtype, device=weight.device, generator=generator)
        return thresholds(u, temperature)

    def _draw(
        self, weights: Tensor, threshold: Tensor, generator: torch.Generator | None, on_step: OnStep | None = None
    ) -> Tensor:
        """Events whose variables are 1 where their logit exceeds the threshold (n, D), by members with weights (S, n)."""
        x = torch.empty_like(threshold)
        member = torch.zeros(len(x), dtype=torch.long, device=x.device)
        if self.masks > 1 and len(x):
            member = torch.multinomial(weights.T, 1, generator=generator).squeeze(1)
        members = member.unique().tolist()
        for i, s in enumerate(members):
            rows, order = (member == s).nonzero(), self.orders[s]
            report = on_step and partial(_report, on_step, i * self.dims, len(members) * self.dims)
            x[rows, order] = self._run(s, threshold[rows, order].T, report).T
        return x.view(-1, *self.event_shape)

    def _run(self, member: int, threshold: Tensor, report: Callable[[int], None] | None = None) -> Tensor:
        """One member's draws (D, n) from thresholds (D, n), variables in its order.

        A unit of degree d is final once d variables are known and no earlier output sees it, so each is computed once, in the
        step that follows its last input: in all the work of one likelihood.
        """
        act, (dims, n) = ACTIVATIONS[self.activation], threshold.shape
        blocks = [_Block.of(layer, member, dims) for layer in (*self.layers, self.output)]
        *hidden, output = blocks
        direct = None if self.direct is None else self.direct.by_degree(member)[0]
        states = [torch.empty_like(threshold), *(threshold.new_empty(len(block.weight), n) for block in hidden)]
        threshold = threshold - output.bias
        for d in range(dims):
            known = d
            for block, below, state in zip(hidden, states, states[1:], strict=False):
                new = slice(block.known[d - 1] if d else 0, block.known[d])
                if new.start < new.stop:
                    state[new] = act(torch.addmm(block.bias[new], block.weight[new, :known], below[:known]))
                known = block.known[d]
            logit = output.weight[d, :known] @ states[-1][:known]
            if direct is not None:
                logit += direct[d, :d] @ states[0][:d]
            torch.gt(logit, threshold[d], out=states[0][d])
            if report:
                report(d + 1)
        return states[0]


def _report(on_step: OnStep, before: int, total: int, drawn: int) -> None:
    on_step(before + drawn, total)


class _Block(NamedTuple):
    """A masked layer with its units and inputs sorted by degree."""

    weight: Tensor  # (units, inputs)
    bias: Tensor  # (units, 1)
    known: list[int]  # for d = 0..D how many units are final once d variables are known

    @classmethod
    def of(cls, layer: MaskedLinear, member: int, dims: int) -> "_Block":
        weight, bias, degrees = layer.by_degree(member)
        known = torch.searchsorted(degrees, torch.arange(dims + 1, device=degrees.device), right=True)
        return cls(weight, bias[:, None], known.tolist())  # type: ignore[index]
