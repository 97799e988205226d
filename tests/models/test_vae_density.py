"""The bound of a variational autoencoder where the density is known, for any encoder, prior, likelihood, and given labels."""

import math

import pytest
import torch
from torch import nn
from torch.distributions import Categorical, Independent, MixtureSameFamily, MultivariateNormal, Normal, kl_divergence

from pofx.core import ConfigError, DataError
from pofx.functional.likelihoods import gaussian_kl, gaussian_log_prob
from pofx.models import VAE


def linear_layer(network):
    return next(m for m in network.modules() if isinstance(m, nn.Linear))


def random_linear_gaussian(latent, dims, seed=0):
    """x = W z + m + noise of variance 0.3, an encoder that knows nothing of it, p(x), and p(z | x) as a function of x."""
    torch.manual_seed(seed)
    model = VAE((dims,), latent=latent, hidden=(), likelihood="gaussian", variance=0.3).double()
    for p in model.parameters():
        nn.init.normal_(p, std=0.7)
    weight, offset = (p.detach() for p in linear_layer(model.decoder).parameters())
    marginal = MultivariateNormal(offset, weight @ weight.T + 0.3 * torch.eye(dims, dtype=torch.float64))
    covariance = torch.linalg.inv(torch.eye(latent, dtype=torch.float64) + weight.T @ weight / 0.3)
    return model, marginal, lambda x: MultivariateNormal((x - offset) @ weight / 0.3 @ covariance, covariance)


def forget_the_event(model):
    """Let q(z | x) be N(0, I), with which importance weights are bounded."""
    for p in model.encoder.parameters():
        nn.init.zeros_(p)


def cubature(latent):
    """Points ε, (2 latent, latent), whose mean integrates polynomials of degree 3 over N(0, I) exactly."""
    e = math.sqrt(latent) * torch.eye(latent, dtype=torch.float64)
    return torch.cat([e, -e])


def expected_elbo(model, x):
    """E_q[ln p(x, z) − ln q(z | x)] without error, where that is a quadratic function of z, from public methods."""
    mean, log_variance = model.posterior(x)
    log_ratio = []
    for noise in cubature(model.latent):
        z = mean + (0.5 * log_variance).exp() * noise
        log_ratio.append(model.log_joint(x, z) - gaussian_log_prob(z, mean, log_variance))
    return torch.stack(log_ratio).mean(0)


@pytest.mark.parametrize(("latent", "dims"), [(1, 1), (2, 3), (3, 5), (5, 2)])
def test_density_is_bound_plus_divergence_from_the_posterior_for_any_encoder(latent, dims):
    model, marginal, posterior = random_linear_gaussian(latent, dims)
    x = 2 * torch.randn(20, dims, dtype=torch.float64)
    mean, log_variance = model.posterior(x)
    q = MultivariateNormal(mean, torch.diag_embed(log_variance.exp()))
    divergence = kl_divergence(q, posterior(x))
    assert divergence.min() > 1e-3
    torch.testing.assert_close(expected_elbo(model, x) + divergence, marginal.log_prob(x), rtol=0, atol=1e-10)


def test_both_forms_of_the_bound_agree():
    model, _, _ = random_linear_gaussian(3, 4)
    x = torch.randn(20, 4, dtype=torch.float64)
    mean, log_variance = model.posterior(x)
    z = [mean + (0.5 * log_variance).exp() * noise for noise in cubature(3)]
    reconstruction = torch.stack([model.log_likelihood_given(x, each) for each in z]).mean(0)
    torch.testing.assert_close(reconstruction - gaussian_kl(mean, log_variance), expected_elbo(model, x), rtol=0, atol=1e-10)


def test_elbo_has_the_expected_value():
    model, _, _ = random_linear_gaussian(2, 3)
    x = torch.randn(1, 3, dtype=torch.float64)
    torch.manual_seed(0)
    values = model.elbo(x.expand(100_000, -1)).detach()
    assert abs(values.mean() - expected_elbo(model, x)) < 4 * values.std() / 100_000**0.5


def test_many_samples_reach_the_density():
    model, marginal, _ = random_linear_gaussian(2, 3)
    forget_the_event(model)
    with torch.no_grad():
        x = marginal.sample((20,))
        bound = torch.stack([model.elbo(x, 5000, torch.Generator().manual_seed(s)) for s in range(8)])
    error = bound.std(0) / 8**0.5
    assert error.max() < 0.1
    assert ((bound.mean(0) - marginal.log_prob(x)).abs() < 5 * error + 0.005).all()


def test_k_equal_samples_are_one_and_a_constant_shifts_the_bound():
    model, _, _ = random_linear_gaussian(2, 3)
    x, noise = torch.randn(5, 3, dtype=torch.float64), torch.randn(1, 5, 2, dtype=torch.float64)

    def bound(part):
        return model._importance_bound(x, lambda: iter([part]), None)

    torch.testing.assert_close(bound(noise.expand(7, -1, -1)), bound(noise), rtol=0, atol=1e-12)
    before, log_prob = bound(noise), model.prior.log_prob
    model.prior.log_prob = lambda z: log_prob(z) + 3.5
    torch.testing.assert_close(bound(noise), before + 3.5, rtol=0, atol=1e-12)


def test_the_order_of_latent_dimensions_does_not_matter():
    torch.manual_seed(0)
    model = VAE((4,), latent=3, hidden=(5,)).double()
    twin, order = VAE(**model.config).double(), torch.tensor([2, 0, 1])
    twin.load_state_dict(model.state_dict())
    with torch.no_grad():
        last = twin.encoder[-1][-1]
        for p in (last.weight, last.bias):
            p.copy_(p.unflatten(0, (2, 3))[:, order].flatten(0, 1))
        first = linear_layer(twin.decoder)
        first.weight.copy_(first.weight[:, order])
    x, noise = torch.randint(0, 2, (6, 4)).double(), torch.randn(9, 6, 3, dtype=torch.float64)
    bounds = [
        m._importance_bound(x, lambda e=e: iter([e]), None)
        for m, e in ((model, noise), (twin, noise[..., order]), (twin, noise))
    ]
    torch.testing.assert_close(bounds[0], bounds[1], rtol=0, atol=1e-12)
    assert (bounds[0] - bounds[2]).abs().min() > 1e-6


def test_rotating_codes_and_weights_together_changes_nothing():
    model, _, _ = random_linear_gaussian(3, 4)
    twin = VAE(**model.config).double()
    twin.load_state_dict(model.state_dict())
    rotation = torch.linalg.qr(torch.randn(3, 3, dtype=torch.float64)).Q
    with torch.no_grad():
        linear_layer(twin.decoder).weight.copy_(linear_layer(model.decoder).weight @ rotation)
    x, z = (torch.randn(6, d, dtype=torch.float64) for d in (4, 3))
    torch.testing.assert_close(twin.log_joint(x, z @ rotation), model.log_joint(x, z), rtol=0, atol=1e-12)


def standard_mixture(**arguments):
    """A mixture prior of one component that is N(0, I), and its twin with the Gaussian prior."""
    torch.manual_seed(2)
    mixture = VAE((4,), latent=2, hidden=(5,), prior="mixture", components=1, **arguments).double()
    for p in mixture.encoder.parameters():
        nn.init.normal_(p, std=0.8)
    gaussian = VAE((4,), latent=2, hidden=(5,), **arguments).double()
    nn.init.zeros_(mixture.prior.mean)
    weights = {k: v for k, v in mixture.state_dict().items() if not k.startswith("prior")}
    gaussian.load_state_dict(weights)
    return mixture, gaussian


def test_a_mixture_of_one_standard_gaussian_is_the_gaussian_prior():
    mixture, gaussian = standard_mixture()
    x = torch.randint(0, 2, (6, 4), generator=torch.Generator().manual_seed(1)).double()
    bounds = [model.elbo(x, 9, torch.Generator().manual_seed(0)) for model in (mixture, gaussian)]
    torch.testing.assert_close(*bounds, rtol=0, atol=1e-12)
    rows = x[:1].expand(100_000, -1)
    torch.manual_seed(0)
    sampled = mixture.elbo(rows).detach()  # whose divergence is drawn; the other's is in closed form
    torch.manual_seed(0)
    closed = gaussian.elbo(rows).detach()
    difference = sampled - closed
    assert difference.std() > 0.1
    assert abs(difference.mean()) < 4 * difference.std() / 100_000**0.5


def mixture_of(mean, log_variance, weights):
    parts = Independent(Normal(mean, (0.5 * log_variance).exp()), 1)
    return MixtureSameFamily(Categorical(probs=weights), parts)


def test_a_learned_mixture_is_that_mixture():
    torch.manual_seed(0)
    prior = VAE((4,), latent=3, prior="mixture", components=5).double().prior
    for p in prior.parameters():
        nn.init.normal_(p)
    z = torch.randn(50, 3, dtype=torch.float64)
    expected = mixture_of(prior.mean, prior.log_variance, prior.logits.softmax(0)).log_prob(z)
    torch.testing.assert_close(prior.log_prob(z), expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize(
    ("shape", "arguments", "to_events"),
    [
        ((1, 2, 2), {}, torch.sigmoid),
        ((4,), {"likelihood": "gaussian"}, lambda u: u),
        ((1, 2, 2), {"likelihood": "gaussian"}, torch.sigmoid),
        ((4,), {"likelihood": "categorical", "levels": 6}, lambda u: 5 * u.sigmoid()),
    ],
)
def test_a_vamp_prior_is_the_mixture_of_the_posteriors_of_its_pseudo_events(shape, arguments, to_events):
    torch.manual_seed(0)
    model = VAE(shape, latent=2, hidden=(5,), prior="vamp", components=7, **arguments).double()
    nn.init.normal_(model.prior.inputs)
    mean, log_variance = model._posterior(to_events(model.prior.inputs), None)
    z = torch.randn(50, 2, dtype=torch.float64)
    expected = mixture_of(mean, log_variance, torch.full((7,), 1 / 7, dtype=torch.float64)).log_prob(z)
    torch.testing.assert_close(model.prior.log_prob(z), expected, rtol=0, atol=1e-10)


def test_a_vamp_prior_learns_pseudo_events_and_encoder_together(step_of):
    torch.manual_seed(0)
    model = VAE((4,), latent=2, hidden=(5,), prior="vamp", components=3).double()
    kl = step_of(model, "model", torch.randint(0, 2, (8, 4)).double())["kl"]
    kl.backward()
    assert model.prior.inputs.grad.abs().min() > 0
    first = linear_layer(model.encoder)
    whole = first.weight.grad.clone()
    model.zero_grad()
    model.prior.posterior = lambda u: tuple(p.detach() for p in model._posterior(u, None))
    step_of(model, "model", torch.randint(0, 2, (8, 4), generator=torch.Generator().manual_seed(0)).double())["kl"].backward()
    assert not torch.allclose(first.weight.grad, whole)


def quadrature(model, x, condition=None):
    """ln p(x) of a model with one latent dimension and the Gaussian prior."""
    z = torch.linspace(-8, 8, 2001, dtype=torch.float64)[:, None]
    log_weight = -0.5 * z.squeeze(1).square() - 0.5 * math.log(2 * math.pi) + math.log(z[1] - z[0])
    labels = None if condition is None else torch.full((len(z),), condition)
    each = [model.log_likelihood_given(event.expand(len(z), *event.shape), z, labels) + log_weight for event in x]
    return torch.stack(each).logsumexp(1).detach()


@pytest.mark.parametrize(
    ("shape", "arguments"),
    [
        ((3,), {"likelihood": "categorical", "levels": 4}),
        ((1, 1, 3), {"likelihood": "categorical", "levels": 3}),
        ((1, 1, 2), {"likelihood": "logistic", "levels": 9}),
        ((2,), {"likelihood": "logistic", "levels": 5}),
    ],
)
def test_discrete_densities_sum_to_one_and_bounds_rise_to_them(shape, arguments, all_events):
    torch.manual_seed(1)
    model = VAE(shape, latent=1, hidden=(6,), **arguments).double()
    for p in model.decoder.parameters():
        nn.init.normal_(p, std=0.6)
    forget_the_event(model)
    x = all_events(model)
    density = quadrature(model, x)
    assert density.exp().sum().item() == pytest.approx(1, abs=1e-8)
    with torch.no_grad():
        loose, tight = (
            model.elbo(x.repeat(200, *[1] * len(shape)), k, torch.Generator().manual_seed(k)).view(200, -1) for k in (1, 100)
        )
    common = density.exp() > 0.01  # few weights, and rare ones, make a rare event
    error = tight.exp().std(0) / 200**0.5
    assert ((tight.exp().mean(0) - density.exp()).abs() < 5 * error)[common].all()  # the mean weight is unbiased
    assert (error / density.exp())[common].max() < 0.02
    noise = loose.std(0) / 200**0.5
    assert (loose.mean(0) < tight.mean(0) + 3 * noise).all()
    assert (loose.mean(0) < density + 3 * noise).all()
    assert loose.mean() < tight.mean() - 0.01


def test_draws_follow_the_density(all_events):
    torch.manual_seed(1)
    model = VAE((2,), latent=1, hidden=(6,), likelihood="categorical", levels=3).double()
    for p in model.decoder.parameters():
        nn.init.normal_(p)
    x = all_events(model)
    drawn = model.sample(100_000, generator=torch.Generator().manual_seed(0))
    share = torch.stack([(drawn == event).all(1).double().mean() for event in x])
    torch.testing.assert_close(share, quadrature(model, x).exp(), rtol=0, atol=0.006)


@pytest.fixture
def conditional():
    torch.manual_seed(4)
    model = VAE((3,), latent=1, hidden=(6,), classes=2).double()
    for p in model.decoder.parameters():
        nn.init.normal_(p)
    return model


def test_a_conditional_density_sums_to_one_for_every_label_and_bounds_rise_to_it(conditional, all_events):
    forget_the_event(conditional)
    x = all_events(conditional)
    densities = [quadrature(conditional, x, label) for label in (0, 1)]
    assert (densities[0] - densities[1]).abs().max() > 0.3
    with torch.no_grad():
        for label, density in enumerate(densities):
            assert density.exp().sum().item() == pytest.approx(1, abs=1e-8)
            bound = conditional.elbo(x, 200_000, torch.Generator().manual_seed(0), torch.full((8,), label))
            torch.testing.assert_close(bound, density, rtol=0, atol=0.05)
        mixed = torch.stack(densities).logsumexp(0) - math.log(2)
        torch.testing.assert_close(conditional.elbo(x, 200_000, torch.Generator().manual_seed(1)), mixed, rtol=0, atol=0.05)
        torch.manual_seed(0)
        loose = conditional.elbo(x.repeat(200_000, 1)).view(200_000, -1)
    assert (loose.mean(0) < mixed).all()
    torch.testing.assert_close(loose.exp().mean(0), mixed.exp(), rtol=0.1, atol=0)  # one sample of each label, unbiased


def test_encoder_and_decoder_both_know_the_label(conditional):
    x, labels = torch.ones(4, 3, dtype=torch.float64), torch.tensor([0, 1, 0, 1])
    codes = conditional.encode(x, labels)
    assert torch.equal(codes[0], codes[2])
    assert codes[0] != codes[1]
    torch.testing.assert_close(conditional.encode(x)[0], codes[:2].mean(0))
    decoded = conditional.decode(torch.zeros(4, 1, dtype=torch.float64), labels)
    assert torch.equal(decoded[0], decoded[2])
    assert (decoded[0] != decoded[1]).all()


def test_conditional_samples_have_the_mean_of_their_label(conditional):
    z = torch.randn(50_000, 1, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    means = [conditional.decode(z, torch.full((50_000,), label)).mean(0) for label in (0, 1)]
    for label, mean in enumerate(means):
        drawn = conditional.sample(50_000, torch.full((50_000,), label), torch.Generator().manual_seed(label))
        torch.testing.assert_close(drawn.mean(0), mean, rtol=0, atol=0.02)
    drawn = conditional.sample(100_000, generator=torch.Generator().manual_seed(3))
    torch.testing.assert_close(drawn.mean(0), (means[0] + means[1]) / 2, rtol=0, atol=0.02)


def test_an_anomaly_score_of_a_conditional_model_needs_no_label(conditional, all_events):
    x = all_events(conditional)
    score = conditional.anomaly_score(x)
    torch.testing.assert_close(score[2:5], conditional.anomaly_score(x[2:5]))
    assert (score > 0).all()


def test_labels_that_are_none_are_refused(conditional, step_of):
    x, z = torch.zeros(2, 3, dtype=torch.float64), torch.zeros(2, 1, dtype=torch.float64)
    with pytest.raises(
        ConfigError, match=r"vae with classes=2 learns p\(x \| label\) and got no labels: give one for each event"
    ):
        step_of(conditional, "model", x)
    for call in (lambda: conditional.posterior(x), lambda: conditional.decode(z), lambda: conditional.reconstruct(x)):
        with pytest.raises(ConfigError, match="got no labels"):
            call()
    for wrong in (torch.tensor([0, 2]), torch.tensor([0, -1]), torch.tensor([0]), torch.tensor([0.0, 1.0])):
        with pytest.raises(ConfigError, match=r"condition must be one label of 0\.\.1 for each of 2 events"):
            conditional.elbo(x, condition=wrong)
    with pytest.raises(ConfigError, match="vae takes no condition"):
        VAE((3,)).sample(1, torch.tensor([0]))


def test_codes_of_another_shape_are_refused(conditional):
    for wrong in (torch.zeros(2), torch.zeros(2, 3)):
        with pytest.raises(DataError, match=r"vae expects codes z of shape \(n, 1\), got"):
            conditional.decode(wrong)
    with pytest.raises(DataError, match=r"vae expects codes z of shape \(2, 1\), got \(3, 1\)"):
        conditional.log_joint(torch.zeros(2, 3), torch.zeros(3, 1), torch.tensor([0, 1]))
