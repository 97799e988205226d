"""What a representation is worth: a linear probe, nearest neighbours, a map in two dimensions."""

import warnings
from typing import Any

import torch
from torch import Tensor

from ..core import DataError
from .estimate import Estimate, share_estimate
from .rows import distance_blocks, finite_rows, same_width

PENALTIES = (1e-4, 1e-3, 1e-2, 1e-1, 1.0, 10.0)  # C of scikit-learn, the inverse of the L2 weight: strongest first
MOST_TRAINING_ROWS = 10_000


def linear_probe(
    train_features: Tensor,
    train_labels: Tensor,
    valid_features: Tensor,
    valid_labels: Tensor,
    test_features: Tensor,
    test_labels: Tensor,
    seed: int = 0,
) -> Estimate:
    """Test accuracy of a linear classifier on frozen features (n, f) with labels (n,): multinomial logistic regression.

    Features are standardised with the training moments, the L2 weight is the one with the best validation accuracy
    (the strongest among equals), and at most 10,000 training rows, drawn by `seed`, are used. Raises `DataError` where
    features are not finite, lengths differ, or the training labels are all the same.

    Guillaume Alain and Yoshua Bengio, Understanding intermediate layers using linear classifier probes, 2016.
    """
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression
    from sklearn.preprocessing import StandardScaler

    x, y = _labelled(train_features, train_labels, "train", seed)
    if len(set(y)) < 2:
        raise DataError("A linear probe expects at least two classes, got one in train_labels: probe labelled data.")
    scaler = StandardScaler().fit(x)
    x = scaler.transform(x)
    valid_x, valid_y = _labelled(valid_features, valid_labels, "valid")
    test_x, test_y = _labelled(test_features, test_labels, "test")
    valid_x, test_x = scaler.transform(valid_x), scaler.transform(test_x)
    classifier = LogisticRegression(max_iter=200, warm_start=True)
    best, hits = -1.0, 0
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # of separable classes: the accuracy has settled long before
        for c in PENALTIES:
            classifier.set_params(C=c).fit(x, y)
            accuracy = float(classifier.score(valid_x, valid_y))
            if accuracy > best:
                best, hits = accuracy, int((classifier.predict(test_x) == test_y).sum())
    return share_estimate(hits, len(test_y))


def nearest_neighbours(samples: Tensor, train: Tensor) -> tuple[Tensor, Tensor]:
    """For each sample (n, ...) the index (n,) of its nearest training event (m, ...) and the Euclidean distance (n,).

    The memorisation check: a model that copies has distances near 0, one that generalises has the distances of test
    events to training events. Raises `DataError` for unlike shapes, NaN, or an empty set.

    >>> nearest_neighbours(torch.tensor([[0.9]]), torch.tensor([[0.0], [1.0], [3.0]]))[0]
    tensor([1])
    """
    a, b = finite_rows(samples, "samples"), finite_rows(train, "train")
    same_width(a, b, "samples and train")
    b = b.to(a.device)
    index = torch.cat([distances.argmin(dim=1) for _, distances in distance_blocks(a, b, exact=False)])
    return index, (a - b[index]).norm(dim=1)


def map2d(z: Tensor) -> Tensor:
    """Vectors (n, d) as points (n, 2) for a picture: their first two principal components, or themselves where d = 2.

    One dimension gets a second coordinate of 0. Raises `DataError` for NaN or fewer than two rows.
    """
    from sklearn.decomposition import PCA

    rows = finite_rows(z, "z", at_least=2)
    if rows.shape[1] == 2:
        return z
    if rows.shape[1] == 1:
        return torch.cat([rows, torch.zeros_like(rows)], dim=1).to(z.dtype)
    return torch.from_numpy(PCA(n_components=2).fit_transform(rows.cpu().numpy())).to(z)


def _labelled(features: Tensor, labels: Tensor, name: str, seed: int | None = None) -> tuple[Any, Any]:
    rows = finite_rows(features, f"{name}_features")
    if len(rows) != len(labels):
        raise DataError(f"A linear probe expects a label per row, got {len(rows)} rows and {len(labels)} labels in {name}.")
    if seed is not None and len(rows) > MOST_TRAINING_ROWS:
        chosen = torch.randperm(len(rows), generator=torch.Generator().manual_seed(seed))[:MOST_TRAINING_ROWS]
        rows, labels = rows[chosen], labels[chosen]
    return rows.cpu().numpy(), labels.cpu().numpy()
