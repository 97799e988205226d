"""The record of a run: record.jsonl, one line of figures per logged step."""

import json
import math
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ..core import TrainingError
from .checkpoint import atomically
from .engine import Engine


class Record:
    """Lines of figures in memory and, where a path is given, on disk. `cut` drops what lies after a resumed step."""

    def __init__(self, path: Path | None) -> None:
        self.path = path
        self.lines: list[dict[str, Any]] = []
        if path is not None and path.is_file():
            self.lines = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines() if line.endswith("}")]

    def cut(self, step: int) -> None:
        """Forget lines after this step: the run was killed later than its last checkpoint and will write them again."""
        self.lines = [line for line in self.lines if line["step"] <= step]
        if self.path is not None:
            with atomically(self.path) as temporary:
                temporary.write_text("".join(json.dumps(line) + "\n" for line in self.lines), encoding="utf-8")

    def add(self, line: dict[str, Any]) -> None:
        """Append one line."""
        self.lines.append(line)
        if self.path is not None:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with self.path.open("a", encoding="utf-8") as file:
                file.write(json.dumps(line) + "\n")


class Losses:
    """Loss terms of the steps since the last flush, kept as tensors so that no step waits for the device."""

    def __init__(self) -> None:
        self._terms: list[tuple[int, str, Tensor]] = []

    def add(self, step: int, player: str, terms: dict[str, Tensor]) -> None:
        """Keep the terms of a player's move."""
        self._terms.extend((step, f"{player}/{name}", value.detach()) for name, value in terms.items())

    def flush(self, engine: Engine, advice: str) -> dict[str, float]:
        """The mean of each term since the last flush, over all processes.

        Raises `TrainingError` with the step and the term where one is not finite.
        """
        if not self._terms:
            return {}
        values = engine.mean(torch.stack([value.float() for _, _, value in self._terms])).tolist()
        sums: dict[str, list[float]] = {}
        for (step, name, _), value in zip(self._terms, values, strict=True):
            if not math.isfinite(value):
                raise TrainingError(f"Training stopped: the loss term {name!r} became {value} at step {step + 1}. {advice}")
            sums.setdefault(name, []).append(value)
        self._terms.clear()
        return {name: sum(v) / len(v) for name, v in sums.items()}
