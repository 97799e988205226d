"""`load_data`: one function for every source."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any
from zlib import crc32

import torch
from torch import Tensor

from ..core import ConfigError, DataError, suggest
from .catalogue import DATASETS
from .data import Data, Split, describe, pick
from .files import looks_like_path, read_file
from .fit import pipeline_for, statistics
from .labelled import few_labels
from .noise import mix
from .options import Options
from .raw import Raw, partition
from .scan import scan
from .transform import Pipeline, View, resized


def load_data(
    source: str | Path,
    *,
    binarize: bool | float | str = False,
    levels: int | None = None,
    resize: int | None = None,
    grey: bool = False,
    dequantize: bool = False,
    standardize: bool = False,
    label: str | None = None,
    condition: str | None = None,
    size: int | None = None,
    n: int | None = None,
    split: Sequence[float] = (0.7, 0.15, 0.15),
    seed: int = 0,
    root: str | Path | None = None,
    in_memory: bool | None = None,
    missing: bool = False,
    labelled: int | None = None,
    transform: dict[str, Any] | None = None,
) -> Data:
    """Data in three splits, from a name, a file, a folder of images or the Hugging Face Hub.

    Args:
        source: a name of `DATASETS`; a path to .npy, .npz, .csv, .parquet or a folder of images; or "hf:org/name".
        binarize: x >= 0.5 (True), x >= a threshold, or "draw", one Bernoulli draw with probability x, fixed by the seed;
            "redraw": training draws anew at every visit, as the papers of variational models do on MNIST.
        levels: quantise images to this many grey levels.
        resize: cut images to their centred square and bring them to this many pixels a side.
        grey: bring images to one channel.
        dequantize: x -> (code + u) / K with u uniform on (0, 1), fixed by the seed; K is kept in `Data.dequantized`.
        standardize: tables to mean 0 and standard deviation 1 of the training split's columns.
        label: the column (or array of an .npz) that is the label, as text or integers.
        condition: what conditional models are given: "label", "caption" or "attributes".
        size: pixels a side of drawn pictures. n: how many examples to draw.
        split: fractions of train, valid and test where no split is published; 1.0 keeps the order of the source.
        seed: of the split and of every draw.
        root: the folder of the sets read from disk; else the environment variable POFX_DATA.
        in_memory: False reads events from disk batch by batch; by default only where a file has 2 GiB or more.
        missing: True lets tables have empty cells, which are NaN in x, rather than name the first as an error.
        labelled: keep this many labels in the training split, balanced over the classes, drawn by the seed, for
            semi-supervised models: its rows come once each with label -1, then those that keep their labels, repeated until
            they make up about half of it (an epoch has twice as many rows). The other splits keep all their labels.
        transform: `Data.transform` of other data, to load these in the same way; what it says holds for every
            argument left at its default, other than `labelled`.

    Raises `DataError` where the data are missing or broken and `ConfigError` where options make no sense for them.

    >>> load_data("digits", binarize=True).description
    '1,200 / 297 / 300 events of shape 1×8×8 in {0, 1}, binarised at 0.5, split by seed 0'
    """
    name = _full_name(str(source))
    options = Options(
        binarize=binarize, levels=levels, resize=resize, grey=grey, dequantize=dequantize, standardize=standardize,
        label=label, condition=condition, size=size, n=n, split=tuple(split), seed=seed, in_memory=in_memory, missing=missing,
        labelled=labelled, root=None if root is None else str(Path(root).expanduser().resolve()),
    ).merged(transform, name)  # fmt: skip
    raw = DATASETS[name].load(options) if name in DATASETS else read_file(name, options)
    if len(raw) == 0:
        raise DataError(f"{raw.name} holds no events: give it at least one.")
    shape = raw.event_shape
    pipeline = pipeline_for(options, raw, scan(raw, shape, missing and not raw.image), shape)
    places = partition(raw, options.split, options.seed)
    if options.standardize and pipeline.mean is None:
        if missing:
            raise ConfigError("missing=True and standardize go together only with the transform of other data: give transform.")
        mean, std = statistics(_view(raw, *places[0], pipeline))
        pipeline = replace(pipeline, mean=mean, std=std)
    return _data(name, raw, pipeline, places)


def _full_name(source: str) -> str:
    """The name of a known set or of the Hub as it is, a path made absolute; raises `DataError` for anything else."""
    if source in DATASETS or source.startswith("hf:"):
        return source
    if looks_like_path(source):
        return str(Path(source).expanduser().resolve())
    raise DataError(f"there is no data set and no file {source!r}: {suggest(source, DATASETS)}.")


def _modes(raw: Raw, pipeline: Pipeline) -> tuple[Tensor, float] | None:
    """The modes in the units of x."""
    if raw.modes is None or pipeline.mean is None or pipeline.std is None:
        return raw.modes
    centres, sigma = raw.modes
    return ((centres - pipeline.mean) / pipeline.std).float(), sigma / pipeline.std.mean().item()


def _view(raw: Raw, part: str, index: Tensor, pipeline: Pipeline) -> View:
    return View(raw.parts[part].rows, index, pipeline, mix(pipeline.options.seed, crc32(part.encode())))


def _split(raw: Raw, part: str, index: Tensor, pipeline: Pipeline) -> Split:
    view, source, condition = _view(raw, part, index, pipeline), raw.parts[part], pipeline.options.condition
    x = view if raw.on_disk else view.read(torch.arange(len(view)))
    label = None if source.label is None else source.label[index]
    extras = {name: pick(extra, index) for name, extra in source.extras.items()}
    if "mask" in extras and pipeline.options.resize:
        extras["mask"] = resized(extras["mask"], pipeline.options.resize).round()
    known = [*(["label"] if label is not None else []), *extras]
    if condition is not None and condition not in known:
        if "condition" not in pipeline.options.inherited:
            offer = f"it may be {' or '.join(map(repr, known))}" if known else "these data have no labels or captions"
            raise ConfigError(f"{raw.name} cannot give condition={condition!r}: {offer}.")
        condition = None
    return Split(x, label, extras, condition)


def _chances(raw: Raw, part: str, index: Tensor, pipeline: Pipeline) -> Tensor | View:
    """The values from which "redraw" draws."""
    view = _view(raw, part, index, replace(pipeline, options=replace(pipeline.options, binarize=False)))
    return view if raw.on_disk else view.read(torch.arange(len(view)))


def _data(source: str, raw: Raw, pipeline: Pipeline, places: list[tuple[str, Tensor]]) -> Data:
    options = pipeline.options
    splits = [_split(raw, part, index, pipeline) for part, index in places]
    if options.binarize == "redraw":
        splits[0].chances = _chances(raw, *places[0], pipeline)
    known = {
        "event_shape": list(pipeline.event_shape),
        "grid": pipeline.grid,
        "mean": None if pipeline.mean is None else pipeline.mean.tolist(),
        "std": None if pipeline.std is None else pipeline.std.tolist(),
        "label_names": raw.label_names,
        "column_names": raw.column_names,
    }
    notes = [*pipeline.notes(), raw.note or _split_note(raw, options.seed)]
    if options.labelled is not None:
        splits[0], note = few_labels(splits[0], options.labelled, options.seed, raw.name)
        notes.append(note)
    return Data(
        name=raw.name,
        train=splits[0],
        valid=splits[1],
        test=splits[2],
        event_shape=pipeline.event_shape,
        support=pipeline.support,
        label_names=raw.label_names,
        column_names=raw.column_names,
        attribute_names=raw.attribute_names,
        dequantized=pipeline.levels if options.dequantize else None,
        modes=_modes(raw, pipeline),
        channel_classes=raw.channel_classes if pipeline.event_shape[0] == raw.event_shape[0] else None,
        transform=options.as_transform(source, known),
        description=describe([len(split) for split in splits], pipeline.event_shape, pipeline.support, notes),
    )


def _split_note(raw: Raw, seed: int) -> str:
    missing = [name for name in ("valid", "test") if name not in raw.parts]
    if "all" in raw.parts:
        return f"split by seed {seed}"
    return f"published split, {' and '.join(missing)} taken from train by seed {seed}" if missing else "published split"
