"""Pictures: reading one, and writing grids and scatter plots that show what a model makes."""

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from ..core import DataError

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from PIL.Image import Image

_GREY_MODES = ("1", "L", "LA", "La", "I", "I;16", "I;16B", "I;16L")


def read_image(path: str | Path) -> Tensor:
    """A picture file as a tensor (c, h, w) in [0, 1], c = 1 for grey pictures and 3 for all others.

    Palettes are resolved, transparent parts are put on white, 16 bits become 8.
    Raises `DataError` that names a file which is no readable picture.
    """
    with open_image(path) as image:
        return torch.from_numpy(to_bytes(image, 1 if is_grey(image) else 3, str(path))).float() / 255


@contextmanager
def _naming(file: object) -> Iterator[None]:
    """Turn what Pillow raises for a broken file into a `DataError` that names it."""
    from PIL.Image import DecompressionBombError

    try:
        yield
    except (OSError, ValueError, SyntaxError, DecompressionBombError) as error:
        raise DataError(f"{file} is no picture that can be read ({error}): repair or remove it.") from error


def open_image(file: str | Path | IO[bytes], name: str | None = None) -> "Image":
    """An opened picture whose pixels are not read yet; raises `DataError` that names the file."""
    from PIL import Image

    with _naming(name or file):
        return Image.open(file)


def is_grey(image: "Image") -> bool:
    """Whether the picture's format has no colours; a palette counts as grey where all its colours are."""
    if image.mode == "P":
        colours = np.array(image.getpalette("RGB")).reshape(-1, 3)
        return bool((colours == colours[:, :1]).all())
    return image.mode in _GREY_MODES


def upright_size(image: "Image", name: str) -> tuple[int, int]:
    """Width and height after the rotation that the camera has noted."""
    width, height = image.size
    if image.format == "PNG" and "exif" not in image.info:  # to look further would read all pixels
        return width, height
    with _naming(name):
        return (height, width) if image.getexif().get(0x0112, 1) >= 5 else (width, height)


def to_bytes(image: "Image", channels: int, name: str, resize: int | None = None) -> np.ndarray:
    """An opened picture as uint8 (channels, h, w): upright, on white, where asked cut to a square of `resize` pixels."""
    from PIL import Image, ImageOps

    with _naming(name):
        image.load()
        image = _on_white(ImageOps.exif_transpose(image)).convert("L" if channels == 1 else "RGB")
    if resize is not None and image.size != (resize, resize):
        image = ImageOps.fit(image, (resize, resize), method=Image.Resampling.BILINEAR)
    array = np.array(image)
    return array[None] if channels == 1 else np.ascontiguousarray(array.transpose(2, 0, 1))


def _on_white(image: "Image") -> "Image":
    from PIL import Image

    if image.mode.startswith("I"):  # 16 bits
        return Image.fromarray((np.array(image).astype(np.float64) / 257).round().clip(0, 255).astype(np.uint8))
    if image.mode in ("LA", "La", "PA", "RGBA", "RGBa") or "transparency" in image.info:
        image = image.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
    return image


def grid(x: Tensor, columns: int | None = None, pad: int = 1, scale: int | None = None) -> "Image":
    """Images (n, c, h, w) with c = 1 or 3, clamped to [0, 1], as one picture of rows and columns on a grey ground.

    `pad` is the gap in pixels. Small images are enlarged by the whole number `scale`, by default so that each has at
    least 48 pixels a side, without smoothing.

    >>> grid(torch.zeros(6, 1, 8, 8), columns=3, pad=1, scale=1).size
    (28, 19)
    """
    from PIL import Image

    if x.ndim != 4 or x.shape[1] not in (1, 3) or len(x) == 0:
        raise DataError(f"a grid needs images of shape (n, 1 or 3, h, w) with n > 0, got {tuple(x.shape)}.")
    n, _, height, width = x.shape
    columns = columns or math.ceil(math.sqrt(n))
    scale = scale or max(1, math.ceil(48 / max(height, width)))
    codes = (x.detach().cpu().float().nan_to_num().clamp(0, 1) * 255).round().byte().expand(-1, 3, -1, -1)
    codes = codes.repeat_interleave(scale, 2).repeat_interleave(scale, 3)
    high, wide = height * scale + pad, width * scale + pad
    sheet = torch.full((3, pad + math.ceil(n / columns) * high, pad + columns * wide), 128, dtype=torch.uint8)
    for i, image in enumerate(codes):
        top, left = pad + i // columns * high, pad + i % columns * wide
        sheet[:, top : top + high - pad, left : left + wide - pad] = image
    return Image.fromarray(sheet.permute(1, 2, 0).contiguous().numpy())


def save_grid(x: Tensor, path: str | Path, columns: int | None = None) -> None:
    """Write `grid(x, columns)` to a file; folders are made as needed."""
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    grid(x, columns).save(path)


def save_scatter(
    x: Tensor,
    path: str | Path,
    reference: Tensor | None = None,
    surface: tuple[Tensor, Tensor, str] | None = None,
    title: str = "",
) -> None:
    """Write points (n, 2) as a scatter plot, over reference points (m, 2) in grey where given.

    A `surface` = (frame, values, name) is shown as shading below them with a colour bar of that name: values (rows, columns),
    the first row lowest, over the frame (2, 2) of a lower and an upper corner, outside which nothing is shown then. Values of
    "D(x)" are probabilities, shaded from 0 to 1; others from their least to their largest.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    if x.ndim != 2 or x.shape[1] != 2:
        raise DataError(f"a scatter plot needs points of shape (n, 2), got {tuple(x.shape)}.")
    figure = Figure(figsize=(5, 5) if surface is None else (5.6, 5), layout="constrained")
    FigureCanvasAgg(figure)  # no pyplot: nothing global to close
    axes = figure.add_subplot()
    x = x.detach().cpu()
    if surface is not None:
        _shade(axes, *surface)
        inside = ((x >= surface[0][0]) & (x <= surface[0][1])).all(1)
        title += f", {int((~inside).sum()):,} of {len(x):,} samples outside" if not bool(inside.all()) else ""
    if reference is not None:
        axes.scatter(reference[:, 0].cpu(), reference[:, 1].cpu(), s=4, c="0.75" if surface is None else "0.4", label="data")
    colour, edge = ("C0", 0.0) if surface is None else ("black", 0.0)
    axes.scatter(x[:, 0], x[:, 1], s=4, c=colour, linewidths=edge, label="samples")
    axes.set_aspect("equal", adjustable="datalim" if surface is None else "box")
    axes.set_title(title, fontsize=10)
    if reference is not None:
        figure.legend(loc="outside upper center", ncols=2, markerscale=3, frameon=False)
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=120 if surface is None else 100)


def _shade(axes: "Axes", frame: Tensor, values: Tensor, name: str) -> None:
    (left, bottom), (right, top) = frame.tolist()
    probability = name == "D(x)"
    low, high = (0.0, 1.0) if probability else (None, None)
    image = axes.imshow(
        values.numpy(), origin="lower", extent=(left, right, bottom, top), cmap="RdYlBu", vmin=low, vmax=high,
        alpha=0.75, interpolation="bilinear",
    )  # fmt: skip
    said = "D(x): 1 = taken for data, 0 = for a sample" if probability else "critic's value f(x): higher = nearer to data"
    axes.figure.colorbar(image, ax=axes, label=said, shrink=0.85)
    axes.set_xlim(left, right)
    axes.set_ylim(bottom, top)


def save_animation(pictures: Sequence[Path], path: str | Path, seconds: float = 0.5, most_bytes: int = 1_000_000) -> None:
    """Write picture files as one animated GIF, the last picture shown three times as long; smaller where it would be large.

    All frames share the size of the last and have a palette of their own; at most 60 are kept, evenly over the run. Frames are
    made narrower until the file has at most `most_bytes`, down to 120 pixels.
    """
    from PIL import Image

    step = math.ceil(len(pictures) / 60)
    files = [*pictures[::-1][::step]][::-1]  # the last is always kept
    with Image.open(files[-1]) as last:
        width, height = last.size
    for wide in (min(width, 480), 320, 240, 180, 120):
        size = (wide, max(1, round(height * wide / width)))
        frames = []
        for file in files:
            with Image.open(file) as picture:
                small = picture.convert("RGB").resize(size, Image.Resampling.LANCZOS)
            frames.append(small.quantize(96, method=Image.Quantize.MAXCOVERAGE, dither=Image.Dither.NONE))
        times = [round(1000 * seconds)] * (len(frames) - 1) + [round(3000 * seconds)]
        frames[0].save(path, format="GIF", save_all=True, append_images=frames[1:], duration=times, loop=0, optimize=True)
        if Path(path).stat().st_size <= most_bytes or wide >= width:
            break
