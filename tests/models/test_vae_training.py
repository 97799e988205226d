"""What a variational autoencoder is trained on, and what it shows of its codes."""

import copy
import math

import pytest
import torch
from torch import nn

from pofx.core import Batch, ConfigError, DataError
from pofx.functional.likelihoods import gaussian_kl
from pofx.functional.variational import Objective, free_bits_kl, perturbed, perturbed_log_prob
from pofx.models import VAE


def linear_layer(network):
    return next(m for m in network.modules() if isinstance(m, nn.Linear))


def binary(**arguments):
    torch.manual_seed(3)
    model = VAE((4,), latent=3, hidden=(6,), **arguments).double()
    for p in model.parameters():
        nn.init.normal_(p, std=0.6)
    return model


def events(n=32):
    return torch.randint(0, 2, (n, 4), generator=torch.Generator().manual_seed(0)).double()


def scalar(mean_weight, mean_bias, log_variance, **arguments):
    """z ~ N(0, 1), x | z ~ N(z, 1), with q(z | x) = N(mean_weight x + mean_bias, exp(log_variance))."""
    model = VAE((1,), latent=1, hidden=(), likelihood="gaussian", variance=1.0, **arguments).double()
    with torch.no_grad():
        linear_layer(model.encoder).weight.copy_(torch.tensor([[mean_weight], [0.0]]))
        linear_layer(model.encoder).bias.copy_(torch.tensor([mean_bias, log_variance], dtype=torch.float64))
        linear_layer(model.decoder).weight.fill_(1.0)
        linear_layer(model.decoder).bias.zero_()
    return model


def gradients(model, x, seed=0):
    model.zero_grad()
    torch.manual_seed(seed)
    sum(model.players()[0].loss(Batch(x)).values()).backward()
    return {name: p.grad.clone() for name, p in model.named_parameters()}


def test_noise_becomes_codes_of_the_right_mean_and_deviation():
    mean, log_variance = torch.tensor([[1.0, -2.0]]).double().requires_grad_(), torch.tensor([[0.5, -1.0]]).double()
    noise = torch.randn(100_000, 1, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    z = perturbed(mean, log_variance, noise)
    torch.testing.assert_close(z.mean(0), mean[0], rtol=0, atol=0.02)
    torch.testing.assert_close(z.std(0), (0.5 * log_variance[0]).exp(), rtol=0.02, atol=0)
    z[:7].sum().backward()
    assert torch.equal(mean.grad, torch.full((1, 2), 7.0).double())
    expected = torch.distributions.Normal(mean, (0.5 * log_variance).exp()).log_prob(z.view(-1, 1, 2)).sum(-1)
    torch.testing.assert_close(perturbed_log_prob(noise, log_variance), expected.detach(), rtol=0, atol=1e-12)


@pytest.mark.parametrize("arguments", [{}, {"prior": "mixture"}, {"classes": None, "network": "mlp", "activation": "tanh"}])
def test_the_importance_weighted_loss_is_minus_its_bound(arguments, step_of):
    model = binary(objective="iwae", importance_samples=5, **arguments)
    loss = step_of(model, "model", events())["iwae"].item()
    torch.manual_seed(0)
    assert loss == pytest.approx(-model.elbo(events(), 5).mean().item(), abs=1e-12)
    torch.manual_seed(0)
    assert loss == pytest.approx(-model.elbo(events()).mean().item(), abs=1e-12)  # by which training is stopped
    twin = binary(objective="iwae", importance_samples=5, gradient="dreg", **arguments)
    assert step_of(twin, "model", events())["iwae"].item() == pytest.approx(loss, abs=1e-12)


def test_the_plain_gradient_weighs_those_of_the_log_weights():
    model = binary(objective="iwae", importance_samples=4)
    found = gradients(model, events())
    model.zero_grad()
    torch.manual_seed(0)
    mean, log_variance = model.posterior(events())
    noise = torch.randn(4, 32, 3, dtype=torch.float64)
    z = mean + (0.5 * log_variance).exp() * noise
    q = torch.distributions.Normal(mean, (0.5 * log_variance).exp())
    log_w = torch.stack([model.log_joint(events(), each) for each in z]) - q.log_prob(z).sum(-1)
    (-(log_w.detach().softmax(0) * log_w).sum(0).mean()).backward()
    for name, p in model.named_parameters():
        torch.testing.assert_close(found[name], p.grad, rtol=0, atol=1e-12)


def test_the_doubly_reparameterised_gradient_squares_the_weights_of_the_encoders_path():
    model = binary(objective="iwae", importance_samples=4, gradient="dreg")
    found = gradients(model, events())
    model.zero_grad()
    torch.manual_seed(0)
    mean, log_variance = model.posterior(events())
    noise = torch.randn(4, 32, 3, dtype=torch.float64)
    z = mean + (0.5 * log_variance).exp() * noise
    q = torch.distributions.Normal(mean.detach(), (0.5 * log_variance).exp().detach())
    log_w = torch.stack([model.log_joint(events(), each) for each in z]) - q.log_prob(z).sum(-1)
    share = log_w.detach().softmax(0)
    encoder = list(model.encoder.parameters())
    expected = torch.autograd.grad(-(share.square() * log_w).sum(0).mean(), encoder)
    for (name, _), gradient in zip(model.encoder.named_parameters(), expected, strict=True):
        torch.testing.assert_close(found[f"encoder.{name}"], gradient, rtol=0, atol=1e-12)


@pytest.mark.parametrize("k", [1, 3])
def test_both_gradients_of_the_importance_weighted_bound_agree_in_expectation(k):
    models = [
        scalar(0.3, 0.2, -0.4, objective="iwae", importance_samples=k, gradient=gradient) for gradient in ("plain", "dreg")
    ]
    x = torch.full((2000, 1), 1.3, dtype=torch.float64)
    draws = []
    for seed in range(150):
        plain, doubly = (gradients(model, x, seed) for model in models)
        for name in ("decoder.0.0.weight", "decoder.0.0.bias"):
            torch.testing.assert_close(plain[name], doubly[name], rtol=0, atol=1e-12)
        draws.append([plain["encoder.1.0.bias"], doubly["encoder.1.0.bias"]])
    one, other = (torch.stack(side) for side in zip(*draws, strict=True))
    error = (one - other).std(0) / 150**0.5
    assert ((one - other).mean(0).abs() < 4 * error).all()
    assert (other.mean(0).abs() > 20 * error).all()  # there is a gradient to agree on
    assert (other.std(0) < one.std(0)).all()


def test_at_the_exact_posterior_the_doubly_reparameterised_gradient_is_zero():
    x = torch.randn(50, 1, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    options = {"objective": "iwae", "importance_samples": 4}
    doubly = gradients(scalar(0.5, 0.0, math.log(0.5), gradient="dreg", **options), x)
    plain = gradients(scalar(0.5, 0.0, math.log(0.5), **options), x)
    for name in ("encoder.1.0.weight", "encoder.1.0.bias"):
        assert doubly[name].abs().max() < 1e-12
        assert plain[name].abs().max() > 0.01


def test_several_codes_average_the_reconstruction(step_of):
    model = binary(importance_samples=3)
    terms = step_of(model, "model", events())
    torch.manual_seed(0)
    mean, log_variance = model.posterior(events())
    z = mean + (0.5 * log_variance).exp() * torch.randn(3, 32, 3, dtype=torch.float64)
    each = torch.stack([-model.log_likelihood_given(events(), codes).mean() for codes in z])
    assert terms["reconstruction"].item() == pytest.approx(each.mean().item(), abs=1e-12)
    assert terms["kl"].item() == pytest.approx(gaussian_kl(mean, log_variance).mean().item(), abs=1e-12)


def test_a_sampled_divergence_has_the_closed_form_as_its_mean(step_of):
    model = binary(prior="mixture", components=1, importance_samples=2000)
    for p in (model.prior.mean, model.prior.log_variance):
        nn.init.zeros_(p)
    x = events(1).expand(50, -1)
    kl = torch.stack([step_of(model, "model", x[:1], seed)["kl"].detach() for seed in range(50)])
    assert abs(kl.mean() - gaussian_kl(*model.posterior(x[:1]))) < 4 * kl.std() / 50**0.5


def test_dimensions_below_the_free_bits_have_no_gradient():
    mean = torch.tensor([[2.0, 0.1, 0.0], [1.0, -0.1, 0.3]]).double().requires_grad_()
    log_variance = torch.tensor([[0.3, 0.1, 0.0], [-0.5, 0.0, 0.2]]).double().requires_grad_()
    free_bits_kl(mean, log_variance, 0.25).backward()
    assert (mean.grad[:, 1:] == 0).all()
    assert (log_variance.grad[:, 1:] == 0).all()
    paid = gaussian_kl(mean[:, :1], log_variance[:, :1]).mean()
    expected = torch.autograd.grad(paid, [mean, log_variance])
    torch.testing.assert_close(mean.grad, expected[0])
    torch.testing.assert_close(log_variance.grad, expected[1])
    assert free_bits_kl(mean, log_variance, 0.25).item() == pytest.approx(paid.item() + 0.5, abs=1e-12)


def test_free_bits_enter_the_loss_and_not_the_bound(step_of):
    model, plain = binary(free_bits=5.0), binary()
    divergence = gaussian_kl(*model.posterior(events())).mean()
    assert 0 < divergence < 15
    assert step_of(model, "model", events())["kl"].item() > divergence
    torch.manual_seed(0)
    bound = model.elbo(events())
    torch.manual_seed(0)
    assert torch.equal(bound, plain.elbo(events()))
    assert step_of(binary(free_bits=1e-12), "model", events())["kl"].item() == pytest.approx(divergence.item(), rel=1e-12)


def test_the_divergence_gains_its_weight_with_the_examples_seen(step_of):
    model, whole = binary(beta=2.0, warm_up=1000), binary(beta=2.0)
    full = step_of(whole, "model", events())["kl"].item()
    for seen, share in ((500, 0.5), (0, 0.0), (100, 0.1), (1000, 1.0), (5000, 1.0), (250, 0.25)):
        model.advance(seen)
        assert step_of(model, "model", events())["kl"].item() == pytest.approx(share * full, abs=1e-12)
    assert Objective().kl_weight(0) == 1


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({"prior": "vampire"}, "prior='vampire' is unknown: did you mean 'vamp'"),
        ({"prior": "mixture", "components": 0}, "components must be at least 1, got 0"),
        ({"objective": "iwea"}, "objective='iwea' is unknown: did you mean 'iwae'"),
        ({"gradient": "dregs"}, "gradient='dregs' is unknown: did you mean 'dreg'"),
        ({"gradient": "dreg"}, "gradient='dreg' is a gradient of objective='iwae': choose both"),
        ({"objective": "iwae", "beta": 2.0}, "beta=2.0 changes the KL term, which objective='iwae' does not have"),
        ({"objective": "iwae", "free_bits": 0.5}, "free_bits=0.5 changes the KL term"),
        ({"objective": "iwae", "warm_up": 10}, "warm_up=10 changes the KL term"),
        ({"free_bits": 0.5, "prior": "mixture"}, "free_bits=0.5 needs the KL of each latent dimension.*got prior='mixture'"),
        ({"free_bits": -0.5}, "free_bits must be at least 0, got -0.5"),
        ({"beta": math.nan}, "beta must be at least 0, got nan"),
        ({"warm_up": -1}, "warm_up must be at least 0, got -1"),
        ({"importance_samples": 0}, "importance_samples must be at least 1, got 0"),
        ({"classes": 0}, "classes must be at least 1, got 0"),
        ({"classes": 3, "prior": "vamp"}, "prior='vamp' and classes=3 exclude each other"),
        ({"variance": 0.5}, "variance must be a positive number, for likelihood='gaussian' alone"),
        ({"likelihood": "gaussian", "variance": 0.0}, "variance must be a positive number.*got 0.0"),
        ({"likelihood": "categorical"}, "likelihood='categorical' needs levels, .* got None"),
        ({"likelihood": "logistic", "levels": 1}, "likelihood='logistic' needs levels, .* got 1"),
        ({"activation": "gelu"}, "activation='gelu' is unknown"),
        ({"hidden": (0,)}, "hidden must name layers of at least 1 unit"),
    ],
)
def test_what_makes_no_sense_is_refused(arguments, sentence):
    with pytest.raises(ConfigError, match=sentence):
        VAE((4,), **arguments)


VARIANTS = [
    {"prior": "mixture"}, {"prior": "vamp", "components": 3}, {"classes": 4}, {"likelihood": "logistic", "levels": 7},
    {"likelihood": "categorical", "levels": 3}, {"likelihood": "gaussian"}, {"likelihood": "gaussian", "variance": 0.1},
]  # fmt: skip


@pytest.mark.parametrize("arguments", VARIANTS, ids=str)
@pytest.mark.parametrize("network", ["mlp", "conv"])
def test_every_variant_has_twins_that_sample_alike_inside_the_support(arguments, network):
    torch.manual_seed(0)
    model = VAE((1, 4, 4), latent=2, hidden=(3,), network=network, **arguments)
    twin = VAE(**model.config)
    twin.load_state_dict(model.state_dict())
    one, other = (m.sample(20, generator=torch.Generator().manual_seed(1)) for m in (model, twin))
    assert torch.equal(one, other)
    assert model.support.check(one).all()
    assert model.sample(0).shape == (0, 1, 4, 4)
    assert sum(p.numel() for p in model.players()[0].parameters) == model.parameter_count()


def test_a_copy_of_a_vamp_prior_asks_the_encoder_of_the_copy():
    model = VAE((4,), latent=2, hidden=(3,), prior="vamp").double()
    twin, z = copy.deepcopy(model), torch.randn(5, 2, dtype=torch.float64)
    before = model.prior.log_prob(z)
    nn.init.constant_(linear_layer(twin.encoder).bias, 2.0)
    assert torch.equal(model.prior.log_prob(z), before)
    assert not torch.equal(twin.prior.log_prob(z), before)


@pytest.mark.parametrize(("likelihood", "levels"), [("gaussian", None), ("logistic", 7)])
def test_pictures_are_shown_without_noise_and_drawn_with_it(likelihood, levels):
    torch.manual_seed(0)
    model = VAE((1, 4, 4), latent=2, hidden=(3,), likelihood=likelihood, levels=levels)
    z = model.prior.sample(50, torch.Generator().manual_seed(0))
    shown, mean = model.sample(50, generator=torch.Generator().manual_seed(0)), model.decode(z)
    assert (shown - mean).abs().max() <= (0 if levels is None else 0.5 / 6 + 1e-6)
    drawn = model.draw_given(z, generator=torch.Generator().manual_seed(0))
    assert model.support.check(drawn).all()
    assert (drawn - mean).std() > 0.1


def test_tables_are_drawn_with_noise():
    model = VAE((3,), latent=1, hidden=(), likelihood="gaussian", variance=4.0).double()
    for p in model.decoder.parameters():
        nn.init.zeros_(p)
    assert model.sample(20_000).std().item() == pytest.approx(2.0, rel=0.02)


def test_reconstructions_and_lines_between_codes():
    model = binary()
    a, b = events(6)[:3], events(6)[3:]
    codes = [model.encode(x) for x in (a, b)]
    assert torch.equal(model.reconstruct(a), model.decode(codes[0]))
    line = model.interpolate(a, b, steps=5)
    assert line.shape == (3, 5, 4)
    torch.testing.assert_close(line[:, 0], model.reconstruct(a), rtol=0, atol=1e-12)
    torch.testing.assert_close(line[:, -1], model.reconstruct(b), rtol=0, atol=1e-12)
    torch.testing.assert_close(line[:, 2], model.decode((codes[0] + codes[1]) / 2), rtol=0, atol=1e-12)
    torch.testing.assert_close(line[:, 1], model.decode(0.75 * codes[0] + 0.25 * codes[1]), rtol=0, atol=1e-12)
    for wrong in ((a, b, 1), (a, b[:2], 4)):
        with pytest.raises(ConfigError, match="a line from a to b needs at least 2 steps"):
            model.interpolate(*wrong)


def test_lines_of_a_conditional_model_keep_their_labels():
    model, labels = binary(classes=3), torch.tensor([2, 0])
    a, b = events(4)[:2], events(4)[2:]
    line = model.interpolate(a, b, 4, condition=labels)
    torch.testing.assert_close(line[:, 0], model.reconstruct(a, labels), rtol=0, atol=1e-12)
    torch.testing.assert_close(line[:, 3], model.reconstruct(b, labels), rtol=0, atol=1e-12)


def test_active_units_are_those_whose_mean_varies():
    model = VAE((4,), latent=4, hidden=(), likelihood="gaussian").double()
    layer = linear_layer(model.encoder)
    nn.init.zeros_(layer.weight)
    x = torch.randn(2000, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    assert not model.active_units(x).any()
    with torch.no_grad():
        layer.weight[:4] = torch.eye(4)
        assert model.active_units(x).all()
        layer.weight[1, 1], layer.weight[2, 2] = 0.09, 0.11  # variances of 0.0081 and 0.0121
    assert model.active_units(x).tolist() == [True, False, True, True]
    assert model.active_units(x, threshold=0.02).tolist() == [True, False, False, True]
    with pytest.raises(DataError, match="at least 2 events, got 1"):
        model.active_units(x[:1])
