"""A run directory: what a training run leaves on disk, and where.

config.json          model, data and training settings, enough to build all of them again
model.safetensors    the weights to use: averaged or best where the run keeps such
record.jsonl         a line of figures per logged step
samples/*.png        samples from the same noise as training goes on
samples/training.gif these pictures one after the other
checkpoint/          the state to resume from
evaluation.json      written by `pofx evaluate`
likelihood.json      written by `pofx likelihood`
"""

import json
from importlib.metadata import version
from pathlib import Path
from typing import Any

from torch import Tensor

from ..core import DataError, GenerativeModel
from .checkpoint import write_json, write_tensors


class RunDirectory:
    """The paths of a run and the files that every run has."""

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self.config = self.path / "config.json"
        self.weights = self.path / "model.safetensors"
        self.record = self.path / "record.jsonl"
        self.samples = self.path / "samples"
        self.animation = self.samples / "training.gif"
        self.state = self.path / "checkpoint" / "state.safetensors"
        self.evaluation = self.path / "evaluation.json"
        self.likelihood = self.path / "likelihood.json"

    def read_config(self) -> dict[str, Any]:
        """The run's config.json. Raises `DataError` where there is none, or none that pofx wrote."""
        if not self.config.is_file():
            raise DataError(f"{self.path} holds no pofx run (no config.json): train one with `pofx fit`, or check the path.")
        try:
            config = json.loads(self.config.read_text(encoding="utf-8"))
            config["model"]["name"], config["model"]["config"]
        except (ValueError, KeyError, TypeError) as error:
            raise DataError(
                f"{self.config} is not a configuration that pofx wrote ({error!r}): train the run again."
            ) from error
        return dict(config)

    def write_config(self, model: GenerativeModel, **sections: Any) -> None:
        """Write config.json for a model; further sections (data, training) stand beside it."""
        described = {"pofx": version("pofx"), "model": describe(model), **sections}
        write_json(self.config, described)

    def clear(self) -> None:
        """Remove the files of a run; anything else in the directory stays."""
        left_over = [
            *self.path.glob(".*.tmp"),
            *self.state.parent.glob(".*.tmp"),
            *self.samples.glob(".*.tmp"),
        ]  # by a kill in the middle of a write
        judged = (self.evaluation, self.likelihood, self.animation)
        files = (self.config, self.weights, self.record, self.state, *judged, *self.samples.glob("step-*.png"))
        for file in (*files, *left_over):
            file.unlink(missing_ok=True)

    def write_weights(self, weights: dict[str, Tensor]) -> None:
        """Write the weights to use."""
        write_tensors(self.weights, weights)


def describe(model: GenerativeModel) -> dict[str, Any]:
    """The model's name and constructor arguments as JSON values."""
    plain: dict[str, Any] = json.loads(json.dumps({"name": model.name, "config": model.config}))
    return plain


def save(model: GenerativeModel, path: str | Path) -> Path:
    """Save a model as `config.json` + `model.safetensors` in a directory; `pofx.load` reads it back. Nothing is pickled.

    What else the directory's config.json says (the data and settings of its training) is kept.
    """
    run = RunDirectory(path)
    sections = run.read_config() if run.config.is_file() else {}
    run.write_config(model, **{k: v for k, v in sections.items() if k not in ("pofx", "model")})
    run.write_weights(model.state_dict())
    return run.path
