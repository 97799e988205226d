"""How alike two sets of pictures are at each scale: distances of patches of their Laplacian pyramids."""

import torch
from torch import Tensor
from torch.nn import functional as F

from ..core import ConfigError, DataError
from .estimate import Estimate
from .rows import check_rows

PATCH = 7  # pixels a side
SMALLEST = 16  # pixels a side of the coarsest level
AT_ONCE = 16  # directions
PER_MILLE = 1_000  # the paper's unit
UNIT = "1/1000 deviation"


def sliced_wasserstein(
    real: Tensor, fake: Tensor, patches: int = 128, directions: int = 512, seed: int = 0
) -> dict[str, Estimate]:
    """Sliced Wasserstein distance of 7 × 7 patches at each level of a Laplacian pyramid, of pictures (n, c, h, w).

    A name is the level's shorter side in pixels, from full resolution on; "mean" is over the levels. A level is halved while
    both sides are even and the half has at least 16 pixels: 64 has the levels 64, 32 and 16; 28, whose half has 14, is one
    level, and so are smaller pictures. The last level is the picture itself, reduced; each other is what the halving loses.

    Of each picture `patches` random patches are taken, as vectors of c · 49 numbers; of each set they are brought to mean 0
    and deviation 1 in each channel. The value is the mean of |difference| of the sorted projections on `directions` random
    unit vectors, times 1,000 as in the paper, which takes 16,384 pictures: two finite sets of one distribution are apart by
    more than 0, so compare at equal counts and with real against real. The smaller set says how many pictures of each are
    used. Noise of sampling is not in the value, which has no standard error.

    Time O(levels · directions · n · patches · log). Raises `DataError` for unlike or too small pictures or NaN, `ConfigError`
    for counts below 1. Progressive Growing of GANs, Tero Karras, Timo Aila, Samuli Laine and Jaakko Lehtinen, 2018.

    >>> x = torch.rand(20, 1, 32, 32, generator=torch.Generator().manual_seed(0))
    >>> {level: round(e.value, 6) for level, e in sliced_wasserstein(x, x, patches=4, directions=8).items()}
    {'32': 0.0, '16': 0.0, 'mean': 0.0}
    """
    if min(patches, directions) < 1:
        raise ConfigError(f"patches and directions must be at least 1, got {patches} and {directions}: 128 and 512 are usual.")
    for x, name in ((real, "real pictures"), (fake, "generated pictures")):
        check_rows(x, name)
        if x.ndim != 4 or min(x.shape[2:]) < PATCH:
            raise DataError(f"sliced_wasserstein expects {name} (n, c, h, w) of at least 7×7 pixels, got {tuple(x.shape)}.")
    if real.shape[1:] != fake.shape[1:]:
        raise DataError(f"sliced_wasserstein expects pictures of one shape, got {tuple(real.shape)} and {tuple(fake.shape)}.")
    n = min(len(real), len(fake))
    found: dict[str, Estimate] = {}
    for a, b in zip(laplacian_pyramid(real[:n]), laplacian_pyramid(fake[:n]), strict=True):
        generator = torch.Generator().manual_seed(seed)
        index = _patch_places(n, patches, a.shape[2], a.shape[3], generator)
        distance = _sliced(_descriptors(a, *index), _descriptors(b, *index), directions, generator)
        found[str(min(a.shape[2:]))] = Estimate(PER_MILLE * distance, None, n, UNIT)
    mean = sum(e.value for e in found.values()) / len(found)
    return found | {"mean": Estimate(mean, None, n, UNIT)}


def laplacian_pyramid(x: Tensor) -> list[Tensor]:
    """The levels of pictures (n, c, h, w), finest first: each what is lost by halving, the last the reduced picture.

    Doubling the last, adding the one before and so on gives x back. The Laplacian Pyramid as a Compact Image Code, Peter Burt
    and Edward Adelson, 1983.
    """
    x, levels = x.detach().float().cpu(), []
    while not any(side % 2 or side // 2 < SMALLEST for side in x.shape[2:]):
        smaller = _blurred(x)[:, :, ::2, ::2]
        levels.append(x - doubled(smaller))
        x = smaller
    return [*levels, x]


def doubled(x: Tensor) -> Tensor:
    """Pictures at twice the size, (n, c, 2h, 2w): zeros between the pixels, then blurred."""
    n, c, height, width = x.shape
    wide = x.new_zeros(n, c, 2 * height, 2 * width)
    wide[:, :, ::2, ::2] = 4 * x
    return _blurred(wide)


def _blurred(x: Tensor) -> Tensor:
    line = torch.tensor([1.0, 4.0, 6.0, 4.0, 1.0], dtype=x.dtype) / 16
    channels = x.shape[1]
    for kernel in (line.view(1, 1, 5, 1), line.view(1, 1, 1, 5)):
        pad = (0, 0, 2, 2) if kernel.shape[2] == 5 else (2, 2, 0, 0)
        x = F.conv2d(F.pad(x, pad, mode="reflect"), kernel.expand(channels, 1, *kernel.shape[2:]), groups=channels)
    return x


def _patch_places(n: int, patches: int, height: int, width: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    top = torch.randint(height - PATCH + 1, (n, patches), generator=generator)
    left = torch.randint(width - PATCH + 1, (n, patches), generator=generator)
    return top, left


def _descriptors(x: Tensor, top: Tensor, left: Tensor) -> Tensor:
    """Patches at these places as rows (n · patches, c · 49), each channel at mean 0 and deviation 1 over all of them."""
    side = torch.arange(PATCH)
    rows = (top.unsqueeze(-1) + side).unsqueeze(-1)  # (n, patches, 7, 1)
    columns = (left.unsqueeze(-1) + side).unsqueeze(-2)  # (n, patches, 1, 7)
    picture = torch.arange(len(x)).view(-1, 1, 1, 1)
    patches = x.permute(0, 2, 3, 1)[picture, rows, columns].flatten(0, 1)  # (n · patches, 7, 7, c)
    mean, std = patches.mean((0, 1, 2)), patches.std((0, 1, 2), correction=0)
    return ((patches - mean) / std.clamp(min=1e-8)).flatten(1)


def _sliced(a: Tensor, b: Tensor, directions: int, generator: torch.Generator) -> float:
    ways = torch.randn(directions, a.shape[1], generator=generator)
    ways = ways / ways.norm(dim=1, keepdim=True)
    sums = [((w @ a.T).sort(1).values - (w @ b.T).sort(1).values).abs().double().mean(1) for w in ways.split(AT_ONCE)]
    return torch.cat(sums).mean().item()
