"""A run that was stopped, killed or broken, and then resumed, equals one that never stopped, bit for bit."""

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace

import pytest
import torch
from safetensors.torch import load_file

from pofx.core import ConfigError, Interrupted, TrainingError
from pofx.data import Split
from pofx.models import GAN, NADE, VAE, Markov
from pofx.training import fit

QUICK = {"progress": False, "checkpoint_minutes": 0, "snapshots": 0}

CASES = {
    "nade": (lambda: NADE((1, 8, 8), hidden=8), {"schedule": "linear", "warmup": 500}),
    "vae, averaged": (lambda: VAE((1, 8, 8), latent=2, hidden=(8,)), {"ema": 0.9, "schedule": "cosine"}),
    "vae, stopped early": (lambda: VAE((1, 8, 8), latent=2, hidden=(8,)), {"look_ahead": 2, "learning_rate": 0.5}),
    "vae, half precision": (lambda: VAE((1, 8, 8), latent=2, hidden=(8,)), {"precision": "bf16"}),
    "gan, averaged": (lambda: GAN((1, 8, 8), latent=4, hidden=(8,)), {"ema": 0.9, "learning_rate": {"generator": 1e-3}}),
}

VICTIM = """
import sys
import torch
from pofx.core import Interrupted
from pofx.data import load_data
from pofx.models import GAN
from pofx.training import fit
torch.set_num_threads(1)
torch.manual_seed(0)
try:
    fit(GAN((1, 8, 8), latent=4, hidden=(8,)), load_data("digits", binarize=True), sys.argv[1], steps=1_000_000, ema=0.9,
        log_every=7, progress=False, checkpoint_minutes=0, snapshots=0)
except Interrupted as stopped:
    print(stopped)
    sys.exit(3)
"""


class CrashError(Exception):
    """Something outside the library went wrong."""


class Breaking:
    """Rows of a file that can no longer be read after so many batches."""

    def __init__(self, x, good_batches):
        self.x, self.left = x, good_batches

    def __len__(self):
        return len(self.x)

    def read(self, index):
        if len(index) == 100:  # a training batch, not the look at the whole split
            self.left -= 1
        if self.left < 0:
            raise CrashError
        return self.x.index_select(0, index)


def breaking(data, good_batches):
    return replace(data, train=Split(Breaking(data.train.x, good_batches), label=data.train.label))


def seeded(build):
    torch.manual_seed(0)
    return build()


def record(path):
    lines = [json.loads(line) for line in (path / "record.jsonl").read_text().splitlines()]
    return [{k: v for k, v in line.items() if k != "seconds"} for line in lines]


def assert_same_run(one, two):
    assert (one / "model.safetensors").read_bytes() == (two / "model.safetensors").read_bytes()
    a, b = (load_file(run / "checkpoint" / "state.safetensors") for run in (one, two))
    assert a.keys() == b.keys()
    assert all(torch.equal(a[k], b[k]) for k in a)


@pytest.mark.parametrize("case", CASES)
def test_resumed_equals_uninterrupted(case, digits, tmp_path):
    build, settings = CASES[case]
    settings = {"steps": 60, "log_every": 5, **QUICK, **settings}
    whole = fit(seeded(build), digits, tmp_path / "whole", **settings)
    for start, good_batches in ((0, 17), (1, 9)):  # stops after 17 batches, then 9 batches further than the state it found
        torch.manual_seed(start)  # what a resumed model starts with has no say
        with pytest.raises(CrashError):
            fit(build(), breaking(digits, good_batches), tmp_path / "broken", **settings)
    resumed = fit(build(), digits, tmp_path / "broken", **settings)
    assert_same_run(tmp_path / "whole", tmp_path / "broken")
    assert record(tmp_path / "whole") == record(tmp_path / "broken")
    assert resumed.steps == whole.steps
    for name, value in whole.model.state_dict().items():
        assert torch.equal(value, resumed.model.state_dict()[name])


def test_a_run_killed_before_its_first_checkpoint_starts_anew(digits, tmp_path):
    build, settings = CASES["nade"][0], {"steps": 30, "log_every": 5, "progress": False, "snapshots": 0}
    fit(seeded(build), digits, tmp_path / "whole", **settings)
    with pytest.raises(CrashError):
        fit(seeded(build), breaking(digits, 17), tmp_path / "broken", **settings)
    assert not (tmp_path / "broken" / "checkpoint").exists()
    assert record(tmp_path / "broken")
    fit(seeded(build), digits, tmp_path / "broken", **settings)
    assert_same_run(tmp_path / "whole", tmp_path / "broken")
    assert record(tmp_path / "whole") == record(tmp_path / "broken")


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT], ids=["kill -9", "Ctrl-C"])
def test_a_run_stopped_from_outside_goes_on_as_if_nothing_had_happened(number, digits, tmp_path):
    broken = tmp_path / "broken"
    victim = subprocess.Popen(
        [sys.executable, "-c", VICTIM, str(broken)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    try:
        deadline = time.monotonic() + 120
        while not (broken / "record.jsonl").is_file() or len((broken / "record.jsonl").read_text().splitlines()) < 12:
            assert victim.poll() is None, victim.communicate()[1]
            assert time.monotonic() < deadline
            time.sleep(0.01)
        os.kill(victim.pid, number)
        output, errors = victim.communicate(timeout=60)
    finally:
        victim.kill()
    if number == signal.SIGINT:
        assert (victim.returncode, errors) == (3, "")
        assert output.startswith("Stopped at step ")
        assert f"of 1000000; the state is saved in {broken}. Give the same command again" in output
    else:
        assert victim.returncode == -signal.SIGKILL
    settings = {**QUICK, "ema": 0.9, "log_every": 7, "steps": record(broken)[-1]["step"] + 30}
    build = CASES["gan, averaged"][0]
    fit(build(), digits, broken, **settings)
    fit(seeded(build), digits, tmp_path / "whole", **settings)
    assert_same_run(tmp_path / "whole", broken)
    if number == signal.SIGKILL:  # Ctrl-C leaves a line of its own at the step where it stopped
        assert record(tmp_path / "whole") == record(broken)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_the_present_step_and_saves_it(number, digits, tmp_path):
    class Signalling(Breaking):
        def read(self, index):
            if len(index) == 100:
                self.left -= 1
                if self.left == 0:
                    signal.raise_signal(number)
            return self.x.index_select(0, index)

    handler = signal.getsignal(number)
    signalling = replace(digits, train=Split(Signalling(digits.train.x, 8), label=digits.train.label))
    build = CASES["nade"][0]
    with pytest.raises(Interrupted, match="Stopped at step 8 of 20; the state is saved in"):
        fit(seeded(build), signalling, tmp_path / "run", steps=20, progress=False)
    assert signal.getsignal(number) is handler
    assert load_file(tmp_path / "run" / "checkpoint" / "state.safetensors")["optimizer/model/0/step"] == 8
    signalling.train._x.left = 8
    with pytest.raises(Interrupted, match="Stopped at step 8 of 20; nothing was saved because no run directory was given"):
        fit(seeded(build), signalling, steps=20, progress=False)


@pytest.fixture
def finished(eight, walker, tmp_path):
    """A finished run of ten steps, and how to start it again."""

    def again(data=eight, directory=tmp_path / "run", model=None, **changes):
        return fit(model or walker(), data, directory, **{"steps": 10, "batch_size": 2, **QUICK, **changes})

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


def test_a_shorter_run_takes_no_step_beyond_what_was_done(eight, walker, tmp_path):
    broken = replace(eight, train=Split(Breaking(eight.train.x, 7)))
    settings = {**QUICK, "batch_size": 100, "log_every": 1}
    with pytest.raises(CrashError):
        fit(walker(), broken, tmp_path, steps=20, **settings)
    model = walker()
    assert fit(model, eight, tmp_path, steps=5, **settings).steps == 7
    assert (model.weight.item(), model.path) == (-7, [])


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


def test_an_unfinished_run_offers_to_go_on(digits, tmp_path):
    build, settings = CASES["nade"][0], {**QUICK, "log_every": 5, "steps": 30}
    with pytest.raises(CrashError):
        fit(build(), breaking(digits, 17), tmp_path, **settings)
    with pytest.raises(TrainingError, match=r"holds an unfinished run of 15 steps: go on with it \(--resume\)"):
        fit(build(), digits, tmp_path, resume=False, **settings)


def test_overwriting_replaces_the_run_and_spares_what_is_not_its_own(finished, tmp_path, walker):
    foreign = [tmp_path / "run" / "notes.txt", tmp_path / "run" / "samples" / "mine.png"]
    for file in foreign:
        file.parent.mkdir(exist_ok=True)
        file.write_text("mine")
    model = walker()
    finished(model=model, overwrite=True, seed=3, steps=4)
    assert (model.weight.item(), [line["step"] for line in record(tmp_path / "run")]) == (-4, [4])
    assert [file.read_text() for file in foreign] == ["mine", "mine"]


def test_resuming_keeps_the_examples_of_a_step(finished, tmp_path):
    config = tmp_path / "run" / "config.json"
    config.write_text(config.read_text().replace('"batch_size": 2', '"batch_size": 4'))
    with pytest.raises(ConfigError, match=r"was trained with 2 examples a step \(batch_size × processes\), got 4: keep"):
        finished(batch_size=4)
