"""p(x | z) p(z), whose integral over z is p(x): the parts of models with codes that estimates of likelihood need."""

import math
from abc import ABC, abstractmethod
from typing import cast

import torch
from torch import Tensor
from torch.distributions import constraints

from .core import (
    CapabilityError,
    ConfigError,
    Decodes,
    Encodes,
    GenerativeModel,
    LatentVariable,
    Reconstructs,
    TractableDensity,
)
from .functional.importance import LogDensity
from .functional.likelihoods import gaussian_log_prob
from .nn.priors import DensityPrior, Prior

CERTAIN = 1e-6  # a decoder's probabilities are kept this far from 0 and 1, where rounding may have put them
LEAST_WIDTH = 256  # the numbers a code takes at least in a network, whose hidden layers may be wider than events


class Integrand(ABC):
    """p(x | z), p(z) = `prior`, and a guess of p(z | x). `density` says in words whose ln p(x) the integral is."""

    density: str

    def __init__(self, model: GenerativeModel, prior: Prior) -> None:
        self.model, self.prior = model, prior

    @property
    def width(self) -> int:
        """How many numbers the network holds for a code: what is computed at once is chosen by it."""
        outputs = self.model.dims * getattr(getattr(self.model, "observation", None), "per_value", 1)
        return max(LEAST_WIDTH, outputs)

    @abstractmethod
    def posterior(self, x: Tensor, label: Tensor | None) -> tuple[Tensor, Tensor]:
        """Mean and log-variance of a Gaussian near p(z | x), each (n, latent)."""

    @abstractmethod
    def log_likelihood(self, x: Tensor, z: Tensor, label: Tensor | None) -> Tensor:
        """ln p(x | z) in nats, (n,), differentiable in z."""

    @abstractmethod
    def draw(self, z: Tensor, label: Tensor | None, generator: torch.Generator) -> Tensor:
        """Events of p(x | z), (n, *event_shape)."""

    def likelihood_of(self, x: Tensor, label: Tensor | None) -> LogDensity:
        """ln p(x | z) of events x (n, *event_shape) as a function of codes (k, n, latent): (k, n)."""

        def log_likelihood(z: Tensor) -> Tensor:
            k = len(z)
            events, labels = x.repeat(k, *[1] * (x.ndim - 1)), None if label is None else label.repeat(k)
            return self.log_likelihood(events, z.flatten(0, 1), labels).view(k, -1)

        return log_likelihood

    def density_prior(self) -> DensityPrior:
        """The prior, or a `ConfigError` where it has no density."""
        if isinstance(self.prior, DensityPrior):
            return self.prior
        raise ConfigError(
            f"the prior of this {self.model.name} can be sampled and has no density, which importance sampling and annealing "
            "need: use method='prior', simple Monte Carlo from the prior, or a model with a Gaussian prior."
        )


class ModelIntegrand(Integrand):
    """A latent-variable model, which has all of it."""

    def __init__(self, model: GenerativeModel, parts: LatentVariable) -> None:
        self.parts = parts
        super().__init__(model, parts.prior)
        self.density = f"ln p(x{' | label' if model.classes else ''}) of the {model.name}"

    def posterior(self, x: Tensor, label: Tensor | None) -> tuple[Tensor, Tensor]:
        return self.parts.posterior(x, label)

    def log_likelihood(self, x: Tensor, z: Tensor, label: Tensor | None) -> Tensor:
        return self.parts.log_likelihood_given(x, z, label)

    def draw(self, z: Tensor, label: Tensor | None, generator: torch.Generator) -> Tensor:
        return self.parts.draw_given(z, label, generator)


class DecoderIntegrand(Integrand):
    """A decoder that is given an observation model: Bernoulli(decode(z)) for x in {0, 1}, else N(decode(z), noise² I).

    `deviation` is that of the Gaussian about encode(x) which stands for p(z | x).
    """

    deviation = 0.1

    def __init__(self, model: GenerativeModel, prior: Prior, noise: float | None) -> None:
        super().__init__(model, prior)
        self.binary = model.support is constraints.boolean
        if self.binary and noise is not None:
            raise ConfigError(f"noise={noise} is for real values, and this {model.name} has {{0, 1}}: leave noise out.")
        if not self.binary and (noise is None or not 0 < noise < math.inf):
            raise ConfigError(
                f"{model.name} has a decoder and no likelihood: give noise, a positive standard deviation of x about decode(z) "
                f"in the unit of the data (such as 0.1), got {noise}."
            )
        self.log_variance = 0.0 if noise is None else 2 * math.log(noise)
        kind = "Bernoulli" if self.binary else "Gaussian"
        size = "" if self.binary else f" σ = {noise:g}"
        self.density = (
            f"ln p(x) of the {model.name}'s decoder with {kind} observation noise{size}, which is not part of the model"
        )

    def posterior(self, x: Tensor, label: Tensor | None) -> tuple[Tensor, Tensor]:
        mean = cast(Encodes, self.model).encode(x)
        return mean, torch.full_like(mean, 2 * math.log(self.deviation))

    def log_likelihood(self, x: Tensor, z: Tensor, label: Tensor | None) -> Tensor:
        output = cast(Decodes, self.model).decode(z)
        if z.requires_grad and not output.requires_grad:
            raise CapabilityError(
                f"decode of {self.model.name} has no gradient in z, which annealing needs: use method='importance' or 'prior'."
            )
        if self.binary:
            p = output.clamp(CERTAIN, 1 - CERTAIN)
            return (x * p.log() + (1 - x) * (-p).log1p()).flatten(1).sum(1)
        return gaussian_log_prob(x, output, torch.as_tensor(self.log_variance, dtype=x.dtype, device=x.device))

    def draw(self, z: Tensor, label: Tensor | None, generator: torch.Generator) -> Tensor:
        output = cast(Decodes, self.model).decode(z)
        if self.binary:
            return torch.bernoulli(output.clamp(CERTAIN, 1 - CERTAIN), generator=generator)
        noise = torch.randn(output.shape, dtype=output.dtype, device=output.device, generator=generator)
        return output + math.exp(0.5 * self.log_variance) * noise


def integrand_of(model: GenerativeModel, noise: float | None = None) -> Integrand:
    """The integrand of a model; `CapabilityError` where it has none, `ConfigError` for senseless noise."""
    if isinstance(model, TractableDensity):
        raise CapabilityError(
            f"{model.name} has an exact density, and nothing needs to be estimated: use model.log_prob(x) (pofx score)."
        )
    if isinstance(model, LatentVariable):
        if noise is not None:
            raise ConfigError(f"noise={noise} is for decoders without a likelihood, and {model.name} has its own p(x | z).")
        return ModelIntegrand(model, model)
    prior, parts = getattr(model, "prior", None), model.classes or getattr(model, "categories", 0)
    if not (isinstance(model, Reconstructs) and isinstance(prior, Prior)) or parts:
        given = " with labels or categories" if parts else ""
        raise CapabilityError(
            f"{model.name}{given} has no likelihood, and no encoder and decoder over one prior, which observation noise would "
            "give one: estimates are for vae, and for aae and wae without labels. Judge others by samples (pofx evaluate)."
        )
    return DecoderIntegrand(model, prior, noise)
