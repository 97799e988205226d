"""Annealed importance sampling of ln p(x) of latent-variable models, and its check from both sides on simulated data.

Chains of codes go from the prior p(z) to the posterior p(z | x) ∝ p(z) p(x | z) through p(z) p(x | z)^β, β rising from 0 to 1.
Densities map codes (chains, n, latent) to (chains, n), in nats; each of the n rows has its own x, known to the function alone.
"""

from typing import NamedTuple

import torch
from torch import Tensor

from ..core import ConfigError, OnStep
from .importance import LogDensity
from .likelihoods import log_mean_exp

TARGET_ACCEPTANCE, GROW, SHRINK = 0.65, 1.02, 0.98
LEAST_STEP, LARGEST_STEP, FIRST_STEP = 1e-4, 0.5, 0.2
JITTER = 0.2  # trajectories of one length come back to where they started when it is a period of the target


class Target(NamedTuple):
    """A prior ln p(z) and a likelihood ln p(x | z), whose product with the likelihood at a power β chains walk through."""

    log_prior: LogDensity
    log_likelihood: LogDensity


class Point(NamedTuple):
    """Codes with both log-densities, (chains, n), and their gradients, (chains, n, latent): enough for every β."""

    z: Tensor
    log_prior: Tensor
    log_likelihood: Tensor
    prior_gradient: Tensor
    likelihood_gradient: Tensor

    def log_density(self, beta: float) -> Tensor:
        """ln p(z) + β ln p(x | z)."""
        return self.log_prior + beta * self.log_likelihood

    def gradient(self, beta: float) -> Tensor:
        """The gradient of `log_density` by z."""
        return self.prior_gradient + beta * self.likelihood_gradient


class Annealed(NamedTuple):
    """ln w of every chain, (chains, n) in float64, the codes at the end, (chains, n, latent), and the mean acceptance, (n,)."""

    log_weights: Tensor
    z: Tensor
    acceptance: Tensor


class Sandwich(NamedTuple):
    """A stochastic lower and a stochastic upper bound of ln p(x) for every row, (n,), in nats; by chance they may cross."""

    lower: Tensor
    upper: Tensor


def sigmoid_schedule(steps: int, sharpness: float = 4.0) -> Tensor:
    """Powers β_0 = 0 < ... < β_steps = 1: σ(4 (2t/T − 1)), brought to [0, 1]; dense at both ends. (steps + 1,), float64.

    >>> [round(beta, 4) for beta in sigmoid_schedule(4).tolist()]
    [0.0, 0.105, 0.5, 0.895, 1.0]
    """
    if steps < 1:
        raise ConfigError(f"steps must be at least 1, got {steps}: it is the number of powers between prior and posterior.")
    curve = torch.sigmoid(sharpness * torch.linspace(-1, 1, steps + 1, dtype=torch.float64))
    return (curve - curve[0]) / (curve[-1] - curve[0])


def evaluated(target: Target, z: Tensor) -> Point:
    """The codes with what HMC needs to know of them."""
    with torch.enable_grad():
        z = z.detach().requires_grad_()
        log_prior, log_likelihood = target.log_prior(z), target.log_likelihood(z)
        (prior_gradient,) = torch.autograd.grad(log_prior.sum(), z)
        (likelihood_gradient,) = torch.autograd.grad(log_likelihood.sum(), z)
    return Point(z.detach(), log_prior.detach(), log_likelihood.detach(), prior_gradient, likelihood_gradient)


@torch.no_grad()
def hmc_step(
    target: Target, point: Point, beta: float, step_size: Tensor, leapfrog: int, generator: torch.Generator | None = None
) -> tuple[Point, Tensor]:
    """A move of Hamiltonian Monte Carlo, which leaves p(z) p(x | z)^β invariant, and its acceptance probability (chains, n).

    `step_size` (n,) is varied by up to a fifth at random, whatever the state, for all `leapfrog` steps of the move.

    Source: MCMC Using Hamiltonian Dynamics, Radford Neal, 2011.
    """
    z = point.z
    varied = step_size.to(z) * (
        1 - JITTER + 2 * JITTER * torch.rand(z.shape[1], dtype=z.dtype, device=z.device, generator=generator)
    )
    step = varied.unsqueeze(-1)
    momentum = torch.randn(z.shape, dtype=z.dtype, device=z.device, generator=generator)
    energy = 0.5 * momentum.square().sum(-1) - point.log_density(beta)
    momentum, moved = momentum + 0.5 * step * point.gradient(beta), point
    for i in range(leapfrog):
        moved = evaluated(target, moved.z + step * momentum)
        momentum = momentum + (step if i < leapfrog - 1 else 0.5 * step) * moved.gradient(beta)
    change = energy - (0.5 * momentum.square().sum(-1) - moved.log_density(beta))
    acceptance = change.clamp(max=0).exp().nan_to_num(0.0)  # a trajectory that ran away is refused
    accepted = torch.rand(acceptance.shape, dtype=z.dtype, device=z.device, generator=generator) < acceptance
    chosen = (torch.where(accepted if a.ndim == 2 else accepted.unsqueeze(-1), a, b) for a, b in zip(moved, point, strict=True))
    return Point(*chosen), acceptance


def tuned_step_sizes(
    target: Target,
    z: Tensor,
    betas: Tensor,
    leapfrog: int = 10,
    generator: torch.Generator | None = None,
    on_step: OnStep | None = None,
) -> Tensor:
    """A step size for every power between 0 and 1 and every row, (steps − 1, n), from a pilot run that starts at z ~ p(z).

    The size of a row grows by 2 % where its chains accept more than 65 % on average, else shrinks by 2 %; it starts at 0.2 and
    stays in [1e-4, 0.5] times the size of a coordinate of z, √(mean z²), which is 1 for a standard normal prior.
    Sizes that follow the very chains that are weighed would bias the weights; those of a run before do not.
    """
    unit = z.square().mean().sqrt().item()
    point, size = evaluated(target, z), torch.full(z.shape[1:2], FIRST_STEP * unit, dtype=z.dtype, device=z.device)
    sizes = []
    for done, beta in enumerate(betas[1:-1].tolist(), 1):
        sizes.append(size)
        point, acceptance = hmc_step(target, point, beta, size, leapfrog, generator)
        factor = torch.where(acceptance.mean(0) > TARGET_ACCEPTANCE, GROW, SHRINK)
        size = (size * factor).clamp(LEAST_STEP * unit, LARGEST_STEP * unit)
        if on_step is not None:
            on_step(done, len(betas) - 1)
    return torch.stack(sizes) if sizes else size.new_empty(0, len(size))


def annealed_importance_sampling(
    target: Target,
    z: Tensor,
    betas: Tensor,
    step_sizes: Tensor,
    leapfrog: int = 10,
    generator: torch.Generator | None = None,
    reverse: bool = False,
    on_step: OnStep | None = None,
) -> Annealed:
    """ln w = Σ_t (β_t − β_{t−1}) ln p(x | z_{t−1}) of chains through p(z) p(x | z)^β_t; `step_sizes` from `tuned_step_sizes`.

    Forward, from independent z ~ p(z), (chains, n, latent): E[w] = p(x) exactly, so that the mean of ln w and ln of the mean
    of w are lower bounds of ln p(x) in expectation. In reverse, from z ~ p(z | x): E[1/w] = 1/p(x), and ln w is an upper
    bound in expectation. Such z is known for simulated events alone, z ~ p(z) and then x ~ p(x | z), and all chains of a row
    may start there. A chain takes `leapfrog` gradients of ln p(x | z) a power.

    Sources: Annealed Importance Sampling, Radford Neal, 2001; On the Quantitative Analysis of Decoder-Based Generative Models,
    Yuhuai Wu, Yuri Burda, Ruslan Salakhutdinov, Roger Grosse, 2017.
    """
    powers, last = betas.tolist(), len(betas) - 1
    point = evaluated(target, z)
    log_weights = torch.zeros(z.shape[:2], dtype=torch.float64, device=z.device)
    accepted = torch.zeros_like(log_weights)
    for done, t in enumerate(range(last, 0, -1) if reverse else range(1, last + 1), 1):
        if not reverse:
            log_weights += (powers[t] - powers[t - 1]) * point.log_likelihood
        if t < last:  # at β = 1 a move changes no weight
            point, acceptance = hmc_step(target, point, powers[t], step_sizes[t - 1], leapfrog, generator)
            accepted += acceptance
        if reverse:
            log_weights += (powers[t] - powers[t - 1]) * point.log_likelihood
        if on_step is not None:
            on_step(done, last)
    return Annealed(log_weights, point.z, accepted.mean(0) / max(1, last - 1))


def sandwich(forward: Tensor, backward: Tensor) -> Sandwich:
    """Bounds of ln p(x) from log-weights of forward and reverse chains (chains, n): ln mean w, and −ln mean 1/w.

    Sandwiching the Marginal Likelihood Using Bidirectional Monte Carlo, Roger Grosse, Zoubin Ghahramani, Ryan Adams, 2015.

    >>> sandwich(torch.tensor([[-2.0], [-2.0]]), torch.tensor([[-1.0], [-1.0]]))
    Sandwich(lower=tensor([-2.]), upper=tensor([-1.]))
    """
    return Sandwich(log_mean_exp(forward), -log_mean_exp(-backward))
