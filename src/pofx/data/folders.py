"""A folder of pictures: sub-folders are labels, train/ valid/ test/ are splits."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from ..core import DataError
from .arrays import SPLITS, stays_on_disk
from .data import Rows
from .labels import encode_labels
from .options import Options
from .pictures import is_grey, open_image, to_bytes, upright_size
from .raw import ArrayRows, Part, Raw

PICTURES = {".png", ".jpg", ".jpeg", ".bmp", ".gif", ".webp", ".tif", ".tiff"}


class PictureRows:
    """Picture files that are decoded when they are read, as uint8 (channels, h, w)."""

    def __init__(self, paths: Sequence[Path], channels: int, resize: int | None) -> None:
        self.paths, self.channels, self.resize = paths, channels, resize

    def __len__(self) -> int:
        return len(self.paths)

    def read(self, index: Tensor) -> Tensor:
        """The pictures at these positions, uint8 (m, channels, h, w)."""
        return torch.from_numpy(np.stack([self._decode(self.paths[i]) for i in index.tolist()]))

    def _decode(self, path: Path) -> np.ndarray:
        with open_image(path) as image:
            return to_bytes(image, self.channels, str(path), self.resize)


def read_folder(folder: Path, options: Options) -> Raw:
    """Every picture below a folder, or one picture file; raises `DataError` where there is none or sizes differ."""
    paths = [folder] if folder.is_file() else _pictures(folder)
    if not paths:
        raise DataError(f"{folder} holds no pictures ({', '.join(sorted(PICTURES))}): give a folder that does.")
    splits = _splits(folder, paths)
    channels, (width, height) = _survey(paths, options)
    on_disk = stays_on_disk(options, len(paths) * channels * width * height)
    raw = Raw(folder.resolve().name, {}, image=True, grid=256, on_disk=on_disk)
    for part, files in splits.items():
        rows: Rows = PictureRows(files, channels, options.resize)
        if not on_disk:
            rows = ArrayRows(rows.read(torch.arange(len(files))).numpy())
        names = [str(path.relative_to(folder)) if path != folder else path.name for path in files]
        raw.parts[part] = Part(rows, extras={"file": names})
    _label(raw, folder, splits, options)
    return raw


def _pictures(folder: Path) -> list[Path]:
    found = (path for path in folder.rglob("*") if path.suffix.lower() in PICTURES and path.is_file())
    return sorted(p for p in found if not any(name.startswith((".", "__")) for name in p.relative_to(folder).parts))


def _splits(folder: Path, paths: list[Path]) -> dict[str, list[Path]]:
    """The files of each split where all are in folders named like splits, one of them train; else all together."""
    part_of = {alias: part for part, aliases in SPLITS.items() for alias in aliases}
    splits: dict[str, list[Path]] = {}
    for path in paths:
        top = path.relative_to(folder).parts[:1] if path != folder else ()
        splits.setdefault(part_of.get(top[0].lower(), "") if top else "", []).append(path)
    published = "" not in splits and "train" in splits and len(splits) > 1
    return splits if published else {"all": paths}


def _survey(paths: list[Path], options: Options) -> tuple[int, tuple[int, int]]:
    """Channels, and width and height, of pictures that must all have one size unless they are resized; reads headers."""
    colour, first, size = False, paths[0], (0, 0)
    for path in paths:
        with open_image(path) as image:
            colour = colour or not is_grey(image)
            found = (options.resize, options.resize) if options.resize else upright_size(image, str(path))
        if path is first:
            size = found
        elif found != size:
            raise DataError(
                f"pictures differ in size: {first} has {size[0]}×{size[1]} pixels, {path} has {found[0]}×{found[1]}: "
                "bring them to one size with resize=..., for instance resize=32."
            )
    return 3 if colour else 1, size


def _label(raw: Raw, folder: Path, splits: dict[str, list[Path]], options: Options) -> None:
    """The first folder below the root (or the split) is the label, where every picture has one and there are two."""
    depth = 0 if "all" in splits else 1
    parents = {
        part: [path.relative_to(folder).parts[depth:-1] if path != folder else () for path in files]
        for part, files in splits.items()
    }
    if not all(all(names) for names in parents.values()) or len({names[0] for p in parents.values() for names in p}) < 2:
        return
    values = [np.array([names[0] for names in p]) for p in parents.values()]
    codes, raw.label_names = encode_labels(values, options, str(folder))
    for part, code in zip(parents, codes, strict=True):
        raw.parts[part].label = code
