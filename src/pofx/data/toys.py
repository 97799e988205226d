"""Small data that need no files: scikit-learn's digits, and mixtures and curves in the plane drawn from a seed."""

import math

import numpy as np
import torch
from torch import Tensor

from ..core import ConfigError
from .noise import generator
from .options import Options
from .raw import ArrayRows, Part, Raw


def digits(options: Options) -> Raw:
    """Scikit-learn's 1,797 handwritten digits of 8 × 8 pixels with 17 grey levels, always split 1,200 / 297 / 300."""
    from sklearn.datasets import load_digits

    bunch = load_digits()
    images, labels = bunch.images.astype(np.uint8)[:, None], torch.from_numpy(bunch.target).long()
    order = torch.randperm(len(images), generator=generator(options.seed)).split([1200, 297, 300])
    parts = {
        name: Part(ArrayRows(images[index.numpy()]), labels[index])
        for name, index in zip(("train", "valid", "test"), order, strict=True)
    }
    names = [str(name) for name in bunch.target_names]
    return Raw("digits", parts, image=True, grid=17, label_names=names, note=f"split by seed {options.seed}")


def rings(options: Options) -> Raw:
    """Eight Gaussians on the unit circle, standard deviation 0.01; the label is the mode.

    Source: the ring of Lin, Khetan, Fanti, Oh, "PacGAN: The power of two samples in generative adversarial networks"
    (2018), with the angle 2π k / 8.
    """
    angle = torch.arange(8, dtype=torch.float64) * (math.tau / 8)
    return _mixture("rings", torch.stack([angle.cos(), angle.sin()], 1), 0.01, options)


def grid25(options: Options) -> Raw:
    """Twenty-five Gaussians at {-4, -2, 0, 2, 4}², standard deviation 0.05; the label is the mode (source: see `rings`)."""
    axis = torch.arange(-4.0, 5.0, 2.0, dtype=torch.float64)
    return _mixture("grid25", torch.cartesian_prod(axis, axis), 0.05, options)


def swissroll(options: Options) -> Raw:
    """A spiral in the plane with a little noise: the Swiss roll seen from the side, scaled to about [-1.5, 1.5]²."""
    n, noise = _count(options), generator(options.seed, 1)
    angle = 1.5 * math.pi * (1 + 2 * torch.rand(n, generator=noise, dtype=torch.float64))
    points = torch.stack([angle * angle.cos(), angle * angle.sin()], 1)
    points = (points + 0.25 * torch.randn(n, 2, generator=noise, dtype=torch.float64)) / 10
    return Raw("swissroll", {"all": Part(ArrayRows(points.numpy()))}, image=False, column_names=["x", "y"])


def _mixture(name: str, centres: Tensor, sigma: float, options: Options) -> Raw:
    n, noise = _count(options), generator(options.seed, 1)
    mode = torch.randint(len(centres), (n,), generator=noise)
    points = centres[mode] + sigma * torch.randn(n, 2, generator=noise, dtype=torch.float64)
    return Raw(
        name,
        {"all": Part(ArrayRows(points.numpy()), mode)},
        image=False,
        label_names=[str(i) for i in range(len(centres))],
        column_names=["x", "y"],
        modes=(centres.float(), sigma),
    )


def _count(options: Options) -> int:
    if options.size is not None:
        raise ConfigError("size is for drawn pictures (shapes), these are points in the plane: leave size out.")
    return options.n or 10_000
