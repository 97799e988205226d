"""Importance sampling of ln p(x) of latent-variable models, in memory that does not grow with the number of samples."""

import math
from collections.abc import Callable, Iterator
from typing import NamedTuple

import torch
from torch import Tensor

from ..core import ConfigError

LogDensity = Callable[[Tensor], Tensor]  # of codes (samples, n, latent), a value for each: (samples, n)


class Weighted(NamedTuple):
    """What k log-weights a row say: ln of their mean, and how many equal weights would say it as surely; both (n,), float64.

    The first is an estimate of ln p(x) in nats. Its mean over repetitions is at most ln p(x) (Jensen), so that it is a lower
    bound in expectation. `effective_samples` is (Σ w)² / Σ w², from 1 (one weight counts) to k (all are equal).
    """

    log_likelihood: Tensor
    effective_samples: Tensor


def weighted(chunks: Iterator[Tensor]) -> Weighted:
    """The summary of log-weights that come as chunks (k, n), of which one is held at a time.

    >>> estimate = weighted(iter([torch.zeros(3, 1), torch.zeros(2, 1)]))
    >>> [round(value.item(), 6) for value in estimate]
    [0.0, 5.0]
    """
    log_sum = log_squares = torch.tensor(-math.inf, dtype=torch.float64)
    count = 0
    for chunk in chunks:
        log_weights, count = chunk.double(), count + len(chunk)
        log_sum = torch.logaddexp(log_sum.to(chunk.device), torch.logsumexp(log_weights, 0))
        log_squares = torch.logaddexp(log_squares.to(chunk.device), torch.logsumexp(2 * log_weights, 0))
    effective = (2 * log_sum - log_squares).exp().nan_to_num(0.0)  # all weights 0: nothing was seen of p(x)
    return Weighted(log_sum - math.log(count), effective)


def importance_log_likelihood(
    log_joint: LogDensity,
    mean: Tensor,
    log_variance: Tensor,
    samples: int,
    at_once: int = 100,
    generator: torch.Generator | None = None,
    widen: float = 1.0,
) -> Weighted:
    """ln (1/k Σ_j p(x, z_j) / q(z_j | x)) with k = `samples` codes z_j ~ q(z | x) = N(mean, diag(variance · widen²)), nats.

    `mean` and `log_variance` are (n, latent); `log_joint` maps codes (j, n, latent), j <= `at_once`, to ln p(x, z), (j, n).
    An encoder's q is mostly too narrow, and where q is narrower than p(z | x) weights have heavy tails: `widen` > 1 helps
    then. Time grows with `samples`, memory with `at_once` alone. Raises `ConfigError` for counts below 1 and widen <= 0.

    Source: Importance Weighted Autoencoders, Yuri Burda, Roger Grosse, Ruslan Salakhutdinov, 2016 (who use k = 5000).

    >>> log_joint = lambda z: -math.log(2 * math.pi) - 0.5 * (z.square() + (1 - z).square()).sum(-1)  # z ~ N(0, 1), x = 1
    >>> half = torch.full((1, 1), 0.5)  # the posterior is N(0.5, 0.5): every weight is p(x)
    >>> round(importance_log_likelihood(log_joint, half, half.log(), samples=3).log_likelihood.item(), 5)
    -1.51551
    """
    if not 0 < widen < math.inf:
        raise ConfigError(
            f"widen must be a positive number, got {widen}: it multiplies the deviations of q(z | x), 1 is q itself."
        )
    log_scale = 0.5 * log_variance + math.log(widen)
    log_normaliser = log_scale.sum(-1) + 0.5 * mean.shape[-1] * math.log(2 * math.pi)

    def log_weights(k: int) -> Tensor:
        noise = torch.randn(k, *mean.shape, dtype=mean.dtype, device=mean.device, generator=generator)
        log_q = -0.5 * noise.square().sum(-1) - log_normaliser
        return log_joint(mean + log_scale.exp() * noise) - log_q

    return weighted(map(log_weights, chunk_sizes(samples, at_once)))


def prior_log_likelihood(
    log_likelihood: LogDensity, draw: Callable[[int], Tensor], samples: int, at_once: int = 100
) -> Weighted:
    """ln (1/k Σ_j p(x | z_j)) with k = `samples` codes z_j ~ p(z): simple Monte Carlo, for a prior that can only be sampled.

    `draw(j)` gives codes (j, n, latent), apart for every row, `log_likelihood` maps them to ln p(x | z), (j, n). Unless few
    codes are enough to hit all that explain x, the weight of the best one decides, and the bound is loose.
    """
    return weighted(log_likelihood(draw(k)) for k in chunk_sizes(samples, at_once))


def chunk_sizes(samples: int, at_once: int) -> Iterator[int]:
    """`samples` as a sum of numbers of at most `at_once`; `ConfigError` for less than 1 of either.

    >>> list(chunk_sizes(250, 100))
    [100, 100, 50]
    """
    if samples < 1 or at_once < 1:
        raise ConfigError(f"samples and at_once must be at least 1, got samples={samples}, at_once={at_once}.")
    return iter([min(at_once, samples - start) for start in range(0, samples, at_once)])
