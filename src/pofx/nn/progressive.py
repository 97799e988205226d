"""Networks that grow: a generator and a critic of pictures, whose blocks for each resolution are used when its time comes.

Progressive Growing of GANs for Improved Quality, Stability, and Variation, Tero Karras, Timo Aila, Samuli Laine and Jaakko
Lehtinen, 2018. A level is the logarithm to base 2 of a side: level 2 are pictures of 4×4, level 10 of 1024×1024.
"""

import math
from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F

FIRST = 2  # the level at which growth starts
HE = math.sqrt(2)  # the gain that keeps the variance through a leaky ReLU
#: how a 3×3 kernel becomes the 4×4 one of the convolution joined with a mean or a repetition of 2×2 pixels, along each axis
_SPREAD = ((1.0, 1.0, 0.0, 0.0), (0.0, 1.0, 1.0, 0.0), (0.0, 0.0, 1.0, 1.0))


def pixel_norm(x: Tensor) -> Tensor:
    """x / sqrt(mean_c x_c² + 10⁻⁸): feature vectors along dimension 1 brought to a mean square of 1.

    >>> pixel_norm(torch.tensor([[3.0, 4.0]])).square().mean().item()
    1.0
    """
    return x * (x.square().mean(1, keepdim=True) + 1e-8).rsqrt()


def minibatch_deviation(x: Tensor, group: int, batches: int = 1) -> Tensor:
    """Maps (n, c, h, w) with one more, constant, which says how much the pictures beside this one differ: (n, c + 1, h, w).

    It is the standard deviation over a group, sqrt(var + 10⁻⁸), averaged over channels and pixels. Of a batch of m the members
    of a group are m / `group` rows apart; a smaller batch is one group. x holds `batches` batches, one after the other, whose
    groups do not mix.

    >>> minibatch_deviation(torch.tensor([0.0, 2.0]).view(2, 1, 1, 1), group=2).flatten(1)
    tensor([[0., 1.],
            [2., 1.]])
    """
    n, c, h, w = x.shape
    size = min(group, n // batches)
    y = x.view(batches, size, -1, c, h, w).to(torch.promote_types(x.dtype, torch.float32))
    deviation = (y.var(1, unbiased=False) + 1e-8).sqrt().mean((2, 3, 4))  # (batches, groups)
    rows = deviation.unsqueeze(1).expand(-1, size, -1).reshape(n, 1, 1, 1)
    return torch.cat([x, rows.to(x.dtype).expand(n, 1, h, w)], 1)


def halve(x: Tensor) -> Tensor:
    """The mean of each 2×2 pixels."""
    return F.avg_pool2d(x, 2)


def double(x: Tensor) -> Tensor:
    """Each pixel as 2×2 equal ones."""
    return F.interpolate(x, scale_factor=2.0, mode="nearest")


class EqualisedLinear(nn.Module):
    """A linear layer whose weights are stored with unit variance and used as c · w, c = `gain` / sqrt(inputs).

    Adam's steps do not depend on the scale of a gradient, so that all layers learn at the same speed.
    """

    def __init__(self, inputs: int, outputs: int, gain: float = HE, bias: bool = True) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(outputs, inputs))
        self.bias = nn.Parameter(torch.zeros(outputs)) if bias else None
        self.scale = gain / math.sqrt(inputs)

    def forward(self, x: Tensor) -> Tensor:
        return F.linear(x, self.weight * self.scale, self.bias)


class EqualisedConv2d(nn.Module):
    """A convolution that keeps the size, its weights stored with unit variance and used as c · w, c = gain / sqrt(fan-in).

    With `resample` "up" it is that of `double(x)`, with "down" `halve` follows it (before the bias, which the mean leaves as it
    is). Both are one convolution with a 4×4 kernel on a quarter of the places: 16 products where there were 36.
    """

    spread: Tensor

    def __init__(self, inputs: int, outputs: int, size: int = 3, gain: float = HE, resample: str = "") -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(outputs, inputs, size, size))
        self.bias = nn.Parameter(torch.zeros(outputs))
        self.scale, self.resample = gain / math.sqrt(inputs * size**2), resample
        if resample:
            spread = torch.kron(torch.tensor(_SPREAD), torch.tensor(_SPREAD))
            self.register_buffer("spread", spread.flip(1) if resample == "up" else spread / 4, persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        weight = self.weight * self.scale
        if not self.resample:
            return F.conv2d(x, weight, self.bias, padding=weight.shape[-1] // 2)
        weight = (weight.flatten(2) @ self.spread).unflatten(2, (4, 4))
        if self.resample == "down":
            return F.conv2d(x, weight, self.bias, stride=2, padding=1)
        return F.conv_transpose2d(x, weight.transpose(0, 1), self.bias, stride=2, padding=1)


class PixelNorm(nn.Module):
    """`pixel_norm` as a layer."""

    def forward(self, x: Tensor) -> Tensor:
        return pixel_norm(x)


def activated(*layers: nn.Module, normalise: bool = False) -> nn.Sequential:
    """Each layer followed by a leaky ReLU of slope 0.2, and by `pixel_norm` where `normalise`."""
    after = [nn.LeakyReLU(0.2, inplace=True)] + [PixelNorm()] * normalise
    return nn.Sequential(*(part for layer in layers for part in (layer, *after)))


class GrowingGenerator(nn.Module):
    """Noise (n, latent) to pictures (n, channels, 2^level, 2^level) around [-1, 1], linear at the output.

    `maps` are the feature maps of each level from 4×4 on. Noise is normalised, so that its length has no say. While a level
    fades in the picture is (1 − alpha) · double(the level below) + alpha · the level.
    """

    def __init__(self, latent: int, channels: int, maps: Sequence[int]) -> None:
        super().__init__()
        first = maps[0]
        self.dense = EqualisedLinear(latent, first * 16, gain=HE / 4, bias=False)  # its 4×4 places count as a kernel's
        self.bias = nn.Parameter(torch.zeros(first, 1, 1))
        self.conv = activated(nn.Identity(), EqualisedConv2d(first, first), normalise=True)
        self.blocks = nn.ModuleList(
            activated(EqualisedConv2d(before, after, resample="up"), EqualisedConv2d(after, after), normalise=True)
            for before, after in pairwise(maps)
        )
        self.to_picture = nn.ModuleList(EqualisedConv2d(width, channels, 1, gain=1.0) for width in maps)

    def forward(self, z: Tensor, level: int, alpha: float = 1.0) -> Tensor:
        h = below = self.conv(self.dense(pixel_norm(z)).view(len(z), len(self.bias), 4, 4) + self.bias)
        for block in list(self.blocks)[: level - FIRST]:
            below, h = h, block(h)
        picture: Tensor = self.to_picture[level - FIRST](h)
        if alpha == 1 or level == FIRST:
            return picture
        return (1 - alpha) * double(self.to_picture[level - FIRST - 1](below)) + alpha * picture


class GrowingCritic(nn.Module):
    """Pictures (n, channels, 2^level, 2^level) to a number each, (n,), linear: the mirror of `GrowingGenerator`.

    `group` is that of `minibatch_deviation`, 1 leaves it out. While a level fades in, the maps below it are
    (1 − alpha) · those of the halved picture + alpha · the level's own.
    """

    def __init__(self, channels: int, maps: Sequence[int], group: int = 4) -> None:
        super().__init__()
        last, self.group = maps[0], group
        self.from_picture = nn.ModuleList(activated(EqualisedConv2d(channels, width, 1)) for width in maps)
        self.blocks = nn.ModuleList(
            activated(EqualisedConv2d(before, before), EqualisedConv2d(before, after, resample="down"))
            for after, before in pairwise(maps)
        )
        self.conv = activated(EqualisedConv2d(last + (group > 1), last))
        self.verdict = nn.Sequential(activated(EqualisedLinear(last * 16, last)), EqualisedLinear(last, 1, gain=1.0))

    def forward(self, x: Tensor, level: int, alpha: float = 1.0, batches: int = 1) -> Tensor:
        h = self.from_picture[level - FIRST](x)
        for i in reversed(range(level - FIRST)):
            h = self.blocks[i](h)
            if i == level - FIRST - 1 and alpha != 1:
                h = (1 - alpha) * self.from_picture[i](halve(x)) + alpha * h
        if self.group > 1:
            h = minibatch_deviation(h, self.group, batches)
        value: Tensor = self.verdict(self.conv(h).flatten(1)).squeeze(1)
        return value.to(x.dtype)  # autocast rounds features, not what is averaged
