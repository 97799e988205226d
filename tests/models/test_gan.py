"""The generative adversarial network: the game's value, its moves, and what stays apart from what."""

import math

import pytest
import torch
from torch import nn
from torch.distributions import constraints

from pofx.core import Batch, ConfigError, LevelGrid
from pofx.functional.adversarial import discriminator_fake_loss
from pofx.models import GAN


def with_verdict(c, loss="non-saturating", output="unit"):
    """A GAN whose discriminator says D(x) = c of everything."""
    model = GAN((2,), latent=3, hidden=(5, 4), loss=loss, output=output).double()
    nn.init.zeros_(model.verdict.weight)
    nn.init.constant_(model.verdict.bias, math.log(c / (1 - c)))
    return model


@pytest.mark.parametrize("c", [0.1, 0.5, 0.9])
def test_a_constant_discriminator_plays_for_log_c_plus_log_one_minus_c(c, step_of):
    terms = step_of(with_verdict(c), "discriminator", torch.rand(6, 2).double())
    assert terms["real"].item() == pytest.approx(-math.log(c), abs=1e-12)
    assert terms["fake"].item() == pytest.approx(-math.log(1 - c), abs=1e-12)


@pytest.mark.parametrize(("loss", "expected"), [("non-saturating", -math.log(0.9)), ("saturating", math.log(0.1))])
def test_the_generators_loss_is_the_one_asked_for(loss, expected, step_of):
    terms = step_of(with_verdict(0.9, loss), "generator", torch.rand(6, 2).double())
    assert terms["loss"].item() == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize(("loss", "factor"), [("non-saturating", lambda d: d - 1), ("saturating", lambda d: -d)])
def test_the_generators_gradient_is_the_discriminators_times_the_slope_of_the_loss(loss, factor, step_of):
    torch.manual_seed(0)
    model = GAN((2,), latent=3, hidden=(5, 4), loss=loss, output="real").double()
    torch.manual_seed(1)
    logits = model.discriminate(model.generator(torch.randn(8, 3, dtype=torch.float64)))
    expected = torch.autograd.grad(logits, model.generator[-1].bias, factor(logits.detach().sigmoid()) / 8)[0]
    step_of(model, "generator", torch.zeros(8, 2), seed=1)["loss"].backward()
    torch.testing.assert_close(model.generator[-1].bias.grad, expected, rtol=0, atol=1e-12)


def test_the_discriminators_move_does_not_reach_the_generator(step_of):
    model = GAN((2,), hidden=(5,))
    sum(step_of(model, "discriminator", torch.rand(6, 2)).values()).backward()
    assert all(p.grad is None for p in model.generator.parameters())
    assert all(p.grad is not None for p in model.verdict.parameters())


def test_the_two_players_own_every_parameter_once():
    model = GAN((1, 4, 4))
    owned = [id(p) for player in model.players() for p in player.parameters]
    assert sorted(owned) == sorted(map(id, model.parameters()))
    assert [player.name for player in model.players()] == ["generator", "discriminator"]


@pytest.mark.parametrize(
    ("output", "support"), [("unit", constraints.unit_interval), ("binary", constraints.boolean), ("real", constraints.real)]
)
def test_samples_lie_in_the_support_and_are_the_decoded_noise(output, support):
    model = GAN((1, 4, 4), latent=3, hidden=(8,), output=output)
    assert model.support is support
    x = model.sample(50, generator=torch.Generator().manual_seed(0))
    decoded = model.decode(torch.randn(50, 3, generator=torch.Generator().manual_seed(0)))
    assert support.check(x).all()
    assert torch.equal(x, decoded.round() if output == "binary" else decoded)


def test_the_discriminator_sees_binary_events_and_the_generator_the_gradients_through_them(step_of):
    model = GAN((4,), latent=3, hidden=(8,), output="binary").double()
    terms = step_of(model, "discriminator", torch.zeros(8, 4).double())
    torch.manual_seed(0)
    rounded = model.generator(torch.randn(8, 3, dtype=torch.float64)).sigmoid().round()  # normalised by the batch's statistics
    torch.testing.assert_close(terms["fake"], discriminator_fake_loss(model.discriminate(rounded)))
    step_of(model, "generator", torch.zeros(8, 4).double())["loss"].backward()
    assert all(p.grad.isfinite().all() for p in model.generator.parameters())
    assert model.generator[-1].weight.grad.abs().sum() > 0


def test_pictures_enter_the_discriminator_centred():
    model = GAN((2,), hidden=(5,), output="unit")
    plain = GAN(**model.config | {"output": "real"})
    plain.load_state_dict(model.state_dict())
    x = torch.rand(6, 2)
    torch.testing.assert_close(model.discriminate(x), plain.discriminate(2 * x - 1))


def test_features_are_the_last_hidden_layer_of_the_discriminator():
    model = GAN((2,), hidden=(5, 4))
    x = torch.rand(6, 2)
    assert model.encode(x).shape == (6, 5)
    torch.testing.assert_close(model.verdict(model.encode(x)).squeeze(1), model.discriminate(x))


def test_parameter_counts_follow_the_widths():
    generator = (3 * 5 + 5 + 2 * 5) + (5 * 4 + 4 + 2 * 4) + (4 * 2 + 2)  # two numbers a unit for batch normalisation
    discriminator = (2 * 4 + 4) + (4 * 5 + 5) + (5 + 1)
    assert GAN((2,), latent=3, hidden=(5, 4)).parameter_count() == generator + discriminator


def test_the_generators_events_are_those_the_discriminator_sees():
    model = GAN((2,), latent=3, hidden=(5, 4), output="real").double()
    generator, discriminator = model.players()
    batch, seen = Batch(torch.zeros(6, 2).double()), []
    model.judge, judge = (lambda x: seen.append(x.detach()) or judge(x)), model.judge
    generator.loss(batch)
    discriminator.loss(batch)
    assert torch.equal(seen[0], seen[1][6:])  # data and samples pass it at once
    discriminator.loss(batch)  # a step on which the generator does not move makes new ones
    assert not torch.equal(seen[0], seen[2][6:])


def test_a_critic_may_move_more_often():
    generator, discriminator = GAN((2,), discriminator_steps=5).players()
    assert (generator.every, discriminator.every) == (5, 1)


def test_two_rates_and_their_decays_reach_the_optimisers():
    generator, discriminator = GAN((2,), learning_rate=1e-4, discriminator_rate=4e-4, betas=(0.0, 0.9)).players()
    for player, rate in ((generator, 1e-4), (discriminator, 4e-4)):
        assert player.optimizer(player.parameters).defaults["lr"] == rate
        assert player.optimizer(player.parameters).defaults["betas"] == (0.0, 0.9)


def test_a_packed_discriminator_decides_over_several_events():
    model = GAN((1, 2, 2), hidden=(5,), pack=3)
    assert model.features[0].weight.shape == (5, 12)
    assert model.discriminate(torch.rand(6, 1, 2, 2)).shape == (2,)
    assert model.encode(torch.rand(4, 1, 2, 2)).shape == (4, 5)


def test_spectral_normalisation_brings_every_layer_to_a_largest_singular_value_of_one():
    torch.manual_seed(0)
    model = GAN((2,), hidden=(5, 4), spectral_norm=True).double()
    for _ in range(500):
        model.discriminate(torch.rand(6, 2).double())
    for layer in (model.features[0], model.features[2], model.verdict):
        assert torch.linalg.matrix_norm(layer.weight, 2).item() == pytest.approx(1, abs=1e-5)


def test_a_maxout_unit_is_the_largest_of_its_pieces():
    model = GAN((3,), hidden=(4,), maxout=5).double()
    x = torch.rand(6, 3).double()
    pieces = (x @ model.features[0].weight.T + model.features[0].bias).view(6, 4, 5)
    torch.testing.assert_close(model.features(x), pieces.max(2).values)


def test_an_untrained_model_samples_events_one_by_one():
    model = GAN((2,), latent=3, hidden=(5, 4))
    z = torch.randn(6, 3)
    torch.testing.assert_close(model.decode(z[:2]), model.decode(z)[:2])
    assert model.sample(1).shape == (1, 2)


def test_it_suits_the_data():
    assert GAN.configure_for((1, 4, 4), constraints.boolean) == {"output": "binary"}
    assert GAN.configure_for((1, 4, 4), LevelGrid(17)) == {"output": "unit"}
    assert GAN.configure_for((3,), constraints.unit_interval) == {"output": "unit"}
    assert GAN.configure_for((3,), constraints.real) == {"output": "real"}


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({"latent": 0}, "latent must be at least 1, got 0"),
        ({"loss": "hing"}, "loss='hing' is unknown: .*hinge"),
        ({"maxout": 0}, "maxout must be at least 1, got 0"),
        ({"discriminator_hidden": ()}, "discriminator_hidden must name at least one layer"),
        ({"discriminator_steps": 0}, "discriminator_steps must be a whole number of at least 1, got 0"),
        ({"betas": (0.5, 1.0)}, "betas must be Adam's two decays"),
        ({"output": "boolean"}, "output='boolean' is unknown: .*Known: binary, real, unit"),
        ({"hidden": ()}, "hidden must name at least one layer"),
    ],
)
def test_what_makes_no_model_is_refused(arguments, sentence):
    with pytest.raises(ConfigError, match=sentence):
        GAN((2,), **arguments)
