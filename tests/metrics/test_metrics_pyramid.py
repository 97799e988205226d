"""Sliced Wasserstein distance on Laplacian pyramids: exact reconstruction, closed forms, invariances."""

import pytest
import torch

from pofx.core import ConfigError, DataError
from pofx.metrics import laplacian_pyramid, sliced_wasserstein
from pofx.metrics.pyramid import doubled


def pictures(n=24, c=3, side=32, seed=0):
    return torch.rand(n, c, side, side, generator=torch.Generator().manual_seed(seed))


def values(*args, **options):
    options = {"patches": 8, "directions": 32, **options}
    return {level: e.value for level, e in sliced_wasserstein(*args, **options).items()}


@pytest.mark.parametrize(
    ("side", "levels"), [(64, [64, 32, 16]), (32, [32, 16]), (28, [28]), (8, [8]), (40, [40, 20]), (33, [33])]
)
def test_a_level_is_halved_while_it_can_be(side, levels):
    assert [level.shape[-1] for level in laplacian_pyramid(pictures(2, 1, side))] == levels


def test_the_levels_add_up_to_the_picture():
    x = pictures(3, 3, 64)
    *finer, whole = laplacian_pyramid(x)
    for level in reversed(finer):
        whole = doubled(whole) + level
    assert torch.allclose(whole, x, atol=1e-6)


def test_a_constant_picture_has_nothing_but_its_last_level():
    first, last = laplacian_pyramid(torch.full((2, 1, 32, 32), 0.7))
    assert first.abs().max() < 1e-6
    assert torch.allclose(last, torch.full_like(last, 0.7), atol=1e-6)


def test_equal_sets_are_0_apart_and_the_distance_is_symmetric():
    a, b = pictures(), pictures(seed=1) ** 2
    assert set(values(a, a).values()) == {0.0}
    assert values(a, b) == pytest.approx(values(b, a), rel=1e-6)


def test_contrast_and_brightness_of_a_channel_do_not_count():
    a, b = pictures(), pictures(seed=1)
    changed = b * torch.tensor([0.5, 2.0, 1.0]).view(1, 3, 1, 1) + torch.tensor([0.3, 0.0, 5.0]).view(1, 3, 1, 1)
    assert values(a, changed) == pytest.approx(values(a, b), rel=1e-3)


def test_independent_pixels_against_pixels_that_are_all_alike():
    """Patches of white noise project on N(0, 1); of constant pictures, on s N(0, 1) with s = |the sum of the direction|."""
    generator = torch.Generator().manual_seed(0)
    noise = torch.randn(400, 1, 16, 16, generator=generator)
    flat = torch.randn(400, 1, 1, 1, generator=generator).expand(-1, 1, 16, 16)
    # W1 of N(0, 1) and N(0, s²) is |s − 1| E|N(0, 1)|; s = |g| of a standard normal g, and E||g| − 1| = 0.5354 there
    expected = 1000 * 0.5354 * (2 / torch.pi) ** 0.5
    found = sliced_wasserstein(noise, flat, patches=32, directions=256)["mean"].value
    assert found == pytest.approx(expected, rel=0.1)


def test_the_mean_is_of_the_levels_and_the_smaller_set_counts():
    found = sliced_wasserstein(pictures(24), pictures(10, seed=1), patches=4, directions=8)
    assert found["mean"].value == pytest.approx((found["32"].value + found["16"].value) / 2)
    assert found["mean"].n == 10


def test_bad_pictures_are_named():
    with pytest.raises(DataError, match="7×7"):
        sliced_wasserstein(pictures(2, 1, 6), pictures(2, 1, 6))
    with pytest.raises(DataError, match="one shape"):
        sliced_wasserstein(pictures(2, 1, 8), pictures(2, 3, 8))
    with pytest.raises(DataError, match="diverged"):
        sliced_wasserstein(pictures(2), pictures(2) * torch.nan)
    with pytest.raises(ConfigError, match="patches"):
        sliced_wasserstein(pictures(2), pictures(2), patches=0)
