"""Anomaly detection: how well a score separates normal from anomalous events, and anomalies made from normal events."""

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from ..core import ConfigError, DataError, suggest
from .estimate import Estimate


def auroc(normal_scores: Tensor, anomalous_scores: Tensor) -> Estimate:
    """P(anomalous score > normal score) + P(tie) / 2, of scores (n,) and (m,) where higher = more anomalous.

    0.5 is chance and 1 perfect; the anomalous events are the positive class. The standard error is Hanley and McNeil's.
    Infinite scores are welcome (-ln p of an impossible event). Raises `DataError` where a score is NaN or a set empty.

    James Hanley and Barbara McNeil, The Meaning and Use of the Area under a ROC Curve, 1982.

    >>> auroc(torch.tensor([0.0, 1.0]), torch.tensor([1.0, 2.0])).value
    0.875
    """
    from sklearn.metrics import roc_auc_score

    positive, ranks = _ranked(normal_scores, anomalous_scores)
    area = float(roc_auc_score(positive, ranks))
    n, m = len(normal_scores), len(anomalous_scores)
    q1, q2 = area / (2 - area), 2 * area**2 / (1 + area)
    variance = (area * (1 - area) + (m - 1) * (q1 - area**2) + (n - 1) * (q2 - area**2)) / (n * m)
    return Estimate(area, math.sqrt(max(0.0, variance)), n + m, "probability")


def average_precision(normal_scores: Tensor, anomalous_scores: Tensor) -> Estimate:
    """Mean precision over the ranks of the anomalous events (the positive class), of scores (n,) and (m,).

    Chance is the prevalence m / (n + m), so values compare only at equal prevalence. Raises `DataError` as `auroc`.
    """
    from sklearn.metrics import average_precision_score

    positive, ranks = _ranked(normal_scores, anomalous_scores)
    return Estimate(float(average_precision_score(positive, ranks)), None, len(ranks), "mean precision")


def _ranked(normal: Tensor, anomalous: Tensor) -> tuple[Tensor, Tensor]:
    # Both measures depend on the order only; ranks keep it, and ties, where scores are infinite.
    scores = torch.cat([normal.detach().cpu().double(), anomalous.detach().cpu().double()])
    if len(normal) == 0 or len(anomalous) == 0 or bool(scores.isnan().any()):
        raise DataError(
            f"Anomaly scores expect numbers for normal and anomalous events, got {len(normal)} and {len(anomalous)} scores, "
            f"{int(scores.isnan().sum())} of them NaN: score events of both kinds with a model that has not diverged."
        )
    positive = torch.cat([torch.zeros(len(normal)), torch.ones(len(anomalous))])
    return positive, scores.unique(return_inverse=True)[1]


@dataclass(frozen=True)
class Corruption:
    """A way to make normal events anomalous that stays inside their support; `description` is one line for reports."""

    description: str
    apply: Callable[[Tensor, int | None, torch.Generator], Tensor]
    images_only: bool = False


def corrupt(x: Tensor, kind: str, levels: int | None = None, seed: int = 0) -> Tensor:
    """Events x, images (n, c, h, w) in [0, 1] or tables (n, columns), after the corruption `kind` of `CORRUPTIONS`.

    `levels=K` says that values are discrete: K grey levels of an image, integers in a table. The same seed gives the same
    events. Raises `ConfigError` for an unknown kind or one that does not fit the shape of x.
    """
    if kind not in CORRUPTIONS:
        raise ConfigError(f"No corruption is called {kind!r}: {suggest(kind, CORRUPTIONS)}.")
    if CORRUPTIONS[kind].images_only and x.ndim != 4:
        raise ConfigError(f"The corruption {kind!r} expects images (n, c, h, w), got {tuple(x.shape)}: use 'noise'.")
    return CORRUPTIONS[kind].apply(x, levels, torch.Generator().manual_seed(seed))


def corrupted(x: Tensor, levels: int | None = None, seed: int = 0) -> list[tuple[str, Tensor]]:
    """The standard test: x after each corruption that fits its shape, as (name, events)."""
    return [(kind, corrupt(x, kind, levels, seed)) for kind, c in CORRUPTIONS.items() if x.ndim == 4 or not c.images_only]


def _noise(x: Tensor, levels: int | None, generator: torch.Generator) -> Tensor:
    rows = x.flatten(1)
    dims = rows.shape[1]
    order = torch.rand(rows.shape, generator=generator)
    redrawn = (order <= order.kthvalue(math.ceil(dims / 10), dim=1, keepdim=True).values).to(x.device)
    uniform = torch.rand(rows.shape, generator=generator).to(rows)
    if x.ndim == 4:
        values = uniform if levels is None else (uniform * levels).floor() / (levels - 1)
    else:
        low, high = rows.amin(0), rows.amax(0)
        values = low + (uniform * (high - low) if levels is None else (uniform * (high - low + 1)).floor())
    return torch.where(redrawn, values, rows).view_as(x)


def _patch(x: Tensor, levels: int | None, generator: torch.Generator) -> Tensor:
    height, width = x.shape[2:]
    side = max(1, round(min(height, width) / 3))

    def inside(length: int) -> Tensor:
        start = torch.randint(length - side + 1, (len(x), 1), generator=generator)
        position = torch.arange(length)
        return ((position >= start) & (position < start + side)).to(x.device)

    mask = inside(height)[:, None, :, None] & inside(width)[:, None, None, :]
    return torch.where(mask, 1 - x, x)


def _quadrants(x: Tensor, levels: int | None, generator: torch.Generator) -> Tensor:
    height, width = x.shape[2:]
    h, w = height // 2, width // 2
    swapped = x.clone()
    swapped[:, :, :h, :w] = x[:, :, height - h :, width - w :]
    swapped[:, :, height - h :, width - w :] = x[:, :, :h, :w]
    return swapped


def _independent(x: Tensor, levels: int | None, generator: torch.Generator) -> Tensor:
    rows = x.flatten(1)
    order = torch.rand(rows.shape, generator=generator).argsort(dim=0).to(x.device)
    return rows.gather(0, order).view_as(x)


CORRUPTIONS: dict[str, Corruption] = {
    "noise": Corruption("a tenth of the values, at least one, redrawn uniformly from their range", _noise),
    "patch": Corruption("a square of a third of the side, at a random place, inverted (1 - x)", _patch, images_only=True),
    "quadrants": Corruption("the upper left and the lower right quarter exchanged", _quadrants, images_only=True),
    "independent": Corruption("each variable permuted over the events: marginals kept, dependence gone", _independent),
}
