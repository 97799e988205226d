"""The two players' losses: equal to cross-entropy, finite, with the paper's gradients and the paper's optimum."""

import math

import pytest
import torch
from torch.distributions import Normal
from torch.nn import functional as F

from pofx.functional.adversarial import (
    GENERATOR_LOSSES,
    discriminator_fake_loss,
    discriminator_real_loss,
    non_saturating_loss,
    saturating_loss,
)

LOGITS = torch.linspace(-8, 8, 33, dtype=torch.float64)
POINTS = 1_000_000


def value(real_logits, fake_logits):
    """V(D, G), which the discriminator maximises."""
    return -(discriminator_real_loss(real_logits) + discriminator_fake_loss(fake_logits)).item()


def quantiles(*components):
    """Points that stand for a mixture in equal shares: means over them are integrals against its density."""
    middle = (torch.arange(POINTS, dtype=torch.float64) + 0.5) / POINTS
    return torch.cat(
        [Normal(*(torch.tensor(c, dtype=torch.float64) for c in component)).icdf(middle) for component in components]
    )


def log_density(x, *components):
    parts = [Normal(mean, std, validate_args=False).log_prob(x) for mean, std in components]
    return torch.stack(parts).logsumexp(0) - math.log(len(parts))


def test_losses_are_cross_entropies_with_logits():
    ones, zeros = torch.ones_like(LOGITS), torch.zeros_like(LOGITS)
    torch.testing.assert_close(discriminator_real_loss(LOGITS), F.binary_cross_entropy_with_logits(LOGITS, ones))
    torch.testing.assert_close(discriminator_fake_loss(LOGITS), F.binary_cross_entropy_with_logits(LOGITS, zeros))
    torch.testing.assert_close(non_saturating_loss(LOGITS), F.binary_cross_entropy_with_logits(LOGITS, ones))
    torch.testing.assert_close(saturating_loss(LOGITS), -F.binary_cross_entropy_with_logits(LOGITS, zeros))


@pytest.mark.parametrize("loss", [discriminator_real_loss, discriminator_fake_loss, non_saturating_loss, saturating_loss])
@pytest.mark.parametrize("logit", [1e4, -1e4])
def test_losses_and_gradients_stay_finite(loss, logit):
    f = torch.tensor([logit], requires_grad=True)
    result = loss(f)
    result.backward()
    assert abs(result.item()) in (0.0, 1e4)
    assert abs(f.grad.item()) in (0.0, 1.0)


@pytest.mark.parametrize("c", [0.1, 0.5, 0.9])
def test_a_constant_discriminator_has_the_value_log_c_plus_log_one_minus_c(c):
    logits = torch.full((10,), c, dtype=torch.float64).logit()
    assert value(logits, logits) == pytest.approx(math.log(c) + math.log(1 - c), abs=1e-12)


def test_the_value_at_nine_tenths_is_that_of_the_sheet():
    assert value(*[torch.tensor([0.9]).logit()] * 2) == pytest.approx(-2.40795, abs=1e-5)


@pytest.mark.parametrize(
    ("name", "slope", "at_minus_five"),
    [("saturating", lambda s: -s, -0.0067), ("non-saturating", lambda s: s - 1, -0.9933)],
)
def test_generator_gradients(name, slope, at_minus_five):
    f = LOGITS.clone().requires_grad_()
    (GENERATOR_LOSSES[name](f) * len(f)).backward()
    torch.testing.assert_close(f.grad, slope(LOGITS.sigmoid()), rtol=0, atol=1e-12)
    f = torch.tensor([-5.0], requires_grad=True)
    GENERATOR_LOSSES[name](f).backward()
    assert f.grad.item() == pytest.approx(at_minus_five, abs=5e-5)


@pytest.mark.parametrize(
    ("data", "generated", "divergence", "optimum"),
    [
        ([(0, 1)], [(0, 1)], 0.000000, -1.386294),
        ([(0, 1)], [(1, 1)], 0.111421, -1.163451),
        ([(0, 1)], [(2, 1)], 0.336831, -0.712633),
        ([(0, 1)], [(4, 1)], 0.632720, -0.120854),
        ([(0, 1)], [(0, 2)], 0.092733, -1.200828),
        ([(-2, 0.5), (2, 0.5)], [(0, 2)], 0.201078, -0.984138),
        ([(-2, 0.5), (2, 0.5)], [(2, 0.5)], 0.215728, -0.954839),
    ],
)
def test_the_best_discriminator_measures_the_jensen_shannon_divergence(data, generated, divergence, optimum):
    def best(x):
        return log_density(x, *data) - log_density(x, *generated)

    x, fake = quantiles(*data), quantiles(*generated)
    density, other = log_density(x, *data).exp(), log_density(x, *generated).exp()
    torch.testing.assert_close(best(x).sigmoid(), density / (density + other))
    reached = value(best(x), best(fake))
    assert reached == pytest.approx(optimum, abs=1.5e-6)
    assert (reached + math.log(4)) / 2 == pytest.approx(divergence, abs=1e-6)
    for amount, wave in ((0.3, 1.0), (1.0, 3.0), (-2.0, 0.5)):
        assert value(*(best(p) + amount * torch.sin(wave * p) for p in (x, fake))) < reached
