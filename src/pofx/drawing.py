"""Drawing many events: in batches, with a bar for the person who waits, and for labels given by name."""

import sys
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor

from .core import ConfigError, DrawsStepwise, GenerativeModel, OnStep, Samples, require, suggest
from .latents import codes_of
from .training.progress import Progress

AT_ONCE = 1000  # events drawn together: memory does not grow with their number, and small steps are shared by many


def draw_samples(
    model: GenerativeModel, n: int, generator: torch.Generator, temperature: float = 1.0, labels: Tensor | None = None
) -> Tensor:
    """n events (n, *event_shape) on the processor, of `labels` (n,) where given; raises `CapabilityError` where it cannot."""
    sampler = require(model, Samples if temperature == 1 else DrawsStepwise)

    def draw(which: slice, on_step: OnStep) -> Tensor:
        options = options_of(model, temperature, on_step) | ({} if labels is None else {"condition": labels[which]})
        return sampler.sample(which.stop - which.start, generator=generator, **options)

    return in_batches(n, draw)


def options_of(model: GenerativeModel, temperature: float, on_step: OnStep) -> dict[str, Any]:
    """The options that only models take which draw variable by variable."""
    return {"temperature": temperature, "on_step": on_step} if isinstance(model, DrawsStepwise) else {}


def in_batches(n: int, draw: Callable[[slice, OnStep], Tensor]) -> Tensor:
    """draw(which, on_step) of all n events, some at a time; a bar shows how far it is where somebody looks."""
    drawn = []
    with Progress("drawing", n, enabled=sys.stderr.isatty(), unit="event") as bar:
        for start in range(0, n, AT_ONCE):
            which = slice(start, min(start + AT_ONCE, n))
            drawn.append(draw(which, partial(_advance, bar, which)).cpu())
            bar.update(which.stop, {})
    return torch.cat(drawn)


def _advance(bar: Progress, which: slice, done: int, total: int) -> None:
    bar.update(which.start + (which.stop - which.start) * done // total, {})


def labels_for(model: GenerativeModel, text: str, n: int, names: Sequence[str] | None) -> Tensor:
    """Labels int64 (n,) that a condition names: "3", "cat", "cat,dog" (dealt out evenly) or "all".

    A label is a name of `names` or a number, of a model with codes a value of the first categorical one, which has no name;
    raises `ConfigError` for others, and for models that take no label.
    """
    own = codes_of(model)
    count = own.categories[0] if own and own.categories else model.classes
    if count is None:
        model.refuse_condition(text)
    known = list((None if own else names) or map(str, range(count or 0)))
    words = known if text == "all" and "all" not in known else [word.strip() for word in text.split(",")]
    codes = torch.tensor([_code(word, known, f"a {'category' if own else 'label'} of {model.name}") for word in words])
    return codes[torch.arange(n) * len(codes) // n]


def _code(word: str, known: list[str], what: str) -> int:
    if word in known:
        return known.index(word)
    if word.isdecimal() and int(word) < len(known) and not any(name.isdecimal() for name in known):
        return int(word)
    raise ConfigError(f"condition {word!r} is not {what}: {suggest(word, known)}.")
