"""Rows of events that belong together, with a name each: as a picture, a table or arrays."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from .data.pictures import grid
from .export import ARRAYS, TABLES, column_names, expect_suffix, export_table, in_units, transform_of, write_arrays

if TYPE_CHECKING:
    from PIL.Image import Image

PAD, MARGIN, SIZE = 2, 8, 13  # pixels between pictures, around text, and of text


def strips_file(event_shape: tuple[int, ...], out: Path | None, run: Path, name: str) -> Path:
    """Where strips go, RUN/name.png of pictures and RUN/name.csv of all else; `ConfigError` for an unfit suffix."""
    image = len(event_shape) == 3
    out = out or Path(run) / f"{name}.{'png' if image else 'csv'}"
    expect_suffix(out, (".png", *ARRAYS) if image else (*TABLES, *ARRAYS), "events side by side")
    return out


def export_strips(
    x: Tensor, rows: Sequence[str], columns: Sequence[str], names: tuple[str, str], out: Path, run: Path, **arrays: Tensor
) -> None:
    """Write events x (rows, columns, *event_shape), whose rows and columns have titles.

    A picture has the titles at its edges. A table has a row for each event, with its two titles in columns called `names`,
    in the units of the file. Arrays are x, in these units too, and whatever else is given.
    """
    if out.suffix == ".png":
        out.parent.mkdir(parents=True, exist_ok=True)
        titled_grid(x, rows, columns).save(out)
        return
    known = transform_of(run)["known"]
    x = in_units(x, known)
    if out.suffix in ARRAYS:
        write_arrays(out, x=x.numpy(), **{name: array.numpy() for name, array in arrays.items()})
        return
    flat = x.flatten(0, 1).flatten(1)
    titles = {names[0]: [row for row in rows for _ in columns], names[1]: [*columns] * len(rows)}
    export_table({**titles, **{name: flat[:, i].numpy() for i, name in enumerate(column_names(known, flat.shape[1]))}}, out)


def titled_grid(x: Tensor, rows: Sequence[str], columns: Sequence[str]) -> "Image":
    """Images (rows, columns, c, h, w) as a grid on white, a title to the left of each row and above each column."""
    columns = [title.replace("-", "−") for title in columns]
    from matplotlib import get_data_path
    from PIL import Image, ImageDraw, ImageFont

    pictures = grid(x.flatten(0, 1), columns=x.shape[1], pad=PAD)
    font = ImageFont.truetype(str(Path(get_data_path()) / "fonts" / "ttf" / "DejaVuSans.ttf"), SIZE)
    left = max(round(font.getlength(row)) for row in rows) + 2 * MARGIN
    top = SIZE + 2 * MARGIN if any(columns) else MARGIN
    sheet = Image.new("RGB", (left + pictures.width + MARGIN, top + pictures.height + MARGIN), "white")
    sheet.paste(pictures, (left, top))
    pen = ImageDraw.Draw(sheet)
    high, wide = ((size - PAD) / count for size, count in zip((pictures.height, pictures.width), x.shape[:2], strict=True))
    for i, title in enumerate(rows):
        pen.text((left - MARGIN, top + PAD / 2 + (i + 0.5) * high), title, "black", font, anchor="rm")
    for i, title in enumerate(columns):
        pen.text((left + PAD / 2 + (i + 0.5) * wide, top - MARGIN / 2), title, "black", font, anchor="ms")
    return sheet


def stacked(x: Tensor, across: int, ground: float = 0.5) -> Tensor:
    """Strips (rows, n, *event_shape) cut after every `across` columns and stacked: (blocks · rows, across, *event_shape)."""
    rows, n = x.shape[:2]
    across = min(n, across)
    missing = -n % across
    x = torch.cat([x, x.new_full((rows, missing, *x.shape[2:]), ground)], 1)
    return x.unflatten(1, (-1, across)).transpose(0, 1).flatten(0, 1)
