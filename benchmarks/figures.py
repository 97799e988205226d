"""The figures of published.py: what is measured of a trained model on the test split, with its error."""

from collections.abc import Callable
from typing import Any

import torch

import pofx
from pofx.evaluation import Judge
from pofx.metrics import (
    Estimate,
    cluster_labels,
    clustering_error,
    count_classes,
    count_modes,
    frechet_distance,
    majority_labels,
    matched_labels,
    mean_estimate,
    share_estimate,
    sharpness,
    train_channel_features,
)
from pofx.scoring import in_blocks

SEED = 0
CODES = 5_000  # for each event, in the importance-weighted bound of a model that has only a bound
SAMPLES = 5_000
POINTS, STACKED, STACKED_ROWS = 2_500, 26_000, 10_000  # samples in which modes are counted; rows for the classifier


@torch.no_grad()
def log_likelihood(model: Any, split: Any) -> torch.Tensor:
    """Exact ln p of every row of a split, block by block, or the importance-weighted bound where there is only a bound."""
    blocks = [split.rows(i).x for i in torch.arange(len(split)).split(model.rows_at_once)]
    if isinstance(model, pofx.ApproximateDensity):
        torch.manual_seed(SEED)
        return torch.cat([model.elbo(x, samples=CODES) for x in blocks])
    density = pofx.require(model, pofx.TractableDensity)
    return torch.cat([density.log_prob(x) for x in blocks])


def _test_log_likelihood(model: Any, data: Any) -> Estimate:
    return mean_estimate(log_likelihood(model, data.test), "nats")


def _classification_error(model: Any, data: Any) -> Estimate:
    return share_estimate(int((model.classify(data.test.x) != data.test.label).sum()), len(data.test))


def _clustering_error(model: Any, data: Any, rule: Callable[..., torch.Tensor] = cluster_labels) -> Estimate:
    """The error of clusters whose labels a rule chooses on the validation split."""
    valid, test = (in_blocks(model.category_probabilities, split.x, model) for split in (data.valid, data.test))
    return clustering_error(test, data.test.label, names=rule(valid, data.valid.label))


def _decoded(model: Any) -> torch.Tensor:
    """Decoded draws of the prior, without noise on x: what all autoencoders can be compared by."""
    with torch.no_grad():
        return model.decode(model.prior.sample(SAMPLES, torch.Generator().manual_seed(SEED)))


def _frechet(model: Any, data: Any) -> Estimate:
    judge = _judge(data)
    return frechet_distance(judge.real_features, judge.extractor.features(_decoded(model)))


def _probe(model: Any, data: Any) -> Estimate:
    judge = _judge(data)
    codes = [in_blocks(model.encode, split.x, model) for split in (judge.labelled, judge.valid, judge.test)]
    return judge.probe(*codes)


def _reconstruction(model: Any, data: Any) -> Estimate:
    x = data.test.x
    return mean_estimate((x - in_blocks(model.reconstruct, x, model)).square().flatten(1).sum(1), "squared distance")


def _draws(model: Any, n: int) -> torch.Tensor:
    model.eval()
    return model.sample(n, generator=torch.Generator(model.device).manual_seed(SEED)).cpu()


def _modes(model: Any, data: Any, figure: str = "modes") -> Estimate:
    """Of samples as many as in the papers, by their distance to the centres."""
    return count_modes(_draws(model, POINTS), *data.modes)[figure]


_DIGITS: dict[str, Any] = {}


def _stacked(model: Any, data: Any, figure: str = "modes") -> Estimate:
    """Whole labels of stacked digits among samples, read channel by channel by one classifier for all models."""
    if data.name not in _DIGITS:
        known = [(split.x[:STACKED_ROWS], split.label[:STACKED_ROWS]) for split in (data.train, data.test)]
        _DIGITS[data.name] = train_channel_features(*known[0], data.channel_classes, valid=known[1], seed=SEED)
    classes = _DIGITS[data.name].probabilities(_draws(model, STACKED)).argmax(1)
    return count_classes(classes, data.class_counts)[figure]


_JUDGES: dict[str, Judge] = {}


def _judge(data: Any) -> Judge:
    """The held-out events, features and probe of `pofx evaluate`, made once a data set."""
    if data.name not in _JUDGES:
        _JUDGES[data.name] = Judge(data, SEED)
    return _JUDGES[data.name]


#: name: (how it is called in the tables, which direction is better, how it is measured)
FIGURES: dict[str, tuple[str, str, Callable[[Any, Any], Estimate]]] = {
    "log-likelihood": ("test log-likelihood", "higher", _test_log_likelihood),
    "classification": ("test error of the classifier", "lower", _classification_error),
    "clustering": ("test error of named clusters", "lower", _clustering_error),
    "matched": ("test error of clusters, one a label", "lower", lambda m, d: _clustering_error(m, d, matched_labels)),
    "majority": ("test error of clusters named by majority", "lower", lambda m, d: _clustering_error(m, d, majority_labels)),
    "frechet": (f"Fréchet distance of {SAMPLES:,} decoded draws of the prior", "lower", _frechet),
    "reconstruction": ("reconstruction error ‖x − x̂‖² of test pictures", "lower", _reconstruction),
    "sharpness": (f"sharpness of {SAMPLES:,} decoded draws of the prior", "higher", lambda m, d: sharpness(_decoded(m))),
    "modes": (f"modes captured by {POINTS:,} samples", "higher", _modes),
    "near-modes": ("share of samples within 3 σ of a mode", "higher", lambda m, d: _modes(m, d, "high_quality")),
    "stacked-modes": (f"modes reached by {STACKED:,} samples, of 1,000", "higher", _stacked),
    "stacked-kl": ("KL(modes of samples ‖ uniform)", "lower", lambda m, d: _stacked(m, d, "kl")),
    "probe": ("test accuracy of a linear probe on codes", "higher", _probe),
}
