"""Sampling at a temperature T: every conditional is raised to the power 1/T and normalised again.

For values with logits l that is softmax(l / T). T = 1 draws from the model, T = 0 takes the likeliest value, the limit.
"""

import math

import torch
from torch import Tensor

from ..core import ConfigError

LEAST = 1e-30  # what is below is taken as 0: the logits divided by it would leave single precision


def check_temperature(temperature: float) -> float:
    """The temperature to use; raises `ConfigError` where it is negative, infinite or not a number."""
    if not 0 <= temperature < math.inf:
        raise ConfigError(
            f"temperature must be at least 0, got {temperature}: give a finite number; 1 draws from the model, a lower one "
            "likelier values, 0 the likeliest."
        )
    return temperature if temperature >= LEAST else 0.0


def sharpened(logits: Tensor, temperature: float, dim: int = -1) -> Tensor:
    """Logits along an axis whose softmax is softmax(logits / T); for T = 0 all weight is on the (first) likeliest value.

    >>> sharpened(torch.tensor([0.0, 1.0, 0.5]), 0.0).softmax(0)
    tensor([0., 1., 0.])
    """
    if temperature == 1:
        return logits
    if temperature == 0:
        return torch.full_like(logits, -torch.inf).scatter_(dim, logits.argmax(dim, keepdim=True), 0.0)
    return logits / temperature


def thresholds(uniforms: Tensor, temperature: float) -> Tensor:
    """What a binary variable's logit must exceed for the value 1: u < sigmoid(logit / T)  <=>  T logit(u) < logit.

    >>> thresholds(torch.tensor([0.5, 0.9]), 0.5)
    tensor([0.0000, 1.0986])
    """
    if temperature == 0:
        return torch.zeros_like(uniforms)
    threshold = torch.logit(uniforms)
    return threshold if temperature == 1 else temperature * threshold
