"""What the benchmarks measured: rows in results.json, a readable table in RESULTS.md."""

import json
from collections.abc import Iterable
from itertools import groupby
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parent
FIELDS = (
    "id", "kind", "model", "data", "metric", "unit", "better", "ours", "stderr", "reference", "reference_source", "command",
    "seed", "seconds", "machine",
)  # fmt: skip
ARROWS = {"higher": "↑", "lower": "↓"}
TITLES = {
    "published": "Against published figures",
    "speed": "Speed and memory, measured side by side",
    "quality": "Quality",
}


def record(rows: Iterable[dict[str, Any]], folder: Path = FOLDER) -> None:
    """Put rows into results.json, in place of those with the same id, and write RESULTS.md anew."""
    path = folder / "results.json"
    kept = {row["id"]: row for row in (json.loads(path.read_text()) if path.exists() else [])}
    for row in rows:
        if set(row) != set(FIELDS):
            raise ValueError(f"a result has the fields {', '.join(FIELDS)}, got {', '.join(row)}")
        kept[row["id"]] = {name: row[name] for name in FIELDS}
    ordered = sorted(kept.values(), key=lambda row: (list(TITLES).index(row["kind"]), row["model"], row["id"]))
    _replace(path, json.dumps(ordered, indent=1, ensure_ascii=False) + "\n")
    _replace(folder / "RESULTS.md", render(ordered))


def ratio(row: dict[str, Any]) -> float | None:
    """How many times better ours is than the reference; above 1 is better, whichever direction that is."""
    if not row["reference"] or not row["ours"]:
        return None
    return row["ours"] / row["reference"] if row["better"] == "higher" else row["reference"] / row["ours"]


def render(rows: list[dict[str, Any]]) -> str:
    """results.json as Markdown, a table a kind."""
    lines = ["# Results", "", "Made from `results.json` by the scripts of this folder; do not edit by hand."]
    for kind, group in groupby(rows, key=lambda row: row["kind"]):
        columns, line = (PUBLISHED, _published_line) if kind == "published" else (SPEED, _speed_line)
        lines += ["", f"## {TITLES[kind]}", "", _cells(columns), "|" + "---|" * len(columns)]
        lines += [_cells(line(row)) for row in group]
    return "\n".join(lines) + "\n"


PUBLISHED = ("model", "data", "what", "ours", "published", "better by", "published where", "chosen on validation", "command",
             "minutes", "machine")  # fmt: skip
SPEED = ("model", "what", "data", "unit", "ours", "reference", "times better", "reference is", "command", "machine")


def _published_line(row: dict[str, Any]) -> list[str]:
    name, _, settings = row["model"].partition(": ")
    sign = 1 if row["better"] == "higher" else -1
    gain = "–" if row["reference"] is None else f"{sign * (row['ours'] - row['reference']):+.2f}"
    return [
        name, row["data"], f"{row['metric']}, {row['unit']} {ARROWS[row['better']]}",
        f"{row['ours']:.2f} ± {row['stderr']:.2f}",
        f"{row['reference']}", gain, row["reference_source"], settings, f"`{row['command']}`", f"{row['seconds'] / 60:.1f}",
        row["machine"],
    ]  # fmt: skip


def _speed_line(row: dict[str, Any]) -> list[str]:
    better = ratio(row)
    ours = f"{row['ours']:.4g}" + (f" ± {row['stderr']:.2g}" if row["stderr"] is not None else "")
    return [
        row["model"], row["metric"], row["data"], f"{row['unit']} {ARROWS[row['better']]}", ours,
        "–" if row["reference"] is None else f"{row['reference']:.4g}", "–" if better is None else f"{better:.2f}",
        row["reference_source"] or "–", f"`{row['command']}`", row["machine"],
    ]  # fmt: skip


def _cells(cells: Iterable[str]) -> str:
    return "| " + " | ".join(cells) + " |"


def _replace(path: Path, text: str) -> None:
    temporary = path.with_name(path.name + ".new")
    temporary.write_text(text)
    temporary.replace(path)
