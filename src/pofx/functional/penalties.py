"""Penalties that losses add to what they minimise."""

import math

from torch import Tensor

from ..core import ConfigError


def check_weight_decay(strength: float) -> None:
    """Raise `ConfigError` where the strength of weight decay makes no sense."""
    if not 0 <= strength < math.inf:
        raise ConfigError(f"weight_decay must be a number of at least 0, got {strength}: 0 leaves the weights free.")


def weight_decay(strength: float, *weights: Tensor) -> dict[str, Tensor]:
    """The loss term λ/2 Σ‖W‖² of these weights under its name, nothing for λ = 0.

    >>> import torch
    >>> weight_decay(0.5, torch.ones(2, 3)), weight_decay(0.0, torch.ones(2, 3))
    ({'weight_decay': tensor(1.5000)}, {})
    """
    if not strength:
        return {}
    return {"weight_decay": strength / 2 * sum((w.square().sum() for w in weights[1:]), weights[0].square().sum())}
