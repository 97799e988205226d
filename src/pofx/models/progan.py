"""The progressively grown generative adversarial network."""

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.distributions.constraints import Constraint

from ..core import Batch, ConfigError, describe_support, output_for
from ..functional.adversarial import LOGISTIC
from ..functional.game import Game
from ..nn.adversarial import AdversarialModel
from ..nn.progressive import FIRST, GrowingCritic, GrowingGenerator, double, halve

SIDES = [2**level for level in range(3, 11)]


class ProGAN(AdversarialModel):
    """A GAN of pictures that learns 4×4 first and doubles the resolution, each new level fading in beside the old.

    The first level is held for `hold` pictures shown; each further one fades in over `fade` pictures and is held for `hold`.
    While it does, samples, the critic's maps and the data are (1 − alpha) · the level below + alpha · the level. Between two
    of these stages Adam forgets its moments. Training must be long enough to reach the last level: `pictures_to_grow` says
    how many pictures that takes. Samples are always full pictures, repeated pixels until then. `grow=False` trains the same
    final network from the start.

    Resolution 2^level has min(2·`base` / 2^level, `most`) feature maps; the paper's networks are base=8192, most=512. Layers
    have equalised learning rates, the generator normalises the features of each pixel, the critic sees the standard
    deviation over groups of `group` pictures (1: it does not). `batch_sizes` replace the batch size of training: one for each
    level from 4×4 on, the last for all above.

    The critic minimises E[f(G(z))] − E[f(x)] + gradient_penalty · E[(‖∇f‖ − target_slope)²] / target_slope² +
    drift · E[f(x)²]; other losses are those of `functional.game.Game`. Slopes are of pictures in [-1, 1]; through the standard
    deviation f of a picture depends a little on its group, as in the paper. With ema=0.999 in training, samples are those of
    averaged weights, as the paper's are: layers still unused have their first weights there, so that nothing needs to be
    copied as the network grows.

    Time of a step grows with n · (Σ over levels of side² · maps²); memory with n · Σ side² · maps. Raises `ConfigError` for
    values that make no sense and pictures whose side is no power of two from 8 to 1024. Tero Karras, Timo Aila, Samuli Laine
    and Jaakko Lehtinen, Progressive Growing of GANs for Improved Quality, Stability, and Variation, 2018.

    >>> model = ProGAN((3, 32, 32), latent=8, base=128, fade=400, hold=600)
    >>> model.advance(700)
    >>> model.stage_at(700), model.level, model.alpha, model.pictures_to_grow
    ('8x8-fading', 3, 0.25, 3000)
    >>> model.sample(2).shape
    torch.Size([2, 3, 32, 32])
    """

    name = "progan"
    summary = "progressively grown GAN of pictures"
    _examples_seen: Tensor

    def __init__(
        self,
        event_shape: Sequence[int],
        latent: int = 512,
        base: int = 8192,
        most: int = 512,
        fade: int = 600_000,
        hold: int = 600_000,
        grow: bool = True,
        batch_sizes: Sequence[int] | None = None,
        group: int = 4,
        loss: str = "wasserstein",
        gradient_penalty: float = 10.0,
        target_slope: float = 1.0,
        drift: float = 1e-3,
        r1: float = 0.0,
        discriminator_steps: int = 1,
        learning_rate: float = 1e-3,
        discriminator_rate: float | None = None,
        betas: Sequence[float] = (0.0, 0.99),
    ) -> None:
        game = Game(loss, gradient_penalty, r1, drift=drift, target_slope=target_slope)
        super().__init__(event_shape, latent, "unit", game, learning_rate, discriminator_rate, betas, discriminator_steps)
        self.levels = _levels(self.event_shape)
        self.fade, self.hold, self.grow, self.batch_sizes = fade, hold, grow, batch_sizes
        for name, least in {"base": 1, "most": 1, "fade": 0, "hold": 1, "group": 1}.items():
            if (value := {"base": base, "most": most, "fade": fade, "hold": hold, "group": group}[name]) < least:
                raise ConfigError(f"{name} must be at least {least}, got {value}.")
        if batch_sizes is not None and (not batch_sizes or min(batch_sizes) < 1):
            raise ConfigError(
                f"batch_sizes must be sizes of at least 1 for 4x4, 8x8, ..., got {list(batch_sizes)}: as [64, 16]."
            )
        maps = [max(1, min(2 * base // 2**level, most)) for level in range(FIRST, self.levels + 1)]
        self.generator = GrowingGenerator(latent, self.event_shape[0], maps)
        self.critic = GrowingCritic(self.event_shape[0], maps, group)
        self.group = group
        self.register_buffer("_examples_seen", torch.zeros((), dtype=torch.int64))  # saved: samples need the level
        self.register_load_state_dict_post_hook(lambda model, _: model.advance(int(model._examples_seen)))
        self.advance(0)

    @classmethod
    def configure_for(cls, event_shape: tuple[int, ...], support: Constraint) -> dict[str, Any]:
        """Nothing to choose; a `ConfigError` for what is no picture of values in [0, 1], or has no side it can reach."""
        _levels(event_shape)
        if output_for(event_shape, support) != "unit":
            raise ConfigError(
                f"progan draws pictures of values in [0, 1], not in {describe_support(support)}: leave out binarize."
            )
        return {}

    @property
    def pictures_to_grow(self) -> int:
        """How many pictures are shown until the last level is there in full."""
        return (self.levels - FIRST) * (self.hold + self.fade) if self.grow else 0

    def phase_at(self, examples_seen: int) -> tuple[int, float]:
        """The level (its side is 2^level) and its share alpha after so many pictures."""
        if examples_seen >= self.pictures_to_grow:
            return self.levels, 1.0
        if examples_seen < self.hold:
            return FIRST, 1.0
        grown, rest = divmod(examples_seen - self.hold, self.fade + self.hold)
        return FIRST + 1 + grown, rest / self.fade if rest < self.fade else 1.0

    def advance(self, examples_seen: int) -> None:
        """Go to the level of this point of training."""
        self.level, self.alpha = self.phase_at(examples_seen)
        self._examples_seen.fill_(examples_seen)

    def stage_at(self, examples_seen: int) -> str:
        """The resolution, with -fading while it fades in."""
        level, alpha = self.phase_at(examples_seen)
        return f"{2**level}x{2**level}{'-fading' if alpha < 1 else ''}"

    def batch_size_at(self, examples_seen: int, batch_size: int) -> int:
        """That of the level, where `batch_sizes` are given."""
        if self.batch_sizes is None:
            return batch_size
        return self.batch_sizes[min(self.phase_at(examples_seen)[0] - FIRST, len(self.batch_sizes) - 1)]

    def judge(self, x: Tensor, batches: int = 1) -> Tensor:
        """The critic's value (n,) of pictures of the present level in [-1, 1], in so many batches whose groups do not mix."""
        size = len(x) // batches
        if size > self.group and size % self.group:
            raise ConfigError(
                f"progan compares pictures in groups of {self.group}, got {size} at once: choose a batch_size that "
                f"{self.group} divides, or another group."
            )
        return self.critic(x, self.level, self.alpha, batches)

    def _generator_loss(self, batch: Batch) -> dict[str, Tensor]:
        if len(batch) < 2 and self.group > 1:
            raise ConfigError(
                f"progan compares the pictures of a batch (minibatch standard deviation), got batch_size={len(batch)}: "
                "choose at least 2, or group=1 to do without."
            )
        fake = self._fakes(len(batch))
        self.kept.keep(batch, fake)
        return self.game.generator_terms(self.judge, fake, self._reduced(batch.x))

    def _discriminator_loss(self, batch: Batch) -> dict[str, Tensor]:
        real, fake = self._reduced(batch.x), self._fakes_beside(batch)

        def judge(x: Tensor) -> Tensor:  # data and samples pass at once, each with its own deviation
            return self.judge(x, len(x) // len(batch))

        terms = self.game.discriminator_terms(judge, real, fake, together=True)
        where = {"resolution": 2.0**self.level, "alpha": self.alpha}
        return terms | {name: real.new_full((), value) for name, value in where.items()}

    def _fakes(self, n: int) -> Tensor:
        """Generated pictures of the present level, around [-1, 1]."""
        z = self._noise(n)
        return self.generator(z, self.level, self.alpha).to(z.dtype)

    def _reduced(self, x: Tensor) -> Tensor:
        """Pictures in [0, 1] as the critic sees them now: of the present level, faded as samples are, in [-1, 1]."""
        for _ in range(self.levels - self.level):
            x = halve(x)
        x = 2 * x - 1
        return x if self.alpha == 1 else (1 - self.alpha) * double(halve(x)) + self.alpha * x

    def discriminate(self, x: Tensor) -> Tensor:
        """The critic's value of pictures (n, *event_shape), (n,), as one batch."""
        return self.judge(self._reduced(x))

    @torch.no_grad()
    def realness(self, x: Tensor, beside: Tensor | None = None) -> Tensor:
        """f(x), or D(x) of a logistic loss, (n,); each x in a group with pictures `beside` it, or with copies of itself."""
        others = self.group - 1
        if beside is None or not 0 < others <= len(beside):
            values = self.judge(self._reduced(x), batches=len(x))
        else:
            sets = torch.cat([x.unsqueeze(1), beside[:others].expand(len(x), *beside[:others].shape)], 1)
            values = self.judge(self._reduced(sets.flatten(0, 1)), batches=len(x)).view(len(x), -1)[:, 0]
        return values.sigmoid() if self.game.loss in LOGISTIC else values

    def _generate(self, z: Tensor) -> Tensor:
        x = self.generator(z, self.level, self.alpha).to(z.dtype)
        for _ in range(self.levels - self.level):
            x = double(x)
        return ((x + 1) / 2).clamp(0, 1)


def _levels(event_shape: Sequence[int]) -> int:
    """The level of pictures of this shape, or a `ConfigError` that says which shapes there may be."""
    if len(event_shape) == 3 and event_shape[1] == event_shape[2] in SIDES:
        return int(math.log2(event_shape[1]))
    sizes = f"{', '.join(map(str, SIDES[:-1]))} or {SIDES[-1]}"
    sentence = f"progan grows to square pictures (channels, side, side) of side {sizes}, got {tuple(event_shape)}"
    if len(event_shape) != 3:
        raise ConfigError(f"{sentence}: it is for pictures only.")
    side = next((s for s in SIDES if s >= max(event_shape[1:])), SIDES[-1])
    raise ConfigError(f"{sentence}: load the data with resize={side} (--resize {side}).")
