"""Training is a game: a model lists its players, and one loop lets them move."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import torch
from torch import Tensor
from torch.nn import Parameter


@dataclass(frozen=True)
class Batch:
    """What one step of training sees: events x (n, *event_shape), and where the data have them conditions and labels.

    `condition` is what a conditional model is given (labels, attributes, captions); `label` int64 (n,).
    """

    x: Tensor
    condition: Any = None
    label: Tensor | None = None

    def __len__(self) -> int:
        return len(self.x)

    def to(self, device: torch.device | str) -> "Batch":
        """The same batch with its tensors on another device; what is no tensor (captions) stays as it is."""

        def move(value: Any) -> Any:
            return value.to(device, non_blocking=True) if isinstance(value, Tensor) else value

        return replace(self, x=move(self.x), condition=move(self.condition), label=move(self.label))


Loss = Callable[[Batch], dict[str, Tensor]]
OptimizerFactory = Callable[[Iterable[Parameter]], torch.optim.Optimizer]


def adam(learning_rate: float = 1e-3, betas: tuple[float, float] = (0.9, 0.999), **options: Any) -> OptimizerFactory:
    """Adam in its fused form (one kernel for all parameters), the optimiser of most players."""
    return partial(torch.optim.Adam, lr=learning_rate, betas=betas, fused=True, **options)


@dataclass(frozen=True)
class Player:
    """One optimiser with its parameters and its loss.

    `loss(batch)` returns named scalar terms; their sum is minimised and each is logged. A term without a gradient, such as an
    accuracy, is a figure to watch: it is logged and changes nothing.
    The player moves on every `every`-th step (a WGAN generator has every=5) and its gradient norm is clipped at `clip`.
    """

    name: str
    parameters: Sequence[Parameter]
    loss: Loss
    every: int = 1
    optimizer: OptimizerFactory = field(default_factory=adam)
    clip: float | None = None

    def moves_at(self, step: int) -> bool:
        """Whether the player moves at this step (counted from 0): the last of every `every` steps."""
        return (step + 1) % self.every == 0
