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

from pofx.core import Interrupted, TrainingError
from pofx.data import Split
from pofx.models import GAN, NADE, VAE
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
        if len(index) != len(self.x):  # a training batch, not the look at the whole split
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
            if len(index) != len(self.x):
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


def test_a_second_signal_stops_at_once(eight, walker):
    class Impatient(Breaking):
        def read(self, index):
            if len(index) != len(self.x):
                signal.raise_signal(signal.SIGINT)
                signal.raise_signal(signal.SIGINT)
            return self.x.index_select(0, index)

    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # a background process ignores it from the start
    try:
        with pytest.raises(KeyboardInterrupt):
            fit(walker(), replace(eight, train=Split(Impatient(eight.train.x, 0))), steps=5, progress=False)
    finally:
        signal.signal(signal.SIGINT, before)


def test_the_best_weights_are_remembered_beyond_a_crash(eight, walker, tmp_path):
    settings = {**QUICK, "epochs": 50, "batch_size": 4, "learning_rate": 0.5, "look_ahead": 3}
    with pytest.raises(CrashError):
        fit(walker(), breaking(eight, 14), tmp_path, **settings)
    model = walker()
    run = fit(model, eight, tmp_path, **settings)  # the best was after the fifth epoch, the crash in the eighth
    assert (run.steps, model.weight.item(), len(model.path)) == (16, -5, 2)


def test_a_shorter_run_takes_no_step_beyond_what_was_done(eight, walker, tmp_path):
    settings = {**QUICK, "batch_size": 100, "log_every": 1}
    with pytest.raises(CrashError):
        fit(walker(), breaking(eight, 7), tmp_path, steps=20, **settings)
    model = walker()
    assert fit(model, eight, tmp_path, steps=5, **settings).steps == 7
    assert (model.weight.item(), model.path) == (-7, [])


def test_an_unfinished_run_offers_to_go_on(digits, tmp_path):
    build, settings = CASES["nade"][0], {**QUICK, "log_every": 5, "steps": 30}
    with pytest.raises(CrashError):
        fit(build(), breaking(digits, 17), tmp_path, **settings)
    with pytest.raises(TrainingError, match=r"holds an unfinished run of 15 steps: go on with it \(--resume\)"):
        fit(build(), digits, tmp_path, resume=False, **settings)
