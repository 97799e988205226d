"""Diagrams of what autoregressive models see: orders, receptive fields and masks, the last two measured on random networks."""

from collections.abc import Sequence
from io import BytesIO
from pathlib import Path
from typing import Any

import torch
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap, ListedColormap
from matplotlib.figure import Figure
from matplotlib.patches import Patch, Rectangle
from PIL import Image
from torch import Tensor

import pofx
from pofx.nn.masked import spread_degrees
from pofx.nn.order import ORDERS, visiting_order

FOLDER = Path(__file__).parent / "pictures"
LATER, SEEN, DEEPER, NEVER, CENTRE = range(5)  # what an input pixel is to the pixel that is predicted
COLOURS = ("#ececec", "#2f7fb8", "#c5dff0", "#e8871e", "#111111")  # also told apart by the colour-blind
MEANINGS = ("later in the order", "seen", "seen with more layers", "blind spot: never seen", "predicted pixel")
PATHS = LinearSegmentedColormap.from_list("paths", [COLOURS[LATER], "#9cc6e2", "#2f7fb8", "#1b4d78"])
PLACES = LinearSegmentedColormap.from_list("places", ["#3b0f5c", "#2f7fb8", "#5fb79a"])  # white can be read on all of them


def save(figure: Figure, name: str) -> None:
    """Write a figure into the folder of pictures, on white, with 128 colours (a file of half the size)."""
    FOLDER.mkdir(exist_ok=True)
    data = BytesIO()
    figure.savefig(data, dpi=110, facecolor="white")
    with Image.open(data) as image:
        image.convert("RGB").quantize(128, dither=Image.Dither.NONE).save(FOLDER / f"{name}.png", optimize=True)


def blank(axes: Axes) -> Axes:
    """The same axes without frame and ticks."""
    axes.set(xticks=[], yticks=[])
    axes.spines[:].set_visible(False)
    return axes


def cells(axes: Axes, values: Tensor, title: str, paint: Any = COLOURS) -> None:
    """A matrix (h, w) as squares; `paint` is a colour for each of the values 0, 1, …, or a map of colours."""
    colours = paint if isinstance(paint, LinearSegmentedColormap) else ListedColormap(paint)
    high = float(values.max()) if colours is paint else len(paint) - 1
    blank(axes).pcolormesh(values.numpy(), cmap=colours, vmin=0, vmax=high, edgecolors="white", linewidth=1.2)
    axes.set(aspect="equal", ylim=(values.shape[0], 0), title=title)
    for row, column in (values == NEVER).nonzero().tolist() if paint is COLOURS else []:
        axes.add_patch(Rectangle((column, row), 1, 1, fill=False, hatch="////", edgecolor="white", linewidth=0))


def legend(figure: Figure, codes: Sequence[int], meanings: Sequence[str] = MEANINGS) -> None:
    """What the colours mean, in one line below the panels."""
    marks = [
        Patch(facecolor=COLOURS[code], edgecolor="white", hatch="////" if code == NEVER else None, label=meanings[code])
        for code in codes
    ]
    figure.legend(handles=marks, loc="outside lower center", ncols=len(marks), frameon=False, handlelength=1.3)


def orders(side: int = 8, window: int = 8, predicted: tuple[int, int] = (3, 3)) -> None:
    """The three orders of visiting a picture, and which pixels a window of the order lets one conditional see."""
    figure = Figure(figsize=(9, 6.5), layout="constrained")
    axes = figure.subplots(2, 3)
    for above, below, name in zip(*axes, ORDERS, strict=True):
        order = visiting_order(name, (1, side, side), seed=0)
        place = order.argsort().view(side, side)
        cells(above, place, f"order = {name}", PLACES)
        column, row = (order % side + 0.5).tolist(), (order // side + 0.5).tolist()
        if name == "random":
            for d in range(side * side):
                above.text(column[d], row[d], str(d + 1), ha="center", va="center", fontsize=9, color="white")
        else:
            above.plot(column, row, color="white", linewidth=1.3)
            above.plot(column[0], row[0], "o", color="white", markersize=6)
            end = {"xy": (column[-1], row[-1]), "xytext": (column[-2], row[-2])}
            above.annotate("", **end, arrowprops={"arrowstyle": "-|>", "color": "white", "mutation_scale": 16})
        d = int(place[predicted])
        codes = torch.where(place < d, DEEPER, LATER)
        codes[(place < d) & (place >= d - window)] = SEEN
        codes[predicted] = CENTRE
        cells(below, codes, f"{name}, window = {window}")
    meanings = [words if code != DEEPER else "earlier: seen without a window" for code, words in enumerate(MEANINGS)]
    legend(figure, (CENTRE, SEEN, DEEPER, LATER), meanings)
    save(figure, "orders")


def seen_by(name: str, side: int, pixel: tuple[int, int], seeds: int, **arguments: Any) -> Tensor:
    """Which inputs (side, side) the logits of one pixel depend on: those with a gradient in one of some random networks."""
    seen = torch.zeros(side, side, dtype=torch.bool)
    for seed in range(seeds):
        torch.manual_seed(seed)
        model = pofx.build(name, (1, side, side), hidden=8, **arguments).double()
        for parameter in model.parameters():  # the output layer, too, which starts at zero
            torch.nn.init.normal_(parameter, std=0.3)
        x = torch.rand(4, 1, side, side, dtype=torch.float64, requires_grad=True)
        (gradient,) = torch.autograd.grad(model.logits(x)[:, :, 0, *pixel].sum(), x)
        seen |= gradient.abs().amax((0, 1)) > 0
    return seen


def receptive(side: int = 13, pixel: tuple[int, int] = (8, 5), deep: int = 12) -> None:
    """What the logits of one pixel see of the picture, and what they would see in a deep network of the same kind."""
    small = {"first_kernel": 3}
    shown: list[tuple[str, str, dict[str, Any]]] = [
        ("plain, one layer 3×3", "pixelcnn", {"kind": "plain", "layers": 1, "kernel": 1, **small}),
        *((f"plain, {n} layers 3×3", "pixelcnn", {"kind": "plain", "layers": n - 1, **small}) for n in (2, 3, 4)),
        ("plain, 7×7 and six 3×3", "pixelcnn", {"kind": "plain", "layers": 6}),
        ("gated, 7×7 and three 3×3", "pixelcnn", {"kind": "gated", "layers": 3}),
        ("Row LSTM, 2 layers", "pixelrnn", {"kind": "row", "layers": 2, **small}),
        ("Diagonal BiLSTM, 1 layer", "pixelrnn", {"kind": "diagonal", "layers": 1, **small}),
    ]
    earlier = (torch.arange(side * side) < pixel[0] * side + pixel[1]).view(side, side)
    figure = Figure(figsize=(11, 6), layout="constrained")
    for axes, (title, name, arguments) in zip(figure.subplots(2, 4).flat, shown, strict=True):
        deeper = {key: value for key, value in arguments.items() if key != "kernel"} | {"layers": deep}
        seen = seen_by(name, side, pixel, 4, **arguments)
        ever = seen | seen_by(name, side, pixel, 2, **deeper)
        if bool((ever & ~earlier).any()):
            raise ValueError(f"{title}: the pixel sees itself or a later one")
        codes = torch.where(seen, SEEN, torch.where(ever, DEEPER, torch.where(earlier, NEVER, LATER)))
        codes[pixel] = CENTRE
        cells(axes, codes, title)
    legend(figure, (CENTRE, SEEN, DEEPER, NEVER, LATER))
    save(figure, "receptive-fields")


def masks(dims: int = 8, hidden: int = 12) -> None:
    """MADE's two masks and their product, the number of paths from an input to an output; and that for a random order."""
    figure = Figure(figsize=(11, 3.7), layout="constrained")
    axes = figure.subplots(1, 7, width_ratios=[hidden, 1, dims, 1, dims, 1, dims])
    first, last, product = _masks("raster", dims, hidden)
    present = (COLOURS[LATER], COLOURS[SEEN])
    inputs, units = range(1, dims + 1), spread_degrees(hidden, dims).tolist()
    _matrix(axes[0], last, "$M^V$", present, inputs, units).set(ylabel="output d", xlabel="degree of the hidden unit")
    _matrix(axes[2], first, "$M^W$", present, units, inputs).set(ylabel="degree of the hidden unit", xlabel="input d")
    _matrix(axes[4], product, "paths, raster order", PATHS, inputs, inputs).set(ylabel="output d", xlabel="input d")
    _matrix(axes[6], _masks("random", dims, hidden)[2], "paths, random order", PATHS, inputs, inputs).set(xlabel="input d")
    for panel, sign in ((axes[1], "×"), (axes[3], "="), (axes[5], "")):
        blank(panel).text(0.5, 0.5, sign, ha="center", va="center", fontsize=18)
    save(figure, "made-masks")


def _masks(order: str, dims: int, hidden: int) -> tuple[Tensor, Tensor, Tensor]:
    model = pofx.build("made", (dims,), hidden=[hidden], direct=False, order=order)
    first, last = model.layers[0].mask(), model.output.mask()
    return first, last, last @ first


def _matrix(axes: Axes, matrix: Tensor, title: str, paint: Any, rows: Sequence[int], columns: Sequence[int]) -> Axes:
    """A mask, or with `PATHS` a matrix of numbers, with the names of its rows and columns."""
    cells(axes, matrix, title, paint)
    axes.set_xticks(torch.arange(len(columns)) + 0.5, [str(name) for name in columns], fontsize=8)
    axes.set_yticks(torch.arange(len(rows)) + 0.5, [str(name) for name in rows], fontsize=8)
    axes.tick_params(length=0)
    for i, j in matrix.nonzero().tolist() if paint is PATHS else []:
        shade = "white" if matrix[i, j] > matrix.max() / 3 else "black"
        axes.text(j + 0.5, i + 0.5, str(int(matrix[i, j])), ha="center", va="center", fontsize=9, color=shade)
    return axes
