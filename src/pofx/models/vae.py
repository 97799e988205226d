"""The variational autoencoder."""

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn
from torch.distributions import constraints

from ..core import (
    ApproximateDensity,
    Batch,
    ConfigError,
    Decodes,
    Encodes,
    GenerativeModel,
    Player,
    Samples,
    ScoresAnomalies,
    adam,
    suggest,
)
from ..functional.likelihoods import bernoulli_log_prob, gaussian_kl, gaussian_log_prob, log_mean_exp
from ..nn.mlp import mlp

NETWORKS = ("mlp", "conv")
LIKELIHOODS = ("bernoulli", "gaussian")
ANOMALY_SAMPLES = 16
CHUNK = 2_000_000  # values of decoder output held at once while a bound is estimated
VARIANCE_PACE = 10  # how much faster the one variance learns than the weights, which would be waiting for it


class VAE(GenerativeModel, Samples, ApproximateDensity, Encodes, Decodes, ScoresAnomalies):
    """A latent-variable model p(x) = ∫ p(x | z) N(z; 0, I) dz with an encoder q(z | x) = N(μ(x), diag σ²(x)).

    Trained on the evidence lower bound  E_q[ln p(x | z)] − β KL(q(z | x) ‖ N(0, I)) ≤ ln p(x) (for β ≥ 1).

    `latent` is the width of z, `hidden` the widths of the layers between x and z (mlp), mirrored in the decoder, or the
    channels of stride-2 convolutions (conv; the sides of the picture must be divisible by 2 for each). `likelihood` is
    bernoulli for x in {0, 1} or gaussian, with one learned variance, for real x. `beta` weighs the KL term in training only:
    `elbo` is always the bound with β = 1.

    Kingma and Welling, Auto-Encoding Variational Bayes, 2014; Rezende, Mohamed, Wierstra, Stochastic Backpropagation, 2014;
    beta: Higgins et al., beta-VAE, 2017; the learned variance: Rybkin, Daniilidis, Levine, Simple and Effective VAE Training
    with Calibrated Decoders, 2021.

    >>> model = VAE((1, 8, 8), latent=2)
    >>> model.sample(3).shape, model.encode(model.sample(3)).shape
    (torch.Size([3, 1, 8, 8]), torch.Size([3, 2]))
    """

    name = "vae"
    summary = "variational autoencoder"

    def __init__(
        self,
        event_shape: Sequence[int],
        latent: int = 16,
        hidden: Sequence[int] = (256, 256),
        network: str = "mlp",
        likelihood: str = "bernoulli",
        beta: float = 1.0,
        learning_rate: float = 1e-3,
    ) -> None:
        super().__init__()
        self.event_shape, self.latent, self.beta, self.learning_rate = tuple(event_shape), latent, beta, learning_rate
        if latent < 1:
            raise ConfigError(f"latent must be at least 1, got {latent}: it is the width of the code z.")
        if beta < 0:
            raise ConfigError(f"beta must be at least 0, got {beta}: it weighs the KL term, and 1 is the bound itself.")
        if network not in NETWORKS:
            raise ConfigError(f"network={network!r} is unknown: {suggest(network, NETWORKS)}.")
        if likelihood not in LIKELIHOODS:
            raise ConfigError(f"likelihood={likelihood!r} is unknown: {suggest(likelihood, LIKELIHOODS)}.")
        self.likelihood = likelihood
        self.support = constraints.boolean if likelihood == "bernoulli" else constraints.real
        networks = _mlp_networks if network == "mlp" else _conv_networks
        self.encoder, self.decoder = networks(self.event_shape, list(hidden), latent)
        if likelihood == "gaussian":
            self.log_variance = nn.Parameter(torch.zeros(()))

    @classmethod
    def configure_for(cls, event_shape: tuple[int, ...], support: constraints.Constraint) -> dict[str, Any]:
        return {"likelihood": "bernoulli" if support is constraints.boolean else "gaussian"}

    def players(self) -> list[Player]:
        return [Player("model", list(self.parameters()), self._loss, optimizer=adam(self.learning_rate))]

    def _loss(self, batch: Batch) -> dict[str, Tensor]:
        mean, log_variance = self._posterior(batch.x)
        output = self.decoder(_perturbed(mean, log_variance))
        reconstruction = -self._log_likelihood(batch.x, output).mean()
        return {"reconstruction": reconstruction, "kl": self.beta * gaussian_kl(mean, log_variance).mean()}

    def _posterior(self, x: Tensor) -> tuple[Tensor, Tensor]:
        mean, log_variance = self.encoder(x).chunk(2, dim=1)
        return mean, log_variance

    def _log_likelihood(self, x: Tensor, output: Tensor) -> Tensor:
        if self.likelihood == "bernoulli":
            return bernoulli_log_prob(x, output)
        return gaussian_log_prob(x, output, self._log_variance())

    def _log_variance(self) -> Tensor:
        return (VARIANCE_PACE * self.log_variance).clamp(min=-12)  # a deviation of 0.0025, below the step of 8-bit pixels

    def elbo(self, x: Tensor, samples: int = 1, generator: torch.Generator | None = None) -> Tensor:
        """A lower bound of ln p(x) in nats, (n,): the ELBO for samples = 1, the importance-weighted bound for more.

        Under torch.no_grad memory is bounded whatever the number of samples; time grows linearly with it.
        """
        if samples < 1:
            raise ConfigError(f"samples must be at least 1, got {samples}.")
        mean, log_variance = self._posterior(self.check(x))
        if samples == 1:
            output = self.decoder(_perturbed(mean, log_variance, generator))
            return self._log_likelihood(x, output) - gaussian_kl(mean, log_variance)
        at_once = max(1, CHUNK // (len(x) * self.dims + 1))
        chunks = [min(at_once, samples - start) for start in range(0, samples, at_once)]
        noise = (torch.randn(k, *mean.shape, dtype=mean.dtype, device=mean.device, generator=generator) for k in chunks)
        return log_mean_exp(torch.cat([self._log_weights(x, mean, log_variance, e) for e in noise]))

    def _log_weights(self, x: Tensor, mean: Tensor, log_variance: Tensor, noise: Tensor) -> Tensor:
        """ln p(x, z_j) − ln q(z_j | x) for z_j = μ + σ ε_j, from noise ε (samples, n, latent): (samples, n)."""
        samples = len(noise)
        z = (mean + (0.5 * log_variance).exp() * noise).flatten(0, 1)
        log_prior = gaussian_log_prob(z, torch.zeros_like(z), torch.zeros_like(z))
        log_joint = self._log_likelihood(x.repeat(samples, *[1] * len(self.event_shape)), self.decoder(z)) + log_prior
        log_q = gaussian_log_prob(z, mean.repeat(samples, 1), log_variance.repeat(samples, 1))
        return (log_joint - log_q).view(samples, -1)

    @torch.no_grad()
    def sample(self, n: int, condition: Any = None, generator: torch.Generator | None = None) -> Tensor:
        """Draws from p(x): z from the prior, then x from p(x | z); of pictures with a Gaussian likelihood the mean of p(x | z).

        The Gaussian noise of such pictures stands for what the code cannot say, and is left out as is the custom.
        """
        self.refuse_condition(condition)
        mean = self.decode(self._noise(n, generator))
        if self.likelihood == "bernoulli":
            return (torch.rand(mean.shape, dtype=mean.dtype, device=mean.device, generator=generator) < mean).to(mean.dtype)
        if len(self.event_shape) == 3:
            return mean
        noise = torch.randn(mean.shape, dtype=mean.dtype, device=mean.device, generator=generator)
        return mean + noise * (0.5 * self._log_variance()).exp()

    def _noise(self, n: int, generator: torch.Generator | None) -> Tensor:
        like = next(self.parameters())
        return torch.randn(n, self.latent, dtype=like.dtype, device=like.device, generator=generator)

    @torch.no_grad()
    def encode(self, x: Tensor) -> Tensor:
        """The mean of q(z | x), (n, latent)."""
        return self._posterior(self.check(x))[0]

    @torch.no_grad()
    def decode(self, z: Tensor) -> Tensor:
        """The mean of p(x | z) for codes (n, latent)."""
        output = self.decoder(z)
        return output.sigmoid() if self.likelihood == "bernoulli" else output

    def anomaly_score(self, x: Tensor) -> Tensor:
        """Minus the importance-weighted bound with 16 samples from fixed noise, in nats."""
        generator = torch.Generator(x.device).manual_seed(0)
        noise = torch.randn(ANOMALY_SAMPLES, 1, self.latent, dtype=x.dtype, device=x.device, generator=generator)
        with torch.no_grad():
            mean, log_variance = self._posterior(self.check(x))
            return -log_mean_exp(self._log_weights(x, mean, log_variance, noise.expand(-1, len(x), -1)))


def _perturbed(mean: Tensor, log_variance: Tensor, generator: torch.Generator | None = None) -> Tensor:
    """z = μ + σ ε with ε ~ N(0, I), differentiable in μ and σ."""
    noise = torch.randn(mean.shape, dtype=mean.dtype, device=mean.device, generator=generator)
    return mean + (0.5 * log_variance).exp() * noise


def _mlp_networks(event_shape: tuple[int, ...], hidden: list[int], latent: int) -> tuple[nn.Module, nn.Module]:
    dims = math.prod(event_shape)
    encoder = nn.Sequential(nn.Flatten(), mlp([dims, *hidden, 2 * latent]))
    decoder = nn.Sequential(mlp([latent, *reversed(hidden), dims]), nn.Unflatten(1, event_shape))
    return encoder, decoder


def _conv_networks(event_shape: tuple[int, ...], hidden: list[int], latent: int) -> tuple[nn.Module, nn.Module]:
    """Stride-2 convolutions down to a code, transposed ones back up."""
    if not hidden:
        raise ConfigError("hidden must name at least one layer for network='conv', got none: give its channels, as [32, 64].")
    factor = 2 ** len(hidden)
    if len(event_shape) != 3 or event_shape[1] % factor or event_shape[2] % factor:
        raise ConfigError(
            f"network='conv' with {len(hidden)} layers needs pictures whose sides are divisible by {factor}, got events of "
            f"shape {event_shape}: resize them, give fewer hidden layers, or use network='mlp'."
        )
    channels, height, width = event_shape
    inner = (hidden[-1], height // factor, width // factor)
    down = [channels, *hidden]
    encoder: list[nn.Module] = []
    decoder: list[nn.Module] = []
    for before, after in pairwise(down):
        encoder += [nn.Conv2d(before, after, 4, stride=2, padding=1), nn.ReLU()]
        decoder = [nn.ReLU(), nn.ConvTranspose2d(after, before, 4, stride=2, padding=1), *decoder]
    encoder += [nn.Flatten(), nn.Linear(math.prod(inner), 2 * latent)]
    return nn.Sequential(*encoder), nn.Sequential(nn.Linear(latent, math.prod(inner)), nn.Unflatten(1, inner), *decoder)
