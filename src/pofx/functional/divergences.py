"""Distances between two distributions from samples of each: maximum mean discrepancy, and sliced Wasserstein distance.

All take codes z (n, latent) and samples of a prior (m, latent), give a number without a unit, and are differentiable in both.
Under autocast they are computed in float32 at least: differences of large squares do not survive fewer digits.
"""

from collections.abc import Sequence
from functools import reduce
from operator import add
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from ..core import ConfigError, suggest

SCALES = (0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0)  # of the kernels, relative to C; their sum weighs near and far alike
ESTIMATORS = ("unbiased", "linear")


def squared_distances(a: Tensor, b: Tensor) -> Tensor:
    """‖a_i − b_j‖² for rows of a (n, latent) and b (m, latent): (n, m), at least 0.

    Time O(n m latent). There is no root in it, whose gradient would be infinite where two points coincide.

    >>> squared_distances(torch.zeros(1, 2), torch.tensor([[3.0, 4.0]])).item()
    25.0
    """
    squares = torch.addmm(b.square().sum(1), a, b.T, alpha=-2) + a.square().sum(1, keepdim=True)
    return squares.clamp(min=0)


def inverse_multiquadratic(distances: Tensor, scales: Sequence[float | Tensor]) -> Tensor:
    """Σ_s s/(s + D) for squared distances D of any shape: a kernel for each scale, 1 where two points coincide.

    It falls as 1/D, so that codes far from the prior still feel it, where a Gaussian kernel leaves them without gradient.

    >>> inverse_multiquadratic(torch.tensor([0.0, 2.0, 6.0]), [2.0])
    tensor([1.0000, 0.5000, 0.2500])
    """
    return reduce(add, (scale / (scale + distances) for scale in scales))


def mmd(z: Tensor, prior_samples: Tensor, scale: float | Tensor, estimator: str = "unbiased") -> Tensor:
    """The squared maximum mean discrepancy of codes z (n, latent) and samples p of a prior (m, latent), estimated: a scalar.

    MMD² = E k(z, z') + E k(p, p') − 2 E k(z, p) is 0 for equal distributions alone. The kernel k is the sum of seven inverse
    multiquadratics C s/(C s + ‖u − v‖²), s in `SCALES`; `scale` is C, by custom the mean ‖p − p'‖² of samples of the prior.

    `estimator="unbiased"`: the means over all pairs of different rows, time and memory O((n + m)²). "linear": over the pairs
    (1, 2), (3, 4), ... alone, time O(n), with a far larger variance; it needs n = m. Both are right on average, and therefore
    negative about half of the time where the distributions are equal.

    Raises `ConfigError` for another estimator, fewer than 2 rows or rows that do not match.

    A Kernel Two-Sample Test, Arthur Gretton, Karsten Borgwardt, Malte Rasch, Bernhard Schölkopf and Alexander Smola, 2012
    (lemma 6, lemma 14); the kernels: Wasserstein Auto-Encoders, Tolstikhin, Bousquet, Gelly and Schölkopf, 2018, and its code.

    >>> z = torch.tensor([[0.0], [2.0]])
    >>> round(mmd(z, z + 1, scale=1.0).item(), 4)
    -1.9027
    """
    if estimator not in ESTIMATORS:
        raise ConfigError(f"estimator={estimator!r} is unknown: {suggest(estimator, ESTIMATORS)}.")
    z, prior_samples = _checked(z, prior_samples, least=2, same=estimator == "linear")
    with torch.autocast(z.device.type, enabled=False):
        if estimator == "linear":
            return _linear_mmd(z, prior_samples, scale)
        if z.requires_grad and torch.is_grad_enabled() and not prior_samples.requires_grad:
            return _MMD.apply(z, prior_samples, scale)
        return plain_mmd(z, prior_samples, scale)


def plain_mmd(z: Tensor, prior_samples: Tensor, scale: float | Tensor) -> Tensor:
    """The unbiased estimate of `mmd` as its equation is written."""
    scales = [scale * s for s in SCALES]
    n, m = len(z), len(prior_samples)
    codes, prior, cross = (
        inverse_multiquadratic(squared_distances(a, b), scales)
        for a, b in ((z, z), (prior_samples, prior_samples), (z, prior_samples))
    )
    within = (codes.sum() - codes.trace()) / (n * (n - 1)) + (prior.sum() - prior.trace()) / (m * (m - 1))
    return within - 2 * cross.mean()


class _MMD(torch.autograd.Function):
    """`plain_mmd` in less than half of its time at n = 100: one buffer for all distances, the gradient in z along the way.

    With u = ‖a − b‖²/C a kernel is s/(s + u), and its derivative −s/(s + u)² is at hand as soon as 1/(s + u) is.
    """

    @staticmethod
    def forward(ctx: Any, z: Tensor, p: Tensor, scale: float | Tensor) -> Tensor:
        n, m = len(z), len(p)
        near = squared_distances(z, torch.cat([z, p]))  # of codes to codes, and to samples of the prior
        near.diagonal().zero_()
        u = torch.cat([near.view(-1), squared_distances(p, p).view(-1)]).div_(scale)
        kernel, slope, inverse = torch.zeros_like(u), z.new_zeros(near.numel()), torch.empty_like(u)
        for s in SCALES:
            torch.add(u, s, out=inverse).reciprocal_()
            kernel.add_(inverse, alpha=s)
            slope.addcmul_(inverse[: near.numel()], inverse[: near.numel()], value=-s)
        pairs, prior = kernel[: near.numel()].view(n, n + m), kernel[near.numel() :].view(m, m)
        codes = (pairs[:, :n].sum() - n * len(SCALES)) / (n * (n - 1))
        value = codes + (prior.sum() - prior.trace()) / (m * (m - 1)) - 2 * pairs[:, n:].mean()
        slope = slope.view(n, n + m)  # ∂k/∂u, then 2 (∂MMD/∂k) (∂k/∂u): d‖a − b‖² = 2 (a − b) da
        slope[:, :n] *= 4 / (n * (n - 1))
        slope[:, n:] *= -4 / (n * m)
        gradient = slope.sum(1, keepdim=True) * z - slope @ torch.cat([z, p])
        ctx.save_for_backward(gradient / scale)
        return value

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None]:
        return gradient * ctx.saved_tensors[0], None, None


def _linear_mmd(z: Tensor, p: Tensor, scale: float | Tensor) -> Tensor:
    """2/n Σ_i k(z_2i, z_2i+1) + k(p_2i, p_2i+1) − k(z_2i, p_2i+1) − k(z_2i+1, p_2i); an odd last row is left out."""
    even = len(z) // 2 * 2
    left, right = torch.cat([z[0:even:2], p[0:even:2]]), torch.cat([z[1:even:2], p[1:even:2]])
    crossed = torch.cat([p[1:even:2], z[1:even:2]])
    scales = [scale * s for s in SCALES]
    within, across = (inverse_multiquadratic((left - b).square().sum(1), scales).mean() for b in (right, crossed))
    return 2 * (within - across)


def random_directions(latent: int, count: int, like: Tensor, generator: torch.Generator | None = None) -> Tensor:
    """Unit vectors (latent, count), uniform on the sphere, of the precision and on the device of `like`."""
    vectors = torch.randn(latent, count, dtype=like.dtype, device=like.device, generator=generator)
    return vectors / vectors.norm(dim=0)


def sliced_wasserstein(
    z: Tensor, prior_samples: Tensor, directions: int | Tensor = 50, generator: torch.Generator | None = None
) -> Tensor:
    """The squared sliced 2-Wasserstein distance of two sets of n points (n, latent), a scalar of at least 0.

    SW² = E_θ W²(θᵀz, θᵀp) over directions θ of length 1. On a line the best transport keeps the order: both sides are sorted,
    the squared differences averaged. `directions` are unit vectors (latent, k), or how many to draw. Time O(k n log n).

    Raises `ConfigError` where the numbers of points differ or there are no directions.

    Sliced and Radon Wasserstein Barycenters of Measures, Bonneel, Rabin, Peyré and Pfister, 2015; for autoencoders: Sliced
    Wasserstein Auto-Encoders, Kolouri, Pope, Martin and Rohde, 2019.

    >>> z = torch.tensor([[0.0, 0.0], [5.0, 1.0]])
    >>> sliced_wasserstein(z, z.flip(0) + torch.tensor([3.0, 4.0]), torch.eye(2)).item()  # (3² + 4²)/2
    12.5
    """
    z, prior_samples = _checked(z, prior_samples, least=1, same=True)
    if isinstance(directions, int):
        if directions < 1:
            raise ConfigError(f"directions must be at least 1, got {directions}: distances are averaged over them.")
        directions = random_directions(z.shape[1], directions, z, generator)
    elif directions.ndim != 2 or len(directions) != z.shape[1] or not directions.shape[1]:
        raise ConfigError(f"directions must be of shape ({z.shape[1]}, k), one a column, got {tuple(directions.shape)}.")
    with torch.autocast(z.device.type, enabled=False):
        along = directions.to(z).T  # rows are sorted faster than columns
        return ((along @ z.T).sort(1).values - (along @ prior_samples.T).sort(1).values).square().mean()


def _checked(z: Tensor, prior_samples: Tensor, least: int, same: bool) -> tuple[Tensor, Tensor]:
    """Both as they are, in float32 at least; `ConfigError` where one cannot be compared with the other."""
    shapes = f"{tuple(z.shape)} and {tuple(prior_samples.shape)}"
    if z.ndim != 2 or prior_samples.ndim != 2 or z.shape[1] != prior_samples.shape[1]:
        raise ConfigError(f"codes and samples of the prior must be (n, latent) and (m, latent), got {shapes}.")
    if min(len(z), len(prior_samples)) < least or (same and len(z) != len(prior_samples)):
        wanted = f"at least {least} rows each" + (", as many of one as of the other" if same else "")
        raise ConfigError(f"codes and samples of the prior must have {wanted}, got {shapes}: choose another batch_size.")
    kind = torch.promote_types(torch.promote_types(z.dtype, prior_samples.dtype), torch.float32)
    return z.to(kind), prior_samples.to(kind)
