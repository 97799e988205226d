"""Priors that one can sample, without a density: a square, shapes in the plane, and the user's own samples."""

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from ..core import ConfigError, DataError

KEPT = 10_000  # draws of a user's function that are saved with a model, which is then able to sample without it
Sampler = Callable[[int], Any]


class Prior(nn.Module):
    """A distribution over codes of width `latent`. `classes`: how many parts it has that labels can name, 0 for none."""

    classes = 0

    def __init__(self, latent: int) -> None:
        super().__init__()
        self.latent = latent

    def sample(self, n: int, generator: torch.Generator | None = None, label: Tensor | None = None) -> Tensor:
        """Codes (n, latent); of the parts that the labels (n,) name, where there are such parts and labels."""
        raise NotImplementedError

    def recorded(self, given: Any) -> Any:
        """What a configuration says of this prior: the argument as it was given, unless JSON cannot hold that."""
        return given


class Uniform(Prior):
    """Uniform on [-1, 1] to the power `latent`."""

    anchor: Tensor

    def __init__(self, latent: int) -> None:
        super().__init__(latent)
        self.register_buffer("anchor", torch.zeros(()), persistent=False)  # where and in which precision codes live

    def sample(self, n: int, generator: torch.Generator | None = None, label: Tensor | None = None) -> Tensor:
        return 2 * _uniform(n, self.latent, self.anchor, generator) - 1


class CircleMixture(Prior):
    """Gaussians in the plane, centred on a circle of radius 4 and drawn out along the radius, like petals; a class each.

    Source: Adversarial Autoencoders, Alireza Makhzani, Jonathon Shlens, Navdeep Jaitly, Ian Goodfellow and Brendan Frey, 2016
    (the shape is that of its figures, whose sizes are not printed).
    """

    radius, along, across = 4.0, 1.0, 0.25
    anchor: Tensor

    def __init__(self, latent: int, classes: int = 10) -> None:
        super().__init__(latent)
        _check_plane("mixture", latent, classes)
        self.classes = classes
        self.register_buffer("anchor", torch.zeros(()), persistent=False)

    def sample(self, n: int, generator: torch.Generator | None = None, label: Tensor | None = None) -> Tensor:
        outward, sideways = noise_like(n, 2, self.anchor, generator).unbind(1)
        outward, sideways = self.radius + self.along * outward, self.across * sideways
        angle = _parts(n, self.classes, label, self.anchor, generator) * (2 * math.pi / self.classes)
        cos, sin = angle.cos(), angle.sin()
        return torch.stack([outward * cos - sideways * sin, outward * sin + sideways * cos], 1)


class SwissRoll(Prior):
    """A spiral in the plane, z = (r cos t, r sin t) with r in proportion to t; its length is cut into a segment a class.

    Source: Adversarial Autoencoders, Makhzani and others, 2016 (its sizes are not printed).
    """

    turns, radius, thickness = 2.0, 4.0, 0.1
    anchor: Tensor

    def __init__(self, latent: int, classes: int = 10) -> None:
        super().__init__(latent)
        _check_plane("swiss_roll", latent, classes)
        self.classes = classes
        self.register_buffer("anchor", torch.zeros(()), persistent=False)

    def sample(self, n: int, generator: torch.Generator | None = None, label: Tensor | None = None) -> Tensor:
        part, like = _parts(n, self.classes, label, self.anchor, generator), self.anchor
        u = _uniform(n, 1, like, generator)[:, 0]
        t = ((part + u) / self.classes).sqrt()  # the length of the spiral grows with t²: points lie as densely everywhere
        angle = 2 * math.pi * self.turns * t
        point = self.radius * t[:, None] * torch.stack([angle.cos(), angle.sin()], 1)
        return point + self.thickness * noise_like(n, 2, like, generator)


class Points(Prior):
    """The user's own: rows of an array, drawn with replacement, or fresh draws of a function f(n) -> (n, latent).

    With labels (m,) the rows of a label are a part of their own. A model is saved with the array, or with 10,000 draws of the
    function, from which it also samples where a generator is given. A function should draw with torch's global generator,
    whose seed training sets, or a run that was resumed will differ from one that was not.
    """

    points: Tensor
    counts: Tensor

    def __init__(self, latent: int, points: Any, label: Any = None, sampler: Sampler | None = None) -> None:
        super().__init__(latent)
        self.sampler, rows = sampler, _checked(points, latent)
        labels = _labels(label, len(rows)) if label is not None else torch.zeros(len(rows), dtype=torch.long)
        self.classes = 0 if label is None else int(labels.max()) + 1
        self.register_buffer("points", rows[labels.argsort(stable=True)])  # part by part
        self.register_buffer("counts", labels.bincount(minlength=1))
        if not bool(self.counts.all()):
            empty = int((self.counts == 0).nonzero()[0])
            raise DataError(
                f"prior has no samples with label {empty}: its labels must be 0..{self.classes - 1}, each with some."
            )

    @classmethod
    def of_function(cls, latent: int, sampler: Sampler) -> "Points":
        """The prior that a function f(n) draws from."""
        return cls(latent, _checked(sampler(KEPT), latent, KEPT), sampler=sampler)

    @classmethod
    def awaited(cls, latent: int, n: int, classes: int = 0) -> "Points":
        """Room for n samples, of so many parts, which come with a model's weights."""
        label = torch.arange(n) % classes if classes else None
        return cls(latent, torch.zeros(n, latent), label)

    def sample(self, n: int, generator: torch.Generator | None = None, label: Tensor | None = None) -> Tensor:
        if self.sampler is not None and generator is None:
            return _checked(self.sampler(n), self.latent, n).to(self.points)
        u = torch.rand(n, dtype=torch.float64, device=self.points.device, generator=generator)
        if label is None or not self.classes:
            return self.points[(u * len(self.points)).long()]
        label = label.long()
        return self.points[self.counts.cumsum(0)[label] - 1 - (u * self.counts[label]).long()]

    def recorded(self, given: Any) -> Any:
        """{"points": m}, with the number of parts: a saved model has its samples, and imports or reads nothing."""
        return given if isinstance(given, dict) else {"points": len(self.points), "classes": self.classes}


def numbers(value: Any, name: str) -> Tensor:
    """A user's numbers as a tensor of their own, or a `ConfigError`."""
    try:
        return torch.as_tensor(value, dtype=torch.get_default_dtype()).detach().clone()
    except (TypeError, ValueError, RuntimeError):
        raise ConfigError(f"{name} must be a name, an array of numbers or a function, got {value!r}.") from None


def _checked(samples: Any, latent: int, n: int | None = None) -> Tensor:
    """A user's samples as a tensor (m, latent); `DataError` where they are not finite, too few, or of another width."""
    rows = numbers(samples, "prior")
    if rows.ndim != 2 or rows.shape[1] != latent or not len(rows) or (n is not None and len(rows) != n):
        expected = f"({'m' if n is None else n}, {latent})"
        raise DataError(f"prior expects samples of shape {expected}, for latent={latent}, got {tuple(rows.shape)}.")
    if not bool(rows.isfinite().all()):
        row = int((~rows.isfinite()).any(1).nonzero()[0])
        raise DataError(f"prior expects finite samples, got {rows[row].tolist()} in row {row}: remove or repair such rows.")
    return rows


def _labels(label: Any, n: int) -> Tensor:
    labels = numbers(label, "the prior's labels").long()
    if labels.shape != (n,) or int(labels.min()) < 0:
        raise DataError(f"prior expects a label of at least 0 for each of its {n} samples, got {tuple(labels.shape)} labels.")
    return labels


def _check_plane(name: str, latent: int, classes: int) -> None:
    if latent != 2:
        raise ConfigError(f"prior={name!r} lies in the plane and needs latent=2, got latent={latent}: use 'gaussian' for more.")
    if classes < 1:
        raise ConfigError(f"classes must be at least 1, got {classes}: it is the number of parts of prior={name!r}.")


def noise_like(n: int, width: int, like: Tensor, generator: torch.Generator | None) -> Tensor:
    """Standard normal numbers (n, width), of the precision and on the device of `like`."""
    return torch.randn(n, width, dtype=like.dtype, device=like.device, generator=generator)


def _uniform(n: int, width: int, like: Tensor, generator: torch.Generator | None) -> Tensor:
    return torch.rand(n, width, dtype=like.dtype, device=like.device, generator=generator)


def _parts(n: int, classes: int, label: Tensor | None, like: Tensor, generator: torch.Generator | None) -> Tensor:
    """The parts (n,) that labels name, else parts drawn at random, as numbers of the kind of `like`."""
    drawn = torch.randint(classes, (n,), device=like.device, generator=generator) if label is None else label
    return drawn.to(like)
