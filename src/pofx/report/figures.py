"""The figures of a report laid out in rows and columns of text: one layout for the page and for the terminal."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

Report = dict[str, Any]
Figure = dict[str, Any]  # value, stderr, n, unit; a log-likelihood also kind


@dataclass(frozen=True)
class Column:
    """One kind of figure: how it is called, in which unit it is shown, and which of two values is the better."""

    key: str
    use: str
    title: str
    short: str
    unit: str
    better: str = ""  # "higher", "lower" or neither
    decimals: int = 0  # shown at least
    scale: float = 1.0


COLUMNS = (
    Column("log_likelihood", "Density", "log p(x)", "log p", "nats", "higher", 1),
    Column("bits_per_dim", "Density", "Bits/dim", "bits/d", "", "lower", 2),
    Column("frechet", "Generation", "Fréchet", "Fréch.", "", "lower", 2),
    Column("kernel", "Generation", "Kernel", "kern.", "", "lower", 2),
    Column("sliced_wasserstein", "Generation", "Sliced W.", "SWD", "", "lower", 1),
    Column("precision", "Generation", "Precision", "prec", "", "higher", 2),
    Column("recall", "Generation", "Recall", "rec", "", "higher", 2),
    Column("coverage", "Generation", "Coverage", "cov", "", "higher", 2),
    Column("ms_ssim", "Generation", "MS-SSIM", "SSIM", "", "", 2),
    Column("copies", "Generation", "Copies", "copies", "%", "lower", 1, 100),
    Column("modes", "Generation", "Modes", "modes", "", "higher"),
    Column("high_quality", "Generation", "Near", "near", "", "higher", 2),
    Column("kl", "Generation", "KL", "KL", "nats", "lower", 2),
    Column("anomaly_auroc", "Anomalies", "AUROC", "AUROC", "", "higher", 2),
    Column("probe_accuracy", "Features", "Probe", "probe", "%", "higher", 1, 100),
    Column("mig", "Features", "MIG", "MIG", "", "higher", 2),
    Column("beta_vae_score", "Features", "β-VAE score", "β-VAE", "", "higher", 2),
    Column("parameters", "Cost", "Parameters", "size", ""),
    Column("train_seconds", "Cost", "Training", "train", "s", "lower", 1),
    Column("samples_per_second", "Cost", "Sampling", "draws", "per s", "higher"),
)
BY_KEY = {column.key: column for column in COLUMNS}


@dataclass(frozen=True)
class Cell:
    """A figure as text; where there is none, the number of the note that says why (0: nothing is known)."""

    text: str
    error: str = ""
    value: float | None = None
    n: int | None = None
    best: bool = False
    note: int = 0


@dataclass(frozen=True)
class Sheet:
    """The columns that some model has figures for, a row of cells for each model, and the notes."""

    columns: list[Column]
    rows: dict[str, list[Cell]]
    real: list[Cell]
    notes: list[str]


def sheet(report: Report) -> Sheet:
    """Lay out a report: best values marked, bounds with ≥ or ≤, and for every missing figure the sentence that says why."""
    models = report["models"]
    columns = [c for c in COLUMNS if any(figure(m, c.key) for m in models.values())]
    missing = (m["why"].get(_source(c.key)) for m in models.values() for c in columns if figure(m, c.key) is None)
    everything = (sentence for m in models.values() for sentence in m["why"].values())
    notes = list(dict.fromkeys(s for s in (*missing, *everything) if s))
    numbers = {sentence: i for i, sentence in enumerate(notes, start=1)}
    best = {c.key: order[0] for c in columns if c.better and len(order := ranked(report, c.key)) > 1}

    def cell(name: str, column: Column) -> Cell:
        found = figure(models[name], column.key)
        if found is None:
            return Cell("–", note=numbers.get(models[name]["why"].get(_source(column.key), ""), 0))
        mark = bound_mark(models[name], column.key)
        return _cell(report, column, found, mark, best.get(column.key) == name)

    yardsticks = {**report["data"]["real"], "probe_accuracy": report["data"].get("raw_probe_accuracy")}
    real = [_cell(report, c, found) if (found := figure(yardsticks, c.key)) else Cell("") for c in columns]
    return Sheet(columns, {name: [cell(name, c) for c in columns] for name in models}, real, notes)


def figure(model: Figure, key: str) -> Figure | None:
    """A model's figure under one of the columns' keys, plain numbers as figures without a standard error."""
    counted, factors = model.get("modes") or {}, model.get("disentanglement") or {}
    inside = {"modes": counted.get("captured"), "high_quality": counted.get("high_quality"), "kl": counted.get("kl")}
    inside |= {name: factors.get(name) for name in ("mig", "beta_vae_score")}
    found = inside[key] if key in inside else model.get(key)
    if found is None or isinstance(found, dict):
        return found
    return {"value": found, "stderr": None, "n": None, "of": counted["of"] if key == "modes" else None}


def is_bound(model: Figure) -> bool:
    """Whether the model's log-likelihood is a lower bound."""
    return bool(model.get("log_likelihood")) and model["log_likelihood"]["kind"] != "exact"


def bound_mark(model: Figure, key: str) -> str:
    """≥ before a bound on the log-likelihood, ≤ before one on the bits, nothing before exact figures."""
    return {"log_likelihood": "≥ ", "bits_per_dim": "≤ "}.get(key, "") if is_bound(model) else ""


def ranked(report: Report, key: str) -> list[str]:
    """The models whose figures can be compared, best first.

    Bounds are left out, and log-likelihoods that are not in the unit of the others (see `in_one_unit`).
    """
    models = report["models"]
    names = in_one_unit(report) if key == "log_likelihood" else models
    names = [name for name in names if figure(models[name], key) and not bound_mark(models[name], key)]
    direction = -1 if BY_KEY[key].better == "higher" else 1
    return sorted(names, key=lambda name: direction * known(models[name], key)["value"])


def in_one_unit(report: Report) -> list[str]:
    """The models whose log-likelihoods, exact or bounds, can be compared.

    Where some are of discrete events, and so have bits per dimension, densities of real values are left out: they depend
    on the unit of the data.
    """
    names = [name for name, m in report["models"].items() if m.get("log_likelihood")]
    return [name for name in names if report["models"][name].get("bits_per_dim")] or names


def known(model: Figure, key: str) -> Figure:
    """A figure that the model has; raises `KeyError` where it has none."""
    found = figure(model, key)
    if found is None:
        raise KeyError(key)
    return found


def differ(a: Figure, b: Figure) -> bool:
    """Whether two figures differ by more than two standard errors of the difference, taken as independent.

    >>> differ({"value": 1.0, "stderr": 0.3}, {"value": 2.0, "stderr": 0.4})
    False
    """
    return bool(abs(a["value"] - b["value"]) > 2 * math.hypot(a["stderr"] or 0, b["stderr"] or 0))


def show(report: Report, column: Column, found: Figure) -> str:
    """A figure with its standard error, rounded as in its column."""
    cell = _cell(report, column, found)
    return f"{cell.text} {cell.error}".strip()


def number(value: float, decimals: int) -> str:
    """A number for readers: a true minus sign, thousands with commas, very large ones with three digits.

    >>> number(-1234.56, 1), number(float("-inf"), 2)
    ('−1,234.6', '−∞')
    """
    if math.isinf(value):
        return "∞" if value > 0 else "−∞"
    text = f"{value:z,.{decimals}f}" if abs(value) < 1e7 else f"{value:.2e}"
    return text.replace("-", "−")


def listed(names: Sequence[str]) -> str:
    """Words as a list in a sentence.

    >>> listed(["a", "b", "c"])
    'a, b and c'
    """
    return " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)


def _cell(report: Report, column: Column, found: Figure, mark: str = "", best: bool = False) -> Cell:
    decimals = _decimals(column, [known(m, column.key) for m in report["models"].values() if figure(m, column.key)])
    value, stderr = found["value"] * column.scale, found["stderr"]
    error = "" if stderr is None else f"± {number(stderr * column.scale, decimals)}"
    least = 10.0**-decimals
    tiny = stderr is None and 0 < value < least / 2
    text = f"< {least:g}" if tiny else mark + number(value, decimals)
    return Cell(f"{text}/{found['of']}" if found.get("of") else text, error, value, found["n"], best)


def _decimals(column: Column, found: list[Figure]) -> int:
    """So many decimals that the typical standard error, or where there are none the typical value, has a digit to show."""
    sizes = [f["stderr"] for f in found if f["stderr"]] or [f["value"] for f in found if f["stderr"] is None and f["value"]]
    sizes = [abs(size) * column.scale for size in sizes if math.isfinite(size)]
    return max(column.decimals, min(math.ceil(-math.log10(median(sizes) * 1.25)), 3)) if sizes else column.decimals


def _source(key: str) -> str:
    return {"high_quality": "modes", "kl": "modes", "mig": "disentanglement", "beta_vae_score": "disentanglement"}.get(key, key)
