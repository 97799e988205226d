"""The Wasserstein autoencoder: its losses by hand, its steps taken apart and against those of the adversarial autoencoder."""

import math
from dataclasses import replace
from functools import partial

import pytest
import torch
from torch import nn
from torch.distributions import constraints

from pofx.building import build, load
from pofx.core import Batch, CapabilityError, ConfigError, DataError, density
from pofx.functional.adversarial import discriminator_fake_loss
from pofx.functional.divergences import SCALES, mmd, plain_mmd, sliced_wasserstein
from pofx.models import AAE, WAE
from pofx.training import save

SMALL = {"latent": 3, "hidden": (7,), "discriminator_hidden": (5,)}
X = torch.rand(12, 1, 4, 4, generator=torch.Generator().manual_seed(3), dtype=torch.float64)
sgd = partial(torch.optim.SGD, lr=0.1)


def small(**arguments):
    """A small model in double precision; its weights are the same every time."""
    torch.manual_seed(0)
    return WAE((1, 4, 4), **{**SMALL, **arguments}).double()


def player(model, name):
    return next(p for p in model.players() if p.name == name)


def gradients(model, loss):
    names, parameters = zip(*model.named_parameters(), strict=True)
    found = torch.autograd.grad(loss, parameters, allow_unused=True)
    return {n: torch.zeros_like(p) if g is None else g for n, p, g in zip(names, parameters, found, strict=True)}


def move(model, name, batch, seed=0):
    """One step of plain gradient descent of this player, at rate 0.1; the loss as the player gave it."""
    torch.manual_seed(seed)
    mover = replace(player(model, name), optimizer=sgd)
    for p in model.parameters():
        p.requires_grad_(any(p is own for own in mover.parameters))
    optimizer = mover.optimizer(mover.parameters)
    terms = mover.loss(batch)
    sum(terms.values()).backward()
    optimizer.step()
    model.zero_grad()
    for p in model.parameters():
        p.requires_grad_(True)
    return terms


def state(model):
    return {name: p.detach().clone() for name, p in model.named_parameters()}


def changed(model, before):
    return {name.split(".")[0] for name, p in model.named_parameters() if not torch.equal(p, before[name])}


def test_the_players_and_their_parts():
    for penalty in ("mmd", "sliced"):
        assert [p.name for p in small(penalty=penalty).players()] == ["autoencoder"]
    assert [p.name for p in small(penalty="gan").players()] == ["autoencoder", "discriminator"]
    assert [p.name for p in small(penalty="gan", joint=False).players()] == ["autoencoder", "discriminator", "encoder"]
    for penalty in ("mmd", "sliced"):
        assert not any("discriminator" in name for name, _ in small(penalty=penalty).named_parameters())


@pytest.mark.parametrize("joint", [True, False])
def test_every_move_changes_the_weights_of_its_player_alone(joint):
    model = small(penalty="gan", joint=joint)
    own = {"autoencoder": {"encoder", "decoder"}, "discriminator": {"discriminator"}, "encoder": {"encoder"}}
    for p in model.players():
        before = state(model)
        move(model, p.name, Batch(X))
        assert changed(model, before) == own[p.name]


@pytest.mark.parametrize("cost_scale", [0.05, 1.0])
def test_the_loss_of_mmd_is_cost_and_weighted_discrepancy(cost_scale):
    model = small(weight=7.0, cost_scale=cost_scale)
    torch.manual_seed(4)
    terms = player(model, "autoencoder").loss(Batch(X))
    torch.manual_seed(4)
    prior = torch.randn(12, 3, dtype=torch.float64)
    squares = (model.reconstruct(X) - X).square().flatten(1).sum(1).mean()
    torch.testing.assert_close(terms["cost"], cost_scale * squares)
    torch.testing.assert_close(terms["penalty"], 7 * plain_mmd(model.encode(X), prior, 6.0))  # C = 2 · 3 dimensions


def test_the_losses_of_the_other_penalties_are_their_equations():
    linear, sliced = small(weight=2.0, estimator="linear"), small(weight=2.0, penalty="sliced", directions=4)
    for model, expected in (
        (linear, lambda z, p: mmd(z, p, 6.0, "linear")),
        (sliced, lambda z, p: sliced_wasserstein(z, p, 4)),
    ):
        torch.manual_seed(4)
        penalty = player(model, "autoencoder").loss(Batch(X))["penalty"]
        torch.manual_seed(4)
        torch.testing.assert_close(penalty, 2 * expected(model.encode(X), torch.randn(12, 3, dtype=torch.float64)))


def test_the_losses_of_the_game_are_their_equations():
    model = small(penalty="gan", weight=3.0)
    z = model.encode(X)
    torch.manual_seed(4)
    prior = torch.randn(12, 3, dtype=torch.float64)
    torch.manual_seed(4)
    terms = player(model, "discriminator").loss(Batch(X))
    torch.testing.assert_close(terms["real"], -model.discriminate(prior).sigmoid().log().mean())
    torch.testing.assert_close(terms["fake"], -(1 - model.discriminate(z).sigmoid()).log().mean())
    penalty = player(model, "autoencoder").loss(Batch(X))["penalty"]
    torch.testing.assert_close(penalty, -3 * model.discriminate(z).sigmoid().log().mean())


def test_a_discriminator_that_cannot_tell_has_logit_zero_and_loss_2_ln_2():
    model = small(penalty="gan")
    with torch.no_grad():
        model.discriminator[-1].weight.zero_()
        model.discriminator[-1].bias.zero_()
    assert not model.discriminate(torch.randn(5, 3, dtype=torch.float64)).any()
    assert sum(player(model, "discriminator").loss(Batch(X)).values()).item() == pytest.approx(2 * math.log(2), abs=1e-12)


def matched_pair(encoder, output):
    """A WAE-GAN that takes turns and an AAE with the same weights and the same reconstruction loss."""
    common = {**SMALL, "encoder": encoder, "output": output}
    cost = {"cost": "cross_entropy", "cost_scale": 1.0} if output == "binary" else {"cost_scale": 0.5}
    wae = WAE((1, 4, 4), penalty="gan", joint=False, weight=1.0, **cost, **common).double()
    aae = AAE((1, 4, 4), **common).double()
    aae.load_state_dict(wae.state_dict())
    return wae, aae


@pytest.mark.parametrize("encoder", ["deterministic", "gaussian"])
@pytest.mark.parametrize("output", ["unit", "real", "binary"])
def test_a_wae_gan_that_takes_turns_takes_the_steps_of_an_aae(encoder, output):
    wae, aae = matched_pair(encoder, output)
    start, x = state(wae), X.round() if output == "binary" else X
    assert [p.name for p in wae.players()] == [p.name for p in aae.players()]
    for step in range(5):
        for name in ("autoencoder", "discriminator", "encoder"):
            terms = [sum(move(model, name, Batch(x), seed=10 * step + len(name)).values()) for model in (wae, aae)]
            torch.testing.assert_close(*terms, rtol=1e-12, atol=1e-12)
    for name, weights in state(wae).items():
        torch.testing.assert_close(weights, aae.state_dict()[name], rtol=1e-11, atol=1e-13)
        assert (weights - start[name]).abs().max() > 1e-4


def test_a_joint_move_is_the_sum_of_both_turns_at_the_same_point():
    joint, turns = small(penalty="gan", weight=3.0), small(penalty="gan", weight=3.0, joint=False)
    together = gradients(joint, sum(player(joint, "autoencoder").loss(Batch(X)).values()))
    apart = [gradients(turns, sum(player(turns, name).loss(Batch(X)).values())) for name in ("autoencoder", "encoder")]
    before = state(joint)
    move(joint, "autoencoder", Batch(X))
    for name in before:
        if name.startswith("discriminator"):
            assert not apart[0][name].any()
            continue
        torch.testing.assert_close(together[name], apart[0][name] + apart[1][name])
        torch.testing.assert_close(joint.state_dict()[name], before[name] - 0.1 * (apart[0][name] + apart[1][name]))
        assert name.startswith("encoder") or not apart[1][name].any()  # the turn of the encoder knows no decoder


def test_without_weight_the_codes_are_free():
    for penalty in ("mmd", "sliced", "gan"):
        model = small(penalty=penalty, weight=0.0)
        terms = player(model, "autoencoder").loss(Batch(X))
        assert terms["penalty"] == 0
        free, whole = (
            gradients(model, terms["cost"]),
            gradients(model, sum(player(model, "autoencoder").loss(Batch(X)).values())),
        )
        assert all(torch.equal(free[name], whole[name]) for name in free)


@pytest.mark.parametrize("std", [1.0, 2.5])
def test_with_the_prior_trick_the_logit_is_the_log_ratio_of_prior_and_codes(std):
    model = small(penalty="gan", prior_trick=True, prior_std=std)
    q = torch.distributions.MultivariateNormal(torch.tensor([1.0, 0.0, -1.0]).double(), 0.3 * torch.eye(3).double())

    class MinusLogQ(nn.Module):
        def forward(self, z):
            return -q.log_prob(z)[:, None]

    model.discriminator = MinusLogQ()
    z = torch.randn(6, 3, dtype=torch.float64)
    log_prior = torch.distributions.Normal(0.0, std).log_prob(z).sum(1)
    assert model.discriminate(z).shape == (6,)
    torch.testing.assert_close(model.discriminate(z), log_prior - q.log_prob(z))


def test_the_width_of_the_kernel_is_the_squared_distance_of_two_draws():
    def measured(model):
        z = model.prior.sample(200_000, torch.Generator().manual_seed(1)).double()
        return (z[:100_000] - z[100_000:]).square().sum(1).mean().item()

    points = torch.tensor([[0.0, 0.0, 0.0], [2.0, 0.0, 1.0]])
    exact = {"gaussian": 6.0, "uniform": 2.0}
    for prior, spread in exact.items():
        assert small(prior=prior).spread.item() == spread
    assert small(prior_std=2.0).spread.item() == 24.0
    assert small(prior=points).spread.item() == pytest.approx(2.5, rel=1e-3)
    for prior in ("mixture", "swiss_roll"):
        model = WAE((2,), latent=2, prior=prior)
        assert model.spread.item() == pytest.approx(measured(model), rel=0.02)
    for prior in exact:
        assert small(prior=prior).spread.item() == pytest.approx(measured(small(prior=prior)), rel=0.02)


def test_a_prior_of_the_user_is_saved_with_its_kernel(tmp_path):
    points = 3 + torch.randn(50, 3, generator=torch.Generator().manual_seed(0))
    model = small(prior=points).float()
    assert model.config["prior"] == {"points": 50, "classes": 0}
    save(model, tmp_path)
    loaded = load(tmp_path)
    assert loaded.spread == model.spread > 0
    assert torch.equal(loaded.prior.points, points)
    draws = [m.sample(4, generator=torch.Generator().manual_seed(1)) for m in (model, loaded)]
    assert torch.equal(*draws)


def test_the_weight_follows_the_penalty_unless_given():
    assert [small(penalty=p).weight for p in ("mmd", "sliced", "gan")] == [10.0, 10.0, 0.1]
    assert small(penalty="gan", weight=2.0).weight == 2.0
    assert small(penalty="gan").config["weight"] is None


def test_a_discriminator_has_no_kernel_and_a_kernel_no_discriminator():
    assert "spread" in small().state_dict()
    assert "spread" not in small(penalty="gan").state_dict()
    assert not any("discriminator" in name for name in small().state_dict())


@pytest.mark.parametrize("penalty", ["mmd", "sliced", "gan"])
def test_codes_come_to_the_prior(penalty):
    """Numbers of mean 3 and deviation 2: a linear encoder learns to bring them to N(0, 1), the decoder the way back."""
    torch.manual_seed(0)
    x = 3 + 2 * torch.randn(500, 1)
    model = WAE((1,), latent=1, hidden=(), discriminator_hidden=(16,), output="real", penalty=penalty, weight=1.0)
    optimizers = {p.name: torch.optim.Adam(p.parameters, lr=2e-2, betas=(0.5, 0.999)) for p in model.players()}
    for _ in range(250):
        batch = Batch(x[torch.randint(500, (100,))])
        for p in model.players():
            optimizers[p.name].zero_grad()
            sum(p.loss(batch).values()).backward()
            optimizers[p.name].step()
    z = model.encode(x)
    assert abs(z.mean()) < 0.35
    assert abs(z.std() - 1) < 0.35
    assert model.anomaly_score(x).mean() < 0.1 * x.var()


@pytest.mark.parametrize("output", ["unit", "binary", "real"])
def test_values_lie_in_their_support(output):
    model = small(output=output)
    z = 30 * torch.randn(50, 3, dtype=torch.float64)
    decoded, drawn = model.decode(z), model.sample(50)
    if output == "real":
        assert decoded.min() < 0
    else:
        assert ((decoded >= 0) & (decoded <= 1)).all()
    assert model.support.check(drawn).all()
    raw = model.decoder(z)
    assert torch.equal(decoded, raw if output == "real" else raw.sigmoid())
    if output == "binary":
        assert set(drawn.unique().tolist()) == {0.0, 1.0}


def test_binary_samples_have_the_probabilities_of_the_decoder():
    model = small(output="binary")
    with torch.no_grad():
        for p in model.decoder.parameters():
            p.zero_()
        list(model.decoder.parameters())[-1].copy_(torch.linspace(-2, 2, 16))
    rate = model.sample(20_000, generator=torch.Generator().manual_seed(0)).mean(0).flatten()
    assert (rate - torch.linspace(-2, 2, 16).double().sigmoid()).abs().max() < 4 * 0.5 / math.sqrt(20_000)


def test_reconstructions_interpolations_and_scores_are_those_of_the_codes():
    model = small()
    a, b = X[:5], X[5:10]
    line = model.interpolate(a, b, steps=4)
    assert line.shape == (5, 4, 1, 4, 4)
    torch.testing.assert_close(line[:, 0], model.reconstruct(a))
    torch.testing.assert_close(line[:, -1], model.reconstruct(b))
    torch.testing.assert_close(line[:, 1], model.decode(model.encode(a) * 2 / 3 + model.encode(b) / 3))
    torch.testing.assert_close(model.anomaly_score(a), (a - model.reconstruct(a)).square().flatten(1).sum(1))
    binary = small(output="binary", cost="cross_entropy")
    probability, x = binary.reconstruct(X.round()), X.round()
    entropy = -(x * probability.log() + (1 - x) * (1 - probability).log()).flatten(1).sum(1)
    torch.testing.assert_close(binary.anomaly_score(x), entropy)


def test_a_gaussian_encoder_encodes_to_the_mean_of_what_it_draws():
    model = small(encoder="gaussian")
    torch.manual_seed(0)
    draws = torch.stack([model.encoder.draw(X)[1] for _ in range(3000)]).detach()
    error = draws.std(0) / math.sqrt(3000)
    assert ((draws.mean(0) - model.encode(X)).abs() < 5 * error).all()
    assert (error > 0).all()


def test_it_says_that_it_has_no_density():
    assert density(small()) == "implicit"
    with pytest.raises(CapabilityError, match="wae has no log_prob: its density is implicit"):
        small().log_prob(X)


def test_it_suits_what_the_data_are():
    assert WAE.configure_for((1, 8, 8), constraints.boolean) == {"output": "binary"}
    assert WAE.configure_for((1, 8, 8), constraints.unit_interval) == {"output": "unit"}
    assert WAE.configure_for((5,), constraints.real) == {"output": "real"}


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({"latent": 0}, "latent must be at least 1, got 0"),
        ({"penalty": "mdm"}, "penalty='mdm' is unknown: .*mmd"),
        ({"cost": "absolute"}, "cost='absolute' is unknown"),
        ({"estimator": "biased"}, "estimator='biased' is unknown"),
        ({"encoder": "universal"}, "encoder='universal' is unknown"),
        ({"output": "pixels"}, "output='pixels' is unknown"),
        ({"cost": "cross_entropy"}, "cost='cross_entropy' is for binary events, got output='unit'"),
        ({"weight": -1.0}, "weight must be at least 0 and cost_scale positive, got -1.0 and 0.05"),
        ({"weight": math.nan}, "weight must be at least 0"),
        ({"cost_scale": 0.0}, "cost_scale positive, got 10.0 and 0.0"),
        ({"weight": math.inf}, "weight must be at least 0 and cost_scale positive, got inf"),
        ({"directions": 0}, "directions must be at least 1, got 0"),
        ({"discriminator_hidden": (0,)}, "discriminator_hidden must name layers of at least 1 unit"),
        ({"joint": False}, "joint=False is for penalty='gan', got penalty='mmd'"),
        ({"prior_trick": True}, "prior_trick=True needs penalty='gan' and prior='gaussian'"),
        ({"prior_trick": True, "penalty": "gan", "prior": "uniform"}, "prior_trick=True needs penalty='gan'"),
        ({"prior_std": 0.0}, "prior_std must be a positive number, got 0.0"),
        ({"prior": "swiss_roll"}, "lies in the plane and needs latent=2"),
        ({"prior": torch.ones(5, 3)}, "prior must have samples that differ, got one point"),
    ],
)
def test_arguments_that_make_no_sense_are_refused_with_a_sentence(arguments, sentence):
    with pytest.raises(ConfigError, match=sentence):
        small(**arguments)


@pytest.mark.parametrize(
    ("prior", "sentence"),
    [
        (torch.zeros(5, 2), r"of shape \(m, 3\), for latent=3, got \(5, 2\)"),
        (torch.tensor([[0.0, 0.0, 0.0], [0.0, math.nan, 0.0]]), "expects finite samples, got .* in row 1"),
    ],
)
def test_priors_that_are_none_are_refused_with_a_sentence(prior, sentence):
    with pytest.raises(DataError, match=sentence):
        small(prior=prior)


def test_calls_that_make_no_sense_are_refused_with_a_sentence():
    model = small()
    with pytest.raises(DataError, match=r"wae decodes codes of shape \(n, 3\), got \(4, 2\)"):
        model.decode(torch.zeros(4, 2))
    with pytest.raises(ConfigError, match="a line from a to b needs at least 2 steps"):
        model.interpolate(X, X, steps=1)
    with pytest.raises(ConfigError, match="wae takes no condition"):
        model.sample(2, condition=1)
    with pytest.raises(ConfigError, match=r"at least 2 rows each, got \(1, 3\) and \(1, 3\): choose another batch_size"):
        player(model, "autoencoder").loss(Batch(X[:1]))
    with pytest.raises(ConfigError, match="wae expects weight to be a number or None, got 'ten'"):
        build("wae", (1, 4, 4), weight="ten")


def test_the_kernels_are_those_of_the_paper():
    assert SCALES == (0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0)


@pytest.mark.parametrize("joint", [True, False])
def test_the_discriminator_sees_the_codes_of_the_reconstruction(joint):
    model = small(penalty="gan", joint=joint)
    batch, passes, draw = Batch(torch.rand(6, 1, 4, 4).double()), [], model.encoder.draw
    model.encoder.draw = lambda *a, **k: passes.append(draw(*a, **k)) or passes[-1]
    player(model, "autoencoder").loss(batch)
    terms = player(model, "discriminator").loss(batch)
    assert len(passes) == 1
    torch.testing.assert_close(terms["fake"], discriminator_fake_loss(model.discriminate(passes[0][1])))
    player(model, "discriminator").loss(batch)  # nothing is left of them: they are made anew
    assert len(passes) == 2
