"""Whether each feature of a code stands for one known factor: information gap, and the scores of β-VAE and FactorVAE.

All need the true factors of the events, as in drawn pictures: whole numbers (n, k), a column for each factor.
"""

import math
import warnings
from dataclasses import dataclass

import torch
from torch import Tensor

from ..core import ConfigError, DataError
from .estimate import Estimate, share_estimate
from .rows import BLOCK_ENTRIES, finite_rows

MOST_ROWS = 10_000  # events that the sampled gap takes, and samples of their codes
TRAIN_BATCHES, TEST_BATCHES = 2_000, 1_000  # examples that the scores' classifiers learn from and are judged on


@dataclass(frozen=True)
class InformationGap:
    """A mutual information gap and what it is made of.

    `value` is the mean of `by_factor` (k,), each at most 1; `information` (d, k) holds the mutual information of each code
    dimension with each factor and `entropy` (k,) the factors' entropies, in nats; `n` is the number of codes behind it.
    """

    value: float
    by_factor: Tensor
    information: Tensor
    entropy: Tensor
    n: int


def mutual_information_gap(
    codes: Tensor, factors: Tensor, bins: int = 20, log_variance: Tensor | None = None, seed: int = 0
) -> InformationGap:
    """MIG: the mean over factors v of [I(z_(1); v) − I(z_(2); v)] / H(v), of the two code dimensions that know most of v.

    1 where each factor has a dimension to itself, 0 where two dimensions know equally much of it, or none knows anything.
    A code of one dimension has a second with no information. `codes` are (n, d), `factors` whole numbers (n, k).

    Without `log_variance` the information is that of a histogram: each dimension is cut into `bins` of equal width between
    its extremes. It knows no scale, so a dimension that hardly moves counts as much as any other. For unrelated z and v it
    is not 0 but about (bins − 1)(values − 1) / 2n nats; the gap of two such dimensions is smaller.

    With `log_variance` (n, d), `codes` are the means of Gaussian q(z | x), z is sampled from them (10,000 draws by `seed`,
    over at most 10,000 events), and I(z_j; v) is the mean of ln q(z_j | v) − ln q(z_j), both averaged over the events.
    This is the paper's estimate: a dimension that drowns in its own noise tells nothing. Where that noise is smaller than
    the distances between the codes of events, every event can be told from every other, and I(z_j; v) nears H(v) whatever
    z_j means: more events are needed then.

    Raises `DataError` where rows are not finite or not alike, or a factor has one value; `ConfigError` for bins < 2.

    Chen, Li, Grosse, Duvenaud, Isolating Sources of Disentanglement in Variational Autoencoders, 2018.

    >>> factors = torch.cartesian_prod(torch.arange(3), torch.arange(4))
    >>> mutual_information_gap(factors.double(), factors).value
    1.0
    """
    if bins < 2:
        raise ConfigError(f"bins must be at least 2, got {bins}: each code dimension is cut into so many.")
    z, values = finite_rows(codes, "codes").cpu(), _factors(factors, len(codes))
    if log_variance is None:
        n, information = len(z), _histogram_information(z, values, bins)
    else:
        spread = finite_rows(log_variance, "log_variance").cpu()
        if spread.shape != z.shape:
            raise DataError(f"log_variance expects the shape of codes, {tuple(z.shape)}, got {tuple(spread.shape)}.")
        chosen = _generator(seed)
        if len(z) > MOST_ROWS:
            rows = torch.randperm(len(z), generator=chosen)[:MOST_ROWS]
            z, spread, values = z[rows], spread[rows], _factors(values[rows], MOST_ROWS)
        n, information = MOST_ROWS, _sampled_information(z, spread, values, chosen)
    entropy = torch.stack([_entropy(column.bincount()) for column in values.T])
    top = torch.cat([information, torch.zeros(1, information.shape[1], dtype=z.dtype)]).topk(2, dim=0).values
    by_factor = (top[0] - top[1]) / entropy
    return InformationGap(by_factor.mean().item(), by_factor, information, entropy, n)


def beta_vae_score(
    codes: Tensor, factors: Tensor, test_codes: Tensor, test_factors: Tensor, pairs: int = 64, seed: int = 0
) -> Estimate:
    """Accuracy at telling which factor pairs of events share, by a linear classifier on their mean |z₁ − z₂|: β-VAE's score.

    An example is the mean over `pairs` pairs, all of which share the value of one factor and are drawn at random otherwise,
    with that factor as its class; chance is 1/k. The classifier, a logistic regression, learns from 2,000 examples of
    (`codes`, `factors`) and is judged on 1,000 of (`test_codes`, `test_factors`). Codes are brought to unit deviation first,
    and a dimension that does not vary is left out. The standard error is that of drawing examples, not of training models.

    The classifier may combine dimensions, and knows the last factor by the absence of the others: a code that lacks one
    factor can still reach 1. Raises `DataError` where rows are not finite or not alike, or a factor has one value.

    Higgins et al., beta-VAE: Learning Basic Visual Concepts with a Constrained Variational Framework, 2017.

    >>> factors = torch.cartesian_prod(torch.arange(4), torch.arange(4))
    >>> beta_vae_score(factors.double(), factors, factors.double(), factors).value
    1.0
    """
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression

    z, values, test_z, test_values = _alike(codes, factors, test_codes, test_factors, pairs)
    noise = _generator(seed)
    x, y = _differences(z, values, pairs, TRAIN_BATCHES, noise)
    test_x, test_y = _differences(test_z, test_values, pairs, TEST_BATCHES, noise)
    classifier = LogisticRegression(C=10.0, max_iter=500)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # of separable classes: the accuracy has settled long before
        classifier.fit(x.numpy(), y.numpy())
    return share_estimate(int((torch.from_numpy(classifier.predict(test_x.numpy())) == test_y).sum()), TEST_BATCHES)


def factor_vae_score(
    codes: Tensor, factors: Tensor, test_codes: Tensor, test_factors: Tensor, rows: int = 64, seed: int = 0
) -> Estimate:
    """Accuracy at telling which factor a set of events shares, by the one dimension that varies least: FactorVAE's score.

    An example is the dimension with the least variance over `rows` events that share the value of one factor, in units of
    its variance over all events. Each dimension stands for the factor that it was most often the least varying for, in
    2,000 sets of (`codes`, `factors`); judged on 1,000 of (`test_codes`, `test_factors`). Chance is 1/k. Nothing is fitted
    that could combine dimensions. Raises what `beta_vae_score` raises.

    Kim and Mnih, Disentangling by Factorising, 2018.
    """
    z, values, test_z, test_values = _alike(codes, factors, test_codes, test_factors, rows)
    noise, k = _generator(seed), values.shape[1]
    least, y = _least_varying(z, values, rows, TRAIN_BATCHES, noise)
    test_least, test_y = _least_varying(test_z, test_values, rows, TEST_BATCHES, noise)
    votes = torch.bincount(least * k + y, minlength=z.shape[1] * k).view(-1, k)
    return share_estimate(int((votes.argmax(1)[test_least] == test_y).sum()), TEST_BATCHES)


def _generator(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def _factors(factors: Tensor, n: int, name: str = "factors") -> Tensor:
    """Factors (n, k) with the values of each numbered from 0, or a `DataError` that says what is amiss."""
    if factors.ndim != 2 or len(factors) != n or factors.is_floating_point() or factors.shape[1] == 0:
        raise DataError(
            f"{name} expects whole numbers of shape ({n}, factors), a row for each code, got {factors.dtype} of shape "
            f"{tuple(factors.shape)}."
        )
    values = torch.stack([column.unique(return_inverse=True)[1] for column in factors.cpu().T], 1)
    constant = (values.amax(0) == 0).nonzero().flatten().tolist()
    if constant:
        raise DataError(f"{name} expects at least two values of each factor, got one in column {constant[0]}: leave it out.")
    return values


def _alike(codes: Tensor, factors: Tensor, test_codes: Tensor, test_factors: Tensor, size: int) -> tuple[Tensor, ...]:
    """Codes in units of the first ones' deviation, without dimensions that do not vary, and numbered factors."""
    if size < 1:
        raise ConfigError(f"an example needs at least 1 pair or row, got {size}: 64 is usual.")
    z, test_z = finite_rows(codes, "codes", 2).cpu(), finite_rows(test_codes, "test_codes", 2).cpu()
    values, test_values = _factors(factors, len(z)), _factors(test_factors, len(test_z), "test_factors")
    if z.shape[1] != test_z.shape[1] or values.shape[1] != test_values.shape[1]:
        raise DataError(
            f"codes and test_codes expect the same dimensions and factors, got {z.shape[1]} and {test_z.shape[1]} dimensions, "
            f"{values.shape[1]} and {test_values.shape[1]} factors."
        )
    moves = (z != z[0]).any(0)
    moves[0] |= not bool(moves.any())  # a code that says nothing is judged by one dimension that does not vary
    deviation = z[:, moves].std(0)
    scale = torch.where(deviation > 0, deviation, 1.0)
    return z[:, moves] / scale, values, test_z[:, moves] / scale, test_values


def _histogram_information(z: Tensor, values: Tensor, bins: int) -> Tensor:
    """I(bin of z_j; v_k) in nats for all j and k, (d, k), of the empirical distribution."""
    low, high = z.amin(0), z.amax(0)
    width = torch.where(high > low, high - low, 1.0)
    binned = ((z - low) / width * bins).long().clamp(max=bins - 1)
    rows = [[_plug_in_information(column, v) for v in values.T] for column in binned.T]
    return torch.tensor(rows, dtype=z.dtype)


def _plug_in_information(a: Tensor, b: Tensor) -> float:
    """H(a) + H(b) − H(a, b) of two columns of small whole numbers, in nats."""
    joint = a * (int(b.max()) + 1) + b
    together = _entropy(a.bincount()) + _entropy(b.bincount()) - _entropy(joint.bincount())
    return max(0.0, float(together))  # rounding may leave -1e-16


def _entropy(counts: Tensor) -> Tensor:
    """−Σ p ln p in nats of p in proportion to the counts."""
    p = counts.double() / counts.sum()
    return -torch.special.xlogy(p, p).sum()


def _sampled_information(mean: Tensor, log_variance: Tensor, values: Tensor, noise: torch.Generator) -> Tensor:
    """E[ln q(z_j | v_k) − ln q(z_j)] over draws of events and of z from q(z | x), (d, k), in nats."""
    n, (d, k) = len(mean), (mean.shape[1], values.shape[1])
    rows = torch.randperm(n, generator=noise).repeat(math.ceil(MOST_ROWS / n))[:MOST_ROWS]  # each as often as any other
    z = mean[rows] + (0.5 * log_variance[rows]).exp() * torch.randn(MOST_ROWS, d, dtype=mean.dtype, generator=noise).to(mean)
    counts = [column.bincount() for column in values.T]
    first = torch.tensor([0, *(len(c) for c in counts)]).cumsum(0)[:-1]
    shares = torch.zeros(n, int(sum(len(c) for c in counts)), dtype=mean.dtype)
    for column, count, start in zip(values.T, counts, first.tolist(), strict=True):
        shares[torch.arange(n), start + column] = 1 / count[column].to(mean)
    information = torch.zeros(d, k, dtype=mean.dtype)
    for j in range(d):
        for block in torch.arange(MOST_ROWS).split(max(1, BLOCK_ENTRIES // n)):
            log_q = -0.5 * ((z[block, j, None] - mean[:, j]).square() * (-log_variance[:, j]).exp() + log_variance[:, j])
            q = (log_q - log_q.amax(1, keepdim=True)).exp()  # factors that the logarithms share cancel
            given = (q @ shares).gather(1, first + values[rows[block]])
            information[j] += (given.log() - q.mean(1, keepdim=True).log()).sum(0)
    return (information / MOST_ROWS).clamp(min=0)


def _differences(z: Tensor, values: Tensor, pairs: int, batches: int, noise: torch.Generator) -> tuple[Tensor, Tensor]:
    """Mean |z₁ − z₂| (batches, d) over pairs that share one factor, and which factor that is (batches,)."""
    y = torch.randint(values.shape[1], (batches,), generator=noise)
    x = torch.empty(batches, z.shape[1], dtype=z.dtype)
    for factor, column in enumerate(values.T):
        which = (y == factor).nonzero().flatten()
        one = torch.randint(len(z), (len(which), pairs), generator=noise)
        other = _partners(column, one, noise)
        for batch, a, b in zip(which.split(100), one.split(100), other.split(100), strict=True):  # so that little is held
            x[batch] = (z[a] - z[b]).abs().mean(1)
    return x, y


def _partners(column: Tensor, rows: Tensor, noise: torch.Generator) -> Tensor:
    """For each of `rows` another row with the same value in `column`; itself where there is no other."""
    order = column.argsort(stable=True)
    count = column.bincount()
    start = count.cumsum(0) - count
    place = torch.empty_like(order)
    place[order] = torch.arange(len(order)) - start[column[order]]
    value = column[rows]
    step = 1 + (torch.rand(rows.shape, generator=noise, dtype=torch.float64) * (count[value] - 1)).long()
    return order[start[value] + (place[rows] + step) % count[value]]


def _least_varying(z: Tensor, values: Tensor, rows: int, batches: int, noise: torch.Generator) -> tuple[Tensor, Tensor]:
    """The dimension that varies least over rows sharing one factor (batches,), and which factor that is (batches,)."""
    y = torch.randint(values.shape[1], (batches,), generator=noise)
    anchor = torch.randint(len(z), (batches,), generator=noise)
    least = torch.empty(batches, dtype=torch.long)
    for i, (factor, row) in enumerate(zip(y.tolist(), anchor.tolist(), strict=True)):
        alike = (values[:, factor] == values[row, factor]).nonzero().flatten()
        chosen = alike[torch.randint(len(alike), (rows,), generator=noise)]
        least[i] = z[chosen].var(0, correction=0).argmin()  # z is in units of its deviation over all events
    return least, y
