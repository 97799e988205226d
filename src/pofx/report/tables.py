"""The HTML of tables, and the one function that writes all markup."""

import json
import math
from collections.abc import Iterable
from html import escape
from itertools import groupby

from torch import Tensor

from .figures import Cell, Column, Report, Sheet, number, sheet

ROWS, COLUMNS = 5, 12  # shown of each group of a table of events


def tag(name: str, *content: str, **attributes: str | int) -> str:
    """An element: content is HTML already, attribute values are escaped and left out where empty.

    >>> tag("td", "5", class_="best", title="<>")
    '<td class="best" title="&lt;&gt;">5</td>'
    """
    pairs = ((key.rstrip("_").replace("_", "-"), value) for key, value in attributes.items() if value != "")
    said = "".join(f' {key}="{escape(str(value))}"' for key, value in pairs)
    return f"<{name}{said}>{''.join(content)}</{name}>"


def breakable(name: str) -> str:
    """A model's name as HTML that may continue on the next line after a colon or a comma."""
    return escape(name).replace(":", ":<wbr>").replace(",", ",<wbr>")


def figures_table(report: Report) -> str:
    """Models by figures, real data below them as the yardstick, and the numbered reasons of what is missing."""
    laid = sheet(report)
    columns = range(len(laid.columns))
    counts = [_only(row[i].n for row in laid.rows.values() if row[i].value is not None) for i in columns]

    def line(name: str, below: str, cells: list[Cell]) -> str:
        found = (_cell(cell, laid.notes, n) for cell, n in zip(cells, counts, strict=True))
        return tag("tr", _model(name, tag("small", escape(below))), *found) + "\n"

    rows = [line(name, report["models"][name]["density"], cells) for name, cells in laid.rows.items()]
    real = line("real data", "yardstick", laid.real)
    table = tag("table", _head(laid, counts), tag("tbody", *rows), tag("tfoot", real), class_="figures")
    notes = [tag("li", escape(note), id=f"note-{i}") + "\n" for i, note in enumerate(laid.notes, start=1)]
    return _scrolling(table) + (tag("ol", *notes, class_="notes") if notes else "")


def corruption_table(report: Report) -> str:
    """AUROC of each model against each corruption, the best marked; nothing where no model scores anomalies."""
    kinds = list(report["data"]["corruptions"])
    rows = {name: m["anomaly_auroc"]["by_corruption"] for name, m in report["models"].items() if m.get("anomaly_auroc")}
    if not rows or not kinds:
        return ""
    best = {kind: max(found[kind] for found in rows.values()) for kind in kinds}
    lines = [
        tag("tr", _model(name), *(_area(found[kind], best[kind], len(rows)) for kind in kinds)) + "\n"
        for name, found in rows.items()
    ]
    head = tag("tr", *(tag("th", escape(title), scope="col") for title in ("Model", *kinds)), class_="labels")
    return _scrolling(tag("table", tag("thead", head), tag("tbody", *lines)))


def events_table(groups: dict[str, Tensor], names: list[str] | None) -> str:
    """The first rows of each group of events (n, *event_shape) under the columns' names; wide events are cut."""
    width = next(iter(groups.values()))[0].numel()
    names = names if names and len(names) == width else [f"x{i + 1}" for i in range(width)]
    more = [""] if width > COLUMNS else []
    titles = names[:COLUMNS] + [f"… {width - COLUMNS} more" for _ in more]
    bodies = []
    for name, events in groups.items():
        head = tag("tr", tag("th", escape(name), scope="rowgroup", colspan=len(titles))) + "\n"
        columns = [_aligned(column) for column in events[:ROWS].flatten(1)[:, :COLUMNS].T.tolist()]
        rows = (tag("tr", *(tag("td", v) for v in (*row, *more))) + "\n" for row in zip(*columns, strict=True))
        bodies.append(tag("tbody", head, *rows))
    header = tag("thead", tag("tr", *(tag("th", escape(title), scope="col") for title in titles)))
    return _scrolling(tag("table", header, *bodies, class_="events"))


def _head(laid: Sheet, counts: list[int | None]) -> str:
    uses = [(use, len(list(group))) for use, group in groupby(laid.columns, key=lambda c: c.use)]
    above = [tag("th", tag("span", use), colspan=span, scope="colgroup") for use, span in uses]
    names = [_heading(column, n) for column, n in zip(laid.columns, counts, strict=True)]
    return tag(
        "thead",
        tag("tr", tag("td"), *above, class_="uses"),
        tag("tr", tag("th", "Model", scope="col"), *names, class_="labels"),
    )


def _heading(column: Column, n: int | None) -> str:
    arrow = {"higher": "↑", "lower": "↓"}.get(column.better, "")
    below = (f"{column.unit} {arrow}".strip(), f"n = {n:,}" if n else "")
    return tag("th", column.title, *(tag("small", line) for line in below if line), scope="col")


def _model(name: str, *below: str) -> str:
    return tag("th", breakable(name), *below, scope="row")


def _cell(cell: Cell, notes: list[str], n: int | None) -> str:
    if cell.value is None:
        why = tag("sup", tag("a", str(cell.note), href=f"#note-{cell.note}")) if cell.note else ""
        return tag("td", cell.text, why, class_="none" if cell.text else "", title=notes[cell.note - 1] if cell.note else "")
    below = (cell.error, f"n = {cell.n:,}" if cell.n and cell.n != n else "")
    lines = (tag("small", line) for line in below if line)
    value = tag("span", cell.text, class_="value")
    return tag("td", value, *lines, class_="best" if cell.best else "", data_value=json.dumps(cell.value))


def _area(value: float, best: float, rivals: int) -> str:
    return tag("td", tag("span", f"{value:.2f}", class_="value"), class_="best" if value == best and rivals > 1 else "")


def _aligned(values: list[float]) -> list[str]:
    """Values of one column with equal decimals: none for whole numbers, else three digits of the largest."""
    if all(value.is_integer() for value in values):
        return [number(value, 0) for value in values]
    largest = max((abs(value) for value in values if math.isfinite(value)), default=1.0)
    return [number(value, min(max(2 - math.floor(math.log10(largest or 1)), 0), 6)) for value in values]


def _scrolling(table: str) -> str:
    return tag("div", table, class_="scroll", tabindex=0, role="region", aria_label="table") + "\n"


def _only(values: Iterable[int | None]) -> int | None:
    """The value that all share, or None."""
    found = set(values)
    return found.pop() if len(found) == 1 else None
