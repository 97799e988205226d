"""Encoders that give a code by a function, by a Gaussian, or by a function with noise among its arguments."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..core import ConfigError, suggest
from .autoencoder import Encoder

ENCODERS = ("deterministic", "gaussian", "universal")
MOST_LOG_VARIANCE = 10.0  # and minus it the least: matching all codes to a prior bounds the variance of none from below
SPREAD = 3.0  # the deviation of standardised logits: wide enough for decided answers, of which no category has most
FIXED_NOISES = 16  # inputs of a universal encoder that a feature vector is the mean over


class StochasticEncoder(nn.Module):
    """q(z | x), and where there are `categories` q(y | x), from one network.

    `kind`: "deterministic", z = f(x); "gaussian", z = μ(x) + σ(x) ε with ε ~ N(0, I); "universal", z = f(x, η) with `noise`
    standard normal numbers η, any shape of q(z | x). `hidden`, `network` and `activation` are those of `Encoder`.
    With `standardise` the logits of each category are brought to mean 0 and deviation 3, over the batch in `draw`, over what
    `draw(update=True)` has seen in `mean`: no category is the answer for all, which training alone does not come back from.
    Raises `ConfigError` for another kind, or for universal without noise.

    >>> encoder = StochasticEncoder((1, 8, 8), [16], latent=2, categories=3)
    >>> [part.shape for part in encoder.draw(torch.zeros(5, 1, 8, 8))]
    [torch.Size([5, 3]), torch.Size([5, 2])]
    """

    fixed_noise: Tensor
    logit_mean: Tensor
    logit_variance: Tensor

    def __init__(
        self,
        event_shape: Sequence[int],
        hidden: Sequence[int],
        latent: int,
        kind: str = "deterministic",
        noise: int = 10,
        categories: int = 0,
        network: str = "mlp",
        activation: str = "relu",
        standardise: bool = False,
    ) -> None:
        super().__init__()
        if kind not in ENCODERS:
            raise ConfigError(f"encoder={kind!r} is unknown: {suggest(kind, ENCODERS)}.")
        if kind == "universal" and noise < 1:
            raise ConfigError(f"noise must be at least 1 for encoder='universal', got {noise}: it is the width of its noise.")
        self.kind, self.latent, self.categories = kind, latent, categories
        outputs, extra = categories + latent * (2 if kind == "gaussian" else 1), noise if kind == "universal" else 0
        self.network = Encoder(event_shape, hidden, outputs, network, activation, extra)
        fixed = torch.randn(FIXED_NOISES, extra, generator=torch.Generator().manual_seed(0))
        self.register_buffer("fixed_noise", fixed, persistent=False)
        self.standardise = standardise
        if standardise:
            self.register_buffer("logit_mean", torch.zeros(categories))
            self.register_buffer("logit_variance", torch.ones(categories))

    def draw(self, x: Tensor, update: bool = False) -> tuple[Tensor, Tensor]:
        """Logits of the categories (n, categories), and one z of q(z | x) for each row (n, latent), with gradients.

        `update` lets the batch enter the moments that standardised logits have outside of training.
        """
        noise = self.fixed_noise
        extra = torch.randn(len(x), noise.shape[1], dtype=noise.dtype, device=noise.device) if noise.shape[1] else None
        logits, z = self._split(x, extra)
        if self.kind == "gaussian":
            mean, log_variance = z.chunk(2, 1)
            deviation = (0.5 * log_variance.clamp(-MOST_LOG_VARIANCE, MOST_LOG_VARIANCE)).exp()
            z = mean + deviation * torch.randn_like(mean)
        if not self.standardise:
            return logits, z
        if len(x) < 2:
            raise ConfigError(f"clusters need a batch_size of at least 2, got {len(x)}: their logits are standardised over it.")
        mean_seen, variance_seen = (self.logit_mean, self.logit_variance) if update else (None, None)
        return SPREAD * F.batch_norm(logits, mean_seen, variance_seen, training=True), z

    def mean(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """q(y | x) (n, categories) and the mean of q(z | x) (n, latent); of a universal encoder over 16 fixed noises."""
        noises = [noise.expand(len(x), -1) for noise in self.fixed_noise] if self.kind == "universal" else [None]
        draws = [self._split(x, noise) for noise in noises]
        y = torch.stack([self._probabilities(logits) for logits, _ in draws]).mean(0)
        return y, torch.stack([z[:, : self.latent] for _, z in draws]).mean(0)

    def _probabilities(self, logits: Tensor) -> Tensor:
        if self.standardise:
            logits = SPREAD * F.batch_norm(logits, self.logit_mean, self.logit_variance)
        return logits.softmax(1)

    def _split(self, x: Tensor, noise: Tensor | None = None) -> tuple[Tensor, Tensor]:
        outputs = self.network(x, noise)
        return outputs[:, : self.categories], outputs[:, self.categories :]
