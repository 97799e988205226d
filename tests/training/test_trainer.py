"""The loop: whose turn it is, at which rate, on which examples, and what is left in the end."""

import json
import math

import pytest
import torch
from safetensors.torch import load_file
from torch import nn

from pofx.core import ConfigError, DataError, TrainingError
from pofx.data import Stream
from pofx.models import GAN, NADE, VAE, Autoregressive, Markov
from pofx.training import Settings, fit
from pofx.training.ema import Average


def steps_of(path, last):
    return [before - after for before, after in zip(path, [*path[1:], last], strict=True)]


@pytest.mark.parametrize("settings", [{}, {"schedule": "linear"}, {"schedule": "cosine", "warmup": 8}, {"warmup": 20}])
def test_the_learning_rate_follows_the_schedule(walker, eight, settings):
    model = walker()
    fit(model, eight, steps=12, batch_size=4, learning_rate=0.5, progress=False, **settings)
    expected = [0.5 * Settings(**settings).learning_rate_factor(4 * step, 48) for step in range(12)]
    assert steps_of(model.path, model.weight.item()) == pytest.approx(expected, abs=1e-12)


def test_without_a_rate_the_players_own_is_used(walker, eight):
    model = walker()
    fit(model, eight, steps=3, batch_size=4, progress=False)
    assert model.weight.item() == -3


def test_a_rate_for_each_player(duel, eight):
    model = duel()
    fit(model, eight, steps=1, learning_rate={"right": 0.5}, progress=False)
    assert model.left.tolist() == pytest.approx([0.8, 0.8])  # 1 − 0.1 · 2, its own rate
    assert model.right.tolist() == pytest.approx([0.4, 0.4])  # 2 − 0.5 · (2 · 2 − 0.8)


def test_a_game_records_the_norm_of_each_gradient_on_logged_steps(duel, eight):
    record = fit(duel(), eight, steps=2, log_every=2, progress=False, learning_rate=0.0).record
    assert record[-1]["left/gradient_norm"] == pytest.approx(math.sqrt(8))  # of 2 · 1 twice
    assert record[-1]["right/gradient_norm"] == pytest.approx(math.sqrt(18))  # of 2 · 2 − 1 twice


def test_one_player_alone_has_no_norm_on_record(walker, eight):
    record = fit(walker(), eight, steps=2, log_every=1, progress=False).record
    assert not any("gradient_norm" in name for line in record for name in line)


def test_an_unknown_player_is_named(duel, eight):
    with pytest.raises(ConfigError, match="learning_rate names 'middle', but the players of duel are left, right"):
        fit(duel(), eight, steps=1, learning_rate={"middle": 0.5}, progress=False)


def test_a_move_changes_its_own_player_and_no_other(duel, eight):
    model = duel()
    fit(model, eight, steps=2, progress=False)
    assert model.moves == [("left", ["left"], ["left"]), ("right", ["right"], ["right"])] * 2


def test_a_player_may_move_every_third_step(duel, eight):
    model = duel(every=3)
    run = fit(model, eight, steps=7, log_every=1, progress=False)
    assert [player for player, *_ in model.moves] == ["left"] * 3 + ["right"] + ["left"] * 3 + ["right"] + ["left"]
    assert ["right/square" in line for line in run.record] == [False, False, True, False, False, True, False]


def test_gradients_are_clipped_to_the_norm(walker, eight):
    model = walker(clip=0.25, slope=7.0)
    fit(model, eight, steps=4, progress=False)
    assert steps_of(model.path, model.weight.item()) == pytest.approx([0.25] * 4, rel=1e-5)


def test_every_step_sees_the_batch_of_its_position_and_the_schedules_of_the_model(walker, eight):
    model = walker()
    fit(model, eight, steps=5, batch_size=3, seed=7, progress=False)
    stream = Stream(eight.train, 3, seed=7)
    assert all(torch.equal(x, stream.batch(3 * step).x) for step, x in enumerate(model.seen))
    assert model.progress == [0, 3, 6, 9, 12, 15]


@pytest.mark.parametrize("decay", [0.5, 0.9])
def test_averaged_weights_obey_their_law(walker, eight, decay):
    model = walker()
    fit(model, eight, steps=6, ema=decay, progress=False)
    after = [*model.path[1:], -6]  # the weight after each step
    shares = [decay ** (6 - step) for step in range(1, 7)]
    average = sum(share * weight for share, weight in zip(shares, after, strict=True)) / sum(shares)
    assert model.weight.item() == pytest.approx(average, abs=1e-12)


def test_the_average_of_still_weights_is_these_from_the_first_step_on():
    model = nn.Sequential(nn.Linear(2, 3), nn.BatchNorm1d(3)).double()
    average = Average(model, 0.9)
    for value in (*model.parameters(), *model.buffers()):
        value.data.fill_(2)
    for step in range(1, 11):
        average.update(step)
        assert all((average.weights[name] == 2).all() for name in model.state_dict())
    with average.applied():
        assert torch.equal(model[0].weight, average.weights["0.weight"])
    assert (model[0].weight == 2).all()


def test_early_stopping_keeps_the_best_weights(walker, eight, tmp_path):
    model = walker()
    run = fit(model, eight, tmp_path, epochs=50, batch_size=8, look_ahead=3, progress=False)
    assert (run.steps, model.weight.item()) == (8, -5)
    assert [line["valid/nll"] for line in run.record] == [16, 9, 4, 1, 0, 1, 4, 9]
    assert load_file(tmp_path / "model.safetensors")["weight"].item() == -5


def test_validation_comes_when_asked_for_and_disturbs_nothing(digits):
    weights = []
    for every in (0, 1, 2):
        torch.manual_seed(0)
        model = VAE((1, 8, 8), latent=2, hidden=(8,))
        run = fit(model, digits, epochs=4, batch_size=300, validate_every=every, log_every=1, progress=False)
        assert [line["step"] for line in run.record if "valid/-elbo" in line] == {0: [], 1: [4, 8, 12, 16], 2: [8, 16]}[every]
        weights.append(torch.cat([p.flatten() for p in model.parameters()]))
    assert torch.equal(weights[0], weights[1])
    assert torch.equal(weights[0], weights[2])


def test_validation_is_the_mean_over_the_whole_split(digits):
    model = NADE((1, 8, 8), hidden=8)
    run = fit(model, digits, steps=4, progress=False)
    assert run.record[-1]["valid/nll"] == pytest.approx(-model.log_prob(digits.valid.x).mean().item(), rel=1e-6)


def test_a_loss_that_is_no_number_stops_training_and_keeps_the_last_good_state(walker, eight, tmp_path):
    model = walker(broken_at=8)
    with pytest.raises(
        TrainingError, match=r"the loss term 'model/nothing' became nan at step 8. Try a lower .*now model 1"
    ) as e:
        fit(model, eight, tmp_path, steps=20, batch_size=1, log_every=3, checkpoint_minutes=0, progress=False)
    assert str(tmp_path / "checkpoint") in str(e.value)
    assert load_file(tmp_path / "checkpoint" / "state.safetensors")["model/weight"].item() == -6
    assert load_file(tmp_path / "model.safetensors")["weight"].item() == -6


def test_the_record_holds_the_mean_of_each_term_since_the_last_line(walker, eight, tmp_path):
    run = fit(walker(), eight, tmp_path, steps=5, batch_size=2, log_every=2, validate_every=0, progress=False)
    assert [(line["step"], line["examples_seen"], line["model/fall"]) for line in run.record] == [
        (2, 4, -0.5), (4, 8, -2.5), (5, 10, -4.0),
    ]  # fmt: skip
    assert [json.loads(line) for line in (tmp_path / "record.jsonl").read_text().splitlines()] == run.record


@pytest.mark.parametrize("model", [NADE((1, 8, 8), hidden=8), VAE((1, 8, 8), hidden=(8,)), GAN((1, 8, 8), hidden=(8,))])
def test_half_precision_trains_and_leaves_full_precision_weights(model, digits):
    run = fit(model, digits, steps=3, precision="bf16", learning_rate=1e-3, progress=False)
    assert all(p.dtype == torch.float32 and p.isfinite().all() for p in model.parameters())
    assert all(math.isfinite(value) for value in run.record[-1].values())


def test_the_model_is_left_ready_for_use(digits):
    model = GAN((1, 8, 8), hidden=(8,))
    run = fit(model, digits, steps=3, progress=False)
    assert run.model is model
    assert not model.training
    assert all(p.requires_grad for p in model.parameters())
    assert (run.steps, run.examples_seen, run.directory) == (3, 300, None)


def test_training_learns(digits):
    torch.manual_seed(0)
    chain = fit(Markov((1, 8, 8)), digits, progress=False).model
    nade = fit(NADE((1, 8, 8), hidden=64, activation="relu"), digits, epochs=15, learning_rate=5e-3, progress=False).model
    x = digits.test.x
    assert nade.log_prob(x).mean() > chain.log_prob(x).mean() + 2


def test_the_seed_decides_everything(digits):
    def weights(seed):
        torch.manual_seed(0)
        model = VAE((1, 8, 8), latent=2, hidden=(8,))
        torch.manual_seed(torch.initial_seed() + seed)  # what the user's generator is at has no say
        fit(model, digits, steps=3, seed=seed % 2, progress=False)
        return torch.cat([p.flatten() for p in model.parameters()])

    assert torch.equal(weights(0), weights(2))
    assert not torch.equal(weights(0), weights(1))


def test_noise_is_new_at_every_step_and_a_function_of_the_seed(walker, eight):
    one, same, other = (walker() for _ in range(3))
    for model, seed in ((one, 1), (same, 1), (other, 2)):
        fit(model, eight, steps=50, seed=seed, validate_every=0, progress=False)
    assert one.noise == same.noise
    assert len({*one.noise, *other.noise}) == 100


def test_pictures_are_taken_as_often_as_asked_and_disturb_nothing(digits, tmp_path):
    weights = []
    for count in (0, 3):
        torch.manual_seed(0)
        model = GAN((1, 8, 8), hidden=(8,), output="binary")
        fit(model, digits, tmp_path / str(count), steps=9, snapshots=count, progress=False)
        weights.append(torch.cat([p.flatten() for p in model.parameters()]))
    assert torch.equal(*weights)
    assert not (tmp_path / "0" / "samples").exists()
    names = sorted(file.name for file in (tmp_path / "3" / "samples").glob("*.png"))
    assert names == ["step-000003.png", "step-000006.png", "step-000009.png"]


def test_counting_is_the_whole_training_of_a_table(digits, tmp_path):
    model, twin = Autoregressive((1, 8, 8), window=2), Autoregressive((1, 8, 8), window=2)
    model.count(digits.valid.x)  # forgotten
    run = fit(model, digits, tmp_path, progress=False)
    twin.count(digits.train.x)
    assert torch.equal(model.counts, twin.counts)
    assert torch.equal(load_file(tmp_path / "model.safetensors")["counts"], twin.counts)
    assert (run.steps, run.examples_seen) == (1, 1200)


def test_a_tracker_writes_its_files(walker, eight, tmp_path):
    fit(walker(), eight, tmp_path, steps=3, trackers=("tensorboard",), progress=False)
    assert list(tmp_path.glob("tracker/**/events.out.tfevents.*"))


def test_data_outside_the_support_are_refused_before_training(digits, eight, tmp_path):
    with pytest.raises(DataError, match=r"nade expects values in \{0, 1\}, got 2 in row 1 of the training split"):
        fit(NADE((2,)), eight, tmp_path / "run", steps=1, progress=False)
    with pytest.raises(DataError, match=r"nade expects the training split of shape \(n, 9\)"):
        fit(NADE((9,)), digits, tmp_path / "run", steps=1, progress=False)
    assert not (tmp_path / "run").exists()


def test_early_stopping_needs_a_likelihood(digits):
    with pytest.raises(ConfigError, match="look_ahead needs a likelihood to watch, and gan has none"):
        fit(GAN((1, 8, 8)), digits, steps=1, look_ahead=2, progress=False)
