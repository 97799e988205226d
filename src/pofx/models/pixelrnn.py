"""PixelRNN: Pixel Recurrent Neural Networks, Aäron van den Oord, Nal Kalchbrenner and Koray Kavukcuoglu, 2016."""

from collections.abc import Callable
from typing import Any

import torch
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
from ..nn.incremental import Choice
from ..nn.incremental_recurrent import RecurrentCache
from ..nn.masked_conv import MaskedConv2d
from ..nn.multiscale import Upsampler, not_subsampled, subsample
from ..nn.pixel_recurrent import RecurrentStack
from ..nn.pixels import check_hidden, configure_for_pixels, sub_pixel_log_prob

KINDS = ("diagonal", "row")
AT_ONCE = 128  # pictures drawn together; more leave the processor's cache


class PixelRNN(GenerativeModel, DrawsStepwise, TractableDensity, Encodes, ScoresAnomalies, Completes):
    """A density of pictures, pixel by pixel in raster order, R before G before B, from two-dimensional LSTMs.

    p(x) = prod over sub-pixels i of p(x_i | x_<i), all factors from one pass. Pictures (C, H, W) of `levels` = K values: a
    sigmoid for K = 2, else a K-way softmax; before training every value is equally likely.

    `kind` "diagonal": Diagonal BiLSTMs, each pixel sees all earlier ones; "row": Row LSTMs, which see a triangle above.
    A masked convolution of `first_kernel` (odd, at least 3) is followed by `layers` LSTMs of `hidden` units (a multiple of
    C), with 2·hidden maps, residual and skip connections, and by 1×1 convolutions of 2·hidden channels. A training step or
    likelihood takes H + W steps a layer (diagonal) or H (row), n samples H·W·layers small ones.

    `scale` = s > 1 is the multi-scale model. Every s-th pixel of x in both directions is a small picture y; `small`, a PixelRNN
    of the same settings, models y, and the network of whole pictures models the other sub-pixels i, each given all of y
    (`hidden` maps, made of y by convolutions, enter every LSTM): p(x) = p(y) prod over i of p(x_i | x_<i, y), exact.
    Raises `ConfigError` for values that make no sense.
    Source: Pixel Recurrent Neural Networks, Aäron van den Oord, Nal Kalchbrenner and Koray Kavukcuoglu, 2016.

    >>> model = PixelRNN((1, 8, 8), hidden=4, layers=1)
    >>> model.log_prob(model.sample(4)).shape
    torch.Size([4])
    """

    name = "pixelrnn"
    summary = "pictures pixel by pixel, two-dimensional LSTMs"

    def __init__(
        self,
        event_shape: tuple[int, ...],
        levels: int = 2,
        kind: str = "diagonal",
        hidden: int = 16,
        layers: int = 7,
        first_kernel: int = 7,
        learning_rate: float = 3e-3,
        scale: int = 1,
    ) -> None:
        super().__init__()
        self.event_shape, self.levels, self.learning_rate, self.scale = tuple(event_shape), levels, learning_rate, scale
        self._check_arguments(levels, kind, hidden, layers, first_kernel, scale)
        colours, height, width = self.event_shape
        self.support = discrete_support(levels, self.event_shape)
        self.stack = RecurrentStack(kind, colours, hidden, layers, first_kernel, hidden if scale > 1 else 0)
        outputs = (1 if levels == 2 else levels) * colours
        self.mix = MaskedConv2d(2 * hidden, 2 * hidden, colours=colours)
        self.head = MaskedConv2d(2 * hidden, outputs, colours=colours)
        for parameter in self.head.parameters():
            nn.init.zeros_(parameter)
        self.small: PixelRNN | None = None
        if scale > 1:
            self.upsample = Upsampler(colours, hidden, scale, (height, width))
            size = (colours, -(-height // scale), -(-width // scale))
            self.small = PixelRNN(size, levels, kind, hidden, layers, first_kernel)

    def _check_arguments(self, levels: int, kind: str, hidden: int, layers: int, first_kernel: int, scale: int) -> None:
        if len(self.event_shape) != 3:
            raise ConfigError(f"pixelrnn learns pictures (channels, height, width), got events of shape {self.event_shape}.")
        if kind not in KINDS:
            raise ConfigError(f"kind={kind!r} is unknown: {suggest(kind, KINDS)}.")
        for name, value, least in (("levels", levels, 2), ("layers", layers, 1)):
            if value < least:
                raise ConfigError(f"{name} must be at least {least}, got {value}.")
        if first_kernel < 3 or first_kernel % 2 == 0:
            raise ConfigError(f"first_kernel must be an odd number of at least 3 pixels, centred on one, got {first_kernel}.")
        check_hidden(hidden, self.event_shape[0])
        side = min(self.event_shape[1:])
        if not 1 <= scale <= side:
            raise ConfigError(
                f"scale must be from 1 to the shorter side of the picture, {side} pixels, got {scale}: 1 models all pixels in "
                "raster order, 2 every second pixel in both directions first."
            )

    @classmethod
    def configure_for(cls, event_shape: tuple[int, ...], support: Constraint) -> dict[str, Any]:
        """The number of levels; `ConfigError` for anything but pictures of discrete values."""
        return configure_for_pixels(cls.name, event_shape, support)

    def _features(self, x: Tensor) -> Tensor:
        with torch.autocast(x.device.type, enabled=False):
            x = x.to(self.head.weight.dtype)
            return self.stack(2 * x - 1, self._condition(subsample(x, self.scale)))

    def _condition(self, small: Tensor) -> Tensor | None:
        """The maps (n, hidden, H, W) that tell the layers of the small picture, where there is one."""
        return None if self.small is None else self.upsample(2 * small - 1)

    def logits(self, x: Tensor) -> Tensor:
        """(n, 1 or levels, C, H, W): the distribution of every sub-pixel given those before it.

        With scale > 1 also given all of the small picture; the logits at its pixels mean nothing, because they are given.
        """
        return self.head(self.mix(self._features(x)).relu()).unflatten(1, (-1, self.event_shape[0]))

    def log_prob(self, x: Tensor) -> Tensor:
        """Exact ln p(x) in nats, (n,); `DataError` for other shapes or values."""
        logits = self.logits(self.check(x))
        if self.small is None:
            return sub_pixel_log_prob(x, logits, self.support)
        rest = not_subsampled((x.shape[2], x.shape[3]), self.scale, x.device)
        return self.small.log_prob(subsample(x, self.scale)) + sub_pixel_log_prob(x, logits, self.support, rest)

    def sample(
        self,
        n: int,
        condition: Any = None,
        generator: torch.Generator | None = None,
        temperature: float = 1.0,
        on_step: OnStep | None = None,
    ) -> Tensor:
        """n pictures (n, C, H, W), drawn pixel by pixel; only what is new at a pixel is computed.

        `temperature` divides the logits: below 1 likelier pictures, 0 the likeliest value at each step. `on_step(pixels
        drawn, pixels in all)` is called as sampling goes on; with scale > 1 the pixels of the small pictures count too.
        """
        self.refuse_condition(condition)
        return self._draw(n, generator, temperature, on_step)

    def complete(
        self,
        x: Tensor,
        mask: Tensor,
        generator: torch.Generator | None = None,
        temperature: float = 1.0,
        on_step: OnStep | None = None,
    ) -> Tensor:
        """x where mask is True, the other sub-pixels drawn in raster order, each given all before it, kept or drawn.

        With scale > 1 the small picture comes first, then the rest given all of it. `temperature` and `on_step` as in `sample`.
        """
        mask = mask.expand_as(x)
        self.check(torch.where(mask, x, torch.zeros_like(x)))
        return self._draw(len(x), generator, temperature, on_step, torch.where(mask, x, torch.nan))

    @torch.no_grad()
    def _draw(
        self, n: int, generator: torch.Generator | None, temperature: float,
        on_step: OnStep | None, given: Tensor | None = None,
    ) -> Tensor:  # fmt: skip
        uniforms = torch.rand(n, *self.event_shape, dtype=self.head.weight.dtype, device=self.device, generator=generator)
        drawn, visits = torch.empty_like(uniforms), self._visits()
        with torch.autocast(self.device.type, enabled=False):
            for start in range(0, n, AT_ONCE):
                u = uniforms[start : start + AT_ONCE]

                def report(pixels: int, before: int = start * visits, m: int = len(u)) -> None:
                    if on_step:
                        on_step(before + m * pixels, n * visits)

                known = None if given is None else given[start : start + AT_ONCE]
                drawn[start : start + AT_ONCE] = self._draw_part(u, temperature, known, report)
        return from_codes(to_codes(drawn, self.support), self.support, drawn.dtype)

    def _draw_part(self, uniforms: Tensor, temperature: float, given: Tensor | None, report: Callable[[int], None]) -> Tensor:
        """Pictures (m, C, H, W), each after its small picture; `given` is NaN where a value is to be drawn."""
        condition, before = None, 0
        if self.small is not None:
            part = None if given is None else subsample(given, self.scale)
            small = self.small._draw_part(subsample(uniforms, self.scale), temperature, part, report)
            given = torch.full_like(uniforms, torch.nan) if given is None else given.to(uniforms, copy=True)
            subsample(given, self.scale).copy_(small)
            condition, before = self._condition(small), self.small._visits()
        _, height, width = self.event_shape
        cache = RecurrentCache(self.stack, (self.mix, self.head), len(uniforms), (height, width), condition)
        choose = Choice(uniforms, self.levels, temperature, given)
        return cache.draw(choose, lambda pixels: report(before + pixels))

    def _visits(self) -> int:
        """How many pixels a picture takes, those of the small one included."""
        return self.event_shape[1] * self.event_shape[2] + (self.small._visits() if self.small is not None else 0)

    @torch.no_grad()
    def encode(self, x: Tensor) -> Tensor:
        """Features before the head, averaged over the picture: (n, 2 hidden), or of both networks (n, 4 hidden)."""
        features = self._features(self.check(x)).mean((2, 3))
        return features if self.small is None else torch.cat([features, self.small.encode(subsample(x, self.scale))], 1)

    def anomaly_score(self, x: Tensor) -> Tensor:
        """-ln p(x) in nats, (n,): how surprising the picture is to the model."""
        return -self.log_prob(x)

    def players(self) -> list[Player]:
        """One player, which minimises the mean negative log-likelihood `nll` in nats."""
        return [Player("model", list(self.parameters()), self._loss, optimizer=adam(self.learning_rate))]

    def _loss(self, batch: Batch) -> dict[str, Tensor]:
        return {"nll": -self.log_prob(batch.x).mean()}
