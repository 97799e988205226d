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
        lines += ["", f"## {TITLES[kind]}", ""]
        lines += ["| model | what | data | unit | ours | reference | times better | reference is | command | machine |"]
        lines += ["|---|---|---|---|--:|--:|--:|---|---|---|"]
        lines += [_line(row) for row in group]
    return "\n".join(lines) + "\n"


def _line(row: dict[str, Any]) -> str:
    better, arrow = ratio(row), {"higher": "↑", "lower": "↓"}[row["better"]]
    ours = f"{row['ours']:.4g}" + (f" ± {row['stderr']:.2g}" if row["stderr"] is not None else "")
    reference = "–" if row["reference"] is None else f"{row['reference']:.4g}"
    # a quotient says how much faster, not how much better a likelihood is
    times = f"{better:.2f}" if row["kind"] == "speed" and better is not None else "–"
    cells = [row["model"], row["metric"], row["data"], f"{row['unit']} {arrow}", ours, reference, times]
    return "| " + " | ".join([*cells, row["reference_source"] or "–", f"`{row['command']}`", row["machine"]]) + " |"


def _replace(path: Path, text: str) -> None:
    temporary = path.with_name(path.name + ".new")
    temporary.write_text(text)
    temporary.replace(path)
