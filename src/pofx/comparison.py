"""Train several models on one data set, judge them by the same measures, and report."""

import platform
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from .building import build_for, settings_for, suitable
from .core import describe_support, levels_of
from .data import Data
from .evaluation import Judge, Judgement
from .metrics import map2d
from .report import Game, Pictures, game_of, write_report
from .specs import Spec, split_settings
from .training import Run, Settings, fit
from .training.checkpoint import write_json

DISCRETE_MODELS = ("independent", "markov", "autoregressive", "nade", "vae", "gan")
REAL_MODELS = ("rnade", "vae", "gan")
SHOWN = 64  # events in a picture
EXTREMES = 16  # most and least likely events shown


@dataclass(frozen=True)
class Comparison:
    """What `compare` found: the contents of report.json, and where report.html lies."""

    report: dict[str, Any]
    page: Path


def compare(
    data: Data,
    models: Sequence[Spec] | Sequence[str] | None = None,
    out: str | Path = "runs/compare",
    *,
    seed: int = 0,
    overwrite: bool = False,
    progress: bool = True,
    command: str = "pofx.compare(…)",
    say: Callable[[str], None] = lambda text: None,
    **settings: Any,
) -> Comparison:
    """Train models on data, judge each on generation, density and representation, write `report.html` and `report.json`.

    `models` are names, or (name, arguments) with constructor arguments and training settings, by default a model of each
    family that can learn such data (`default_models`); presets fill in the rest, and
    `settings` apply to all. Each model trains in `out/models/NAME`; what was finished or interrupted there is taken up again.
    """
    out, chosen_models = Path(out), default_models(data) if models is None else models
    specs = [(m, {}) if isinstance(m, str) else m for m in chosen_models]
    say("Training the feature extractor that samples are compared with …")
    judge = Judge(data, seed)
    report: dict[str, Any] = {
        "pofx": version("pofx"), "created": datetime.now().isoformat(timespec="seconds"), "command": command, "seed": seed,
        "machine": machine(), "data": {**judge.describe(), "support": describe_support(data.support)}, "models": {},
    }  # fmt: skip
    judgements: dict[str, Judgement] = {}
    runs: dict[str, Run] = {}
    for name, given in specs:
        label = _label(name, given)
        arguments, own = split_settings(name, given, Settings.names())
        model = build_for(name, data, own.get("seed", seed), **arguments)
        chosen = {"seed": seed, **settings_for(name, data), **settings, **own}
        runs[label] = run = fit(
            model, data, out / "models" / _file_name(label), overwrite=overwrite, progress=progress, **chosen
        )
        say(f"Judging {label} …")
        judgements[label] = judge.judge(model)
        report["models"][label] = {**judgements[label].figures, "train_seconds": run.seconds, "warnings": run.warnings}
    write_json(out / "report.json", report)
    write_report(report, _pictures(data, judge, judgements, runs), out / "report.html", _games(runs))
    return Comparison(report, out / "report.html")


def default_models(data: Data) -> list[str]:
    """A model of each family that can learn such data."""
    return suitable(REAL_MODELS if levels_of(data.support) is None else DISCRETE_MODELS, data)


def machine() -> str:
    """The processor, its cores and torch's version, as figures should state them."""
    processor = platform.processor() or platform.machine()
    info = Path("/proc/cpuinfo")
    if info.is_file():
        names = re.findall(r"model name\s*:\s*(.+)", info.read_text(encoding="utf-8"))
        processor = names[0] if names else processor
    accelerator = f", {torch.cuda.get_device_name()}" if torch.cuda.is_available() else ""
    return f"{processor}, {torch.get_num_threads()} threads{accelerator}, torch {torch.__version__}"


def _games(runs: dict[str, Run]) -> dict[str, Game]:
    found = {k: game_of(r.record, r.warnings, r.directory / "samples" if r.directory else None) for k, r in runs.items()}
    return {label: game for label, game in found.items() if game}


def _pictures(data: Data, judge: Judge, judgements: dict[str, Judgement], runs: dict[str, Run]) -> Pictures:
    ranked: dict[str, Tensor] = {
        label: judge.test.x[j.log_likelihood.argsort(descending=True)]
        for label, j in judgements.items()
        if j.log_likelihood is not None
    }
    points = data.event_shape == (2,)
    return Pictures(
        real=judge.held_out[: 2000 if points else SHOWN],
        samples={k: j.samples[: 2000 if points else SHOWN] for k, j in judgements.items() if j.samples is not None},
        likely={k: x[:EXTREMES] for k, x in ranked.items()},
        unlikely={k: x[-EXTREMES:].flip(0) for k, x in ranked.items()},
        maps={k: (map2d(j.codes), judge.test.label) for k, j in judgements.items() if j.codes is not None},
        label_names=data.label_names,
        curves={k: curve for k, run in runs.items() if (curve := _curve(run.record))},
        copies={k: j.copies.rows for k, j in judgements.items() if j.copies is not None},
        column_names=data.column_names,
    )


def _curve(record: list[dict[str, Any]]) -> list[tuple[float, float]]:
    """The validation figure against examples seen, where the model has one."""
    return [(line["examples_seen"], v) for line in record for k, v in line.items() if k.startswith("valid/")]


def _label(name: str, given: dict[str, Any]) -> str:
    return ":".join([name, ",".join(f"{k}={v}" for k, v in given.items())]) if given else name


def _file_name(label: str) -> str:
    return re.sub(r"[^A-Za-z0-9_.=-]+", "-", label).strip("-")
