"""The convergence monitor: what it says of made-up records, that it repeats nothing, and that a resumed run says the same."""

import json
import math

import pytest
import torch

from pofx.core import Discriminates
from pofx.data import load_data
from pofx.models import AAE, GAN
from pofx.training import fit
from pofx.training.modes import ModeCounter
from pofx.training.monitor import Monitor

LN2 = math.log(2)


def lines(real, fake, jsd=None, steps=range(50, 2001, 50), **more):
    """A record whose discriminator has such accuracies: numbers, or functions of the number of the line."""
    for number, step in enumerate(steps):
        r, f = (value(number) if callable(value) else value for value in (real, fake))
        found = {"discriminator/accuracy_real": r, "discriminator/accuracy_fake": f}
        yield step, found | ({} if jsd is None else {"discriminator/jsd": jsd}) | more


def said(record, monitor=None):
    monitor = monitor or Monitor()
    return [(step, sentence) for step, figures in record for sentence in monitor.look(step, figures)]


@pytest.mark.parametrize(("accuracy", "jsd"), [(0.8, 0.2), (0.9, 0.5), (0.95, 0.6), (0.99, 0.55), (0.55, 0.01)])
def test_a_healthy_game_gives_no_warning(accuracy, jsd):
    assert said(lines(accuracy, accuracy, jsd)) == []


def test_a_discriminator_that_has_won_is_named_once_after_a_thousand_steps():
    ((step, sentence),) = said(lines(1.0, 0.99, 0.69))
    assert step == 1000
    assert sentence.startswith("the discriminator has won: it tells data from samples nearly always")


def test_a_discriminator_that_wins_early_and_is_caught_up_has_not_won():
    early, late = lines(1.0, 1.0, 0.69, range(50, 501, 50)), lines(0.8, 0.8, 0.2, range(550, 2001, 50))
    assert said([*early, *late]) == []


def test_a_discriminator_that_is_sure_of_nothing_has_collapsed():
    ((_, sentence),) = said(lines(lambda i: 0.52 if i % 2 else 0.48, 0.5, 0.0004))
    assert sentence.startswith("the discriminator cannot tell data from samples at all")
    assert said(lines(0.5, 0.5, 0.02)) == []  # it knows something
    assert len(said(lines(0.1, 0.1, -0.2))) == 1  # the generator fools one that does not move


def test_one_that_swings_between_yes_and_no_oscillates():
    found = said(lines(lambda i: i // 4 % 2, lambda i: 1 - i // 4 % 2, -0.2))
    assert [sentence.split(":")[0] for _, sentence in found] == [
        "the discriminator swings between taking everything for data and nothing"
    ]


def test_a_critic_may_be_right_of_all_pairs_a_relativistic_discriminator_may_not():
    def record(**terms):
        return [(step, {"discriminator/accuracy_pair": 1.0, **terms}) for step in range(50, 2001, 50)]

    assert said(record(**{"discriminator/real": -3.0})) == []
    assert len(said(record(**{"discriminator/pair": 0.01}))) == 1
    assert said(record(**{"discriminator/pair": 0.4})) == []


def test_an_autoencoders_discriminator_tells_draws_of_the_prior_from_codes():
    ((_, sentence),) = said(lines(1.0, 1.0, 0.69), Monitor(AAE((1, 8, 8))))
    assert "tells draws of the prior from codes" in sentence


def modes(*counts, of=8, near=0.9):
    return [(100 * i + 100, {"modes/reached": c, "modes/of": of, "modes/high_quality": near}) for i, c in enumerate(counts)]


def test_modes_that_are_missing_or_lost_are_said_in_plain_words():
    assert said(modes(1, 3, 5, 8, 5, 8, 8, 8), Monitor(total_steps=800)) == []
    ((step, sentence),) = said(modes(1, 3, 3, 3, 3, 3), Monitor(total_steps=600))
    assert step == 500  # not before the last quarter
    assert sentence.startswith("samples reach 3 of 8 modes: some are missed.")
    ((step, sentence),) = said(modes(8, 8, 3, 4, 8), Monitor(total_steps=1000))
    assert step == 400
    assert sentence.startswith("samples reach 4 of 8 modes, after 8 before: some are lost.")
    assert said(modes(8, 8, 3, 4, near=0.1), Monitor(total_steps=1000)) == []  # they hit modes by chance only
    ((_, sentence),) = said(modes(3, near=0.02), Monitor(total_steps=100))
    assert sentence.startswith("samples reach 3 of 8 modes, and 2% of them lie on one: some are missed.")


def test_a_monitor_that_has_read_a_record_goes_on_as_if_it_had_written_it():
    record = list(lines(1.0, 1.0, 0.69))
    for kept in (5, 15, 25):
        resumed = Monitor()
        resumed.replay({"step": step, "examples_seen": step, **figures} for step, figures in record[:kept])
        assert said(record[kept:], resumed) == [w for w in said(record) if w[0] > record[kept - 1][0]]


@pytest.fixture(scope="module")
def rings():
    return load_data("rings", n=1000)


def test_counts_of_modes_and_warnings_are_in_the_record_and_with_the_run(rings, tmp_path):
    torch.manual_seed(0)
    model = GAN((2,), latent=2, hidden=(8,), output="real")
    run = fit(model, rings, tmp_path, steps=20, snapshots=4, batch_size=10, log_every=10, progress=False)
    counted = [line for line in run.record if "modes/reached" in line]
    assert [line["step"] for line in counted] == [5, 10, 15, 20]
    assert {line["modes/of"] for line in counted} == {8}
    assert len(run.warnings) == 1
    assert run.warnings[0].startswith("At step 15 samples reach")
    assert [json.loads(line) for line in (tmp_path / "record.jsonl").read_text().splitlines()] == run.record
    assert (
        fit(model, rings, tmp_path, steps=20, snapshots=4, batch_size=10, log_every=10, progress=False).warnings == run.warnings
    )


def test_known_modes_are_counted_by_the_metric_of_that_name(rings):
    class Perfect(GAN):
        def sample(self, n, condition=None, generator=None):
            return rings.train.x[torch.randint(len(rings.train), (n,), generator=generator)]

    counted = ModeCounter(Perfect((2,), output="real"), rings, 0).count()
    assert counted["modes/reached"] == counted["modes/of"] == 8
    assert counted["modes/high_quality"] == pytest.approx(0.989, abs=0.02)
    assert counted["modes/kl"] < 0.05


def test_classes_of_labelled_pictures_are_counted_by_a_classifier(digits, monkeypatch):
    monkeypatch.setattr("pofx.training.modes.EXAMPLES", 12_800)  # a surer one: 1 % of errors would be another class

    class Threes(GAN):
        def sample(self, n, condition=None, generator=None):
            threes = digits.train.x[digits.train.label == 3]
            return threes[torch.randint(len(threes), (n,), generator=generator)]

    counter = ModeCounter(Threes((1, 8, 8), output="binary"), digits, 0)
    counted = counter.count()
    assert counted["classes/of"] == 10
    assert counted["classes/reached"] == 1
    assert counted["classes/kl"] == pytest.approx(math.log(10), abs=0.15)


def test_nothing_is_counted_where_there_is_nothing_to_count(small_data):
    support = torch.distributions.constraints.unit_interval
    assert ModeCounter(GAN((1, 8, 8)), small_data(torch.zeros(4, 1, 8, 8), torch.zeros(2, 1, 8, 8), support), 0).kind is None
    assert ModeCounter(GAN((6,)), small_data(torch.zeros(4, 6), torch.zeros(2, 6), support), 0).kind is None


@pytest.mark.parametrize("loss", ["non-saturating", "hinge"])
def test_realness_is_the_discriminators_verdict_of_each_event(loss):
    model = GAN((2,), output="real", loss=loss)
    x = torch.randn(6, 2)
    logits = model.discriminate(x)
    assert isinstance(model, Discriminates)
    assert torch.equal(model.realness(x), logits.sigmoid() if loss == "non-saturating" else logits)
    assert model.realness_unit == ("D(x)" if loss == "non-saturating" else "f(x)")


def test_realness_of_a_packed_discriminator_is_a_mean_over_what_stands_beside(rings):
    model = GAN((2,), output="real", pack=3)
    x, beside = torch.randn(5, 2), rings.train.x[:5]
    sets = torch.stack([x, beside[0].expand(5, 2), beside[1].expand(5, 2)], 1).flatten(0, 1)
    others = torch.stack([x, beside[2].expand(5, 2), beside[3].expand(5, 2)], 1).flatten(0, 1)
    expected = (model.discriminate(sets).sigmoid() + model.discriminate(others).sigmoid()) / 2
    assert torch.allclose(model.realness(x, beside), expected, atol=1e-6)
    copies = model.discriminate(x.repeat_interleave(3, 0)).sigmoid()
    assert torch.allclose(model.realness(x), copies, atol=1e-6)
