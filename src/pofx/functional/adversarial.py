"""Losses of the game between a generator and a discriminator, from logits f(x); D(x) = sigmoid(f(x)) is "x is data".

Written with softplus, which stays finite for any logit: −ln D = softplus(−f) and −ln(1 − D) = softplus(f).
(Goodfellow et al., Generative Adversarial Nets, 2014.)
"""

from collections.abc import Callable

from torch import Tensor
from torch.nn import functional as F


def discriminator_real_loss(logits: Tensor) -> Tensor:
    """−E[ln D(x)] over data; with `discriminator_fake_loss` this is −V(D, G)."""
    return F.softplus(-logits).mean()


def discriminator_fake_loss(logits: Tensor) -> Tensor:
    """−E[ln(1 − D(x))] over generated samples."""
    return F.softplus(logits).mean()


def saturating_loss(logits: Tensor) -> Tensor:
    """The generator's minimax loss E[ln(1 − D(G(z)))]: its gradient −D vanishes where the discriminator is sure."""
    return -F.softplus(logits).mean()


def non_saturating_loss(logits: Tensor) -> Tensor:
    """The generator's loss −E[ln D(G(z))], the paper's choice in practice: gradient −(1 − D), strong where D is sure."""
    return F.softplus(-logits).mean()


GENERATOR_LOSSES: dict[str, Callable[[Tensor], Tensor]] = {
    "non-saturating": non_saturating_loss,
    "saturating": saturating_loss,
}
