"""Codes whose disentanglement is known: the factors themselves, mixtures of them, noise, nothing at all."""

import math

import pytest
import torch
from torch import Tensor

from pofx.core import ConfigError, DataError
from pofx.metrics import disentanglement
from pofx.metrics.disentanglement import beta_vae_score, factor_vae_score, mutual_information_gap


def combinations(*counts: int, times: int = 1) -> Tensor:
    """Every combination of factor values, each so many times, (n, k)."""
    return torch.cartesian_prod(*map(torch.arange, counts)).view(-1, len(counts)).repeat(times, 1)


def normal(*size: int, seed: int = 0) -> Tensor:
    return torch.randn(*size, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def gaps(codes, factors, **options):
    return mutual_information_gap(codes.double(), factors, **options)


def test_factors_as_codes_have_a_gap_of_one():
    factors = combinations(3, 5)
    gap = gaps(factors, factors)
    torch.testing.assert_close(gap.entropy, torch.tensor([3.0, 5.0], dtype=torch.float64).log())
    torch.testing.assert_close(gap.information, gap.entropy.diag(), atol=1e-14, rtol=1e-14)
    assert gap.value == pytest.approx(1, abs=1e-14)
    moved = torch.stack([-7.0 * factors[:, 1], 0.01 * factors[:, 0] + 3], 1)  # order, sign and unit do not matter
    assert gaps(moved, factors).value == pytest.approx(1, abs=1e-14)


def test_information_is_that_of_enumeration():
    # z = a + b of two fair bits: H(z) = 1.5 bits, H(z | a) = 1 bit.
    factors = combinations(2, 2)
    gap = gaps(torch.stack([factors.sum(1), factors[:, 0]], 1), factors)
    bit = math.log(2)
    expected = torch.tensor([[0.5 * bit, 0.5 * bit], [bit, 0.0]], dtype=torch.float64)
    torch.testing.assert_close(gap.information, expected, atol=1e-14, rtol=1e-14)
    torch.testing.assert_close(gap.by_factor, torch.tensor([0.5, 0.5], dtype=torch.float64), atol=1e-14, rtol=1e-14)


def test_entropies_are_of_the_factors_as_they_occur():
    factors = torch.tensor([[0, 5], [0, -2], [0, 5], [9, 5]])
    uneven = -(0.75 * math.log(0.75) + 0.25 * math.log(0.25))
    assert gaps(factors, factors).entropy.tolist() == pytest.approx([uneven, uneven])


def test_rotated_and_doubled_codes_have_no_gap():
    factors = combinations(4, 4)
    rotated = torch.stack([factors.sum(1), factors[:, 0] - factors[:, 1]], 1)
    assert gaps(rotated, factors).information[0, 0] > 0.3
    assert gaps(rotated, factors).value == pytest.approx(0, abs=1e-14)
    doubled = torch.cat([factors, factors], 1)
    assert gaps(doubled, factors).value == pytest.approx(0, abs=1e-14)


def test_constant_codes_and_noise_know_nothing_but_the_bias():
    factors = combinations(3, 4, times=500)
    assert gaps(torch.full((6000, 2), 0.1), factors).information.abs().max() < 1e-14
    uniform = torch.rand(6000, 40, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    noise = gaps(uniform, factors)
    for column, values in enumerate((3, 4)):
        bias = (20 - 1) * (values - 1) / (2 * 6000)  # 2n I is chi-squared with (bins - 1)(values - 1) degrees of freedom
        error = math.sqrt(2 * 19 * (values - 1)) / (2 * 6000) / math.sqrt(40)
        assert abs(float(noise.information[:, column].mean()) - bias) < 4 * error
    assert 0 <= noise.value < 0.01


def test_a_code_of_one_dimension_has_its_information_as_the_gap():
    factors = combinations(2, 3)
    assert gaps(factors[:, :1], factors).by_factor.tolist() == pytest.approx([1, 0], abs=1e-14)


def two_classes(shift: float, deviation: float, n: int = 1000) -> tuple[Tensor, Tensor, Tensor]:
    """Posteriors N(±shift, deviation²) of a fair bit, and one that says nothing."""
    bit = torch.arange(n) % 2
    mean = torch.stack([shift * (2.0 * bit - 1), torch.zeros(n)], 1).double()
    return mean, bit[:, None], torch.full((n, 2), 2 * math.log(deviation), dtype=torch.float64)


def test_sampled_information_is_that_of_two_gaussians():
    # I = H(z) - H(z | v) by quadrature, for means ±1 and deviation 1.
    z = torch.linspace(-12, 12, 20_001, dtype=torch.float64)
    one, other = ((-0.5 * (z - m) ** 2).exp() / math.sqrt(2 * math.pi) for m in (1, -1))
    exact = float(torch.trapezoid(one * torch.log(one / (0.5 * (one + other))), z))
    mean, factors, log_variance = two_classes(3.0, 3.0)  # the unit does not matter
    gap = mutual_information_gap(mean, factors, log_variance=log_variance)
    assert gap.information[1, 0] < 1e-12
    assert float(gap.information[0, 0]) == pytest.approx(exact, abs=0.015)  # the ratio's deviation is 0.38, of 10,000 draws
    assert gap.value == pytest.approx(exact / math.log(2), abs=0.022)


def test_sampling_sees_what_the_scale_of_means_hides():
    mean, factors, log_variance = two_classes(1e-4, 1.0)
    assert mutual_information_gap(mean, factors).value == pytest.approx(1)
    assert mutual_information_gap(mean, factors, log_variance=log_variance).value < 1e-3
    sharp, factors, log_variance = two_classes(1.0, 0.01)
    assert mutual_information_gap(sharp, factors, log_variance=log_variance).value == pytest.approx(1, abs=1e-9)


def test_sampled_gap_of_many_events_takes_some(monkeypatch):
    monkeypatch.setattr(disentanglement, "MOST_ROWS", 500)
    factors = combinations(2, 3, times=300)
    gap = mutual_information_gap(factors.double(), factors, log_variance=torch.full((1800, 2), -9.0))
    assert gap.value == pytest.approx(1, abs=0.02)
    assert gap.n == 500


@pytest.mark.parametrize("score", [beta_vae_score, factor_vae_score])
def test_scores_are_one_for_factors_and_chance_for_noise(score):
    factors = combinations(5, 6, 2, 5, times=3)
    code = factors * torch.tensor([1e-4, -3.0, 1e3, 1.0], dtype=torch.float64)
    assert score(code, factors, code, factors).value == 1
    noise = score(normal(900, 6), factors, normal(900, 6, seed=1), factors)
    assert (noise.n, noise.unit) == (1000, "share")
    assert abs(noise.value - 0.25) < 4 * math.sqrt(0.25 * 0.75 / 1000)
    still = torch.zeros(900, 3)
    assert abs(score(still, factors, still, factors).value - 0.25) < 4 * math.sqrt(0.25 * 0.75 / 1000)
    assert score(normal(900, 6), factors, normal(900, 6), factors) == score(normal(900, 6), factors, normal(900, 6), factors)


def test_the_score_of_beta_vae_forgives_a_missing_factor_and_that_of_factor_vae_does_not():
    factors = combinations(5, 5, 5, times=4)
    code = factors[:, :2].double()
    assert beta_vae_score(code, factors, code, factors).value > 0.99
    # Of the sets that share the third factor, half fall to each of the two dimensions: 2/3 are told right.
    assert abs(factor_vae_score(code, factors, code, factors).value - 2 / 3) < 4 * math.sqrt(2 / 9 / 1000)


def test_scores_of_rotated_codes_fall():
    factors = combinations(6, 6, times=10)
    rotated = torch.stack([factors.sum(1), factors[:, 0] - factors[:, 1]], 1).double()
    assert factor_vae_score(rotated, factors, rotated, factors).value < 0.6


def test_classifiers_are_judged_on_the_second_set():
    factors = combinations(4, 4, times=10)
    swapped = factors.flip(1).double()
    assert beta_vae_score(factors.double(), factors, swapped, factors).value == 0
    assert factor_vae_score(factors.double(), factors, swapped, factors).value == 0


def test_partners_share_the_factor_and_are_others():
    column = torch.tensor([2, 0, 1, 1, 0, 1])
    rows = torch.arange(6).repeat_interleave(300)
    partners = disentanglement._partners(column, rows, torch.Generator().manual_seed(0))
    assert (column[partners] == column[rows]).all()
    assert set(zip(rows.tolist(), partners.tolist(), strict=True)) == {
        (0, 0), (1, 4), (4, 1), (2, 3), (2, 5), (3, 2), (3, 5), (5, 2), (5, 3),
    }  # fmt: skip
    drawn = (partners[rows == 2] == 3).double().mean()
    assert abs(float(drawn) - 0.5) < 4 * math.sqrt(0.25 / 300)


def test_mistakes_are_explained():
    factors = combinations(2, 3)
    code = factors.double()
    with pytest.raises(ConfigError, match="bins must be at least 2, got 1"):
        mutual_information_gap(code, factors, bins=1)
    with pytest.raises(DataError, match=r"whole numbers of shape \(6, factors\), a row for each code, got torch.float64"):
        mutual_information_gap(code, code)
    with pytest.raises(DataError, match=r"shape \(6, factors\).*got torch.int64 of shape \(5, 2\)"):
        mutual_information_gap(code, factors[:5])
    with pytest.raises(DataError, match="got one in column 1: leave it out"):
        mutual_information_gap(code, factors * torch.tensor([1, 0]))
    with pytest.raises(DataError, match="codes expects finite numbers, got NaN or infinity in row 0"):
        mutual_information_gap(code / 0, factors)
    with pytest.raises(DataError, match=r"log_variance expects the shape of codes, \(6, 2\), got \(6, 1\)"):
        mutual_information_gap(code, factors, log_variance=code[:, :1])
    with pytest.raises(DataError, match="got 2 and 1 dimensions, 2 and 2 factors"):
        beta_vae_score(code, factors, code[:, :1], factors)
    with pytest.raises(ConfigError, match="at least 1 pair or row, got 0"):
        beta_vae_score(code, factors, code, factors, pairs=0)
