import math

import pytest
import torch

from pofx.core import ConfigError, DataError
from pofx.metrics import count_classes, count_modes, kl_to_uniform

ANGLES = torch.arange(8, dtype=torch.float64) * math.pi / 4
RING = torch.stack([ANGLES.cos(), ANGLES.sin()], dim=1)
SIGMA = 0.01


def draw(modes: torch.Tensor, seed: int = 0) -> torch.Tensor:
    noise = torch.randn(len(modes), 2, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))
    return RING[modes] + SIGMA * noise


def test_perfect_samples_reach_the_ceiling():
    n = 20_000
    found = count_modes(draw(torch.arange(n) % 8), RING, SIGMA)
    ceiling = 1 - math.exp(-4.5)
    assert ceiling == pytest.approx(0.9889, abs=1e-4)
    assert abs(found["high_quality"].value - ceiling) < 4 * math.sqrt(ceiling * (1 - ceiling) / n)
    assert found["modes"].as_dict() == {"value": 8.0, "stderr": None, "n": n, "unit": "modes of 8"}
    assert found["kl"].value == pytest.approx(0, abs=1e-12)


def test_a_sampler_of_one_mode_scores_one():
    found = count_modes(draw(torch.full((500,), 3)), RING, SIGMA)
    assert found["modes"].value == 1
    assert found["kl"].value == pytest.approx(math.log(8))


def test_samples_beyond_three_sigma_capture_nothing():
    outside = RING * (1 + 3.01 * SIGMA)
    inside = RING * (1 + 2.99 * SIGMA)
    assert count_modes(outside, RING, SIGMA)["modes"].value == count_modes(outside, RING, SIGMA)["high_quality"].value == 0
    assert count_modes(inside, RING, SIGMA)["modes"].value == 8


def test_kl_of_perfect_sampling_and_of_one_mode_of_a_thousand():
    modes = torch.randint(1000, (26_000,), generator=torch.Generator().manual_seed(0))
    expected, spread = 999 / 52_000, math.sqrt(2 * 999) / 52_000
    assert expected == pytest.approx(0.0192, abs=1e-4)
    assert abs(kl_to_uniform(modes.bincount(minlength=1000)) - expected) < 4 * spread
    assert kl_to_uniform(torch.tensor([26_000] + [0] * 999)) == pytest.approx(6.907755, abs=1e-6)


def test_unfit_arguments_are_explained():
    with pytest.raises(ConfigError, match="sigma > 0"):
        count_modes(RING, RING, 0.0)
    with pytest.raises(DataError, match="row 0"):
        count_modes(RING * torch.nan, RING, SIGMA)
    with pytest.raises(DataError, match="got 3 and 2"):
        count_modes(torch.zeros(4, 3), RING, SIGMA)


def test_classes_reached_and_their_divergence_from_the_data():
    classes = torch.tensor([0] * 90 + [1] * 9 + [3])
    found = count_classes(classes, torch.tensor([3.0, 1.0, 0.0, 4.0]))  # counts in proportion to the data's; class 2 has none
    assert found["modes"].value == 3
    assert found["modes"].unit == "classes of 3"
    expected = 0.9 * math.log(0.9 / 0.375) + 0.09 * math.log(0.09 / 0.125) + 0.01 * math.log(0.01 / 0.5)
    assert found["kl"].value == pytest.approx(expected)
    assert count_classes(classes, torch.tensor([3.0, 1.0, 0.0, 4.0]), least=0.1)["modes"].value == 2  # 1 % is no tenth of 50 %


def test_perfect_sampling_of_stacked_digits_has_a_floor():
    classes = torch.randint(1000, (26_000,), generator=torch.Generator().manual_seed(0))
    found = count_classes(classes, torch.ones(1000))
    assert found["modes"].value == 1000
    assert found["kl"].value == pytest.approx(999 / 52_000, abs=0.002)
    assert found["kl"].value == pytest.approx(kl_to_uniform(classes.bincount(minlength=1000)))


def test_classes_that_do_not_exist_are_named():
    with pytest.raises(DataError, match=r"a class in 0\.\.2"):
        count_classes(torch.tensor([3]), torch.ones(3))
