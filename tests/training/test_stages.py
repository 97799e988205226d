"""Training in stages: another batch size, optimisers that forget, a picture at the end of each."""

import pytest
import torch

from pofx.core import Player
from pofx.data import Stream
from pofx.training import Settings, fit
from pofx.training.checkpoint import read_tensors, write_tensors


@pytest.fixture
def staged(walker):
    """A walker in two stages: four examples a step, then from the 12th example on two; its optimiser has a momentum."""

    class Staged(walker):
        def players(self):
            optimizer = lambda parameters: torch.optim.SGD(parameters, lr=1.0, momentum=0.5)  # noqa: E731
            return [Player("model", [self.weight], self._loss, optimizer=optimizer)]

        def batch_size_at(self, examples_seen, batch_size):
            return batch_size if examples_seen < 12 else 2

        def stage_at(self, examples_seen):
            return "early" if examples_seen < 12 else "late"

    return Staged


def test_the_batches_follow_the_model_and_leave_no_gap(staged, eight):
    model = staged()
    run = fit(model, eight, epochs=2.25, batch_size=4, seed=7, log_every=1, progress=False)
    stream = Stream(eight.train, 4, seed=7)
    assert [len(x) for x in model.seen] == [4, 4, 4, 2, 2, 2]
    assert torch.equal(torch.cat(model.seen), torch.cat([stream.batch(4 * i).x for i in range(5)])[:18])
    assert model.progress == [0, 4, 8, 12, 14, 16, 18]
    assert (run.steps, run.examples_seen) == (6, 18)
    assert [line["examples_seen"] for line in run.record] == [4, 8, 12, 14, 16, 18]


def test_the_schedule_ends_with_the_examples(staged, eight):
    model = staged()
    fit(model, eight, steps=6, batch_size=4, schedule="linear", learning_rate=0.5, progress=False)
    rates = [0.5 * (1 - seen / 18) for seen in (0, 4, 8, 12, 14, 16)]
    expected, momentum = [0.0], 0.0
    for step, rate in enumerate(rates):
        momentum = 1.0 if step == 3 else 0.5 * momentum + 1.0  # the optimiser begins anew with the fourth step
        expected.append(expected[-1] - rate * momentum)
    assert [*model.path, model.weight.item()] == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("stop", [2, 3, 4])
def test_a_continued_run_forgets_at_the_same_step(staged, eight, tmp_path, stop):
    settings = {"batch_size": 4, "log_every": 1, "progress": False, "snapshots": 0}
    whole = staged()
    fit(whole, eight, tmp_path / "whole", steps=6, **settings)
    fit(staged(), eight, tmp_path / "parts", steps=stop, **settings)
    model = staged()
    fit(model, eight, tmp_path / "parts", steps=6, **settings)
    assert model.weight.item() == whole.weight.item()
    assert torch.equal(torch.cat(model.seen), torch.cat(whole.seen[stop:]))


def test_a_state_from_before_there_were_stages_is_gone_on_with(walker, eight, tmp_path):
    settings = {"batch_size": 3, "log_every": 1, "progress": False, "snapshots": 0}
    whole = walker()
    fit(whole, eight, tmp_path / "whole", steps=7, **settings)
    fit(walker(), eight, tmp_path / "old", steps=4, **settings)
    state = tmp_path / "old" / "checkpoint" / "state.safetensors"
    tensors, values = read_tensors(state)
    assert values.pop("examples_seen") == 12
    write_tensors(state, tensors, values)
    model = walker()
    run = fit(model, eight, tmp_path / "old", steps=7, **settings)
    assert (run.examples_seen, model.weight.item()) == (21, whole.weight.item())
    assert all(torch.equal(a, b) for a, b in zip(model.seen, whole.seen[4:], strict=True))


@pytest.mark.parametrize("settings", [{"epochs": 2}, {"epochs": 0.3}, {"steps": 5}])
@pytest.mark.parametrize("processes", [1, 3])
def test_the_length_that_is_counted_is_the_length_by_formula(walker, settings, processes):
    class Alike(walker):
        def batch_size_at(self, examples_seen, batch_size):
            return batch_size

    chosen = Settings(**settings, batch_size=7)
    assert chosen.length(Alike(), 100, processes) == chosen.length(walker(), 100, processes)


def test_processes_share_a_batch_of_another_size(eight):
    whole = Stream(eight.train, 6, seed=3).batch(5, 4).x
    shares = [Stream(eight.train, 6, seed=3, process=i, processes=2).batch(5, 2).x for i in (0, 1)]
    assert torch.equal(torch.cat(shares), whole)
