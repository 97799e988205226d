"""A comparison as one HTML file that needs neither a network nor scripts: sentences, figures, pictures, how they were made."""

from collections.abc import Iterable
from datetime import datetime
from html import escape
from importlib.resources import files
from pathlib import Path
from string import Template

from torch import Tensor

from .figures import Figure, Report, number
from .game import Game, game_section
from .pictures import Pictures, curve_plot, image_grids, is_image, label_map, palette, rows_uri, scatter
from .summary import winners
from .tables import breakable, corruption_table, events_table, figures_table, tag

REAL = "real data"
LONGEST_LEGEND = 40
LEGEND_OF_FIGURES = (
    "The best of each column is marked; ↑ higher or ↓ lower is better; ± one standard error. ≥ and ≤ are bounds, never ranked "
    "among exact values; – is what a model cannot give, with the reason below the table."
)


def write_report(report: Report, pictures: Pictures, path: Path, games: dict[str, Game] | None = None) -> None:
    """Write the page: what wins at what, the table with its notes, samples, extremes, maps, curves, how figures were made.

    `report` is the content of report.json; `games` are the adversarial runs among its models. Everything is inside the file,
    pictures too; folders are made as needed.
    """
    sentences = (escape(sentence).replace(" ± ", "&nbsp;±&nbsp;").partition(": ") for sentence in winners(report))
    sections = [
        _header(report),
        _section("What wins at what", "", _terms([(use, said) for use, _, said in sentences], "wins")),
        _section("Figures", LEGEND_OF_FIGURES, figures_table(report)),
        _samples(pictures),
        _copies(pictures),
        _extremes(pictures),
        _maps(pictures),
        _curves(pictures),
        game_section(games or {}),
        _method(report),
        tag("footer", f"pofx {escape(report['pofx'])} · {_date(report)} · the same figures for programs: report.json"),
    ]
    template = Template(files(__package__).joinpath("template.html").read_text(encoding="utf-8"))
    title = escape(f"{report['data']['name']}: models compared")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(template.substitute(title=title, content="\n".join(filter(None, sections))), encoding="utf-8")


def _header(report: Report) -> str:
    data, count = report["data"], len(report["models"])
    return tag(
        "header",
        tag("p", f"pofx compare · {count} model{'s' if count > 1 else ''}", class_="eyebrow"),
        tag("h1", escape(data["name"])),
        tag("p", escape(data["description"]), class_="lede"),
        tag("p", f"{_date(report)} · seed {report['seed']}", class_="soft"),
    )


def _date(report: Report) -> str:
    created = datetime.fromisoformat(report["created"])
    return f"{created.day} {created:%B %Y, %H:%M}"


def _section(title: str, hint: str, *body: str) -> str:
    return tag("section", tag("h2", title), tag("p", hint, class_="hint") if hint else "", "\n", *body)


def _terms(pairs: Iterable[tuple[str, str]], kind: str = "") -> str:
    """A list of terms and what there is to say of them, already HTML."""
    return tag("dl", *(tag("dt", term) + tag("dd", said) + "\n" for term, said in pairs), class_=kind)


def _samples(pictures: Pictures) -> str:
    if not pictures.samples:
        return ""
    hint = "Held-out events beside what each model draws, in the order drawn: nothing was picked."
    return _section("Generation", hint, _gallery({REAL: pictures.real, **pictures.samples}, pictures))


def _copies(pictures: Pictures) -> str:
    if not pictures.copies or not is_image(tuple(pictures.real.shape[1:])):
        return ""
    hint = (
        "In the first column of each, the samples that lie nearest to one training picture compared with all others, most "
        "suspicious first; beside each, its nearest training pictures. A sample that equals its neighbour is a copy."
    )
    figures = [_figure(name, rows_uri(rows)) for name, rows in pictures.copies.items()]
    return _section("Copies", hint, tag("div", *figures, class_="gallery"))


def _extremes(pictures: Pictures) -> str:
    if not pictures.likely:
        return ""
    kinds = {"most likely": pictures.likely, "least likely": pictures.unlikely}
    groups = {f"{name}, {kind}": events[name] for name in pictures.likely for kind, events in kinds.items()}
    hint = "The test events that each model finds most and least likely, by its log-probability or its bound on it."
    return _section("Density", hint, _gallery(groups, pictures, "gallery pairs"))


def _gallery(groups: dict[str, Tensor], pictures: Pictures, kind: str = "gallery") -> str:
    """Groups of events to look at: as grids of images, as points over the real ones, or as rows of a table."""
    shape = tuple(pictures.real.shape[1:])
    if is_image(shape):
        return tag("div", *(_figure(name, uri) for name, uri in image_grids(groups).items()), class_=kind)
    if shape != (2,):
        return events_table(groups, pictures.column_names)
    figures = []
    for name, points in groups.items():
        uri, outside = scatter(points, pictures.real)
        figures.append(_figure(name, uri, f"{outside:,} of {len(points):,} lie outside the frame" if outside else ""))
    return tag("div", *figures, class_=kind)


def _figure(name: str, uri: str, note: str = "") -> str:
    """A picture below its name and above its note; which extreme it shows goes on a line of its own."""
    title, _, extreme = name.rpartition(", ") if name.endswith(" likely") else (name, "", "")
    caption = tag("figcaption", breakable(title), tag("small", extreme) if extreme else "")
    image = f'<img src="{uri}" alt="{escape(name)}">'
    below = tag("p", note, class_="note") if note else ""
    return tag("figure", caption, tag("div", image, below), class_="yardstick" if name == REAL else "") + "\n"


def _maps(pictures: Pictures) -> str:
    if not pictures.maps:
        return ""
    largest = [int(label.max()) for _, label in pictures.maps.values() if label is not None]
    names = (pictures.label_names or [str(i) for i in range(max(largest) + 1)]) if largest else []
    colours = palette(max(len(names), *(i + 1 for i in largest))) if largest else []
    figures = [_figure(name, label_map(points, labels, colours)) for name, (points, labels) in pictures.maps.items()]
    keys = [tag("li", tag("span", style=f"background:{c}"), escape(n)) for n, c in zip(names, colours, strict=False)]
    hint = "What each model's features make of the test events, along their first two principal components"
    hint += "; coloured by label." if names else "."
    legend = tag("ul", *keys, class_="legend") if 0 < len(keys) <= LONGEST_LEGEND else ""
    return _section("Representation", hint, legend, tag("div", *figures, class_="gallery"))


def _curves(pictures: Pictures) -> str:
    figures = [
        _figure(name, curve_plot(curve), f"{number(curve[-1][1], 2)} after {curve[-1][0]:,.0f} examples")
        for name, curve in pictures.curves.items()
        if len(curve) > 1
    ]
    hint = "Loss against the training examples seen; each model has a scale of its own."
    return _section("Training", hint, tag("div", *figures, class_="gallery wide")) if figures else ""


def _method(report: Report) -> str:
    data = report["data"]
    ways = "; ".join(f"{tag('b', escape(name))}, {escape(how)}" for name, how in data["corruptions"].items())
    pairs = [
        ("Log-likelihood", _likelihood_words(report["models"].values())),
        ("Features", escape(data["features"]) + _accuracy_words(data.get("feature_accuracy"))),
        ("Samples", "Fréchet and kernel distance, precision, recall and coverage compare a model's samples with held-out "
                    "events in these features. Real data are training events in the place of samples: what a perfect model "
                    "would reach."),
        ("Pictures", _picture_words(report["models"].values())),
        ("Modes", _mode_words(report["models"].values())),
        ("Anomalies", f"Area under the ROC curve of intact against corrupted test events: {ways}."),
        ("Probe", "Accuracy on the test events of a logistic regression on frozen features; of real data, on the raw values."),
        ("Machine", escape(report["machine"])),
        ("Command", tag("code", escape(report["command"]))),
        ("Version", f"pofx {escape(report['pofx'])}, seed {report['seed']}"),
    ]  # fmt: skip
    table = corruption_table(report)
    return _section(
        "How the figures were made", "", _terms(filter(all, pairs)), tag("h3", "AUROC by corruption") if table else "", table
    )


def _likelihood_words(models: Iterable[Figure]) -> str:
    samples = {m["log_likelihood"]["samples"] for m in models if m["log_likelihood"] and "samples" in m["log_likelihood"]}
    bounds = (
        f" Lower bounds take {' or '.join(f'{k:,}' for k in sorted(samples))} importance samples per event." if samples else ""
    )
    return f"Mean over the test events, in nats per event. Bits per dimension say the same per variable.{bounds}"


def _mode_words(models: Iterable[Figure]) -> str:
    kinds = {m["modes"].get("kind", "modes") for m in models if m.get("modes")}
    if not kinds:
        return ""
    if "classes" in kinds:
        return (
            "The modes of labelled pictures are their classes, as a small classifier of the training split sees samples; a "
            "class is reached where it has a tenth of its share in the data (of stacked digits: one sample). KL is the "
            "divergence of the shares of samples per class from those of the data."
        )
    return (
        "A sample is near a mode within three standard deviations of its centre; a mode with such a sample is captured. KL is "
        "the divergence of the shares of samples per mode from equal shares."
    )


def _picture_words(models: Iterable[Figure]) -> str:
    if not any(m.get("sliced_wasserstein") or m.get("ms_ssim") for m in models):
        return ""
    return (
        "Sliced Wasserstein distance of 7 × 7 patches, mean over the levels of a Laplacian pyramid, in thousandths of a "
        "channel's deviation; multi-scale structural similarity of pairs of samples, where lower means more variety and the "
        "value of real data is what to aim at. Copies are samples whose nearest training picture is less than a third as far "
        "as their second nearest; the yardstick is the share of held-out pictures."
    )


def _accuracy_words(accuracy: Figure | None) -> str:
    if accuracy is None:
        return ""
    share, error = accuracy["value"] * 100, (accuracy["stderr"] or 0) * 100
    return f" The classifier behind them is right on {share:.1f} ± {error:.1f} % of {accuracy['n']:,} held-out events."
