"""Importance sampling against models whose ln p(x) is known, and its running sums against the formulas on all weights."""

import math

import pytest
import torch
from torch.distributions import MultivariateNormal

from pofx.core import ConfigError
from pofx.functional.importance import importance_log_likelihood, prior_log_likelihood, weighted

ANCHOR = -1.5155121  # ln N(1; 0, 2)


@pytest.fixture(autouse=True)
def _in_double():
    torch.set_default_dtype(torch.float64)
    torch.manual_seed(0)
    yield
    torch.set_default_dtype(torch.float32)


def anchor_log_joint(z):
    """ln p(x = 1, z) of z ~ N(0, 1), x | z ~ N(z, 1)."""
    return -math.log(2 * math.pi) - 0.5 * (z.square() + (1 - z).square()).sum(-1)


def linear_gaussian(latent, dims, n=6, variance=0.4):
    """x = W z + noise of a variance: events, ln p(x, z), exact ln p(x), and the posterior's mean and marginal variances."""
    W, x = torch.randn(dims, latent), torch.randn(n, dims)
    cov = torch.linalg.inv(torch.eye(latent) + W.T @ W / variance)

    def log_joint(z):
        normals = 0.5 * (latent * math.log(2 * math.pi) + dims * math.log(2 * math.pi * variance))
        return -0.5 * (z.square().sum(-1) + (x - z @ W.T).square().sum(-1) / variance) - normals

    exact = MultivariateNormal(torch.zeros(dims), W @ W.T + variance * torch.eye(dims)).log_prob(x)
    return log_joint, exact, x @ W @ cov.T / variance, cov.diagonal().expand(n, -1)


@pytest.mark.parametrize(("k", "expected"), [(1, -1.9189385), (2, -1.6534738), (3, -1.5940666)])
def test_the_bounds_of_the_anchor_model(k, expected):
    rows = torch.zeros(200_000, 1)  # as many repetitions of x = 1, with q = N(0, 1)
    estimate = importance_log_likelihood(anchor_log_joint, rows, rows, k).log_likelihood
    assert estimate.mean().item() == pytest.approx(expected, abs=4 * estimate.std().item() / len(rows) ** 0.5)


def test_with_the_exact_posterior_every_weight_is_the_likelihood():
    half = torch.full((3, 1), 0.5)
    estimate = importance_log_likelihood(anchor_log_joint, half, half.log(), 7, at_once=3)
    torch.testing.assert_close(estimate.log_likelihood, torch.full((3,), ANCHOR), rtol=0, atol=1e-7)
    torch.testing.assert_close(estimate.effective_samples, torch.full((3,), 7.0), rtol=0, atol=1e-9)


@pytest.mark.parametrize(("latent", "dims"), [(1, 1), (2, 5), (4, 3)])
@pytest.mark.parametrize("widen", [1.0, 1.5])
def test_the_likelihood_of_a_linear_gaussian_model(latent, dims, widen):
    log_joint, exact, mean, variance = linear_gaussian(latent, dims)
    k = 20_000
    estimate = importance_log_likelihood(log_joint, mean, variance.log(), k, widen=widen)
    error = (1 / estimate.effective_samples - 1 / k).clamp(min=0).sqrt()
    assert ((estimate.log_likelihood - exact).abs() < 4 * error + 1e-9).all()
    assert error.max() < 0.05


def test_a_proposal_that_is_too_narrow_gains_by_being_widened():
    log_joint, exact, mean, variance = linear_gaussian(2, 5)
    narrow, right = (importance_log_likelihood(log_joint, mean, (variance / 9).log(), 2000, widen=w) for w in (1.0, 3.0))
    assert (narrow.effective_samples < 0.2 * right.effective_samples).all()
    assert (right.log_likelihood - exact).abs().max() < 0.1


def test_bounds_rise_with_the_number_of_samples_and_stay_below_in_expectation():
    rows, means = torch.zeros(20_000, 1), []
    for k in (1, 4, 16, 64):
        means.append(importance_log_likelihood(anchor_log_joint, rows, rows, k).log_likelihood.mean().item())
    assert means == sorted(means)
    assert means[-1] < ANCHOR + 0.002


@pytest.mark.parametrize("sizes", [[1000], [1, 999], [100] * 10, [333, 333, 334]])
def test_running_sums_are_the_formulas_on_all_weights(sizes):
    log_weights = 30 * torch.randn(1000, 4) - 800  # weights that are 0 in double unless their logarithms are kept
    estimate = weighted(iter(log_weights.split(sizes)))
    torch.testing.assert_close(estimate.log_likelihood, log_weights.logsumexp(0) - math.log(1000), rtol=0, atol=1e-10)
    share = log_weights.softmax(0)
    torch.testing.assert_close(estimate.effective_samples, 1 / share.square().sum(0), rtol=1e-10, atol=0)


def test_chunks_change_nothing_given_the_same_noise():
    mean, log_variance = torch.randn(16, 1), torch.randn(16, 1)  # noise comes in groups of 16, so that chunks draw the same
    one, many = (
        importance_log_likelihood(anchor_log_joint, mean, log_variance, 60, at_once, torch.Generator().manual_seed(3))
        for at_once in (60, 7)
    )
    torch.testing.assert_close(one.log_likelihood, many.log_likelihood, rtol=0, atol=1e-12)
    torch.testing.assert_close(one.effective_samples, many.effective_samples, rtol=1e-12, atol=0)


def test_no_more_codes_are_held_than_asked_for():
    seen = []

    def log_joint(z):
        seen.append(len(z))
        return anchor_log_joint(z)

    importance_log_likelihood(log_joint, torch.zeros(2, 1), torch.zeros(2, 1), 250, at_once=100)
    assert seen == [100, 100, 50]


def test_a_constant_shifts_the_estimate_and_leaves_the_effective_samples():
    chunk = torch.randn(50, 3)
    plain, shifted = weighted(iter([chunk])), weighted(iter([chunk + 7]))
    torch.testing.assert_close(shifted.log_likelihood, plain.log_likelihood + 7, rtol=0, atol=1e-12)
    torch.testing.assert_close(shifted.effective_samples, plain.effective_samples, rtol=1e-12, atol=0)


def test_equal_weights_are_one_weight_and_impossible_ones_count_for_nothing():
    equal = weighted(iter([torch.full((5, 1), -3.0)]))
    assert equal.log_likelihood.item() == pytest.approx(-3, abs=1e-12)
    half = weighted(iter([torch.tensor([[0.0], [-math.inf]])]))
    assert [half.log_likelihood.item(), half.effective_samples.item()] == pytest.approx([-math.log(2), 1])
    none = weighted(iter([torch.full((2, 1), -math.inf)] * 2))
    assert [none.log_likelihood.item(), none.effective_samples.item()] == [-math.inf, 0]


def test_codes_of_the_prior_give_the_likelihood_too():
    def log_likelihood(z):
        return -0.5 * (math.log(2 * math.pi) + (1 - z).square().sum(-1))

    k = 100_000
    estimate = prior_log_likelihood(log_likelihood, lambda j: torch.randn(j, 4, 1), k, at_once=1000)
    error = (1 / estimate.effective_samples - 1 / k).sqrt()
    assert ((estimate.log_likelihood - ANCHOR).abs() < 4 * error).all()
    assert error.max() < 0.01


@pytest.mark.parametrize(
    ("samples", "at_once", "widen"), [(0, 1, 1.0), (5, 0, 1.0), (5, 1, 0.0), (5, 1, -1.0), (5, 1, math.inf)]
)
def test_senseless_numbers_are_refused(samples, at_once, widen):
    with pytest.raises(ConfigError, match=r"must be (at least 1|a positive number), got"):
        importance_log_likelihood(anchor_log_joint, torch.zeros(1, 1), torch.zeros(1, 1), samples, at_once, widen=widen)
