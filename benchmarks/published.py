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

import pofx
from pofx.comparison import machine
from pofx.metrics import mean_estimate
from published_rows import ROWS, Row
from results import record

RUNS = Path(__file__).parent / "runs"
SEED = 0
console = Console(stderr=True)


@dataclass
class Best:
    """The candidate with the best validation figure so far."""

    figure: float = float("-inf")
    model: pofx.GenerativeModel | None = None
    arguments: dict[str, Any] = field(default_factory=dict)


def reproduce(row: Row) -> dict[str, Any]:
    """Train a row's candidates, choose by validation log-likelihood, score the test split."""
    data = pofx.load_data(row.data, **row.options)
    best, seconds = Best(), 0.0
    for number, candidate in enumerate(row.candidates):
        arguments = {k: v for k, v in candidate.items() if k not in pofx.Settings.names() or k == "learning_rate"}
        settings = {"seed": SEED, "snapshots": 0, **{k: v for k, v in candidate.items() if k not in arguments}}
        console.print(f"{row.id}: candidate {number + 1} of {len(row.candidates)}: {candidate}")
        model = pofx.build_for(row.model, data, SEED, **arguments)
        run = pofx.fit(model, data, RUNS / row.id / str(number), **settings)
        seconds += run.seconds
        figure = log_likelihood(model, data.valid).mean().item()
        console.print(f"{row.id}: validation {figure:.3f} nats after {run.seconds:.0f} s")
        if figure > best.figure:
            best = Best(figure, model, candidate)
    test = mean_estimate(log_likelihood(best.model, data.test), "nats")
    console.print(
        f"[bold]{row.id}: test {test.value:.3f} ± {test.stderr:.3f}, published {row.published}, with {best.arguments}"
    )
    chosen = ", ".join(f"{k}={v}" for k, v in best.arguments.items())
    return {
        "id": row.id, "kind": "published", "model": f"{row.model}: {chosen}" if chosen else row.model, "data": row.data,
        "metric": "test log-likelihood", "unit": "nats", "better": "higher", "ours": test.value, "stderr": test.stderr,
        "reference": row.published, "reference_source": row.source,
        "command": f"python benchmarks/published.py --only {row.id}", "seed": SEED, "seconds": round(seconds, 1),
        "machine": machine(),
    }  # fmt: skip


@torch.no_grad()
def log_likelihood(model: pofx.GenerativeModel, split: Any) -> torch.Tensor:
    """Exact ln p of every row of a split, block by block."""
    density = pofx.require(model, pofx.TractableDensity)
    return torch.cat([density.log_prob(split.rows(i).x) for i in torch.arange(len(split)).split(1000)])


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
        record([reproduce(row)])
        console.print(f"{row.id}: written after {time.monotonic() - start:.0f} s")


if __name__ == "__main__":
    main()
