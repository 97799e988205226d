"""Arguments and options that commands of the command line share, and those of `load_data`."""

import functools
import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer

Model = Annotated[str, typer.Argument(metavar="MODEL", help="A model's name; `pofx models` lists them.")]
Source = Annotated[
    str,
    typer.Argument(
        metavar="DATA",
        help="A name (`pofx data` lists them), a .csv, .parquet, .npy or .npz file, a folder of pictures, or hf:org/name.",
    ),
]
RunPath = Annotated[Path, typer.Argument(metavar="RUN", help="The directory of a trained run.")]
Seed = Annotated[int, typer.Option(help="Seed of everything random: same seed, same result.")]
Part = Annotated[str | None, typer.Option("--split", help="train, valid, test or all. Default: test, or all rows of a file.")]
Out = Annotated[Path | None, typer.Option("--out", help="Where to write; the suffix chooses the format.")]
Root = Annotated[str | None, typer.Option("--data-root", help="Folder of the data sets read from disk.", envvar="POFX_DATA")]

DATA_OPTIONS: dict[str, Any] = {
    "binarize": Annotated[
        str,
        typer.Option(
            help="yes, no, draw (Bernoulli), redraw (at every visit), a threshold; auto: yes where the model needs it."
        ),
    ],
    "levels": Annotated[int | None, typer.Option(help="Quantise pictures to this many grey levels.")],
    "resize": Annotated[int | None, typer.Option(help="Cut pictures to a square and bring them to this many pixels a side.")],
    "grey": Annotated[bool, typer.Option("--grey", help="Bring pictures to one channel.")],
    "dequantize": Annotated[bool, typer.Option("--dequantize", help="Add uniform noise to discrete values.")],
    "standardize": Annotated[bool, typer.Option("--standardize", help="Bring columns to mean 0 and deviation 1.")],
    "label": Annotated[str | None, typer.Option(help="The column that is the label.")],
    "labelled": Annotated[int | None, typer.Option(help="Keep this many labels in training (semi-supervised models).")],
    "size": Annotated[int | None, typer.Option(help="Pixels a side of drawn pictures (shapes).")],
    "n": Annotated[int | None, typer.Option("--count", help="How many examples to draw (shapes, rings, ...).")],
    "root": Root,
}


def with_data_options(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command the options of `load_data`; it receives them as one dict, `options`."""
    signature = inspect.signature(command)
    own = [p for p in signature.parameters.values() if p.name != "options"]
    defaults = {"binarize": "auto", "grey": False, "dequantize": False, "standardize": False}
    added = [
        inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=defaults.get(name), annotation=hint)
        for name, hint in DATA_OPTIONS.items()
    ]

    @functools.wraps(command)
    def wrapper(**values: Any) -> None:
        command(**{p.name: values[p.name] for p in own}, options={name: values[name] for name in DATA_OPTIONS})

    wrapper.__signature__ = signature.replace(parameters=[*own, *added])  # type: ignore[attr-defined]
    return wrapper
