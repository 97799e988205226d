"""What the trainer costs: a run of `pofx.fit` against the loop that one would write by hand for the same model."""

from collections.abc import Callable
from typing import Any

import torch

import pofx
from pofx.core import Batch
from pofx.data import Data, load_data

STEPS, ROWS = 500, 32


def by_fit(model: pofx.GenerativeModel, data: Data) -> Callable[[], Any]:
    """500 steps of the trainer with its record, checks and seeding; validation and pictures are left out on both sides."""
    return lambda: pofx.fit(
        model, data, steps=STEPS, batch_size=ROWS, validate_every=0, snapshots=0, progress=False, cpu=True
    )  # fmt: skip


def by_hand(model: pofx.GenerativeModel, data: Data) -> Callable[[], Any]:
    """500 steps: shuffled batches, each player's loss, backward, optimiser step; nothing else."""
    players = model.players()
    optimizers = [player.optimizer(player.parameters) for player in players]
    x = data.train.x

    def run() -> None:
        model.train()
        order = torch.cat([torch.randperm(len(x)) for _ in range(STEPS * ROWS // len(x) + 1)])
        for step in range(STEPS):
            batch = Batch(x[order[step * ROWS : (step + 1) * ROWS]])
            for player, optimizer in zip(players, optimizers, strict=True):
                optimizer.zero_grad()
                sum(player.loss(batch).values()).backward()
                optimizer.step()

    return run


def small_model(name: str, data: Data) -> pofx.GenerativeModel:
    """A model so small that a step is nearly all overhead."""
    arguments: dict[str, dict[str, Any]] = {
        "vae": {"latent": 4, "hidden": [32]},
        "gan": {"latent": 4, "hidden": [32], "output": "unit"},
    }
    return pofx.build(name, data.event_shape, **arguments[name])


def sides(name: str) -> tuple[Callable[[], Callable[[], Any]], Callable[[], Callable[[], Any]]]:
    """Set-ups of ours and of the reference."""
    data = load_data("digits", binarize=True)
    return lambda: by_fit(small_model(name, data), data), lambda: by_hand(small_model(name, data), data)
