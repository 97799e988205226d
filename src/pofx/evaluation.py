"""Judge a model on the three uses of p(x): generation, density, representation."""

import statistics
import time
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from .core import (
    ApproximateDensity,
    Capability,
    CapabilityError,
    Encodes,
    GenerativeModel,
    Samples,
    ScoresAnomalies,
    TractableDensity,
    density,
    levels_of,
    require,
)
from .data import Data
from .factors import FactorJudge
from .generation import Copies, Features, SampleJudge
from .metrics import (
    CORRUPTIONS,
    Estimate,
    FeatureExtractor,
    auroc,
    bits_per_dim,
    corrupted,
    linear_probe,
    mean_estimate,
)
from .scoring import BOUND_SAMPLES, in_blocks

MOST_ROWS = 5_000  # events judged, of the test split and of samples
PROBE_ROWS = 10_000  # training events a probe sees
MOST_CLASSES = 100  # that a probe predicts


@dataclass
class Judgement:
    """The figures of one model (a part of report.json) and the arrays that pictures are made of."""

    figures: dict[str, Any]
    samples: Tensor | None = None
    log_likelihood: Tensor | None = None
    codes: Tensor | None = None
    why: dict[str, str] = field(default_factory=dict)
    copies: Copies | None = None


class Judge:
    """Judges models on one data set, each by the same held-out events, features and corruptions.

    Density, anomalies and the probe are judged on the test split. Samples are compared with as many held-out events
    (validation and test together), by the figures of `generation.SampleJudge`, in its `features`: by default those of
    `metrics.train_features`, else "inception", the path of its weights, or a function of events. At most 5,000 events are used
    of each.
    """

    def __init__(self, data: Data, seed: int = 0, features: Features = None) -> None:
        self.data, self.seed = data, seed
        self.train, self.labelled = _parts(data.train, PROBE_ROWS, seed)
        self.valid, self.test = _some(data.valid, MOST_ROWS, seed), _some(data.test, MOST_ROWS, seed)
        self.held_out = torch.cat([self.valid.x, self.test.x])[:MOST_ROWS]
        self.sample_judge = SampleJudge(data, self.labelled, self.valid, self.held_out, seed, features)
        self.corrupted = dict(corrupted(self.test.x, levels_of(data.support), seed))
        self.factors = FactorJudge.for_data(data, seed)

    @property
    def extractor(self) -> FeatureExtractor:
        """The features in which samples are compared."""
        return self.sample_judge.extractor

    @property
    def real_features(self) -> Tensor:
        """The features of the held-out events."""
        return self.sample_judge.real_features

    def describe(self) -> dict[str, Any]:
        """What report.json says of the data: how figures are made, and what real data and raw pixels would reach."""
        rows = self.train.x[: len(self.held_out)]
        raw = self.probe(*(split.x.flatten(1) for split in (self.labelled, self.valid, self.test))) if self._labels else None
        return {
            "name": self.data.name,
            "description": self.data.description,
            "event_shape": list(self.data.event_shape),
            "features": self.extractor.description,
            "feature_accuracy": _plain(self.extractor.accuracy),
            "classifier": self.sample_judge.own.description,
            "corruptions": {name: CORRUPTIONS[name].description for name in self.corrupted},
            "raw_probe_accuracy": _plain(raw),
            "real": self.sample_judge.judge(rows, real=True)[0],
        }

    @torch.no_grad()
    def judge(self, model: GenerativeModel) -> Judgement:
        """Everything that the model's capabilities allow; what they do not allow is None, with a sentence in "why"."""
        model.eval()
        judgement = Judgement({"density": density(model), "parameters": model.parameter_count()})
        with torch.random.fork_rng():
            torch.manual_seed(self.seed)
            self._judge_density(model, judgement)
            self._judge_samples(model, judgement)
            self._judge_anomalies(model, judgement)
            self._judge_codes(model, judgement)
        judgement.figures["why"] = judgement.why
        return judgement

    def _judge_density(self, model: GenerativeModel, judgement: Judgement) -> None:
        figures, why = judgement.figures, judgement.why
        figures["log_likelihood"] = figures["bits_per_dim"] = None
        if not isinstance(model, TractableDensity | ApproximateDensity):
            why["log_likelihood"] = why["bits_per_dim"] = _refusal(model, TractableDensity)
            return
        exact = isinstance(model, TractableDensity)
        score = model.log_prob if isinstance(model, TractableDensity) else lambda x: model.elbo(x, BOUND_SAMPLES)
        judgement.log_likelihood = in_blocks(score, self.test.x, model)
        estimate = mean_estimate(judgement.log_likelihood, "nats")
        kind = {"kind": "exact"} if exact else {"kind": "lower bound", "samples": BOUND_SAMPLES}
        figures["log_likelihood"] = {**estimate.as_dict(), **kind}
        if self.data.dequantized or (levels_of(self.data.support) and levels_of(model.support)):
            figures["bits_per_dim"] = bits_per_dim(estimate, model.dims, self.data.dequantized).as_dict()
        else:
            why["bits_per_dim"] = (
                f"{model.name} has a density of real values here, which depends on their unit: load the data with "
                "dequantize=True for bits per dimension."
            )

    def _judge_samples(self, model: GenerativeModel, judgement: Judgement) -> None:
        figures, why = judgement.figures, judgement.why
        names = [*self.sample_judge.names, "samples_per_second"]
        figures.update(dict.fromkeys(names))
        if not isinstance(model, Samples):
            why.update(dict.fromkeys(names, _refusal(model, Samples)))
            return
        generator = torch.Generator(model.device).manual_seed(self.seed)
        judgement.samples = model.sample(len(self.held_out), generator=generator).float().cpu()
        figures["samples_per_second"] = _samples_per_second(model, len(self.held_out))
        found, judgement.copies = self.sample_judge.judge(judgement.samples)
        figures.update(found)
        if figures["kernel"] is None:
            count = len(self.held_out)
            why["kernel"] = f"a kernel distance needs at least 20 held-out events, and {self.data.name} has {count}."

    def _judge_anomalies(self, model: GenerativeModel, judgement: Judgement) -> None:
        judgement.figures["anomaly_auroc"] = None
        if not isinstance(model, ScoresAnomalies):
            judgement.why["anomaly_auroc"] = _refusal(model, ScoresAnomalies)
            return
        normal = in_blocks(model.anomaly_score, self.test.x, model)
        scores = {name: in_blocks(model.anomaly_score, x, model) for name, x in self.corrupted.items()}
        figure = auroc(normal, torch.cat(list(scores.values()))).as_dict()
        figure["by_corruption"] = {name: auroc(normal, values).value for name, values in scores.items()}
        judgement.figures["anomaly_auroc"] = figure

    def _judge_codes(self, model: GenerativeModel, judgement: Judgement) -> None:
        names = ["probe_accuracy", *(["disentanglement"] if self.factors else [])]
        judgement.figures.update(dict.fromkeys(names))
        if not isinstance(model, Encodes):
            judgement.why.update(dict.fromkeys(names, _refusal(model, Encodes)))
            return
        judgement.codes = in_blocks(model.encode, self.test.x, model)
        if self.factors:
            judgement.figures["disentanglement"] = self.factors.judge(model)
        if not self._labels:
            many = f"{len(self.sample_judge.shares)} classes, too many" if self.sample_judge.shares is not None else "no labels"
            judgement.why["probe_accuracy"] = f"{self.data.name} has {many} for a probe to predict."
            return
        train, valid = (in_blocks(model.encode, split.x, model) for split in (self.labelled, self.valid))
        judgement.figures["probe_accuracy"] = _plain(self.probe(train, valid, judgement.codes))

    @property
    def _labels(self) -> bool:
        return self.labelled.label is not None and 1 < len(self.labelled.label.unique()) <= MOST_CLASSES

    def probe(self, train: Tensor, valid: Tensor, test: Tensor) -> Estimate:
        """A linear probe's accuracy on codes of `labelled`, `valid` (which chooses its weight decay) and `test`."""
        labels = [split.label for split in (self.labelled, self.valid, self.test)]
        return linear_probe(train, labels[0], valid, labels[1], test, labels[2])


def evaluate(model: GenerativeModel, data: Data, seed: int = 0, features: Features = None) -> dict[str, Any]:
    """Judge one model: density, samples, anomalies, features, as far as its capabilities allow.

    Returns what `pofx compare` writes for a model: every figure with its unit, sample size and standard error where one
    exists; what cannot be had is None, with a sentence under "why". See `Judge` for how figures are made.

    >>> import pofx
    >>> data = pofx.load_data("digits", binarize=True)
    >>> model = pofx.fit(pofx.build("independent", data.event_shape), data, progress=False).model
    >>> figures = pofx.evaluate(model, data)
    >>> figures["log_likelihood"]["kind"], round(figures["log_likelihood"]["value"], 1), figures["probe_accuracy"]
    ('exact', -25.4, None)
    """
    return Judge(data, seed, features).judge(model).figures


def _samples_per_second(model: Samples, n: int) -> float:
    """The median of up to five draws of n events, or of as many as half a second allows."""
    seconds: list[float] = []
    while len(seconds) < 5 and sum(seconds) < 0.5:
        start = time.perf_counter()
        model.sample(n)
        seconds.append(time.perf_counter() - start)
    return n / statistics.median(seconds)


def _parts(split: Any, most: int, seed: int) -> tuple[Any, Any]:
    """Training rows, and those with labels: the same, but where few rows kept theirs (label −1: see `load_data`)."""
    if split.label is None or bool((split.label >= 0).all()):
        return (_some(split, most, seed),) * 2
    return _some(split, most, seed, split.label < 0), _some(split, most, seed, split.label >= 0)


def _some(split: Any, most: int, seed: int, among: Tensor | None = None) -> Any:
    """At most so many rows of a split, drawn by seed; of those `among` marks, where it is given."""
    index = torch.arange(len(split)) if among is None else among.nonzero().flatten()
    if len(index) > most:
        index = index[torch.randperm(len(index), generator=torch.Generator().manual_seed(seed))[:most].sort().values]
    return split.rows(index)


def _refusal(model: GenerativeModel, capability: type[Capability]) -> str:
    try:
        require(model, capability)
    except CapabilityError as error:
        return str(error)
    return ""


def _plain(estimate: Estimate | None) -> dict[str, Any] | None:
    return None if estimate is None else estimate.as_dict()
