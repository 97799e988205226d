"""The section of a report on adversarial runs: how the game went, what was said of it, how samples came to be."""

import base64
import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .pictures import ACCENT, LINE, Curve, blank, figure_uri
from .tables import breakable, tag

if TYPE_CHECKING:
    from matplotlib.axes import Axes

PICTURES = 6  # of a run, evenly over it
POINTS = 60  # of a curve: neighbours are averaged
COLOURS = (ACCENT, "#d9822b", "#5b9a5b", "#a05fb4")
HINT = (
    "How the players of each adversarial model did while they trained. The discriminator's accuracy on data and on samples is "
    "1 where it is always right and 0.5 where it guesses; the Jensen-Shannon divergence that its values imply is given as a "
    "share of ln 2, the most there is: the best discriminator's would be the true one. Gradient norms are each player's own."
)


@dataclass(frozen=True)
class Game:
    """One adversarial run: curves (examples seen, value) by what they show, warnings, and pictures with their captions."""

    accuracies: dict[str, Curve]
    gradients: dict[str, Curve]
    modes: Curve = field(default_factory=list)
    of: float = 0.0
    kind: str = "modes"
    warnings: Sequence[str] = ()
    pictures: Sequence[tuple[str, Path]] = ()


def game_of(record: list[dict[str, Any]], warnings: Sequence[str], folder: Path | None) -> Game | None:
    """What a run's record and its pictures in `folder` tell of its game; None where it had no discriminator."""
    names = {name for line in record for name in line if "/accuracy" in name}
    if not names:
        return None
    accuracies = {_words(name): _curve(record, name) for name in sorted(names)}
    for name in sorted({name for line in record for name in line if name.endswith("/jsd")}):
        accuracies[_words(name)] = [(seen, value / math.log(2)) for seen, value in _curve(record, name)]
    norms = sorted({name for line in record for name in line if name.endswith("/gradient_norm")})
    gradients = {name.split("/")[0]: _curve(record, name) for name in norms}
    kind = next((k for k in ("modes", "classes") if any(f"{k}/reached" in line for line in record)), "modes")
    of = next((line[f"{kind}/of"] for line in record if f"{kind}/of" in line), 0.0)
    modes = [(line["examples_seen"], line[f"{kind}/reached"]) for line in record if f"{kind}/reached" in line]
    return Game(accuracies, gradients, modes, of, kind, warnings, _pictures(folder))


def game_section(games: dict[str, Game]) -> str:
    """The HTML of all games, nothing where there are none."""
    if not games:
        return ""
    parts = []
    for name, game in games.items():
        said = [tag("li", escape(sentence)) + "\n" for sentence in game.warnings]
        parts += [
            tag("h3", breakable(name)),
            tag("ul", *said, class_="warnings")
            if said
            else tag("p", "The convergence monitor had nothing to warn of.", class_="soft"),
            tag("div", f'<img src="{_plot(game)}" alt="{escape(name)}: accuracies, gradient norms, modes">', class_="game"),
            tag("div", *(_picture(*shown) for shown in game.pictures), class_="gallery frames") if game.pictures else "",
        ]
    return tag("section", tag("h2", "The game"), tag("p", HINT, class_="hint"), "\n", *parts)


def _words(name: str) -> str:
    """discriminator/accuracy_real → on data; category_discriminator figures keep their prefix."""
    player, _, kind = name.partition("/")
    prefix = (
        kind.partition("accuracy")[0].replace("_", " ") if "accuracy" in kind else kind.removesuffix("jsd").replace("_", " ")
    )
    said = {"real": "accuracy on data", "fake": "accuracy on samples", "pair": "accuracy on pairs", "jsd": "implied JSD / ln 2"}
    who = "" if player in ("discriminator", "critic") else f" of {player}"
    return prefix + said[kind.rpartition("_")[2]] + who


def _curve(record: list[dict[str, Any]], name: str) -> Curve:
    """The values under a name, neighbours averaged so that at most about `POINTS` are left."""
    found = [(float(line["examples_seen"]), float(line[name])) for line in record if name in line]
    size = max(1, math.ceil(len(found) / POINTS))
    groups = [found[i : i + size] for i in range(0, len(found), size)]
    return [(group[-1][0], sum(value for _, value in group) / len(group)) for group in groups]


def _pictures(folder: Path | None) -> list[tuple[str, Path]]:
    files = sorted(folder.glob("step-*.png")) if folder is not None else []
    stages = [file for file in files if file.stem.count("-") > 1]  # pictures at the end of a stage have its name
    files = stages or files
    if len(files) > PICTURES and not stages:
        files = [files[round(i * (len(files) - 1) / (PICTURES - 1))] for i in range(PICTURES)]
    return [(_caption(file), file) for file in files]


def _caption(file: Path) -> str:
    _, step, *stage = file.stem.split("-", 2)
    return f"step {int(step):,}" + (f", {stage[0]}" if stage else "")


def _picture(caption: str, file: Path) -> str:
    data = base64.b64encode(_reduced(file)).decode("ascii")
    return tag(
        "figure", tag("figcaption", escape(caption)), f'<img src="data:image/png;base64,{data}" alt="{escape(caption)}">'
    )


def _reduced(file: Path, side: int = 320, colours: int = 64) -> bytes:
    """The picture small enough for a page."""
    from io import BytesIO

    from PIL import Image

    with Image.open(file) as picture:
        small = picture.convert("RGB")
    small.thumbnail((side, side), Image.Resampling.LANCZOS)
    data = BytesIO()
    small.quantize(colours, method=Image.Quantize.MAXCOVERAGE, dither=Image.Dither.NONE).save(data, format="PNG", optimize=True)
    return data.getvalue()


def _plot(game: Game) -> str:
    from matplotlib.ticker import NullFormatter

    panels = 2 + bool(game.modes)
    figure, axes = blank((3.0 * panels, 2.3), panels, pad=0.04)
    _lines(axes[0], game.accuracies, "discriminator")
    axes[0].set_ylim(-0.05, 1.05)
    _lines(axes[1], game.gradients, "gradient norms")
    norms = [value for curve in game.gradients.values() for _, value in curve]
    if norms and min(norms) > 0 and max(norms) > 30 * min(norms):
        axes[1].set_yscale("log")
        axes[1].yaxis.set_minor_formatter(NullFormatter())
    if game.modes:
        _lines(axes[2], {"": game.modes}, f"{game.kind} reached, of {game.of:.0f}")
        axes[2].axhline(game.of, color=LINE, linewidth=0.8, linestyle=":")
        axes[2].set_ylim(0, game.of * 1.08)
    return figure_uri(figure)


def _lines(axes: "Axes", curves: dict[str, Curve], title: str) -> None:
    from matplotlib.ticker import EngFormatter, MaxNLocator

    for (name, curve), colour in zip(curves.items(), COLOURS * (len(curves) // len(COLOURS) + 1), strict=False):
        axes.plot(*zip(*curve, strict=True), color=colour, linewidth=1.3, label=name or None)
    axes.set_title(title, fontsize=8, color=LINE, pad=8)
    axes.xaxis.set_major_formatter(EngFormatter(sep=" "))
    axes.xaxis.set_major_locator(MaxNLocator(4))
    axes.tick_params(which="both", colors=LINE, labelsize=7, length=3)
    axes.spines[["top", "right"]].set_visible(False)
    if any(curves):
        axes.legend(fontsize=6, frameon=False, labelcolor=LINE)
