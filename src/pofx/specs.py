"""Models and settings as they are written on the command line."""

import inspect
import re
import tomllib
from collections.abc import Sequence
from typing import Any

from .building import model_class
from .core import ConfigError, suggest

Spec = tuple[str, dict[str, Any]]  # a model's name and its arguments


def parse_specs(text: str) -> list[Spec]:
    """Models as they are written on the command line: names with optional arguments, separated by commas.

    >>> parse_specs("markov,nade:order=random,hidden=64,vae")
    [('markov', {}), ('nade', {'order': 'random', 'hidden': 64}), ('vae', {})]
    """
    specs: list[Spec] = []
    for piece in (p.strip() for p in re.split(r",(?![^\[]*\])", text) if p.strip()):  # commas inside [...] do not separate
        name, colon, argument = piece.partition(":")
        if "=" in piece and not colon:
            if not specs:
                raise ConfigError(f"{piece!r} stands before any model: write MODEL:{piece}.")
            argument = piece
        else:
            model_class(name)
            specs.append((name, {}))
        if argument:
            specs[-1][1].update(parse_assignments([argument]))
    if not specs:
        raise ConfigError(f"{text!r} names no model: write for example nade,vae.")
    return specs


def parse_assignments(assignments: Sequence[str]) -> dict[str, Any]:
    """Assignments `key=value` with values as in TOML (1e-3, true, [64, 64]); anything else is taken as text.

    >>> parse_assignments(["hidden=[64, 64]", "loss=saturating", "learning_rate=1e-3"])
    {'hidden': [64, 64], 'loss': 'saturating', 'learning_rate': 0.001}
    """
    values: dict[str, Any] = {}
    for assignment in assignments:
        key, equals, value = (part.strip() for part in assignment.partition("="))
        if not key or not equals or not value:
            raise ConfigError(f"{assignment!r} is no assignment: write key=value, for example hidden=64.")
        try:
            values[key] = tomllib.loads(f"value = {value}")["value"]
        except tomllib.TOMLDecodeError:
            values[key] = {"True": True, "False": False, "None": None}.get(value, value)
    return values


def split_settings(name: str, assignments: dict[str, Any], settings: Sequence[str]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Tell a model's constructor arguments from training settings; a model's own argument wins over a setting's name.

    An unknown key is a `ConfigError` that lists both.
    """
    arguments = [k for k in inspect.signature(model_class(name)).parameters if k != "event_shape"]
    for key in assignments:
        if key not in arguments and key not in settings:
            raise ConfigError(f"{name} and its training have no {key!r}: {suggest(key, [*arguments, *settings])}.")
    return (
        {k: v for k, v in assignments.items() if k in arguments},
        {k: v for k, v in assignments.items() if k not in arguments},
    )
