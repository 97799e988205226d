"""🤗 datasets, from the Hub or saved to disk: a column of pictures, or the numeric columns as a table."""

from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..core import DataError
from .arrays import SPLITS, stays_on_disk
from .labels import encode_labels
from .options import Options
from .pictures import is_grey, to_bytes
from .raw import ArrayRows, Part, Raw
from .tables import ArrowRows, event_columns, is_numeric, label_column, require_datasets

_LABELS, _CAPTIONS = ("label", "labels", "y"), ("caption", "captions", "text")
_FIRST = torch.zeros(1, dtype=torch.long)


class PictureColumn:
    """The pictures of a 🤗 dataset, decoded when they are read, as uint8 (channels, h, w)."""

    def __init__(self, dataset: Any, column: str, channels: int, resize: int | None, name: str) -> None:
        self.dataset, self.column = dataset.select_columns([column]), column
        self.channels, self.resize, self.name = channels, resize, name

    def __len__(self) -> int:
        return len(self.dataset)

    def read(self, index: Tensor) -> Tensor:
        """The pictures at these positions, uint8 (m, channels, h, w); raises `DataError` where their sizes differ."""
        images = self.dataset[index.tolist()][self.column]
        arrays = [to_bytes(image, self.channels, f"a picture of {self.name}", self.resize) for image in images]
        for array in arrays:
            if array.shape != arrays[0].shape:
                one, other = (f"{a.shape[2]}×{a.shape[1]}" for a in (arrays[0], array))
                raise DataError(
                    f"pictures of {self.name} differ in size, {one} and {other}: use resize=..., such as resize=32."
                )
        return torch.from_numpy(np.stack(arrays))


def read_hub(name: str, options: Options) -> Raw:
    """A data set of the Hugging Face Hub by its name; raises `DataError` with the Hub's own words where it fails."""
    datasets = require_datasets("reading from the Hugging Face Hub")
    try:
        found = datasets.load_dataset(name)
    except Exception as error:  # network, name, access, format: the library's own sentence says which
        raise DataError(f"hf:{name} cannot be loaded ({error}): check the name and the network.") from error
    return from_datasets(name, found, options)


def is_saved_dataset(folder: Path) -> bool:
    """Whether 🤗 datasets wrote this folder with `save_to_disk`."""
    return (folder / "dataset_dict.json").is_file() or (folder / "dataset_info.json").is_file()


def read_saved(folder: Path, options: Options) -> Raw:
    """A folder that 🤗 datasets wrote with `save_to_disk`."""
    datasets = require_datasets("reading a saved 🤗 dataset")
    try:
        found = datasets.load_from_disk(str(folder))
    except Exception as error:  # files that are missing or of another version: the library's own sentence says which
        raise DataError(f"{folder} is no saved 🤗 dataset that can be read ({error}): save it anew.") from error
    return from_datasets(folder.name, found, options)


def from_datasets(name: str, found: Any, options: Options) -> Raw:
    """One dataset or a dict of splits: the first column of pictures, else all columns of numbers."""
    parts = _parts(name, found)
    features = next(iter(parts.values())).features
    pictures = [column for column, feature in features.items() if type(feature).__name__ == "Image"]
    numeric = [column for column, feature in features.items() if is_numeric(feature)]
    label = label_column(name, list(features), options) or next((c for c in _LABELS if c in numeric), None)
    columns = [] if pictures else event_columns(name, [c for c in numeric if c != label], options)
    raw = Raw(name, {}, image=bool(pictures), grid=256 if pictures else None)
    raw.column_names = None if pictures else columns
    rows = _pictures(name, parts, pictures[0], options) if pictures else {p: ArrowRows(d, columns) for p, d in parts.items()}
    raw.on_disk = stays_on_disk(options, sum(len(r) * r.read(_FIRST).nbytes for r in rows.values() if len(r)))
    captions = next((c for c in _CAPTIONS if getattr(features.get(c), "dtype", "") == "string"), None)
    for part, data in parts.items():
        events = rows[part] if raw.on_disk else ArrayRows(rows[part].read(torch.arange(len(rows[part]))).numpy())
        raw.parts[part] = Part(events, extras={} if captions is None else {"caption": list(data[captions][:])})
    if label is not None:
        _label(raw, parts, label, options)
    return raw


def _parts(name: str, found: Any) -> dict[str, Any]:
    if not isinstance(found, dict):
        return {"all": found}
    known = {part: found[alias] for part, aliases in SPLITS.items() for alias in aliases if alias in found}
    if "train" in known and len(known) > 1:
        return known
    if len(found) == 1 or "train" in known:
        return {"all": known.get("train", next(iter(found.values())))}
    raise DataError(f"{name} has the splits {', '.join(found)} and none is named train: save it with a train split.")


def _pictures(name: str, parts: dict[str, Any], column: str, options: Options) -> dict[str, Any]:
    grey = all(is_grey(image) for data in parts.values() for image in data[column])
    return {part: PictureColumn(data, column, 1 if grey else 3, options.resize, name) for part, data in parts.items()}


def _label(raw: Raw, parts: dict[str, Any], label: str, options: Options) -> None:
    names = getattr(next(iter(parts.values())).features[label], "names", None)
    values = [np.asarray(data[label][:]) for data in parts.values()]
    if names is not None:
        raw.label_names = names
        codes = [torch.from_numpy(value.astype(np.int64)) for value in values]
    else:
        codes, raw.label_names = encode_labels(values, options, f"column {label!r} of {raw.name}")
    for part, code in zip(raw.parts.values(), codes, strict=True):
        part.label = code if bool((code >= 0).all()) else None  # the Hub marks hidden labels by -1
