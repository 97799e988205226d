"""Mixtures against torch.distributions, numeric integrals and each other: quantiles invert the distribution function."""

import pytest
import torch
from torch.distributions import Categorical, Laplace, MixtureSameFamily, Normal

from pofx.core import ConfigError
from pofx.functional.mixtures import FAMILIES, Mixture

TORCH = {"gaussian": Normal, "laplace": Laplace}
families = pytest.mark.parametrize("family", FAMILIES)


def mixture(family, *shape, components=4, dtype=torch.float64):
    g = torch.Generator().manual_seed(0)
    logits, mean, scale = (torch.randn(*shape, components, generator=g, dtype=torch.float64).to(dtype) for _ in range(3))
    return Mixture(logits, 2 * mean, scale.exp(), family)


def of_torch(m):
    return MixtureSameFamily(Categorical(logits=m.logits), TORCH[m.family](m.mean, m.scale), validate_args=False)


def values(*shape):
    return 3 * torch.randn(*shape, generator=torch.Generator().manual_seed(1), dtype=torch.float64)


@families
def test_density_and_distribution_function_are_those_of_torch(family):
    m, x = mixture(family, 5, 7), values(5, 7)
    torch.testing.assert_close(m.log_prob(x), of_torch(m).log_prob(x), rtol=0, atol=1e-12)
    torch.testing.assert_close(m.cdf(x), of_torch(m).cdf(x), rtol=0, atol=1e-12)


@families
def test_density_is_the_derivative_of_the_distribution_function(family):
    m, x = mixture(family, 9), values(9).requires_grad_()
    (slope,) = torch.autograd.grad(m.cdf(x).sum(), x)
    torch.testing.assert_close(slope, m.log_prob(x).exp(), rtol=1e-10, atol=1e-14)


@families
def test_density_integrates_to_one(family):
    m = mixture(family, 3)
    x = torch.linspace(-80, 80, 400_001, dtype=torch.float64)[:, None].expand(-1, 3)
    integral = torch.trapezoid(m.log_prob(x).exp(), x, dim=0)
    torch.testing.assert_close(integral, torch.ones(3, dtype=torch.float64), rtol=0, atol=1e-6)


@families
def test_quantile_and_distribution_function_invert_each_other(family):
    m = mixture(family, 200)
    x = m.sample(torch.Generator().manual_seed(1))
    torch.testing.assert_close(m.quantile(m.cdf(x)), x, rtol=0, atol=1e-9)
    for q in (1e-9, 0.025, 0.5, 0.999):
        torch.testing.assert_close(m.cdf(m.quantile(q)), torch.full((200,), q, dtype=torch.float64), rtol=1e-9, atol=1e-12)


@families
def test_quantiles_of_one_component_are_in_closed_form(family):
    m = mixture(family, 6, components=1)
    expected = TORCH[family](m.mean, m.scale).icdf(torch.tensor(0.9, dtype=torch.float64)).squeeze(-1)
    torch.testing.assert_close(m.quantile(0.9), expected, rtol=0, atol=1e-12)


@families
def test_tails_keep_their_digits(family):
    m = Mixture(torch.zeros(1), torch.zeros(1), torch.full((1,), 1e-3), family)
    x = torch.tensor(-0.012)
    torch.testing.assert_close(m.quantile(m.cdf(x)), x)
    assert m.log_prob(torch.tensor(100.0)).isfinite()


@families
def test_draws_follow_the_distribution(family):
    """Their distribution function is uniform: chi-square over 20 cells of equal probability."""
    m, n = mixture(family), 20_000
    many = Mixture(*(part.expand(n, -1) for part in m[:3]), family)
    drawn = many.sample(torch.Generator().manual_seed(0))
    counts = torch.bincount((m.cdf(drawn) * 20).long(), minlength=20)
    assert ((counts - n / 20) ** 2 / (n / 20)).sum() < 43.8  # the 99.9 % point of chi-square with 19 degrees of freedom


@families
def test_draws_are_fixed_by_the_generator_and_impossible_components_are_never_drawn(family):
    logits = torch.tensor([-torch.inf, 0.0, -torch.inf]).expand(1000, 3)
    m = Mixture(logits, torch.tensor([-1e3, 0.0, 1e3]).expand(1000, 3), torch.ones(1000, 3), family)
    one, same = (m.sample(torch.Generator().manual_seed(2)) for _ in range(2))
    assert torch.equal(one, same)
    assert one.abs().max() < 50
    assert one.dtype == torch.float32


@pytest.mark.parametrize("q", [0.0, 1.0, -0.5, float("nan")])
def test_a_quantile_needs_a_probability_inside_zero_and_one(q):
    with pytest.raises(ConfigError, match=r"q must lie strictly between 0 and 1, got .*: 0.5 is the median"):
        mixture("gaussian", 2).quantile(q)


@pytest.mark.parametrize("family", FAMILIES)
def test_a_temperature_raises_weights_and_densities_to_a_power(family):
    z, parts = torch.linspace(-3, 3, 7, dtype=torch.float64), FAMILIES[family]
    for temperature in (0.25, 2.0):
        power = parts.log_prob(z / parts.sharpened_scale(temperature)) - parts.log_prob(z) / temperature
        torch.testing.assert_close(power, power[:1].expand(7))  # f^(1/T) up to a factor
    mixture = Mixture(torch.tensor([0.0, 1.0]), torch.tensor([-1.0, 2.0]), torch.tensor([0.5, 3.0]), family)
    assert mixture.at_temperature(1) is mixture
    weights = mixture.logits.softmax(-1).square()
    torch.testing.assert_close(mixture.at_temperature(0.5).logits.softmax(-1), weights / weights.sum())
    logits = torch.tensor([[0.0, 1.0], [1.0, 0.0]]).repeat(50, 1)
    frozen = Mixture(logits, mixture.mean.expand(100, 2), mixture.scale.expand(100, 2), family).at_temperature(0).sample()
    assert torch.equal(frozen, torch.tensor([2.0, -1.0]).repeat(50))
