"""Data sets that are read from a data root: a folder named by root= or by the environment variable POFX_DATA."""

import gzip
import json
import os
import zipfile
from collections.abc import Iterable
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..core import DataError
from .arrays import from_arrays, load_arrays
from .data import pick
from .options import Options
from .pictures import open_image, to_bytes
from .raw import ArrayRows, Part, Raw

_DIGITS = [str(i) for i in range(10)]
_CLOTHES = ["T-shirt", "trouser", "pullover", "dress", "coat", "sandal", "shirt", "sneaker", "bag", "ankle boot"]
STYLES = ("noto", "twemoji", "openmoji", "fluentui")
_TONES = {0: "no tone", 2: "light", 3: "medium-light", 4: "medium", 5: "medium-dark", 6: "dark"}


def find(options: Options, name: str, path: str) -> Path:
    """A file below the data root; raises `DataError` where no root is set or the file is not there."""
    root, folder = options.root or os.environ.get("POFX_DATA"), path.split("/")[0]
    if not root:
        raise DataError(
            f"{name} is read from a data root and none is set: pass root=... (--data-root) or set POFX_DATA to the folder that "
            f"holds {folder}/."
        )
    found = Path(root) / path
    if not found.is_file():
        raise DataError(
            f"{name} is read from {path} below the data root, and {root} does not hold it: set root to one that does."
        )
    return found


def mnist(options: Options, name: str) -> Raw:
    """MNIST or Fashion-MNIST, idx files; the last 10,000 training images are the validation split."""
    images, labels = ([_idx(find(options, name, f"{name}/{part}-{kind}-ubyte.gz")) for part in ("train", "t10k")]
                      for kind in ("images-idx3", "labels-idx1"))  # fmt: skip
    whole = [(images[0][:-10_000], labels[0][:-10_000]), (images[0][-10_000:], labels[0][-10_000:]), (images[1], labels[1])]
    parts = {
        part: Part(ArrayRows(x[:, None]), torch.from_numpy(y.astype(np.int64)))
        for part, (x, y) in zip(("train", "valid", "test"), whole, strict=True)
    }
    names = _DIGITS if name == "mnist" else _CLOTHES
    return Raw(name, parts, image=True, grid=256, label_names=names, note="published split, valid the last 10,000 of train")


def _idx(path: Path) -> np.ndarray:
    data = gzip.decompress(path.read_bytes())
    shape = np.frombuffer(data, ">u4", count=data[3], offset=4)
    return np.frombuffer(data, np.uint8, offset=4 + 4 * len(shape)).reshape(shape.tolist())


def binarized_mnist(options: Options) -> Raw:
    """The fixed binarisation of Salakhutdinov and Murray (2008), in Larochelle's split 50,000 / 10,000 / 10,000."""
    arrays = load_arrays(find(options, "binarized_mnist", "binarized_mnist/binarized_mnist.npz"))
    return from_arrays("binarized_mnist", {part: x.reshape(-1, 28, 28) for part, x in arrays.items()}, options)


def arrays_file(options: Options, name: str, path: str) -> Raw:
    """A set whose .npz says all there is to know: bit-packed splits, or X with columns and labels."""
    arrays = load_arrays(find(options, name, path))
    only_valid = set(arrays) == {"valid"}  # rcv1: its published training and test rows were not found
    raw = from_arrays(name, {"x": arrays["valid"]} if only_valid else arrays, options)
    if only_valid:
        raw.note = f"the published validation rows alone, split by seed {options.seed}"
    if path.startswith("adbench/"):
        raw.label_names = ["normal", "anomaly"]
    return raw


def att_faces(options: Options) -> Raw:
    """400 grey faces of 40 people, 64 × 64; the label is the person, and each split has people of its own."""
    raw = from_arrays("att_faces", load_arrays(find(options, "att_faces", "att_faces/att_faces64.npz")), options)
    raw.parts["all"].groups = raw.parts["all"].label
    raw.note = f"people split by seed {options.seed}"
    return raw


def emoji(options: Options, name: str, styles: Iterable[str]) -> Raw:
    """Emoji of 64 × 64 in one or several styles with captions; variants of one emoji stay in one split.

    Attributes are one-hot: the style, then the skin tone. The label is the style, or for one style the skin tone.
    """
    styles = list(styles)
    images = np.concatenate([load_arrays(find(options, name, f"emoji/{style}.npz"))["images"] for style in styles])
    records = json.loads(find(options, name, "emoji/emoji.json").read_text(encoding="utf-8")) * len(styles)
    style = torch.arange(len(styles)).repeat_interleave(len(records) // len(styles))
    tone = torch.tensor([list(_TONES).index(record["tone"]) for record in records])
    hot = torch.cat([torch.nn.functional.one_hot(k, c) for k, c in ((style, len(styles)), (tone, len(_TONES)))], 1)
    rows = ArrayRows(images, channels_last=True)
    whole = Part(
        rows,
        style if len(styles) > 1 else tone,
        {"caption": [record["caption"] for record in records], "attributes": hot.float()},
        _numbered(" ".join(w for w in r["name"].split("_") if w not in ("man", "woman", "person")) for r in records),
    )
    parts = _by_split(rows, np.array([record["split"] for record in records]), whole)
    names = styles if len(styles) > 1 else list(_TONES.values())
    return Raw(name, parts, image=True, grid=256, label_names=names, attribute_names=[*styles, *_TONES.values()])


def flowers(options: Options) -> Raw:
    """3,667 photographs of five kinds of flowers, 64 × 64, published train and test splits."""
    with zipfile.ZipFile(find(options, "flowers", "flowers/flowers64.zip")) as archive:
        files = [file for file in archive.namelist() if file.endswith(".jpg")]
        images = [to_bytes(open_image(BytesIO(archive.read(file)), file), 3, file) for file in files]
    folders = np.array([file.split("/")[:2] for file in files])
    names, label = np.unique(folders[:, 1], return_inverse=True)
    rows = ArrayRows(np.stack(images))
    return Raw(
        "flowers",
        _by_split(rows, folders[:, 0], Part(rows, torch.from_numpy(label))),
        image=True,
        grid=256,
        label_names=names.tolist(),
    )


def nlvr(options: Options) -> Raw:
    """2,964 pictures of three boxes with coloured shapes, side by side (32 × 96), each with a sentence (the caption).

    The label says whether the sentence is true. "test" is the corpus's public test set; train and valid are its dev and
    hidden sets, divided so that they share no sentence.
    """
    boxes = load_arrays(find(options, "nlvr", "nlvr/nlvr_boxes32.npz"))["images"]
    images = boxes.transpose(0, 2, 1, 3, 4).reshape(len(boxes), 32, 96, 3)
    with gzip.open(find(options, "nlvr", "nlvr/nlvr.json.gz"), "rt", encoding="utf-8") as file:
        records: list[dict[str, Any]] = json.load(file)
    captions = [record["sentence"] for record in records]
    rows = ArrayRows(images, channels_last=True)
    whole = Part(
        rows,
        torch.tensor([int(record["label"]) for record in records]),
        {"caption": captions},
        _numbered(captions),
    )
    split = np.array(["test" if record["split"] == "test" else "train" for record in records])
    note = f"published test, dev and hidden sets divided into train and valid by seed {options.seed}"
    return Raw("nlvr", _by_split(rows, split, whole), image=True, grid=256, label_names=["false", "true"], note=note)


def _numbered(names: Iterable[str]) -> Tensor:
    return torch.from_numpy(np.unique(list(names), return_inverse=True)[1])


def _by_split(rows: ArrayRows, split: np.ndarray, whole: Part) -> dict[str, Part]:
    """The train and test rows of a part as parts of their own."""
    parts = {}
    for name in ("train", "test"):
        index = torch.from_numpy(np.flatnonzero(split == name))
        parts[name] = Part(
            ArrayRows(rows.array[index.numpy()], rows.channels_last),
            None if whole.label is None else whole.label[index],
            {key: pick(extra, index) for key, extra in whole.extras.items()},
            None if whole.groups is None else whole.groups[index],
        )
    return parts
