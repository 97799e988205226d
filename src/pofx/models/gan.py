"""The generative adversarial network."""

import math
from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn

from ..core import ConfigError, Encodes
from ..functional.game import Game
from ..nn.adversarial import AdversarialModel, check_widths, normalise_spectra
from ..nn.mlp import Maxout, mlp


class GAN(AdversarialModel, Encodes):
    """A generator G(z), z ~ N(0, I), and a discriminator D(x) that learns to tell its samples from data.

    min_G max_D  E_data[ln D(x)] + E_z[ln(1 − D(G(z)))], whose value at the best D is 2 JSD(p_data ‖ p_G) − ln 4. There is no
    density: the model can be sampled, not scored. `loss` is non-saturating (G maximises ln D), saturating (G minimises
    ln(1 − D)), least-squares, wasserstein, hinge or relativistic. `output` says what values events have: unit ([0, 1],
    pictures), real, or binary ({0, 1}: G's outputs are rounded, also for the discriminator, which would else tell 0.9 from 1).

    Both networks are perceptrons: the generator of layers of width `hidden`, batch-normalised where `normalise`; the
    discriminator of `discriminator_hidden`, by default those in reverse, with leaky ReLU, or with `maxout` linear pieces a
    unit. The stabilisers `gradient_penalty`, `r1`, `r2`, `smoothing` and `pack` are those of `functional.game.Game`;
    `spectral_norm` divides the discriminator's weights by their largest singular value. The generator moves on every
    `discriminator_steps`-th step. `learning_rate` is Adam's with decays `betas`, `discriminator_rate` the discriminator's own.

    Time of a step O(n · weights). Raises `ConfigError` for values that make no sense. Ian Goodfellow et al., Generative
    Adversarial Nets, 2014. Batch-norm and Adam's β = (0.5, 0.999) after Radford, Metz, Chintala, 2016; gradients through
    rounding: Bengio, Léonard, Courville, Estimating or Propagating Gradients, 2013.

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
        discriminator_hidden: Sequence[int] | None = None,
        maxout: int = 1,
        normalise: bool = True,
        output: str = "unit",
        loss: str = "non-saturating",
        gradient_penalty: float = 0.0,
        r1: float = 0.0,
        r2: float = 0.0,
        smoothing: float = 0.0,
        spectral_norm: bool = False,
        pack: int = 1,
        discriminator_steps: int = 1,
        learning_rate: float = 2e-4,
        discriminator_rate: float | None = None,
        betas: Sequence[float] = (0.5, 0.999),
    ) -> None:
        game = Game(loss, gradient_penalty, r1, r2, smoothing=smoothing, pack=pack, bounded=spectral_norm)
        super().__init__(event_shape, latent, output, game, learning_rate, discriminator_rate, betas, discriminator_steps)
        widths = list(reversed(hidden)) if discriminator_hidden is None else list(discriminator_hidden)
        check_widths("hidden", hidden)
        check_widths("discriminator_hidden", widths)
        if maxout < 1:
            raise ConfigError(f"maxout must be at least 1, got {maxout}: the linear pieces of a unit, 1 for a leaky ReLU.")
        self.normalise, dims = normalise, math.prod(self.event_shape)
        self.generator = mlp([latent, *hidden, dims], normalise=normalise)
        self.features = nn.Sequential()
        for before, after in pairwise([pack * dims, *widths]):
            self.features += nn.Sequential(
                nn.Linear(before, after * maxout), nn.LeakyReLU(0.2) if maxout == 1 else Maxout(maxout)
            )
        self.verdict = nn.Linear(widths[-1], 1)
        if spectral_norm:
            normalise_spectra(self.features)
            normalise_spectra(self.verdict)

    def judge(self, x: Tensor) -> Tensor:
        return self.verdict(self.features(x.flatten(1))).squeeze(1)

    def _fakes(self, n: int) -> Tensor:
        if n < 2 and self.normalise:
            raise ConfigError(f"gan needs a batch_size of at least 2 for its batch normalisation, got {n}.")
        return super()._fakes(n)

    @torch.no_grad()
    def encode(self, x: Tensor) -> Tensor:
        """The discriminator's last hidden layer, (n, width); of a packed one, of the event beside copies of itself."""
        x = self.check(x).flatten(1).repeat(1, self.game.pack)
        return self.features(x if self.output == "real" else 2 * x - 1)
