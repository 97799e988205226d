"""Memorisation: copies are found, events of the same distribution are none, the share of chance in d dimensions."""

import pytest
import torch

from pofx.core import DataError
from pofx.metrics import memorisation


def draws(n, d, seed):
    return torch.randn(n, d, generator=torch.Generator().manual_seed(seed))


def test_copies_are_found_and_fresh_draws_are_none():
    train, fresh = draws(500, 20, 0), draws(100, 20, 1)
    copies = train[:100] + 0.05 * draws(100, 20, 2)
    found = memorisation(torch.cat([copies, fresh]), train, held_out=draws(200, 20, 3))
    assert found.copies.value == 0.5
    assert found.held_out.value == 0.0
    assert found.nearest[:100, 0].tolist() == list(range(100))


def test_in_the_plane_chance_gives_a_ninth():
    found = memorisation(torch.rand(4000, 2), torch.rand(4000, 2))
    assert found.copies.value == pytest.approx(1 / 9, abs=4 * found.copies.stderr)


def test_distances_are_exact_and_in_order():
    train, x = draws(300, 6, 0), draws(40, 6, 1)
    found = memorisation(x, train, neighbours=4)
    distance, nearest = torch.cdist(x, train).sort(1)
    assert torch.equal(found.nearest, nearest[:, :4])
    assert torch.allclose(found.distance, distance[:, :4], atol=1e-5)
    assert torch.allclose(found.ratio, distance[:, 0] / distance[:, 1], atol=1e-5)


def test_an_average_of_the_data_is_no_copy_though_it_is_near():
    train = 5 + draws(500, 20, 0)
    mean = train.mean(0, keepdim=True)
    found = memorisation(mean, train)
    assert found.copies.value == 0.0
    assert found.distance[0, 0] < torch.cdist(draws(1, 20, 1) + 5, train).min()


def test_an_event_that_is_there_twice_hides_its_copies():
    train = torch.cat([draws(50, 5, 0)] * 2)
    assert memorisation(train[:10], train).copies.value == 0.0


def test_bad_events_are_named():
    with pytest.raises(DataError, match="at least 2 rows"):
        memorisation(draws(3, 2, 0), draws(1, 2, 0))
    with pytest.raises(DataError, match="same features"):
        memorisation(draws(3, 2, 0), draws(3, 4, 0))
