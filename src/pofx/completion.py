"""Drawing what is missing given the rest: halves of pictures, shares of any event, empty cells of tables."""

from typing import Any

import torch
from torch import Tensor

from .core import (
    CapabilityError,
    Completes,
    ConfigError,
    DataError,
    DrawsStepwise,
    GenerativeModel,
    Inpaints,
    OnStep,
    require,
    suggest,
)
from .drawing import in_batches, options_of
from .models import MODELS

SIDES = ("top", "bottom", "left", "right")


def complete_rows(
    model: GenerativeModel, x: Tensor, mask: Tensor, draws: int, generator: torch.Generator, temperature: float = 1.0,
    labels: Tensor | None = None,
) -> Tensor:  # fmt: skip
    """Rows x (rows, *event_shape) with what `mask` does not keep drawn anew, `draws` times: (rows, draws, *event_shape).

    Raises `CapabilityError` for a temperature where the model takes none.
    """
    fill = completing(model)
    if temperature != 1:
        require(model, DrawsStepwise)
    row = torch.arange(len(x)).repeat_interleave(draws)

    def draw(which: slice, on_step: OnStep) -> Tensor:
        options = options_of(model, temperature, on_step) | ({} if labels is None else {"condition": labels[row[which]]})
        part, kept = (t[row[which]].to(model.device) for t in (x, mask))
        drawn: Tensor = fill(part, kept, generator, **options)
        return drawn

    return in_batches(len(row), draw).float().unflatten(0, (len(x), draws))


def completing(model: GenerativeModel) -> Any:
    """The model's `inpaint`, or else its `complete`; raises `CapabilityError` where it has neither."""
    if isinstance(model, Inpaints):
        return model.inpaint
    if isinstance(model, Completes):
        return model.complete
    able = ", ".join(name for name, cls in MODELS.items() if issubclass(cls, Inpaints | Completes))
    raise CapabilityError(f"{model.name} cannot draw a part of an event given the rest. Models that can: {able}.")


def sees_all(model: GenerativeModel, mask: Tensor) -> bool:
    """Whether each value is drawn given all that `mask` keeps, and not only what comes before it in the model's order."""
    raster = model.config.get("order", "raster") in ("raster", "snake") and model.config.get("scale", 1) == 1
    places = (mask[:, 0] if mask.ndim == 4 else mask).flatten(1)
    return isinstance(model, Inpaints) or (raster and not bool((places[:, 1:] & ~places[:, :-1]).any()))


def what_to_keep(keep: str | None, x: Tensor, generator: torch.Generator) -> tuple[Tensor, str]:
    """A mask (n, *event_shape), True where x is kept, and in words what it keeps.

    That is what `keep` asks for; left out, all that is there where cells are empty (NaN), else the top half of pictures.
    Raises `ConfigError` for words and shares that make no sense and `DataError` where nothing is left to draw.
    """
    there, picture = ~x.isnan(), x.ndim == 4
    if keep is None and not picture:
        if bool(there.all()):
            raise DataError(
                "no cell is empty, so there is nothing to draw: leave cells empty, or give a share with --keep 0.5."
            )
        return there, "all that is there"
    keep = keep or "top"
    if keep not in SIDES:
        return there & _share(x, keep, generator), f"{keep} of the {'pixels' if picture else 'values'}"
    if not picture:
        raise ConfigError(f"keep={keep!r} is for pictures, and these events have shape {tuple(x.shape[1:])}: give a share.")
    return _half(x, keep), f"the {keep} half"


def _half(x: Tensor, side: str) -> Tensor:
    axis = 2 if side in ("top", "bottom") else 3
    position, middle = torch.arange(x.shape[axis]), x.shape[axis] // 2
    half = position < middle if side in ("top", "left") else position >= middle
    return (half[:, None] if axis == 2 else half).expand_as(x)


def _share(x: Tensor, text: str, generator: torch.Generator) -> Tensor:
    """A share of each row's variables, of a picture's pixels with all their colours."""
    try:
        share = float(text)
    except ValueError:
        raise ConfigError(f"keep={text!r} is unknown: {suggest(text, SIDES)}, or a share such as 0.5.") from None
    if not 0 < share < 1:
        raise ConfigError(f"keep must be a share between 0 and 1, got {text}: 0.5 keeps half of the variables of each row.")
    places = x[:, :1] if x.ndim == 4 else x
    random = torch.rand(places.flatten(1).shape, generator=generator)
    chosen = random.argsort(1).argsort(1) < round(share * random.shape[1])
    return chosen.view(places.shape).expand_as(x)
