"""`fit`: from a model and data to a trained model, with everything that surrounds the loop."""

import inspect
import json
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch

from ..core import ApproximateDensity, ConfigError, FitsByCounting, GenerativeModel, TractableDensity, TrainingError, require
from ..data import Data
from .checkpoint import read_tensors, write_tensors
from .directory import RunDirectory, describe
from .engine import Engine
from .progress import Progress
from .settings import Settings
from .snapshots import Snapshots
from .trainer import Trainer

COUNTING_BATCH = 10_000


@dataclass(frozen=True)
class Run:
    """What `fit` returns: the trained model, how far training went, and its record (a dict per logged step)."""

    model: GenerativeModel
    directory: Path | None
    steps: int
    examples_seen: int
    seconds: float
    record: list[dict[str, Any]]

    @property
    def warnings(self) -> list[str]:
        """What the convergence monitor had to say of an adversarial run, a sentence each; empty where all went well."""
        return [f"At step {line['step']} {said}" for line in self.record for said in line.get("warnings", [])]


def fit(
    model: GenerativeModel,
    data: Data,
    out: str | Path | None = None,
    *,
    resume: bool = True,
    overwrite: bool = False,
    progress: bool = True,
    **settings: Any,
) -> Run:
    """Train a model on the training split of data; the model itself is trained and left ready for use.

    With a run directory `out` everything is kept there: weights, record, sample pictures and the state to resume from. Where
    it holds an unfinished run of the same model, data and settings, training goes on there, and ends at the same weights as
    if it had never stopped; where that run is finished, its weights are loaded. `settings` are the fields of `Settings`.
    Models without players are fitted by counting the training split once.

    Raises `DataError` where the data lie outside the model's support, `ConfigError` for settings that make no sense,
    `TrainingError` where a loss turns non-finite or the directory holds another run, `Interrupted` after Ctrl-C.

    >>> import pofx
    >>> data = pofx.load_data("digits", binarize=True)
    >>> run = pofx.fit(pofx.build("markov", data.event_shape), data)
    >>> round(float(run.model.log_prob(data.test.x).mean()), 1)
    -24.3
    """
    chosen = Settings.of(**settings)
    _check(model, data, chosen, out is not None)
    directory = RunDirectory(out) if out is not None else None
    if directory is not None:
        _claim(directory, model, data, chosen, resume, overwrite)
    if isinstance(model, FitsByCounting):
        return _count(model, data, directory, chosen, progress)
    trainer = Trainer(model, data, chosen, directory)
    trainer.restore()
    if chosen.trackers:
        trainer.engine.start_trackers("tracker", asdict(chosen))
    try:
        trainer.run(progress)
    finally:
        trainer.engine.end_trackers()
    path, seen = directory.path if directory else None, trainer.examples_seen
    return Run(model, path, trainer.steps, seen, trainer.seconds, trainer.record.lines)


def _check(model: GenerativeModel, data: Data, settings: Settings, kept: bool) -> None:
    """Raise a sentence about anything that would go wrong later."""
    if settings.look_ahead and not isinstance(model, TractableDensity | ApproximateDensity):
        raise ConfigError(f"look_ahead needs a likelihood to watch, and {model.name} has none: train a fixed number of epochs.")
    if settings.look_ahead and len(data.valid) == 0:
        raise ConfigError(f"look_ahead needs validation events, and {data.name} has none: give them a share of split.")
    if settings.trackers and not kept:
        raise ConfigError(f"trackers={list(settings.trackers)} write into the run directory: give one (out).")
    Engine.check_trackers(settings.trackers)
    for start in range(0, len(data.train), COUNTING_BATCH):
        model.check(data.train.rows(torch.arange(start, min(start + COUNTING_BATCH, len(data.train)))).x, "the training split")


def _count(model: GenerativeModel, data: Data, directory: RunDirectory | None, settings: Settings, progress: bool) -> Run:
    start, rows, counts = time.monotonic(), len(data.train), require(model, FitsByCounting)
    counts.forget()
    with Progress(model.name, rows, enabled=progress, unit="row") as bar:
        for first in range(0, rows, COUNTING_BATCH):
            counts.count(data.train.rows(torch.arange(first, min(first + COUNTING_BATCH, rows))).x)
            bar.update(min(first + COUNTING_BATCH, rows), {})
    model.eval()
    seconds = time.monotonic() - start
    if directory is not None:
        directory.write_weights(model.state_dict())
        write_tensors(directory.state, {}, {"steps": 1, "finished": True, "seconds": seconds})
        Snapshots(model, min(1, settings.snapshots), 1, directory).take(1)
    return Run(model, directory.path if directory else None, 1, rows, seconds, [])


def _claim(
    directory: RunDirectory, model: GenerativeModel, data: Data, settings: Settings, resume: bool, overwrite: bool
) -> None:
    """Write config.json into a fresh directory, or make sure that the run it holds is this one."""
    if overwrite:
        directory.clear()
    training = asdict(settings) | {"trackers": list(settings.trackers)}
    wanted = {**describe(model), "data": {"name": data.name, "transform": data.transform}, "training": training}
    if directory.config.is_file():
        config = directory.read_config()
        held = {**config["model"], "data": config.get("data", {}), "training": config.get("training", {})}
        held["config"] = _defaults(model) | held["config"]  # arguments that are younger than the run
        different = sorted(_differences(held, wanted), key=lambda d: not d.startswith("name "))  # another model says it all
        if different:
            raise TrainingError(
                f"{directory.path} holds another run: {'; '.join(different[:3])}. "
                "Choose another directory (--out), or replace that run (--overwrite)."
            )
        if not resume and directory.state.is_file():
            _, state = read_tensors(directory.state)
            kind, way = ("a finished", "") if state["finished"] else ("an unfinished", "go on with it (--resume), ")
            raise TrainingError(
                f"{directory.path} holds {kind} run of {state['steps']} steps: {way}choose another directory (--out), "
                "or replace it (--overwrite)."
            )
    directory.write_config(model, data=wanted["data"], training=training)


def _defaults(model: GenerativeModel) -> dict[str, Any]:
    parameters = inspect.signature(type(model)).parameters
    plain: dict[str, Any] = json.loads(json.dumps({k: p.default for k, p in parameters.items() if p.default is not p.empty}))
    return plain


def _differences(held: Any, wanted: Any, name: str = "") -> Iterator[str]:
    """Sentences about what differs between two configurations, besides what may change on resuming."""
    if isinstance(held, dict) and isinstance(wanted, dict):
        for key in sorted(held.keys() | wanted.keys()):
            if not (name == "training" and key in Settings.FREE):
                yield from _differences(held.get(key), wanted.get(key), f"{name}.{key}".strip("."))
    elif held != json.loads(json.dumps(wanted)):
        yield f"{name} is {held!r} there and {wanted!r} here"
