"""The deep convolutional generative adversarial network."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.distributions.constraints import Constraint
from torch.nn.functional import adaptive_max_pool2d

from ..core import ConfigError, Encodes
from ..functional.game import Game
from ..nn.adversarial import AdversarialModel, normalise_spectra
from ..nn.convolution import Maps, channels_last, doublings, halvings, initialise, stages

POOLED = 4  # the side to which features are pooled


class DCGAN(AdversarialModel, Encodes):
    """A GAN of pictures whose two networks are convolutions, with strides in place of pooling.

    The generator makes maps of 4 to 7 pixels a side from z and doubles them up to the picture; the discriminator halves the
    picture down to such maps. `width` is the number of channels next to the picture, twice as many after each halving, at
    most `widest`. `kernel` 4 with the default width is the network of the third author's code, with kernel=5 and width=128
    that of the paper. `output` is unit ([0, 1], the sigmoid: tanh of half the argument, scaled) or binary ({0, 1}, as in
    `gan`). Sides that can be reached are 4 to 7 times a power of two: see `nn.convolution.stages`.

    `normalise` is for batch normalisation in the discriminator, to which data and samples are shown apart. The stabilisers
    `loss`, `gradient_penalty`, `r1`, `r2`, `smoothing`, `pack` are those of `functional.game.Game`; `spectral_norm` divides
    the discriminator's weights by their largest singular value. Where a slope is bounded, each row must be judged on its own:
    such penalties need normalise=False. `encode` gives the discriminator's maps, pooled.

    Time and memory of a step grow with n · side² · width, and with width² at the inner stages. Raises `ConfigError` for values
    that make no sense and pictures that cannot be reached. Alec Radford, Luke Metz and Soumith Chintala, Unsupervised
    Representation Learning with Deep Convolutional Generative Adversarial Networks, 2016.

    >>> model = DCGAN((1, 28, 28), width=8)
    >>> model.sample(2).shape, model.encode(torch.zeros(2, 1, 28, 28)).shape  # 16 · (8 + 16) features
    (torch.Size([2, 1, 28, 28]), torch.Size([2, 384]))
    """

    name = "dcgan"
    summary = "convolutional GAN of pictures"

    def __init__(
        self,
        event_shape: Sequence[int],
        latent: int = 100,
        width: int = 64,
        widest: int = 1024,
        kernel: int = 4,
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
        side, count = stages(self.event_shape)
        if width < 1 or widest < width:
            raise ConfigError(f"width must be at least 1 and widest at least that, got width={width} and widest={widest}.")
        bounds = {"gradient_penalty": gradient_penalty, "r1": r1, "r2": r2, "spectral_norm": spectral_norm}
        if normalise and (bound := next((f"{name}={value}" for name, value in bounds.items() if value), None)):
            raise ConfigError(
                f"{bound} bounds the slope at each picture, but with batch normalisation the discriminator judges a picture "
                "by the others in its batch: add normalise=false."
            )
        picture, channels = self.event_shape[0], [min(width * 2**i, widest) for i in range(count)]
        inner = channels[-1] * side**2
        self.generator = nn.Sequential(
            nn.Linear(latent, inner, bias=False), Maps(channels[-1], side), nn.BatchNorm2d(channels[-1]), nn.ReLU(inplace=True),
            *doublings([*reversed(channels), picture], kernel),
        )  # fmt: skip
        self.features = halvings([pack * picture, *channels], kernel, normalise, bias=not normalise)
        self.verdict = nn.Sequential(nn.Flatten(), nn.Linear(inner, 1, bias=not normalise))
        initialise(self)
        self.together = not any(isinstance(layer, nn.BatchNorm2d) for layer in self.features.modules())
        if spectral_norm:
            normalise_spectra(self.features)
            normalise_spectra(self.verdict)

    @classmethod
    def configure_for(cls, event_shape: tuple[int, ...], support: Constraint) -> dict[str, Any]:
        """The output that suits such values; a `ConfigError` for what is no picture, or none of a side that can be reached."""
        stages(event_shape)
        return super().configure_for(event_shape, support)

    def judge(self, x: Tensor) -> Tensor:
        return self.verdict(self.features(channels_last(x))).squeeze(1)

    def _fakes(self, n: int) -> Tensor:
        if n < 2 * (1 if self.together else self.game.pack):
            of = f" of {self.game.pack} pictures a decision" if self.game.pack > 1 else ""
            raise ConfigError(f"dcgan needs at least 2 rows a batch for its batch normalisation, got batch_size={n}{of}.")
        return super()._fakes(n)

    @torch.no_grad()
    def encode(self, x: Tensor) -> Tensor:
        """The discriminator's maps after each stage, each pooled to the largest of 4 × 4 fields: (n, 16 · channels in all).

        With the statistics of training, so that a row does not depend on the others; of a packed discriminator, of the event
        beside copies of itself.
        """
        x = self.check(x).repeat(1, self.game.pack, 1, 1)
        maps, training, pooled = channels_last(x if self.output == "real" else 2 * x - 1), self.features.training, []
        self.features.eval()
        for stage in self.features:
            maps = stage(maps)
            pooled.append(adaptive_max_pool2d(maps, POOLED).flatten(1))
        self.features.train(training)
        return torch.cat(pooled, 1)
