"""Distributions of codes z: with a density, for variational models; or such as one can only sample, for adversarial ones."""

import importlib
import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from ..core import ConfigError, suggest
from .sampled import CircleMixture, Points, Prior, SwissRoll, Uniform, noise_like, numbers


class DensityPrior(Prior):
    """A prior with a density: `log_prob(z)` is the exact ln p(z) in nats, (..., latent) -> (...)."""

    def log_prob(self, z: Tensor) -> Tensor:
        raise NotImplementedError


Posterior = Callable[[Tensor], tuple[Tensor, Tensor]]  # of events, the means and log-variances of codes


class Gaussian(DensityPrior):
    """N(0, std² I)."""

    anchor: Tensor

    def __init__(self, latent: int, std: float = 1.0) -> None:
        super().__init__(latent)
        if not 0 < std < math.inf:
            raise ConfigError(f"prior_std must be a positive number, got {std}: it is the prior's standard deviation.")
        self.std = std
        self.register_buffer("anchor", torch.zeros(()), persistent=False)  # where and in which precision codes live

    def sample(self, n: int, generator: torch.Generator | None = None, label: Tensor | None = None) -> Tensor:
        return self.std * noise_like(n, self.latent, self.anchor, generator)

    def log_prob(self, z: Tensor) -> Tensor:
        squares = (z / self.std).square().sum(-1)
        return -0.5 * (squares + self.latent * math.log(2 * math.pi * self.std**2))


class LearnedMixture(DensityPrior):
    """Σ_k π_k N(μ_k, diag σ_k²) of `components` Gaussians, whose weights, means and variances are learned."""

    def __init__(self, latent: int, components: int) -> None:
        super().__init__(latent)
        _check_components(components)
        self.logits = nn.Parameter(torch.zeros(components))
        self.mean = nn.Parameter(torch.randn(components, latent))
        self.log_variance = nn.Parameter(torch.zeros(components, latent))

    def sample(self, n: int, generator: torch.Generator | None = None, label: Tensor | None = None) -> Tensor:
        return _draw_from(self.logits.softmax(0), self.mean, self.log_variance, n, generator)

    def log_prob(self, z: Tensor) -> Tensor:
        return _mixture_log_prob(z, self.logits.log_softmax(0), self.mean, self.log_variance)


class VampPrior(DensityPrior):
    """1/K Σ_k q(z | u_k): the posteriors of K learned pseudo-events u_k, which live in [0, 1].

    `posterior` maps events to means and log-variances of codes. Source: VAE with a VampPrior, Tomczak and Welling, 2018.
    """

    def __init__(self, latent: int, components: int, event_shape: tuple[int, ...], posterior: Posterior) -> None:
        super().__init__(latent)
        _check_components(components)
        self.posterior = posterior
        self.inputs = nn.Parameter(0.05 * torch.randn(components, *event_shape))

    def _components(self) -> tuple[Tensor, Tensor]:
        return self.posterior(self.inputs.sigmoid())

    def sample(self, n: int, generator: torch.Generator | None = None, label: Tensor | None = None) -> Tensor:
        mean, log_variance = self._components()
        return _draw_from(mean.new_full((len(mean),), 1 / len(mean)), mean, log_variance, n, generator)

    def log_prob(self, z: Tensor) -> Tensor:
        mean, log_variance = self._components()
        return _mixture_log_prob(z, mean.new_full((len(mean),), -math.log(len(mean))), mean, log_variance)


SAMPLED = ("gaussian", "mixture", "swiss_roll", "uniform")


DENSITY_PRIORS = ("gaussian", "mixture", "vamp")


def density_prior(name: str, latent: int, components: int, event_shape: tuple[int, ...], posterior: Posterior) -> DensityPrior:
    """The prior with a density of this name: N(0, I), or of `components` parts; `ConfigError` for another name.

    `event_shape` and `posterior` are those of a `VampPrior`.
    """
    if name not in DENSITY_PRIORS:
        raise ConfigError(f"prior={name!r} is unknown: {suggest(name, DENSITY_PRIORS)}.")
    if name == "gaussian":
        return Gaussian(latent)
    if name == "mixture":
        return LearnedMixture(latent, components)
    return VampPrior(latent, components, event_shape, posterior)


def sampled_prior(prior: Any, latent: int, std: float = 1.0, classes: int = 10) -> Prior:
    """The prior that an argument means, for a model that only samples from it.

    `prior` is a name of `SAMPLED`; an array or tensor of samples (m, latent), or a pair of it and labels int64 (m,), which
    make the samples of a label a part; a function f(n) -> (n, latent), which draws with torch's global generator; the path of
    a .npy file of samples; "module:function"; or {"points": m}, samples that are read with the model's weights. `std` is that
    of the Gaussian, `classes` the number of parts of the mixture and of the swiss roll.

    Raises `ConfigError` where that means no prior, `DataError` for samples of another width or with values that are not finite.

    >>> sampled_prior("swiss_roll", 2).sample(5).shape
    torch.Size([5, 2])
    """
    if std != 1 and not (isinstance(prior, str) and prior == "gaussian"):
        raise ConfigError(f"prior_std={std} is for prior='gaussian' alone: scale the samples of another prior.")
    if isinstance(prior, str):
        return _named(prior, latent, std, classes)
    if isinstance(prior, dict):
        if not {"points"} <= prior.keys() <= {"points", "classes"}:
            raise ConfigError(f"prior={prior!r} is no prior: give {{'points': m}}, samples that come with the model's weights.")
        return Points.awaited(latent, prior["points"], prior.get("classes", 0))
    if callable(prior):
        return Points.of_function(latent, prior)
    if isinstance(prior, tuple) and len(prior) == 2 and numbers(prior[0], "prior").ndim == 2:
        return Points(latent, *prior)
    return Points(latent, prior)


def _named(prior: str, latent: int, std: float, classes: int) -> Prior:
    if prior == "gaussian":
        return Gaussian(latent, std)
    if prior == "uniform":
        return Uniform(latent)
    if prior in SAMPLED:
        return (CircleMixture if prior == "mixture" else SwissRoll)(latent, classes)
    if prior.endswith(".npy"):
        numpy = importlib.import_module("numpy")  # needed by those alone who have such a file
        try:
            return Points(latent, numpy.load(prior, allow_pickle=False))
        except OSError:
            raise ConfigError(f"prior={prior!r}: there is no such file of samples, or none that can be read.") from None
    if ":" in prior:
        module, _, name = prior.partition(":")
        try:
            return sampled_prior(getattr(importlib.import_module(module), name), latent)
        except (ImportError, AttributeError, ValueError) as error:
            raise ConfigError(
                f"prior={prior!r} could not be imported ({error}): give module:function, importable from here."
            ) from None
    raise ConfigError(f"prior={prior!r} is unknown: {suggest(prior, SAMPLED)}; or a .npy file of samples, or module:function.")


def _check_components(components: int) -> None:
    if components < 1:
        raise ConfigError(f"components must be at least 1, got {components}: it is the number of parts of the prior.")


def _mixture_log_prob(z: Tensor, log_weights: Tensor, mean: Tensor, log_variance: Tensor) -> Tensor:
    """ln of Σ_k w_k N(z; μ_k, diag σ_k²) for z (..., latent), components along the first axis of the parameters."""
    squares = ((z.unsqueeze(-2) - mean).square() * torch.exp(-log_variance)).sum(-1)
    log_normal = -0.5 * (squares + log_variance.sum(-1) + mean.shape[1] * math.log(2 * math.pi))
    return torch.logsumexp(log_weights + log_normal, -1)


def _draw_from(weights: Tensor, mean: Tensor, log_variance: Tensor, n: int, generator: torch.Generator | None) -> Tensor:
    if n == 0:
        return mean.new_empty(0, mean.shape[1])
    part = torch.multinomial(weights, n, replacement=True, generator=generator)
    return mean[part] + (0.5 * log_variance[part]).exp() * noise_like(n, mean.shape[1], mean, generator)
