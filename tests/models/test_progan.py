"""Progressive GAN: its schedule, its losses by hand, and runs that cross its stages."""

import json
from dataclasses import replace
from itertools import pairwise

import pytest
import torch
from safetensors.torch import load_file
from torch.distributions import constraints

import pofx
from pofx.core import Batch, ConfigError
from pofx.data import Data, Split
from pofx.functional.penalties import gradient_penalty
from pofx.models import ProGAN
from pofx.nn.progressive import double, halve
from pofx.training import fit

SMALL = {"latent": 5, "base": 64, "most": 8}
QUICK = {"progress": False, "checkpoint_minutes": 0, "log_every": 1, "validate_every": 0}


def small(side=16, dtype=torch.float64, **arguments):
    torch.manual_seed(0)
    return ProGAN((1, side, side), **{**SMALL, **arguments}).to(dtype)


@pytest.fixture(scope="module")
def pictures():
    x = torch.rand(40, 1, 16, 16, generator=torch.Generator().manual_seed(1))
    split = Split(x)
    return Data("noise", split, split, split, (1, 16, 16), constraints.unit_interval)


def test_the_schedule_counts_pictures():
    model = small(32, fade=100, hold=50)
    assert model.pictures_to_grow == 450
    found = [model.phase_at(seen) for seen in range(500)]
    sizes = [level + alpha - 1 for level, alpha in found]  # log2 of the resolution, fractional while fading
    assert sizes == sorted(sizes)
    assert (found[0], found[49], found[50], found[51]) == ((2, 1.0), (2, 1.0), (3, 0.0), (3, 0.01))
    assert (found[149], found[150], found[199], found[200]) == ((3, 0.99), (3, 1.0), (3, 1.0), (4, 0.0))
    assert (found[449], found[450], found[499]) == ((5, 0.99), (5, 1.0), (5, 1.0))
    assert sum(alpha < 1 for _, alpha in found) == 300
    stages = list(dict.fromkeys(model.stage_at(seen) for seen in range(500)))
    assert stages == ["4x4", "8x8-fading", "8x8", "16x16-fading", "16x16", "32x32-fading", "32x32"]
    assert small(32, fade=0, hold=50).phase_at(50) == (3, 1.0)
    assert {small(32, grow=False).phase_at(seen) for seen in (0, 10, 10**9)} == {(5, 1.0)}


def test_batch_sizes_follow_the_level():
    model = small(32, fade=100, hold=50, batch_sizes=[64, 32, 8])
    assert [model.batch_size_at(seen, 7) for seen in (0, 49, 50, 199, 200, 350, 9999)] == [64, 64, 32, 32, 8, 8, 8]
    assert small(32).batch_size_at(10**7, 7) == 7


def test_samples_are_whole_pictures_of_the_present_level():
    model = small(16, fade=100, hold=100)
    for seen, side in ((0, 4), (200, 8), (400, 16)):
        model.advance(seen)
        x = model.sample(3, generator=torch.Generator().manual_seed(0))
        assert x.shape == (3, 1, 16, 16)
        assert 0 <= x.min() < x.max() <= 1
        reduced = x
        for _ in range({4: 2, 8: 1, 16: 0}[side]):
            reduced = halve(reduced)
        z = model._noise(3, torch.Generator().manual_seed(0))
        expected = ((model.generator(z, model.level) + 1) / 2).clamp(0, 1)
        torch.testing.assert_close(reduced, expected)


def test_data_fade_as_samples_do():
    model, x = small(16, fade=100, hold=100), torch.rand(4, 1, 16, 16, dtype=torch.float64)
    for seen, expected in ((0, halve(halve(x))), (100, double(halve(halve(x)))), (200, halve(x)), (500, x)):
        model.advance(seen)
        torch.testing.assert_close(model._reduced(x), 2 * expected - 1)
    model.advance(325)
    torch.testing.assert_close(model._reduced(x), 2 * (0.75 * double(halve(x)) + 0.25 * x) - 1)


def test_losses_are_those_of_the_equations():
    """L_D = E[f(G)] − E[f(x)] + λ/γ² E[(‖∇f‖ − γ)²] + ε E[f(x)²] with separate passes; L_G = −E[f(G)]."""
    model = small(8, gradient_penalty=3.0, target_slope=2.0, drift=0.1, grow=False)
    batch = Batch(torch.rand(8, 1, 8, 8, dtype=torch.float64))
    torch.manual_seed(3)
    loss = model._generator_loss(batch)
    torch.manual_seed(3)
    fake = model.generator(model._noise(8), 3).detach()
    torch.testing.assert_close(loss["loss"], -model.critic(fake, 3).mean())
    torch.manual_seed(4)
    terms = model._discriminator_loss(batch)
    torch.manual_seed(4)
    penalty = gradient_penalty(lambda x: model.critic(x, 3), 2 * batch.x - 1, fake, target=2.0)
    real, made = model.critic(2 * batch.x - 1, 3), model.critic(fake, 3)
    expected = {"real": -real.mean(), "fake": made.mean(), "gradient_penalty": 3 * penalty, "drift": 0.1 * real.square().mean()}
    for name, value in expected.items():
        torch.testing.assert_close(terms[name], value, rtol=1e-10, atol=1e-12)
    assert (terms["resolution"], terms["alpha"]) == (8, 1)
    assert terms["accuracy_pair"] == (real > made).double().mean()


def test_realness_is_a_function_of_each_row_and_of_those_beside_it():
    model = small(8, grow=False)
    x, beside = torch.rand(5, 1, 8, 8, dtype=torch.float64), torch.rand(3, 1, 8, 8, dtype=torch.float64)
    alone = model.realness(x)
    torch.testing.assert_close(alone[2:3], model.realness(x[2:3]))
    torch.testing.assert_close(alone[:1], model.discriminate(x[:1].expand(4, -1, -1, -1))[:1])  # with copies of itself
    group = torch.cat([x[1:2], beside])
    torch.testing.assert_close(model.realness(x, beside)[1], model.discriminate(group)[0])


def test_batches_of_a_size_that_changes_are_seen_once_each_and_training_ends_with_its_epochs(pictures, tmp_path):
    model = small(16, torch.float32, fade=16, hold=16, batch_sizes=[8, 4, 2], group=2)
    run = fit(model, pictures, tmp_path, epochs=2.5, snapshots=1, **QUICK)
    seen = [0] + [line["examples_seen"] for line in run.record]
    assert [b - a for a, b in pairwise(seen)] == [8] * 2 + [4] * 8 + [2] * 26
    assert (run.examples_seen, run.steps) == (100, 36)
    assert [line["discriminator/resolution"] for line in run.record] == [4] * 2 + [8] * 8 + [16] * 26
    names = [path.stem for path in sorted((tmp_path / "samples").glob("*.png"))]
    assert names == ["step-000002-4x4", "step-000006-8x8-fading", "step-000010-8x8", "step-000018-16x16-fading",
                     "step-000036-16x16"]  # fmt: skip


class CrashError(Exception):
    """Something outside the library went wrong."""


class Breaking:
    """Rows that can no longer be read after so many batches."""

    def __init__(self, x, good_batches):
        self.x, self.left = x, good_batches

    def __len__(self):
        return len(self.x)

    def read(self, index):
        self.left -= len(index) < len(self.x)
        if self.left < 0:
            raise CrashError
        return self.x.index_select(0, index)


def test_a_resumed_run_is_the_same_across_stages_and_batch_sizes(pictures, tmp_path):
    arguments = {"fade": 16, "hold": 16, "batch_sizes": [8, 4, 2], "group": 2}
    settings = {**QUICK, "epochs": 1.5, "ema": 0.9, "snapshots": 0, "schedule": "linear"}
    fit(small(16, torch.float32, **arguments), pictures, tmp_path / "whole", **settings)
    for good in (2, 1, 6, 3):  # after the first stage, in the next, before the batch size changes, after
        broken = replace(pictures, train=Split(Breaking(pictures.train.x, good)))
        with pytest.raises(CrashError):
            fit(small(16, torch.float32, **arguments), broken, tmp_path / "broken", **settings)
    torch.manual_seed(9)
    fit(ProGAN((1, 16, 16), **SMALL, **arguments), pictures, tmp_path / "broken", **settings)
    one, two = (tmp_path / name for name in ("whole", "broken"))
    assert (one / "model.safetensors").read_bytes() == (two / "model.safetensors").read_bytes()
    a, b = (load_file(path / "checkpoint" / "state.safetensors") for path in (one, two))
    assert a.keys() == b.keys()
    assert all(torch.equal(a[name], b[name]) for name in a)
    lines = [[json.loads(line) for line in (path / "record.jsonl").read_text().splitlines()] for path in (one, two)]
    assert [{**line, "seconds": 0} for line in lines[0]] == [{**line, "seconds": 0} for line in lines[1]]


def moments(path):
    return {k: v for k, v in load_file(path / "checkpoint" / "state.safetensors").items() if k.startswith("optimizer/")}


def test_optimisers_forget_where_a_stage_ends(pictures, tmp_path):
    settings = {**QUICK, "batch_size": 8, "snapshots": 0}
    for steps, counted in ((1, {1.0}), (2, set()), (3, {1.0})):  # the first stage has two steps
        model = small(16, torch.float32, fade=16, hold=16)
        fit(model, pictures, tmp_path / str(steps), steps=steps, **settings)
        assert {v.item() for k, v in moments(tmp_path / str(steps)).items() if k.endswith("/step")} == counted


def test_averaged_weights_hold_unused_layers_as_they_are(pictures, tmp_path):
    model = small(16, torch.float32, fade=16, hold=64)
    before = {name: p.detach().clone() for name, p in model.named_parameters()}
    fit(model, pictures, tmp_path, steps=3, batch_size=8, ema=0.9, snapshots=0, **QUICK)
    weights = load_file(tmp_path / "model.safetensors")
    used = {name for name in before if not torch.equal(weights[name], before[name])}
    assert not any("blocks" in name for name in used)
    assert {"generator.to_picture.0.weight", "critic.from_picture.0.0.weight", "generator.dense.weight"} <= used


def test_an_interrupted_run_gives_the_blended_picture(pictures, tmp_path):
    model = small(16, torch.float32, fade=64, hold=16)
    fit(model, pictures, tmp_path, steps=4, batch_size=8, ema=0.9, snapshots=0, **QUICK)
    loaded = pofx.load(tmp_path)
    assert (loaded.level, loaded.alpha) == (model.level, model.alpha) == (3, 0.25)
    x = loaded.sample(2, generator=torch.Generator().manual_seed(0))
    assert torch.equal(x, model.sample(2, generator=torch.Generator().manual_seed(0)))
    z = loaded._noise(2, torch.Generator().manual_seed(0))
    blend = 0.75 * double(loaded.generator(z, 2)) + 0.25 * loaded.generator(z, 3)
    torch.testing.assert_close(x, ((double(blend) + 1) / 2).clamp(0, 1))


@pytest.mark.parametrize(
    ("shape", "sentence"),
    [
        ((1, 28, 28), r"of side 8, 16, 32, .*512 or 1024, got \(1, 28, 28\): load the data with resize=32"),
        ((3, 64, 48), "resize=64"),
        ((3, 2048, 2048), "resize=1024"),
        ((2,), "it is for pictures only"),
    ],
)
def test_pictures_that_cannot_be_reached_are_refused(shape, sentence):
    with pytest.raises(ConfigError, match=sentence):
        ProGAN(shape)
    with pytest.raises(ConfigError, match=sentence):
        ProGAN.configure_for(shape, constraints.unit_interval)


def test_binary_pictures_are_refused():
    with pytest.raises(ConfigError, match=r"values in \[0, 1\], not in \{0, 1\}: leave out binarize"):
        ProGAN.configure_for((1, 8, 8), constraints.boolean)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({"base": 0}, "base must be at least 1, got 0"),
        ({"hold": 0}, "hold must be at least 1"),
        ({"fade": -1}, "fade must be at least 0"),
        ({"batch_sizes": []}, "batch_sizes must be sizes of at least 1"),
        ({"batch_sizes": [8, 0]}, "batch_sizes must be sizes of at least 1"),
        ({"target_slope": 0.0}, "target_slope must be a positive number, got 0"),
        ({"gradient_penalty": 0.0}, "needs a bound on the critic's slope"),
    ],
)
def test_arguments_that_make_no_sense_are_refused(arguments, sentence):
    with pytest.raises(ConfigError, match=sentence):
        small(**arguments)


@pytest.mark.parametrize(
    ("size", "sentence"),
    [(1, "compares the pictures of a batch .*got batch_size=1"), (6, "groups of 4, got 6 at once: choose a batch_size that 4")],
)
def test_batches_that_cannot_be_compared_are_refused(pictures, size, sentence):
    with pytest.raises(ConfigError, match=sentence):
        fit(small(16, torch.float32), pictures, steps=1, batch_size=size, progress=False)
