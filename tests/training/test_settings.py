"""Settings: schedules as functions of progress, and the sentences for what makes no sense."""

import math

import pytest

from pofx.core import ConfigError
from pofx.training import Settings


@pytest.mark.parametrize(
    ("schedule", "factors"),
    [
        ("constant", [1, 1, 1, 1, 1]),
        ("linear", [1, 0.75, 0.5, 0.25, 0]),
        ("cosine", [1, (1 + math.sqrt(0.5)) / 2, 0.5, (1 - math.sqrt(0.5)) / 2, 0]),
    ],
)
def test_schedules(schedule, factors):
    chosen = Settings(schedule=schedule)
    assert [chosen.learning_rate_factor(seen, 400) for seen in (0, 100, 200, 300, 400)] == pytest.approx(factors, abs=1e-15)
    assert chosen.learning_rate_factor(900, 400) == pytest.approx(factors[-1], abs=1e-15)


def test_warmup_rises_linearly_and_the_schedule_follows_it():
    chosen = Settings(schedule="linear", warmup=99)
    assert [chosen.learning_rate_factor(seen, 299) for seen in (0, 49, 98, 99, 199, 299)] == pytest.approx(
        [0.01, 0.5, 0.99, 1, 0.5, 0], abs=1e-12
    )


def test_length_in_epochs_is_rounded_up_to_whole_steps():
    assert Settings(epochs=2, batch_size=100).total_steps(1250, processes=1) == 25
    assert Settings(epochs=2, batch_size=100).total_steps(1251, processes=1) == 26
    assert Settings(epochs=0.5, batch_size=100).total_steps(1200, processes=2) == 3
    assert Settings(epochs=2, steps=7).total_steps(1250, processes=4) == 7


def test_what_is_free_to_change_is_a_setting():
    assert set(Settings.FREE) <= set(Settings.names())
    assert "seed" not in Settings.FREE


def test_one_tracker_may_be_given_by_its_name():
    assert Settings(trackers="tensorboard").trackers == Settings(trackers=["tensorboard"]).trackers == ("tensorboard",)


def test_an_unknown_setting_is_named_with_the_right_one():
    with pytest.raises(ConfigError, match="training has no setting 'bach_size': did you mean 'batch_size'"):
        Settings.of(bach_size=3)
    assert Settings.of(batch_size=3) == Settings(batch_size=3)


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ({"schedule": "cosinus"}, "schedule='cosinus' is unknown: did you mean 'cosine'"),
        ({"precision": "fp16"}, "precision='fp16' is unknown: did you mean .*Known: bf16, fp32"),
        ({"batch_size": 0}, "batch_size must be a whole number of at least 1, got 0"),
        ({"batch_size": 1.5}, "batch_size must be a whole number of at least 1, got 1.5"),
        ({"seed": 1.5}, "seed must be a whole number of at least 0, got 1.5"),
        ({"steps": 2.5}, "steps must be a whole number of at least 1, got 2.5"),
        ({"steps": 0}, "steps must be a whole number of at least 1, got 0"),
        ({"look_ahead": 0}, "look_ahead must be a whole number of at least 1, got 0"),
        ({"look_ahead": 3, "validate_every": 0}, r"early stopping \(look_ahead=3\) needs validate_every of at least 1"),
        ({"epochs": 0}, "training needs a positive length, got epochs=0"),
        ({"epochs": -2}, "epochs must be a finite number of at least 0, got -2"),
        ({"epochs": math.nan}, "epochs must be a finite number of at least 0, got nan"),
        ({"epochs": "ten"}, "epochs must be a finite number of at least 0, got 'ten'"),
        ({"ema": 1.0}, r"ema must be a decay in \[0, 1\), got 1.0"),
        ({"learning_rate": -0.1}, "learning_rate must be a finite number of at least 0, got -0.1"),
        ({"learning_rate": {"generator": "fast"}}, "learning_rate must be a finite number of at least 0, got 'fast'"),
    ],
)
def test_what_makes_no_sense_is_refused(values, sentence):
    with pytest.raises(ConfigError, match=sentence):
        Settings(**values)
