"""The adversarial autoencoder: its phases and what each leaves alone, the prior's parts, labels, codes and samples."""

import json
import math

import pytest
import torch
import torch.nn.functional as F
from torch.distributions import constraints

from pofx.building import build, load
from pofx.core import Batch, CapabilityError, ConfigError, DataError, LevelGrid, density
from pofx.data import load_data
from pofx.functional.adversarial import discriminator_fake_loss
from pofx.metrics import cluster_labels, clustering_error, mmd_test
from pofx.models import AAE
from pofx.training import fit, save

SMALL = {"hidden": (8,), "discriminator_hidden": (6,)}
KINDS = {
    "plain": {},
    "gaussian": {"encoder": "gaussian"},
    "universal": {"encoder": "universal", "noise": 3},
    "noisy": {"input_noise": 0.3},
    "clusters": {"categories": 4},
    "prior": {"supervision": "prior", "prior": "mixture", "classes": 3},
    "classes": {"supervision": "classes", "classes": 3},
    "style": {"supervision": "style", "classes": 3},
}
KIND = pytest.mark.parametrize("kind", KINDS)


def seed(number):
    return torch.Generator().manual_seed(number)


def model_of(kind="plain", shape=(5,), **arguments):
    torch.manual_seed(0)
    return AAE(shape, **{"latent": 2, "output": "real", **SMALL, **KINDS[kind], **arguments}).double()


def batch_of(n=12, shape=(5,), classes=3, known=None):
    """Real events; their labels are those of `known`, by default all."""
    label = torch.arange(n) % classes
    label = label if known is None else torch.where(known, label, -1)
    return Batch(torch.randn(n, *shape, generator=seed(1), dtype=torch.float64), label=label)


def loss(model, player, batch, noise=0):
    """The terms of a phase, from the same noise each time."""
    torch.manual_seed(noise)
    return next(p for p in model.players() if p.name == player).loss(batch)


@KIND
def test_a_phase_changes_its_own_networks_and_leaves_every_other_bit_alone(kind):
    model = model_of(kind)
    names = ["autoencoder", "discriminator", "encoder"] + ["classifier"] * (kind == "classes")
    assert [player.name for player in model.players()] == names
    own = {
        "autoencoder": ("encoder", "decoder"), "discriminator": ("discriminator", "category_discriminator"),
        "encoder": ("encoder",), "classifier": ("encoder",),
    }  # fmt: skip
    for player in model.players():
        parts = [getattr(model, part) for part in own[player.name] if hasattr(model, part)]
        assert {id(p) for p in player.parameters} == {id(p) for part in parts for p in part.parameters()}
        before = {name: value.clone() for name, value in model.state_dict().items()}
        for p in model.parameters():
            p.requires_grad_(any(p is q for q in player.parameters))
        sum(player.loss(batch_of()).values()).backward()
        player.optimizer(player.parameters).step()
        model.zero_grad()
        changed = {name.split(".")[0] for name, value in model.state_dict().items() if not torch.equal(value, before[name])}
        assert changed == {part for part in own[player.name] if hasattr(model, part)}


def test_at_equal_densities_the_best_discriminator_says_nothing_and_plays_for_two_ln_two():
    model = model_of("clusters")
    for network in (model.discriminator, model.category_discriminator):
        torch.nn.init.zeros_(network[-1].weight)
        torch.nn.init.zeros_(network[-1].bias)
    terms = loss(model, "discriminator", batch_of())
    assert (terms["real"] + terms["fake"]).item() == pytest.approx(2 * math.log(2), abs=1e-12)
    assert (terms["category_real"] + terms["category_fake"]).item() == pytest.approx(1.386294, abs=1e-6)


def test_the_best_discriminator_is_the_log_ratio_of_prior_to_codes():
    model = AAE((1,), latent=1, hidden=(), discriminator_hidden=(), output="real").double()
    with torch.no_grad():
        model.encoder.network[1][0].weight.fill_(1.0)
        model.encoder.network[1][0].bias.zero_()
        model.discriminator[0].weight.fill_(-1.0)  # ln N(z; 0, 1) − ln N(z; 1, 1) = ½ − z
        model.discriminator[0].bias.fill_(0.5)
    gradients = []
    for s in range(40):
        x = 1 + torch.randn(500, 1, generator=seed(s), dtype=torch.float64)
        model.zero_grad()
        sum(loss(model, "discriminator", Batch(x), noise=1000 + s).values()).backward()
        gradients.append(torch.cat([p.grad.flatten() for p in model.discriminator.parameters()]))
    gradients = torch.stack(gradients)
    assert (gradients.mean(0).abs() < 4 * gradients.std(0) / 40**0.5).all()
    assert (gradients.std(0) / 40**0.5 < 0.01).all()


def test_the_encoder_follows_the_non_saturating_gradient_of_the_discriminator():
    model, batch = model_of(), batch_of()
    z = model.encoder.draw(batch.x)[1]
    logits = model.discriminate(z)
    weights = list(model.encoder.parameters())
    expected = torch.autograd.grad(logits, weights, (logits.detach().sigmoid() - 1) / len(batch))
    loss(model, "encoder", batch)["code"].backward()
    for weight, gradient in zip(weights, expected, strict=True):
        torch.testing.assert_close(weight.grad, gradient, rtol=0, atol=1e-12)


def test_the_discriminators_phase_does_not_reach_the_encoder():
    model = model_of("clusters")
    sum(loss(model, "discriminator", batch_of()).values()).backward()
    assert all(p.grad is None for p in model.encoder.parameters())
    assert all(p.grad is not None for p in [*model.discriminator.parameters(), *model.category_discriminator.parameters()])


def seen_by_the_discriminator(model, batch):
    """What it is shown in its phase: positives and negatives, each (n, latent + labels)."""
    shown = []
    handle = model.discriminator.register_forward_pre_hook(lambda _, inputs: shown.append(inputs[0].detach()))
    loss(model, "discriminator", batch)
    handle.remove()
    return shown


def part_of(z, classes):
    """The petal whose axis is nearest."""
    angle = torch.atan2(z[:, 1], z[:, 0]) / (2 * math.pi) * classes
    return angle.round().long() % classes


def test_positives_lie_in_the_part_their_label_names_and_codes_come_with_their_label():
    model, classes = model_of("prior", classes=6), 6
    known = torch.rand(600, generator=seed(2)) < 0.5
    batch = batch_of(600, classes=classes, known=known)
    positives, negatives = seen_by_the_discriminator(model, batch)
    told = F.one_hot(torch.where(known, batch.label, classes), classes + 1)  # the last entry: not known
    assert torch.equal(positives[:, 2:], told.double())
    assert torch.equal(negatives[:, 2:], told.double())
    torch.testing.assert_close(negatives[:, :2], model.encoder.draw(batch.x)[1].detach())
    part = part_of(positives[:, :2], classes)
    assert torch.equal(part[known], batch.label[known])
    counts = part[~known].bincount(minlength=classes)  # the others are of the whole prior
    assert (counts - counts.sum() / classes).abs().max() < 4 * (counts.sum() / classes) ** 0.5


def test_without_supervision_the_discriminator_sees_codes_alone():
    positives, negatives = seen_by_the_discriminator(model_of(), batch_of())
    assert positives.shape == negatives.shape == (12, 2)


@pytest.mark.parametrize("kind", ["classes", "clusters", "plain"])
def test_where_some_rows_have_no_label_the_unsupervised_phases_see_those_alone(kind):
    model, known = model_of(kind), torch.arange(12) < 5
    batch = batch_of(known=known)
    other = Batch(torch.where(known[:, None], batch.x + 3, batch.x), label=batch.label)
    alone = Batch(batch.x[~known])
    for player in ("autoencoder", "discriminator", "encoder"):
        terms = loss(model, player, batch)
        for same in (other, alone):
            assert loss(model, player, same) == terms


@pytest.mark.parametrize("player", ["autoencoder", "encoder"])
def test_where_every_row_has_a_label_they_see_all(player):
    model, batch = model_of("classes"), batch_of()
    without = Batch(batch.x)
    assert loss(model, player, batch) == loss(model, player, without)


def test_the_classifier_learns_from_labelled_rows_by_cross_entropy_of_logits():
    model, known = model_of("classes"), torch.arange(12) % 2 == 0
    batch = batch_of(known=known)
    logits = model.encoder.draw(batch.x)[0][known]
    expected = (logits.exp().sum(1).log() - logits[torch.arange(6), batch.label[known]]).mean()
    torch.testing.assert_close(loss(model, "classifier", batch)["classification"], expected)


def test_a_batch_without_labelled_rows_teaches_the_classifier_nothing():
    model = model_of("classes")
    term = loss(model, "classifier", batch_of(known=torch.zeros(12, dtype=torch.bool)))["classification"]
    term.backward()
    assert term.item() == 0
    assert all((p.grad == 0).all() for p in model.encoder.parameters())


def test_the_categories_are_matched_to_the_uniform_distribution_over_corners():
    model, shown = model_of("clusters"), []
    model.category_discriminator.register_forward_pre_hook(lambda _, inputs: shown.append(inputs[0].detach()))
    loss(model, "discriminator", batch_of(2000))
    corners, probabilities = shown
    assert torch.equal(corners.sort(1).values, torch.tensor([0.0, 0, 0, 1]).double().expand(2000, 4))
    assert (corners.mean(0) - 0.25).abs().max() < 4 * (0.25 * 0.75 / 2000) ** 0.5
    torch.testing.assert_close(probabilities.sum(1), torch.ones(2000, dtype=torch.float64))


def test_the_logits_of_clusters_are_standardised_over_the_batch_and_then_by_what_reconstruction_saw():
    model, batch = model_of("clusters"), batch_of(200)
    raw = model.encoder.network(batch.x)[:, :4]
    deviation = raw.std(0, unbiased=False)
    logits = model.encoder.draw(batch.x)[0]
    torch.testing.assert_close(logits, 3 * (raw - raw.mean(0)) / deviation, rtol=1e-3, atol=1e-3)
    for player in ("discriminator", "encoder"):
        loss(model, player, batch)
    assert (model.encoder.logit_mean == 0).all()
    for _ in range(200):
        loss(model, "autoencoder", batch)
    torch.testing.assert_close(model.encoder.logit_mean, raw.mean(0))
    torch.testing.assert_close(model.category_probabilities(batch.x), logits.softmax(1), rtol=1e-2, atol=1e-3)
    with pytest.raises(ConfigError, match="clusters need a batch_size of at least 2, got 1"):
        loss(model, "autoencoder", batch_of(1))


def test_a_universal_encoder_draws_with_its_noise_and_a_deterministic_one_does_not():
    x = batch_of().x
    torch.manual_seed(3)
    for kind, differ in (("universal", True), ("gaussian", True), ("plain", False)):
        encoder = model_of(kind).encoder
        one, two = (encoder.draw(x)[1] for _ in range(2))
        assert bool((one != two).all()) == differ
    model = model_of("universal")
    loss(model, "autoencoder", batch_of())["reconstruction"].backward()
    assert (model.encoder.network[1][0].weight.grad[:, 5:].abs().sum(0) > 0).all()  # the columns that the noise enters by


def test_the_code_of_a_universal_encoder_is_the_mean_over_its_fixed_noises():
    model, x = model_of("universal", supervision="classes", classes=3), batch_of().x
    noises = model.encoder.fixed_noise
    outputs = torch.stack([model.encoder.network(x, noise.expand(12, 3)) for noise in noises])
    expected = torch.cat([outputs[..., :3].softmax(-1).mean(0), outputs[..., 3:].mean(0)], 1)
    torch.testing.assert_close(model.encode(x), expected)


def test_a_gaussian_encoder_draws_with_its_mean_and_its_deviation():
    model, x = model_of("gaussian"), batch_of(1).x
    outputs = model.encoder.network(x)
    mean, deviation = outputs[0, :2], (0.5 * outputs[0, 2:]).exp()
    torch.manual_seed(0)
    z = model.encoder.draw(x.expand(4000, 5))[1]
    assert ((z.mean(0) - mean).abs() < 4 * deviation / 4000**0.5).all()
    assert ((z.std(0) / deviation - 1).abs() < 4 / 8000**0.5).all()
    torch.testing.assert_close(model.encode(x)[0], mean)


def test_noise_enters_the_encoder_in_training_alone():
    model, batch = model_of("noisy"), batch_of()
    assert loss(model, "encoder", batch, noise=0) != loss(model, "encoder", batch, noise=1)
    assert torch.equal(model.encode(batch.x), model.encode(batch.x))
    torch.testing.assert_close(model.encode(batch.x), model.encoder.network(batch.x))


@pytest.mark.parametrize(
    ("output", "support", "cost"),
    [
        ("unit", constraints.unit_interval, lambda x, f: 0.5 * (x - f.sigmoid()).square().sum(1)),
        ("real", constraints.real, lambda x, f: 0.5 * (x - f).square().sum(1)),
        ("binary", constraints.boolean, lambda x, f: F.binary_cross_entropy_with_logits(f, x, reduction="none").sum(1)),
    ],
)
def test_the_cost_and_the_range_are_those_of_the_values(output, support, cost):
    model = model_of(output=output)
    x = (torch.rand(12, 5, generator=seed(0)) < 0.5).double()
    f = model.decoder(model.encoder.network(x))
    torch.testing.assert_close(model.anomaly_score(x), cost(x, f))
    torch.testing.assert_close(loss(model, "autoencoder", Batch(x))["reconstruction"], cost(x, f).mean())
    assert model.support is support
    assert support.check(model.sample(50, generator=seed(0))).all()
    assert AAE.configure_for((5,), support) == {"output": output}


def test_it_suits_the_data():
    assert AAE.configure_for((1, 8, 8), LevelGrid(17)) == {"output": "unit"}
    assert AAE.configure_for((3,), constraints.integer_interval(0, 4)) == {"output": "real"}


def test_samples_are_decoded_draws_of_the_prior():
    model = model_of(prior="swiss_roll")
    assert torch.equal(model.sample(9, generator=seed(0)), model.decode(model.prior.sample(9, seed(0))))


def decoded_codes(model, act):
    """What the decoder is given while something is done."""
    shown = []
    handle = model.decoder.register_forward_pre_hook(lambda _, inputs: shown.append(inputs[0].detach()))
    act()
    handle.remove()
    return shown[-1]


@pytest.mark.parametrize("kind", ["classes", "style", "clusters"])
def test_a_condition_is_what_the_decoder_is_told(kind):
    model, label = model_of(kind), torch.arange(3).repeat(4)
    codes = decoded_codes(model, lambda: model.sample(12, label, seed(0)))
    width = model.joined
    assert torch.equal(codes[:, :width], F.one_hot(label, width).double())
    assert torch.equal(codes[:, width:], model.prior.sample(12, seed(0)))
    torch.testing.assert_close(model.sample(12, label, seed(0)), model.decode(codes[:, width:], label))
    drawn = decoded_codes(model, lambda: model.sample(3000, generator=seed(0)))[:, :width].sum(0)
    assert (drawn - 3000 / width).abs().max() < 4 * (3000 / width) ** 0.5


def test_a_condition_is_the_part_of_the_prior_where_labels_name_parts():
    model, label = model_of("prior", classes=6), torch.arange(6).repeat(50)
    codes = decoded_codes(model, lambda: model.sample(300, label, seed(0)))
    assert torch.equal(part_of(codes, 6), label)
    assert len(part_of(decoded_codes(model, lambda: model.sample(300, generator=seed(0))), 6).unique()) == 6
    assert model.classes == 6


def test_style_is_told_the_true_label_in_training_and_the_best_one_otherwise():
    model, batch = model_of("style"), batch_of()
    codes = decoded_codes(model, lambda: loss(model, "autoencoder", batch))
    assert torch.equal(codes[:, :3], F.one_hot(batch.label, 3).double())
    z = model.encode(batch.x)
    errors = torch.stack([0.5 * (model.decode(z, torch.full((12,), k)) - batch.x).square().sum(1) for k in range(3)])
    torch.testing.assert_close(model.anomaly_score(batch.x), errors.amin(0))
    torch.testing.assert_close(model.reconstruct(batch.x), model.decode(z, errors.argmin(0)))
    torch.testing.assert_close(model.reconstruct(batch.x, batch.label), model.decode(z, batch.label))


@KIND
def test_a_line_between_two_events_begins_and_ends_at_their_reconstructions(kind):
    model, x = model_of(kind), batch_of().x
    line = model.interpolate(x[:4], x[4:8], steps=5)
    assert line.shape == (4, 5, 5)
    torch.testing.assert_close(line[:, 0], model.reconstruct(x[:4]))
    torch.testing.assert_close(line[:, -1], model.reconstruct(x[4:8]))
    if kind == "plain":
        torch.testing.assert_close(line[:, 2], model.decode((model.encode(x[:4]) + model.encode(x[4:8])) / 2))


@KIND
def test_codes_are_decoded_as_they_are_encoded(kind):
    model, x = model_of(kind), batch_of().x
    assert model.encode(x).shape == (12, model.categories + 2)
    if kind != "style":
        torch.testing.assert_close(model.reconstruct(x), model.decode(model.encode(x)))


def test_categories_are_probabilities_of_classes():
    model, x = model_of("classes"), batch_of().x
    q = model.category_probabilities(x)
    torch.testing.assert_close(q, model.encoder.network(x)[:, :3].softmax(1))
    assert torch.equal(model.classify(x), q.argmax(1))
    with pytest.raises(CapabilityError, match="aae has categories only where it is built with categories=K"):
        model_of().classify(x)


PRIORS = {
    "an array": torch.randn(30, 2, generator=seed(5)),
    "a function": lambda n: torch.rand(n, 2),
    "with parts": (torch.randn(30, 2, generator=seed(6)), torch.arange(30) % 3),
    "a name": "swiss_roll",
}


@pytest.mark.parametrize("prior", PRIORS)
def test_a_model_with_a_prior_of_the_users_own_is_saved_and_loaded(prior, tmp_path):
    supervision = {"supervision": "prior"} if prior == "with parts" else {}
    model = build("aae", (5,), latent=2, output="real", prior=PRIORS[prior], **SMALL, **supervision)
    json.dumps(model.config)
    twin = AAE(**model.config)
    assert twin.config == model.config
    save(model, tmp_path)
    loaded = load(tmp_path)
    assert torch.equal(loaded.sample(9, generator=seed(0)), model.sample(9, generator=seed(0)))
    if supervision:
        assert torch.equal(loaded.sample(9, torch.arange(9) % 3, seed(0)), model.sample(9, torch.arange(9) % 3, seed(0)))
    if isinstance(model.config["prior"], dict):
        assert torch.equal(loaded.prior.points, model.prior.points)


def test_there_is_no_density():
    model = model_of()
    assert density(model) == "implicit"
    for method in ("log_prob", "elbo"):
        with pytest.raises(CapabilityError, match=f"aae has no {method}: its density is implicit"):
            getattr(model, method)(batch_of().x)


def test_training_brings_the_codes_to_the_prior_and_keeps_the_events(small_data):
    x = load_data("rings", n=1500).train.x[:1000]
    torch.manual_seed(0)
    model = AAE((2,), latent=2, prior="uniform", output="real", hidden=(64,), discriminator_hidden=(64,))
    prior = model.prior.sample(300, seed(1))
    before = mmd_test(model.encode(x[:300]), prior, 50).distance.value
    error = model.anomaly_score(x).mean()
    fit(model, small_data(x, x[:10], constraints.real), steps=600, batch_size=100, progress=False)
    after = mmd_test(model.encode(x[:300]), prior, 50).distance.value
    assert before > 0.1
    assert after < before / 4
    assert model.anomaly_score(x).mean() < error / 5


def test_clusters_find_groups_that_lie_apart(small_data):
    label = torch.arange(600) % 3
    centres = torch.tensor([[4.0, 0.0], [-2.0, 3.5], [-2.0, -3.5]])
    x = centres[label] + 0.3 * torch.randn(600, 2, generator=seed(0))
    torch.manual_seed(0)
    model = AAE((2,), latent=1, categories=6, output="real", hidden=(32,), discriminator_hidden=(32,), adversarial_rate=1e-3)
    fit(model, small_data(x, x[:10], constraints.real), steps=500, batch_size=100, progress=False)
    q = model.category_probabilities(x)
    assert clustering_error(q[300:], label[300:], cluster_labels(q[:300], label[:300])).value < 0.1


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({"latent": 0}, "latent must be at least 1, got 0"),
        ({"hidden": (0,)}, "hidden must name layers of at least 1 unit"),
        ({"discriminator_hidden": (4, 0)}, r"discriminator_hidden must name layers of at least 1 unit, got \[4, 0\]"),
        ({"network": "mpl"}, "network='mpl' is unknown: did you mean 'mlp'"),
        ({"activation": "gelu"}, "activation='gelu' is unknown"),
        ({"output": "boolean"}, "output='boolean' is unknown: .*Known: binary, real, unit"),
        ({"encoder": "gausian"}, "encoder='gausian' is unknown: did you mean 'gaussian'"),
        ({"encoder": "universal", "noise": 0}, "noise must be at least 1 for encoder='universal', got 0"),
        ({"prior": "roll"}, "prior='roll' is unknown"),
        ({"prior": "mixture", "latent": 3}, "prior='mixture' lies in the plane and needs latent=2, got latent=3"),
        ({"prior_std": 0.0}, r"prior_std must be a positive number, got 0\.0"),
        ({"input_noise": -0.1}, r"input_noise must be a deviation of at least 0, got -0\.1"),
        ({"categories": -1}, "categories must be at least 0, got -1"),
        ({"supervision": "class"}, "supervision='class' is unknown: did you mean 'classes'"),
        ({"supervision": "classes"}, "supervision='classes' needs classes, the number of labels"),
        ({"supervision": "style"}, "supervision='style' needs classes, the number of labels"),
        ({"supervision": "style", "classes": 0}, "classes must be at least 1, got 0"),
        ({"supervision": "classes", "classes": 3, "categories": 4}, "categories=4 does not go with supervision='classes' and"),
        ({"supervision": "style", "classes": 3, "categories": 4}, "categories=4 does not go with supervision='style'"),
        ({"supervision": "prior"}, "supervision='prior' needs a prior with parts"),
        (
            {"supervision": "prior", "prior": PRIORS["with parts"], "classes": 4},
            "classes=4 does not fit the prior, which has 3",
        ),
        ({"classes": 3}, "classes=3 has no use with supervision='none' and this prior"),
    ],
)
def test_what_makes_no_model_is_refused(arguments, sentence):
    with pytest.raises(ConfigError, match=sentence):
        AAE((5,), **{"latent": 2, **arguments})


@pytest.mark.parametrize("prior", [torch.zeros(9, 3), torch.full((9, 2), torch.nan), lambda n: torch.zeros(n, 1)])
def test_a_prior_of_the_wrong_width_or_with_nan_is_refused(prior):
    with pytest.raises(DataError, match="prior expects"):
        AAE((5,), latent=2, prior=prior)


@pytest.mark.parametrize(("kind", "player"), [("prior", "discriminator"), ("classes", "classifier"), ("style", "autoencoder")])
def test_labels_that_are_missing_or_unknown_are_refused(kind, player):
    model, batch = model_of(kind), batch_of()
    with pytest.raises(ConfigError, match=f"supervision='{kind}' needs labels, and the data have none"):
        loss(model, player, Batch(batch.x))
    for wrong in (3, -2):
        with pytest.raises(ConfigError, match=rf"labels must be 0\.\.2, or −1 where not known, for classes=3, got {wrong}"):
            loss(model, player, Batch(batch.x, label=torch.where(batch.label == 1, wrong, batch.label)))
    if kind == "style":
        with pytest.raises(ConfigError, match="supervision='style' needs the label of every row"):
            loss(model, player, batch_of(known=torch.arange(12) > 0))


def test_conditions_and_codes_without_sense_are_refused():
    z = torch.zeros(4, 2, dtype=torch.float64)
    with pytest.raises(ConfigError, match="aae takes no condition"):
        model_of().sample(4, torch.zeros(4).long())
    with pytest.raises(ConfigError, match="aae takes no condition"):
        model_of().decode(z, torch.zeros(4).long())
    for wrong in (torch.tensor([0, 1, 2, 3]), torch.zeros(3).long(), torch.zeros(4), torch.tensor([0, 0, 0, -1])):
        for act in (lambda c: model_of("style").sample(4, c), lambda c: model_of("style").decode(z, c)):
            with pytest.raises(ConfigError, match=r"condition must be one label of 0\.\.2 for each of 4 events"):
                act(wrong)
    with pytest.raises(
        DataError, match=r"aae decodes codes of latent=2 columns behind 3 of y, or with a condition, got \(4, 2\)"
    ):
        model_of("style").decode(z)
    with pytest.raises(DataError, match=r"aae decodes codes of latent=2 columns, got \(4, 3\)"):
        model_of().decode(torch.zeros(4, 3).double())
    with pytest.raises(ConfigError, match="a line from a to b needs at least 2 steps and as many a as b, got steps=1, 2 and 3"):
        model_of().interpolate(torch.zeros(2, 5).double(), torch.zeros(3, 5).double(), steps=1)


def test_without_a_told_label_labels_change_nothing_that_the_decoder_does():
    model, x = model_of("prior"), batch_of().x
    assert torch.equal(model.reconstruct(x, torch.zeros(12).long()), model.reconstruct(x))
    told = model_of("classes")
    code = told.encode(x)
    assert torch.equal(told.reconstruct(x, torch.ones(12).long()), told.decode(code[:, 3:], torch.ones(12).long()))


@pytest.mark.parametrize(("supervision", "passes"), [("none", 1), ("prior", 2)])
def test_the_discriminator_sees_the_codes_of_the_reconstruction(supervision, passes):
    torch.manual_seed(0)
    model = AAE((1, 4, 4), latent=2, hidden=(8,), prior="mixture", supervision=supervision).double()
    label = torch.tensor([0, 1, 2, -1, -1, -1])
    batch, seen, draw = Batch(torch.rand(6, 1, 4, 4).double(), label=label), [], model.encoder.draw
    model.encoder.draw = lambda *a, **k: seen.append(draw(*a, **k)) or seen[-1]
    players = {p.name: p for p in model.players()}
    players["autoencoder"].loss(batch)
    terms = players["discriminator"].loss(batch)
    assert len(seen) == passes  # told labels it sees all rows, of which only those without one are reconstructed
    told = label if supervision == "prior" else None
    torch.testing.assert_close(terms["fake"], discriminator_fake_loss(model.discriminate(seen[-1][1], told)))
