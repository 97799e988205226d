"""The commands that draw: `pofx sample` whole events, `pofx complete` parts of the user's own."""

from pathlib import Path
from typing import Annotated

import typer

from .console import say
from .options import Out, Part, Root, RunPath, Seed, Source

Temperature = Annotated[
    float, typer.Option(help="Below 1 likelier values, 0 the likeliest; for models that draw variable by variable.")
]
Condition = Annotated[
    str | None,
    typer.Option(help="Of a conditional model: a label's name or number, several with commas (in equal parts), or all."),
]
Keep = Annotated[
    str | None,
    typer.Option(help="top, bottom, left, right, or a share such as 0.5. Default: what a table has, of pictures the top."),
]

Draws = Annotated[int | None, typer.Option("-n", "--number", min=1, help="Draws a row. Default: 6 in a picture, else 1.")]
Rows = Annotated[int | None, typer.Option("--rows", min=1, help="The first N rows. Default: 8 in a picture, else all.")]


def sample(
    run: RunPath,
    n: Annotated[int, typer.Option("-n", "--number", min=1, help="How many samples.")] = 64,
    temperature: Temperature = 1.0,
    condition: Condition = None,
    out: Out = None,
    seed: Seed = 0,
) -> None:
    """Draw samples from a trained model: a picture (.png), or numbers (.npz, .npy, .csv, .parquet)."""
    import torch

    from .building import load
    from .drawing import draw_samples, labels_for
    from .export import export_samples, label_names, samples_file

    model = load(run)
    path = samples_file(model.event_shape, out, run)
    labels = None if condition is None else labels_for(model, condition, n, label_names(run))
    drawn = draw_samples(model, n, torch.Generator(model.device).manual_seed(seed), temperature, labels)
    say(f"{n:,} samples -> {export_samples(drawn, path, run)}")


def complete(
    run: RunPath,
    source: Source,
    keep: Keep = None,
    n: Draws = None,
    count: Rows = None,
    temperature: Temperature = 1.0,
    condition: Condition = None,
    part: Part = None,
    out: Out = None,
    seed: Seed = 0,
    root: Root = None,
) -> None:
    """Draw what is missing given the rest: halves of pictures, empty cells of a table.

    A picture (.png) shows in each row the original, what was kept, and the draws.

    A table (.csv) comes back with its empty cells filled in, all else as it was. Arrays (.npz) are x, mask and drawn.
    """
    import torch

    from .building import load, load_run_rows
    from .completion import complete_rows, completing, sees_all, what_to_keep
    from .drawing import labels_for
    from .export import completed_file, export_completed, label_names

    completing(model := load(run))
    path = completed_file(model.event_shape, out, run)
    count, n = (count or 8, n or 6) if path.suffix == ".png" else (count, n or 1)
    split = load_run_rows(run, source, part, root, missing=True)
    rows = split.rows(torch.arange(len(split))[:count])
    model.check(rows.x.nan_to_num(0.0))
    mask, words = what_to_keep(keep, rows.x, torch.Generator().manual_seed(seed))
    own = rows.label if model.classes else None
    labels = own if condition is None else labels_for(model, condition, len(rows), label_names(run))
    generator = torch.Generator(model.device).manual_seed(seed)
    drawn = complete_rows(model, rows.x, mask, n, generator, temperature, labels)
    if not sees_all(model, mask):
        say(f"{model.name} draws in its order: what is kept after a value does not inform it (eonade and markov use all).")
    table = Path(source) if part in (None, "all") and Path(source).suffix.lower() in (".csv", ".tsv", ".txt") else None
    export_completed(rows.x, mask, drawn, path, run, table)
    given = "" if labels is None else f" and the label{f' {condition}' if condition else ''}"
    say(f"{len(rows):,} rows, kept {words}{given}, {n} draw{'s' * (n > 1)} each -> {path}")
