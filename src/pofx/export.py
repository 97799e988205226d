"""Samples, scores and codes as files: pictures, arrays and tables, each format chosen by its suffix."""

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


def export_samples(x: Tensor, out: Path | None, run: Path) -> Path:
    """Write events (n, *event_shape); by default a picture of images and points, a table of everything else."""
    drawable = x.ndim == 4 or x.shape[1:] == (2,)
    out = out or Path(run) / ("samples.png" if drawable else "samples.csv")
    _expect(out, (".png", *ARRAYS) if x.ndim == 4 else (*((".png",) if drawable else ()), *TABLES, *ARRAYS), "samples")
    x = x.float().cpu()
    if out.suffix == ".png":
        from .data.pictures import save_grid, save_scatter

        out.parent.mkdir(parents=True, exist_ok=True)
        (save_grid if x.ndim == 4 else save_scatter)(x, out)
        return out
    if out.suffix in ARRAYS:
        return _write_arrays(out, x=x.numpy())
    known = RunDirectory(run).read_config().get("data", {}).get("transform", {}).get("known", {})
    if known.get("std"):  # back to the units of the file
        x = x * torch.tensor(known["std"]) + torch.tensor(known["mean"])
    names = known.get("column_names") or [f"x{i}" for i in range(x.shape[1])]
    return export_table({name: x[:, i].numpy() for i, name in enumerate(names)}, out)


def export_codes(codes: Tensor, label: Tensor | None, names: dict[str, Any], out: Path) -> Path:
    """Write feature vectors (n, features) with their labels, as arrays or as a table with a column per feature."""
    _expect(out, (*ARRAYS, *TABLES), "codes")
    labels = {} if label is None else {"label": label.numpy()}
    if out.suffix in ARRAYS:
        return _write_arrays(out, codes=codes.numpy(), **labels)
    columns = {f"code_{i}": codes[:, i].numpy() for i in range(codes.shape[1])}
    return export_table({**names, **labels, **columns}, out)


def export_table(columns: dict[str, Any], out: Path) -> Path:
    """Write columns of equal length as .csv or .parquet."""
    _expect(out, TABLES, "a table")
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


def _write_arrays(out: Path, **arrays: np.ndarray) -> Path:
    with atomically(out) as temporary, temporary.open("wb") as file:
        if out.suffix == ".npz":
            np.savez_compressed(file, allow_pickle=False, **arrays)
        else:
            np.save(file, next(iter(arrays.values())))
    return out


def _expect(out: Path, suffixes: tuple[str, ...], what: str) -> None:
    if out.suffix not in suffixes:
        raise ConfigError(f"{what} can be written as {', '.join(suffixes)}, got --out {out}: choose one of these suffixes.")
