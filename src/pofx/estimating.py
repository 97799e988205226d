"""The command `pofx likelihood`: ln p(x) of models that have only a bound, and how far the estimate may be off."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from .console import console, say
from .options import Part, Root, RunPath, Seed, Source

if TYPE_CHECKING:
    from rich.table import Table

    from .core import OnStep
    from .likelihood import BidirectionalCheck, LikelihoodEstimate
    from .metrics import Estimate
    from .training.progress import Progress

ROWS = {"annealed": 100}  # rows looked at where the user names no number: chains take long
OTHER_ROWS = 1000

Method = Annotated[
    str, typer.Option(help="importance: codes of the encoder; annealed: chains from the prior; prior: codes of the prior.")
]
Samples = Annotated[int, typer.Option(min=1, help="Codes a row (importance, prior).")]
Steps = Annotated[int, typer.Option(min=1, help="Steps of a chain (annealed, and --check).")]
Chains = Annotated[int, typer.Option(min=1, help="Chains a row (annealed, and --check).")]
Noise = Annotated[
    float | None, typer.Option(help="Of a decoder without likelihood (aae, wae): the deviation of x about decode(z).")
]
Widen = Annotated[float, typer.Option(help="Multiplies the deviations of the encoder's q(z | x) (importance).")]
Rows = Annotated[int | None, typer.Option(min=1, help="The first N rows. Default: 1000; annealed: 100.")]
Check = Annotated[bool, typer.Option("--check", help="Bounds from both sides on events drawn from the model.")]
CheckRows = Annotated[int, typer.Option(min=1, help="How many events --check draws.")]


def likelihood(
    run: RunPath,
    source: Source,
    method: Method = "importance",
    samples: Samples = 5000,
    steps: Steps = 1000,
    chains: Chains = 16,
    noise: Noise = None,
    widen: Widen = 1.0,
    rows: Rows = None,
    check: Check = False,
    check_rows: CheckRows = 50,
    part: Part = None,
    seed: Seed = 0,
    root: Root = None,
) -> None:
    """Estimate ln p(x) of DATA under a model with codes, with its confidence interval; writes RUN/likelihood.json.

    For models with only a bound (vae), and decoders given observation noise (aae, wae). Exact densities: pofx score.

    --check draws events from the model and brackets their ln p(x) from below and above (bidirectional Monte Carlo).
    """
    import torch

    from .building import load, load_run_rows
    from .likelihood import estimate_log_likelihood, simulate_and_check
    from .training.checkpoint import write_json

    model = load(run)
    split = load_run_rows(run, source, part, root)
    chosen = split.rows(torch.arange(len(split))[: rows or ROWS.get(method, OTHER_ROWS)])
    label = chosen.label if model.classes else None
    with _bar("estimating", len(chosen)) as bar:
        options: dict[str, Any] = {"noise": noise, "widen": widen, "seed": seed, "on_step": _told(bar)}
        estimate = estimate_log_likelihood(model, chosen.x, method, samples, steps, chains, label=label, **options)
    checked = None
    if check:
        with _bar("checking", check_rows) as bar:
            also = samples if method == "importance" else None
            checked = simulate_and_check(model, check_rows, steps, chains, samples=also, **options | {"on_step": _told(bar)})
    console().print(_table(estimate, checked))
    for sentence in _sentences(estimate, checked):
        say(f"– {sentence}")
    path = Path(run) / "likelihood.json"
    settings = {"source": source, "split": part, "seed": seed}
    write_json(path, settings | {"estimate": estimate.as_dict(), "check": checked.as_dict() if checked else None})
    say(f"All figures -> {path}")


def _table(estimate: "LikelihoodEstimate", checked: "BidirectionalCheck | None") -> "Table":
    from rich.table import Table

    table = Table("events", "what it is", "nats", "95 % interval", "n")
    method = estimate.method.split(" with ")[0]
    _add(table, "data", f"{method}: ≥", estimate.mean)
    if checked is not None:
        _add(table, "drawn from the model", "lower: annealed forward", checked.lower)
        if checked.importance is not None:
            _add(table, "", "importance sampling", checked.importance)
        _add(table, "", "upper: annealed in reverse", checked.upper)
        _add(table, "", "gap of upper and lower", checked.gap)
    return table


def _add(table: "Table", events: str, what: str, estimate: "Estimate") -> None:
    from .likelihood import interval

    stderr, bounds = estimate.stderr, interval(estimate)
    value = f"{estimate.value:.3f}" + ("" if stderr is None else f" ± {stderr:.3f}")
    table.add_row(events, what, value, "–" if bounds is None else f"{bounds[0]:.3f} to {bounds[1]:.3f}", f"{estimate.n:,}")


def _sentences(estimate: "LikelihoodEstimate", checked: "BidirectionalCheck | None") -> list[str]:
    """What the figures are, and what to beware of."""
    effective = estimate.effective_samples
    lines = [
        f"{estimate.density}: a {estimate.kind}, by {estimate.method}.",
        "± is the standard error over rows, the interval is normal; of it, the noise of the estimates themselves is "
        f"{estimate.monte_carlo_error:.3f}. Neither knows how far the bound lies below ln p(x).",
        f"Effective samples a row: median {effective.median():.1f}, least {effective.min():.1f}, of {estimate.samples:,}.",
        *estimate.warnings,
    ]
    if checked is not None:
        lines.append(
            f"On {checked.method}. In expectation lower ≤ ln p(x) ≤ upper: on such events an annealed estimate with these "
            f"settings is at most about {max(0.0, checked.gap.value):.2f} nats too low. Data may be harder than they are."
        )
    return lines


def _bar(label: str, total: int) -> "Progress":
    from .training.progress import Progress

    return Progress(label, total, enabled=sys.stderr.isatty(), unit="row")


def _told(bar: "Progress") -> "OnStep":
    return lambda done, total: bar.update(done, {})
