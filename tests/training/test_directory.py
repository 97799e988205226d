"""What a run directory holds is loaded, prolonged or replaced, but never mixed up with another run."""

import json
from dataclasses import replace

import pytest

from pofx.core import ConfigError, TrainingError
from pofx.models import Markov
from pofx.training import fit


@pytest.fixture
def finished(eight, walker, tmp_path):
    """A finished run of ten steps, and how to start it again."""

    def again(data=eight, directory=tmp_path / "run", model=None, **changes):
        return fit(model or walker(), data, directory, **{"steps": 10, "batch_size": 2, "progress": False, **changes})

    again()
    return again


def test_a_finished_run_is_not_trained_again(finished, walker):
    model = walker()
    run = finished(model=model)
    assert (run.steps, model.weight.item(), model.path, len(run.record)) == (10, -10, [], 3)


def test_a_finished_run_can_be_made_longer(finished, walker):
    model = walker()
    run = finished(model=model, steps=15, log_every=1)
    assert (run.steps, model.weight.item(), len(model.path)) == (15, -15, 5)
    assert [line["step"] for line in run.record] == [4, 8, 10, 11, 12, 13, 14, 15]


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"seed": 3}, "holds another run: training.seed is 0 there and 3 here"),
        ({"batch_size": 4}, "training.batch_size is 2 there and 4 here"),
        ({"schedule": "cosine", "ema": 0.5}, "training.ema is 0.0 there and 0.5 here; training.schedule is 'constant' there"),
        ({"resume": False}, "holds a finished run of 10 steps: choose another directory .* or replace it"),
    ],
)
def test_another_run_in_the_directory_is_not_touched(finished, changes, sentence):
    with pytest.raises(TrainingError, match=sentence):
        finished(**changes)


def test_another_model_or_other_data_are_named(finished, walker, eight):
    with pytest.raises(TrainingError, match=r"config.slope is 1.0 there and 2.0 here"):
        finished(model=walker(slope=2.0))
    with pytest.raises(TrainingError, match=r"data.name is 'small' there and 'large' here"):
        finished(data=replace(eight, name="large"))
    with pytest.raises(TrainingError, match="name is 'walker' there and 'markov' here"):
        finished(model=Markov((2,), levels=16))


def test_a_run_goes_on_with_arguments_that_are_younger_than_it(finished, walker, tmp_path):
    file = tmp_path / "run" / "config.json"
    config = json.loads(file.read_text())
    del config["model"]["config"]["slope"]
    file.write_text(json.dumps(config))
    with pytest.raises(TrainingError, match=r"config.slope is 1.0 there and 2.0 here"):
        finished(model=walker(slope=2.0))
    assert finished(steps=15).steps == 15


def test_overwriting_replaces_the_run_and_spares_what_is_not_its_own(finished, tmp_path, walker):
    foreign = [tmp_path / "run" / "notes.txt", tmp_path / "run" / "samples" / "mine.png"]
    for file in foreign:
        file.parent.mkdir(exist_ok=True)
        file.write_text("mine")
    model = walker()
    finished(model=model, overwrite=True, seed=3, steps=4)
    steps = [json.loads(line)["step"] for line in (tmp_path / "run" / "record.jsonl").read_text().splitlines()]
    assert (model.weight.item(), steps) == (-4, [4])
    assert [file.read_text() for file in foreign] == ["mine", "mine"]


def test_resuming_keeps_the_examples_of_a_step(finished, tmp_path):
    config = tmp_path / "run" / "config.json"
    config.write_text(config.read_text().replace('"batch_size": 2', '"batch_size": 4'))
    with pytest.raises(ConfigError, match=r"was trained with 2 examples a step \(batch_size × processes\), got 4: keep"):
        finished(batch_size=4)
