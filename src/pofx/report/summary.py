"""A comparison in words and as a table of the terminal."""

from typing import TYPE_CHECKING

from .figures import BY_KEY, Cell, Column, Report, differ, in_one_unit, known, listed, ranked, sheet, show

if TYPE_CHECKING:
    from rich.table import Table
    from rich.text import Text

TERMINAL = (
    "log_likelihood", "frechet", "precision", "recall", "coverage", "modes", "anomaly_auroc", "probe_accuracy", "train_seconds",
    "samples_per_second",
)  # fmt: skip
WITH_ERRORS = ("log_likelihood", "frechet", "anomaly_auroc", "probe_accuracy")  # in the terminal, where room is scarce


def winners(report: Report) -> list[str]:
    """What wins at what, a sentence or two for each use: "Density: …", "Generation: …" and so on.

    Exact log-likelihoods are ranked, bounds are only quoted. A lead within two standard errors of the difference is said
    to be none.
    """
    uses = {
        "Density": _density, "Generation": _generation, "Modes": _modes, "Anomalies": _anomalies,
        "Representation": _representation, "Speed": _speed,
    }  # fmt: skip
    sentences = ((use, say(report)) for use, say in uses.items())
    return [f"{use}: {sentence}" for use, sentence in sentences if sentence]


def summary_table(report: Report) -> "Table":
    """The figures as a table for a terminal of 80 columns or more, standard errors below their values."""
    from rich import box
    from rich.table import Table
    from rich.text import Text

    laid = sheet(report)
    kept = [i for i, c in enumerate(laid.columns) if c.key in TERMINAL]
    title = Text(report["data"]["name"])
    caption = "bold: best · ≥ ≤: bound, not ranked · ±: standard error · –: cannot be had"
    table = Table(title=title, caption=caption, box=box.SIMPLE_HEAD, show_edge=False, padding=(0, 1, 0, 0), pad_edge=False)
    table.add_column("model", overflow="fold")
    for column in (laid.columns[i] for i in kept):
        arrow = {"higher": "↑", "lower": "↓"}[column.better]
        table.add_column(f"{column.short}\n{column.unit} {arrow}".strip(), justify="right", no_wrap=True)

    def texts(cells: list[Cell]) -> list[Text]:
        return [_stacked(cells[i], laid.columns[i].key in WITH_ERRORS) for i in kept]

    for name, cells in laid.rows.items():
        table.add_row(Text(name.replace(":", ":\n", 1)), *texts(cells))
    table.add_section()
    table.add_row("real data", *texts(laid.real), style="dim")
    return table


def _stacked(cell: Cell, error: bool) -> "Text":
    """The value, with its standard error below it where asked for, without the spaces inside numbers."""
    from rich.text import Text

    text = Text(cell.text.replace(" ", ""), "bold green" if cell.best else "")
    return text.append(f"\n{cell.error.replace(' ', '')}", "dim") if error and cell.error else text


def _density(report: Report) -> str:
    models, column = report["models"], BY_KEY["log_likelihood"]
    alike, order = in_one_unit(report), ranked(report, column.key)
    if not alike:
        return ""
    best = models[order[0]][column.key] if order else None
    parts = [_exact(report, order) if order else "no model here has an exact log-likelihood to rank."]
    for name in (n for n in alike if n not in order):
        bound = models[name][column.key]
        above = best and bound["value"] > best["value"] and differ(bound, best)
        place = "and already this bound is above every exact value here" if above else "so its place among the others is open"
        parts.append(f"{name} has at least {show(report, column, bound)} nats (a lower bound), {place}.")
    apart = [name for name, m in models.items() if m.get(column.key) and name not in alike]
    if apart:
        parts.append(f"{listed(apart)}: a density of real values, not comparable with probabilities of discrete events.")
    return " ".join(parts)


def _exact(report: Report, order: list[str]) -> str:
    column, models = BY_KEY["log_likelihood"], report["models"]
    first, *others = (f"{show(report, column, models[name][column.key])}" for name in order)
    if not others:
        return f"{order[0]} alone has an exact log-likelihood to rank, {first} nats per event."
    behind = listed([f"{name} ({value})" for name, value in zip(order[1:], others, strict=True)])
    return f"{order[0]} has the highest exact log-likelihood, {first} nats per event, ahead of {behind}{_tie(report, column)}"


def _generation(report: Report) -> str:
    column = BY_KEY["frechet"]
    lead = _lead(report, column, "the lowest Fréchet distance to held-out data")
    return lead and f"{lead} Real data reach {show(report, column, report['data']['real'][column.key])}."


def _modes(report: Report) -> str:
    counted = {name: m["modes"] for name, m in report["models"].items() if m.get("modes")}
    if not counted:
        return ""
    most = max(m["captured"] for m in counted.values())
    names = [name for name, m in counted.items() if m["captured"] == most]
    of, kind = (next(iter(counted.values())).get(key, "modes") for key in ("of", "kind"))
    said = f"{listed(names)} {'captures' if len(names) == 1 else 'capture'} {most} of {of} {kind}"
    if not (near := ranked(report, "high_quality")):
        return said + "."
    column = BY_KEY["high_quality"]
    value = show(report, column, counted[near[0]]["high_quality"])
    return (
        f"{said}; {near[0]} has the largest share of samples within three standard deviations of one, {value}"
        f"{_tie(report, column)}"
    )


def _anomalies(report: Report) -> str:
    return _lead(report, BY_KEY["anomaly_auroc"], "the highest AUROC of corrupted against intact events (0.5 is chance)")


def _representation(report: Report) -> str:
    column, raw = BY_KEY["probe_accuracy"], report["data"].get("raw_probe_accuracy")
    lead = _lead(report, column, "the features that a linear probe reads best")
    if not lead or raw is None:
        return lead
    best = report["models"][ranked(report, column.key)[0]][column.key]
    clearly = "clearly less" if best["value"] > raw["value"] else "clearly more"
    return (
        f"{lead} Raw values reach {show(report, column, raw)} %, {clearly if differ(best, raw) else 'not clearly different'}."
    )


def _speed(report: Report) -> str:
    words = {"train_seconds": "trains fastest ({} s)", "samples_per_second": "samples fastest ({} events per second)"}
    parts = []
    for key, does in words.items():
        if len(order := ranked(report, key)) > 1:
            parts.append((order[0], does.format(show(report, BY_KEY[key], known(report["models"][order[0]], key)))))
    if len(parts) == 2 and parts[0][0] == parts[1][0]:
        return f"{parts[0][0]} {parts[0][1]} and {parts[1][1]}."
    return ", ".join(f"{name} {does}" for name, does in parts) + "." if parts else ""


def _lead(report: Report, column: Column, prize: str) -> str:
    """'NAME has PRIZE, VALUE.', or 'NAME alone …' where nobody competes, or nothing where nobody has such a figure."""
    order = ranked(report, column.key)
    if not order:
        return ""
    value = show(report, column, known(report["models"][order[0]], column.key)) + (" %" if column.unit == "%" else "")
    has = f"has {prize}" if len(order) > 1 else f"alone has such a figure ({column.title})"
    return f"{order[0]} {has}, {value}{_tie(report, column)}"


def _tie(report: Report, column: Column) -> str:
    """The end of a sentence about the best; it names the models which the best does not clearly lead."""
    first, *others = ranked(report, column.key)
    best = known(report["models"][first], column.key)
    near = [name for name in others if not differ(best, known(report["models"][name], column.key))]
    return f"; its lead over {listed(near)} is within two standard errors, no clear win." if near else "."
