"""Estimates of ln p(x) = ln ∫ p(x | z) p(z) dz for the rows of a data set, a block of rows and of codes at a time."""

import math
from collections.abc import Callable, Iterator
from typing import NamedTuple

import torch
from torch import Tensor

from .core import OnStep
from .functional.annealing import Sandwich, Target, annealed_importance_sampling, sandwich, sigmoid_schedule, tuned_step_sizes
from .functional.importance import Weighted, importance_log_likelihood, prior_log_likelihood, weighted
from .integrand import DecoderIntegrand, Integrand

AT_ONCE = 100_000  # numbers of a layer held at once on a processor, which keep to its cache
AT_ONCE_ELSEWHERE = 2_000_000
DEVIATIONS = (0.02, 0.05, 0.1, 0.2, 0.3, 0.5, 0.7, 1.0)  # tried for decoders without a posterior, in deviations of the prior
PILOT_ROWS, PILOT_SAMPLES = 32, 500

Told = Callable[[float], None]  # called with the share of a block that is done


class Rows(NamedTuple):
    """Events (n, *event_shape), and their labels (n,) for a conditional model."""

    x: Tensor
    label: Tensor | None


class Chains(NamedTuple):
    """How annealing is done: powers between prior and posterior, chains a row, gradients a move."""

    steps: int
    number: int
    leapfrog: int


def importance_rows(
    integrand: Integrand, rows: Rows, samples: int, widen: float, generator: torch.Generator, on_step: OnStep | None
) -> Weighted:
    """Importance sampling with the model's q(z | x)."""
    prior = integrand.density_prior()
    if isinstance(integrand, DecoderIntegrand):
        integrand.deviation = _best_deviation(integrand, rows, generator)

    def estimate(block: Rows, at_once: int, which: slice, told: Told) -> Weighted:
        likelihood = integrand.likelihood_of(*block)
        mean, log_variance = integrand.posterior(*block)
        return importance_log_likelihood(
            lambda z: prior.log_prob(z) + likelihood(z), mean, log_variance, samples, at_once, generator, widen
        )

    return Weighted(*_by_blocks(integrand, rows, None, estimate, on_step))


def prior_rows(integrand: Integrand, rows: Rows, samples: int, generator: torch.Generator, on_step: OnStep | None) -> Weighted:
    """Simple Monte Carlo: codes of the prior, other ones for every row, so that rows are independent."""

    def estimate(block: Rows, at_once: int, which: slice, told: Told) -> Weighted:
        n = len(block.x)
        return prior_log_likelihood(
            integrand.likelihood_of(*block),
            lambda k: integrand.prior.sample(k * n, generator).view(k, n, -1),
            samples,
            at_once,
        )

    return Weighted(*_by_blocks(integrand, rows, None, estimate, on_step))


def annealed_rows(
    integrand: Integrand, rows: Rows, chains: Chains, generator: torch.Generator, on_step: OnStep | None
) -> Weighted:
    """Annealed importance sampling from the prior."""

    def estimate(block: Rows, at_once: int, which: slice, told: Told) -> Weighted:
        return weighted(iter([_forward(integrand, block, chains, generator, told)[0]]))

    return Weighted(*_by_blocks(integrand, rows, chains.number, estimate, on_step))


def sandwiched_rows(
    integrand: Integrand, rows: Rows, z: Tensor, chains: Chains, generator: torch.Generator, on_step: OnStep | None
) -> Sandwich:
    """Annealing from both ends, for rows whose z (n, latent) are exact draws of p(z | x)."""

    def estimate(block: Rows, at_once: int, which: slice, told: Told) -> Sandwich:
        forward, target, sizes = _forward(integrand, block, chains, generator, lambda share: told(share / 2))
        start = z[which].expand(chains.number, -1, -1)
        backward = annealed_importance_sampling(
            target, start, sigmoid_schedule(chains.steps), sizes, chains.leapfrog, generator, reverse=True,
            on_step=lambda done, total: told((1 + done / total) / 2),
        )  # fmt: skip
        return sandwich(forward, backward.log_weights)

    return Sandwich(*_by_blocks(integrand, rows, chains.number, estimate, on_step))


def _forward(
    integrand: Integrand, block: Rows, chains: Chains, generator: torch.Generator, told: Told
) -> tuple[Tensor, Target, Tensor]:
    """Log-weights of chains from the prior, their target, and the step sizes that a pilot run found."""
    target, betas = Target(integrand.density_prior().log_prob, integrand.likelihood_of(*block)), sigmoid_schedule(chains.steps)
    n, pilots = len(block.x), max(2, chains.number // 8)

    def start(count: int) -> Tensor:
        return integrand.prior.sample(count * n, generator).view(count, n, -1)

    pilot_share = pilots / (pilots + chains.number)
    sizes = tuned_step_sizes(
        target, start(pilots), betas, chains.leapfrog, generator, lambda done, total: told(pilot_share * done / total)
    )
    result = annealed_importance_sampling(
        target, start(chains.number), betas, sizes, chains.leapfrog, generator,
        on_step=lambda done, total: told(pilot_share + (1 - pilot_share) * done / total),
    )  # fmt: skip
    return result.log_weights, target, sizes


def _best_deviation(integrand: DecoderIntegrand, rows: Rows, generator: torch.Generator) -> float:
    """The deviation about encode(x) whose bound is tightest on a few rows, by noise that no estimate will use again."""
    few = Rows(rows.x[:PILOT_ROWS], None if rows.label is None else rows.label[:PILOT_ROWS])
    spread = integrand.prior.sample(1000, generator).std(0).mean().item()
    bounds: dict[float, float] = {}
    for share in DEVIATIONS:
        integrand.deviation = share * spread
        prior, likelihood = integrand.density_prior(), integrand.likelihood_of(*few)
        bound = importance_log_likelihood(
            lambda z, prior=prior, likelihood=likelihood: prior.log_prob(z) + likelihood(z),  # type: ignore[misc]
            *integrand.posterior(*few), PILOT_SAMPLES, max(1, AT_ONCE // (integrand.width * len(few.x))), generator,
        )  # fmt: skip
        bounds[integrand.deviation] = bound.log_likelihood.mean().item()
    return max(bounds, key=lambda deviation: bounds[deviation])


def _by_blocks(
    integrand: Integrand,
    rows: Rows,
    codes: int | None,
    estimate: Callable[[Rows, int, slice, Told], tuple[Tensor, ...]],
    on_step: OnStep | None,
) -> Iterator[Tensor]:
    """Every output (n,) of an estimate, on the processor, from blocks of as many rows as memory should hold.

    `codes` codes of a row are computed together; where that is None, as many as there is space for.
    """
    device = integrand.model.device
    space = (AT_ONCE if device.type == "cpu" else AT_ONCE_ELSEWHERE) // integrand.width
    size, n = max(1, space // (codes or 4)), len(rows.x)
    parts = []
    for start in range(0, n, size):
        which = slice(start, min(start + size, n))
        count = which.stop - start
        block = Rows(rows.x[which].to(device), None if rows.label is None else rows.label[which].to(device))

        def told(share: float, start: int = start, count: int = count) -> None:
            if on_step is not None:
                on_step(math.floor(start + share * count), n)

        parts.append(estimate(block, max(1, space // count), which, told))
        told(1.0)
    return (torch.cat(part).cpu() for part in zip(*parts, strict=True))
