import pytest
import torch

from pofx.core import ConfigError
from pofx.data import load_data


@pytest.mark.parametrize("name", ["rings", "grid25", "swissroll"])
def test_size_is_refused_for_points(name):
    with pytest.raises(ConfigError, match="size is for drawn pictures"):
        load_data(name, size=3)


@pytest.mark.parametrize(("name", "count", "sigma"), [("rings", 8, 0.01), ("grid25", 25, 0.05)])
def test_mixtures_are_drawn_around_their_modes(name, count, sigma):
    data = load_data(name, n=20_000, split=(1, 0, 0))
    centres, spread = data.modes
    assert spread == sigma
    assert centres.unique(dim=0).shape == (count, 2)
    error = (data.train.x - centres[data.train.label]).double()
    assert abs(error.std() / sigma - 1) < 0.02
    assert abs(error.mean()) < 4 * sigma / 200
    assert torch.cdist(data.train.x, centres).argmin(1).equal(data.train.label)
    assert (torch.bincount(data.train.label) - 20_000 / count).abs().max() < 5 * (20_000 / count) ** 0.5


def test_modes_are_standardised_with_the_points():
    data = load_data("grid25", n=5000, standardize=True)
    centres, sigma = data.modes
    error = data.train.x - centres[data.train.label]
    assert abs(error.std() / sigma - 1) < 0.03
