"""Judge samples: how close they are to held-out events, how unlike each other, which modes they reach, what they copy."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from .core import ConfigError
from .data import Data
from .metrics import (
    FeatureExtractor,
    Memorisation,
    count_classes,
    count_modes,
    features_by,
    frechet_distance,
    inception_features,
    kernel_distance,
    memorisation,
    multiscale_similarity,
    precision_recall_density_coverage,
    sliced_wasserstein,
    train_channel_features,
    train_features,
)

LEAST_KERNEL = 20  # rows that a kernel distance needs
PICTURES, PATCHES, DIRECTIONS = 512, 16, 256  # of a sliced Wasserstein distance: 1 s for 28 × 28, 2 s for 3 × 64 × 64
PAIRS = 500  # of a multi-scale similarity
COPIES = 1_000  # samples whose nearest training events are looked for
MOST_VALUES = 50_000_000  # of training events among which they are looked for
SHOWN = 8  # samples that are most like a copy, for the report, each with its nearest training events
SIDE = 32  # pixels to which larger pictures are reduced for that

Features = str | Path | Callable[[Tensor], Tensor] | FeatureExtractor | None


@dataclass
class Copies:
    """Pictures of the samples that are most like copies, (rows, 1 + k, *event_shape): each, then its nearest training
    events."""

    rows: Tensor
    ratio: Tensor


class SampleJudge:
    """Judges samples against held-out events, in one feature space, by figures that suit the data.

    All data have the Fréchet and the kernel distance, precision, recall and coverage. Pictures have also the sliced Wasserstein
    distance (from 7 × 7 pixels on; 512 pictures, 16 patches of each, 256 directions), the multi-scale similarity of 500 pairs,
    and the share of copies among 1,000 samples. Modes are counted where they are known: of drawn mixtures by distance, of
    labelled pictures as classes by a small classifier; there a class is reached by a tenth of its share in the data, of stacked
    digits by a single sample.

    `features` are by default those of `metrics.train_features`; "inception" or the path of its weights, or a function of
    events.
    """

    def __init__(self, data: Data, train: Any, valid: Any, held_out: Tensor, seed: int, features: Features = None) -> None:
        self.data, self.seed, self.held_out = data, seed, held_out
        known = None if valid.label is None else (valid.x, valid.label)
        if data.channel_classes and train.label is not None:
            self.own = train_channel_features(train.x, train.label, data.channel_classes, known, seed)
        else:
            self.own = train_features(train.x, train.label, known, seed)
        self.extractor = _extractor(features) or self.own
        self.real_features = self.extractor.features(held_out)
        self.pictures = len(data.event_shape) == 3
        self._seen: Tensor | None = None
        self.shares = data.class_counts

    @property
    def names(self) -> list[str]:
        """The figures that the data allow."""
        found = ["frechet", "kernel", "precision", "recall", "coverage"]
        found += ["sliced_wasserstein"] if self.pictures and min(self.data.event_shape[1:]) >= 7 else []
        found += ["ms_ssim"] if self.pictures and min(self.data.event_shape[1:]) >= 4 else []
        found += ["copies"] if self.pictures else []
        return found + (["modes"] if self._counts else [])

    @property
    def _counts(self) -> bool:
        known = self.shares is not None and self.own.head is not None and int((self.shares > 0).sum()) > 2
        return self.data.modes is not None or (self.pictures and known)

    def judge(self, samples: Tensor, real: bool = False) -> tuple[dict[str, Any], Copies | None]:
        """The figures of samples (n, *event_shape), and pictures of what they may have copied.

        Of `real` events, the yardstick, the share of copies is that of held-out events.
        """
        features = self.extractor.features(samples)
        shares = precision_recall_density_coverage(self.real_features, features)
        figures: dict[str, Any] = {"frechet": frechet_distance(self.real_features, features, self.seed).as_dict()}
        if min(len(features), len(self.real_features)) >= LEAST_KERNEL:
            figures["kernel"] = kernel_distance(self.real_features, features, seed=self.seed).as_dict()
        figures |= {name: shares[name].as_dict() for name in ("precision", "recall", "coverage")}
        if "sliced_wasserstein" in self.names:
            figures["sliced_wasserstein"] = self._sliced(samples)
        if "ms_ssim" in self.names and len(samples) > 1:
            figures["ms_ssim"] = multiscale_similarity(samples, PAIRS, self.seed).as_dict()
        if self._counts:
            figures["modes"] = self.modes(samples)
        if not self.pictures:
            return figures, None
        found = self._memorisation(self.held_out if real else samples)
        figures["copies"] = found.copies.as_dict()
        return figures, None if real else self._shown(samples, found)

    def modes(self, samples: Tensor) -> dict[str, Any]:
        """How many modes or classes samples reach, of how many, with the divergence from equal shares or those of the data."""
        if self.data.modes is not None:
            counted = count_modes(samples, *self.data.modes)
            return {
                "captured": int(counted["modes"].value), "of": len(self.data.modes[0]), "kind": "modes", "n": len(samples),
                "high_quality": counted["high_quality"].as_dict(), "kl": counted["kl"].value,
            }  # fmt: skip
        if self.shares is None:
            raise ConfigError(f"{self.data.name} has no labels by which classes could be counted.")
        least = 0.0 if self.data.channel_classes else 0.1
        counted = count_classes(self.own.probabilities(samples).argmax(1), self.shares, least)
        of = int((self.shares > 0).sum())
        captured, kl = int(counted["modes"].value), counted["kl"].value
        return {"captured": captured, "of": of, "kind": "classes", "n": len(samples), "kl": kl}

    def _sliced(self, samples: Tensor) -> dict[str, Any]:
        levels = sliced_wasserstein(self.held_out[:PICTURES], samples[:PICTURES], PATCHES, DIRECTIONS, self.seed)
        return {**levels.pop("mean").as_dict(), "by_level": {name: level.value for name, level in levels.items()}}

    def _memorisation(self, samples: Tensor) -> Memorisation:
        return memorisation(_small(samples[:COPIES]), self._training_events())

    def _training_events(self) -> Tensor:
        """Small versions of as many training events as there is room for."""
        if self._seen is None:
            values = min(self.data.event_shape[1], SIDE) * min(self.data.event_shape[2], SIDE) * self.data.event_shape[0]
            count = min(len(self.data.train), MOST_VALUES // values)
            parts = torch.arange(count).split(2_000)
            self._seen = torch.cat([_small(self.data.train.rows(index).x) for index in parts])
        return self._seen

    def _shown(self, samples: Tensor, found: Memorisation) -> Copies:
        chosen = found.ratio.argsort()[:SHOWN]
        near = [self.data.train.rows(found.nearest[i]).x for i in chosen.tolist()]
        rows = [torch.cat([samples[i : i + 1], x]) for i, x in zip(chosen.tolist(), near, strict=True)]
        return Copies(torch.stack(rows), found.ratio[chosen])


def _small(x: Tensor) -> Tensor:
    height, width = x.shape[2:]
    if max(height, width) <= SIDE:
        return x
    return F.interpolate(x.float(), size=(min(height, SIDE), min(width, SIDE)), mode="area")


def _extractor(features: Features) -> FeatureExtractor | None:
    if features is None or isinstance(features, FeatureExtractor):
        return features
    if callable(features):
        return features_by(features)
    if str(features) in ("own", "classifier"):
        return None
    return inception_features(None if str(features) == "inception" else features)
