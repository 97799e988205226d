"""How many of the data's modes samples reach while an adversarial model trains."""

from typing import Any

import torch
from torch import Tensor

from ..core import GenerativeModel, Samples
from ..data import Data
from ..metrics import FeatureExtractor, count_classes, count_modes, train_channel_features, train_features

POINTS = 2_500  # samples for modes that are known, as in the papers
PICTURES, PER_CLASS = 500, 5  # samples that are classified: so many, or so many for each class
ROWS = 10_000  # of the training split, for the classifier
EXAMPLES, STACKED_EXAMPLES = 6_400, 25_600  # draws of them that it sees; an error in one of three channels spoils all


class ModeCounter:
    """Counts modes of samples drawn from fixed noise: of a drawn mixture by distance, of labelled pictures by a classifier.

    The classifier is that of `metrics.train_features`, trained once, when first needed: about 4 s of one core for 28 × 28
    pictures, 2 s for 8 × 8, 15 s for stacked MNIST; it is right of 95 % of MNIST's digits. A class is reached where it has a
    tenth of its share in the data, of stacked digits where a sample is in it. A count takes what drawing 2,500 points, or
    drawing and classifying 500 pictures (5,000 of 1,000 stacked classes), takes. Nothing is counted elsewhere: `kind` is then
    None.
    """

    def __init__(self, model: GenerativeModel, data: Data, seed: int) -> None:
        self.model, self.data, self.seed = model, data, seed
        self.kind: str | None = None
        self._classifier: tuple[FeatureExtractor, Tensor] | None = None
        label = data.train.label
        if not isinstance(model, Samples) or model.event_shape != data.event_shape:
            return
        if data.modes is not None:
            self.kind = "modes"
        elif len(data.event_shape) == 3 and label is not None and len(label[label >= 0].unique()) > 2:
            self.kind = "classes"

    @torch.no_grad()
    def count(self) -> dict[str, float]:
        """Figures of the model as it is: `modes/reached`, `modes/of`, `modes/kl`, `modes/high_quality`, or those of classes."""
        if self.kind is None or not isinstance(self.model, Samples):
            return {}
        training = self.model.training
        self.model.eval()
        generator = torch.Generator(self.model.device).manual_seed(self.seed)
        n = POINTS if self.data.modes is not None else max(PICTURES, PER_CLASS * len(self._trained()[1]))
        x = self.model.sample(n, generator=generator).float().cpu()
        self.model.train(training)
        if not bool(x.isfinite().all()):
            return {}
        if self.data.modes is not None:
            centres, sigma = self.data.modes
            counted, of = count_modes(x, centres, sigma), len(centres)
        else:
            classifier, shares = self._trained()
            least = 0.0 if self.data.channel_classes else 0.1
            counted, of = count_classes(classifier.probabilities(x).argmax(1), shares, least), int((shares > 0).sum())
        return {f"{self.kind}/of": of} | {f"{self.kind}/{_NAMES[key]}": figure.value for key, figure in counted.items()}

    def _trained(self) -> tuple[FeatureExtractor, Tensor]:
        """The classifier, and how many rows of the training split are of each class."""
        if self._classifier is None:
            split = self.data.train
            label = torch.zeros(len(split), dtype=torch.long) if split.label is None else split.label
            known = (label >= 0).nonzero().flatten()
            order = torch.randperm(len(known), generator=torch.Generator().manual_seed(self.seed))[:ROWS]
            rows = known[order]
            options: dict[str, Any] = {"seed": self.seed, "most_examples": EXAMPLES}
            if self.data.channel_classes:
                options |= {"classes": self.data.channel_classes, "most_examples": STACKED_EXAMPLES}
            train = train_channel_features if self.data.channel_classes else train_features
            counts = self.data.class_counts
            shares = label[known].bincount() if counts is None else counts
            self._classifier = train(split.rows(rows).x, label[rows], **options), shares
        return self._classifier


_NAMES = {"modes": "reached", "high_quality": "high_quality", "kl": "kl"}
