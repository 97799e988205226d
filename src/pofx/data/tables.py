"""Tables: .csv and .parquet, in memory or read from disk batch by batch."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..core import DataError, suggest
from .arrays import stays_on_disk
from .csvfile import MISSING, Layout, layout_of, read_exactly, read_fast
from .data import Rows
from .labels import encode_labels
from .options import Options
from .raw import ArrayRows, Part, Raw


class ArrowRows:
    """Numeric columns of a 🤗 dataset, memory-mapped from disk and read when asked for."""

    def __init__(self, dataset: Any, columns: Sequence[str]) -> None:
        self.columns = list(columns)
        self.dataset = dataset.select_columns(self.columns).with_format("arrow")

    def __len__(self) -> int:
        return len(self.dataset)

    def read(self, index: Tensor) -> Tensor:
        """The rows at these positions, float64 (m, columns); missing values are NaN."""
        table = self.dataset[index.tolist()]
        return torch.from_numpy(np.column_stack([numbers(table.column(name)) for name in self.columns]))


def is_numeric(feature: Any) -> bool:
    """Whether a column of a 🤗 dataset holds numbers or booleans."""
    return str(getattr(feature, "dtype", "")).startswith(("int", "uint", "float", "bool"))


def numbers(column: Any) -> np.ndarray:
    """A pyarrow column of numbers or booleans as float64; missing values are NaN."""
    import pyarrow

    values: np.ndarray = column.cast(pyarrow.float64()).to_numpy(zero_copy_only=False)
    return values


def read_csv(path: Path, options: Options) -> Raw:
    """A table as text, with or without a first row of names, separated by commas, semicolons or tabs."""
    layout = layout_of(path)
    label = label_column(path.name, layout.names, options)
    columns = event_columns(path.name, [column for column in layout.names if column != label], options)
    if stays_on_disk(options, path.stat().st_size):
        return _mapped_csv(path, layout, label, columns, options)
    values = read_fast(path, layout, label, columns) or read_exactly(path, layout, label, columns)
    rows = ArrayRows(np.column_stack([values[name] for name in columns]))
    return table(path.name, rows, None if label is None else values[label], columns if layout.header else None, options)


def _mapped_csv(path: Path, layout: Layout, label: str | None, columns: list[str], options: Options) -> Raw:
    from_files = require_datasets("reading a table from disk batch by batch").load_dataset
    form = {"delimiter": layout.delimiter, "names": layout.names, "header": 0 if layout.header else None, "na_values": MISSING}
    try:
        dataset = from_files("csv", data_files=str(path), split="train", **form)
        readable = all(is_numeric(dataset.features[name]) for name in columns)
    except Exception:  # of pandas, pyarrow or datasets, none of which says it in the words of a reader
        readable = False
    if not readable:
        read_exactly(path, layout, label, columns)  # finds the line and says what is wrong with it
        raise DataError(f"{path.name} cannot be read batch by batch: load it with in_memory=True, or save it as Parquet.")
    raw = table_of_dataset(path.name, dataset, label, columns, options)
    raw.column_names = columns if layout.header else None
    return raw


def read_parquet(path: Path, options: Options) -> Raw:
    """A Parquet file with one number or boolean a column, and a label of text or integers where `label` names one."""
    parquet = _require_parquet()
    try:
        schema = parquet.read_schema(path)
    except (OSError, ValueError) as error:
        raise DataError(f"{path.name} is empty or no Parquet file that can be read ({error}).") from error
    label = label_column(path.name, schema.names, options)
    columns = event_columns(path.name, [column for column in schema.names if column != label], options)
    for name in columns:
        _check_numeric(path, schema.field(name).type, name)
    if stays_on_disk(options, path.stat().st_size):
        datasets = require_datasets("reading a table from disk batch by batch")
        dataset = datasets.load_dataset("parquet", data_files=str(path), split="train")
        return table_of_dataset(path.name, dataset, label, columns, options)
    read = parquet.read_table(path, columns=[*columns, *([label] if label else [])])
    rows = ArrayRows(np.column_stack([numbers(read.column(name)) for name in columns]))
    labels = None if label is None else read.column(label).to_numpy(zero_copy_only=False)
    return table(path.name, rows, labels, columns, options)


def table_of_dataset(name: str, dataset: Any, label: str | None, columns: list[str], options: Options) -> Raw:
    """A 🤗 dataset as a table whose rows stay on disk and whose labels are in memory."""
    labels = None if label is None else np.asarray(dataset[label][:])
    raw = table(name, ArrowRows(dataset, columns), labels, columns, options)
    raw.on_disk = True
    return raw


def table(name: str, rows: Rows, labels: np.ndarray | None, columns: list[str] | None, options: Options) -> Raw:
    """One table, with the label column's values where there is one."""
    part = Part(rows)
    raw = Raw(name, {"all": part}, image=False, column_names=columns)
    if labels is not None and len(labels):
        [part.label], raw.label_names = encode_labels([labels], options, f"the label column of {name}")
    return raw


def label_column(name: str, names: list[str], options: Options) -> str | None:
    """The column that `label=` names; raises `DataError` where the table lacks it, unless a trained run had asked for it."""
    if options.label is None or options.label in names:
        return options.label
    if "label" in options.inherited:
        return None
    raise DataError(f"{name} has no column {options.label!r} for label: {suggest(options.label, names)}.")


def event_columns(name: str, names: list[str], options: Options) -> list[str]:
    """Which of the columns besides the label make up an event: all, or those of the trained run in the run's order.

    Raises `DataError` where there are none, or where the run has one that the table lacks.
    """
    if not names:
        raise DataError(f"{name} has no column of numbers besides the label: there is nothing to learn.")
    wanted: list[str] | None = options.known["column_names"] if options.known else None
    nameless = bool(wanted) and len(names) == len(wanted or []) and not set(names) & set(wanted or [])
    if not wanted or nameless:  # a table without names is taken as it is
        return names
    for column in wanted:
        if column not in names:
            raise DataError(f"{name} has no column {column!r}, which the trained run has: {suggest(column, names)}.")
    return wanted


def _check_numeric(path: Path, kind: Any, name: str) -> None:
    from pyarrow import types

    if not (types.is_integer(kind) or types.is_floating(kind) or types.is_boolean(kind) or types.is_null(kind)):
        raise DataError(
            f"{path.name} holds {kind} in column {name!r}, where numbers are expected: leave the column out, or take it out "
            f"as the label with label={name!r}."
        )


def require_datasets(purpose: str) -> Any:
    """The package `datasets`; raises `DataError` with the way to install it."""
    try:
        import datasets
    except ImportError as error:
        raise DataError(f"{purpose} needs the package datasets: pip install 'pofx[data]'.") from error
    return datasets


def _require_parquet() -> Any:
    try:
        from pyarrow import parquet
    except ImportError as error:
        raise DataError("reading Parquet needs the package pyarrow: pip install 'pofx[data]'.") from error
    return parquet
