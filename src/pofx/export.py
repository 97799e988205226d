"""Samples, scores and codes as files: pictures, arrays and tables, each format chosen by its suffix."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from .core import ConfigError
from .training.checkpoint import atomically
from .training.directory import RunDirectory

TABLES = (".csv", ".parquet")
ARRAYS = (".npz", ".npy")
GROUND = 0.5  # the grey of what is missing in a picture, as of the ground of the grid


def samples_file(event_shape: tuple[int, ...], out: Path | None, run: Path) -> Path:
    """Where samples go: by default into a picture of images and points, a table of everything else."""
    image = len(event_shape) == 3
    drawable = image or event_shape == (2,)
    out = out or Path(run) / ("samples.png" if drawable else "samples.csv")
    expect_suffix(out, (".png", *ARRAYS) if image else (*((".png",) if drawable else ()), *TABLES, *ARRAYS), "samples")
    return out


def export_samples(x: Tensor, out: Path | None, run: Path) -> Path:
    """Write events (n, *event_shape) to a picture, arrays or a table (see `samples_file`); tables in the units of the file."""
    out, x = samples_file(tuple(x.shape[1:]), out, run), x.float().cpu()
    if out.suffix == ".png":
        from .data.pictures import save_grid, save_scatter

        out.parent.mkdir(parents=True, exist_ok=True)
        (save_grid if x.ndim == 4 else save_scatter)(x, out)
        return out
    known = transform_of(run)["known"]
    x = in_units(x, known)
    if out.suffix in ARRAYS:
        return write_arrays(out, x=x.numpy())
    return export_table({name: x[:, i].numpy() for i, name in enumerate(column_names(known, x.shape[1]))}, out)


def transform_of(run: Path) -> dict[str, Any]:
    """How the run's data were loaded, and under "known" what was found out about them; that is empty for a run without data."""
    transform = (RunDirectory(run).read_config().get("data") or {}).get("transform", {})
    return {"label": None, "known": {}, **transform}


def label_names(run: Path) -> list[str] | None:
    """The names of the labels of the run's data, where they have any."""
    names: list[str] | None = transform_of(run)["known"].get("label_names")
    return names


def in_units(x: Tensor, known: dict[str, Any]) -> Tensor:
    """Events of a standardised table (..., columns) in the units of the file; all others as they are."""
    return x * torch.tensor(known["std"]) + torch.tensor(known["mean"]) if known.get("std") else x


def column_names(known: dict[str, Any], columns: int) -> list[str]:
    """The names of a table's columns, x0, x1, ... where it had none."""
    return known.get("column_names") or [f"x{i}" for i in range(columns)]


def completed_file(event_shape: tuple[int, ...], out: Path | None, run: Path) -> Path:
    """Where completed rows go: by default into a picture of images, a table of everything else."""
    image = len(event_shape) == 3
    out = out or Path(run) / ("completed.png" if image else "completed.csv")
    expect_suffix(out, (".png", *ARRAYS) if image else (*TABLES, *ARRAYS), "completed rows")
    return out


def export_completed(x: Tensor, mask: Tensor, drawn: Tensor, out: Path, run: Path, table: Path | None) -> Path:
    """Write rows x with `mask` of what was kept and `drawn` (rows, draws, *event_shape): a grid, arrays, or a table.

    A row of the grid is the original, what was kept, and the draws. Tables are in the units of the file; what was kept of
    `table`, a .csv whose rows these are, and its other columns are copied as they are written there.
    """
    if out.suffix == ".png":
        from .data.pictures import save_grid

        sheet = torch.cat([x[:, None], x.where(mask, GROUND)[:, None], drawn], 1)
        save_grid(sheet.flatten(0, 1), out, columns=sheet.shape[1])
        return out
    transform = transform_of(run)
    x, drawn = in_units(x, transform["known"]), in_units(drawn, transform["known"])
    if out.suffix in ARRAYS:
        return write_arrays(out, drawn=drawn.numpy(), mask=mask.numpy(), x=x.numpy())
    if table is not None and out.suffix == ".csv":
        return export_table(_filled(*_as_written(table, transform), mask, drawn, "{:.7g}".format), out)
    names = column_names(transform["known"], x.shape[1])
    columns = {"row": list(range(len(x))), **{name: x[:, i].tolist() for i, name in enumerate(names)}}
    return export_table(_filled(columns, names, mask, drawn, float), out)


def _as_written(table: Path, transform: dict[str, Any]) -> tuple[dict[str, list[Any]], list[str]]:
    """The columns of a .csv as text, and which of them make up an event."""
    from .data.csvfile import layout_of, read_text

    layout, wanted = layout_of(table), transform["known"].get("column_names")
    text: dict[str, list[Any]] = dict(read_text(table, layout))
    names = wanted if wanted and set(wanted) <= set(text) else [name for name in text if name != transform["label"]]
    if layout.header:
        return text, names
    return {f"x{name}": cells for name, cells in text.items()}, [f"x{name}" for name in names]  # it had no names


def _filled(
    columns: dict[str, list[Any]], names: Sequence[str], mask: Tensor, drawn: Tensor, write: Callable[[float], Any]
) -> dict[str, list[Any]]:
    """The columns with a row for each draw, and in those of `names` the drawn values where the mask keeps none."""
    rows, draws = drawn.shape[:2]
    filled = {name: [cell for cell in cells[:rows] for _ in range(draws)] for name, cells in columns.items()}
    for name, new, kept in zip(names, drawn.flatten(0, 1).T.tolist(), mask.repeat_interleave(draws, 0).T.tolist(), strict=True):
        filled[name] = [o if k else write(v) for o, v, k in zip(filled[name], new, kept, strict=True)]
    if draws == 1:
        return filled
    return {"row": [row for row in range(rows) for _ in range(draws)], "draw": list(range(draws)) * rows, **filled}


def export_codes(codes: Tensor, label: Tensor | None, names: dict[str, Any], out: Path) -> Path:
    """Write feature vectors (n, features) with their labels, as arrays or as a table with a column per feature."""
    expect_suffix(out, (*ARRAYS, *TABLES), "codes")
    labels = {} if label is None else {"label": label.numpy()}
    if out.suffix in ARRAYS:
        return write_arrays(out, codes=codes.numpy(), **labels)
    columns = {f"code_{i}": codes[:, i].numpy() for i in range(codes.shape[1])}
    return export_table({**names, **labels, **columns}, out)


def export_table(columns: dict[str, Any], out: Path) -> Path:
    """Write columns of equal length as .csv or .parquet."""
    expect_suffix(out, TABLES, "a table")
    if out.suffix == ".parquet":
        try:
            import pyarrow
            import pyarrow.parquet
        except ImportError as error:
            raise ConfigError(f"{out} needs pyarrow: pip install 'pofx[data]', or write a .csv.") from error
        with atomically(out) as temporary:
            pyarrow.parquet.write_table(pyarrow.table(columns), temporary)
        return out
    import csv

    with atomically(out) as temporary, temporary.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(columns)
        plain = (v.tolist() if isinstance(v, np.ndarray) else v for v in columns.values())
        writer.writerows(zip(*plain, strict=True))
    return out


def write_arrays(out: Path, **arrays: np.ndarray) -> Path:
    """Write named arrays as .npz, or the first of them as .npy."""
    with atomically(out) as temporary, temporary.open("wb") as file:
        if out.suffix == ".npz":
            np.savez_compressed(file, allow_pickle=False, **arrays)
        else:
            np.save(file, next(iter(arrays.values())))
    return out


def expect_suffix(out: Path, suffixes: tuple[str, ...], what: str) -> None:
    """Raise `ConfigError` where a file is of a kind that cannot hold what is to be written."""
    if out.suffix not in suffixes:
        raise ConfigError(f"{what} can be written as {', '.join(suffixes)}, got --out {out}: choose one of these suffixes.")
