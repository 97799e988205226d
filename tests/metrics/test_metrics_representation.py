import math

import pytest
import torch
from torch import Tensor

from pofx.core import DataError
from pofx.metrics import linear_probe, map2d, nearest_neighbours, representation


def normal(n: int, f: int, seed: int) -> Tensor:
    return torch.randn(n, f, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def three_classes(n: int, seed: int, distance: float) -> tuple[Tensor, Tensor]:
    label = torch.arange(n) % 3
    centres = distance * torch.eye(3, 5, dtype=torch.float64)
    return normal(n, 5, seed) + centres[label], label


def test_probe_of_separable_classes_is_perfect_in_any_units():
    sets = [three_classes(60, seed, distance=30) for seed in range(3)]
    accuracy = linear_probe(*sets[0], *sets[1], *sets[2])
    assert (accuracy.value, accuracy.n, accuracy.unit) == (1.0, 60, "share")
    scale = torch.tensor([1e-6, 1e6, 1.0, 1.0, 0.0], dtype=torch.float64)
    assert linear_probe(*((x * scale if x.is_floating_point() else x) for pair in sets for x in pair)).value > 0.6


def test_probe_reaches_the_bayes_rate():
    # Two unit Gaussians at distance 2: the best accuracy is Phi(1) = 0.8413.
    def two(n: int, seed: int) -> tuple[Tensor, Tensor]:
        label = torch.arange(n) % 2
        return normal(n, 2, seed) + 2 * torch.stack([label, torch.zeros(n)], dim=1), label

    accuracy = linear_probe(*two(2000, 0), *two(500, 1), *two(4000, 2))
    assert accuracy.stderr is not None
    assert abs(accuracy.value - 0.8413) < 4 * accuracy.stderr


def test_probe_cannot_tell_two_halves_of_one_distribution():
    halves = [(normal(400, 6, seed), torch.arange(400) % 2) for seed in range(3)]
    assert abs(linear_probe(*halves[0], *halves[1], *halves[2]).value - 0.5) < 4 * math.sqrt(1 / (4 * 400))


def test_validation_chooses_the_penalty(monkeypatch):
    # Weak evidence in many features, twice as many rows as features: a weak penalty overfits, a strong one averages.
    def faint(n: int, seed: int) -> tuple[Tensor, Tensor]:
        label = torch.arange(n) % 2
        return normal(n, 40, seed) + 0.3 * label[:, None], label

    train, valid, test = faint(80, 0), faint(1000, 1), faint(1000, 2)
    chosen = linear_probe(*train, *valid, *test).value
    on_valid, on_test = [], []
    for penalty in representation.PENALTIES:
        monkeypatch.setattr(representation, "PENALTIES", (penalty,))
        on_valid.append(linear_probe(*train, *valid, *valid).value)
        on_test.append(linear_probe(*train, *valid, *test).value)
    assert max(on_test) - min(on_test) > 0.05
    assert chosen == pytest.approx(on_test[on_valid.index(max(on_valid))], abs=0.002)


def test_probe_draws_at_most_ten_thousand_rows_by_seed():
    x, y = three_classes(12_000, 0, distance=1)
    valid, test = three_classes(300, 1, distance=1), three_classes(300, 2, distance=1)
    assert linear_probe(x, y, *valid, *test) == linear_probe(x, y, *valid, *test)
    assert linear_probe(x, y, *valid, *test).value > 0.5


def test_unfit_probes_are_explained():
    x, y = three_classes(30, 0, distance=1)
    with pytest.raises(DataError, match="two classes"):
        linear_probe(x, torch.zeros(30), x, y, x, y)
    with pytest.raises(DataError, match="30 rows and 9 labels in valid"):
        linear_probe(x, y, x, y[:9], x, y)
    with pytest.raises(DataError, match="test_features expects finite numbers"):
        linear_probe(x, y, x, y, x / 0, y)


def test_every_training_event_is_its_own_nearest_neighbour():
    train = normal(300, 1, 0).view(300, 1, 1, 1).expand(300, 2, 3, 4) + normal(300, 24, 1).view(300, 2, 3, 4)
    index, distance = nearest_neighbours(train, train)
    assert torch.equal(index, torch.arange(300))
    assert (distance == 0).all()


def test_nearest_neighbours_are_those_of_the_full_matrix():
    samples, train = normal(70, 5, 0), normal(200, 5, 1)
    index, distance = nearest_neighbours(samples, train)
    full = (samples[:, None] - train).norm(dim=2)
    assert torch.equal(index, full.argmin(1))
    torch.testing.assert_close(distance, full.amin(1), rtol=1e-12, atol=0)
    with pytest.raises(DataError, match="got 5 and 4"):
        nearest_neighbours(samples, train[:, :4])


def test_map_of_a_plane_keeps_its_distances():
    plane = normal(50, 2, 0)
    embedded = plane @ torch.linalg.qr(normal(10, 10, 1)).Q[:2] + 5
    torch.testing.assert_close(torch.pdist(map2d(embedded)), torch.pdist(plane), rtol=1e-9, atol=1e-9)
    assert torch.equal(map2d(plane), plane)
    assert map2d(plane[:, :1]).tolist() == [[v, 0.0] for v in plane[:, 0].tolist()]
    assert map2d(embedded.float()).dtype == torch.float32
