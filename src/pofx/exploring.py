"""The commands that look into latent space: `pofx traverse`, `pofx interpolate` and `pofx reconstruct`."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from .console import say
from .options import Out, Part, Root, RunPath, Seed, Source

if TYPE_CHECKING:
    from torch import Tensor

MOST_CODES = 5_000  # events whose codes tell which dimensions are active
PAIRS, ACROSS = 6, 10  # pairs of events without --rows; events side by side

Data = Annotated[str | None, typer.Option("--data", metavar="DATA", help="Data whose codes tell which dimensions are active.")]
Row = Annotated[int | None, typer.Option("--row", min=0, help="Start from the code of this row of --data.")]
Dims = Annotated[str | None, typer.Option("--dims", help="These latent dimensions, with commas, such as 0,3.")]
Most = Annotated[int | None, typer.Option("--most", min=1, help="So many of the most active dimensions. Default: 10.")]
Reach = Annotated[
    float | None,
    typer.Option("--range", help="How far, in standard deviations of the prior; of a code as it is. Default: 3, 1."),
]
Steps = Annotated[int, typer.Option("--steps", help="Events in a row, both ends among them.")]
Code = Annotated[int | None, typer.Option("--code", min=0, help="Of InfoGAN: the code to vary, counted from 0. Default: 0.")]
Label = Annotated[str | None, typer.Option("--condition", help="Of a conditional model: a label's name or number.")]
Rows = Annotated[str | None, typer.Option("--rows", help="Pairs of rows: 0,5,2,7 is 0 to 5 and 2 to 7. Default: the first 12.")]
Count = Annotated[
    int | None, typer.Option("-n", "--number", min=1, help="The first N rows. Default: 10 in a picture, else all.")
]


def traverse(
    run: RunPath,
    dims: Dims = None,
    most: Most = None,
    reach: Reach = None,
    steps: Steps = 9,
    code: Code = None,
    source: Data = None,
    row: Row = None,
    condition: Label = None,
    part: Part = None,
    out: Out = None,
    seed: Seed = 0,
    root: Root = None,
) -> None:
    """Move one latent dimension at a time and decode: a row for each, the most active first.

    The others stay at the prior's mean, at the code of an event (--data, --row), or of a GAN at a draw from the prior.

    Of InfoGAN one code is varied along the columns (--code); the rows, --most of them, differ in noise and other codes, and
    --condition chooses their categories.
    """
    from .building import load
    from .core import ConfigError, Decodes, require
    from .latents import codes_of
    from .latents import traverse as move
    from .strips import strips_file

    require(model := load(run), Decodes)
    path = strips_file(model.event_shape, out, run, "traverse")
    if (known := codes_of(model)) is not None:
        if dims is not None or source is not None or row is not None:
            raise ConfigError(
                f"{model.name} is moved along its codes, all else is drawn: give --code in place of --dims, --data."
            )
        _traverse_code(model, known, code or 0, most, 1.0 if reach is None else reach, steps, condition, path, run, seed)
        return
    if code is not None:
        raise ConfigError(f"code={code} is of models with codes (infogan), and {model.name} has none: give --dims.")
    reach = 3.0 if reach is None else reach
    if dims is not None and most is not None:
        raise ConfigError(f"dims={dims} and most={most} both say what to show: give one of --dims and --most.")
    if row is not None and source is None:
        raise ConfigError(f"row={row} needs data to count in: give --data, such as --data digits.")
    codes, origin, own = (None, None, None) if source is None else _codes(model, run, source, row, part, root)
    label = own if condition is None else _label(model, run, condition)
    wanted = None if dims is None else _numbers(dims, "dims")
    found = move(model, origin, codes, wanted, most or 10, reach, steps, label, seed)
    _export_traversal(found, reach, path, run)
    shown = ", ".join(f"z{dim} {found.activity[dim]:.3g}" for dim in found.dims)
    say(f"The {found.measure}: {shown}")
    say(f"{len(found.dims)} of {len(found.activity)} latent dimensions, {steps} steps each -> {path}")


def interpolate(
    run: RunPath,
    source: Source,
    rows: Rows = None,
    steps: Steps = 8,
    part: Part = None,
    out: Out = None,
    root: Root = None,
) -> None:
    """Go from one event to another through latent space: a row for each pair, with the two events at its ends."""
    import torch

    from .building import load, load_run_rows
    from .core import ConfigError, Reconstructs, require
    from .latents import interpolate as between
    from .strips import export_strips, strips_file

    require(model := load(run), Reconstructs)
    path = strips_file(model.event_shape, out, run, "interpolate")
    split = load_run_rows(run, source, part, root)
    chosen = list(range(min(2 * PAIRS, len(split) // 2 * 2))) if rows is None else _numbers(rows, "rows")
    if len(chosen) % 2 or not chosen:
        raise ConfigError(f"rows must be pairs, got {len(chosen)} of them: write for example 0,5,2,7.")
    a, b = (split.rows(_index(half, split, source)) for half in (chosen[::2], chosen[1::2]))
    labels = None if a.label is None or b.label is None else (a.label, b.label)
    x = between(model, a.x, b.x, steps, labels)
    names = [f"{i} → {j}" for i, j in zip(chosen[::2], chosen[1::2], strict=True)]
    titles = [f"{t:.2g}" for t in torch.linspace(0, 1, steps).tolist()]
    if path.suffix != ".npz":
        x, titles = torch.cat([a.x[:, None], x, b.x[:, None]], 1), ["event", *titles, "event"]
    pairs = torch.tensor(chosen).view(-1, 2)
    export_strips(x, names, titles, ("pair", "t"), path, run, pairs=pairs)
    say(f"{len(names)} pairs of events, {steps} steps each -> {path}")


def reconstruct(
    run: RunPath,
    source: Source,
    n: Count = None,
    part: Part = None,
    out: Out = None,
    root: Root = None,
) -> None:
    """Encode events and decode them again: originals above, reconstructions below, and the mean squared error of all rows."""
    import torch

    from .building import load, load_run_rows
    from .core import Reconstructs, require
    from .latents import reconstruct as again
    from .metrics import mean_estimate
    from .strips import export_strips, stacked, strips_file

    require(model := load(run), Reconstructs)
    path = strips_file(model.event_shape, out, run, "reconstruct")
    split = load_run_rows(run, source, part, root)
    batch = split.rows(torch.arange(len(split)))
    back = again(model, model.check(batch.x), batch.label)
    error = mean_estimate((back - batch.x).flatten(1).square().mean(1), "")
    spread = (batch.x - batch.x.mean(0)).square().mean()
    count = min(n or (ACROSS if path.suffix == ".png" else len(split)), len(split))
    pairs, rows = torch.stack([batch.x, back])[:, :count], [str(row) for row in range(count)]
    kinds = ["event", "reconstruction"]
    if path.suffix == ".png":
        x = stacked(pairs, ACROSS)
        export_strips(x, kinds * (len(x) // 2), rows if count <= ACROSS else [""] * ACROSS, ("", ""), path, run)
    else:
        export_strips(pairs.transpose(0, 1), rows, kinds, ("row", "kind"), path, run)
    within = f" ± {error.stderr:.2g}" if error.stderr else ""
    say(f"Mean squared error a value: {error.value:.4g}{within} over {len(split):,} rows; of their mean event {spread:.4g}.")
    say(f"{count:,} rows and their reconstructions -> {path}")


def _export_traversal(found: Any, reach: float, path: Path, run: Path) -> None:
    """The traversal, in a picture with the start of each row in front where that is not the middle of the row."""
    import torch

    from .strips import export_strips

    x, steps = found.x, found.x.shape[1]
    titles = [f"{v:.3g}" for v in torch.linspace(-reach, reach, steps).tolist()]
    middle = found.values.mean(1)
    away = found.origin[-len(found.activity) :][found.dims] - middle
    if path.suffix == ".png" and bool((away.abs() > 1e-4).any()):
        start = found.start.expand(len(x), 1, *found.start.shape)
        x, titles = torch.cat([start, x], 1), ["start", *titles]
    arrays = {"dims": torch.tensor(found.dims), "values": found.values, "origin": found.origin, "start": found.start}
    export_strips(
        x, [f"z{dim}" for dim in found.dims], titles, ("dimension", "deviations"), path, run, activity=found.activity, **arrays
    )


def _traverse_code(
    model: Any, codes: Any, code: int, most: int | None, reach: float, steps: int, condition: str | None, path: Path,
    run: Path, seed: int,
) -> None:  # fmt: skip
    """A grid of one code, the categories of whose rows a condition names."""
    from .drawing import labels_for
    from .latents import traverse_code
    from .strips import export_strips

    labels = None if condition is None else labels_for(model, condition, most or ACROSS, None)
    x, z, titles = traverse_code(model, code, most or ACROSS, steps, reach, labels, seed)
    export_strips(x, [str(i) for i in range(len(x))], titles, ("draw", codes.names[code]), path, run, z=z)
    kind = "categorical" if code < len(codes.categories) else "continuous"
    say(f"Code {code} of {len(codes)} ({kind}), {len(x)} draws of the rest -> {path}")


def _codes(
    model: Any, run: Path, source: str, row: int | None, part: str | None, root: str | None
) -> tuple["Tensor", "Tensor | None", int | None]:
    """The codes of data, and of one of its rows the code and the label, where one is asked for."""
    import torch

    from .building import load_run_rows
    from .latents import coded

    split = load_run_rows(run, source, part, root)
    batch = split.rows(torch.arange(len(split))[:MOST_CODES])
    codes = coded(model, batch.x, batch.label)
    if row is None:
        return codes, None, None
    one = split.rows(_index([row], split, source))
    label = None if one.label is None or not model.classes else int(one.label)
    return codes, coded(model, one.x, one.label)[0], label


def _label(model: Any, run: Path, condition: str) -> int:
    from .drawing import labels_for
    from .export import label_names

    return int(labels_for(model, condition, 1, label_names(run)))


def _numbers(text: str, name: str) -> list[int]:
    from .core import ConfigError

    words = [word.strip() for word in text.split(",")]
    if not all(word.isdecimal() for word in words):
        raise ConfigError(f"{name}={text!r} is no list of whole numbers: write for example 0,3.")
    return [int(word) for word in words]


def _index(rows: list[int], split: Any, source: str) -> "Tensor":
    import torch

    from .core import ConfigError

    if max(rows) >= len(split):
        raise ConfigError(f"there is no row {max(rows)}: {source} has the rows 0 to {len(split) - 1} here (see --split).")
    return torch.tensor(rows)
