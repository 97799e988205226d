"""The generative adversarial network."""

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.distributions.constraints import Constraint

from ..core import (
    Batch,
    ConfigError,
    Decodes,
    Encodes,
    GenerativeModel,
    Player,
    Samples,
    adam,
    output_for,
    suggest,
    support_of,
)
from ..functional.adversarial import GENERATOR_LOSSES, discriminator_fake_loss, discriminator_real_loss
from ..nn.mlp import mlp


class GAN(GenerativeModel, Samples, Encodes, Decodes):
    """A generator G(z), z ~ N(0, I), and a discriminator D(x) that learns to tell its samples from data.

    min_G max_D  E_data[ln D(x)] + E_z[ln(1 − D(G(z)))], whose value at the best D is 2 JSD(p_data ‖ p_G) − ln 4. There is no
    density: the model can be sampled, not scored. `loss` is the generator's: non-saturating (−ln D) or saturating
    (ln(1 − D)). `output` says what values events have: unit ([0, 1], pictures), real, or binary ({0, 1}: G's outputs are
    rounded, also for the discriminator, which would else tell 0.9 from 1; gradients pass the rounding unchanged). Both networks
    are perceptrons with layers of width `hidden`, the discriminator's in reverse order; the generator's are batch-normalised.

    Goodfellow et al., Generative Adversarial Nets, 2014. Batch-norm and Adam's β = (0.5, 0.999) after Radford, Metz, Chintala,
    2016; gradients through rounding: Bengio, Léonard, Courville, Estimating or Propagating Gradients, 2013.

    >>> GAN((2,), output="real").sample(5).shape
    torch.Size([5, 2])
    """

    name = "gan"
    summary = "generative adversarial network"

    def __init__(
        self,
        event_shape: Sequence[int],
        latent: int = 64,
        hidden: Sequence[int] = (256, 256),
        loss: str = "non-saturating",
        output: str = "unit",
        learning_rate: float = 2e-4,
    ) -> None:
        super().__init__()
        self.event_shape, self.latent, self.loss, self.learning_rate = tuple(event_shape), latent, loss, learning_rate
        if latent < 1:
            raise ConfigError(f"latent must be at least 1, got {latent}: it is the width of the noise z.")
        if not hidden:
            raise ConfigError("hidden must name at least one layer, got none: give the layers' widths, as [256, 256].")
        if loss not in GENERATOR_LOSSES:
            raise ConfigError(f"loss={loss!r} is unknown: {suggest(loss, GENERATOR_LOSSES)}.")
        self.output, self.support = output, support_of(output)
        dims = math.prod(self.event_shape)
        self.generator = mlp([latent, *hidden, dims], normalise=True)
        self.features = nn.Sequential(mlp([dims, *reversed(hidden)], nn.LeakyReLU, negative_slope=0.2), nn.LeakyReLU(0.2))
        self.verdict = nn.Linear(hidden[0], 1)

    @classmethod
    def configure_for(cls, event_shape: tuple[int, ...], support: Constraint) -> dict[str, Any]:
        """The output that suits such values."""
        return {"output": output_for(event_shape, support)}

    def players(self) -> list[Player]:
        discriminator = [*self.features.parameters(), *self.verdict.parameters()]
        optimizer = adam(self.learning_rate, betas=(0.5, 0.999))
        return [
            Player("discriminator", discriminator, self._discriminator_loss, optimizer=optimizer),
            Player("generator", list(self.generator.parameters()), self._generator_loss, optimizer=optimizer),
        ]

    def _discriminator_loss(self, batch: Batch) -> dict[str, Tensor]:
        with torch.no_grad():
            fake = self._fake(len(batch))
        return {
            "real": discriminator_real_loss(self.discriminate(batch.x)),
            "fake": discriminator_fake_loss(self.discriminate(fake)),
        }

    def _generator_loss(self, batch: Batch) -> dict[str, Tensor]:
        return {"loss": GENERATOR_LOSSES[self.loss](self.discriminate(self._fake(len(batch))))}

    def _fake(self, n: int) -> Tensor:
        if n < 2:
            raise ConfigError(f"gan needs a batch_size of at least 2 for its batch normalisation, got {n}.")
        x = self._generate(self._noise(n))
        return x + (x.round() - x).detach() if self.output == "binary" else x

    def discriminate(self, x: Tensor) -> Tensor:
        """The discriminator's logit of "x is data", (n,)."""
        return self.verdict(self._features(x)).squeeze(1)

    def _features(self, x: Tensor) -> Tensor:
        x = x.flatten(1)
        return self.features(x if self.output == "real" else 2 * x - 1)  # pictures enter as [-1, 1]

    def _generate(self, z: Tensor) -> Tensor:
        x = self.generator(z).view(-1, *self.event_shape)
        return x if self.output == "real" else x.sigmoid()

    def _noise(self, n: int, generator: torch.Generator | None = None) -> Tensor:
        like = self.verdict.weight
        return torch.randn(n, self.latent, dtype=like.dtype, device=like.device, generator=generator)

    @torch.no_grad()
    def sample(self, n: int, condition: Any = None, generator: torch.Generator | None = None) -> Tensor:
        self.refuse_condition(condition)
        x = self.decode(self._noise(n, generator))
        return x.round() if self.output == "binary" else x

    @torch.no_grad()
    def decode(self, z: Tensor) -> Tensor:
        """G(z) for noise vectors (n, latent), before any rounding; each on its own, with the statistics of training."""
        training = self.generator.training
        self.generator.eval()
        x = self._generate(z)
        self.generator.train(training)
        return x

    @torch.no_grad()
    def encode(self, x: Tensor) -> Tensor:
        """The discriminator's last hidden layer, (n, hidden[0])."""
        return self._features(self.check(x))
