"""The Wasserstein autoencoder: codes matched to a prior by a kernel, by a discriminator, or along random directions."""

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.distributions.constraints import Constraint

from ..core import (
    Batch,
    ConfigError,
    DataError,
    Decodes,
    Encodes,
    GenerativeModel,
    Player,
    Reconstructs,
    Samples,
    ScoresAnomalies,
    adam,
    output_for,
    suggest,
    support_of,
)
from ..functional.adversarial import non_saturating_loss, verdicts
from ..functional.divergences import ESTIMATORS, mmd, sliced_wasserstein
from ..functional.likelihoods import bernoulli_log_prob
from ..nn.autoencoder import Decoder, check_autoencoder, codes_between, gradients_of
from ..nn.kept import Kept
from ..nn.mlp import mlp
from ..nn.priors import DensityPrior, Gaussian, Uniform, sampled_prior
from ..nn.sampled import Prior
from ..nn.stochastic import StochasticEncoder

PENALTIES = {"mmd": 10.0, "gan": 0.1, "sliced": 10.0}  # with λ where none is given: that of the paper's code, and of an AAE
COSTS = ("squared", "cross_entropy")
ENCODERS = ("deterministic", "gaussian")
BETAS = (0.5, 0.999)  # of Adam, for all players, as in the paper
MEASURED = 10_000  # draws of a prior without a closed form of its spread


class WAE(GenerativeModel, Samples, Encodes, Decodes, Reconstructs, ScoresAnomalies):
    """An autoencoder whose codes z over all data, q(z), are matched to a prior p(z) that one can sample.

    min  E_x E_q(z|x)[c(x, G(z))] + λ Div(q(z), p(z)),  whose first term is, at its least under Div = 0, the cost of the best
    transport of the data to the model. There is no density: the model can be sampled, x = G(z) with z ~ p(z), not scored.

    `penalty` is Div: "mmd", the maximum mean discrepancy with inverse multiquadratic kernels of width C = E‖z − z'‖² under the
    prior, by its "unbiased" or "linear" `estimator`; "gan", a discriminator with layers `discriminator_hidden`, of rate
    `adversarial_rate`; "sliced", the squared sliced 2-Wasserstein distance along `directions` random directions. `weight` is λ,
    by default 10, or 0.1 for "gan", where it is the share of an adversarial autoencoder. c is `cost_scale` times `cost`:
    "squared", ‖x − G(z)‖² (of binary events: of their probabilities), or for binary events "cross_entropy" in nats, which is
    no distance, but what a VAE uses.

    `latent` is the width of z; `hidden`, `network`, `activation` are those of `nn.autoencoder`. `output`: unit ([0, 1]),
    binary or real. `encoder`: deterministic, z = f(x), or gaussian, z = μ(x) + σ(x) ε. `prior`: gaussian (of `prior_std`),
    mixture or swiss_roll (in the plane), uniform, or whatever `nn.priors.sampled_prior` takes.

    With "gan" encoder and decoder move jointly, before the discriminator, on c − λ ln D(z). With `joint=False` they take the
    turns of an adversarial autoencoder: encoder and decoder on c, the discriminator, the encoder on −λ ln D(z). With
    `prior_trick` the discriminator's logit is its network's output plus ln p(z), so that the network need learn −ln q(z) alone.

    Time of a step O(n · weights) and O(n² latent) for "mmd". Raises `ConfigError` for values that make no sense. Wasserstein
    Auto-Encoders, Ilya Tolstikhin, Olivier Bousquet, Sylvain Gelly and Bernhard Schölkopf, 2018; sliced: Sliced Wasserstein
    Auto-Encoders, Soheil Kolouri, Phillip Pope, Charles Martin and Gustavo Rohde, 2019.

    >>> model = WAE((1, 8, 8), latent=2, penalty="sliced", prior="uniform")
    >>> model.sample(3).shape, model.encode(model.sample(3)).shape
    (torch.Size([3, 1, 8, 8]), torch.Size([3, 2]))
    """

    name = "wae"
    summary = "autoencoder whose codes follow a prior, by kernel, discriminator or slices"
    spread: Tensor

    def __init__(
        self,
        event_shape: Sequence[int],
        latent: int = 8,
        hidden: Sequence[int] = (256, 256),
        network: str = "mlp",
        activation: str = "relu",
        output: str = "unit",
        cost: str = "squared",
        cost_scale: float = 0.05,
        penalty: str = "mmd",
        weight: float | None = None,
        estimator: str = "unbiased",
        directions: int = 50,
        encoder: str = "deterministic",
        prior: Any = "gaussian",
        prior_std: float = 1.0,
        discriminator_hidden: Sequence[int] = (256, 256),
        joint: bool = True,
        prior_trick: bool = False,
        learning_rate: float = 1e-3,
        adversarial_rate: float = 5e-4,
    ) -> None:
        super().__init__()
        self.event_shape, self.latent, self.output = tuple(event_shape), latent, output
        self.cost, self.cost_scale, self.penalty = cost, cost_scale, penalty
        self.weight = PENALTIES.get(penalty, 0.0) if weight is None else weight
        self.estimator, self.directions, self.joint, self.prior_trick = estimator, directions, joint, prior_trick
        self.learning_rate, self.adversarial_rate = learning_rate, adversarial_rate
        check_autoencoder(self.event_shape, latent, hidden, network, activation)
        self._check_arguments(encoder, discriminator_hidden)
        self.support, self._given = support_of(output), prior
        self.prior = sampled_prior(prior, latent, prior_std)
        if prior_trick and not (penalty == "gan" and isinstance(self.prior, DensityPrior)):
            raise ConfigError("prior_trick=True needs penalty='gan' and prior='gaussian', whose density it uses: leave it out.")
        shape = self.event_shape
        self.encoder = StochasticEncoder(shape, hidden, latent, encoder, network=network, activation=activation)
        self.decoder = Decoder(latent, hidden, shape, network, activation)
        self.kept = Kept()
        if penalty == "gan":
            self.discriminator = mlp([latent, *discriminator_hidden, 1])
        if penalty == "mmd":  # saved with the weights, as the samples of a prior of the user's own are
            self.register_buffer("spread", torch.tensor(_spread(self.prior)))
            if not isinstance(prior, dict) and not float(self.spread) > 0:
                raise ConfigError("prior must have samples that differ, got one point: its kernel would have no width.")

    def _check_arguments(self, encoder: str, widths: Sequence[int]) -> None:
        choices = (("cost", COSTS), ("penalty", PENALTIES), ("estimator", ESTIMATORS))
        for name, word, known in (("encoder", encoder, ENCODERS), *((n, getattr(self, n), k) for n, k in choices)):
            if word not in known:
                raise ConfigError(f"{name}={word!r} is unknown: {suggest(word, known)}.")
        if self.cost == "cross_entropy" and self.output != "binary":
            raise ConfigError(f"cost='cross_entropy' is for binary events, got output={self.output!r}: use cost='squared'.")
        if not (0 <= self.weight < math.inf and 0 < self.cost_scale < math.inf):
            raise ConfigError(
                f"weight must be at least 0 and cost_scale positive, got {self.weight} and {self.cost_scale}: they are λ and "
                "the factor of the reconstruction error."
            )
        if self.directions < 1:
            raise ConfigError(f"directions must be at least 1, got {self.directions}: the sliced distance is their mean.")
        if widths and min(widths) < 1:
            raise ConfigError(f"discriminator_hidden must name layers of at least 1 unit, got {list(widths)}.")
        if not self.joint and self.penalty != "gan":
            raise ConfigError(f"joint=False is for penalty='gan', got penalty={self.penalty!r}: others have one player.")

    @classmethod
    def configure_for(cls, event_shape: tuple[int, ...], support: Constraint) -> dict[str, Any]:
        """The output that suits such values."""
        return {"output": output_for(event_shape, support)}

    def recorded(self) -> dict[str, Any]:
        return {"prior": self.prior.recorded(self._given)}

    def players(self) -> list[Player]:
        """One, but with a discriminator two; or three, in the order of an adversarial autoencoder, where `joint` is False."""
        encoder, decoder = list(self.encoder.parameters()), list(self.decoder.parameters())
        optimizer, adversarial = (adam(rate, betas=BETAS) for rate in (self.learning_rate, self.adversarial_rate))
        autoencoder = Player("autoencoder", [*encoder, *decoder], self._autoencoder_loss, optimizer=optimizer)
        if self.penalty != "gan":
            return [autoencoder]
        judge = list(self.discriminator.parameters())
        discriminator = Player("discriminator", judge, self._discriminator_loss, optimizer=adversarial)
        if self.joint:
            return [autoencoder, discriminator]
        return [autoencoder, discriminator, Player("encoder", encoder, self._encoder_loss, optimizer=adversarial)]

    def _autoencoder_loss(self, batch: Batch) -> dict[str, Tensor]:
        z = self.encoder.draw(batch.x)[1]
        if self.penalty == "gan":
            self.kept.keep(batch, z)
        terms = {"cost": self.cost_scale * self._error(batch.x, self.decoder(z)).mean()}
        return terms | {"penalty": self.weight * self._divergence(z)} if self.joint else terms

    def _divergence(self, z: Tensor) -> Tensor:
        """What the encoder minimises to bring q(z) to the prior."""
        if self.penalty == "gan":
            return non_saturating_loss(self.discriminate(z))
        prior_samples = self.prior.sample(len(z))
        if self.penalty == "mmd":
            return mmd(z, prior_samples, self.spread, self.estimator)
        return sliced_wasserstein(z, prior_samples, self.directions)

    def _discriminator_loss(self, batch: Batch) -> dict[str, Tensor]:
        codes = self.kept.take(batch)
        with torch.no_grad():
            z = codes[0] if codes else self.encoder.draw(batch.x)[1]
        return verdicts(self.discriminate(self.prior.sample(len(z))), self.discriminate(z))

    def _encoder_loss(self, batch: Batch) -> dict[str, Tensor]:
        return {"penalty": self.weight * self._divergence(self.encoder.draw(batch.x)[1])}

    def discriminate(self, z: Tensor) -> Tensor:
        """The discriminator's logit of "z is of the prior", (n,), for codes (n, latent)."""
        logit: Tensor = self.discriminator(z).squeeze(1)
        if self.prior_trick and isinstance(self.prior, DensityPrior):
            logit = logit + self.prior.log_prob(z)
        return logit

    def _error(self, x: Tensor, output: Tensor) -> Tensor:
        if self.cost == "cross_entropy":
            return -bernoulli_log_prob(x, output)
        return (x - self._event(output)).square().flatten(1).sum(1)

    def _event(self, output: Tensor) -> Tensor:
        return output if self.output == "real" else output.sigmoid()

    @torch.no_grad()
    def sample(self, n: int, condition: Any = None, generator: torch.Generator | None = None) -> Tensor:
        """x = G(z) with z ~ p(z), without noise on x; binary events are drawn with its probabilities."""
        self.refuse_condition(condition)
        x = self.decode(self.prior.sample(n, generator))
        return torch.bernoulli(x, generator=generator) if self.output == "binary" else x

    def decode(self, z: Tensor) -> Tensor:
        """G(z), (n, *event_shape), for codes (n, latent); in [0, 1] for pictures and binary events."""
        if z.ndim != 2 or z.shape[1] != self.latent:
            raise DataError(f"wae decodes codes of shape (n, {self.latent}), got {tuple(z.shape)}.")
        with gradients_of(z):
            return self._event(self.decoder(z))

    @torch.no_grad()
    def encode(self, x: Tensor) -> Tensor:
        """The code of each event, of a gaussian encoder the mean of q(z | x): (n, latent)."""
        return self.encoder.mean(self.check(x))[1]

    @torch.no_grad()
    def reconstruct(self, x: Tensor, condition: Any = None) -> Tensor:
        """decode(encode(x)), (n, *event_shape)."""
        self.refuse_condition(condition)
        return self.decode(self.encode(x))

    @torch.no_grad()
    def interpolate(self, a: Tensor, b: Tensor, steps: int = 8, condition: Any = None) -> Tensor:
        """Decoded codes on straight lines between those of events a and b, (n, *event_shape) each: (n, steps, *event_shape)."""
        self.refuse_condition(condition)
        return self.decode(codes_between(self.encode(a), self.encode(b), steps)).unflatten(0, (len(a), steps))

    @torch.no_grad()
    def anomaly_score(self, x: Tensor) -> Tensor:
        """The reconstruction error, without `cost_scale`: ‖x − x̂‖², or the cross-entropy in nats."""
        return self._error(x, self.decoder(self.encode(x)))


def _spread(prior: Prior) -> float:
    """E‖z − z'‖² of two draws of the prior, twice the sum of its variances; measured where there is no closed form."""
    if isinstance(prior, Gaussian):
        return 2 * prior.latent * prior.std**2
    if isinstance(prior, Uniform):
        return 2 * prior.latent / 3
    draws = prior.sample(MEASURED, torch.Generator().manual_seed(0))
    return 2 * float(draws.double().var(0, correction=0).sum())
