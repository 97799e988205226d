"""An exponential moving average of a model's weights, which usually samples better than the last weights."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn


class Average:
    """The average θ̄_t = Σ_s b^(t−s) θ_s / Σ_s b^(t−s) over the steps s = 1..t; buffers (batch-norm statistics) are copied.

    For b = 0.999 a step's weight halves every 693 steps. The weights before training have no part in it, however short the
    run: a step moves the average by (1 − b) / (1 − b^t), as Adam corrects its moments (Kingma and Ba, 2015).
    """

    def __init__(self, model: nn.Module, decay: float) -> None:
        self.decay = decay
        self._model = model
        self.weights: dict[str, Tensor] = {k: v.detach().clone() for k, v in model.state_dict().items()}
        self._parameters = [(self.weights[k], p) for k, p in model.named_parameters()]
        self._buffers = [(self.weights[k], b) for k, b in model.named_buffers() if k in self.weights]

    @torch.no_grad()
    def update(self, step: int) -> None:
        """Let the average move towards the model's weights after this step of training, counted from 1."""
        if self._parameters:
            averages, present = zip(*self._parameters, strict=True)
            torch._foreach_lerp_(averages, present, (1 - self.decay) / (1 - self.decay**step))
        for average, buffer in self._buffers:
            average.copy_(buffer)

    def load(self, weights: dict[str, Tensor]) -> None:
        """Continue from saved weights."""
        for name, value in weights.items():
            self.weights[name].copy_(value)

    @contextmanager
    def applied(self) -> Iterator[None]:
        """Within this context the model has the averaged weights; afterwards its own again."""
        own = {k: v.detach().clone() for k, v in self._model.state_dict().items()}
        self._model.load_state_dict(self.weights)
        try:
            yield
        finally:
            self._model.load_state_dict(own)
