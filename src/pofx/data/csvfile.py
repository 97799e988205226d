"""Text tables, read twice over: fast with pyarrow where it is installed, and exactly, with the line of every mistake."""

import csv
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np

from ..core import DataError

MISSING = ["", "NA", "N/A", "na", "n/a", "nan", "NaN", "NAN", "null", "NULL", "?"]


@dataclass(frozen=True)
class Layout:
    """How a text table is written: its delimiter, whether its first line holds names, and the names (else "0", "1", ...)."""

    delimiter: str
    header: bool
    names: list[str]


def layout_of(path: Path) -> Layout:
    """The layout, from the first line; raises `DataError` for an empty file, text that is not UTF-8 and repeated names."""
    first = next(_lines(path, None), None)
    if first is None:
        raise DataError(f"{path.name} is empty: give a table with at least one row.")
    delimiter = max(",;\t", key=first[1][0].count)
    rows = [cells for _, cells in islice(_lines(path, delimiter), 2)]
    cells, header = rows[0], _is_header(*rows)
    names = [cell.strip() for cell in cells] if header else [str(i) for i in range(len(cells))]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise DataError(f"{path.name} has two columns named {twice[0]!r}: give every column its own name.")
    return Layout(delimiter, header, names)


def read_fast(path: Path, layout: Layout, label: str | None, columns: list[str]) -> dict[str, np.ndarray] | None:
    """Columns as float64 and the label as text; None where pyarrow is not installed or does not like the file."""
    try:
        import pyarrow
        from pyarrow import csv as arrow
    except ImportError:
        return None
    types = dict.fromkeys(columns, pyarrow.float64()) | ({label: pyarrow.string()} if label else {})
    try:
        table = arrow.read_csv(
            path,
            arrow.ReadOptions(column_names=layout.names, skip_rows=int(layout.header)),
            arrow.ParseOptions(delimiter=layout.delimiter, newlines_in_values=True),
            arrow.ConvertOptions(column_types=types, include_columns=list(types), null_values=MISSING),
        )
    except pyarrow.ArrowException:
        return None
    return {name: table.column(name).to_numpy(zero_copy_only=False) for name in types}


def read_exactly(path: Path, layout: Layout, label: str | None, columns: list[str]) -> dict[str, np.ndarray]:
    """The same with Python's csv module; raises `DataError` for ragged lines and for text in a column of numbers."""
    values: dict[str, list[float | str]] = {name: [] for name in [*columns, *([label] if label else [])]}
    places = [(layout.names.index(name), name) for name in values]
    lines = _lines(path, layout.delimiter)
    if layout.header:
        next(lines)
    for line, cells in lines:
        if len(cells) != len(layout.names):
            raise DataError(
                f"{path.name} has {len(cells)} fields in line {line}, expected are {len(layout.names)} as in its first line: "
                "correct that line."
            )
        for place, name in places:
            values[name].append(cells[place] if name == label else _number(cells[place], path, line, name))
    return {name: np.array(column, dtype=str if name == label else np.float64) for name, column in values.items()}


def read_text(path: Path, layout: Layout) -> dict[str, list[str]]:
    """All columns as they are written, row by row."""
    rows = [cells for _, cells in _lines(path, layout.delimiter)][int(layout.header) :]
    return {name: [cells[i].strip() for cells in rows] for i, name in enumerate(layout.names)}


def _lines(path: Path, delimiter: str | None) -> Iterator[tuple[int, list[str]]]:
    """Line number and cells of every line that is not blank; the whole line as one cell without a delimiter."""
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            if delimiter is None:
                yield from ((i, [line]) for i, line in enumerate(file, 1) if line.strip())
                return
            reader = csv.reader(file, delimiter=delimiter)
            yield from ((reader.line_num, cells) for cells in reader if cells)
    except (UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{path.name} is no table of UTF-8 text ({error}): save it as CSV in UTF-8.") from error


def _is_header(first: list[str], second: Sequence[str] = ()) -> bool:
    """Whether the first row holds names: all text, or text where the second row has a number."""
    text = [not _is_number(cell) for cell in first]
    return all(text) or any(t and _is_number(cell) for t, cell in zip(text, second, strict=False))


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return cell.strip() in MISSING
    return True


def _number(cell: str, path: Path, line: int, column: str) -> float:
    if cell.strip() in MISSING:
        return float("nan")
    try:
        return float(cell)
    except ValueError:
        raise DataError(
            f"{path.name} has the text {cell!r} in line {line}, column {column!r}, where a number is expected: correct it, or "
            f"take the column out as the label with label={column!r}."
        ) from None
