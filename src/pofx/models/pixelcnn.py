"""PixelCNN, plain and gated: masked convolutional networks for the chain rule over pixels."""

import math
from functools import partial
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.distributions.constraints import Constraint

from ..core import (
    Batch,
    Completes,
    ConfigError,
    DrawsStepwise,
    Encodes,
    GenerativeModel,
    OnStep,
    Player,
    ScoresAnomalies,
    TractableDensity,
    adam,
    discrete_support,
    from_codes,
    suggest,
    to_codes,
)
from ..nn.incremental import Choice, PixelCache
from ..nn.incremental_pixelcnn import GatedCache, PlainCache
from ..nn.masked_conv import GatedStack, MaskedConv2d, PlainStack
from ..nn.mlp import check_dropout
from ..nn.pixels import check_hidden, configure_for_pixels, sub_pixel_log_prob

KINDS = ("gated", "plain")
AT_ONCE = 128  # pictures drawn together; more leave the processor's cache
POOLED = 4  # features are averaged over a grid of at most 4 by 4 cells


class PixelCNN(GenerativeModel, DrawsStepwise, TractableDensity, Encodes, ScoresAnomalies, Completes):
    """A density of pictures, pixel by pixel in raster order, R before G before B, from masked convolutions.

    p(x) = prod over sub-pixels i of p(x_i | x_<i), every factor read from one pass of the network in training, and from a
    cached column of it in sampling. Pictures (C, H, W) of `levels` = K values: a sigmoid for K = 2, else a K-way softmax.

    `kind` "gated": two stacks of gated convolutions, `hidden` channels a gate, each pixel sees all earlier ones; "plain":
    residual blocks of 2·hidden, hidden, hidden, 2·hidden channels, with a blind spot to the upper right. Both have a first
    layer of `first_kernel` and then `layers` of `kernel` (odd numbers), and a head of 2·hidden channels. `hidden` must be a
    multiple of C. With `classes` = k it is p(x | label): the condition is int64 labels (n,), in training the data's own;
    without one p(x) is the mixture of all labels with equal weights. `dropout` is the share of gated features set to zero in
    training, and in training only.

    Time of a training step O(n·H·W·layers·hidden²·kernel²), of n samples the same plus O(H·W·layers) calls; `plain` needs
    calls only for about W + H·(first_kernel + 1)/2 diagonals. Raises `ConfigError` for values that make no sense.
    Sources: Pixel Recurrent Neural Networks, Aaron van den Oord, Nal Kalchbrenner and Koray Kavukcuoglu, 2016; Conditional
    Image Generation with PixelCNN Decoders, Aaron van den Oord and others, 2016.

    >>> model = PixelCNN((1, 8, 8), hidden=6, layers=1)
    >>> model.log_prob(model.sample(4)).shape
    torch.Size([4])
    """

    name = "pixelcnn"
    summary = "pictures pixel by pixel, masked convolutions"

    def __init__(
        self,
        event_shape: tuple[int, ...],
        levels: int = 2,
        kind: str = "gated",
        hidden: int = 48,
        layers: int = 5,
        first_kernel: int = 7,
        kernel: int = 3,
        classes: int | None = None,
        dropout: float = 0.0,
        learning_rate: float = 1e-3,
    ) -> None:
        super().__init__()
        self.event_shape, self.levels, self.classes = tuple(event_shape), levels, classes
        self.dropout, self.learning_rate = dropout, learning_rate
        self._check_arguments(levels, kind, hidden, layers, (first_kernel, kernel), classes, dropout)
        colours = self.event_shape[0]
        self.support = discrete_support(levels, self.event_shape)
        self.stack = (GatedStack if kind == "gated" else PlainStack)(colours, hidden, layers, first_kernel, kernel)
        self.head = MaskedConv2d(2 * hidden, 2 * hidden, colours=colours)
        self.out = MaskedConv2d(2 * hidden, (1 if levels == 2 else levels) * colours, colours=colours)
        for parameter in self.out.parameters():  # every value equally likely before training
            nn.init.zeros_(parameter)
        self.condition = nn.Embedding(classes, self.stack.condition_width) if classes is not None else None
        if self.condition is not None:
            nn.init.zeros_(self.condition.weight)

    def _check_arguments(
        self, levels: int, kind: str, hidden: int, layers: int, kernels: tuple[int, int], classes: int | None, dropout: float
    ) -> None:
        if len(self.event_shape) != 3:
            raise ConfigError(f"pixelcnn learns pictures (channels, height, width), got events of shape {self.event_shape}.")
        if kind not in KINDS:
            raise ConfigError(f"kind={kind!r} is unknown: {suggest(kind, KINDS)}.")
        for name, value, least in (
            ("levels", levels, 2),
            ("layers", layers, 1),
            ("classes", 1 if classes is None else classes, 1),
        ):
            if value < least:
                raise ConfigError(f"{name} must be at least {least}, got {value}.")
        for name, value in (("first_kernel", kernels[0]), ("kernel", kernels[1])):
            if value < 1 or value % 2 == 0:
                raise ConfigError(f"{name} must be an odd number of pixels, centred on one, got {value}.")
        check_dropout(dropout)
        check_hidden(hidden, self.event_shape[0])

    @classmethod
    def configure_for(cls, event_shape: tuple[int, ...], support: Constraint) -> dict[str, Any]:
        """The number of levels; `ConfigError` for anything but pictures of discrete values."""
        return configure_for_pixels(cls.name, event_shape, support)

    def log_prob(self, x: Tensor, condition: Tensor | None = None) -> Tensor:
        """Exact ln p(x) in nats, (n,), or ln p(x | label) for labels (n,); `DataError` for other shapes or values."""
        self.check(x)
        if self.condition is None or condition is not None:
            return self._log_prob(x, self._shifts(condition, len(x)))
        labels = range(self.condition.num_embeddings)
        each = torch.stack([self._log_prob(x, self._shifts(torch.full((len(x),), k), len(x))) for k in labels])
        return each.logsumexp(0) - math.log(len(labels))

    def logits(self, x: Tensor, shifts: Tensor | None = None, dropout: float = 0.0) -> Tensor:
        """(n, 1 or levels, C, H, W): the distribution of every sub-pixel given those before it."""
        return self.out(self.head(self._features(x, shifts, dropout)).relu()).unflatten(1, (-1, self.event_shape[0]))

    def _features(self, x: Tensor, shifts: Tensor | None = None, dropout: float = 0.0) -> Tensor:
        return self.stack(2 * x.to(self.out.weight.dtype) - 1, shifts, dropout)

    def _log_prob(self, x: Tensor, shifts: Tensor | None, dropout: float = 0.0) -> Tensor:
        logits = self.logits(x, shifts, dropout).to(self.out.weight.dtype)  # also under autocast
        return sub_pixel_log_prob(x, logits, self.support)

    def _shifts(self, condition: Tensor | None, n: int) -> Tensor | None:
        """What the labels add to the layers, (n, condition_width)."""
        if self.condition is None:
            self.refuse_condition(condition)
            return None
        if condition is None:
            raise ConfigError(
                "pixelcnn with classes learns p(x | label), and the data have no labels: build it without classes."
            )
        labels = torch.as_tensor(condition, device=self.device)
        classes = self.condition.num_embeddings
        if labels.is_floating_point() or labels.shape != (n,) or not bool(((labels >= 0) & (labels < classes)).all()):
            raise ConfigError(f"condition must be one label of 0..{classes - 1} for each of {n} events, got {condition!r}.")
        return self.condition(labels.long())

    @torch.no_grad()
    def sample(
        self,
        n: int,
        condition: Tensor | None = None,
        generator: torch.Generator | None = None,
        temperature: float = 1.0,
        on_step: OnStep | None = None,
    ) -> Tensor:
        """n pictures (n, C, H, W), of the labels `condition` (n,) where the model has classes, else of labels at random.

        `temperature` divides the logits: below 1 likelier pictures, 0 the likeliest value at each step. `on_step(pixels
        drawn, pixels in all)` is called as sampling goes on.
        """
        return self._draw(n, condition, generator, temperature, on_step, None)

    @torch.no_grad()
    def complete(
        self, x: Tensor, mask: Tensor, generator: torch.Generator | None = None, temperature: float = 1.0,
        on_step: OnStep | None = None, condition: Tensor | None = None,
    ) -> Tensor:  # fmt: skip
        """x where mask is True, the other sub-pixels drawn in raster order, each given all before it, kept or drawn."""
        mask = mask.expand_as(x)
        self.check(torch.where(mask, x, torch.zeros_like(x)))
        return self._draw(len(x), condition, generator, temperature, on_step, torch.where(mask, x, torch.nan))

    def _draw(
        self, n: int, condition: Tensor | None, generator: torch.Generator | None, temperature: float,
        on_step: OnStep | None, given: Tensor | None,
    ) -> Tensor:  # fmt: skip
        if self.condition is not None and condition is None:
            condition = torch.randint(self.condition.num_embeddings, (n,), device=self.device, generator=generator)
        shifts, dtype = self._shifts(condition, n), self.out.weight.dtype
        uniforms = torch.rand(n, *self.event_shape, dtype=dtype, device=self.device, generator=generator)
        drawn, pixels = torch.empty_like(uniforms), self.event_shape[1] * self.event_shape[2]
        for start in range(0, n, AT_ONCE):
            part = slice(start, start + AT_ONCE)
            choose = Choice(uniforms[part], self.levels, temperature, None if given is None else given[part])
            before, total = start // AT_ONCE * pixels, -(-n // AT_ONCE) * pixels
            report = None if on_step is None else partial(_report, on_step, before, total)
            with torch.autocast(self.device.type, enabled=False):
                cache = self._cache(len(drawn[part]), None if shifts is None else shifts[part])
                drawn[part] = cache.draw(choose, report)
        return from_codes(to_codes(drawn, self.support), self.support, dtype)

    def _cache(self, n: int, shifts: Tensor | None) -> PixelCache:
        head, size = (self.head, self.out), (self.event_shape[1], self.event_shape[2])
        if isinstance(self.stack, GatedStack):
            return GatedCache(self.stack, head, n, size, shifts)
        return PlainCache(self.stack, head, n, size, shifts)

    @torch.no_grad()
    def encode(self, x: Tensor) -> Tensor:
        """Features before the head, averaged over a grid of 4 by 4 cells (or H by W): (n, 2 hidden · cells), without label."""
        features = self._features(self.check(x))
        height, width = (min(POOLED, side) for side in features.shape[2:])
        return F.adaptive_avg_pool2d(features, (height, width)).flatten(1)

    def anomaly_score(self, x: Tensor) -> Tensor:
        """-ln p(x) in nats, (n,): how surprising the picture is to the model."""
        return -self.log_prob(x)

    def players(self) -> list[Player]:
        """One player, which minimises the mean negative log-likelihood `nll` in nats."""
        return [Player("model", list(self.parameters()), self._loss, optimizer=adam(self.learning_rate))]

    def _loss(self, batch: Batch) -> dict[str, Tensor]:
        condition = None
        if self.condition is not None:
            condition = batch.label if batch.condition is None else batch.condition
        shifts = self._shifts(condition, len(batch))
        return {"nll": -self._log_prob(self.check(batch.x), shifts, self.dropout).mean()}


def _report(on_step: OnStep, before: int, total: int, drawn: int) -> None:
    on_step(before + drawn, total)
