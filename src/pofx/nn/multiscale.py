"""What a network of whole pictures is told of a small picture: maps of full size, made by convolutions."""

import torch
from torch import Tensor, nn


class Upsampler(nn.Module):
    """Maps (n, maps, H, W), with `size` = (H, W), from a picture's small one, (n, colours, ⌈H/scale⌉, ⌈W/scale⌉).

    Two 3×3 convolutions and a transposed one, with ReLU after each. The transposed one reaches up to the next small pixel to
    every side, as bilinear interpolation does, so that a map sees three small pixels far; nothing is masked, because the small
    picture is given whole.
    Source: Pixel Recurrent Neural Networks, Aäron van den Oord, Nal Kalchbrenner and Koray Kavukcuoglu, 2016.

    >>> Upsampler(1, 6, 2, (5, 8))(torch.zeros(3, 1, 3, 4)).shape
    torch.Size([3, 6, 5, 8])
    """

    def __init__(self, colours: int, maps: int, scale: int, size: tuple[int, int]) -> None:
        super().__init__()
        self.scale, self.size = scale, size
        reach = scale - 1
        self.layers = nn.Sequential(
            nn.Conv2d(colours, maps, 3, padding=1), nn.ReLU(), nn.Conv2d(maps, maps, 3, padding=1), nn.ReLU(),
            nn.ConvTranspose2d(maps, maps, 2 * reach + 1, scale, padding=reach, output_padding=reach), nn.ReLU(),
        )  # fmt: skip

    def forward(self, small: Tensor) -> Tensor:
        maps: Tensor = self.layers(small)
        return maps[:, :, : self.size[0], : self.size[1]]


def subsample(x: Tensor, scale: int) -> Tensor:
    """The small picture (..., ⌈H/scale⌉, ⌈W/scale⌉): a view of every `scale`-th pixel of x (..., H, W) from the first on."""
    return x[..., ::scale, ::scale]


def not_subsampled(size: tuple[int, int], scale: int, device: torch.device) -> Tensor:
    """True at the pixels that are not in the small picture, (H, W).

    >>> not_subsampled((2, 3), 2, torch.device("cpu")).tolist()
    [[False, True, False], [True, True, True]]
    """
    rest = torch.ones(size, dtype=torch.bool, device=device)
    subsample(rest, scale).fill_(False)
    return rest
