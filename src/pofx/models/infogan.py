"""The generative adversarial network whose codes can be read off its events."""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.distributions.constraints import Constraint

from ..core import Batch, ConfigError, Encodes
from ..functional.codes import Codes, information_bounds
from ..functional.game import Game
from ..nn.adversarial import AdversarialModel, normalise_spectra
from ..nn.convolution import Maps, channels_last, doublings, halvings, initialise, stages

SLOPE = 0.1  # of the leaky ReLU, as in the paper


class InfoGAN(AdversarialModel, Encodes):
    """A generator G(c, z) of pictures from codes c and noise z, which must keep c, so that c comes to mean something.

    min_{G,Q} max_D V(D, G) − λ L_I(G, Q), where L_I = E[ln Q(c | G(c, z))] + H(c) is a lower bound of the mutual information
    I(c; G(c, z)), as in `functional.codes.Codes`. Without a label, a categorical code of ten values comes to mean the digit of
    MNIST, continuous ones slant and width. There is no density: the model can be sampled, not scored.

    `categories` are the numbers of values of the categorical codes, `continuous` is the number of codes that are uniform on
    [−1, 1], `latent` the width of z ~ N(0, I), which stands behind the codes: the attribute `latent` is the width of both.
    `weight` is λ of categorical codes, `continuous_weight` that of continuous ones, whose standard deviations under Q are
    learned or 1 (`scale`). Q shares all but its head with the discriminator and is trained in its move, once a step; the
    generator's loss has the same terms, whose gradient passes through its events into it alone.

    The networks are the paper's for MNIST, `width` = 64 channels next to the picture, twice as many at each halving, and 16
    `width` units next to z; sides they reach are 4 to 7 times a power of two. Pictures may be grey, coloured or, with
    output="binary", black and white. The discriminator is batch-normalised where `normalise`, without which alone it can have
    `gradient_penalty`, `r1`, `r2` or `spectral_norm`; these, `loss`, `smoothing`, `discriminator_steps` and the rates are those
    of the GAN.

    Time of a step O(n · weights · pixels of the maps). Raises `ConfigError` for values that make no sense. Xi Chen, Yan Duan,
    Rein Houthooft, John Schulman, Ilya Sutskever and Pieter Abbeel, InfoGAN: Interpretable Representation Learning by
    Information Maximizing Generative Adversarial Nets, 2016.

    >>> model = InfoGAN((1, 8, 8), width=4)
    >>> model.encode(model.sample(3, condition=torch.tensor([0, 1, 2]))).shape
    torch.Size([3, 12])
    """

    name = "infogan"
    summary = "adversarial network with codes that can be read off its events"

    def __init__(
        self,
        event_shape: Sequence[int],
        latent: int = 62,
        categories: Sequence[int] = (10,),
        continuous: int = 2,
        weight: float = 1.0,
        continuous_weight: float = 1.0,
        scale: str = "learned",
        width: int = 64,
        output: str = "unit",
        loss: str = "non-saturating",
        gradient_penalty: float = 0.0,
        r1: float = 0.0,
        r2: float = 0.0,
        smoothing: float = 0.0,
        normalise: bool = True,
        spectral_norm: bool = False,
        discriminator_steps: int = 1,
        learning_rate: float = 1e-3,
        discriminator_rate: float | None = 2e-4,
        betas: Sequence[float] = (0.5, 0.999),
    ) -> None:
        _check(latent, width, weight, continuous_weight)
        if normalise and (gradient_penalty or r1 or r2 or spectral_norm):
            raise ConfigError(
                "gradient_penalty, r1, r2 and spectral_norm are of a discriminator that sees each event by itself: set "
                "normalise=False with them."
            )
        codes = Codes(tuple(categories), continuous, scale)
        game = Game(loss, gradient_penalty, r1, r2, smoothing=smoothing, bounded=spectral_norm)
        inputs, rates = codes.width + latent, (learning_rate, discriminator_rate)
        super().__init__(event_shape, inputs, output, game, *rates, betas, discriminator_steps)
        self.codes, self.weights, self.normalise, self.together = codes, (weight, continuous_weight), normalise, not normalise
        base, count = stages(self.event_shape)
        channels, dense = [width * 2**i for i in range(count)], 16 * width
        flat = channels[-1] * base**2
        self.generator = nn.Sequential(
            *_dense(inputs, dense, nn.ReLU(inplace=True)), *_dense(dense, flat, nn.ReLU(inplace=True)),
            Maps(channels[-1], base), *doublings([*reversed(channels), self.event_shape[0]], bias=True),
        )  # fmt: skip
        self.trunk = nn.Sequential(
            *halvings([self.event_shape[0], *channels], normalise=normalise, bias=True, slope=SLOPE),
            nn.Flatten(), *_dense(flat, dense, nn.LeakyReLU(SLOPE, inplace=True), normalise),
        )  # fmt: skip
        self.verdict = nn.Linear(dense, 1)
        self.recognition = nn.Sequential(
            *_dense(dense, 2 * width, nn.LeakyReLU(SLOPE, inplace=True)), nn.Linear(2 * width, codes.outputs)
        )  # fmt: skip
        initialise(self)
        if spectral_norm:
            normalise_spectra(self.trunk)
            normalise_spectra(self.verdict)
        self._drawn = torch.empty(0)  # the codes of the events that the players see

    @classmethod
    def configure_for(cls, event_shape: tuple[int, ...], support: Constraint) -> dict[str, Any]:
        """The output that suits such values; a `ConfigError` for what is no picture, or none of a side that can be reached."""
        stages(event_shape)
        return super().configure_for(event_shape, support)

    def judge(self, x: Tensor) -> Tensor:
        return self.verdict(self.trunk(channels_last(x))).squeeze(1)

    def _noise(self, n: int, generator: torch.Generator | None = None) -> Tensor:
        """Codes and noise, (n, latent), drawn from their priors."""
        return self._behind(self.codes.draw(n, self.verdict.weight, generator), generator)

    def _behind(self, codes: Tensor, generator: torch.Generator | None = None) -> Tensor:
        n, width = len(codes), self.latent - self.codes.width
        z = torch.randn(n, width, dtype=codes.dtype, device=codes.device, generator=generator)
        return torch.cat([codes, z], 1)

    def _fakes(self, n: int) -> Tensor:
        if n < 2:
            raise ConfigError(f"infogan needs a batch_size of at least 2 for its batch normalisation, got {n}.")
        z = self._noise(n)
        self._drawn = z[:, : self.codes.width]
        return self._shown_as(self._generate(z))

    def _generator_loss(self, batch: Batch) -> dict[str, Tensor]:
        fake = self._fakes(len(batch))
        self.kept.keep(batch, fake)
        features: list[Tensor] = []
        terms = self.game.generator_terms(self._watching(features), fake, batch.x)
        return terms | self._code_losses(features[0])[0]

    def _discriminator_loss(self, batch: Batch) -> dict[str, Tensor]:
        fake = self._fakes_beside(batch)
        features: list[Tensor] = []
        terms = self.game.discriminator_terms(self._watching(features), batch.x, fake, self.together)
        losses, bounds = self._code_losses(features[0][len(batch) :] if self.together else features[1])
        return terms | losses | {f"information_{name}": bound for name, bound in zip(self.codes.names, bounds, strict=True)}

    def _watching(self, features: list[Tensor]) -> Callable[[Tensor], Tensor]:
        """The discriminator, from events to logits, which keeps the features it finds on the way: Q needs those of events."""

        def discriminate(x: Tensor) -> Tensor:
            features.append(self.trunk(channels_last(self._centred(x))))
            return self.verdict(features[-1]).squeeze(1)

        return discriminate

    def _code_losses(self, features: Tensor) -> tuple[dict[str, Tensor], Tensor]:
        """−λ E[ln Q(c | x)] of both kinds of codes, and L_I of each in nats, of features of the events drawn last."""
        found = self.codes.log_likelihoods(self.recognition(features), self._drawn)
        kinds = found.split([len(self.codes.categories), self.codes.continuous], 1)
        losses = {
            name: -weight * part.sum(1).mean()
            for name, weight, part in zip(("categorical", "continuous"), self.weights, kinds, strict=True)
            if part.shape[1]
        }
        return losses, information_bounds(found.detach(), self.codes.entropies)

    @torch.no_grad()
    def sample(self, n: int, condition: Any = None, generator: torch.Generator | None = None) -> Tensor:
        """G(c, z) with codes and noise drawn from their priors, or with the codes that `condition` names.

        That is a value of the first categorical code for each event, int64 (n,), or whole codes, (n, codes.width), as `encode`
        gives them.
        """
        if condition is None:
            return super().sample(n, generator=generator)
        like = self.verdict.weight
        x = self.decode(self._behind(self.codes.given(condition, n, like, generator), generator))
        return x.round() if self.output == "binary" else x

    @torch.no_grad()
    def encode(self, x: Tensor) -> Tensor:
        """The codes that Q reads off events, (n, codes.width): probabilities of categorical ones, means of continuous ones."""
        return self.codes.expected(self._read(x))

    def _read(self, x: Tensor) -> Tensor:
        """Q's outputs for events one by one, with the statistics of training."""
        training = self.training
        self.eval()
        outputs: Tensor = self.recognition(self.trunk(channels_last(self._centred(self.check(x)))))
        self.train(training)
        return outputs

    @torch.no_grad()
    def category_probabilities(self, x: Tensor, code: int = 0) -> Tensor:
        """Q(c | x) of one categorical code, (n, its values)."""
        if not 0 <= code < len(self.codes.categories):
            raise ConfigError(
                f"code must be one of {len(self.codes.categories)} categorical codes, counted from 0, got {code}."
            )
        return self.codes.split(self.encode(x))[code]


def _dense(before: int, after: int, activation: nn.Module, normalise: bool = True) -> list[nn.Module]:
    return [nn.Linear(before, after), *([nn.BatchNorm1d(after)] if normalise else []), activation]


def _check(latent: int, width: int, weight: float, continuous_weight: float) -> None:
    if latent < 1:
        raise ConfigError(f"latent must be at least 1, got {latent}: it is the width of the noise z beside the codes.")
    if width < 1:
        raise ConfigError(f"width must be at least 1, got {width}: the channels next to the picture, 64 in the paper.")
    for name, value in (("weight", weight), ("continuous_weight", continuous_weight)):
        if not 0 <= value < float("inf"):
            raise ConfigError(f"{name} must be a number of at least 0, got {value}: it is λ, and 1 is the paper's.")
