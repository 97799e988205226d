"""Observation models p(x | z): what the outputs of a decoder say of an event. All are normalised over their support."""

import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.distributions import constraints
from torch.distributions.constraints import Constraint

from ..core import ConfigError, discrete_support, from_codes, suggest, to_codes
from ..functional.likelihoods import bernoulli_log_prob, gaussian_log_prob

LIKELIHOODS = ("bernoulli", "gaussian", "logistic", "categorical")
VARIANCE_PACE = 10  # how much faster the one variance learns than the weights, which would be waiting for it
LEAST_LOG_VARIANCE = -12.0  # a deviation of 0.0025, below the step of 8-bit pixels


class Observation(nn.Module):
    """p(x | z), all values of x independent given z, from a decoder's outputs: (n, *event_shape), or with an axis
    `per_value` behind the first where a value has several."""

    per_value = 1
    support: Constraint

    def log_prob(self, x: Tensor, output: Tensor) -> Tensor:
        """ln p(x | z) in nats, (n,)."""
        raise NotImplementedError

    def mean(self, output: Tensor) -> Tensor:
        """The expected event, (n, *event_shape)."""
        raise NotImplementedError

    def draw(self, output: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """An event of p(x | z) for each row, (n, *event_shape), inside the support."""
        raise NotImplementedError


class BernoulliObservation(Observation):
    """x in {0, 1}; outputs are logits."""

    support = constraints.boolean

    def log_prob(self, x: Tensor, output: Tensor) -> Tensor:
        return bernoulli_log_prob(x, output)

    def mean(self, output: Tensor) -> Tensor:
        return output.sigmoid()

    def draw(self, output: Tensor, generator: torch.Generator | None = None) -> Tensor:
        return torch.bernoulli(output.sigmoid(), generator=generator)


class GaussianObservation(Observation):
    """Real x; outputs are means, the variance is one number for all values, learned or given.

    Source of the learned variance: Simple and Effective VAE Training with Calibrated Decoders, Oleh Rybkin, Kostas Daniilidis
    and Sergey Levine, 2021.
    """

    support = constraints.real

    def __init__(self, variance: float | None = None) -> None:
        super().__init__()
        self.fixed = None if variance is None else math.log(variance)
        if self.fixed is None:
            self.scaled_log_variance = nn.Parameter(torch.zeros(()))

    def log_variance(self) -> Tensor | float:
        """ln of the variance."""
        if self.fixed is not None:
            return self.fixed
        return (VARIANCE_PACE * self.scaled_log_variance).clamp(min=LEAST_LOG_VARIANCE)

    def log_prob(self, x: Tensor, output: Tensor) -> Tensor:
        return gaussian_log_prob(x, output, torch.as_tensor(self.log_variance(), dtype=x.dtype, device=x.device))

    def mean(self, output: Tensor) -> Tensor:
        return output

    def draw(self, output: Tensor, generator: torch.Generator | None = None) -> Tensor:
        noise = torch.randn(output.shape, dtype=output.dtype, device=output.device, generator=generator)
        deviation = torch.as_tensor(self.log_variance(), dtype=output.dtype, device=output.device).mul(0.5).exp()
        return output + deviation * noise


class LogisticObservation(Observation):
    """K levels; a logistic variable, rounded to the nearest level, what lies outside to the outermost ones.

    Outputs are the location and the logarithm of the scale, in units of the range of the levels. `mean` is the location, kept
    inside the range. Source: PixelCNN++, Salimans, Karpathy, Chen, Kingma, 2017, with one component.
    """

    per_value = 2

    def __init__(self, levels: int, event_shape: Sequence[int]) -> None:
        super().__init__()
        self.levels, self.support = levels, discrete_support(levels, tuple(event_shape))

    def log_prob(self, x: Tensor, output: Tensor) -> Tensor:
        location, log_scale = self._located(output)
        codes, half = to_codes(x, self.support), 0.5 / (self.levels - 1)
        value = codes.to(location.dtype) / (self.levels - 1)
        inverse = torch.exp(-log_scale)
        above, below = (value + half - location) * inverse, (value - half - location) * inverse
        # ln(σ(a) − σ(b)) = ln σ(a) + ln σ(−b) + ln(1 − exp(b − a)) for a > b, finite wherever the value lies
        inside = F.logsigmoid(above) + F.logsigmoid(-below) + torch.log(-torch.expm1(below - above))
        lowest, highest = F.logsigmoid(above), F.logsigmoid(-below)
        terms = torch.where(codes == 0, lowest, torch.where(codes == self.levels - 1, highest, inside))
        return terms.flatten(1).sum(1)

    def _located(self, output: Tensor) -> tuple[Tensor, Tensor]:
        location, log_scale = output.unbind(1)
        return location + 0.5, (log_scale - 2).clamp(-7.0, 5.0)  # at first in the middle, with a scale of about a seventh

    def mean(self, output: Tensor) -> Tensor:
        return self._scaled(self._located(output)[0].clamp(0, 1))

    def draw(self, output: Tensor, generator: torch.Generator | None = None) -> Tensor:
        location, log_scale = self._located(output)
        u = torch.rand(location.shape, dtype=location.dtype, device=location.device, generator=generator)
        value = location + log_scale.exp() * u.clamp(1e-7, 1 - 1e-7).logit()
        codes = (value * (self.levels - 1)).round().clamp(0, self.levels - 1)
        return from_codes(codes.long(), self.support, location.dtype)

    def _scaled(self, share: Tensor) -> Tensor:
        """Shares of the range as values of the support, which is [0, 1] for pictures and {0, ..., K − 1} for tables."""
        top = from_codes(torch.tensor(self.levels - 1), self.support, share.dtype).to(share.device)
        return share * top


class CategoricalObservation(Observation):
    """K levels, without an order among them; outputs are K logits a value."""

    def __init__(self, levels: int, event_shape: Sequence[int]) -> None:
        super().__init__()
        self.per_value, self.support = levels, discrete_support(levels, tuple(event_shape))

    def log_prob(self, x: Tensor, output: Tensor) -> Tensor:
        codes = to_codes(x, self.support)
        return -F.cross_entropy(output.flatten(2), codes.flatten(1), reduction="none").sum(1)

    def mean(self, output: Tensor) -> Tensor:
        values = from_codes(torch.arange(self.per_value, device=output.device), self.support, output.dtype)
        return torch.einsum("nk...,k->n...", output.softmax(1), values)

    def draw(self, output: Tensor, generator: torch.Generator | None = None) -> Tensor:
        probabilities = output.movedim(1, -1).softmax(-1)
        codes = torch.multinomial(probabilities.flatten(0, -2), 1, generator=generator).view(probabilities.shape[:-1])
        return from_codes(codes, self.support, output.dtype)


def observation(
    likelihood: str, event_shape: Sequence[int], levels: int | None = None, variance: float | None = None
) -> Observation:
    """The observation model of this name; `ConfigError` for arguments that make no sense.

    >>> observation("categorical", (1, 8, 8), levels=16).per_value
    16
    """
    if likelihood not in LIKELIHOODS:
        raise ConfigError(f"likelihood={likelihood!r} is unknown: {suggest(likelihood, LIKELIHOODS)}.")
    if variance is not None and (likelihood != "gaussian" or not 0 < variance < math.inf):
        raise ConfigError(
            f"variance must be a positive number, for likelihood='gaussian' alone, got {variance} for {likelihood}: leave it "
            "out to learn it."
        )
    if likelihood in ("logistic", "categorical") and (levels is None or levels < 2):
        raise ConfigError(f"likelihood={likelihood!r} needs levels, the number of values (at least 2), got {levels}.")
    if likelihood == "bernoulli":
        return BernoulliObservation()
    if likelihood == "gaussian":
        return GaussianObservation(variance)
    return (LogisticObservation if likelihood == "logistic" else CategoricalObservation)(levels or 2, event_shape)
