"""What clusters found without labels are worth: each gets a label by some rule, then errors are counted."""

import torch
from torch import Tensor

from ..core import DataError
from .estimate import Estimate, share_estimate
from .rows import check_rows


def cluster_labels(probabilities: Tensor, labels: Tensor) -> Tensor:
    """A label for each of K clusters, int64 (K,), from q(y | x) (n, K) and labels (n,) of held-out events.

    Cluster i gets the label of the event with the highest q(y_i | x). Raises `DataError` for NaN or unlike lengths.

    Adversarial Autoencoders, Alireza Makhzani, Jonathon Shlens, Navdeep Jaitly, Ian Goodfellow and Brendan Frey, 2016.

    >>> import torch
    >>> cluster_labels(torch.tensor([[0.9, 0.1], [0.2, 0.8], [0.6, 0.4]]), torch.tensor([7, 3, 3]))
    tensor([7, 3])
    """
    _check(probabilities, labels)
    return labels[probabilities.argmax(0)]


def majority_labels(probabilities: Tensor, labels: Tensor) -> Tensor:
    """The most frequent label of each of K clusters, int64 (K,), −1 of an empty one; of q(y | x) (n, K) and labels (n,).

    Several clusters may share a label. Raises `DataError` for NaN or unlike lengths.

    >>> majority_labels(torch.tensor([[0.9, 0.1, 0], [0.8, 0.2, 0], [0.6, 0.4, 0], [0, 1.0, 0]]), torch.tensor([1, 1, 0, 1]))
    tensor([ 1,  1, -1])
    """
    together = _counts(probabilities, labels)
    return torch.where(together.sum(1) > 0, together.argmax(1), -1)


def matched_labels(probabilities: Tensor, labels: Tensor) -> Tensor:
    """A label of its own for each of K clusters, int64 (K,), so that most events are right; −1 where labels do not suffice.

    Of q(y | x) (n, K) and labels (n,), by the assignment of Harold Kuhn, The Hungarian method for the assignment problem, 1955:
    the stricter rule, under which two clusters cannot stand for the same label. Raises `DataError` for NaN or unlike lengths.

    >>> matched_labels(torch.tensor([[0.9, 0.1], [0.8, 0.2], [0.6, 0.4], [0, 1.0]]), torch.tensor([1, 1, 0, 1]))
    tensor([1, 0])
    """
    from scipy.optimize import linear_sum_assignment

    together = _counts(probabilities, labels)
    clusters, matched = linear_sum_assignment(-together.numpy())
    names = torch.full((len(together),), -1)
    names[torch.from_numpy(clusters)] = torch.from_numpy(matched)
    return names


def _counts(probabilities: Tensor, labels: Tensor) -> Tensor:
    """How many events of each label, in columns, have each cluster as their most probable one, in rows."""
    _check(probabilities, labels)
    k, classes = probabilities.shape[1], int(labels.max()) + 1
    return torch.bincount(probabilities.argmax(1) * classes + labels, minlength=k * classes).view(k, classes)


def clustering_error(probabilities: Tensor, labels: Tensor, names: Tensor) -> Estimate:
    """The share of test events whose most probable cluster has another label, of q(y | x) (n, K) and labels (n,).

    `names` (K,) are the labels of the clusters, chosen on other events by `cluster_labels`, `majority_labels` or
    `matched_labels`.

    >>> import torch
    >>> q = torch.tensor([[0.9, 0.1], [0.2, 0.8]])
    >>> clustering_error(q, torch.tensor([7, 7]), names=torch.tensor([7, 3]))
    Estimate(value=0.5, stderr=0.3535533905932738, n=2, unit='share')
    """
    _check(probabilities, labels)
    if names.shape != probabilities.shape[1:]:
        raise DataError(f"names expects a label for each of {probabilities.shape[1]} clusters, got {tuple(names.shape)}.")
    wrong = int((names[probabilities.argmax(1)] != labels).sum())
    return share_estimate(wrong, len(labels))


def _check(probabilities: Tensor, labels: Tensor) -> None:
    check_rows(probabilities, "probabilities")
    if probabilities.ndim != 2 or labels.shape != (len(probabilities),) or labels.is_floating_point():
        raise DataError(
            f"Clusters expect probabilities (n, K) and an integer for each event, got {tuple(probabilities.shape)} "
            f"and {tuple(labels.shape)} {labels.dtype}."
        )
