"""Two-sample tests: do two sets of vectors, such as codes and draws of their prior, come from one distribution?"""

from dataclasses import dataclass

import torch
from torch import Tensor

from ..core import ConfigError, DataError
from .estimate import Estimate, share_estimate
from .rows import finite_rows, same_width

SCALES = (0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0)  # of the kernel, as in Wasserstein Auto-Encoders' public code
MOST_ROWS = 1_000  # of each set: a kernel matrix of 2,000 rows is 32 MB
LEAST_ROWS = 10


@dataclass(frozen=True)
class TwoSampleTest:
    """A distance between two samples, and the probability of one as large where both come from one distribution."""

    distance: Estimate
    p_value: float


def mmd_test(a: Tensor, b: Tensor, permutations: int = 500, seed: int = 0) -> TwoSampleTest:
    """The squared maximum mean discrepancy between rows a (n, d) and b (m, d), with its permutation p-value.

    The unbiased estimate E k(a, a') + E k(b, b') − 2 E k(a, b), without the diagonal: 0 on average for equal distributions,
    so that it is slightly negative at times. The kernel is the mean of inverse multiquadratics k(u, v) = C / (C + ‖u − v‖²)
    whose C are 0.1, 0.2, 0.5, 1, 2, 5 and 10 times the mean squared distance of two rows of a and b together: values lie in
    [−2, 2] and do not depend on the unit of the rows. Its error is the spread over permutations of a and b together, that
    under equality; the p-value is (1 + the number of permutations that reach the value) / (1 + `permutations`).

    At most 1,000 rows of each are used, drawn by `seed`. Time O((n + m)² (d + permutations)), memory O((n + m)²).
    Raises `DataError` for unlike widths, fewer than 10 rows, or NaN, `ConfigError` for no permutations.

    Arthur Gretton et al., A Kernel Two-Sample Test, 2012; the kernel: Ilya Tolstikhin et al., Wasserstein Auto-Encoders, 2018.

    >>> z = torch.randn(600, 2, generator=torch.Generator().manual_seed(1))
    >>> same, apart = mmd_test(z[:300], z[300:]), mmd_test(z[:300], 0.5 * z[300:])
    >>> same.p_value > 0.05, apart.p_value < 0.01, round(apart.distance.value, 2)
    (True, True, 0.05)
    """
    if permutations < 1:
        raise ConfigError(f"permutations must be at least 1, got {permutations}: 500 give p-values down to 0.002.")
    a, b = _pair(a, b, seed)
    n, m = len(a), len(b)
    kernel = _kernel(torch.cat([a, b]))
    generator = torch.Generator().manual_seed(seed)
    orders = [torch.arange(n + m), *(torch.randperm(n + m, generator=generator) for _ in range(permutations))]
    member = torch.zeros(n + m, permutations + 1, dtype=a.dtype)  # 1 where a row counts as one of a; a column a permutation
    for column, order in enumerate(orders):
        member[order[:n], column] = 1
    values = _discrepancies(kernel, member.to(a.device), n, m).cpu()
    p_value = (1 + int((values[1:] >= values[0]).sum())) / (1 + permutations)
    spread = values[1:].std().item() if permutations > 1 else None
    return TwoSampleTest(Estimate(values[0].item(), spread, n + m, "squared MMD"), p_value)


def _kernel(rows: Tensor) -> Tensor:
    squares = torch.cdist(rows, rows, compute_mode="donot_use_mm_for_euclid_dist").square()
    typical = squares.sum() / (len(rows) * (len(rows) - 1))
    if typical == 0:
        raise DataError("A two-sample test expects rows that differ, and all are equal: has the encoder collapsed?")
    return torch.stack([scale * typical / (scale * typical + squares) for scale in SCALES]).mean(0).fill_diagonal_(0)


def _discrepancies(kernel: Tensor, member: Tensor, n: int, m: int) -> Tensor:
    """The unbiased estimate for each column of memberships, from a kernel without its diagonal: (permutations + 1,)."""
    of_a = kernel @ member  # for each row its kernel with all rows of a
    within_a, to_a = (member * of_a).sum(0), of_a.sum(0)
    across = to_a - within_a
    within_b = kernel.sum() - within_a - 2 * across
    return within_a / (n * (n - 1)) + within_b / (m * (m - 1)) - 2 * across / (n * m)


def classifier_test(a: Tensor, b: Tensor, seed: int = 0) -> TwoSampleTest:
    """The accuracy at which a classifier tells rows a (n, d) from rows b (m, d), on held-out rows, with its p-value.

    As many rows are used of each set, drawn by `seed`. On one half a nearest-neighbour classifier is trained, with the root of
    the number of its rows as neighbours, on columns brought to deviation 1; its accuracy is that on the other half. 0.5 is what
    equal distributions give (binomial, with variance 1/(4 n) for n held-out rows), 1 what wholly different ones do. The
    p-value is the probability that guessing is right as often. A classifier finds what it can: one that fails proves nothing.
    Raises `DataError` for unlike widths, fewer than 10 rows, or NaN.

    David Lopez-Paz and Maxime Oquab, Revisiting Classifier Two-Sample Tests, 2017.

    >>> z = torch.randn(600, 2, generator=torch.Generator().manual_seed(0))
    >>> classifier_test(z[:300], z[300:] + 10).distance
    Estimate(value=1.0, stderr=0.0, n=300, unit='share')
    """
    from scipy.stats import binom
    from sklearn.neighbors import KNeighborsClassifier
    from sklearn.preprocessing import StandardScaler

    a, b = _pair(a, b, seed)
    half = min(len(a), len(b)) // 2
    train, test = (torch.cat([a[part], b[part]]).cpu().numpy() for part in (slice(half), slice(half, 2 * half)))
    side = torch.arange(2 * half).ge(half).numpy()
    scaler = StandardScaler().fit(train)
    neighbours = max(1, int((2 * half) ** 0.5)) // 2 * 2 + 1  # an odd number has no ties
    classifier = KNeighborsClassifier(neighbours).fit(scaler.transform(train), side)
    hits = int((classifier.predict(scaler.transform(test)) == side).sum())
    return TwoSampleTest(share_estimate(hits, 2 * half), float(binom.sf(hits - 1, 2 * half, 0.5)))


def _pair(a: Tensor, b: Tensor, seed: int) -> tuple[Tensor, Tensor]:
    """At most 1,000 rows of each, in a random order."""
    a, b = finite_rows(a, "a", LEAST_ROWS), finite_rows(b, "b", LEAST_ROWS)
    same_width(a, b, "a and b")
    generator = torch.Generator().manual_seed(seed)
    a, b = (rows[torch.randperm(len(rows), generator=generator)[:MOST_ROWS]] for rows in (a, b))
    return a, b.to(a.device)
