"""Which pipeline suits the data: options are checked against what the data are, and statistics are taken."""

from dataclasses import replace

import torch
from torch import Tensor

from ..core import ConfigError, DataError
from .options import Options
from .raw import Raw, pieces
from .scan import Facts
from .transform import Pipeline, View


def pipeline_for(options: Options, raw: Raw, facts: Facts, shape: tuple[int, ...]) -> Pipeline:
    """The pipeline that the options ask for; raises `ConfigError` where they make no sense for these data."""
    _refuse_nonsense(options, raw, facts)
    top = (raw.grid or 2) - 1 if raw.image else 1
    pipeline = Pipeline(options, raw.image, shape, top, _grid(options, raw, facts))
    if options.dequantize and not pipeline.levels:
        hint = " or add levels=K" if raw.image else ""
        raise ConfigError(f"dequantize needs discrete values and {raw.name} has continuous ones: leave it out{hint}.")
    if options.standardize and options.known and options.known["mean"] is not None:
        mean, std = (torch.tensor(options.known[key], dtype=torch.float64) for key in ("mean", "std"))
        return replace(pipeline, mean=mean, std=std)
    return pipeline


def _refuse_nonsense(options: Options, raw: Raw, facts: Facts) -> None:
    if raw.image and raw.grid is None and not (facts.minimum >= 0 and facts.maximum <= 1):
        value = facts.minimum if facts.minimum < 0 else facts.maximum
        raise DataError(
            f"images of floats must lie in [0, 1] and {raw.name} has {value:.4g}: scale them, or save uint8, 0..255."
        )
    for name in ("resize", "grey", "levels"):
        if getattr(options, name) and not raw.image:
            raise ConfigError(f"{name} is for images and {raw.name} is a table: leave {name} out.")
    finer = raw.grid and not options.resize and (options.levels or 0) > raw.grid
    if finer and not options.known:
        raise ConfigError(f"{raw.name} has {raw.grid} levels, got levels={options.levels}: leave it out to keep all of them.")
    if options.standardize and raw.image:
        raise ConfigError(f"standardize is for tables and {raw.name} holds images, which stay in [0, 1]: leave it out.")
    if options.binarize and not raw.image and not (facts.minimum >= 0 and facts.maximum <= 1):
        value = facts.minimum if facts.minimum < 0 else facts.maximum
        raise ConfigError(
            f"binarize expects values in [0, 1] and {raw.name} has {value:.4g}: leave it out, or scale the table first."
        )


def _grid(options: Options, raw: Raw, facts: Facts) -> int | None:
    """The number of levels of the values before binarize and levels, None where they are continuous."""
    if options.known:
        grid: int | None = options.known["grid"]
        return grid
    if facts.binary and not (options.resize or options.grey):
        return 2
    if raw.image:
        return raw.grid or (256 if facts.grey_levels else None)
    small = facts.integers and facts.minimum >= 0 and facts.maximum < 256
    return max(2, int(facts.maximum) + 1) if small else None


def statistics(train: View) -> tuple[Tensor, Tensor]:
    """Mean and standard deviation of every column, float64 (columns,), in two passes; constant columns have std 1."""
    if len(train) == 0:
        raise ConfigError("standardize needs a training split and this one is empty: choose other split fractions.")
    chunks = [train.index[piece] for piece in pieces(len(train), train.pipeline.shape)]
    mean = sum((train.rows.read(chunk).double().sum(0) for chunk in chunks), torch.zeros(())) / len(train)
    square = sum(((train.rows.read(chunk).double() - mean).square().sum(0) for chunk in chunks), torch.zeros(()))
    std = (square / len(train)).sqrt()
    return mean, std.where(std > 1e-12 * mean.abs(), 1.0)
