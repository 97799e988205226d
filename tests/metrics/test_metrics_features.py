import pytest
import torch
from torch import Tensor

from pofx.core import CapabilityError, DataError
from pofx.metrics import features, frechet_distance, train_channel_features, train_features


@pytest.fixture
def short_training(monkeypatch):
    monkeypatch.setattr(features, "MOST_EXAMPLES", 10 * features.BATCH)


def digits() -> tuple[Tensor, Tensor]:
    from sklearn.datasets import load_digits

    data = load_digits()
    order = torch.randperm(len(data.target), generator=torch.Generator().manual_seed(0))
    x = torch.from_numpy(data.images).float()[:, None] / 16
    return (x > 0.5).float()[order], torch.from_numpy(data.target).long()[order]


def uniform(*shape: int) -> Tensor:
    return torch.rand(shape, generator=torch.Generator().manual_seed(0))


def test_classifier_of_binary_digits_is_accurate_and_says_what_it_is():
    x, y = digits()
    extractor = train_features(x[:1200], y[:1200], valid=(x[1200:], y[1200:]))
    assert extractor.accuracy is not None
    assert extractor.accuracy.n == 597
    assert extractor.accuracy.value >= 0.95  # 0.967 on average over splits, 597 events give each +- 0.007
    assert "convolutional classifier of 10 classes" in extractor.description
    assert f"{extractor.accuracy.value:.1%} accurate on 597 held-out events" in extractor.description
    found = extractor.features(x)
    assert found.shape == (len(x), 64)
    assert not found.requires_grad
    halves = frechet_distance(found[:600], found[600:1200]).value
    assert frechet_distance(found[:600], extractor.features(1 - x[600:1200])).value > 10 * halves


@pytest.mark.parametrize("shape", [(1, 8, 8), (1, 28, 28), (3, 64, 64), (3, 13, 10), (2, 3, 5), (1, 1, 20), (7,)])
def test_any_shape_of_event_has_features_of_a_classifier(shape, short_training):
    x, y = uniform(30, *shape), torch.arange(30) % 3
    extractor = train_features(x, y)
    assert extractor.features(x[:4]).shape == (4, 64)
    assert extractor.accuracy is None
    torch.testing.assert_close(extractor.features(x)[:1], extractor.features(x[:1]), rtol=1e-4, atol=1e-5)


def test_classifier_of_a_table_learns():
    x = torch.randn(900, 5, generator=torch.Generator().manual_seed(0)) * torch.tensor([1.0, 1.0, 100.0, 0.01, 0.0])
    y = (x[:, 0] * x[:, 1] > 0).long()  # no single column tells
    extractor = train_features(x[:600], y[:600], valid=(x[600:], y[600:]))
    assert extractor.accuracy is not None
    assert extractor.accuracy.value > 0.9
    assert "dense classifier of 2 classes" in extractor.description


def test_the_seed_fixes_everything_and_the_global_generator_is_left_alone(short_training):
    x, y = uniform(60, 1, 8, 8), torch.arange(60) % 4
    state = torch.get_rng_state()
    with torch.no_grad():
        first, again, other = train_features(x, y), train_features(x, y), train_features(x, y, seed=1)
        train_features(x)
    assert torch.equal(state, torch.get_rng_state())
    assert torch.equal(first.features(x), again.features(x))
    assert not torch.equal(first.features(x), other.features(x))
    assert first.description == again.description != other.description


def test_without_labels_features_are_principal_components():
    x = uniform(200, 1, 3, 3)
    extractor = train_features(x)
    found = extractor.features(x)
    assert found.shape == (200, 9)  # all of them: a rotation about the mean, which keeps distances
    torch.testing.assert_close(torch.pdist(found), torch.pdist(x.flatten(1)), rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(found.T.cov(), found.T.cov().diag().diag(), rtol=0, atol=1e-5)
    assert found.mean(0).abs().max() < 1e-5
    assert "9 principal components of 200 training events" in extractor.description
    assert "100.0% of the variance" in extractor.description
    assert train_features(uniform(300, 100)).features(uniform(300, 100)).shape == (300, 64)
    assert train_features(x, torch.zeros(200, dtype=torch.long)).description == extractor.description


def test_points_in_the_plane_keep_their_coordinates():
    x = uniform(20, 2)
    extractor = train_features(x, torch.arange(20) % 2)
    assert torch.equal(extractor.features(x), x)
    assert extractor.description == "The two coordinates themselves."


def test_the_classifier_behind_the_features_is_kept():
    x, label = digits()
    extractor = train_features(x[:1200], label[:1200], (x[1200:1500], label[1200:1500]), most_examples=20 * features.BATCH)
    chances = extractor.probabilities(x[1200:1500])
    assert torch.allclose(chances.sum(1), torch.ones(300), atol=1e-5)
    right = (chances.argmax(1) == label[1200:1500]).float().mean().item()
    assert right == pytest.approx(extractor.accuracy.value)
    assert right > 0.4
    with pytest.raises(CapabilityError, match="no classifier behind them"):
        train_features(x[:50]).probabilities(x[:2])


def test_unfit_data_are_explained():
    x = uniform(20, 5)
    with pytest.raises(DataError, match="got 3 for 20 events"):
        train_features(x, torch.arange(3))
    with pytest.raises(DataError, match="row 2"):
        train_features(x.index_fill(0, torch.tensor(2), torch.inf))
    with pytest.raises(DataError, match="at least 2 rows"):
        train_features(x[:1])


def test_stacked_digits_are_classified_channel_by_channel():
    x, label = digits()
    order = torch.randint(1200, (3, 800), generator=torch.Generator().manual_seed(0))
    stacked = torch.cat([x[rows] for rows in order], 1)
    places = (label[order] * torch.tensor([[100], [10], [1]])).sum(0)
    extractor = train_channel_features(stacked, places, 10, (stacked[:100], places[:100]), most_examples=40 * features.BATCH)
    assert extractor.features(stacked[:5]).shape == (5, 3 * features.WIDTH)
    chances = extractor.probabilities(stacked[:100])
    assert torch.allclose(chances.sum(1), torch.ones(100), atol=1e-5)
    per_digit = chances.view(100, 10, 10, 10).sum((2, 3)).argmax(1)  # of the first channel, the hundreds
    assert (per_digit == places[:100] // 100).float().mean() > 0.8
    assert (chances.argmax(1) == places[:100]).float().mean() > 0.5  # all three right
    assert extractor.accuracy.n == 300
    with pytest.raises(DataError, match="3 channels of 10 classes"):
        train_channel_features(stacked, places + 1000, 10)
