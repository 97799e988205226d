"""Multi-scale structural similarity: 1 for equal pictures, the formula on one scale, more variety below less."""

import pytest
import torch

from pofx.core import DataError
from pofx.metrics import multiscale_similarity


def noise(n, side, seed=0):
    return torch.rand(n, 1, side, side, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("side", [4, 5, 8, 11, 12, 28, 44, 99, 176])
def test_equal_pictures_are_alike_at_every_size(side):
    x = noise(1, side).expand(3, -1, -1, -1)
    assert multiscale_similarity(x, pairs=4).value == pytest.approx(1.0, abs=1e-6)


def test_two_constant_pictures_have_the_similarity_of_their_means():
    """With one scale SSIM of constants a and b is (2ab + c) / (a² + b² + c), c = 0.01²."""
    x = torch.cat([torch.full((1, 1, 8, 8), 0.2), torch.full((1, 1, 8, 8), 0.6)])
    assert multiscale_similarity(x, pairs=3).value == pytest.approx((0.24 + 1e-4) / (0.4 + 1e-4), rel=1e-4)


def test_pictures_that_share_more_are_more_alike():
    base = noise(1, 32)
    found = [multiscale_similarity(s * base + (1 - s) * noise(40, 32, 1), pairs=100).value for s in (0.0, 0.5, 0.9)]
    assert found[0] < found[1] < found[2] < 1


def test_the_error_is_that_of_independent_pairs():
    x = noise(20, 16)
    few, many = multiscale_similarity(x, pairs=10), multiscale_similarity(x, pairs=1000)
    assert many.stderr == pytest.approx(few.stderr, rel=0.6)  # more pairs of the same 20 pictures know no more


def test_bad_pictures_are_named():
    with pytest.raises(DataError, match="4×4"):
        multiscale_similarity(noise(3, 3))
    with pytest.raises(DataError, match="at least 2 rows"):
        multiscale_similarity(noise(1, 8))
