"""What every game of a generator against a discriminator shares: its two players, its noise, its stabilisers."""

from abc import abstractmethod
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.distributions.constraints import Constraint
from torch.nn.utils import parametrizations

from ..core import (
    Batch,
    ConfigError,
    DataError,
    Decodes,
    Discriminates,
    GenerativeModel,
    Player,
    Samples,
    adam,
    output_for,
    support_of,
)
from ..functional.adversarial import LOGISTIC
from ..functional.game import Game
from .autoencoder import gradients_of
from .kept import Kept


class AdversarialModel(GenerativeModel, Samples, Decodes, Discriminates):
    """A generator x = G(z), z ~ N(0, I), against a discriminator that learns to tell its events from data.

    A subclass builds `generator`, from noise (n, latent) to outputs (n, *event_shape), and `judge`, from packed events to
    logits; every parameter outside the generator is the discriminator's. `together` says that rows of the discriminator do not
    depend on each other (no batch normalisation in it), so that data and samples can pass it at once.

    The generator moves first, on every `discriminator_steps`-th step, and its events are those the discriminator then sees:
    they are made once. There is no density: such a model can be sampled, not scored.
    """

    generator: nn.Module
    together = True

    def __init__(
        self,
        event_shape: Sequence[int],
        latent: int,
        output: str,
        game: Game,
        learning_rate: float,
        discriminator_rate: float | None,
        betas: Sequence[float],
        discriminator_steps: int,
    ) -> None:
        super().__init__()
        if latent < 1:
            raise ConfigError(f"latent must be at least 1, got {latent}: it is the width of the noise z.")
        if not isinstance(discriminator_steps, int) or discriminator_steps < 1:
            raise ConfigError(f"discriminator_steps must be a whole number of at least 1, got {discriminator_steps!r}.")
        if len(betas) != 2 or not all(0 <= beta < 1 for beta in betas):
            raise ConfigError(f"betas must be Adam's two decays in [0, 1), got {list(betas)}: [0.5, 0.999] suits GANs.")
        self.event_shape, self.latent, self.game = tuple(event_shape), latent, game
        self.output, self.support = output, support_of(output)
        self.rates = (learning_rate, learning_rate if discriminator_rate is None else discriminator_rate)
        self.betas, self.discriminator_steps = (float(betas[0]), float(betas[1])), discriminator_steps
        self.kept = Kept()

    @classmethod
    def configure_for(cls, event_shape: tuple[int, ...], support: Constraint) -> dict[str, Any]:
        """The output that suits such values."""
        return {"output": output_for(event_shape, support)}

    @abstractmethod
    def judge(self, x: Tensor) -> Tensor:
        """Logits (n,) of packed events (n, pack · channels, ...), their values as the network takes them."""

    def players(self) -> list[Player]:
        """The generator, then the discriminator, each with its own Adam."""
        makers = list(self.generator.parameters())
        made = {id(p) for p in makers}
        judges = [p for p in self.parameters() if id(p) not in made]
        rate, discriminator_rate = self.rates
        optimizers = adam(rate, betas=self.betas), adam(discriminator_rate, betas=self.betas)
        return [
            Player("generator", makers, self._generator_loss, every=self.discriminator_steps, optimizer=optimizers[0]),
            Player("discriminator", judges, self._discriminator_loss, optimizer=optimizers[1]),
        ]

    def _generator_loss(self, batch: Batch) -> dict[str, Tensor]:
        fake = self._fakes(len(batch))
        self.kept.keep(batch, fake)
        return self.game.generator_terms(self._judge_events, fake, batch.x)

    def _discriminator_loss(self, batch: Batch) -> dict[str, Tensor]:
        return self.game.discriminator_terms(self._judge_events, batch.x, self._fakes_beside(batch), self.together)

    def _fakes_beside(self, batch: Batch) -> Tensor:
        """The events that the generator has shown beside this batch, or new ones on a step on which it did not move."""
        if shown := self.kept.take(batch):
            return shown[0]
        with torch.no_grad():
            return self._fakes(len(batch))

    def _fakes(self, n: int) -> Tensor:
        """Generated events as the discriminator sees them; gradients pass the rounding of binary ones unchanged."""
        return self._shown_as(self._generate(self._noise(n)))

    def _shown_as(self, x: Tensor) -> Tensor:
        return x + (x.round() - x).detach() if self.output == "binary" else x

    def _judge_events(self, x: Tensor) -> Tensor:
        return self.judge(self._centred(x))

    def _centred(self, x: Tensor) -> Tensor:
        return x if self.output == "real" else 2 * x - 1  # pictures enter as [-1, 1]

    def discriminate(self, x: Tensor) -> Tensor:
        """The discriminator's logit of "x is data", (n,); (n / pack,) where a decision is over several events."""
        return self._judge_events(self.game.packed(x))

    @property
    def realness_unit(self) -> str:
        """Whether `realness` is a probability or a value without scale."""
        return "D(x)" if self.game.loss in LOGISTIC else "f(x)"

    @torch.no_grad()
    def realness(self, x: Tensor, beside: Tensor | None = None) -> Tensor:
        """D(x) = sigmoid(f(x)) of a logistic loss, else f(x), (n,); of a packed one the mean over events `beside` x.

        Their other events are consecutive ones of `beside`, in eight ways at most; without it they are copies of x.
        """
        others = self.game.pack - 1
        if not others:
            logits = self.discriminate(x)
        else:
            ways = [x.unsqueeze(1).expand(-1, others, *x.shape[1:])]
            if beside is not None and len(beside) >= others:
                ways = [rows.expand(len(x), *rows.shape) for rows in beside.split(others)[:8] if len(rows) == others]
            sets = torch.stack([torch.cat([x.unsqueeze(1), way], 1) for way in ways])
            logits = self.discriminate(sets.flatten(0, 2)).view(len(ways), -1)
        values = logits.sigmoid() if self.game.loss in LOGISTIC else logits
        return values if not others else values.mean(0)

    def _generate(self, z: Tensor) -> Tensor:
        x: Tensor = self.generator(z).view(-1, *self.event_shape).to(z.dtype)  # autocast rounds logits, not pictures
        return x if self.output == "real" else x.sigmoid()

    def _noise(self, n: int, generator: torch.Generator | None = None) -> Tensor:
        like = next(self.generator.parameters())
        return torch.randn(n, self.latent, dtype=like.dtype, device=like.device, generator=generator)

    @torch.no_grad()
    def sample(self, n: int, condition: Any = None, generator: torch.Generator | None = None) -> Tensor:
        self.refuse_condition(condition)
        x = self.decode(self._noise(n, generator))
        return x.round() if self.output == "binary" else x

    def decode(self, z: Tensor) -> Tensor:
        """G(z) for noise vectors (n, latent), before any rounding; each on its own, with the statistics of training."""
        if z.ndim != 2 or z.shape[1] != self.latent:
            raise DataError(f"{self.name} decodes noise of shape (n, {self.latent}), got {tuple(z.shape)}.")
        training = self.generator.training
        self.generator.eval()
        with gradients_of(z):  # some at a time: thousands of pictures have maps that fill the memory
            x = torch.cat([self._generate(rows) for rows in z.split(self.rows_at_once)]).contiguous()
        self.generator.train(training)
        return x


def normalise_spectra(module: nn.Module) -> nn.Module:
    """The module with the weights of its linear and convolutional layers divided by their largest singular value.

    One power iteration a forward pass in training. Spectral Normalization for Generative Adversarial Networks, Takeru Miyato,
    Toshiki Kataoka, Masanori Koyama and Yuichi Yoshida, 2018.
    """
    for layer in list(module.modules()):
        if isinstance(layer, nn.Linear | nn.Conv2d):
            parametrizations.spectral_norm(layer)
    return module


def check_widths(name: str, widths: Sequence[int]) -> None:
    """Raise `ConfigError` where layers have no width, or there are none."""
    if not widths or min(widths) < 1:
        raise ConfigError(f"{name} must name at least one layer of at least 1 unit, got {list(widths)}: as [256, 256].")
