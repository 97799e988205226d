"""Labels of conditional models, checked and as vectors."""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from ..core import ConfigError


def one_hot_labels(name: str, condition: Any, classes: int, n: int, like: Tensor) -> Tensor:
    """Labels 0..classes − 1 of n events as one-hot vectors (n, classes), of the kind of `like`.

    Raises `ConfigError`, in the name of the model, where there are none, or others than one such label for each event.

    >>> one_hot_labels("vae", [2, 0], 3, 2, torch.zeros(()))
    tensor([[0., 0., 1.],
            [1., 0., 0.]])
    """
    if condition is None:
        raise ConfigError(
            f"{name} with classes={classes} learns p(x | label) and got no labels: give one for each event (condition=labels), "
            "use data that have labels, or build it without classes."
        )
    labels = torch.as_tensor(condition, device=like.device)
    if labels.is_floating_point() or labels.shape != (n,) or not bool(((labels >= 0) & (labels < classes)).all()):
        raise ConfigError(f"condition must be one label of 0..{classes - 1} for each of {n} events, got {condition!r}.")
    return F.one_hot(labels.long(), classes).to(like.dtype)
