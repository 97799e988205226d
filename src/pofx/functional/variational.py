"""Parts of variational bounds with a Gaussian q(z | x): its density, free bits, and what training makes of a bound."""

import math
from dataclasses import dataclass

from torch import Tensor

from ..core import ConfigError, suggest
from .likelihoods import gaussian_kl, gaussian_log_prob

KINDS = ("elbo", "iwae")
GRADIENTS = ("plain", "dreg")


@dataclass(frozen=True)
class Objective:
    """What a variational model is trained on; `ConfigError` for a choice that makes no sense.

    `kind` is elbo, E_q[ln p(x | z)] − weight · KL, or iwae, the importance-weighted bound. `samples` codes are drawn per event,
    over which elbo averages and which are the k of iwae; its `gradient` is plain or doubly reparameterised, "dreg". `beta`
    weighs the KL term of elbo, whose weight rises linearly from 0 over the first `warm_up` examples, and of which each latent
    dimension has `free_bits` nats for nothing.

    >>> Objective(beta=2.0, warm_up=1000).kl_weight(250)
    0.5
    """

    kind: str = "elbo"
    samples: int = 1
    gradient: str = "plain"
    beta: float = 1.0
    free_bits: float = 0.0
    warm_up: int = 0

    def __post_init__(self) -> None:
        for name, value, least, meaning in (
            ("beta", self.beta, 0, "it weighs the KL term, and 1 is the bound itself"),
            ("free_bits", self.free_bits, 0, "it is the KL, in nats, that each latent dimension has for nothing"),
            ("warm_up", self.warm_up, 0, "it is the number of examples over which the KL term gains its weight"),
            ("importance_samples", self.samples, 1, "it is the number of codes drawn for each event in training"),
        ):
            if not least <= value < math.inf:
                raise ConfigError(f"{name} must be at least {least}, got {value}: {meaning}.")
        for name, word, known in (("objective", self.kind, KINDS), ("gradient", self.gradient, GRADIENTS)):
            if word not in known:
                raise ConfigError(f"{name}={word!r} is unknown: {suggest(word, known)}.")
        weighs = (("beta", self.beta, 1), ("free_bits", self.free_bits, 0), ("warm_up", self.warm_up, 0))
        for name, value, plain in weighs if self.kind == "iwae" else ():
            if value != plain:
                raise ConfigError(
                    f"{name}={value} changes the KL term, which objective='iwae' does not have: leave it out, or use "
                    "objective='elbo'."
                )
        if self.gradient == "dreg" and self.kind != "iwae":
            raise ConfigError("gradient='dreg' is a gradient of objective='iwae': choose both, or leave both out.")

    def kl_weight(self, examples_seen: int) -> float:
        """The weight of the KL term: β · min(1, examples_seen / warm_up)."""
        return self.beta * min(1.0, examples_seen / self.warm_up) if self.warm_up else self.beta


def perturbed(mean: Tensor, log_variance: Tensor, noise: Tensor) -> Tensor:
    """z = μ + σ ε, differentiable in μ and σ: (n, latent) and noise (k, n, latent) -> (k n, latent)."""
    return (mean + (0.5 * log_variance).exp() * noise).flatten(0, 1)


def perturbed_log_prob(noise: Tensor, log_variance: Tensor) -> Tensor:
    """ln N(z; μ, diag σ²) of z = μ + σ ε, as a function of ε (k, n, latent) and ln σ² (n, latent): (k, n)."""
    return -0.5 * (noise.square() + log_variance + math.log(2 * math.pi)).sum(-1)


def free_bits_kl(mean: Tensor, log_variance: Tensor, free_bits: float) -> Tensor:
    """Σ_j max(free_bits, KL_j) with KL_j the batch mean of the KL of dimension j from N(0, 1), in nats; a scalar.

    A dimension below `free_bits` has no gradient. Source: Improved Variational Inference with Inverse Autoregressive Flow,
    Kingma, Salimans, Jozefowicz, Chen, Sutskever, Welling, 2016, with a group for each dimension.

    >>> import torch
    >>> free_bits_kl(torch.tensor([[1.0, 0.1], [1.0, -0.1]]), torch.zeros(2, 2), 0.25).item()
    0.75
    """
    each = gaussian_kl(mean.reshape(-1, 1), log_variance.reshape(-1, 1)).view_as(mean)
    return each.mean(0).clamp(min=free_bits).sum()


def doubly_reparameterised(log_p: Tensor, z: Tensor, mean: Tensor, log_variance: Tensor) -> Tensor:
    """Log-weights ln p(x, z_j) − ln q(z_j | x), (k, n), whose importance-weighted bound has the gradient DReG.

    For ln p (k, n), z = μ + σ ε (k n, latent), and q's mean and log-variance (n, latent). In q's parameters that gradient is
    Σ_j w̃_j² ∂(ln w_j)/∂z_j ∂z_j/∂φ, with normalised weights w̃: ln q has no gradient but through z, the bound itself brings
    one factor w̃_j, and a hook on z the other, as the gradient passes it. In p's parameters it is the plain one.

    Source: Doubly Reparameterized Gradient Estimators for Monte Carlo Objectives, Tucker, Lawson, Gu, Maddison, 2019.
    """
    k = len(log_p)
    log_q = gaussian_log_prob(z, mean.detach().repeat(k, 1), log_variance.detach().repeat(k, 1))
    log_weights = log_p - log_q.view(k, -1)
    if z.requires_grad:
        share = log_weights.detach().softmax(0).view(-1, 1)
        z.register_hook(lambda gradient: gradient * share)
    return log_weights
