"""Numpy files: .npy, and .npz with one array of events or one a split."""

import zipfile
from pathlib import Path

import numpy as np
import torch

from ..core import ConfigError, DataError, suggest
from .data import Extra
from .labels import encode_labels
from .options import Options
from .raw import ArrayRows, Part, Raw

IN_MEMORY_BELOW = 2 << 30  # bytes
EVENTS = ("x", "X", "data", "images")
LABELS = ("y", "label", "labels", "subject")
SPLITS = {"train": ("train",), "valid": ("valid", "val", "validation"), "test": ("test",)}


def stays_on_disk(options: Options, size: int) -> bool:
    """Whether a source of `size` bytes is read batch by batch."""
    return size >= IN_MEMORY_BELOW if options.in_memory is None else not options.in_memory


def read_npy(path: Path, options: Options) -> Raw:
    """One array of events: (n, columns) is a table, (n, h, w), (n, h, w, c) and (n, c, h, w) are images."""
    on_disk = stays_on_disk(options, path.stat().st_size)
    try:
        array = np.load(path, mmap_mode="r" if on_disk else None, allow_pickle=False)
    except (ValueError, OSError, EOFError) as error:
        raise _unreadable(path, error) from error
    rows, image, grid = events(array, path.name)
    return Raw(path.name, {"all": Part(rows)}, image, grid, on_disk=on_disk)


def read_npz(path: Path, options: Options) -> Raw:
    """Arrays by name: events with their labels, for all or for each split; see `from_arrays`."""
    if options.in_memory is False:
        raise ConfigError(f"an .npz cannot be read row by row: save {path.name} as .npy or Parquet for in_memory=False.")
    return from_arrays(path.name, load_arrays(path), options)


def load_arrays(path: Path) -> dict[str, np.ndarray]:
    """All arrays of an .npz; where it has `n_features`, its arrays of bytes are bit-packed rows and are unpacked."""
    try:
        with np.load(path, allow_pickle=False) as archive:
            arrays = {name: archive[name] for name in archive.files}
    except (ValueError, OSError, EOFError, zipfile.BadZipFile) as error:
        raise _unreadable(path, error) from error
    if "n_features" in arrays:
        count = int(arrays.pop("n_features"))
        arrays = {name: np.unpackbits(array, axis=1, count=count) for name, array in arrays.items()}
    return arrays


def from_arrays(name: str, arrays: dict[str, np.ndarray], options: Options) -> Raw:
    """Named arrays as data: events are `x`, `X`, `data` or `images`, or one array a split: `train`, `x_train`, `train_x`...

    Labels are `y`, `label`, `labels`, `subject` or what `label=` says, alike for splits; `columns`, `class_names`,
    `captions` and `attributes` are understood. Raises `DataError` where no array can be told to be the events.
    """
    found = {part: _find(arrays, EVENTS, aliases) for part, aliases in SPLITS.items()}
    parts = {part: key for part, key in found.items() if key}
    if "train" not in parts:
        parts = {"all": _events_key(name, arrays)}
    labels, label_names = _labels(name, arrays, list(parts), options)
    raw = Raw(name, {}, image=False, label_names=label_names)
    for part, key in parts.items():
        rows, raw.image, grid = events(arrays[key], f"{name}[{key}]")
        raw.grid = None if grid is None else max(grid, raw.grid or 0)
        raw.parts[part] = Part(rows, labels.get(part), _extras(name, arrays, part, len(rows)))
        if part in labels and len(labels[part]) != len(rows):
            raise DataError(
                f"{name} has {len(labels[part]):,} labels for {len(rows):,} events in {key!r}: give one label each."
            )
    if len({(arrays[key].shape[1:], arrays[key].dtype.kind == "f") for key in parts.values()}) > 1:
        kinds = ", ".join(f"{key} {arrays[key].dtype} {arrays[key].shape}" for key in parts.values())
        raise DataError(f"{name} has splits of different kinds or shapes ({kinds}): save all alike.")
    if "columns" in arrays and not raw.image:
        raw.column_names = [str(column) for column in arrays["columns"]]
    return raw


def events(array: np.ndarray, what: str) -> tuple[ArrayRows, bool, int | None]:
    """The rows of an array, whether they are images, and on how many grey levels; raises `DataError` for other arrays."""
    if array.dtype.kind not in "buif":
        raise DataError(f"{what} holds {array.dtype} values and numbers are expected: save it as a numeric array.")
    if array.dtype.kind == "b":
        array = array.view(np.uint8)
    if array.ndim in (1, 2):
        return ArrayRows(array[:, None] if array.ndim == 1 else array), False, None
    if array.ndim == 3:
        array = array[:, None]
    if array.ndim != 4 or (array.shape[1] not in (1, 3) and array.shape[3] not in (1, 3)):
        raise DataError(
            f"{what} has shape {array.shape}: a table is (n, columns), images are (n, h, w), (n, h, w, c) or (n, c, h, w) "
            "with 1 or 3 channels."
        )
    rows = ArrayRows(array, channels_last=array.shape[1] not in (1, 3))
    if array.dtype.kind == "f":
        return rows, True, None
    top = int(array.max(initial=0))
    if int(array.min(initial=0)) < 0 or top > 255:
        raise DataError(f"{what} holds integer images with values up to {top}: save them as uint8, 0..255.")
    rows.array = array if array.dtype == np.uint8 else array.astype(np.uint8)
    return rows, True, 2 if top <= 1 else 256


def _find(arrays: dict[str, np.ndarray], words: tuple[str, ...], aliases: tuple[str, ...]) -> str | None:
    """The array of one split: "train", "x_train" or "train_x" (only the latter two for labels, which have no bare name)."""
    bare = aliases if words is EVENTS else ()
    names = [*bare, *(f"{w}_{a}" for w in words for a in aliases), *(f"{a}_{w}" for w in words for a in aliases)]
    return next((name for name in names if name in arrays), None)


def _events_key(name: str, arrays: dict[str, np.ndarray]) -> str:
    key = next((key for key in EVENTS if key in arrays), None)
    if key is None and len(arrays) == 1:
        key = next(iter(arrays))
    if key is None:
        raise DataError(
            f"{name} holds the arrays {', '.join(arrays) or 'none at all'} and none is named x, X, data or images (or train, "
            "valid, test): save the events under one of these names."
        )
    return key


def _labels(
    name: str, arrays: dict[str, np.ndarray], parts: list[str], options: Options
) -> tuple[dict[str, torch.Tensor], list[str] | None]:
    words = LABELS if options.label is None else (options.label,)
    if parts == ["all"]:
        keys = {"all": next((word for word in words if word in arrays), None)}
    else:
        keys = {part: _find(arrays, words, SPLITS[part]) for part in parts}
    given = {part: key for part, key in keys.items() if key is not None}
    if not given:
        if options.label is not None and "label" not in options.inherited:
            raise DataError(f"{name} has no array {options.label!r} for label: {suggest(options.label, arrays)}.")
        return {}, None
    if "class_names" in arrays:
        return {p: torch.from_numpy(arrays[key].astype(np.int64)) for p, key in given.items()}, arrays["class_names"].tolist()
    codes, names = encode_labels([arrays[key] for key in given.values()], options, f"{name} ({', '.join(given.values())})")
    return dict(zip(given, codes, strict=True)), names


def _extras(name: str, arrays: dict[str, np.ndarray], part: str, n: int) -> dict[str, Extra]:
    extras: dict[str, Extra] = {}
    for extra, key in (("caption", "captions"), ("attributes", "attributes")):
        if part == "all" and key in arrays:
            if len(arrays[key]) != n:
                raise DataError(f"{name} has {len(arrays[key]):,} {key} for {n:,} events: give one each.")
            extras[extra] = arrays[key].tolist() if extra == "caption" else torch.from_numpy(arrays[key].astype(np.float32))
    return extras


def _unreadable(path: Path, error: Exception) -> DataError:
    if "allow_pickle" in str(error) or "Object arrays" in str(error) or "pickled" in str(error):
        return DataError(f"{path.name} holds Python objects, which are never unpickled: save numbers, with a numeric dtype.")
    return DataError(f"{path.name} is empty or no numpy file that can be read ({error}): save it anew with numpy.")
