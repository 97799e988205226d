"""The adversarial autoencoder: without labels, with clusters, with few labels, with all."""

import math
from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.distributions.constraints import Constraint

from ..core import (
    Batch,
    CapabilityError,
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
    support_of,
)
from ..functional.adversarial import non_saturating_loss, verdicts
from ..functional.likelihoods import bernoulli_log_prob
from ..nn.autoencoder import Decoder, check_autoencoder, codes_between, gradients_of
from ..nn.conditions import one_hot_labels
from ..nn.kept import Kept
from ..nn.mlp import mlp
from ..nn.priors import sampled_prior
from ..nn.stochastic import StochasticEncoder
from ..nn.supervision import check_supervision, labels_of, one_hot, rows_without_label

BETAS = (0.5, 0.999)  # of Adam in the adversarial phases: less momentum, as in GANs


class AAE(GenerativeModel, Samples, Encodes, Decodes, Reconstructs, ScoresAnomalies):
    """An autoencoder whose codes, over all data, are matched to a prior p(z) by a discriminator that sees codes only.

    Each step has phases with optimisers of their own, the first two on the same codes. Reconstruction: encoder and decoder
    minimise ½‖x − x̂‖² (cross-entropy where x is binary). Regularisation: the discriminator maximises E_p(z)[ln D(z)] +
    E_x[ln(1 − D(z(x)))], then the encoder alone maximises E_x[ln D(z(x))]. Classification (`supervision="classes"`): the
    encoder minimises the cross-entropy of q(y | x) on labelled rows. There is no density: the model can be sampled,
    x = decoder(z) with z ~ p(z), not scored.

    `latent` is the width of z; `hidden`, `network`, `activation` are those of `nn.autoencoder`. `output`: unit ([0, 1]),
    binary or real. `encoder`: deterministic, z = f(x); gaussian, z = μ(x) + σ(x) ε; universal, z = f(x, η) with `noise`
    standard normal numbers η. `prior`: gaussian (of `prior_std`), mixture or swiss_roll (in the plane, of `classes` parts, by
    default 10), uniform, or whatever `nn.priors.sampled_prior` takes. `input_noise` is the deviation of the noise that x
    gets on its way into the encoder in training. With `categories` = K > 0 the encoder also gives q(y | x), matched to
    the uniform distribution over K categories by a discriminator of its own; the decoder is given [y, z]: clusters. Their
    logits are standardised over the batch, which is not the paper's: without it few clusters are used, or one.

    `supervision` says what labels do, `classes` how many there are; −1 is a label not known. "prior": the discriminator
    is told labels, the codes of a label are matched to its part of the prior. "classes": K = `classes` categories, of which
    labelled rows teach the encoder the meaning. "style": the decoder is given the label, the code z keeps the rest. Where some
    rows have no label, the other phases leave labelled ones to the classification, as in data of `load_data(labelled=...)`.

    Time of a step O(n · weights). Raises `ConfigError` for values that make no sense. Adversarial Autoencoders, Alireza
    Makhzani, Jonathon Shlens, Navdeep Jaitly, Ian Goodfellow and Brendan Frey, 2016.

    >>> model = AAE((1, 8, 8), latent=2, prior="swiss_roll")
    >>> model.sample(3).shape, model.encode(model.sample(3)).shape
    (torch.Size([3, 1, 8, 8]), torch.Size([3, 2]))
    """

    name = "aae"
    summary = "autoencoder whose codes follow any prior, adversarially"

    def __init__(
        self,
        event_shape: Sequence[int],
        latent: int = 8,
        hidden: Sequence[int] = (256, 256),
        network: str = "mlp",
        activation: str = "relu",
        output: str = "unit",
        encoder: str = "deterministic",
        noise: int = 10,
        prior: Any = "gaussian",
        prior_std: float = 1.0,
        discriminator_hidden: Sequence[int] = (256, 256),
        categories: int = 0,
        supervision: str = "none",
        classes: int | None = None,
        input_noise: float = 0.0,
        learning_rate: float = 1e-3,
        adversarial_rate: float = 5e-4,
    ) -> None:
        super().__init__()
        self.event_shape, self.latent = tuple(event_shape), latent
        self.learning_rate, self.adversarial_rate, self.input_noise = learning_rate, adversarial_rate, input_noise
        check_autoencoder(self.event_shape, latent, hidden, network, activation)
        _check_arguments(discriminator_hidden, input_noise)
        self.output, self.support, self.supervision = output, support_of(output), supervision
        self._given, self.prior = prior, sampled_prior(prior, latent, prior_std, 10 if classes is None else classes)
        self.categories, self.classes = check_supervision(supervision, categories, classes, self.prior.classes)
        self.joined = (self.classes or 0) if supervision == "style" else self.categories  # width of what joins z
        clusters = supervision == "none" and self.categories > 0
        self.encoder = StochasticEncoder(
            self.event_shape, hidden, latent, encoder, noise, self.categories, network, activation, standardise=clusters
        )
        self.decoder = Decoder(self.joined + latent, hidden, self.event_shape, network, activation)
        told = self.prior.classes + 1 if supervision == "prior" else 0  # labels, and "not known"
        self.discriminator = mlp([latent + told, *discriminator_hidden, 1])
        self.kept = Kept()
        if self.categories:
            self.category_discriminator = mlp([self.categories, *discriminator_hidden, 1])

    @classmethod
    def configure_for(cls, event_shape: tuple[int, ...], support: Constraint) -> dict[str, Any]:
        """The output that suits such values."""
        return {"output": output_for(event_shape, support)}

    def recorded(self) -> dict[str, Any]:
        return {"prior": self.prior.recorded(self._given)}

    def players(self) -> list[Player]:
        """The phases of a step, in their order; the encoder belongs to several, with an optimiser's state for each."""
        encoder, decoder = list(self.encoder.parameters()), list(self.decoder.parameters())
        judges = [p for name, p in self.named_parameters() if "discriminator" in name]
        plain, adversarial = adam(self.learning_rate), adam(self.adversarial_rate, betas=BETAS)
        players = [
            Player("autoencoder", [*encoder, *decoder], self._autoencoder_loss, optimizer=plain),
            Player("discriminator", judges, self._discriminator_loss, optimizer=adversarial),
            Player("encoder", encoder, self._encoder_loss, optimizer=adversarial),
        ]
        if self.supervision == "classes":
            players.append(Player("classifier", encoder, self._classifier_loss, optimizer=plain))
        return players

    def _autoencoder_loss(self, batch: Batch) -> dict[str, Tensor]:
        x = rows_without_label(batch)
        if self.supervision == "style":
            label = labels_of(batch, self.joined, "style")
            if bool((label < 0).any()):
                raise ConfigError("supervision='style' needs the label of every row: use 'classes', or labels for all.")
            x, y = batch.x, one_hot(label, self.joined, batch.x)
        logits, z = self._draw_codes(x, update=True)
        if self.supervision != "prior":  # there the discriminator sees more rows than are reconstructed
            self.kept.keep(batch, logits, z)
        output = self.decoder(torch.cat([y if self.supervision == "style" else logits.softmax(1), z], 1))
        return {"reconstruction": self._error(x, output).mean()}

    def _discriminator_loss(self, batch: Batch) -> dict[str, Tensor]:
        x, label = self._regularised(batch)
        if codes := self.kept.take(batch):
            logits, z = codes
        else:
            with torch.no_grad():
                logits, z = self._draw_codes(x)
        terms = verdicts(self.discriminate(self._draw_prior(len(x), label), label), self.discriminate(z, label))
        if self.categories:
            y = one_hot(torch.randint(self.categories, (len(x),), device=x.device), self.categories, z)
            both = verdicts(self.category_discriminator(y), self.category_discriminator(logits.softmax(1)))
            terms |= {f"category_{name}": value for name, value in both.items()}
        return terms

    def _encoder_loss(self, batch: Batch) -> dict[str, Tensor]:
        x, label = self._regularised(batch)
        logits, z = self._draw_codes(x)
        terms = {"code": non_saturating_loss(self.discriminate(z, label))}
        if self.categories:
            terms["category"] = non_saturating_loss(self.category_discriminator(logits.softmax(1)))
        return terms

    def _classifier_loss(self, batch: Batch) -> dict[str, Tensor]:
        label = labels_of(batch, self.categories, self.supervision)
        logits, _ = self._draw_codes(batch.x[label >= 0])
        total = F.cross_entropy(logits, label[label >= 0], reduction="sum")
        return {"classification": total / max(1, len(logits))}  # 0 for a batch without labelled rows

    def _regularised(self, batch: Batch) -> tuple[Tensor, Tensor | None]:
        """The events whose codes are matched to the prior, with labels where the discriminator is told them."""
        if self.supervision == "prior":
            return batch.x, labels_of(batch, self.prior.classes, "prior")
        return rows_without_label(batch), None

    def _draw_codes(self, x: Tensor, update: bool = False) -> tuple[Tensor, Tensor]:
        return self.encoder.draw(x + self.input_noise * torch.randn_like(x) if self.input_noise else x, update)

    def _draw_prior(self, n: int, label: Tensor | None, generator: torch.Generator | None = None) -> Tensor:
        """Draws of p(z), or of the part that a label names where it is known."""
        z = self.prior.sample(n, generator)
        if label is None:
            return z
        return torch.where(label[:, None] < 0, z, self.prior.sample(n, generator, label.clamp(min=0)))

    def discriminate(self, z: Tensor, label: Tensor | None = None) -> Tensor:
        """The discriminator's logit of "z is of the prior", (n,), for codes (n, latent), with labels where it is told them."""
        if label is not None:
            unknown = self.prior.classes
            z = torch.cat([z, one_hot(torch.where(label < 0, unknown, label), unknown + 1, z)], 1)
        return self.discriminator(z).squeeze(1)

    def _error(self, x: Tensor, output: Tensor) -> Tensor:
        if self.output == "binary":
            return -bernoulli_log_prob(x, output)
        return 0.5 * (x - (output.sigmoid() if self.output == "unit" else output)).square().flatten(1).sum(1)

    @torch.no_grad()
    def sample(self, n: int, condition: Any = None, generator: torch.Generator | None = None) -> Tensor:
        """x = decoder([y,] z) with z ~ p(z), without noise on x; binary events are drawn with its probabilities.

        `condition`, int64 (n,), is the label, which chooses the part of the prior, the category, or what the decoder is told;
        without labels it is the cluster. Where it is not given it is drawn, each alike.
        """
        label, count = None, self.classes or self.categories
        if not count:
            self.refuse_condition(condition)
        elif condition is not None:
            label = one_hot_labels(self.name, condition, count, n, self.encoder.fixed_noise).argmax(1)
        elif self.joined:
            label = torch.randint(count, (n,), device=self.device, generator=generator)
        z = self._draw_prior(n, label if self.supervision == "prior" else None, generator)
        x = self.decode(z, label if self.joined else None)
        return torch.bernoulli(x, generator=generator) if self.output == "binary" else x

    def decode(self, z: Tensor, condition: Any = None) -> Tensor:
        """The decoder's event, (n, *event_shape), for whole codes (n, features) as `encode` gives them, or z (n, latent).

        Where the decoder is given more than z that is the one-hot `condition`, int64 (n,), or stands before z in its columns;
        else labels change nothing. Values are in [0, 1] for pictures and binary events.
        """
        if self._is_told(condition):
            z = torch.cat([one_hot_labels(self.name, condition, self.joined, len(z), z), z], 1)
        if z.ndim != 2 or z.shape[1] != self.joined + self.latent:
            joined = f" behind {self.joined} of y, or with a condition" if self.joined else ""
            raise DataError(f"aae decodes codes of latent={self.latent} columns{joined}, got {tuple(z.shape)}.")
        with gradients_of(z):
            output = self.decoder(z)
            return output if self.output == "real" else output.sigmoid()

    @torch.no_grad()
    def encode(self, x: Tensor, condition: Any = None) -> Tensor:
        """The mean of q(z | x), behind q(y | x) where there are categories: (n, categories + latent). Labels change nothing.

        Of a universal encoder that is the mean over 16 noises η, which are the same for every row and every call.
        """
        return torch.cat(self.encoder.mean(self.check(x)), 1)

    @torch.no_grad()
    def category_probabilities(self, x: Tensor) -> Tensor:
        """q(y | x), (n, categories): of classes with `supervision="classes"`, else of clusters."""
        if not self.categories:
            raise CapabilityError("aae has categories only where it is built with categories=K or supervision='classes'.")
        return self.encode(x)[:, : self.categories]

    def classify(self, x: Tensor) -> Tensor:
        """The most probable category of each event, int64 (n,): its class, or its cluster."""
        return self.category_probabilities(x).argmax(1)

    @torch.no_grad()
    def reconstruct(self, x: Tensor, condition: Any = None) -> Tensor:
        """Events encoded and decoded, (n, *event_shape), as events of the labels (n,) where they are given.

        With `supervision="style"` they are by default the labels that fit best.
        """
        return self.decode(self._whole_codes(x, condition))

    @torch.no_grad()
    def interpolate(self, a: Tensor, b: Tensor, steps: int = 8, condition: Any = None) -> Tensor:
        """Decoded codes on the straight line from each event of a to that of b, both ends included, (n, steps, *event_shape).

        A code is all that the decoder is given; `condition` are the labels (n,), as in `reconstruct`.
        """
        codes = codes_between(self._whole_codes(a, condition), self._whole_codes(b, condition), steps)
        return self.decode(codes).unflatten(0, (len(a), steps))

    def _whole_codes(self, x: Tensor, condition: Any = None) -> Tensor:
        """Codes with everything that the decoder is given."""
        code = self.encode(x)
        if condition is None and self.supervision == "style":
            condition = self._style_errors(x, code).argmin(0)
        if not self._is_told(condition):
            return code
        y = one_hot_labels(self.name, condition, self.joined, len(x), code)
        return torch.cat([y, code[:, -self.latent :]], 1)

    def _is_told(self, condition: Any) -> bool:
        """Whether the decoder is to be told a condition; `ConfigError` where there is one and no use for it."""
        if not (self.joined or self.classes):
            self.refuse_condition(condition)
        return condition is not None and self.joined > 0

    def _style_errors(self, x: Tensor, z: Tensor) -> Tensor:
        """The reconstruction error of each event with each label, (classes, n)."""
        labels = torch.eye(self.joined, dtype=z.dtype, device=z.device)
        return torch.stack([self._error(x, self.decoder(torch.cat([y.expand(len(z), -1), z], 1))) for y in labels])

    @torch.no_grad()
    def anomaly_score(self, x: Tensor) -> Tensor:
        """The reconstruction error: ½‖x − x̂‖², or the cross-entropy in nats of binary events; with the label that fits best."""
        code = self.encode(x)
        if self.supervision == "style":
            return self._style_errors(x, code).amin(0)
        return self._error(x, self.decoder(code))


def _check_arguments(widths: Sequence[int], input_noise: float) -> None:
    if widths and min(widths) < 1:
        raise ConfigError(f"discriminator_hidden must name layers of at least 1 unit, got {list(widths)}.")
    if not 0 <= input_noise < math.inf:
        raise ConfigError(f"input_noise must be a deviation of at least 0, got {input_noise}: 0 adds none.")
