"""Convolutional generators and discriminators: strided convolutions that halve a picture, transposed ones that double it.

The rules of Alec Radford, Luke Metz and Soumith Chintala, Unsupervised Representation Learning with Deep Convolutional
Generative Adversarial Networks, 2016: no pooling, batch normalisation except at the two ends, ReLU in the generator, leaky
ReLU in the discriminator, no hidden layer that is fully connected.
"""

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn

from ..core import ConfigError

BASES = range(4, 8)  # sides of the innermost maps; doubled, each side from 8 on that they reach is reached in one way
KERNELS = (4, 5)
SLOPE = 0.2  # of the leaky ReLU


def stages(event_shape: Sequence[int]) -> tuple[int, int]:
    """The side of the innermost maps, 4 to 7, and how often it is doubled to give pictures of this shape (c, side, side).

    Sides that can be reached are 8, 10, 12, 14, 16, 20, 24, 28, 32, 40, 48, 56, 64, 80, … Raises `ConfigError` for events that
    are no pictures, for pictures that are not square, and for other sides, with those near it that can be reached.

    >>> stages((3, 64, 64)), stages((1, 28, 28)), stages((1, 8, 8))
    ((4, 4), (7, 2), (4, 1))
    """
    if len(event_shape) != 3:
        raise ConfigError(f"convolutions expect pictures (channels, height, width), got events of shape {tuple(event_shape)}.")
    _, height, width = event_shape
    count = max(1, (max(height, width) // BASES[0]).bit_length() - 1)
    step = 2**count
    base, rest = divmod(width, step)
    if height == width and not rest and base in BASES:
        return base, count
    side = max(height, width)
    below, above = (step * (side // step), step * (side // step + 1)) if side >= step * BASES[0] else (None, step * BASES[0])
    near = " or ".join(f"resize={reached}" for reached in (below, above) if reached)
    what = "square pictures" if height != width else "pictures whose side is 4, 5, 6 or 7 doubled at least once"
    raise ConfigError(f"such convolutions reach {what}, got {height} × {width} pixels: load the data with {near}.")


def channels_last(x: Tensor) -> Tensor:
    """The same maps (n, c, h, w) with the channels of a pixel side by side in memory.

    What convolutions make of them stays so, whatever the layout of their weights. On a processor that makes the step of a
    DCGAN 4 to 12 % faster (fp32, 32 and 64 pixels), and changes nothing else: weights are saved and averaged as ever.
    """
    return x.contiguous(memory_format=torch.channels_last)


class Maps(nn.Module):
    """Vectors (n, channels · side²) as maps (n, channels, side, side), in the layout of `channels_last`.

    >>> Maps(8, 4)(torch.zeros(2, 128)).shape
    torch.Size([2, 8, 4, 4])
    """

    def __init__(self, channels: int, side: int) -> None:
        super().__init__()
        self.shape = (channels, side, side)

    def forward(self, x: Tensor) -> Tensor:
        return channels_last(x.unflatten(1, self.shape))


def halvings(
    channels: Sequence[int], kernel: int = 4, normalise: bool = True, bias: bool = False, slope: float = SLOPE
) -> nn.Sequential:
    """A stage for each pair of `channels`, the picture's first: a convolution that halves the side, and leaky ReLU.

    With `normalise` a batch normalisation is between the two, not in the first stage.

    >>> [[type(layer).__name__ for layer in stage] for stage in halvings([3, 8, 16])]
    [['Conv2d', 'LeakyReLU'], ['Conv2d', 'BatchNorm2d', 'LeakyReLU']]
    """
    check_kernel(kernel)
    result = nn.Sequential()
    for i, (before, after) in enumerate(pairwise(channels)):
        stage = nn.Sequential(nn.Conv2d(before, after, kernel, stride=2, padding=(kernel - 1) // 2, bias=bias))
        if normalise and i:
            stage.append(nn.BatchNorm2d(after))
        result.append(stage.append(nn.LeakyReLU(slope, inplace=True)))
    return result


def doublings(channels: Sequence[int], kernel: int = 4, normalise: bool = True, bias: bool = False) -> nn.Sequential:
    """A stage for each pair of `channels`, the picture's last: a transposed convolution that doubles the side, and ReLU.

    With `normalise` a batch normalisation is between the two. The last stage, which draws the picture, has neither.

    >>> [[type(layer).__name__ for layer in stage] for stage in doublings([16, 8, 3])]
    [['ConvTranspose2d', 'BatchNorm2d', 'ReLU'], ['ConvTranspose2d']]
    """
    check_kernel(kernel)
    result, last = nn.Sequential(), len(channels) - 2
    for i, (before, after) in enumerate(pairwise(channels)):
        stage = nn.Sequential(
            nn.ConvTranspose2d(before, after, kernel, 2, (kernel - 1) // 2, output_padding=kernel % 2, bias=bias)
        )
        if i < last:
            stage.extend([*([nn.BatchNorm2d(after)] if normalise else []), nn.ReLU(inplace=True)])
        result.append(stage)
    return result


def initialise(module: nn.Module, deviation: float = 0.02) -> None:
    """Weights of convolutions and linear layers from N(0, 0.02²), gains of batch normalisations from N(1, 0.02²); biases 0.

    >>> layer = nn.Conv2d(64, 64, 4)
    >>> initialise(layer)
    >>> round(layer.weight.std().item(), 3), layer.bias.abs().max().item()
    (0.02, 0.0)
    """
    for layer in module.modules():
        if isinstance(layer, nn.Linear | nn.Conv2d | nn.ConvTranspose2d):
            nn.init.normal_(layer.weight, 0.0, deviation)
        elif isinstance(layer, nn.BatchNorm1d | nn.BatchNorm2d):
            nn.init.normal_(layer.weight, 1.0, deviation)
        else:
            continue
        if layer.bias is not None:
            nn.init.zeros_(layer.bias)


def check_kernel(kernel: int) -> None:
    """Raise `ConfigError` for a kernel that does not halve and double sides exactly."""
    if kernel not in KERNELS:
        raise ConfigError(f"kernel must be 4 or 5, got {kernel}: 4 draws fewer checkerboards, 5 is the authors'.")
