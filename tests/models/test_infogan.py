"""InfoGAN: who moves what, what its codes carry, and how they are given, read and traversed."""

import math

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn
from torch.distributions import constraints

from pofx.building import build, load
from pofx.core import Batch, ConfigError, DataError
from pofx.latents import traverse_code
from pofx.models import InfoGAN

SMALL = {"latent": 5, "categories": [4, 3], "continuous": 2, "width": 2}


def seed(number):
    return torch.Generator().manual_seed(number)


def small(**changes):
    torch.manual_seed(0)
    return InfoGAN((1, 8, 8), **SMALL | changes).double()


def count(module):
    return sum(p.numel() for p in module.parameters())


def gradients(model, player, x):
    """The gradients of one move, all parameters enabled, by name."""
    torch.manual_seed(1)
    model.zero_grad()
    terms = next(p for p in model.players() if p.name == player).loss(Batch(x))
    sum(terms.values()).backward()
    return {name: p.grad for name, p in model.named_parameters() if p.grad is not None}, terms


def largest(found, part):
    return max((float(g.abs().max()) for name, g in found.items() if name.startswith(part)), default=0.0)


def test_the_networks_for_mnist_are_the_papers():
    model = InfoGAN((1, 28, 28))
    assert model.latent == 74
    assert model.recognition[-1].out_features == 14
    sizes = [count(part) for part in (model.trunk, model.verdict, model.recognition, model.generator)]
    assert sizes == [6_558_144, 1_025, 133_262, 6_652_481]
    assert model.parameter_count() == sum(sizes)


@pytest.mark.parametrize(("shape", "sides"), [((3, 32, 32), [16, 8, 4]), ((1, 8, 8), [4]), ((1, 28, 28), [14, 7])])
def test_maps_are_halved_down_to_a_side_of_4_to_7(shape, sides):
    model = InfoGAN(shape, width=1)
    seen = []
    for layer in model.trunk.modules():
        if isinstance(layer, nn.Conv2d):
            layer.register_forward_hook(lambda _, __, y: seen.append(y.shape[2]))
    model.encode(torch.rand(1, *shape))
    assert seen == sides
    assert model.sample(2).shape == (2, *shape)


def test_both_heads_get_the_same_features_of_one_pass(monkeypatch):
    model, given = small(), {}
    for name in ("trunk", "verdict", "recognition"):
        getattr(model, name).register_forward_hook(
            lambda _, args, y, name=name: given.setdefault(name, []).append((args[0], y))
        )
    gradients(model, "discriminator", torch.rand(6, 1, 8, 8).double())
    assert [len(given[name]) for name in ("trunk", "verdict", "recognition")] == [2, 2, 1]  # data, samples; Q sees samples only
    assert given["recognition"][0][0] is given["trunk"][1][1] is given["verdict"][1][0]


@pytest.mark.parametrize("normalise", [True, False])
def test_the_discriminators_move_trains_q_on_the_codes_that_made_the_samples(normalise):
    """Its terms are those that the definitions give for the same samples and codes, whether one pass or two."""
    model, x = small(normalise=normalise), torch.rand(6, 1, 8, 8).double()
    gradients(model, "generator", x)
    torch.manual_seed(3)
    z = model._noise(6)
    fake = model._generate(z).detach()
    torch.manual_seed(3)
    terms = model.players()[1].loss(Batch(x))
    outputs = model.recognition(model.trunk(2 * fake - 1))
    first, second, mean, raw = outputs.split([4, 3, 2, 2], 1)
    c1, c2, value = z[:, :4].argmax(1), z[:, 4:7].argmax(1), z[:, 7:9]
    cross = nn.functional.cross_entropy(first, c1), nn.functional.cross_entropy(second, c2)
    torch.testing.assert_close(terms["categorical"], sum(cross))
    normal = torch.distributions.Normal(mean, raw.clamp(min=-3).exp())
    torch.testing.assert_close(terms["continuous"], -normal.log_prob(value).sum(1).mean())
    assert terms["information_c1"].item() == pytest.approx(math.log(4) - cross[0].item())
    assert terms["information_c3"].item() == pytest.approx(math.log(2) + normal.log_prob(value)[:, 0].mean().item())


def test_the_discriminator_sees_the_generators_samples_with_their_codes():
    model, batch = small(), Batch(torch.rand(6, 1, 8, 8).double())
    generator, discriminator = model.players()
    torch.manual_seed(0)
    mine = generator.loss(batch)
    codes = model._drawn.clone()
    theirs = discriminator.loss(batch)
    assert torch.equal(model._drawn, codes)
    torch.testing.assert_close(theirs["categorical"], mine["categorical"])  # same samples, codes and weights
    discriminator.loss(Batch(batch.x))  # a step on which the generator did not move
    assert not torch.equal(model._drawn, codes)


def test_without_weight_q_has_no_gradient_and_with_it_trunk_head_and_generator_have():
    x = torch.rand(6, 1, 8, 8).double()
    found, _ = gradients(small(weight=0.0, continuous_weight=0.0), "discriminator", x)
    assert largest(found, "recognition") == 0
    assert largest(found, "trunk") > 0
    for part in ("weight", "continuous_weight"):
        model = small(**{"weight": 0.0, "continuous_weight": 0.0} | {part: 1.0})
        nn.init.zeros_(model.verdict.weight)  # a verdict that looks at nothing: all gradients are those of the codes
        found, _ = gradients(model, "discriminator", x)
        assert largest(found, "recognition") > 0
        assert largest(found, "trunk") > 0
        assert largest(found, "generator") == 0
        found, _ = gradients(model, "generator", x)
        assert largest(found, "generator") > 0


def test_q_belongs_to_the_discriminator_and_the_generators_move_leaves_both_alone():
    model = small()
    owned = {player.name: {id(p) for p in player.parameters} for player in model.players()}
    assert owned["generator"] == {id(p) for p in model.generator.parameters()}
    assert {id(p) for p in model.recognition.parameters()} <= owned["discriminator"]
    before = {name: p.detach().clone() for name, p in model.named_parameters()}
    mover = model.players()[0]
    optimizer = mover.optimizer(mover.parameters)
    gradients(model, "generator", torch.rand(6, 1, 8, 8).double())
    optimizer.step()
    changed = {name.split(".")[0] for name, p in model.named_parameters() if not torch.equal(p, before[name])}
    assert changed == {"generator"}


def test_the_weights_scale_their_terms():
    x = torch.rand(6, 1, 8, 8).double()
    (_, plain), (_, weighed) = (gradients(small(**w), "generator", x) for w in ({}, {"weight": 3.0, "continuous_weight": 0.5}))
    torch.testing.assert_close(weighed["categorical"], 3 * plain["categorical"])
    torch.testing.assert_close(weighed["continuous"], 0.5 * plain["continuous"])
    torch.testing.assert_close(weighed["loss"], plain["loss"])


def test_given_codes_are_those_of_the_samples():
    model = small().eval()
    codes = model.codes.draw(6, model.verdict.weight, seed(0))
    x = model.sample(6, condition=codes, generator=seed(1))
    noise = torch.randn(6, 5, dtype=torch.float64, generator=seed(1))
    assert torch.equal(x, model.decode(torch.cat([codes, noise], 1)))
    drawn = model.sample(6, condition=torch.tensor([0, 1, 2, 3, 0, 1]), generator=seed(1))
    assert not torch.equal(drawn[0], drawn[4])
    again = model.sample(3, condition=model.encode(x[:3]), generator=seed(1))  # what encode gives can be given
    assert again.shape == (3, 1, 8, 8)


def test_codes_that_are_read_are_probabilities_and_means_whatever_stands_beside_them():
    model, x = small(), torch.rand(5, 1, 8, 8).double()
    model.train()
    codes = model.encode(x)
    assert model.training
    assert codes.shape == (5, 9)
    torch.testing.assert_close(codes[:, :4].sum(1), torch.ones(5).double())
    torch.testing.assert_close(codes[:, 4:7].sum(1), torch.ones(5).double())
    assert codes[:, 7:].abs().max() <= 1
    torch.testing.assert_close(model.encode(x[2:3]), codes[2:3])
    assert torch.equal(model.category_probabilities(x, 1), codes[:, 4:7])
    with pytest.raises(ConfigError, match="one of 2 categorical codes, counted from 0, got 2"):
        model.category_probabilities(x, 2)


def test_fixed_scales_are_no_outputs_of_q():
    assert small(scale="fixed").recognition[-1].out_features == small().recognition[-1].out_features - 2


def test_it_suits_pictures_it_can_reach():
    assert InfoGAN.configure_for((1, 28, 28), constraints.boolean) == {"output": "binary"}
    assert InfoGAN.configure_for((3, 32, 32), constraints.unit_interval) == {"output": "unit"}
    with pytest.raises(ConfigError, match=r"got 30 × 30 pixels: load the data with resize=28 or resize=32"):
        InfoGAN.configure_for((1, 30, 30), constraints.unit_interval)
    with pytest.raises(ConfigError, match="expect pictures"):
        build("infogan", (2,))


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({"latent": 0}, "latent must be at least 1, got 0"),
        ({"width": 0}, "width must be at least 1, got 0"),
        ({"weight": -1.0}, "weight must be a number of at least 0, got -1"),
        ({"continuous_weight": math.inf}, "continuous_weight must be a number of at least 0, got inf"),
        ({"categories": [1]}, r"categories must be .* got \[1\]"),
        ({"scale": "free"}, "scale='free' is unknown"),
        ({"spectral_norm": True}, "normalise=False with them"),
        ({"r1": 1.0}, "normalise=False with them"),
        ({"loss": "hinges"}, "loss='hinges' is unknown"),
    ],
)
def test_what_makes_no_model_is_refused(arguments, sentence):
    with pytest.raises(ConfigError, match=sentence):
        InfoGAN((1, 8, 8), **arguments)


def test_a_batch_of_one_and_codes_of_another_width_are_refused():
    model = small()
    with pytest.raises(ConfigError, match=r"batch_size of at least 2 .*, got 1"):
        model.players()[0].loss(Batch(torch.rand(1, 1, 8, 8)))
    with pytest.raises(ConfigError, match=r"codes of shape \(2, 9\), got \(2, 8\)"):
        model.sample(2, condition=torch.zeros(2, 8))
    with pytest.raises(DataError, match=r"infogan decodes .*\(n, 14\)"):
        model.decode(torch.zeros(2, 9))


def test_a_traversal_shares_noise_and_other_codes_along_a_row():
    model = small().eval()
    x, z, titles = traverse_code(model, code=2, rows=3, steps=4, reach=2.0, seed=1)
    assert x.shape == (3, 4, 1, 8, 8)
    assert titles == ["-2", "-0.67", "0.67", "2"]
    assert torch.equal(z[0, :, 7], torch.linspace(-2, 2, 4).double())
    others = [i for i in range(14) if i != 7]
    assert torch.equal(z[:, :1, others].expand(-1, 4, -1), z[..., others])
    torch.testing.assert_close(x, model.decode(z.flatten(0, 1)).unflatten(0, (3, 4)).float())
    labels = torch.tensor([3, 1])
    _, z, titles = traverse_code(model, code=1, rows=2, labels=labels)
    assert torch.equal(z[:, :, :4].argmax(2), labels[:, None].expand(-1, 3))
    assert torch.equal(z[:, :, 4:7], torch.eye(3).double().expand(2, -1, -1))
    with pytest.raises(ConfigError, match="vae has no codes"):
        traverse_code(build("vae", (1, 8, 8)))


def test_from_the_command_line_codes_are_traversed_and_categories_sampled(call, home):
    code, _, err = call("fit", "infogan", "digits", "--out", "x", "--steps", 3, "--set", "width=2", "--set", "categories=[4]")
    assert code == 0, err
    assert call("traverse", "x", "--code", 1, "--range", 2, "--most", 3, "--condition", "all", "--out", "t.npz")[0] == 0
    with np.load(home / "t.npz") as found:
        assert found["x"].shape[:2] == (3, 9)
        assert found["z"][:, :, :4].argmax(2).tolist() == [[0] * 9, [1] * 9, [2] * 9]
    assert call("traverse", "x")[0] == 0
    with Image.open(home / "x" / "traverse.png") as sheet:
        assert sheet.width > 4 * 8
    assert call("sample", "x", "-n", 4, "--condition", "all", "--out", "s.npz")[0] == 0
    model = load("x")
    expected = model.sample(4, condition=torch.arange(4), generator=seed(0))
    with np.load(home / "s.npz") as found:
        np.testing.assert_array_equal(found["x"], expected.numpy())
    for arguments, sentence in (
        (("traverse", "x", "--code", 3), "code must be in 0..2, got 3"),
        (("traverse", "x", "--dims", 1), "infogan is moved along its codes"),
        (("traverse", "x", "--range", 0, "--code", 1), "a positive range"),
        (("sample", "x", "--condition", 4), "condition '4' is not a category of infogan"),
    ):
        code, _, err = call(*arguments)
        assert code == 2
        assert sentence in " ".join(err.split())
