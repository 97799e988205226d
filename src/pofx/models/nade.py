"""NADE: The Neural Autoregressive Distribution Estimator, Hugo Larochelle and Iain Murray, 2011."""

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.distributions.constraints import Constraint

from ..core import (
    Batch,
    Completes,
    ConfigError,
    DataError,
    DrawsStepwise,
    Encodes,
    GenerativeModel,
    LevelGrid,
    OnStep,
    Player,
    ScoresAnomalies,
    TractableDensity,
    adam,
    describe_support,
    discrete_support,
    from_codes,
    levels_of,
    suggest,
    to_codes,
)
from ..functional.likelihoods import bernoulli_log_prob
from ..functional.nade import ACTIVATIONS, nade_logits, nade_sample
from ..functional.nade_categorical import categorical_nade_log_prob, categorical_nade_sample
from ..functional.penalties import check_weight_decay, weight_decay
from ..functional.temperature import check_temperature
from ..nn.order import visiting_order


class NADE(GenerativeModel, DrawsStepwise, TractableDensity, Encodes, Completes, ScoresAnomalies):
    """A density of discrete vectors or pictures, one variable after the other, with one hidden layer shared by all.

    p(x) = prod_d p(x_{o_d} | x_{o_<d}), p(x_{o_d} = 1 | x_{o_<d}) = sigmoid(b_{o_d} + V_{o_d} h_d),
    h_d = act(c + sum of W_{o_i} x_{o_i} over i < d), for D variables in the visiting order o and `hidden` = H units.
    2·D·H + H + D parameters; time O(B·D·H) and memory O(B·D + D·H) for a training step, B likelihoods or B samples.

    `levels` = K > 2 values a variable: W and V have a row for each value, x enters one-hot and the output is a softmax;
    2·D·K·H + H + D·K parameters, time O(B·D·K·H).
    `order` is the visiting order: "raster", "snake", "random" (drawn from `order_seed`) or a list of all variable indices.
    `window` is how many of the variables visited before it a conditional sees: AR(window). None: all of them.
    `weight_decay` = λ adds λ/2 (‖W‖² + ‖V‖²) to the loss, for data of few rows.
    Raises `ConfigError` for an unknown activation or order and for sizes below 1.
    Source: The Neural Autoregressive Distribution Estimator, Hugo Larochelle and Iain Murray, 2011.

    >>> model = NADE((1, 8, 8), hidden=16)
    >>> model.log_prob(model.sample(4)).shape
    torch.Size([4])
    """

    name = "nade"
    summary = "neural autoregressive distribution estimator"
    prefers_binary = True

    def __init__(
        self,
        event_shape: tuple[int, ...],
        hidden: int = 128,
        activation: str = "sigmoid",
        levels: int = 2,
        order: str | Sequence[int] = "raster",
        order_seed: int = 0,
        window: int | None = None,
        learning_rate: float = 3e-3,
        weight_decay: float = 0.0,
    ) -> None:
        super().__init__()
        if activation not in ACTIVATIONS:
            raise ConfigError(f"activation {activation!r} is unknown: {suggest(activation, ACTIVATIONS)}.")
        if hidden < 1:
            raise ConfigError(f"hidden must be at least 1, got {hidden}: give the number of hidden units.")
        check_weight_decay(weight_decay)
        if not isinstance(levels, int) or levels < 2:
            raise ConfigError(f"levels must be a whole number of at least 2 (the values of a variable), got {levels!r}.")
        if window is not None and (not isinstance(window, int) or window < 1):
            raise ConfigError(
                f"window must be a whole number of at least 1 (the variables a conditional sees), got {window!r}: leave it out "
                "for all of them; for none, use independent."
            )
        self.event_shape = tuple(event_shape)
        self.support = discrete_support(levels, self.event_shape)
        self.levels, self.activation, self.window = levels, activation, window
        self.learning_rate, self.weight_decay = learning_rate, weight_decay
        self.register_buffer("order", visiting_order(order, self.event_shape, order_seed))
        self._natural = self.order.tolist() == list(range(self.dims))
        ones = self.dims / 2 if levels == 2 else self.dims  # about so many inputs are 1 in an event
        self.W = nn.Parameter(self._initial(hidden) / ones**0.5)
        self.V = nn.Parameter(self._initial(hidden) / hidden**0.5)
        self.b = nn.Parameter(torch.zeros(self.W.shape[:-1]))
        self.c = nn.Parameter(torch.zeros(hidden))

    def _initial(self, hidden: int) -> Tensor:
        """Random rows of W or V, of unit variance; those of a pixel's grey levels start in proportion to the level.

        Levels without an order of their own take long to learn it: at 17 grey levels of the digits that is 8 nats behind.
        """
        if self.levels == 2:
            return torch.randn(self.dims, hidden)
        if not isinstance(self.support, LevelGrid):
            return torch.randn(self.dims, self.levels, hidden)
        grey = torch.linspace(-1, 1, self.levels).unsqueeze(1)
        return torch.randn(self.dims, 1, hidden) * grey / grey.square().mean().sqrt()

    @classmethod
    def configure_for(cls, event_shape: tuple[int, ...], support: Constraint) -> dict[str, Any]:
        """As many levels as the data have; `ConfigError` where they are continuous."""
        levels = levels_of(support)
        if levels is None:
            raise ConfigError(
                f"nade learns values in {{0, 1}} or a few levels, and the data are {describe_support(support)}: load them with "
                "binarize=True or levels=K, or use a model for such values (rnade, vae, gan)."
            )
        return {"levels": levels}

    def _visited(self, values: Tensor, axis: int = 0) -> Tensor:
        """Values of the variables along an axis, in the order of visiting."""
        return values if self._natural else values.index_select(axis, self.order)

    def _network(self) -> tuple[Tensor, Tensor, Tensor, Tensor, str, int | None]:
        return self._visited(self.W), self._visited(self.V), self._visited(self.b), self.c, self.activation, self.window

    def _codes(self, x: Tensor) -> Tensor:
        return to_codes(self.check(x).flatten(1), self.support)

    def log_prob(self, x: Tensor) -> Tensor:
        """Exact ln p(x) in nats, (n,), for x (n, *event_shape) inside the support; `DataError` for other shapes or values."""
        if self.levels > 2:
            return categorical_nade_log_prob(self._visited(self._codes(x), 1), *self._network()).sum(1)
        x = self._visited(self.check(x).flatten(1).to(self.W.dtype), 1)
        return bernoulli_log_prob(x, nade_logits(x, *self._network()))

    def sample(
        self, n: int, condition: Any = None, generator: torch.Generator | None = None, temperature: float = 1.0,
        on_step: OnStep | None = None,
    ) -> Tensor:  # fmt: skip
        """n events (n, *event_shape) inside the support, drawn variable by variable in the visiting order.

        `temperature` divides the logits, `on_step(variables drawn, dims)` is called after each: see `DrawsStepwise`.
        """
        self.refuse_condition(condition)
        return self._draw(n, None, generator, temperature, on_step)

    def complete(
        self, x: Tensor, mask: Tensor, generator: torch.Generator | None = None, temperature: float = 1.0,
        on_step: OnStep | None = None,
    ) -> Tensor:  # fmt: skip
        """x where `mask` is True (the same shape, boolean), other variables drawn given all that were visited before them.

        Where the kept variables are the first that the model visits these are draws from p(missing | observed).
        """
        if mask.shape != x.shape or mask.dtype != torch.bool:
            raise DataError(
                f"nade expects a boolean mask of the shape of x, {tuple(x.shape)}, True where x is kept, got {mask.dtype} of "
                f"shape {tuple(mask.shape)}: pass mask.bool().expand_as(x)."
            )
        codes = self._codes(torch.where(mask, x, torch.zeros_like(x)))
        return self._draw(len(x), torch.where(mask.flatten(1), codes, -1), generator, temperature, on_step)

    def _draw(
        self, n: int, given: Tensor | None, generator: torch.Generator | None, temperature: float, on_step: OnStep | None
    ) -> Tensor:
        """n events; `given` (n, dims) holds codes to keep and -1 for variables to draw."""
        sample = nade_sample if self.levels == 2 else categorical_nade_sample
        given = None if given is None else self._visited(given, 1)
        codes = sample(n, *self._network(), given, generator, check_temperature(temperature), on_step)
        if not self._natural:
            codes = codes.index_select(1, self.order.argsort())
        return from_codes(codes, self.support, self.W.dtype).reshape(n, *self.event_shape)

    @torch.no_grad()
    def encode(self, x: Tensor) -> Tensor:
        """The hidden state after every variable has been read, (n, hidden): act(c + W x), whatever order and window."""
        if self.levels == 2:
            a = self.check(x).flatten(1).to(self.W.dtype) @ self.W
        else:
            rows = self._codes(x) + self.levels * torch.arange(self.dims, device=self.device)
            a = F.embedding_bag(rows, self.W.flatten(0, 1), mode="sum")
        return ACTIVATIONS[self.activation].apply(a + self.c)

    def anomaly_score(self, x: Tensor) -> Tensor:
        """-ln p(x) in nats, (n,): how surprising the event is to the model."""
        return -self.log_prob(x)

    def players(self) -> list[Player]:
        """One player, which minimises the mean negative log-likelihood `nll` in nats, and `weight_decay` where that is set."""
        return [Player("model", list(self.parameters()), self._loss, optimizer=adam(self.learning_rate))]

    def _loss(self, batch: Batch) -> dict[str, Tensor]:
        return {"nll": -self.log_prob(batch.x).mean(), **weight_decay(self.weight_decay, self.W, self.V)}
