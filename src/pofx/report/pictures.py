"""Pictures of a report as data URIs: grids of images, scatter plots, maps of features, training curves."""

import base64
import math
from dataclasses import dataclass, field
from io import BytesIO
from typing import TYPE_CHECKING

from torch import Tensor
from torch.nn.functional import interpolate

from ..data.pictures import grid

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

ACCENT, GROUND, LINE = "#3d85c6", "#9aa3ab", "#828b94"  # readable on white and on near-black
LARGEST = 64  # pixels a side; larger images are shown reduced
BUDGET = 450_000  # pixel values in all grids of a section, so that the page stays small
MOST_POINTS = 2_000

Curve = list[tuple[float, float]]


@dataclass(frozen=True)
class Pictures:
    """What the pictures of a report are made of, for each model where it has it.

    `real` are held-out events (n, *event_shape), `samples` as many of a model; `likely` and `unlikely` the test events to
    which it gives the most and the least density, best first; `maps` points (n, 2) with labels (n,) where there are any;
    `curves` (examples seen, loss); `copies` the samples
    nearest to a training event, each with its nearest training events, (rows, 1 + k, *event_shape).
    """

    real: Tensor
    samples: dict[str, Tensor] = field(default_factory=dict)
    likely: dict[str, Tensor] = field(default_factory=dict)
    unlikely: dict[str, Tensor] = field(default_factory=dict)
    maps: dict[str, tuple[Tensor, Tensor | None]] = field(default_factory=dict)
    label_names: list[str] | None = None
    curves: dict[str, Curve] = field(default_factory=dict)
    copies: dict[str, Tensor] = field(default_factory=dict)
    column_names: list[str] | None = None


def is_image(event_shape: tuple[int, ...]) -> bool:
    """Whether events of this shape can be drawn as grey or colour images."""
    return len(event_shape) == 3 and event_shape[0] in (1, 3)


def image_grids(groups: dict[str, Tensor]) -> dict[str, str]:
    """Groups of images (n, c, h, w) as square grids of one size; as many of each as a page can hold."""
    groups = {name: _reduced(x) for name, x in groups.items()}
    values = next(iter(groups.values()))[0].numel()
    fits = next((n for n in (64, 36, 16, 9) if n * values * len(groups) <= BUDGET), 4)
    shown = min(fits, min(len(x) for x in groups.values()))
    return {name: _image_uri(x[:shown]) for name, x in groups.items()}


def scatter(points: Tensor, real: Tensor) -> tuple[str, int]:
    """Points (n, 2) over the real ones (m, 2) in grey, and how many of them lie outside the frame that the real ones set."""
    points, real = points[:MOST_POINTS].detach().cpu(), real[:MOST_POINTS].cpu()
    low, high = real.amin(0), real.amax(0)
    centre, reach = (low + high) / 2, float((high - low).max()) * 0.6 or 1.0
    figure, axes = _square()
    axes.scatter(real[:, 0], real[:, 1], s=3, c=GROUND, linewidths=0, alpha=0.6)
    axes.scatter(points[:, 0], points[:, 1], s=4 if len(points) > 100 else 22, c=ACCENT, linewidths=0, alpha=0.8)
    x, y = centre.tolist()
    axes.set_xlim(x - reach, x + reach)
    axes.set_ylim(y - reach, y + reach)
    axes.set_aspect("equal", adjustable="box")
    return figure_uri(figure), int(((points - centre).abs() > reach).any(1).sum())


def label_map(points: Tensor, labels: Tensor | None, colours: list[str]) -> str:
    """Points (n, 2) coloured by label (n,), or all alike."""
    points = points[:MOST_POINTS].detach().cpu()
    figure, axes = _square()
    colour = ACCENT if labels is None else [colours[i] for i in labels[:MOST_POINTS].tolist()]
    axes.scatter(points[:, 0], points[:, 1], s=9, c=colour, linewidths=0, alpha=0.85)
    axes.margins(0.04)
    axes.set_aspect("equal", adjustable="datalim")
    return figure_uri(figure)


def palette(count: int) -> list[str]:
    """So many colours that can be told apart, as #rrggbb; beyond twenty neighbours look alike."""
    from matplotlib import colormaps
    from matplotlib.colors import to_hex

    if count > 20:
        return [to_hex(colormaps["turbo"](0.05 + 0.9 * i / (count - 1))) for i in range(count)]
    name = "tab10" if count <= 10 else "tab20"
    return [to_hex(colormaps[name](i)) for i in range(count)]


def curve_plot(curve: Curve) -> str:
    """A curve of (examples seen, loss), its last value dotted."""
    from matplotlib.ticker import EngFormatter, MaxNLocator

    figure, axes = _blank((3.2, 2.1))
    seen, loss = zip(*curve, strict=True)
    axes.plot(seen, loss, color=ACCENT, linewidth=1.6)
    axes.plot(seen[-1:], loss[-1:], "o", color=ACCENT, markersize=4)
    axes.xaxis.set_major_formatter(EngFormatter(sep=" "))
    axes.xaxis.set_major_locator(MaxNLocator(4))
    axes.yaxis.set_major_locator(MaxNLocator(4))
    axes.tick_params(colors=LINE, labelsize=8, length=3)
    axes.spines[["top", "right"]].set_visible(False)
    return figure_uri(figure)


def _reduced(x: Tensor) -> Tensor:
    height, width = x.shape[2:]
    if max(height, width) <= LARGEST:
        return x
    ratio = LARGEST / max(height, width)
    return interpolate(x.float(), size=(round(height * ratio) or 1, round(width * ratio) or 1), mode="area")


def rows_uri(x: Tensor) -> str:
    """Rows of images (rows, columns, c, h, w) as one picture."""
    return _image_uri(_reduced(x.flatten(0, 1)), columns=x.shape[1])


def _image_uri(x: Tensor, columns: int | None = None) -> str:
    data = BytesIO()
    grid(x, columns=columns or math.ceil(math.sqrt(len(x))), pad=3).save(data, format="PNG", optimize=True)
    return _uri(data)


def _square() -> "tuple[Figure, Axes]":
    figure, axes = _blank((2.6, 2.6))
    axes.set_xticks([])
    axes.set_yticks([])
    return figure, axes


def _blank(inches: tuple[float, float]) -> "tuple[Figure, Axes]":
    figure, axes = blank(inches)
    return figure, axes[0]


def blank(inches: tuple[float, float], panels: int = 1, pad: float = 0.005) -> "tuple[Figure, list[Axes]]":
    """A figure of so many panels side by side, transparent, its frames in a colour that suits light and dark pages."""
    from matplotlib.figure import Figure
    from matplotlib.layout_engine import ConstrainedLayoutEngine

    figure = Figure(figsize=inches, dpi=160, layout=ConstrainedLayoutEngine(w_pad=pad, h_pad=pad))  # no pyplot to close
    figure.patch.set_alpha(0)
    row = [figure.add_subplot(1, panels, i + 1) for i in range(panels)]
    for axes in row:
        axes.patch.set_alpha(0)
        for spine in axes.spines.values():
            spine.set_color(LINE)
            spine.set_linewidth(0.6)
    return figure, row


def figure_uri(figure: "Figure") -> str:
    """A figure as the data URI of a PNG."""
    data = BytesIO()
    figure.savefig(data, format="png", metadata={"Software": None})
    return _uri(data)


def _uri(data: BytesIO) -> str:
    return "data:image/png;base64," + base64.b64encode(data.getvalue()).decode("ascii")
