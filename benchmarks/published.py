"""Published figures, reproduced: each row trains, chooses on validation, and scores the test split once.

    POFX_DATA=... python benchmarks/published.py [--only dna,nade,...] [--list]

Runs are kept in benchmarks/runs (not in git) and taken up where they were interrupted; a finished row is written to
results.json and RESULTS.md at once. A row has the time of all its candidates.
"""

import argparse
import os
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from rich.console import Console
from torch.distributions import constraints

import pofx
from figures import CODES, FIGURES, SEED, log_likelihood
from pofx.building import settings_for
from pofx.comparison import machine
from pofx.data import Split
from pofx.metrics import Estimate, mean_estimate
from published_rows import ROWS
from results import record
from row import Row

RUNS = Path(__file__).parent / "runs"
console = Console(stderr=True)


@dataclass
class Best:
    """The candidate with the best validation figure so far."""

    figure: float = float("-inf")
    model: pofx.GenerativeModel | None = None
    arguments: dict[str, Any] = field(default_factory=dict)


def reproduce(row: Row) -> dict[str, Any]:
    """Train a row's candidates, choose by validation log-likelihood, measure on the test split (or every fold's, or seed's)."""
    what, better, _ = FIGURES[row.figure]
    test, best, seconds = across_folds(row) if row.folds else across_seeds(row)
    reached = f"{test.value:.4g} ± {test.stderr:.2g} {test.unit}"
    console.print(f"[bold]{row.id}: {what} {reached}, published {row.published}, with {best.arguments}")
    bound = f", bound with {CODES:,} codes" if row.figure == "log-likelihood" and is_bound(best.model) else ""
    repeats = f", {row.folds} folds" if row.folds else f", {row.seeds} seeds" if row.seeds > 1 else ""
    chosen = ", ".join(f"{k}={v}" for k, v in (best.arguments | row.scored).items())
    return {
        "id": row.id, "kind": "published", "model": f"{row.model}: {chosen}" if chosen else row.model, "data": row.data,
        "metric": f"{what}{bound}{repeats}", "unit": test.unit, "better": better,
        "ours": test.value, "stderr": test.stderr, "reference": row.published, "reference_source": row.source,
        "command": f"python benchmarks/published.py --only {row.id}", "seed": SEED, "seconds": round(seconds, 1),
        "machine": machine(),
    }  # fmt: skip


def is_bound(model: Any) -> bool:
    """Whether the log-likelihood of a model is a bound only."""
    return isinstance(model, pofx.ApproximateDensity)


def across_seeds(row: Row) -> tuple[Estimate, Best, float]:
    """The test figure of the seed, or mean and standard error over several, which draw data and weights anew."""
    figures, seconds = [], 0.0
    for seed in range(SEED, SEED + row.seeds):
        data = pofx.load_data(row.data, **row.options, **({"seed": seed} if row.seeds > 1 else {}))
        folder = RUNS / (row.run or row.id)
        best, more = choose(row, data, folder / f"seed{seed}" if row.seeds > 1 else folder, seed)
        seconds += more
        figures.append(FIGURES[row.figure][2](scored(best.model, row), data))
        if row.seeds > 1:
            console.print(f"{row.id}: seed {seed}: {figures[-1].value:.4g} {figures[-1].unit}")
    if row.seeds == 1:
        return figures[0], best, seconds
    return mean_estimate(torch.tensor([f.value for f in figures]), figures[0].unit), best, seconds


def choose(row: Row, data: pofx.Data, folder: Path, seed: int = SEED) -> tuple[Best, float]:
    """The candidate with the highest validation log-likelihood, and the seconds of training them all."""
    best, seconds = Best(), 0.0
    for number, candidate in enumerate(row.candidates):
        arguments = {k: v for k, v in candidate.items() if k not in pofx.Settings.names() or k == "learning_rate"}
        settings = settings_for(row.model, data) if row.preset else {}
        settings |= {"seed": seed, "snapshots": 0, **{k: v for k, v in candidate.items() if k not in arguments}}
        console.print(f"{row.id}: candidate {number + 1} of {len(row.candidates)}: {candidate}")
        model = pofx.build_for(row.model, data, seed, **arguments)
        run = pofx.fit(model, data, folder / str(number), progress=not row.folds, **settings)
        seconds += run.seconds
        if len(row.candidates) == 1:
            return Best(arguments=candidate, model=model), seconds
        figure = log_likelihood(model, data.valid).mean().item()
        console.print(f"{row.id}: validation {figure:.3f} nats after {run.seconds:.0f} s")
        if figure > best.figure:
            best = Best(figure, model, candidate)
    return best, seconds


def scored(model: pofx.GenerativeModel, row: Row) -> pofx.GenerativeModel:
    """The trained model with the arguments that the row changes for scoring, such as the number of orders."""
    if not row.scored:
        return model
    changed = pofx.build(row.model, **(model.config | row.scored))
    weights = dict(model.named_parameters())
    changed.load_state_dict(changed.state_dict() | {k: v.detach() for k, v in weights.items()})
    return changed.eval()


def across_folds(row: Row) -> tuple[Estimate, Best, float]:
    """Every row of the table is tested once: mean and standard error of the folds' test figures."""
    figures, seconds = [], 0.0
    for fold in range(row.folds):
        data = fold_of(row, fold)
        best, more = choose(row, data, RUNS / row.id / f"fold{fold}")
        seconds += more
        figures.append(log_likelihood(scored(best.model, row), data.test).mean())
        console.print(f"{row.id}: fold {fold + 1} of {row.folds}: test {figures[-1]:.3f} nats")
    return mean_estimate(torch.stack(figures), "nats"), best, seconds


def fold_of(row: Row, fold: int) -> pofx.Data:
    """A table without the dropped columns: one fold to test, the next to validate, columns standardised by the others."""
    whole = pofx.load_data(row.data, split=(1.0, 0.0, 0.0), **row.options)
    names = whole.column_names or []
    if unknown := set(row.drop) - set(names):
        raise SystemExit(f"{row.data} has no columns {unknown}, but {names}")
    x = whole.train.x.double()[:, [i for i, name in enumerate(names) if name not in row.drop]]
    parts = list(x[torch.randperm(len(x), generator=torch.Generator().manual_seed(SEED))].tensor_split(row.folds))
    test, valid = parts.pop(fold), parts.pop(fold % (row.folds - 1))
    train = torch.cat(parts)
    mean, std = train.mean(0), train.std(0)
    splits = [Split(((part - mean) / std).float()) for part in (train, valid, test)]
    note = {"source": row.data, "fold": fold, "dropped": list(row.drop)}
    return pofx.Data(row.data, *splits, (x.shape[1],), constraints.real, transform=note)


def main() -> None:
    parser = argparse.ArgumentParser(description="Reproduce published figures.")
    parser.add_argument("--only", help="ids, models or data sets, comma-separated")
    parser.add_argument("--list", action="store_true", help="list the rows and stop")
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    wanted = set(options.only.split(",")) if options.only else None
    rows = [r for r in ROWS if wanted is None or {r.id, r.model, r.data} & wanted]
    if options.list or not rows:
        print("\n".join(f"{r.id}: {len(r.candidates)} candidates, published {r.published}" for r in ROWS))
        return
    if "POFX_DATA" not in os.environ:
        parser.error("set POFX_DATA to the folder of the data sets.")
    for row in rows:
        start = time.monotonic()
        try:
            record([reproduce(row)])
        except pofx.PofxError as error:  # an interrupted run says how far it is; the same command goes on
            raise SystemExit(f"{row.id}: {error}") from None
        console.print(f"{row.id}: written after {time.monotonic() - start:.0f} s")


if __name__ == "__main__":
    main()
