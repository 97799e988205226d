"""Mode counting: does a model of a mixture visit every component?"""

import math

from torch import Tensor

from ..core import ConfigError, DataError
from .estimate import Estimate, share_estimate
from .rows import distance_blocks, finite_rows, same_width

LEAST_SHARE = 1e-6  # of a class that data lack, in a KL divergence from them


def count_modes(samples: Tensor, centres: Tensor, sigma: float) -> dict[str, Estimate]:
    """Modes captured, share of high-quality samples and KL to uniform, of samples (n, d) against centres (K, d).

    A sample is of high quality within 3 sigma of its nearest centre; a mode is captured when it is nearest to at least
    one such sample. Perfect samples in two dimensions reach 1 - exp(-4.5) = 98.89 %, not 100 %. "kl" compares the counts
    of all samples by nearest centre with equal counts. Raises `DataError` for samples that are not finite rows.

    Akash Srivastava et al., VEEGAN: Reducing Mode Collapse in GANs using Implicit Variational Learning, 2017.

    >>> import torch
    >>> centres = torch.tensor([[0.0, 0.0], [4.0, 0.0]])
    >>> {name: e.value for name, e in count_modes(centres[:1].expand(10, 2), centres, sigma=0.1).items()}
    {'modes': 1.0, 'high_quality': 1.0, 'kl': 0.6931471805599453}
    """
    if not sigma > 0:
        raise ConfigError(f"count_modes expects sigma > 0, got {sigma}: pass the standard deviation of one mode.")
    rows, targets = finite_rows(samples, "samples"), finite_rows(centres, "centres").to(samples.device)
    same_width(rows, targets, "samples and centres")
    n, k = len(rows), len(targets)
    all_counts, good_counts = rows.new_zeros(k), rows.new_zeros(k)
    for _, distances in distance_blocks(rows, targets):
        nearest = distances.min(dim=1)
        all_counts += nearest.indices.bincount(minlength=k)
        good_counts += nearest.indices[nearest.values <= 3 * sigma].bincount(minlength=k)
    return {
        "modes": Estimate(float((good_counts > 0).sum()), None, n, f"modes of {k}"),
        "high_quality": share_estimate(int(good_counts.sum()), n),
        "kl": Estimate(kl_to_uniform(all_counts), None, n, "nats"),
    }


def count_classes(classes: Tensor, shares: Tensor, least: float = 0.0) -> dict[str, Estimate]:
    """Classes that samples reach, of a class for each, int64 (n,), and KL(their shares || those of data), shares (K,).

    `shares` are the data's, or counts in proportion to them; a class without any is not looked for, and
    samples in it count as in one of a millionth, so that KL stays finite. A class is reached where it has more than `least`
    times its share in the data, by default where a single sample falls into it, as on stacked MNIST; where a classifier may
    err, a tenth is the better question. Perfect sampling gives a KL of about (K − 1) / (2 n), not 0: for
    1,000 equal classes and 26,000 samples 0.0193 nats. Raises `DataError` for classes outside 0..K − 1 or none at all.

    >>> import torch
    >>> {name: e.value for name, e in count_classes(torch.tensor([0, 0, 2, 2]), torch.ones(4)).items()}
    {'modes': 2.0, 'kl': 0.6931471805599453}
    """
    n, k = len(classes), len(shares)
    if n == 0 or classes.is_floating_point() or int(classes.min()) < 0 or int(classes.max()) >= k:
        raise DataError(f"count_classes expects a class in 0..{k - 1} for each sample, got {n} of {classes.dtype}: check them.")
    counts = classes.cpu().bincount(minlength=k).double()
    expected = shares.cpu().double() / shares.sum().item()
    least_share = expected.clamp(min=LEAST_SHARE)
    reached = (counts / n > least * expected) & (expected > 0)
    found = counts > 0
    kl = (counts[found] / n * (counts[found] / n / least_share[found]).log()).sum().item()
    of = int((expected > 0).sum())
    return {
        "modes": Estimate(float(reached.sum()), None, n, f"classes of {of}"),
        "kl": Estimate(max(0.0, kl), None, n, "nats"),
    }


def kl_to_uniform(counts: Tensor) -> float:
    """KL(observed shares || uniform) in nats, of counts per mode (K,): 0 for equal counts, ln K where one mode has all.

    Perfect sampling of n events gives about (K - 1) / (2 n), not 0.

    >>> import torch
    >>> kl_to_uniform(torch.tensor([5, 5]))
    0.0
    """
    share = counts.double() / counts.sum()
    return max(0.0, math.log(len(counts)) + (share * share.clamp(min=1e-300).log()).sum().item())
