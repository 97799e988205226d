"""Make the pictures of the documentation: the diagrams of diagrams.py, and what models draw that are trained here.

    python docs/pictures.py [--only orders,receptive,...]           all pictures, or some of them
    python docs/pictures.py --run RUN_DIR --name pixelcnn-mnist     samples and completions of any run of pictures

Models are trained with their presets and seed 0 (once: runs are kept in runs/docs, which is not in git), samples drawn from
seed 0, on one thread. Everything is written to docs/pictures/*.png.
"""

import argparse
import math
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import diagrams
import torch
import torch.nn.functional as F
from matplotlib.figure import Figure
from matplotlib.font_manager import findfont
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

import pofx
from pofx.building import settings_for
from pofx.core import Completes

RUNS = Path(__file__).parent.parent / "runs" / "docs"
MISSING = torch.tensor([0.56, 0.75, 0.88])[:, None, None]  # the colour of what a model is not given
TILE, GREY = 48, 0.6  # the least side of a picture, and the colour between pictures
GAP, INSIDE, BETWEEN = 2, 8, 24  # pixels between pictures, tables, and blocks of tables
Block = list[tuple[str, Tensor]]


def trained(name: str, source: str = "digits", run: str = "", **arguments: Any) -> tuple[Any, pofx.Data]:
    """A model trained with its preset, as `pofx fit` does it, and its data; loaded where it has been trained before."""
    data = pofx.load_data(source, binarize=True) if source == "digits" else pofx.load_data(source)
    settings = settings_for(name, data) | {k: arguments.pop(k) for k in ("schedule",) if k in arguments}
    model = pofx.build_for(name, data, seed=0, **arguments)
    pofx.fit(model, data, RUNS / f"{name}-{source}{run}", seed=0, **settings)
    return model.eval(), data


def seeded() -> torch.Generator:
    """The same random numbers in every picture."""
    return torch.Generator().manual_seed(0)


def tiles(x: Tensor) -> Image.Image:
    """Pictures (rows, columns, channels, h, w) as a table on grey, enlarged without smoothing; NaN is missing."""
    rows, columns, _, height, width = x.shape
    scale = math.ceil(TILE / max(height, width))
    x = torch.where(x.isnan(), MISSING, x).clamp(0, 1).repeat_interleave(scale, 3).repeat_interleave(scale, 4)
    x = F.pad(x, (GAP, 0, GAP, 0), value=GREY).permute(0, 3, 1, 4, 2)
    x = x.reshape(rows * (height * scale + GAP), columns * (width * scale + GAP), 3)
    x = F.pad(x, (0, 0, 0, GAP, 0, GAP), value=GREY)
    return Image.fromarray((x * 255).round().byte().numpy())


def table(x: Tensor, rows: int) -> Tensor:
    """Pictures (n, channels, h, w) as so many rows of a table for `tiles`."""
    return x.unflatten(0, (rows, -1))


def sheet(blocks: Sequence[Block], name: str) -> None:
    """Blocks of titled tables of pictures side by side on white."""
    font, top = ImageFont.truetype(findfont("DejaVu Sans"), 15), 26
    whole, left = Image.new("RGB", (3000, 1500), "white"), 0
    for block in blocks:
        for title, x in block:
            image = tiles(x)
            whole.paste(image, (left, top))
            ImageDraw.Draw(whole).text((left + image.width / 2, top / 2 - 2), title, "black", font, anchor="mm")
            left += image.width + INSIDE
        left += BETWEEN - INSIDE
    diagrams.FOLDER.mkdir(exist_ok=True)
    whole.crop((0, 0, left - BETWEEN, top + image.height)).save(diagrams.FOLDER / f"{name}.png", optimize=True)


def filled(model: Any, x: Tensor, mask: Tensor, title: str, draws: int = 4) -> Block:
    """For each row of x what the model is given, several draws of the rest, and the real one."""
    fill = model.inpaint if isinstance(model, pofx.Inpaints) else model.complete
    drawn = fill(x.repeat_interleave(draws, 0), mask.repeat_interleave(draws, 0), generator=seeded())
    given = torch.where(mask, x, torch.nan)
    return [("given", table(given, len(x))), (title, table(drawn, len(x))), ("real", table(x, len(x)))]


def half(x: Tensor) -> Tensor:
    """A mask that keeps the upper half of the pictures."""
    return (torch.arange(x.shape[2]) < x.shape[2] // 2)[:, None].expand(x.shape)


def samples_and_completions(model: Any, data: pofx.Data, name: str, side: int = 6) -> None:
    """Real pictures from all over the test split, as many samples, and lower halves drawn given upper ones."""
    real, new = (data.test.rows(torch.linspace(0, len(data.test) - 1, n).long()).x for n in (side * side, side))
    drawn = model.sample(len(real), generator=seeded())
    blocks = [[("real (test)", table(real, side))], [("samples", table(drawn, side))]]
    if isinstance(model, pofx.Inpaints | Completes):
        blocks.append(filled(model, new, half(new), "lower half drawn"))
    sheet(blocks, name)


def digits(name: str) -> None:
    """Samples and completions of the preset for the binarised digits."""
    samples_and_completions(*trained(name), f"{name}-digits")


def temperature() -> None:
    """A class-conditional PixelCNN: a row for each label, at temperatures 0, 0.5 and 1."""
    model, _ = trained("pixelcnn", run="-labels", classes=10, schedule="cosine", learning_rate=4e-3)
    labels = torch.arange(10).repeat_interleave(6)
    drawn = {t: model.sample(len(labels), labels, generator=seeded(), temperature=t) for t in (0, 0.5, 1)}
    sheet([[(f"temperature {t:g}", table(x, 10))] for t, x in drawn.items()], "pixelcnn-temperature")


def eonade() -> None:
    """Digits of which a random half, the upper half or the middle is missing, and what EoNADE draws there."""
    model, data = trained("eonade")
    x = data.test.x[:6]
    scattered = torch.rand(x.shape, generator=seeded()) < 0.5
    middle = torch.ones(x.shape, dtype=torch.bool)
    middle[:, :, 2:6, 2:6] = False
    masks = {"a random half drawn": scattered, "upper half drawn": ~half(x), "middle drawn": middle}
    sheet([filled(model, x, mask, title) for title, mask in masks.items()], "eonade-inpainting")


def rnade(reach: float = 1.75, cells: int = 250) -> None:
    """A density of the plane: data, p(x, y) on a grid, and quantiles of y given x."""
    model, data = trained("rnade", "swissroll")
    figure = Figure(figsize=(10, 3.7), layout="constrained")
    points, density, quantiles = axes = figure.subplots(1, 3)
    real = data.test.x
    points.scatter(*real.T, s=3, color="#2f7fb8", linewidths=0)
    points.set_title("data (test)")
    line = torch.linspace(-reach, reach, cells)
    plane = torch.cartesian_prod(line, line)
    with torch.no_grad():
        p = model.log_prob(plane).exp().view(cells, cells)
    density.pcolormesh(line, line, p.T.sqrt(), cmap="Blues", rasterized=True)
    density.set_title("density, √p(x, y)")
    xs = torch.linspace(float(real[:, 0].min()), float(real[:, 0].max()), 2 * cells)
    low, lower, median, upper, high = (
        model.conditional_quantiles(torch.stack([xs, 0 * xs], 1), q)[:, 1] for q in (0.05, 0.25, 0.5, 0.75, 0.95)
    )
    quantiles.fill_between(xs, low, high, color="#c5dff0", linewidth=0, label="5–95 %")
    quantiles.fill_between(xs, lower, upper, color="#7fb4d8", linewidth=0, label="25–75 %")
    quantiles.plot(xs, median, color="#c05a00", label="median")
    quantiles.scatter(*real.T, s=2, color="#444444", linewidths=0)
    quantiles.legend(loc="upper left", frameon=False, fontsize=9, handlelength=1.2)
    quantiles.set_title("quantiles of y given x")
    for each in axes:
        each.set(aspect="equal", xlim=(-reach, reach), ylim=(-reach, reach), xlabel="x")
    points.set_ylabel("y")
    diagrams.save(figure, "rnade-swissroll")


PICTURES: dict[str, Callable[[], None]] = {
    "orders": diagrams.orders,
    "receptive": diagrams.receptive,
    "masks": diagrams.masks,
    **{name: partial(digits, name) for name in ("nade", "made", "pixelcnn", "pixelrnn")},
    "temperature": temperature,
    "eonade": eonade,
    "rnade": rnade,
}


def main() -> None:
    """Read the command line and make what it asks for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default=",".join(PICTURES), help="names separated by commas")
    parser.add_argument("--run", help="a run directory: show its samples and completions")
    parser.add_argument("--name", help="the picture's name, with --run")
    chosen = parser.parse_args()
    torch.set_num_threads(1)
    if chosen.run:
        samples_and_completions(pofx.load(chosen.run), pofx.load_run_data(chosen.run), chosen.name or Path(chosen.run).name)
        return
    for name in chosen.only.split(","):
        if name not in PICTURES:
            parser.error(f"there is no picture {name!r}: {', '.join(PICTURES)}")
        PICTURES[name]()


if __name__ == "__main__":
    main()
