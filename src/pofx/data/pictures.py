"""Pictures: reading one, and writing grids and scatter plots that show what a model makes."""

import math
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from ..core import DataError

if TYPE_CHECKING:
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


def save_scatter(x: Tensor, path: str | Path, reference: Tensor | None = None) -> None:
    """Write points (n, 2) as a scatter plot, over reference points (m, 2) in grey where given."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    if x.ndim != 2 or x.shape[1] != 2:
        raise DataError(f"a scatter plot needs points of shape (n, 2), got {tuple(x.shape)}.")
    figure = Figure(figsize=(5, 5), layout="constrained")
    FigureCanvasAgg(figure)  # no pyplot: nothing global to close
    axes = figure.add_subplot()
    if reference is not None:
        axes.scatter(reference[:, 0].cpu(), reference[:, 1].cpu(), s=4, c="0.75", label="data")
    axes.scatter(x[:, 0].detach().cpu(), x[:, 1].detach().cpu(), s=4, c="C0", label="samples")
    axes.set_aspect("equal", adjustable="datalim")
    if reference is not None:
        figure.legend(loc="outside upper center", ncols=2, markerscale=3, frameon=False)
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=120)
