"""Samples at the end of each stage of a growing run, the same noise in each: `python docs/progan_pictures.py`.

It trains what `pofx fit progan digits` and `pofx fit progan shapes` train, under `runs/`, where a run that is there is taken up.
"""

from pathlib import Path

from PIL import Image

import pofx
from pofx.building import settings_for

PICTURES = Path(__file__).parent / "pictures"
COLUMNS, ROWS = 4, 4  # events of each stage that are shown
SIDE = 150  # pixels of a stage's picture


def stages(run: Path) -> list[Path]:
    """The pictures at the ends of stages, in their order."""
    return sorted(run.glob("samples/step-*-*.png"), key=lambda path: int(path.stem.split("-")[1]))


def corner(path: Path, shape: tuple[int, ...], pad: int = 1) -> Image.Image:
    """The first events of a grid of 8 × 8."""
    _, height, width = shape
    picture = Image.open(path).convert("RGB")
    cut = picture.crop((0, 0, COLUMNS * (width + pad) + pad, ROWS * (height + pad) + pad))
    return cut.resize((SIDE, SIDE), Image.Resampling.NEAREST if height < 32 else Image.Resampling.LANCZOS)


def strip(name: str) -> None:
    """Train on a data set and lay its stages side by side."""
    data, run = pofx.load_data(name), Path("runs") / f"progan-{name}"
    model = pofx.build_for("progan", data)
    pofx.fit(model, data, run, **settings_for("progan", data))
    found = stages(run)
    page = Image.new("RGB", (len(found) * (SIDE + 8) - 8, SIDE), "white")
    for i, path in enumerate(found):
        page.paste(corner(path, data.event_shape), (i * (SIDE + 8), 0))
    page.quantize(128).save(PICTURES / f"progan-{name}.png", optimize=True)


if __name__ == "__main__":
    strip("digits")
    strip("shapes")
