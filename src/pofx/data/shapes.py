"""Drawn pictures of one coloured shape each, with a caption, attributes and a mask: a conditional image set without files."""

import math

import numpy as np
import torch
from torch import Tensor

from ..core import ConfigError
from .noise import generator
from .options import Options
from .raw import ArrayRows, Part, Raw

SHAPES = ("circle", "square", "triangle", "star", "cross")
COLOURS = {
    "red": (0.85, 0.15, 0.15),
    "green": (0.15, 0.6, 0.25),
    "blue": (0.15, 0.35, 0.85),
    "yellow": (0.95, 0.8, 0.1),
    "purple": (0.55, 0.2, 0.7),
    "orange": (0.95, 0.5, 0.1),
}
SIZES = {"small": (0.11, 0.14), "large": (0.19, 0.22)}  # radius as a share of the picture's side
POSITIONS = {
    "top left": (0.3, 0.3),
    "top right": (0.7, 0.3),
    "centre": (0.5, 0.5),
    "bottom left": (0.3, 0.7),
    "bottom right": (0.7, 0.7),
}  # x, y as shares of the side
FACTORS = {"shape": list(SHAPES), "colour": list(COLOURS), "size": list(SIZES), "position": list(POSITIONS)}
ATTRIBUTES = [name for values in FACTORS.values() for name in values]
SENTENCES = (
    "a {size} {colour} {shape} {at} the {position}",
    "{at} the {position} there is a {size} {colour} {shape}",
    "the {shape} {at} the {position} is {size} and {colour}",
    "one {size} {shape} in {colour}, placed {at} the {position}",
)


def shapes(options: Options) -> Raw:
    """Pictures of one shape (the label) in one of 6 colours, 2 sizes and 5 places, on a plain light ground.

    Extras: a caption, attributes in the order of `ATTRIBUTES` (one-hot shape, colour, size, position) and the shape's mask.
    By default 4,000 pictures of 32 pixels.
    """
    n, pixels = options.n or 4000, options.size or 32
    if not 16 <= pixels <= 128:
        raise ConfigError(f"size must be in 16..128 pixels, got {pixels}.")
    noise = generator(options.seed, 1)
    counts = [len(values) for values in FACTORS.values()]
    kinds = [torch.randint(count, (n,), generator=noise) for count in counts]
    sentence = torch.randint(len(SENTENCES), (n,), generator=noise)
    images, mask = _draw(kinds, pixels, noise)
    hot = [torch.nn.functional.one_hot(k, c) for k, c in zip(kinds, counts, strict=True)]
    captions = [_caption(*row) for row in torch.stack([*kinds, sentence], 1).tolist()]
    part = Part(ArrayRows(images), kinds[0], {"caption": captions, "attributes": torch.cat(hot, 1).float(), "mask": mask})
    return Raw("shapes", {"all": part}, image=True, grid=256, label_names=list(SHAPES), attribute_names=list(ATTRIBUTES))


def factors_of(attributes: Tensor, names: list[str]) -> tuple[Tensor, list[str]]:
    """Attributes (n, attributes) in {0, 1} as factors, int64 (n, factors), and the names of these.

    The attributes of this set are one-hot codes of its factors, whose values are numbered; of any other set each attribute
    is a factor of its own, with the values 0 and 1.

    >>> attributes = torch.zeros(1, 18)
    >>> attributes[0, [2, 5, 12, 13]] = 1  # a large red triangle at the top left
    >>> factors_of(attributes, ATTRIBUTES)
    (tensor([[2, 0, 1, 0]]), ['shape', 'colour', 'size', 'position'])
    """
    if names != ATTRIBUTES:
        return attributes.round().long(), names
    hot = attributes.split([len(values) for values in FACTORS.values()], dim=1)
    return torch.stack([values.argmax(1) for values in hot], 1), list(FACTORS)


def _caption(shape: int, colour: int, size: int, position: int, sentence: int) -> str:
    where = list(POSITIONS)[position]
    return SENTENCES[sentence].format(
        shape=SHAPES[shape],
        colour=list(COLOURS)[colour],
        size=list(SIZES)[size],
        position=where,
        at="in" if where == "centre" else "at",
    )


def _draw(kinds: list[Tensor], pixels: int, noise: torch.Generator) -> tuple[np.ndarray, Tensor]:
    """Pictures uint8 (n, 3, pixels, pixels) and masks float32 (n, 1, pixels, pixels) in {0, 1}."""
    shape, colour, size, position = kinds
    n = len(shape)

    def around(*size: int) -> Tensor:
        return torch.rand(n, *size, generator=noise) * 2 - 1

    low, high = torch.tensor(list(SIZES.values()))[size].unbind(1)
    radius = (low + high) / 2 + around() * (high - low) / 2
    centre = torch.tensor(list(POSITIONS.values()))[position] + 0.02 * around(2)
    angle = math.radians(12) * around()
    ink = (torch.tensor(list(COLOURS.values()))[colour] + 0.05 * around(3)).clamp(0, 1)
    ground = 0.93 + 0.04 * around(1) + 0.02 * around(3)
    images = np.empty((n, 3, pixels, pixels), np.uint8)
    mask = torch.empty(n, 1, pixels, pixels)
    for kind, name in enumerate(SHAPES):
        for rows in (shape == kind).nonzero().flatten().split(64):  # few enough to stay in the cache
            distance = _distance(name, *_local(centre[rows], angle[rows], radius[rows], pixels))
            cover = (0.5 - distance * (radius[rows] * pixels).view(-1, 1, 1)).clamp(0, 1).unsqueeze(1)
            picture = torch.lerp(ground[rows, :, None, None], ink[rows, :, None, None], cover)
            images[rows.numpy()] = (picture * 255).round().byte().numpy()
            mask[rows] = (cover >= 0.5).float()
    return images, mask


def _local(centre: Tensor, angle: Tensor, radius: Tensor, pixels: int) -> tuple[Tensor, Tensor]:
    """x and y of the pixel centres in the frame of each shape, whose radius is 1 there, each (n, pixels, pixels)."""
    axis = (torch.arange(pixels) + 0.5) / pixels
    x = ((axis - centre[:, :1]) / radius.unsqueeze(1)).unsqueeze(1)
    y = ((axis - centre[:, 1:]) / radius.unsqueeze(1)).unsqueeze(2)
    cos, sin = angle.cos().view(-1, 1, 1), angle.sin().view(-1, 1, 1)
    return cos * x + sin * y, cos * y - sin * x


def _distance(shape: str, x: Tensor, y: Tensor) -> Tensor:
    """Signed distance of points to the outline, negative inside, of the shape of x and y.

    Source of the polygons' formula: I. Quilez, "2D distance functions" (iquilezles.org).
    """
    if shape == "circle":
        return torch.hypot(x, y) - 1
    corners = _corners(shape)
    square, inside = torch.full_like(x, math.inf), torch.zeros_like(x, dtype=torch.bool)
    for (ax, ay), (bx, by) in zip(corners, corners[1:] + corners[:1], strict=True):
        ex, ey, px, py = bx - ax, by - ay, x - ax, y - ay
        along = ((px * ex + py * ey) / (ex**2 + ey**2)).clamp_(0, 1)
        square = torch.minimum(square, (px - along * ex).square_() + (py - along * ey).square_())
        if ey:
            beyond = py * (ex / ey) > px  # of the crossing of the edge with a horizontal ray
            inside ^= (py >= 0).logical_xor_(y >= by).logical_and_(beyond)
    return square.sqrt_().mul_(1 - 2 * inside.float())


def _corners(shape: str) -> list[tuple[float, float]]:
    """The corners of a polygon around the origin, y pointing down."""
    if shape == "cross":
        w, r = 0.36, 1.05
        arm = [(-w, -w), (-w, -r), (w, -r)]
        return [(c * x - s * y, s * x + c * y) for c, s in ((1, 0), (0, 1), (-1, 0), (0, -1)) for x, y in arm]
    count, start, radii = {"square": (4, 45, (1.2,)), "triangle": (3, -90, (1.25,)), "star": (10, -90, (1.25, 0.52))}[shape]
    corners = [(radii[i % len(radii)], math.radians(start + i * 360 / count)) for i in range(count)]
    return [(radius * math.cos(angle), radius * math.sin(angle)) for radius, angle in corners]
