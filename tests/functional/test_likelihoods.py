"""Likelihoods, divergences and bounds against torch.distributions, closed forms and Monte Carlo."""

import math

import pytest
import torch
from torch.distributions import Bernoulli, Independent, Normal, kl_divergence

from pofx.functional.likelihoods import bernoulli_log_prob, gaussian_kl, gaussian_log_prob, log_mean_exp


@pytest.fixture
def noise():
    torch.manual_seed(0)
    return lambda *shape: torch.randn(*shape, dtype=torch.float64)


@pytest.mark.parametrize("shape", [(5, 3), (5, 1, 2, 3)])
def test_bernoulli_log_prob_is_that_of_torch(noise, shape):
    logits, x = 3 * noise(*shape), (noise(*shape) > 0).double()
    expected = Independent(Bernoulli(logits=logits), len(shape) - 1).log_prob(x)
    torch.testing.assert_close(bernoulli_log_prob(x, logits), expected, rtol=0, atol=1e-12)


def test_bernoulli_log_prob_is_finite_for_certain_logits():
    x, logits = torch.tensor([[1.0], [0.0], [1.0]]), torch.tensor([[1e4], [1e4], [-1e4]])
    assert bernoulli_log_prob(x, logits).tolist() == [0.0, -1e4, -1e4]


@pytest.mark.parametrize("shape", [(5, 3), (5, 1, 2, 3)])
def test_gaussian_log_prob_is_that_of_torch(noise, shape):
    x, mean, log_variance = noise(*shape), noise(*shape), noise(*shape)
    expected = Independent(Normal(mean, (0.5 * log_variance).exp()), len(shape) - 1).log_prob(x)
    torch.testing.assert_close(gaussian_log_prob(x, mean, log_variance), expected, rtol=0, atol=1e-12)


def test_the_best_shared_variance_is_the_mean_squared_error(noise):
    x, mean = noise(50, 4), noise(50, 4)
    error = (x - mean).square().mean()
    log_variance = error.log().requires_grad_()
    total = gaussian_log_prob(x, mean, log_variance).mean()
    total.backward()
    assert total.item() == pytest.approx(-4 / 2 * (math.log(2 * math.pi * error.item()) + 1), abs=1e-12)
    assert log_variance.grad.item() == pytest.approx(0, abs=1e-12)


def test_gaussian_kl_is_that_of_torch_and_zero_only_at_the_prior(noise):
    mean, log_variance = noise(100, 3), noise(100, 3)
    q, prior = Normal(mean, (0.5 * log_variance).exp()), Normal(torch.zeros_like(mean), torch.ones_like(mean))
    kl = gaussian_kl(mean, log_variance)
    torch.testing.assert_close(kl, kl_divergence(q, prior).sum(1), rtol=0, atol=1e-12)
    assert (kl > 0).all()
    assert gaussian_kl(torch.zeros(2, 3), torch.zeros(2, 3)).tolist() == [0.0, 0.0]


def test_gaussian_kl_is_the_mean_of_log_ratios(noise):
    mean, log_variance = noise(1, 3), noise(1, 3)
    z = mean + (0.5 * log_variance).exp() * noise(200_000, 3)
    ratios = gaussian_log_prob(z, mean, log_variance) - gaussian_log_prob(z, torch.zeros_like(z), torch.zeros_like(z))
    assert abs(ratios.mean() - gaussian_kl(mean, log_variance)) < 4 * ratios.std() / len(z) ** 0.5


def test_log_mean_exp_of_equal_and_shifted_weights(noise):
    weights = noise(7, 4)
    torch.testing.assert_close(log_mean_exp(weights), weights.exp().mean(0).log())
    torch.testing.assert_close(log_mean_exp(weights, dim=1), weights.exp().mean(1).log())
    torch.testing.assert_close(log_mean_exp(weights[:1].expand(9, -1)), weights[0])
    torch.testing.assert_close(log_mean_exp(weights - 5000), log_mean_exp(weights) - 5000)


def test_log_mean_exp_never_lies_below_the_mean(noise):
    weights = 3 * noise(20, 50)
    assert (log_mean_exp(weights) >= weights.mean(0)).all()


def test_the_gradient_of_the_importance_bound_is_that_of_the_weighted_logs(noise):
    weights = noise(6, 3).requires_grad_()
    log_mean_exp(weights).sum().backward()
    torch.testing.assert_close(weights.grad, weights.detach().softmax(0))
