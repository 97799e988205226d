"""Mixtures of Gaussians or Laplaces on the real line: density, distribution function, quantiles, draws; and Bernoullis."""

import math
from collections.abc import Callable
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from ..core import ConfigError
from .temperature import sharpened

BISECTIONS = 64  # each halves the bracket of a quantile: more than the digits of a double
MAX_LOG_SCALE = 30.0  # keeps squares of scales inside float32 for rows far outside the data


class Family(NamedTuple):
    """A symmetric distribution on the real line, with location 0 and scale 1."""

    log_prob: Callable[[Tensor], Tensor]
    cdf: Callable[[Tensor], Tensor]
    icdf: Callable[[Tensor], Tensor]
    draw: Callable[[Tensor, torch.Generator | None], Tensor]  # as many draws as the given tensor has entries
    sharpened_scale: Callable[[float], float]  # of the density f^(1/T), normalised again, for a temperature T


def _gaussian_cdf(z: Tensor) -> Tensor:
    """Φ(z) by erfc, whose lower tail keeps its digits where that of torch.special.ndtr is rounded to 0 (single: below -5.6)."""
    return 0.5 * torch.special.erfc(-z / math.sqrt(2))


def _laplace_cdf(z: Tensor) -> Tensor:
    tail = 0.5 * torch.exp(-z.abs())
    return torch.where(z < 0, tail, 1 - tail)


def _laplace_icdf(q: Tensor) -> Tensor:
    return torch.where(q < 0.5, (2 * q).log(), -(2 - 2 * q).log())


def _laplace_draw(like: Tensor, generator: torch.Generator | None) -> Tensor:
    """The difference of two exponential variables."""
    one, other = (torch.empty_like(like).exponential_(generator=generator) for _ in range(2))
    return one - other


FAMILIES = {
    "gaussian": Family(
        lambda z: -0.5 * z.square() - 0.5 * math.log(2 * math.pi),
        _gaussian_cdf,
        torch.special.ndtri,
        lambda like, generator: torch.empty_like(like).normal_(generator=generator),
        math.sqrt,
    ),
    "laplace": Family(lambda z: -z.abs() - math.log(2), _laplace_cdf, _laplace_icdf, _laplace_draw, float),
}


def floored_scale(log_scale: Tensor, floor: float) -> Tensor:
    """σ = floor + exp(s): a network's output s as a scale that can neither vanish nor overflow."""
    return floor + log_scale.clamp(max=MAX_LOG_SCALE).exp()


def spread_mixtures(components: int, low: float, high: float) -> Tensor:
    """Logits, means and logarithms of scales, (3 · components,), of equal weights and means evenly inside (low, high).

    >>> spread_mixtures(1, -1.0, 1.0)
    tensor([0., 0., 0.])
    """
    gap, index = (high - low) / (components + 1), torch.arange(1.0, components + 1)
    return torch.cat([0 * index, low + gap * index, 0 * index + math.log(gap)])


class Mixture(NamedTuple):
    """A batch of mixtures  p(x) = Σ_c α_c f((x − μ_c) / σ_c) / σ_c,  α = softmax(logits), each with C components.

    `logits`, `mean` = μ and `scale` = σ > 0 have shape (..., C); f is the density of `family`, gaussian (σ is the standard
    deviation) or laplace (σ is the mean absolute deviation). Methods take and give tensors of the batch's shape (...).

    >>> Mixture(torch.zeros(2), torch.tensor([-1.0, 1.0]), torch.ones(2)).cdf(torch.tensor(0.0))
    tensor(0.5000)
    """

    logits: Tensor
    mean: Tensor
    scale: Tensor
    family: str = "gaussian"

    def _standardized(self, x: Tensor) -> Tensor:
        return (x.unsqueeze(-1) - self.mean) / self.scale

    def log_prob(self, x: Tensor) -> Tensor:
        """ln p(x) in nats."""
        log_prob = FAMILIES[self.family].log_prob(self._standardized(x)) - self.scale.log()
        return torch.logsumexp(self.logits.log_softmax(-1) + log_prob, -1)

    def cdf(self, x: Tensor) -> Tensor:
        """P(X ≤ x)."""
        return (self.logits.softmax(-1) * FAMILIES[self.family].cdf(self._standardized(x))).sum(-1)

    def quantile(self, q: float | Tensor) -> Tensor:
        """The x with P(X ≤ x) = q, by bisection between the least and the greatest of the components' own quantiles.

        Raises `ConfigError` where q does not lie strictly between 0 and 1.
        """
        q = torch.as_tensor(q, dtype=self.mean.dtype, device=self.mean.device)
        if not bool(((q > 0) & (q < 1)).all()):
            wrong = q[~((q > 0) & (q < 1))].flatten()[0].item()
            raise ConfigError(f"q must lie strictly between 0 and 1, got {wrong:g}: 0.5 is the median.")
        ends = self.mean + self.scale * FAMILIES[self.family].icdf(q).unsqueeze(-1)
        low, high = ends.amin(-1), ends.amax(-1)
        for _ in range(BISECTIONS):
            middle = (low + high) / 2
            below = self.cdf(middle) < q
            low, high = torch.where(below, middle, low), torch.where(below, high, middle)
        return (low + high) / 2

    def at_temperature(self, temperature: float) -> "Mixture":
        """The mixtures at a temperature T: α^(1/T) and f^(1/T), each normalised again; T = 0 is μ of the likeliest component.

        That is softmax(logits / T) and the scale √T·σ (gaussian) or T·σ (laplace): both choices that make a draw, of the
        component and of its value, are sharpened, as in A Neural Representation of Sketch Drawings, Ha and Eck, 2018.
        """
        if temperature == 1:
            return self
        scale = self.scale * FAMILIES[self.family].sharpened_scale(temperature)
        return self._replace(logits=sharpened(self.logits, temperature), scale=scale)

    def sample(self, generator: torch.Generator | None = None) -> Tensor:
        """One draw from each mixture: a component by its weight, then a value of it."""
        mean = self.mean
        u = torch.rand((*mean.shape[:-1], 1), dtype=mean.dtype, device=mean.device, generator=generator)
        chosen = (u >= self.logits.softmax(-1).cumsum(-1)[..., :-1]).sum(-1, keepdim=True)
        z = FAMILIES[self.family].draw(u, generator)
        return (mean.gather(-1, chosen) + self.scale.gather(-1, chosen) * z).squeeze(-1)


class Bernoulli(NamedTuple):
    """A batch of binary variables, given by logits of p(x = 1), with methods as `Mixture` has them."""

    logits: Tensor

    def log_prob(self, x: Tensor) -> Tensor:
        """ln p(x) in nats."""
        return -F.binary_cross_entropy_with_logits(self.logits, x, reduction="none")

    def at_temperature(self, temperature: float) -> "Bernoulli":
        """The variables with logits / T; T = 0 is the likelier value, 0 where both are as likely."""
        if temperature == 1:
            return self
        likelier = (self.logits > 0).to(self.logits) - 0.5
        return Bernoulli(self.logits / temperature if temperature else likelier * torch.inf)

    def sample(self, generator: torch.Generator | None = None) -> Tensor:
        """One draw of each variable, 0 or 1."""
        return torch.bernoulli(self.logits.sigmoid(), generator=generator)
