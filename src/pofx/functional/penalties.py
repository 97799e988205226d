"""Penalties that losses add to what they minimise."""

import math
from collections.abc import Callable

import torch
from torch import Tensor

from ..core import ConfigError

Score = Callable[[Tensor], Tensor]


def check_weight_decay(strength: float) -> None:
    """Raise `ConfigError` where the strength of weight decay makes no sense."""
    if not 0 <= strength < math.inf:
        raise ConfigError(f"weight_decay must be a number of at least 0, got {strength}: 0 leaves the weights free.")


def weight_decay(strength: float, *weights: Tensor) -> dict[str, Tensor]:
    """The loss term λ/2 Σ‖W‖² of these weights under its name, nothing for λ = 0.

    >>> weight_decay(0.5, torch.ones(2, 3)), weight_decay(0.0, torch.ones(2, 3))
    ({'weight_decay': tensor(1.5000)}, {})
    """
    if not strength:
        return {}
    return {"weight_decay": strength / 2 * sum((w.square().sum() for w in weights[1:]), weights[0].square().sum())}


def squared_slope(score: Tensor, x: Tensor) -> Tensor:
    """‖∂ score_i / ∂ x_i‖² of each row, (n,), itself differentiable; score (n,) is a graph of x (n, ...).

    >>> x = torch.ones(2, 3, requires_grad=True)
    >>> squared_slope((2 * x).sum(1), x).detach()
    tensor([12., 12.])
    """
    (gradient,) = torch.autograd.grad(score.sum(), x, create_graph=True)
    return gradient.flatten(1).square().sum(1)


def gradient_penalty(critic: Score, real: Tensor, fake: Tensor, target: float = 1.0) -> Tensor:
    """E[(‖∇f(x̂)‖ − γ)²] / γ² at points x̂ = ε x + (1 − ε) G(z) between data and samples, ε uniform, one for each pair.

    Where rows of a critic depend on each other (batch normalisation) it is no penalty of f any more. Improved Training of
    Wasserstein GANs, Ishaan Gulrajani et al., 2017; γ: Progressive Growing of GANs, Tero Karras et al., 2018.

    >>> round(gradient_penalty(lambda x: (3 * x).sum(1), torch.zeros(4, 1), torch.ones(4, 1)).item(), 3)
    4.0
    """
    share = torch.rand(len(real), *[1] * (real.ndim - 1), dtype=real.dtype, device=real.device)
    between = torch.lerp(fake.detach(), real, share).requires_grad_()
    norm = (squared_slope(critic(between), between) + 1e-12).sqrt()  # the square root of 0 has no gradient
    return (norm - target).square().mean() / target**2
