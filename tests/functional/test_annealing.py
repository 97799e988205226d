"""Annealed importance sampling against Gaussians: kernels that leave their target invariant, weights whose mean is p(x)."""

import math

import pytest
import torch
from torch.distributions import MultivariateNormal

from pofx.core import ConfigError
from pofx.functional.annealing import (
    Target,
    annealed_importance_sampling,
    evaluated,
    hmc_step,
    sandwich,
    sigmoid_schedule,
    tuned_step_sizes,
)


@pytest.fixture(autouse=True)
def _in_double():
    torch.set_default_dtype(torch.float64)
    torch.manual_seed(0)
    yield
    torch.set_default_dtype(torch.float32)


def log_normal(z):
    return -0.5 * (z.square() + math.log(2 * math.pi)).sum(-1)


class LinearGaussian:
    """z ~ N(0, I), x = W z + noise of a variance; n simulated events with the codes they came from."""

    def __init__(self, latent=2, dims=3, n=4, variance=0.3):
        self.W, self.variance = torch.randn(dims, latent), variance
        self.z = torch.randn(n, latent)
        self.x = self.z @ self.W.T + variance**0.5 * torch.randn(n, dims)
        marginal = MultivariateNormal(torch.zeros(dims), self.W @ self.W.T + variance * torch.eye(dims))
        self.exact = marginal.log_prob(self.x)
        self.covariance = torch.linalg.inv(torch.eye(latent) + self.W.T @ self.W / variance)
        self.mean = self.x @ self.W @ self.covariance / variance
        self.target = Target(log_normal, self.log_likelihood)

    def log_likelihood(self, z):
        squares = (self.x - z @ self.W.T).square().sum(-1) / self.variance
        return -0.5 * (squares + self.x.shape[1] * math.log(2 * math.pi * self.variance))

    def prior(self, chains):
        return torch.randn(chains, *self.z.shape)


def assert_mean(values, expected, most_error=math.inf):
    error = values.std(0) / len(values) ** 0.5
    assert ((values.mean(0) - expected).abs() < 4 * error).all()
    assert (error < most_error).all()


def test_the_schedule_rises_from_0_to_1_and_is_symmetric():
    betas = sigmoid_schedule(100)
    assert [betas[0].item(), betas[50].item(), betas[-1].item()] == pytest.approx([0, 0.5, 1], abs=1e-12)
    assert (betas.diff() > 0).all()
    torch.testing.assert_close(betas + betas.flip(0), torch.ones(101), rtol=0, atol=1e-12)
    assert betas.diff()[0] < 0.1 * betas.diff().max()
    with pytest.raises(ConfigError, match="steps must be at least 1, got 0"):
        sigmoid_schedule(0)


def test_gradients_are_those_of_the_densities():
    model = LinearGaussian()
    point = evaluated(model.target, model.prior(5))
    torch.testing.assert_close(point.prior_gradient, -point.z)
    torch.testing.assert_close(point.likelihood_gradient, (model.x - point.z @ model.W.T) @ model.W / model.variance)
    torch.testing.assert_close(point.gradient(0.3), point.prior_gradient + 0.3 * point.likelihood_gradient)
    torch.testing.assert_close(point.log_density(0.3), log_normal(point.z) + 0.3 * model.log_likelihood(point.z))
    assert not any(part.requires_grad for part in point)


def draws_at(model, beta, chains):
    """Exact draws of p(z) p(x | z)^β, and their mean and covariance."""
    covariance = torch.linalg.inv(torch.eye(model.W.shape[1]) + beta * model.W.T @ model.W / model.variance)
    mean = beta * model.x @ model.W @ covariance / model.variance
    return mean + torch.randn(chains, *mean.shape) @ torch.linalg.cholesky(covariance).T, mean, covariance


@pytest.mark.parametrize("beta", [0.0, 0.4, 1.0])
def test_hamiltonian_moves_leave_their_target_invariant(beta):
    model = LinearGaussian(n=1)
    z, mean, covariance = draws_at(model, beta, 30_000)
    point, step = evaluated(model.target, z), torch.full((1,), 0.8 * covariance.diagonal().min().sqrt().item())
    for _ in range(3):
        point, acceptance = hmc_step(model.target, point, beta, step, leapfrog=2)
    assert 0.5 < acceptance.mean() < 0.99  # coarse enough that without the test of acceptance the moments would be off
    assert (point.z != z).any(-1).float().mean() > 0.8
    assert_mean(point.z[:, 0], mean[0], 0.02)
    centred = point.z[:, 0] - mean[0]
    assert_mean(centred[:, :, None] * centred[:, None, :], covariance, 0.02)


def test_hamiltonian_moves_come_to_their_target_from_elsewhere():
    model = LinearGaussian(n=1)
    point = evaluated(model.target, torch.full((5000, 1, 2), 3.0))
    for _ in range(60):
        point, _ = hmc_step(model.target, point, 1.0, torch.full((1,), 0.2), leapfrog=5)
    assert_mean(point.z[:, 0], model.mean[0], 0.02)


def test_small_steps_keep_the_energy_and_runaway_trajectories_are_refused():
    model = LinearGaussian()
    point = evaluated(model.target, model.prior(50))
    errors = [1 - hmc_step(model.target, point, 1.0, torch.full((4,), s), 3)[1].mean().item() for s in (0.1, 0.05, 1e-4)]
    assert errors == sorted(errors, reverse=True)
    assert errors[-1] < 1e-6
    walled = Target(log_normal, lambda z: torch.where(z[..., 0] > 0, torch.nan, 0.0) * z.sum(-1))
    point = evaluated(walled, -model.prior(50).abs())
    moved, acceptance = hmc_step(walled, point, 1.0, torch.full((4,), 1.0), 3)
    assert (moved.z[..., 0] <= 0).all()
    assert (acceptance[(moved.z == point.z).all(-1)] < 1).all()
    assert (moved.z != point.z).any()


def test_of_one_step_the_weights_are_the_likelihoods_of_where_chains_start():
    model, betas = LinearGaussian(), sigmoid_schedule(1)
    z, sizes = model.prior(7), torch.empty(0, 4)
    for reverse in (False, True):
        result = annealed_importance_sampling(model.target, z, betas, sizes, reverse=reverse)
        torch.testing.assert_close(result.log_weights, model.log_likelihood(z))
        assert torch.equal(result.z, z)


def test_where_the_decoder_ignores_the_code_every_weight_is_the_likelihood():
    target = Target(log_normal, lambda z: -3.25 + 0 * z.sum(-1))
    betas = sigmoid_schedule(20)
    sizes = tuned_step_sizes(target, torch.randn(2, 3, 2), betas)
    for reverse in (False, True):
        weights = annealed_importance_sampling(target, torch.randn(4, 3, 2), betas, sizes, reverse=reverse).log_weights
        torch.testing.assert_close(weights, torch.full((4, 3), -3.25), rtol=0, atol=1e-12)


@pytest.mark.parametrize("latent", [1, 3])
def test_forward_weights_have_the_likelihood_as_their_mean_and_reverse_weights_its_inverse(latent):
    model, betas = LinearGaussian(latent, dims=2, n=2, variance=4.0), sigmoid_schedule(3)
    sizes = tuned_step_sizes(model.target, model.prior(2), betas, leapfrog=3)
    forward = annealed_importance_sampling(model.target, model.prior(20_000), betas, sizes, leapfrog=3).log_weights
    assert_mean((forward - model.exact).exp(), 1.0, 0.05)
    assert (forward.mean(0) < model.exact - 0.01).all()  # and ln w lies below
    start = model.mean + torch.randn(20_000, *model.mean.shape) @ torch.linalg.cholesky(model.covariance).T
    reverse = annealed_importance_sampling(model.target, start, betas, sizes, leapfrog=3, reverse=True).log_weights
    assert_mean((model.exact - reverse).exp(), 1.0, 0.1)
    assert (reverse.mean(0) > model.exact + 0.01).all()


def test_bounds_from_both_sides_close_in_with_more_steps():
    model, gaps = LinearGaussian(latent=3, dims=4, n=60, variance=0.2), []
    for steps in (4, 16, 64, 256):
        betas = sigmoid_schedule(steps)
        sizes = tuned_step_sizes(model.target, model.prior(2), betas, leapfrog=4)
        forward = annealed_importance_sampling(model.target, model.prior(8), betas, sizes, leapfrog=4)
        start = model.z.expand(8, -1, -1)  # the codes that events came from: exact draws of p(z | x)
        reverse = annealed_importance_sampling(model.target, start, betas, sizes, leapfrog=4, reverse=True)
        lower, upper = sandwich(forward.log_weights, reverse.log_weights)
        error = ((lower - model.exact).std() + (upper - model.exact).std()) / 60**0.5
        assert lower.mean() < model.exact.mean() + 3 * error
        assert upper.mean() > model.exact.mean() - 3 * error
        gaps.append((upper - lower).mean().item())
    assert gaps == sorted(gaps, reverse=True)
    assert gaps[0] > 1
    assert gaps[-1] < 0.15


def test_a_sandwich_is_the_logarithm_of_means():
    forward, reverse = torch.randn(6, 3), torch.randn(6, 3)
    lower, upper = sandwich(forward, reverse)
    torch.testing.assert_close(lower, forward.exp().mean(0).log())
    torch.testing.assert_close(upper, -(-reverse).exp().mean(0).log())
    assert (lower >= forward.mean(0)).all()
    assert (upper <= reverse.mean(0)).all()


def test_step_sizes_are_of_each_row_and_come_to_the_acceptance_that_is_asked_for():
    scales = torch.tensor([1.0, 0.05])  # deviations of the posterior of two rows
    target = Target(log_normal, lambda z: -0.5 * (z / scales[:, None]).square().sum(-1))
    betas = sigmoid_schedule(250)
    z = torch.randn(8, 2, 5)
    sizes, unit = tuned_step_sizes(target, z, betas, leapfrog=5), z.square().mean().sqrt()
    assert sizes.shape == (249, 2)
    assert ((sizes >= 1e-4 * unit) & (sizes <= 0.5 * unit)).all()
    assert (sizes[1:] / sizes[:-1]).unique().numel() > 1
    assert sizes[-1, 0] > 3 * sizes[-1, 1]
    result = annealed_importance_sampling(target, torch.randn(8, 2, 5), betas, sizes, leapfrog=5)
    assert 0.5 < result.acceptance[1] < 0.9
    assert result.z[:, 1].std().item() == pytest.approx(0.05, rel=0.4)


def test_chains_of_rows_do_not_touch_each_other():
    """The weights of a row are the same whatever x stands beside it, given the same noise."""
    results = []
    for other in (0.0, 5.0):
        x = torch.tensor([[1.0], [other]])
        target = Target(log_normal, lambda z, x=x: -0.5 * (x - z).square().sum(-1))
        generator = torch.Generator().manual_seed(0)
        sizes = torch.full((9, 2), 0.3)
        z = torch.randn(4, 2, 1, generator=generator)
        results.append(annealed_importance_sampling(target, z, sigmoid_schedule(10), sizes, 3, generator).log_weights)
    assert torch.equal(results[0][:, 0], results[1][:, 0])
    assert not torch.equal(results[0][:, 1], results[1][:, 1])


def test_the_same_generator_gives_the_same_weights_and_steps_are_told():
    model, betas, told = LinearGaussian(), sigmoid_schedule(5), []
    z, sizes = model.prior(3), torch.full((4, 4), 0.1)

    def weights(seed):
        generator = torch.Generator().manual_seed(seed)
        result = annealed_importance_sampling(
            model.target, z, betas, sizes, 2, generator, on_step=lambda done, total: told.append((done, total))
        )
        return result.log_weights

    state = torch.get_rng_state()
    assert torch.equal(weights(0), weights(0))
    assert not torch.equal(weights(0), weights(1))
    assert torch.equal(torch.get_rng_state(), state)
    assert told[:5] == [(1, 5), (2, 5), (3, 5), (4, 5), (5, 5)]
