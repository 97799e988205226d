"""The variational autoencoder."""

import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.distributions import constraints

from ..core import (
    ApproximateDensity,
    Batch,
    ConfigError,
    DataError,
    Decodes,
    Encodes,
    GenerativeModel,
    LatentVariable,
    LevelGrid,
    Player,
    Reconstructs,
    Samples,
    ScoresAnomalies,
    adam,
    from_codes,
    levels_of,
    to_codes,
)
from ..functional.likelihoods import gaussian_kl, log_mean_exp
from ..functional.variational import Objective, doubly_reparameterised, free_bits_kl, perturbed, perturbed_log_prob
from ..nn.autoencoder import Decoder, Encoder, check_autoencoder, codes_between, gradients_of
from ..nn.conditions import one_hot_labels
from ..nn.observation import observation
from ..nn.priors import Gaussian, density_prior

FEW_LEVELS = 8  # pictures of so few levels have a probability for each; of more a logistic distribution over them
ANOMALY_SAMPLES = 16
CHUNK = 400_000  # values of a layer of the decoder held at once while a bound is estimated: near the cache


class VAE(GenerativeModel, Samples, ApproximateDensity, LatentVariable, Encodes, Decodes, Reconstructs, ScoresAnomalies):
    """A latent-variable model p(x) = ∫ p(x | z) p(z) dz with an encoder q(z | x) = N(μ(x), diag σ²(x)).

    Trained on the evidence lower bound  E_q[ln p(x | z)] − β KL(q(z | x) ‖ p(z)) ≤ ln p(x) (for β ≥ 1), or with
    `objective="iwae"` on the importance-weighted one,  E_q[ln 1/k Σ_j p(x, z_j)/q(z_j | x)].

    `latent` is the width of z. Networks: `hidden` are the widths of the layers between x and z (mlp), mirrored in the decoder,
    or the channels of stride-2 convolutions (conv; the sides of the picture must be divisible by 2 for each); `activation` is
    relu or tanh. p(x | z), `likelihood`: bernoulli for x in {0, 1}; logistic (rounded) or categorical for `levels` values;
    gaussian for real x, with one `variance`, learned unless given. p(z), `prior`: gaussian, N(0, I); mixture, of `components`
    learned Gaussians; vamp, of the posteriors of `components` learned pseudo-events. With `classes` = k labels join encoder and
    decoder, q(z | x, y) and p(x | z, y): a model of p(x | y), and of p(x) with all labels equally likely.

    Training only: `beta` weighs the KL term, which rises from 0 over the first `warm_up` examples and is, with `free_bits`,
    Σ_j max(free_bits, KL_j), in nats, of the batch means of the dimensions. `importance_samples` is k, the codes drawn per
    event; `gradient` "dreg" the doubly reparameterised one of iwae. Of all this `elbo` knows nothing: it is always the bound.

    Kingma and Welling, Auto-Encoding Variational Bayes, 2014; Rezende, Mohamed, Wierstra, Stochastic Backpropagation, 2014;
    β: Higgins et al., beta-VAE, 2017; iwae: Burda, Grosse, Salakhutdinov, Importance Weighted Autoencoders, 2016; labels: Sohn,
    Lee, Yan, Learning Structured Output Representation using Deep Conditional Generative Models, 2015; vamp: Tomczak and
    Welling, VAE with a VampPrior, 2018; free bits and dreg: see `functional.variational`.

    >>> model = VAE((1, 8, 8), latent=2)
    >>> model.sample(3).shape, model.encode(model.sample(3)).shape
    (torch.Size([3, 1, 8, 8]), torch.Size([3, 2]))
    """

    name = "vae"
    summary = "variational autoencoder"

    def __init__(
        self,
        event_shape: Sequence[int],
        latent: int = 16,
        hidden: Sequence[int] = (256, 256),
        network: str = "mlp",
        activation: str = "relu",
        likelihood: str = "bernoulli",
        levels: int | None = None,
        variance: float | None = None,
        prior: str = "gaussian",
        components: int = 10,
        beta: float = 1.0,
        free_bits: float = 0.0,
        warm_up: int = 0,
        objective: str = "elbo",
        importance_samples: int = 1,
        gradient: str = "plain",
        classes: int | None = None,
        learning_rate: float = 1e-3,
    ) -> None:
        super().__init__()
        self.event_shape, self.latent, self.learning_rate = tuple(event_shape), latent, learning_rate
        self.objective = Objective(objective, importance_samples, gradient, beta, free_bits, warm_up)
        self.classes, self.examples_seen = classes, 0
        self._check_prior(prior)
        check_autoencoder(event_shape, latent, hidden, network, activation)
        self.observation = observation(likelihood, self.event_shape, levels, variance)
        self.likelihood, self.support, extra = likelihood, self.observation.support, classes or 0
        if likelihood in ("logistic", "categorical"):
            self.levels = levels
        self.encoder = Encoder(self.event_shape, hidden, 2 * latent, network, activation, extra)
        self.decoder = Decoder(latent + extra, hidden, self.event_shape, network, activation, self.observation.per_value)
        self.width = max(self.dims * self.observation.per_value, *hidden, 1)  # numbers that the decoder holds for an event
        self.prior = density_prior(prior, latent, components, self.event_shape, self._pseudo_posterior)

    def _check_prior(self, prior: str) -> None:
        if self.objective.free_bits and prior != "gaussian":
            raise ConfigError(
                f"free_bits={self.objective.free_bits} needs the KL of each latent dimension, which only prior='gaussian' "
                f"has in closed form, got prior={prior!r}: leave free_bits out."
            )
        if self.classes is not None and self.classes < 1:
            raise ConfigError(f"classes must be at least 1, got {self.classes}: it is the number of labels.")
        if prior == "vamp" and self.classes is not None:
            raise ConfigError(
                f"prior='vamp' and classes={self.classes} exclude each other, as pseudo-events have no label: use "
                "prior='mixture'."
            )

    @classmethod
    def configure_for(cls, event_shape: tuple[int, ...], support: constraints.Constraint) -> dict[str, Any]:
        """The likelihood: a probability for each discrete value, or a rounded logistic variable for pictures of many levels."""
        levels = levels_of(support)
        if support is constraints.boolean or levels is None:
            return {"likelihood": "gaussian" if levels is None else "bernoulli"}
        ordered = isinstance(support, LevelGrid) and levels > FEW_LEVELS
        return {"likelihood": "logistic" if ordered else "categorical", "levels": levels}

    def players(self) -> list[Player]:
        """One player, which minimises the terms of minus the bound in nats."""
        return [Player("model", list(self.parameters()), self._loss, optimizer=adam(self.learning_rate))]

    def advance(self, examples_seen: int) -> None:
        """Training has come so far, by which the KL term gains its weight."""
        self.examples_seen = examples_seen

    def _loss(self, batch: Batch) -> dict[str, Tensor]:
        x, k, objective = batch.x, self.objective.samples, self.objective
        labels = None if self.classes is None else batch.label if batch.condition is None else batch.condition
        extra = self._one_hot(labels, len(x))
        mean, log_variance = self._posterior(x, extra)
        noise = torch.randn(k, *mean.shape, dtype=mean.dtype, device=mean.device)
        if objective.kind == "iwae":
            return {"iwae": -log_mean_exp(self._log_weights(x, mean, log_variance, noise, extra, objective.gradient)).mean()}
        z = perturbed(mean, log_variance, noise)
        reconstruction = -self._log_likelihood(_repeated(x, k), z, _repeated(extra, k)).mean()
        if not isinstance(self.prior, Gaussian):
            kl = (perturbed_log_prob(noise, log_variance) - self.prior.log_prob(z).view(k, -1)).mean()
        elif objective.free_bits:
            kl = free_bits_kl(mean, log_variance, objective.free_bits)
        else:
            kl = gaussian_kl(mean, log_variance).mean()
        return {"reconstruction": reconstruction, "kl": objective.kl_weight(self.examples_seen) * kl}

    def _log_weights(
        self, x: Tensor, mean: Tensor, log_variance: Tensor, noise: Tensor, extra: Tensor | None, gradient: str = "plain"
    ) -> Tensor:
        """ln p(x, z_j) − ln q(z_j | x) for z_j = μ + σ ε_j, from noise ε (samples, n, latent): (samples, n)."""
        k, z = len(noise), perturbed(mean, log_variance, noise)
        log_likelihood = self._log_likelihood(_repeated(x, k), z, _repeated(extra, k))
        log_joint = (log_likelihood + self.prior.log_prob(z)).view(k, -1)
        if gradient == "dreg":
            return doubly_reparameterised(log_joint, z, mean, log_variance)
        return log_joint - perturbed_log_prob(noise, log_variance)

    def _posterior(self, x: Tensor, extra: Tensor | None) -> tuple[Tensor, Tensor]:
        if isinstance(self.support, constraints.integer_interval):
            x = x / self.support.upper_bound
        mean, log_variance = self.encoder(x, extra).to(x.dtype).chunk(2, dim=1)  # also under autocast
        return mean, log_variance

    def _pseudo_posterior(self, shares: Tensor) -> tuple[Tensor, Tensor]:
        """q(z | u) for a VampPrior's pseudo-events, given as shares of the range of x: all real numbers, or an interval."""
        if self.likelihood == "gaussian" and len(self.event_shape) != 3:
            return self._posterior(shares.logit(), None)
        return self._posterior(shares * getattr(self.support, "upper_bound", 1), None)

    def _log_likelihood(self, x: Tensor, z: Tensor, extra: Tensor | None) -> Tensor:
        return self.observation.log_prob(x, self._decoded(z, extra))

    def _decoded(self, z: Tensor, extra: Tensor | None) -> Tensor:
        output: Tensor = self.decoder(z if extra is None else torch.cat([z, extra], 1))
        return output.to(z.dtype)

    def _one_hot(self, condition: Tensor | None, n: int) -> Tensor | None:
        """What labels (n,) add to encoder and decoder, (n, classes); None where the model has none."""
        if self.classes is None:
            self.refuse_condition(condition)
            return None
        return one_hot_labels(self.name, condition, self.classes, n, next(self.parameters()))

    def elbo(
        self, x: Tensor, samples: int | None = None, generator: torch.Generator | None = None, condition: Tensor | None = None
    ) -> Tensor:
        """A lower bound of ln p(x) in nats, (n,): the ELBO for samples = 1, the importance-weighted bound for more.

        By default samples = 1, or the k of `objective="iwae"`: the bound that was trained, by which validation goes.
        With `condition`, labels (n,), of ln p(x | label); a model with classes is without one the mixture of all its labels,
        each with its own samples. Under torch.no_grad memory is bounded whatever the number of samples; time is linear in it.
        """
        if samples is None:
            samples = self.objective.samples if self.objective.kind == "iwae" else 1
        if samples < 1:
            raise ConfigError(f"samples must be at least 1, got {samples}.")
        self.check(x)
        mixed = self.classes is not None and condition is None  # and E exp of a bound with a closed-form KL is no probability
        if samples == 1 and isinstance(self.prior, Gaussian) and not mixed:
            extra = self._one_hot(condition, len(x))
            mean, log_variance = self._posterior(x, extra)
            noise = torch.randn(1, *mean.shape, dtype=mean.dtype, device=mean.device, generator=generator)
            z = perturbed(mean, log_variance, noise)
            return self._log_likelihood(x, z, extra) - gaussian_kl(mean, log_variance)

        def noise_in_parts() -> Iterator[Tensor]:
            at_once = max(1, CHUNK // (len(x) * self.width + 1))
            for start in range(0, samples, at_once):
                shape = (min(at_once, samples - start), len(x), self.latent)
                yield torch.randn(shape, dtype=x.dtype, device=x.device, generator=generator)

        return self._importance_bound(x, noise_in_parts, condition)

    def _importance_bound(self, x: Tensor, noise: Callable[[], Iterator[Tensor]], condition: Tensor | None) -> Tensor:
        """ln of the mean of p(x, z)/q(z | x) over codes from all this noise, and over all labels where none are given."""
        totals, count = [], 0
        given = self.classes is None or condition is not None
        for labels in [condition] if given else [_all(label, x) for label in range(self.classes or 0)]:
            extra = self._one_hot(labels, len(x))
            mean, log_variance = self._posterior(x, extra)
            for part in noise():
                totals.append(self._log_weights(x, mean, log_variance, part, extra).logsumexp(0))
                count += len(part)
        return torch.stack(totals).logsumexp(0) - math.log(count)

    def posterior(self, x: Tensor, condition: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Mean and log-variance of q(z | x), each (n, latent)."""
        return self._posterior(self.check(x), self._one_hot(condition, len(x)))

    def log_likelihood_given(self, x: Tensor, z: Tensor, condition: Tensor | None = None) -> Tensor:
        """ln p(x | z) in nats, (n,), of codes and events, which must lie in the support, row by row."""
        return self._log_likelihood(x, self._check_codes(z, len(x)), self._one_hot(condition, len(x)))

    def log_joint(self, x: Tensor, z: Tensor, condition: Tensor | None = None) -> Tensor:
        """ln p(x, z) = ln p(x | z) + ln p(z) in nats, (n,), of events and codes row by row."""
        return self.log_likelihood_given(x, z, condition) + self.prior.log_prob(z)

    def _check_codes(self, z: Tensor, n: int | None = None) -> Tensor:
        if z.ndim != 2 or z.shape[1] != self.latent or (n is not None and len(z) != n):
            rows = "n" if n is None else n
            raise DataError(f"vae expects codes z of shape ({rows}, {self.latent}), got {tuple(z.shape)}.")
        return z

    @torch.no_grad()
    def sample(self, n: int, condition: Tensor | None = None, generator: torch.Generator | None = None) -> Tensor:
        """Draws from p(x): z from the prior, then x from p(x | z); of grey or coloured pictures the mean of p(x | z).

        The noise of such pictures (gaussian or logistic) stands for what the code cannot say, and is left out as is the custom;
        means are rounded to the nearest level. `draw_given` has it. A model with classes draws events of the labels
        `condition` (n,), else of labels at random.
        """
        z = self.prior.sample(n, generator)
        if self.classes is not None and condition is None:
            condition = torch.randint(self.classes, (n,), device=self.device, generator=generator)
        if len(self.event_shape) != 3 or self.likelihood not in ("gaussian", "logistic"):
            return self.draw_given(z, condition, generator)
        mean = self.decode(z, condition)
        return mean if self.likelihood == "gaussian" else from_codes(to_codes(mean, self.support), self.support, mean.dtype)

    @torch.no_grad()
    def draw_given(self, z: Tensor, condition: Tensor | None = None, generator: torch.Generator | None = None) -> Tensor:
        """A draw from p(x | z) for each code, (n, *event_shape), observation noise included."""
        return self.observation.draw(self._decoded(self._check_codes(z), self._one_hot(condition, len(z))), generator)

    def decode(self, z: Tensor, condition: Tensor | None = None) -> Tensor:
        """The mean of p(x | z) for codes (n, latent), of a logistic likelihood its location."""
        with gradients_of(z):
            return self.observation.mean(self._decoded(self._check_codes(z), self._one_hot(condition, len(z))))

    @torch.no_grad()
    def encode(self, x: Tensor, condition: Tensor | None = None) -> Tensor:
        """The mean of q(z | x), (n, latent); of a model with classes that is given no labels its average over all of them."""
        if self.classes is None or condition is not None:
            return self.posterior(x, condition)[0]
        return torch.stack([self.posterior(x, _all(label, x))[0] for label in range(self.classes)]).mean(0)

    @torch.no_grad()
    def reconstruct(self, x: Tensor, condition: Tensor | None = None) -> Tensor:
        """The mean of p(x | z) at the mean z of q(z | x), (n, *event_shape)."""
        return self.decode(self.posterior(x, condition)[0], condition)

    @torch.no_grad()
    def interpolate(self, a: Tensor, b: Tensor, steps: int = 8, condition: Tensor | None = None) -> Tensor:
        """Means of p(x | z) along the straight line from the code of each event of a to that of b, (n, steps, *event_shape).

        Codes are posterior means, both ends are included. `condition` are the labels (n,) of a model with classes.
        """
        codes = codes_between(self.posterior(a, condition)[0], self.posterior(b, condition)[0], steps)
        labels = None if condition is None else torch.as_tensor(condition).repeat_interleave(steps)
        return self.decode(codes, labels).unflatten(0, (len(a), steps))

    def active_units(self, x: Tensor, threshold: float = 0.01, condition: Tensor | None = None) -> Tensor:
        """Which latent dimensions are in use: the posterior mean's variance over x is above the threshold, bool (latent,).

        Source: Importance Weighted Autoencoders, Burda, Grosse, Salakhutdinov, 2016.
        """
        if len(x) < 2:
            raise DataError(f"active units are told from the variance over at least 2 events, got {len(x)}.")
        return self.encode(x, condition).var(0) > threshold

    @torch.no_grad()
    def anomaly_score(self, x: Tensor) -> Tensor:
        """Minus the importance-weighted bound with 16 samples from fixed noise, in nats."""
        generator = torch.Generator(x.device).manual_seed(0)
        noise = torch.randn(ANOMALY_SAMPLES, 1, self.latent, dtype=x.dtype, device=x.device, generator=generator)
        return -self._importance_bound(self.check(x), lambda: iter([noise.expand(-1, len(x), -1)]), None)


def _repeated(x: Any, k: int) -> Any:
    """The rows of a tensor, k times over; None stays what it is."""
    return x if x is None or k == 1 else x.repeat(k, *[1] * (x.ndim - 1))


def _all(label: int, x: Tensor) -> Tensor:
    """This label for each of the events x."""
    return torch.full((len(x),), label, device=x.device)
