"""What labels do in an autoencoder: which arguments go together, and the labels of a batch."""

import torch.nn.functional as F
from torch import Tensor

from ..core import Batch, ConfigError, suggest

SUPERVISIONS = ("none", "prior", "classes", "style")


def check_supervision(supervision: str, categories: int, classes: int | None, parts: int) -> tuple[int, int | None]:
    """The number of categories of the encoder, and that of labels; `ConfigError` where arguments do not go together.

    `parts` is the number of parts of the prior that labels can name.

    >>> check_supervision("classes", 0, 10, 0), check_supervision("none", 16, None, 0)
    ((10, 10), (16, None))
    """
    if supervision not in SUPERVISIONS:
        raise ConfigError(f"supervision={supervision!r} is unknown: {suggest(supervision, SUPERVISIONS)}.")
    for name, value, least in (("categories", categories, 0), ("classes", 1 if classes is None else classes, 1)):
        if value < least:
            raise ConfigError(f"{name} must be at least {least}, got {value}.")
    if supervision == "none":
        if classes is not None and not parts:
            raise ConfigError(f"classes={classes} has no use with supervision='none' and this prior: leave it out.")
        return categories, None
    if supervision == "prior":
        classes = _classes_of_prior(classes, parts)
    elif classes is None:
        raise ConfigError(f"supervision={supervision!r} needs classes, the number of labels: give it, as classes=10.")
    if supervision == "classes" and categories in (0, classes):
        return classes, classes
    if categories:
        raise ConfigError(
            f"categories={categories} does not go with supervision={supervision!r} and classes={classes}: leave categories "
            "out, or use supervision='none' for clusters."
        )
    return 0, classes


def _classes_of_prior(classes: int | None, parts: int) -> int:
    if not parts:
        raise ConfigError(
            "supervision='prior' needs a prior with parts: 'mixture', 'swiss_roll', or a pair of arrays, samples and labels."
        )
    if classes not in (None, parts):
        raise ConfigError(f"classes={classes} does not fit the prior, which has {parts} parts: leave it out.")
    return parts


def labels_of(batch: Batch, classes: int, supervision: str) -> Tensor:
    """The labels of a batch, int64 (n,), −1 where not known; `ConfigError` where there are none or they are others."""
    if batch.label is None:
        raise ConfigError(
            f"supervision={supervision!r} needs labels, and the data have none: name their column (label=...), or use "
            "supervision='none'."
        )
    low, high = int(batch.label.min()), int(batch.label.max())
    if low < -1 or high >= classes:
        raise ConfigError(
            f"labels must be 0..{classes - 1}, or −1 where not known, for classes={classes}, got {low if low < -1 else high}: "
            "build the model with as many classes as the data have."
        )
    return batch.label


def rows_without_label(batch: Batch) -> Tensor:
    """The events without a label (−1) where there are such, as in data with few labels, whose other rows repeat; else all."""
    unlabelled = None if batch.label is None else batch.label < 0
    return batch.x if unlabelled is None or not bool(unlabelled.any()) else batch.x[unlabelled]


def one_hot(label: Tensor, width: int, like: Tensor) -> Tensor:
    """Labels (n,) as rows (n, width) with a single 1, in the precision of `like`.

    >>> import torch
    >>> one_hot(torch.tensor([2, 0]), 3, torch.zeros(()))
    tensor([[0., 0., 1.],
            [1., 0., 0.]])
    """
    return F.one_hot(label, width).to(like)
