"""What a model says of each row, a block of rows at a time."""

from typing import Any

import torch
from torch import Tensor

from .core import ApproximateDensity, GenerativeModel, ScoresAnomalies, TractableDensity, require

BOUND_SAMPLES = 100  # importance samples of a lower bound


def score_rows(model: GenerativeModel, rows: Any) -> dict[str, Any]:
    """What a model can say of each row, as columns: `log_prob` or `elbo` in nats, and `anomaly_score`.

    Raises `CapabilityError` where the model can score neither.
    """
    columns: dict[str, Any] = {}
    x = rows.x
    if isinstance(model, TractableDensity):
        columns["log_prob"] = in_blocks(model.log_prob, x, model).numpy()
    elif isinstance(model, ApproximateDensity):
        with torch.random.fork_rng():
            torch.manual_seed(0)
            columns[f"elbo_{BOUND_SAMPLES}"] = in_blocks(lambda b: model.elbo(b, BOUND_SAMPLES), x, model).numpy()
    if isinstance(model, ScoresAnomalies):
        columns["anomaly_score"] = in_blocks(model.anomaly_score, x, model).numpy()
    if not columns:
        require(model, ScoresAnomalies)
    return columns


@torch.no_grad()
def in_blocks(score: Any, x: Tensor, model: GenerativeModel) -> Tensor:
    """A row-wise function of events, a block at a time on the model's device; the result on the CPU."""
    return torch.cat([score(block.to(model.device)).float().cpu() for block in x.split(model.rows_at_once)])
