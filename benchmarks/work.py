"""Work that several benchmarks measure."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from pofx.core import Batch, GenerativeModel


def training_step(model: Any, x: Tensor, bf16: bool = False) -> Callable[..., None]:
    """A step on a batch, of one of our models or of a plain one: forward (in autocast with bf16), backward, Adam."""
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-4, fused=True)

    def step(x: Tensor = x) -> None:
        optimizer.zero_grad()
        with torch.autocast(x.device.type, torch.bfloat16, enabled=bf16):
            ours = isinstance(model, GenerativeModel)
            loss = model.players()[0].loss(Batch(x))["nll"] if ours else -model.log_prob(x).mean()
        loss.backward()
        optimizer.step()

    return step
