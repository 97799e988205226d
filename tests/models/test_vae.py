"""The variational autoencoder against the models whose density is known in closed form or by quadrature."""

import math

import pytest
import torch
from torch import nn
from torch.distributions import MultivariateNormal, constraints

from pofx.core import Batch, ConfigError, LevelGrid
from pofx.functional.likelihoods import bernoulli_log_prob, gaussian_kl
from pofx.models import VAE
from pofx.nn.observation import VARIANCE_PACE

LOG_P_OF_ONE = -1.5155121


def set_linear(network, weight, bias):
    layer = next(m for m in network.modules() if isinstance(m, nn.Linear))
    with torch.no_grad():
        layer.weight.copy_(torch.as_tensor(weight))
        layer.bias.copy_(torch.as_tensor(bias))


def anchor(mean_weight, mean_bias, log_variance):
    """z ~ N(0, 1), x | z ~ N(z, 1), with q(z | x) = N(mean_weight x + mean_bias, exp(log_variance))."""
    model = VAE((1,), latent=1, hidden=(), likelihood="gaussian").double()
    set_linear(model.encoder, [[mean_weight], [0.0]], [mean_bias, log_variance])
    set_linear(model.decoder, [[1.0]], [0.0])
    return model


def mean_and_error(values):
    return values.mean().item(), values.std().item() / len(values) ** 0.5


def ones(n):
    return torch.ones(n, 1, dtype=torch.float64)


@pytest.mark.parametrize(
    ("samples", "bound", "rounding"),
    [(1, -1.9189385, 0), (2, -1.6534738, 0), (3, -1.5940666, 0), (5, -1.5579, 5e-4), (10, -1.5351, 3e-4), (50, -1.5189, 2e-4)],
)
def test_bounds_of_the_anchor_with_the_prior_as_posterior(samples, bound, rounding):
    torch.manual_seed(0)
    mean, error = mean_and_error(anchor(0.0, 0.0, 0.0).elbo(ones(100_000 // min(samples, 5)), samples))
    assert abs(mean - bound) < 4 * (error + rounding)
    assert mean < LOG_P_OF_ONE + 4 * error


def test_with_the_exact_posterior_every_bound_is_the_density():
    model = anchor(0.5, 0.0, math.log(0.5))
    torch.manual_seed(0)
    for samples in (2, 5, 50):
        torch.testing.assert_close(model.elbo(ones(10), samples), torch.full((10,), LOG_P_OF_ONE).double(), rtol=0, atol=1e-7)
    mean, error = mean_and_error(model.elbo(ones(100_000)))
    assert abs(mean - LOG_P_OF_ONE) < 4 * error


@pytest.mark.parametrize(("shift", "log_variance"), [(0.0, 0.0), (1.0, -1.0), (-0.5, 0.7)])
def test_the_bound_and_the_divergence_from_the_posterior_make_the_density(shift, log_variance):
    torch.manual_seed(1)
    mean, error = mean_and_error(anchor(0.0, shift, log_variance).elbo(ones(200_000)))
    posterior = torch.distributions.Normal(0.5, math.sqrt(0.5))
    q = torch.distributions.Normal(shift, math.exp(0.5 * log_variance))
    assert abs(mean + torch.distributions.kl_divergence(q, posterior).item() - LOG_P_OF_ONE) < 4 * error


@pytest.fixture
def linear_gaussian():
    """x = W z + m + noise of variance v, with the exact posterior as encoder (W has orthogonal columns), and its p(x)."""
    weight = torch.tensor([[1.0, 2.0], [-2.0, 1.0], [0.5, 0.0], [0.0, 0.5]], dtype=torch.float64)
    offset, v = torch.tensor([0.3, -1.0, 0.0, 2.0], dtype=torch.float64), 0.4
    precision = 1 + weight.square().sum(0) / v
    to_mean = weight.T / v / precision[:, None]
    model = VAE((4,), latent=2, hidden=(), likelihood="gaussian").double()
    set_linear(model.decoder, weight, offset)
    bias = torch.cat([-to_mean @ offset, -precision.log()])
    set_linear(model.encoder, torch.cat([to_mean, torch.zeros_like(to_mean)]), bias)
    nn.init.constant_(model.observation.scaled_log_variance, math.log(v) / VARIANCE_PACE)
    return model, MultivariateNormal(offset, weight @ weight.T + v * torch.eye(4, dtype=torch.float64))


def test_the_linear_gaussian_model_is_exact(linear_gaussian):
    model, density = linear_gaussian
    torch.manual_seed(0)
    x = 2 * torch.randn(50, 4, dtype=torch.float64)
    torch.testing.assert_close(model.elbo(x, 7), density.log_prob(x), rtol=0, atol=1e-10)
    rows = x[:1].expand(100_000, -1)
    mean, error = mean_and_error(model.elbo(rows))
    assert abs(mean - density.log_prob(x[0]).item()) < 4 * error


def test_samples_of_the_linear_gaussian_model_have_its_mean_and_covariance(linear_gaussian):
    model, density = linear_gaussian
    x = model.sample(200_000, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(x.mean(0), density.mean, rtol=0, atol=0.03)
    torch.testing.assert_close(x.T.cov(), density.covariance_matrix, rtol=0, atol=0.06)


def test_encode_and_decode_are_means(linear_gaussian):
    model, density = linear_gaussian
    torch.testing.assert_close(model.decode(torch.zeros(1, 2, dtype=torch.float64))[0], density.mean)
    torch.testing.assert_close(model.encode(density.mean[None]), torch.zeros(1, 2, dtype=torch.float64), rtol=0, atol=1e-12)


@pytest.fixture
def binary():
    torch.manual_seed(3)
    model = VAE((4,), latent=1, hidden=(6,)).double()
    for p in model.decoder.parameters():
        nn.init.normal_(p)
    return model


def test_the_bound_of_a_bernoulli_decoder_rises_to_the_quadrature_of_the_density(binary, all_events):
    z = torch.linspace(-8, 8, 4001, dtype=torch.float64)[:, None]
    weight = torch.exp(-0.5 * z.squeeze(1).square()) / math.sqrt(2 * math.pi) * (z[1] - z[0])
    x, p = all_events(binary), binary.decode(z)
    density = torch.stack([(weight * torch.where(event > 0, p, 1 - p).prod(1)).sum() for event in x])
    assert density.sum().item() == pytest.approx(1, abs=1e-9)
    torch.manual_seed(0)
    torch.testing.assert_close(binary.elbo(x, 20_000), density.log(), rtol=0, atol=0.05)
    mean, error = zip(*[mean_and_error(binary.elbo(event.expand(4000, -1))) for event in x], strict=True)
    assert all(m < log_p + 4 * e for m, e, log_p in zip(mean, error, density.log().tolist(), strict=True))


def test_bernoulli_samples_have_the_mean_of_the_decoder(binary):
    z = torch.randn(100_000, 1, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    x = binary.sample(100_000, generator=torch.Generator().manual_seed(0))
    assert ((x == 0) | (x == 1)).all()
    torch.testing.assert_close(x.mean(0), binary.decode(z).mean(0), rtol=0, atol=0.01)


def test_a_decoder_that_ignores_z_has_an_exact_bound_for_every_number_of_samples():
    model = VAE((3,), latent=2, hidden=()).double()
    logits = torch.tensor([0.5, -1.0, 2.0], dtype=torch.float64)
    set_linear(model.encoder, torch.zeros(4, 3), torch.zeros(4))
    set_linear(model.decoder, torch.zeros(3, 2), logits)
    x = torch.randint(0, 2, (20, 3)).double()
    for samples in (1, 2, 30):
        torch.testing.assert_close(model.elbo(x, samples), bernoulli_log_prob(x, logits.expand(20, 3)), rtol=0, atol=1e-12)


def test_bounds_in_chunks_are_the_same_bounds(binary, monkeypatch):
    x = torch.randint(0, 2, (16, 4)).double()  # torch draws multiples of 16 numbers in one stream, whatever the cuts
    whole = binary.elbo(x, 40, generator=torch.Generator().manual_seed(0))
    for at_once in (1, 7, 13):
        monkeypatch.setattr("pofx.models.vae.CHUNK", at_once * (16 * binary.width + 1))
        torch.testing.assert_close(binary.elbo(x, 40, generator=torch.Generator().manual_seed(0)), whole, rtol=0, atol=1e-12)


def test_the_loss_is_minus_the_bound_and_beta_weighs_its_divergence(binary, step_of):
    x = torch.randint(0, 2, (32, 4)).double()
    terms = step_of(binary, "model", x)
    torch.manual_seed(0)
    assert (terms["reconstruction"] + terms["kl"]).item() == pytest.approx(-binary.elbo(x).mean().item(), abs=1e-12)
    twin = VAE(**binary.config | {"beta": 4.0}).double()
    twin.load_state_dict(binary.state_dict())
    heavy = step_of(twin, "model", x)
    assert heavy["reconstruction"].item() == terms["reconstruction"].item()
    assert heavy["kl"].item() == pytest.approx(4 * terms["kl"].item(), rel=1e-12)
    torch.manual_seed(0)
    bound = twin.elbo(x)
    torch.manual_seed(0)
    assert torch.equal(bound, binary.elbo(x))


def test_gradients_reach_mean_and_deviation_through_the_noise():
    model = anchor(0.0, 0.3, -0.4)
    torch.manual_seed(0)
    x = ones(200_000)
    terms = model.players()[0].loss(Batch(x))
    terms["reconstruction"].backward()
    gradient = next(m for m in model.encoder.modules() if isinstance(m, nn.Linear)).bias.grad
    # E ½(x − μ − σε)² has the gradients μ − x in μ and ½σ² in ln σ².
    torch.testing.assert_close(gradient, torch.tensor([-0.7, 0.5 * math.exp(-0.4)]).double(), rtol=0, atol=0.01)


def test_the_divergence_is_that_of_the_encoder(binary, step_of):
    x = torch.randint(0, 2, (8, 4)).double()
    mean, log_variance = binary.encoder(x).chunk(2, 1)
    assert step_of(binary, "model", x)["kl"].item() == pytest.approx(gaussian_kl(mean, log_variance).mean().item(), rel=1e-12)


def test_the_learned_variance_has_a_floor():
    model = anchor(0.0, 0.0, 0.0)
    nn.init.constant_(model.observation.scaled_log_variance, -100.0)
    assert model.elbo(ones(3)).isfinite().all()


def test_an_anomaly_score_is_a_function_of_the_event(binary):
    x = torch.randint(0, 2, (8, 4)).double()
    score = binary.anomaly_score(x)
    assert torch.equal(score, binary.anomaly_score(x))
    torch.testing.assert_close(binary.anomaly_score(x[3:5]), score[3:5])


def test_it_suits_the_data():
    assert VAE.configure_for((4,), constraints.boolean) == {"likelihood": "bernoulli"}
    for support in (constraints.real, constraints.unit_interval):
        assert VAE.configure_for((1, 2, 2), support) == {"likelihood": "gaussian"}
    assert VAE.configure_for((1, 2, 2), LevelGrid(17)) == {"likelihood": "logistic", "levels": 17}
    assert VAE.configure_for((1, 2, 2), LevelGrid(3)) == {"likelihood": "categorical", "levels": 3}
    assert VAE.configure_for((2,), constraints.integer_interval(0, 30)) == {"likelihood": "categorical", "levels": 31}


def test_convolutions_keep_the_shape_of_the_picture():
    model = VAE((3, 8, 12), latent=5, hidden=(4, 6), network="conv", likelihood="gaussian")
    x = torch.rand(2, 3, 8, 12)
    assert model.encode(x).shape == (2, 5)
    assert model.decode(model.encode(x)).shape == model.sample(2).shape == x.shape


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({"latent": 0}, "latent must be at least 1, got 0"),
        ({"beta": -1.0}, "beta must be at least 0, got -1.0"),
        ({"network": "cnn"}, "network='cnn' is unknown: .*Known: conv, mlp"),
        ({"likelihood": "gauss"}, "likelihood='gauss' is unknown: did you mean 'gaussian'"),
        (
            {"network": "conv", "hidden": (4, 4, 4)},
            r"needs pictures whose sides are divisible by 8, got events of shape \(1, 4, 8\)",
        ),
        ({"network": "conv", "hidden": ()}, "hidden must name at least one layer"),
    ],
)
def test_what_makes_no_model_is_refused(arguments, sentence):
    with pytest.raises(ConfigError, match=sentence):
        VAE((1, 4, 8), **arguments)


def test_no_samples_make_no_bound():
    with pytest.raises(ConfigError, match="samples must be at least 1, got 0"):
        VAE((4,)).elbo(torch.zeros(1, 4), samples=0)
