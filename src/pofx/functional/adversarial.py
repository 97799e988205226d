"""Losses of the game between a generator and a discriminator, from logits f(x); D(x) = sigmoid(f(x)) is "x is data".

Written with softplus, which stays finite for any logit: −ln D = softplus(−f) and −ln(1 − D) = softplus(f). Of several
discriminator terms the sum is minimised. Sources: Goodfellow et al., Generative Adversarial Nets, 2014; least squares: Mao et
al., Least Squares Generative Adversarial Networks, 2017; Wasserstein: Arjovsky, Chintala and Bottou, Wasserstein GAN, 2017;
hinge: Lim and Ye, Geometric GAN, 2017; relativistic: Jolicoeur-Martineau, The relativistic discriminator, 2019.
"""

import math
from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional as F

Terms = dict[str, Tensor]


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


def _logistic(real: Tensor, fake: Tensor) -> Terms:
    return {"real": discriminator_real_loss(real), "fake": discriminator_fake_loss(fake)}


def _least_squares(real: Tensor, fake: Tensor) -> Terms:
    return {"real": 0.5 * (real - 1).square().mean(), "fake": 0.5 * fake.square().mean()}


def _wasserstein(real: Tensor, fake: Tensor) -> Terms:
    return {"real": -real.mean(), "fake": fake.mean()}


def _hinge(real: Tensor, fake: Tensor) -> Terms:
    return {"real": F.relu(1 - real).mean(), "fake": F.relu(1 + fake).mean()}


def _relativistic(real: Tensor, fake: Tensor) -> Terms:
    return {"pair": F.softplus(fake - real).mean()}


#: what the discriminator minimises, of logits of real and of generated events (n,) each
DISCRIMINATOR_LOSSES: dict[str, Callable[[Tensor, Tensor], Terms]] = {
    "non-saturating": _logistic,
    "saturating": _logistic,
    "least-squares": _least_squares,
    "wasserstein": _wasserstein,
    "hinge": _hinge,
    "relativistic": _relativistic,
}
#: what the generator minimises, of the logits of its events; of data as well where the loss compares the two
GENERATOR_LOSSES: dict[str, Callable[..., Tensor]] = {
    "non-saturating": non_saturating_loss,
    "saturating": saturating_loss,
    "least-squares": lambda fake: 0.5 * (fake - 1).square().mean(),
    "wasserstein": lambda fake: -fake.mean(),
    "hinge": lambda fake: -fake.mean(),
    "relativistic": lambda fake, real: F.softplus(real - fake).mean(),
}
PAIRWISE = frozenset({"relativistic"})  # losses that know the difference of two logits only
LOGISTIC = frozenset({"non-saturating", "saturating"})  # losses of a discriminator whose logit estimates a log-ratio
UNBOUNDED = frozenset({"wasserstein"})  # losses without a least value, which need a bound on the critic's slope
_MIDDLE = {"least-squares": 0.5}  # between the targets of data and of generated events; elsewhere 0


@torch.no_grad()
def figures(loss: str, real: Tensor, fake: Tensor) -> Terms:
    """How well a discriminator does, of its logits on data and on generated events: figures that no player minimises.

    `accuracy_real` and `accuracy_fake` are the shares on their side of its threshold; of a loss that knows differences only,
    and of the Wasserstein loss, `accuracy_pair` is the share of pairs whose real event has the larger logit. Of a logistic
    loss `jsd` is the Jensen-Shannon divergence in nats that its values imply, (V + ln 4) / 2: at the best discriminator
    V(D*, G) = 2 JSD(p_data ‖ p_G) − ln 4, any other gives less.

    >>> figures("hinge", torch.tensor([2.0, -1.0]), torch.tensor([-3.0, -0.1]))
    {'accuracy_real': tensor(0.5000), 'accuracy_fake': tensor(1.)}
    >>> figures("non-saturating", torch.zeros(3), torch.zeros(3))["jsd"].item()
    0.0
    """
    if loss in PAIRWISE | UNBOUNDED:
        return {"accuracy_pair": (real > fake).float().mean()}
    middle = _MIDDLE.get(loss, 0.0)
    found = {"accuracy_real": (real > middle).float().mean(), "accuracy_fake": (fake < middle).float().mean()}
    if loss in LOGISTIC:
        found["jsd"] = (math.log(4) - discriminator_real_loss(real) - discriminator_fake_loss(fake)) / 2
    return found


def verdicts(real: Tensor, fake: Tensor) -> Terms:
    """What a logistic discriminator minimises, of its logits on data and on generated events, and its figures."""
    return _logistic(real, fake) | figures("non-saturating", real, fake)
