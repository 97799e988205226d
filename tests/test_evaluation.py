"""Figures that are known beforehand, and the main claim: what each model reaches on the digits."""

import math

import pytest
import torch

import pofx
from pofx.building import settings_for
from pofx.core import ConfigError
from pofx.evaluation import Judge
from pofx.metrics import inception_features
from pofx.scoring import score_rows
from pofx.specs import parse_assignments, parse_specs, split_settings


@pytest.fixture(scope="module")
def judge(digits):
    return Judge(digits)


def trained(name, data, **arguments):
    model = pofx.build_for(name, data, **arguments.pop("model", {}))
    return pofx.fit(model, data, progress=False, snapshots=0, **(settings_for(name, data) | arguments)).model


def test_exact_likelihoods_on_the_digits_come_in_the_order_of_what_the_models_can_see(digits):
    means = {
        name: trained(name, digits).log_prob(digits.test.x).mean().item()
        for name in ("independent", "markov", "autoregressive", "nade")
    }
    assert means["independent"] < means["markov"] < means["autoregressive"] < means["nade"]
    assert means["nade"] > means["markov"] + 6


def test_figures_of_a_model_that_is_known(digits, judge):
    model = trained("independent", digits)
    figures = judge.judge(model).figures
    p = (digits.train.x.sum(0) + 1) / (len(digits.train) + 2)
    expected = torch.where(digits.test.x > 0, p, 1 - p).log().flatten(1).sum(1)
    assert figures["log_likelihood"]["value"] == pytest.approx(float(expected.mean()), abs=1e-4)
    assert figures["log_likelihood"]["stderr"] == pytest.approx(float(expected.std() / 300**0.5), rel=1e-3)
    assert figures["bits_per_dim"]["value"] == pytest.approx(-float(expected.mean()) / 64 / math.log(2), rel=1e-5)
    assert figures["anomaly_auroc"]["n"] == 300 * 5  # the test digits, and each of them corrupted in four ways
    assert figures["probe_accuracy"] is None
    assert "independent has no encode" in figures["why"]["probe_accuracy"]


def test_a_bound_is_marked_and_a_model_without_density_says_so(digits, judge):
    vae = judge.judge(pofx.build_for("vae", digits)).figures
    assert vae["log_likelihood"]["kind"] == "lower bound"
    assert vae["log_likelihood"]["samples"] == 100
    gan = judge.judge(pofx.build_for("gan", digits)).figures
    assert gan["log_likelihood"] is gan["anomaly_auroc"] is None
    assert "implicit" in gan["why"]["log_likelihood"]
    assert gan["frechet"]["n"] == 597


def test_real_data_are_their_own_yardstick(judge):
    described = judge.describe()
    assert described["real"]["frechet"]["value"] < 2
    assert described["real"]["precision"]["value"] > 0.9
    assert described["raw_probe_accuracy"]["value"] > 0.85
    assert set(described["corruptions"]) == {"noise", "patch", "quadrants", "independent"}


def test_judging_changes_nothing_and_repeats_itself(digits, judge):
    model = trained("nade", digits, epochs=1, model={"hidden": 8})
    first, second = (judge.judge(model).figures for _ in range(2))
    for figures in (first, second):
        figures.pop("samples_per_second")
    assert first == second


def test_a_density_of_real_values_has_no_bits_unless_dequantised():
    grey = pofx.load_data("digits")
    figures = Judge(grey).judge(pofx.build_for("vae", grey, likelihood="gaussian")).figures
    assert figures["bits_per_dim"] is None
    assert "dequantize=True" in figures["why"]["bits_per_dim"]
    smooth = pofx.load_data("digits", dequantize=True)
    figures = Judge(smooth).judge(pofx.build_for("vae", smooth)).figures
    nats = figures["log_likelihood"]["value"]
    assert figures["bits_per_dim"]["value"] == pytest.approx(-nats / 64 / math.log(2) + math.log2(17), rel=1e-6)


def test_modes_are_counted_on_drawn_mixtures():
    rings = pofx.load_data("rings", n=2000)
    figures = Judge(rings).judge(pofx.build_for("gan", rings)).figures
    assert figures["modes"]["of"] == 8
    assert figures["modes"]["high_quality"]["n"] == 600


def test_classes_are_counted_and_pictures_compared_where_events_are_pictures(digits, judge):
    figures = judge.judge(trained("nade", digits, epochs=1, model={"hidden": 8})).figures
    assert figures["modes"]["of"] == 10
    assert figures["modes"]["kind"] == "classes"
    assert figures["sliced_wasserstein"]["by_level"].keys() == {"8"}
    assert figures["copies"]["n"] == 597
    real = judge.describe()["real"]
    assert real["sliced_wasserstein"]["value"] < figures["sliced_wasserstein"]["value"]
    assert real["modes"]["captured"] == 10
    assert real["kernel"]["value"] < figures["kernel"]["value"]


def test_a_model_that_gives_back_its_training_events_is_found_out(digits, judge):
    class Copier(pofx.models.GAN):
        def sample(self, n, condition=None, generator=None):
            return digits.train.x[torch.randint(len(digits.train), (n,), generator=generator)]

    judgement = judge.judge(Copier((1, 8, 8), output="binary"))
    assert judgement.figures["copies"]["value"] > 0.9  # all but those that are in the training split twice
    assert judge.describe()["real"]["copies"]["value"] < 0.05
    first = judgement.copies.rows[0]
    assert torch.equal(first[0], first[1])


def test_samples_may_be_compared_in_any_features():
    rings = pofx.load_data("rings", n=300)
    own = Judge(rings, features=lambda x: x[:, :1])
    assert torch.equal(own.real_features, own.held_out[:, :1])
    assert own.describe()["features"] == "Features by the function <lambda>."
    assert own.describe()["classifier"] == "The two coordinates themselves."
    with pytest.raises(ConfigError, match=r"gives \(n, f\) for n events, got \(90,\)"):
        Judge(rings, features=lambda x: x[:, 0])


def test_inception_without_its_weights_is_a_sentence(tmp_path):
    with pytest.raises(ConfigError, match=r"need the weights of Inception-v3, and .*nowhere\.pth is not there"):
        inception_features(tmp_path / "nowhere.pth")


def test_inception_is_given_eight_bits_and_three_channels(monkeypatch, tmp_path):
    class Network(torch.nn.Module):
        def __init__(self, name, features, path):
            super().__init__()
            assert (name, features, path) == ("inception-v3-compat", ["2048"], str(tmp_path / "w.pth"))

        def forward(self, x):
            assert x.dtype == torch.uint8
            return x.flatten(1).float()

    monkeypatch.setattr("torchmetrics.image.fid.NoTrainInceptionV3", Network)
    (tmp_path / "w.pth").write_bytes(b"weights")
    found = inception_features(tmp_path / "w.pth").features(torch.tensor([[[[0.0, 0.5, 1.2]]]]))
    assert found.tolist() == [[0, 128, 255] * 3]


def test_columns_of_scores(digits):
    assert set(score_rows(pofx.build_for("nade", digits), digits.test)) == {"log_prob", "anomaly_score"}
    assert set(score_rows(pofx.build_for("vae", digits), digits.test)) == {"elbo_100", "anomaly_score"}
    with pytest.raises(pofx.PofxError, match="gan has no anomaly_score"):
        score_rows(pofx.build_for("gan", digits), digits.test)


def test_the_same_seed_builds_the_same_weights_and_leaves_the_generator_alone(digits):
    state = torch.random.get_rng_state()
    first, second, other = (pofx.build_for("vae", digits, seed) for seed in (1, 1, 2))
    assert torch.equal(torch.random.get_rng_state(), state)
    weights = [model.encoder[1][0].weight for model in (first, second, other)]
    assert torch.equal(weights[0], weights[1])
    assert not torch.equal(weights[0], weights[2])


def test_small_data_get_smaller_batches_unless_their_preset_says_otherwise(digits, small_data):
    few = small_data(torch.zeros(400, 4), torch.zeros(10, 4), torch.distributions.constraints.boolean)
    assert settings_for("vae", few)["batch_size"] == 20
    assert settings_for("vae", small_data(torch.zeros(10, 4), torch.zeros(1, 4), few.support))["batch_size"] == 8
    assert settings_for("vae", digits)["batch_size"] == 50


def test_specs_and_assignments():
    assert parse_specs("vae:hidden=[64, 32],latent=2, markov") == [("vae", {"hidden": [64, 32], "latent": 2}), ("markov", {})]
    assert parse_assignments(["a=1e-3", "b=true", "c=None", "d=x=y"]) == {"a": 0.001, "b": True, "c": None, "d": "x=y"}
    assert split_settings("gan", {"hidden": [8], "ema": 0.9}, ["ema"]) == ({"hidden": [8]}, {"ema": 0.9})
    with pytest.raises(ConfigError, match="did you mean 'hidden'"):
        split_settings("gan", {"hiden": 8}, ["ema"])


@pytest.mark.parametrize(
    ("argument", "words"),
    [
        ({"hidden": 1.5}, "hidden to be a whole number, got 1.5"),
        ({"learning_rate": "fast"}, "learning_rate to be a number, got 'fast'"),
        ({"order": [0.5]}, "order to be a word or a list, each entry a whole number, got"),
        ({"hidden": True}, "hidden to be a whole number, got True"),
    ],
)
def test_values_of_the_wrong_type_are_named(argument, words):
    with pytest.raises(ConfigError, match=words):
        pofx.build("nade", (4,), **argument)
