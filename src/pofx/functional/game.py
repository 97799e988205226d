"""The rules of an adversarial game: which loss, which penalties, how many samples a decision."""

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from ..core import ConfigError, suggest
from .adversarial import DISCRIMINATOR_LOSSES, GENERATOR_LOSSES, LOGISTIC, PAIRWISE, UNBOUNDED, Terms, figures
from .penalties import gradient_penalty, squared_slope

Discriminator = Callable[[Tensor], Tensor]


@dataclass(frozen=True)
class Game:
    """What discriminator and generator minimise, with the stabilisers that any adversarial model may add.

    `loss` is a name of `GENERATOR_LOSSES`. `gradient_penalty` is λ of λ E[(‖∇f(x̂)‖ − 1)²] between data and samples; `r1` and
    `r2` are γ of γ/2 E‖∇f‖² on data and on samples; `drift` is that of drift · E[f(x)²]. With `smoothing` = a the target of
    data is 1 − a, one-sided. With `pack` = m a decision is over m events, joined along their channels: `discriminate` is given
    (n / m, m · channels, ...). It gives logits, a number for each row.

    Sources: `gradient_penalty`; R1: Which Training Methods for GANs do actually Converge?, Lars Mescheder, Andreas Geiger and
    Sebastian Nowozin, 2018; pack: PacGAN, Zinan Lin, Ashish Khetan, Giulia Fanti and Sewoong Oh, 2018; smoothing: Improved
    Techniques for Training GANs, Tim Salimans et al., 2016; drift: Progressive Growing of GANs, Tero Karras et al., 2018.

    Raises `ConfigError` for values that make no sense.

    >>> game = Game(loss="hinge", r1=1.0)
    >>> sorted(game.discriminator_terms(lambda x: x.sum(1), torch.ones(4, 2), torch.zeros(4, 2)))
    ['accuracy_fake', 'accuracy_real', 'fake', 'r1', 'real']
    """

    loss: str = "non-saturating"
    gradient_penalty: float = 0.0
    r1: float = 0.0
    r2: float = 0.0
    drift: float = 0.0
    smoothing: float = 0.0
    pack: int = 1
    target_slope: float = 1.0  # γ of the penalty: λ E[(‖∇f(x̂)‖ − γ)²] / γ²
    bounded: bool = False  # whether the network itself bounds its slope, by spectral normalisation

    def __post_init__(self) -> None:
        if self.loss not in GENERATOR_LOSSES:
            raise ConfigError(f"loss={self.loss!r} is unknown: {suggest(self.loss, GENERATOR_LOSSES)}.")
        for name in ("gradient_penalty", "r1", "r2", "drift"):
            if not 0 <= getattr(self, name) < math.inf:
                raise ConfigError(f"{name} must be a number of at least 0, got {getattr(self, name)}: 0 leaves it out.")
        if not isinstance(self.pack, int) or self.pack < 1:
            raise ConfigError(f"pack must be a whole number of at least 1, got {self.pack!r}: the events of one decision.")
        if not 0 <= self.smoothing < 0.5 or (self.smoothing and self.loss not in LOGISTIC):
            raise ConfigError(
                f"smoothing must be in [0, 0.5) and needs loss='non-saturating' or 'saturating', got {self.smoothing} with "
                f"loss={self.loss!r}: leave it out."
            )
        if not 0 < self.target_slope < math.inf:
            raise ConfigError(
                f"target_slope must be a positive number, got {self.target_slope}: 1 unless a paper says otherwise."
            )
        if self.loss in UNBOUNDED and not (self.gradient_penalty or self.r1 or self.bounded):
            raise ConfigError(
                f"loss={self.loss!r} needs a bound on the critic's slope: set gradient_penalty=10, r1 or spectral_norm=True."
            )

    def packed(self, x: Tensor) -> Tensor:
        """Events (n, c, ...) as decisions see them, (n / pack, pack · c, ...); raises `ConfigError` where n does not fit."""
        if self.pack == 1:
            return x
        if len(x) % self.pack:
            raise ConfigError(f"pack={self.pack} needs a batch_size that it divides, got {len(x)}.")
        return x.reshape(len(x) // self.pack, self.pack * x.shape[1], *x.shape[2:])

    def discriminator_terms(
        self, discriminate: Discriminator, real: Tensor, fake: Tensor, together: bool = False
    ) -> dict[str, Tensor]:
        """What the discriminator minimises, and its accuracy, of events real and fake, (n, *event_shape) each.

        `together` passes both through it at once: right, and faster, where its rows do not depend on each other.
        """
        real, fake = (self.packed(x.detach()) for x in (real, fake))
        real, fake = real.requires_grad_(self.r1 > 0), fake.requires_grad_(self.r2 > 0)
        if together:
            real_logits, fake_logits = discriminate(torch.cat([real, fake])).split([len(real), len(fake)])
        else:
            real_logits, fake_logits = discriminate(real), discriminate(fake)
        terms = self._smoothed(real_logits, fake_logits)
        if self.gradient_penalty:
            penalty = gradient_penalty(discriminate, real, fake, self.target_slope)
            terms["gradient_penalty"] = self.gradient_penalty * penalty
        if self.r1:
            terms["r1"] = self.r1 / 2 * squared_slope(real_logits, real).mean()
        if self.r2:
            terms["r2"] = self.r2 / 2 * squared_slope(fake_logits, fake).mean()
        if self.drift:
            terms["drift"] = self.drift * real_logits.square().mean()
        return terms | figures(self.loss, real_logits, fake_logits)

    def _smoothed(self, real: Tensor, fake: Tensor) -> Terms:
        terms = DISCRIMINATOR_LOSSES[self.loss](real, fake)
        if self.smoothing:  # cross-entropy with the target 1 − a: softplus(f) − (1 − a) f
            terms["real"] = terms["real"] + self.smoothing * real.mean()
        return terms

    def generator_terms(self, discriminate: Discriminator, fake: Tensor, real: Tensor) -> dict[str, Tensor]:
        """What the generator minimises; real events are looked at by losses that compare only."""
        fake_logits = discriminate(self.packed(fake))
        if self.loss not in PAIRWISE:
            return {"loss": GENERATOR_LOSSES[self.loss](fake_logits)}
        with torch.no_grad():
            real_logits = discriminate(self.packed(real))
        return {"loss": GENERATOR_LOSSES[self.loss](fake_logits, real_logits)}
