"""How close generated events are to real ones, in a feature space. Values compare only between equal features and counts."""

import torch
from torch import Tensor, nn

from ..core import DataError
from .estimate import Estimate, mean_estimate, share_estimate
from .rows import distance_blocks, finite_rows, same_width

RESAMPLES = 10  # of the bootstrap: the standard error is then known to about a quarter of itself


class _GivenFeatures(nn.Identity):
    def __init__(self, num_features: int) -> None:
        super().__init__()
        self.num_features = num_features


def frechet_distance(real: Tensor, fake: Tensor, seed: int = 0) -> Estimate:
    """Frechet distance |m1 - m2|^2 + tr(S1 + S2 - 2 (S1 S2)^1/2) between features real (n, f) and fake (m, f).

    0 for equal moments; the unit is that of a squared feature. Biased upward: two samples of N(0, I) are apart by about
    (f + f (f + 1) / 4) (1/n + 1/m). Compare at equal counts, and with the value of real against real. The standard error is
    the spread over 10 bootstrap resamples of the fake rows, the real ones taken as given; resamples are more biased
    still, so only their spread is used. Raises `DataError` for unlike widths, fewer than 2 rows, or NaN.

    Martin Heusel et al., GANs Trained by a Two Time-Scale Update Rule Converge to a Local Nash Equilibrium, 2017.

    >>> a = torch.tensor([[-1.0], [0.0], [1.0]])
    >>> round(frechet_distance(a, a + 2).value, 6)
    4.0
    """
    from torchmetrics.image.fid import FrechetInceptionDistance

    real, fake = _pair(real, fake, at_least=2)
    metric = FrechetInceptionDistance(_GivenFeatures(real.shape[1]), reset_real_features=False).to(real.device)
    metric.update(real, real=True)

    def distance(rows: Tensor) -> float:
        metric.reset()
        metric.update(rows, real=False)
        return max(0.0, metric.compute().item())

    generator = torch.Generator().manual_seed(seed)
    resamples = [fake[torch.randint(len(fake), (len(fake),), generator=generator)] for _ in range(RESAMPLES)]
    spread = torch.tensor([distance(rows) for rows in resamples]).std().item()
    return Estimate(distance(fake), spread, len(fake), "squared feature distance")


def kernel_distance(real: Tensor, fake: Tensor, subset_size: int = 1000, seed: int = 0) -> Estimate:
    """Kernel distance: the unbiased squared MMD with k(a, b) = (a.b / f + 1)^3 between features (n, f) and (m, f).

    The mean over disjoint random subsets of at most `subset_size` rows, ten or more of them, with the standard error of
    that mean; disjoint, because overlapping subsets would understate it. Unbiased, hence slightly negative at times.
    Raises `DataError` for unlike widths, fewer than 20 rows, or NaN.

    Mikolaj Binkowski et al., Demystifying MMD GANs, 2018; blocks: Wojciech Zaremba et al., B-tests, 2013.
    """
    from torchmetrics.image.kid import poly_mmd

    real, fake = _pair(real, fake, at_least=20)
    smaller = min(len(real), len(fake))
    size = min(subset_size, smaller // 10)
    generator = torch.Generator().manual_seed(seed)
    real_order, fake_order = (torch.randperm(len(x), generator=generator).split(size) for x in (real, fake))
    values = [poly_mmd(real[r], fake[f]) for r, f in zip(real_order, fake_order, strict=False) if len(r) == len(f) == size]
    estimate = mean_estimate(torch.stack(values), "squared MMD")
    return Estimate(estimate.value, estimate.stderr, smaller, estimate.unit)


def precision_recall_density_coverage(real: Tensor, fake: Tensor, k: int = 5) -> dict[str, Estimate]:
    """Precision, recall, density and coverage of features fake (m, f) against real (n, f), from k-th neighbour balls.

    A ball reaches from a row to its k-th nearest other row of the same set. Precision: share of fake rows in a real ball;
    recall: share of real rows in a fake ball; density: real balls around a fake row, over k (1 is ideal, it may exceed 1);
    coverage: share of real balls that hold a fake row. For equal continuous distributions E density = 1 and
    E coverage = 1 - prod_{i=1..k} (n - i) / (m + n - i), about 1 - 2^-k for n = m; precision and recall stay below 1.

    A point on the sphere counts as inside (<=, where the density-coverage paper has <): only this gives two equal sets
    of discrete events, in which k copies make a radius 0, the precision, recall and coverage of 1 they deserve.
    The errors are binomial (density: of the mean) with the balls taken as given, which is too small where few rows are
    near many, as in high dimensions. Time O(f (n + m)^2), memory O(n + m).
    Raises `DataError` for unlike widths, k rows or fewer, or NaN.

    Tuomas Kynkaanniemi et al., Improved Precision and Recall Metric for Assessing Generative Models, 2019.
    Muhammad Ferjad Naeem et al., Reliable Fidelity and Diversity Metrics for Generative Models, 2020.
    """
    real, fake = _pair(real, fake, at_least=k + 1)
    real_radius, fake_radius = _radii(real, k), _radii(fake, k)
    balls = torch.zeros(len(fake), device=real.device)  # how many real balls hold the fake row
    covered = torch.zeros(len(real), dtype=torch.bool, device=real.device)
    recalled = covered.clone()
    for block, distances in distance_blocks(fake, real):
        inside = distances <= real_radius
        balls[block] = inside.sum(1).float()
        covered |= inside.any(0)
        recalled |= (distances <= fake_radius[block, None]).any(0)
    return {
        "precision": share_estimate(int((balls > 0).sum()), len(fake)),
        "recall": share_estimate(int(recalled.sum()), len(real)),
        "density": mean_estimate(balls / k, "real balls per sample / k"),
        "coverage": share_estimate(int(covered.sum()), len(real)),
    }


def _radii(x: Tensor, k: int) -> Tensor:
    # The nearest of all is the row itself at distance 0, hence k + 1.
    return torch.cat([distances.kthvalue(k + 1, dim=1).values for _, distances in distance_blocks(x, x)])


def _pair(real: Tensor, fake: Tensor, at_least: int) -> tuple[Tensor, Tensor]:
    if at_least < 2:
        raise DataError(f"A neighbourhood expects k >= 1, got k={at_least - 1}: choose k = 5 or so.")
    real, fake = finite_rows(real, "real features", at_least), finite_rows(fake, "fake features", at_least)
    same_width(real, fake, "real and fake")
    return real, fake.to(real.device)
