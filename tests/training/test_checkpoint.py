"""Files on disk: replaced at once or not at all, exact, and free of code."""

import json

import pytest
import torch
from torch import nn

from pofx.core import DataError, TrainingError
from pofx.models import GAN, NADE, Independent
from pofx.training import RunDirectory, fit, save
from pofx.training.checkpoint import (
    atomically,
    load_optimizers,
    optimizer_tensors,
    prefixed,
    read_tensors,
    under,
    write_tensors,
)

OPTIMIZERS = {
    "adam": lambda p: torch.optim.Adam(p, lr=0.1, fused=True),
    "amsgrad": lambda p: torch.optim.Adam(p, lr=0.1, amsgrad=True),
    "rmsprop": lambda p: torch.optim.RMSprop(p, lr=0.1, momentum=0.9),
    "sgd": lambda p: torch.optim.SGD(p, lr=0.1),
    "momentum": lambda p: torch.optim.SGD(p, lr=0.1, momentum=0.9),
}


def test_tensors_and_values_come_back_as_they_were(tmp_path):
    tensors = {
        "double": torch.randn(3, 4, dtype=torch.float64),
        "half": torch.randn(5).bfloat16(),
        "turned": torch.randn(3, 4).T,
        "whole": torch.tensor(7),
    }
    values = {"steps": 3, "best": float("inf"), "name": "é", "nested": {"a": [1, None, True]}}
    write_tensors(tmp_path / "deep" / "file.safetensors", tensors, values)
    read, read_values = read_tensors(tmp_path / "deep" / "file.safetensors")
    assert read_values == values
    assert read.keys() == tensors.keys()
    assert all(read[k].dtype == v.dtype and torch.equal(read[k], v) for k, v in tensors.items())


def test_weights_that_share_memory_are_saved_each(tmp_path):
    whole = torch.arange(6.0)
    write_tensors(tmp_path / "file", {"whole": whole, "part": whole[2:4]})
    assert read_tensors(tmp_path / "file")[0]["part"].tolist() == [2, 3]


def test_a_write_that_fails_leaves_the_old_file_and_no_other(tmp_path):
    path = tmp_path / "file"
    path.write_text("old")

    def fail_halfway():
        with atomically(path) as temporary:
            temporary.write_text("ne")
            raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        fail_halfway()
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("content", [b"", b"no tensors here", b"\x10\x00\x00\x00\x00\x00\x00\x00{"])
def test_a_broken_file_is_an_error_that_names_it(content, tmp_path):
    (tmp_path / "model.safetensors").write_bytes(content)
    with pytest.raises(TrainingError, match=r"model.safetensors cannot be read as a safetensors file"):
        read_tensors(tmp_path / "model.safetensors")


def test_what_a_killed_write_left_behind_does_no_harm(digits, tmp_path):
    settings = {"progress": False, "snapshots": 0, "checkpoint_minutes": 0, "log_every": 2}
    fit(NADE((1, 8, 8), hidden=4), digits, tmp_path, steps=4, **settings)
    rubbish = tmp_path / "checkpoint" / ".state.safetensors.123.tmp"
    rubbish.write_bytes(b"half a checkp")
    with (tmp_path / "record.jsonl").open("a") as file:
        file.write('{"step": 6, "examp')
    run = fit(NADE((1, 8, 8), hidden=4), digits, tmp_path, steps=6, **settings)
    assert [line["step"] for line in run.record] == [2, 4, 6]
    assert len((tmp_path / "record.jsonl").read_text().splitlines()) == 3


@pytest.mark.parametrize("kind", OPTIMIZERS)
def test_an_optimiser_goes_on_where_it_was(kind, tmp_path):
    def steps(layer, optimizer, count):
        for _ in range(count):
            optimizer.zero_grad()
            layer(torch.arange(6.0).view(2, 3)).square().sum().backward()
            optimizer.step()

    torch.manual_seed(0)
    layer, other = nn.Linear(3, 2), nn.Linear(3, 2)
    optimizer = OPTIMIZERS[kind](layer.parameters())
    steps(layer, optimizer, 3)
    write_tensors(tmp_path / "state", prefixed("model", layer.state_dict()) | optimizer_tensors({"p": optimizer}))
    tensors, _ = read_tensors(tmp_path / "state")
    other.load_state_dict(under("model", tensors))
    continued = OPTIMIZERS[kind](other.parameters())
    load_optimizers({"p": continued}, tensors)
    steps(layer, optimizer, 3)
    steps(other, continued, 3)
    assert torch.equal(layer.weight, other.weight)
    assert torch.equal(layer.bias, other.bias)


def test_names_with_a_prefix_and_without():
    tensors = {"a": torch.zeros(1), "b.c": torch.ones(1)}
    assert under("model", prefixed("model", tensors) | prefixed("models", tensors)) == tensors


def test_a_saved_model_is_json_and_tensors(tmp_path):
    model = GAN((2,), hidden=(5,), output="real")
    assert save(model, tmp_path / "run") == tmp_path / "run"
    assert sorted(file.name for file in (tmp_path / "run").iterdir()) == ["config.json", "model.safetensors"]
    described = json.loads((tmp_path / "run" / "config.json").read_text())["model"]
    assert described["name"] == "gan"
    assert GAN(**described["config"]).state_dict().keys() == read_tensors(tmp_path / "run" / "model.safetensors")[0].keys()


def test_saving_keeps_what_the_run_says_of_its_training(digits, tmp_path):
    model = Independent((1, 8, 8))
    fit(model, digits, tmp_path, seed=3, progress=False)
    before = RunDirectory(tmp_path).read_config()
    save(model, tmp_path)
    assert RunDirectory(tmp_path).read_config() == before
    assert (before["training"]["seed"], before["data"]["name"]) == (3, "digits")


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (None, r"holds no pofx run \(no config.json\): train one with `pofx fit`"),
        ("{", "is not a configuration that pofx wrote"),
        ('{"model": 3}', "is not a configuration that pofx wrote"),
        ('{"model": {"name": "gan"}}', "is not a configuration that pofx wrote .KeyError.'config'"),
    ],
)
def test_a_directory_without_a_run_is_an_error_that_says_so(content, sentence, tmp_path):
    if content is not None:
        (tmp_path / "config.json").write_text(content)
    with pytest.raises(DataError, match=sentence):
        RunDirectory(tmp_path).read_config()
