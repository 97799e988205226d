"""Visiting orders are permutations, and snake order walks from neighbour to neighbour."""

import pytest
import torch

from pofx.core import ConfigError
from pofx.nn.order import ORDERS, visiting_order


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("shape", [(1,), (7,), (1, 3, 4), (3, 2, 5), (2, 6)])
def test_every_order_is_a_permutation(order, shape):
    permutation = visiting_order(order, shape)
    assert permutation.dtype == torch.int64
    assert sorted(permutation.tolist()) == list(range(torch.Size(shape).numel()))


def test_raster_reads_tables_and_grey_pictures_as_they_lie_in_memory():
    assert visiting_order("raster", (5,)).tolist() == [0, 1, 2, 3, 4]
    assert visiting_order("raster", (1, 2, 2)).tolist() == [0, 1, 2, 3]
    assert visiting_order("snake", (5,)).tolist() == [0, 1, 2, 3, 4]


def test_the_channels_of_a_pixel_are_visited_together():
    assert visiting_order("raster", (3, 1, 2)).tolist() == [0, 2, 4, 1, 3, 5]
    assert visiting_order("snake", (3, 2, 2)).tolist() == [0, 4, 8, 1, 5, 9, 3, 7, 11, 2, 6, 10]


def test_snake_walks_from_neighbour_to_neighbour():
    order = visiting_order("snake", (1, 5, 4))
    steps = torch.stack([order // 4, order % 4], dim=1).diff(dim=0).abs().sum(1)
    assert (steps == 1).all()
    assert order[:5].tolist() == [0, 1, 2, 3, 7]


def test_a_random_order_is_a_function_of_its_seed_alone():
    state = torch.get_rng_state()
    order = visiting_order("random", (50,), seed=3)
    assert torch.equal(torch.get_rng_state(), state)
    assert torch.equal(order, visiting_order("random", (1, 5, 10), seed=3))
    assert not torch.equal(order, visiting_order("random", (50,), seed=4))


@pytest.mark.parametrize("given", [[2, 0, 1], (2, 0, 1), torch.tensor([2, 0, 1])])
def test_a_list_of_indices_is_taken_as_it_is(given):
    assert visiting_order(given, (3,)).tolist() == [2, 0, 1]


@pytest.mark.parametrize(
    ("order", "sentence"),
    [
        ("rastre", "order 'rastre' is unknown: did you mean 'raster'"),
        ([0, 1], r"each of 0..2 once, got 2 entries: 0, 1\."),
        ([0, 1, 1], r"each of 0..2 once, got 3 entries: 0, 1, 1\."),
        (list(range(1, 9)), r"each of 0..2 once, got 8 entries: 1, 2, 3, 4, 5, 6, \.\.\."),
    ],
)
def test_what_is_no_order_is_refused(order, sentence):
    with pytest.raises(ConfigError, match=sentence):
        visiting_order(order, (3,))
