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
    Encodes,
    GenerativeModel,
    Player,
    Samples,
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
from ..nn.pixel_recurrent import RecurrentStack
from ..nn.pixels import check_hidden, configure_for_pixels, sub_pixel_log_prob

KINDS = ("diagonal", "row")
AT_ONCE = 128  # pictures drawn together; more leave the processor's cache


class PixelRNN(GenerativeModel, Samples, TractableDensity, Encodes, ScoresAnomalies, Completes):
    """A density of pictures, pixel by pixel in raster order, R before G before B, from two-dimensional LSTMs.

    p(x) = prod over sub-pixels i of p(x_i | x_<i), all factors from one pass. Pictures (C, H, W) of `levels` = K values: a
    sigmoid for K = 2, else a K-way softmax; before training every value is equally likely.

    `kind` "diagonal": Diagonal BiLSTMs, each pixel sees all earlier ones; "row": Row LSTMs, which see a triangle above.
    A masked convolution of `first_kernel` (odd, at least 3) is followed by `layers` LSTMs of `hidden` units (a multiple of
    C), with 2·hidden maps, residual and skip connections, and by 1×1 convolutions of 2·hidden channels. A training step or
    likelihood takes H + W steps a layer (diagonal) or H (row), n samples H·W·layers small ones.
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
    ) -> None:
        super().__init__()
        self.event_shape, self.levels, self.learning_rate = tuple(event_shape), levels, learning_rate
        if len(self.event_shape) != 3:
            raise ConfigError(f"pixelrnn learns pictures (channels, height, width), got events of shape {self.event_shape}.")
        if kind not in KINDS:
            raise ConfigError(f"kind={kind!r} is unknown: {suggest(kind, KINDS)}.")
        for name, value, least in (("levels", levels, 2), ("layers", layers, 1)):
            if value < least:
                raise ConfigError(f"{name} must be at least {least}, got {value}.")
        if first_kernel < 3 or first_kernel % 2 == 0:
            raise ConfigError(f"first_kernel must be an odd number of at least 3 pixels, centred on one, got {first_kernel}.")
        colours = self.event_shape[0]
        check_hidden(hidden, colours)
        self.support = discrete_support(levels, self.event_shape)
        self.stack = RecurrentStack(kind, colours, hidden, layers, first_kernel)
        outputs = (1 if levels == 2 else levels) * colours
        self.mix = MaskedConv2d(2 * hidden, 2 * hidden, colours=colours)
        self.head = MaskedConv2d(2 * hidden, outputs, colours=colours)
        for parameter in self.head.parameters():
            nn.init.zeros_(parameter)

    @classmethod
    def configure_for(cls, event_shape: tuple[int, ...], support: Constraint) -> dict[str, Any]:
        """The number of levels; `ConfigError` for anything but pictures of discrete values."""
        return configure_for_pixels(cls.name, event_shape, support)

    def _features(self, x: Tensor) -> Tensor:
        with torch.autocast(x.device.type, enabled=False):
            return self.stack(2 * x.to(self.head.weight.dtype) - 1)

    def logits(self, x: Tensor) -> Tensor:
        """(n, 1 or levels, C, H, W): the distribution of every sub-pixel given those before it."""
        return self.head(self.mix(self._features(x)).relu()).unflatten(1, (-1, self.event_shape[0]))

    def log_prob(self, x: Tensor) -> Tensor:
        """Exact ln p(x) in nats, (n,); `DataError` for other shapes or values."""
        logits = self.logits(self.check(x))
        return sub_pixel_log_prob(x, logits, self.support)

    def sample(
        self,
        n: int,
        condition: Any = None,
        generator: torch.Generator | None = None,
        temperature: float = 1.0,
        on_step: Callable[[int, int], None] | None = None,
    ) -> Tensor:
        """n pictures (n, C, H, W), drawn pixel by pixel; only what is new at a pixel is computed.

        `temperature` divides the logits: below 1 likelier pictures, 0 the likeliest value at each step. `on_step(pixels
        drawn, pixels in all)` is called as sampling goes on.
        """
        self.refuse_condition(condition)
        if temperature < 0:
            raise ConfigError(f"temperature must be at least 0, got {temperature}: 1 samples the model, 0 is greedy.")
        return self._draw(n, generator, temperature, on_step)

    def complete(self, x: Tensor, mask: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """x where mask is True, the other sub-pixels drawn in raster order, each given all before it, kept or drawn."""
        mask = mask.expand_as(x)
        self.check(torch.where(mask, x, torch.zeros_like(x)))
        return self._draw(len(x), generator, given=torch.where(mask, x, torch.nan))

    @torch.no_grad()
    def _draw(
        self, n: int, generator: torch.Generator | None, temperature: float = 1.0,
        on_step: Callable[[int, int], None] | None = None, given: Tensor | None = None,
    ) -> Tensor:  # fmt: skip
        uniforms = torch.rand(n, *self.event_shape, dtype=self.head.weight.dtype, device=self.device, generator=generator)
        _, height, width = self.event_shape
        drawn, total = torch.empty_like(uniforms), n * height * width
        with torch.autocast(self.device.type, enabled=False):
            for start in range(0, n, AT_ONCE):
                u = uniforms[start : start + AT_ONCE]
                choose = Choice(u, self.levels, temperature, None if given is None else given[start : start + AT_ONCE])

                def report(pixels: int, before: int = start * height * width, m: int = len(u)) -> None:
                    if on_step:
                        on_step(before + m * pixels, total)

                cache = RecurrentCache(self.stack, (self.mix, self.head), len(u), (height, width))
                drawn[start : start + AT_ONCE] = cache.draw(choose, report)
        return from_codes(to_codes(drawn, self.support), self.support, drawn.dtype)

    @torch.no_grad()
    def encode(self, x: Tensor) -> Tensor:
        """Features before the head, averaged over the picture: (n, 2 hidden)."""
        return self._features(self.check(x)).mean((2, 3))

    def anomaly_score(self, x: Tensor) -> Tensor:
        """-ln p(x) in nats, (n,): how surprising the picture is to the model."""
        return -self.log_prob(x)

    def players(self) -> list[Player]:
        """One player, which minimises the mean negative log-likelihood `nll` in nats."""
        return [Player("model", list(self.parameters()), self._loss, optimizer=adam(self.learning_rate))]

    def _loss(self, batch: Batch) -> dict[str, Tensor]:
        return {"nll": -self.log_prob(batch.x).mean()}
