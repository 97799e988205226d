"""Looking into latent space: which dimension does what, what lies between two events, what a code keeps of an event."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from .core import ConfigError, Decodes, GenerativeModel, Reconstructs, require
from .functional.codes import Codes
from .nn.autoencoder import codes_between
from .nn.priors import Gaussian, Prior
from .scoring import in_blocks

DRAWS = 10_000  # of a prior whose deviation is measured


@dataclass(frozen=True)
class Traversal:
    """Decoded events `x` (dims, steps, *event_shape) along the latent dimensions `dims`, the most active first.

    In row i dimension dims[i] of z takes the `values` (dims, steps), all else is that of `origin` (features,), which decodes
    to `start` (*event_shape). `activity` (latent,) says how active each dimension is, NaN where that was not measured, and
    `measure` by what, in words.
    """

    x: Tensor
    dims: list[int]
    values: Tensor
    origin: Tensor
    start: Tensor
    activity: Tensor
    measure: str


@torch.no_grad()
def traverse(
    model: GenerativeModel, origin: Tensor | None = None, codes: Tensor | None = None, dims: Sequence[int] | None = None,
    most: int = 10, reach: float = 3.0, steps: int = 9, label: int | None = None, seed: int = 0,
) -> Traversal:  # fmt: skip
    """Move one latent dimension at a time from −reach to +reach prior standard deviations about the prior's mean.

    The other dimensions stay at `origin`, a code as `coded` gives them, by default the prior's mean, of a model without an
    encoder into its latents (a GAN) a draw from the prior by `seed`: there the middle stands for nothing in particular. `dims`
    are the dimensions, by default the `most` active ones: by the variance of `codes` (n, features) where they are given,
    else by how much the decoded event changes along the row. `label` is for models of p(x | label). What a code has before z,
    such as categories, is not moved.

    Raises `CapabilityError` for a model that decodes nothing and `ConfigError` for dimensions or numbers that make no sense.
    """
    decoder = require(model, Decodes)
    latent, generator = decoder.latent, torch.Generator().manual_seed(seed)
    _check(latent, dims, most, reach, steps)
    mean, deviation = _scale_of_prior(model, latent, seed)
    if origin is None:
        drawn = mean + deviation * torch.randn(latent, generator=generator)
        origin = mean if isinstance(model, Reconstructs) else drawn
    values = mean[:, None] + deviation[:, None] * torch.linspace(-reach, reach, steps)
    wanted = list(range(latent)) if dims is None else list(dims)
    z = origin.repeat(len(wanted), steps, 1)
    for row, dim in enumerate(wanted):
        z[row, :, dim - latent] = values[dim]  # counted from the end, where z stands
    x = decoded(model, z.flatten(0, 1), label).unflatten(0, (len(wanted), steps))
    if codes is not None:
        activity, measure = codes[:, -latent:].var(0), f"variance of the codes of {len(codes):,} events"
    else:
        activity = torch.full((latent,), torch.nan)
        activity[wanted] = x.flatten(2).var(1).mean(1)
        measure = "variance of the decoded values along the row"
    if dims is None:
        wanted = activity.argsort(descending=True)[:most].tolist()
        x = x[wanted]
    start = decoded(model, origin[None], label)[0]
    return Traversal(x, wanted, values[wanted], origin, start, activity, measure)


def codes_of(model: Any) -> Codes | None:
    """The structured codes in what a model decodes, as InfoGAN has them; None where there are none."""
    codes = getattr(model, "codes", None)
    return codes if isinstance(codes, Codes) else None


@torch.no_grad()
def traverse_code(
    model: GenerativeModel, code: int = 0, rows: int = 10, steps: int = 10, reach: float = 1.0, labels: Tensor | None = None,
    seed: int = 0,
) -> tuple[Tensor, Tensor, list[str]]:  # fmt: skip
    """Events (rows, columns, *event_shape) in whose rows one code varies, what was decoded to them, and titles of the columns.

    A row shares noise and other codes, drawn by `seed`; `labels` (rows,) are values of the first categorical code. A
    categorical code takes each of its values, a continuous one `steps` values from −reach to reach; 2 goes beyond what
    training has seen. Raises `ConfigError` where the model has no such code.
    """
    codes, decoder = codes_of(model), require(model, Decodes)
    if codes is None:
        raise ConfigError(f"{model.name} has no codes: those of infogan can be traversed.")
    if rows < 1:
        raise ConfigError(f"a traversal needs at least 1 row, got {rows}.")
    generator = torch.Generator(model.device).manual_seed(seed)
    like = next(model.parameters())
    start = codes.draw(rows, like, generator) if labels is None else codes.given(labels, rows, like, generator)
    noise = torch.randn(rows, decoder.latent - codes.width, dtype=like.dtype, device=like.device, generator=generator)
    varied, titles = codes.along(start, code, steps, reach)
    z = torch.cat([varied, noise[:, None].expand(-1, len(titles), -1)], 2)
    return decoded(model, z.flatten(0, 1)).unflatten(0, z.shape[:2]).cpu(), z.cpu(), titles


def decoded(model: GenerativeModel, z: Tensor, label: int | None = None) -> Tensor:
    """Events for codes (n, features), some at a time; of a model of p(x | label) all with one label."""
    labels = None if label is None else torch.full((len(z),), label)
    return _decode(model, z.to(next(model.parameters()).dtype), labels)


def coded(model: GenerativeModel, x: Tensor, labels: Tensor | None = None) -> Tensor:
    """The codes (n, features) of events, as the decoder takes them: z, and before it what a model adds, such as categories.

    Raises `CapabilityError` where the model has no such encoder.
    """
    require(model, Reconstructs)
    return in_pieces(model, "encode", x, labels)


def reconstruct(model: GenerativeModel, x: Tensor, labels: Tensor | None = None) -> Tensor:
    """Events (n, *event_shape) encoded and decoded; `CapabilityError` for a model that does not."""
    require(model, Reconstructs)
    return in_pieces(model, "reconstruct", x, labels)


@torch.no_grad()
def interpolate(
    model: GenerativeModel, a: Tensor, b: Tensor, steps: int = 8, labels: tuple[Tensor, Tensor] | None = None
) -> Tensor:
    """What lies between events a and b, each (n, *event_shape): (n, steps, *event_shape) with their reconstructions as ends.

    With `labels` of a and b, for a model of p(x | label), each event on the way is decoded with the label of the nearer end.
    Raises `CapabilityError` for a model whose decoder does not take what its encoder gives, `ConfigError` for fewer than two
    steps.
    """
    between = require(model, Reconstructs).interpolate
    if labels is None or not model.classes:
        return in_blocks(lambda both: between(both[:, 0], both[:, 1], steps), torch.stack([a, b], 1), model)
    z = codes_between(coded(model, a, labels[0]), coded(model, b, labels[1]), steps)
    nearer = torch.where(torch.linspace(0, 1, steps) < 0.5, labels[0][:, None], labels[1][:, None])
    return _decode(model, z, nearer.flatten()).unflatten(0, (-1, steps))


def in_pieces(model: GenerativeModel, method: str, x: Tensor, labels: Tensor | None = None) -> Tensor:
    """model.method(x) for some rows at a time; with their labels where the model is of p(x | label)."""
    function = getattr(model, method)
    if labels is None or not model.classes:
        return in_blocks(function, x, model)
    rows = torch.arange(len(x))
    return in_blocks(
        lambda row: function(x[row.cpu()].to(model.device), condition=labels[row.cpu()].to(model.device)), rows, model
    )


def _decode(model: GenerativeModel, codes: Tensor, labels: Tensor | None) -> Tensor:
    """Codes decoded with labels, or without them where something in the code stands for them."""
    wider = codes.shape[1] > require(model, Decodes).latent
    return in_pieces(model, "decode", codes, None if wider else labels)


def _scale_of_prior(model: Any, latent: int, seed: int) -> tuple[Tensor, Tensor]:
    """Mean and standard deviation of each latent under the prior: 0 and 1 where the model says nothing of a prior."""
    prior = getattr(model, "prior", None)
    if not isinstance(prior, Prior) or prior.latent != latent:
        return torch.zeros(latent), torch.ones(latent)
    if isinstance(prior, Gaussian):
        return torch.zeros(latent), torch.full((latent,), float(prior.std))
    z = prior.sample(DRAWS, torch.Generator(model.device).manual_seed(seed)).float().cpu()
    return z.mean(0), z.std(0)


def _check(latent: int, dims: Sequence[int] | None, most: int, reach: float, steps: int) -> None:
    for dim in dims or ():
        if not 0 <= dim < latent:
            raise ConfigError(f"dims must be in 0..{latent - 1}, got {dim}: the model has {latent} latent dimensions.")
    if dims is not None and (not dims or len(set(dims)) < len(dims)):
        raise ConfigError(f"dims must name dimensions, each once, got {list(dims)}: write for example 0,3.")
    if most < 1:
        raise ConfigError(f"most must be at least 1, got {most}: it is the number of dimensions to show.")
    if not 0 < reach < math.inf:
        raise ConfigError(f"range must be a positive number of standard deviations, got {reach:g}: 3 is usual.")
    if steps < 2:
        raise ConfigError(f"steps must be at least 2, got {steps}: both ends are among them.")
