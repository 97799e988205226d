"""Errors a user can read: one sentence that says what was given, what was expected and what to do instead."""

import difflib
from collections.abc import Iterable


class PofxError(Exception):
    """Base of every error that pofx raises on purpose; its message is meant for the user, without a traceback."""


class DataError(PofxError, ValueError):
    """The data are not what they should be: missing, ragged, not numbers, outside a model's support."""


class ConfigError(PofxError, ValueError):
    """An argument, option or preset is unknown or has a value that makes no sense."""


class CapabilityError(PofxError, AttributeError, TypeError):
    """A model was asked for something it cannot give, such as an exact density of a GAN."""


class TrainingError(PofxError, RuntimeError):
    """Training cannot go on: a loss became NaN, or a run directory does not fit the request."""


class Interrupted(PofxError):  # noqa: N818 - it is no error, the work is saved
    """Training was stopped by the user (Ctrl-C) after its state had been saved."""


MOST_LISTED = 24  # known words in a sentence


def suggest(word: str, known: Iterable[str]) -> str:
    """A clause that helps after a typo: the nearest known word where one is near, and the list of all.

    >>> suggest("nadee", ["nade", "vae"])
    "did you mean 'nade'? Known: nade, vae"
    """
    known = sorted(set(known))
    near = difflib.get_close_matches(word, known, n=1)
    more = f" and {len(known) - MOST_LISTED} more" if len(known) > MOST_LISTED else ""
    listing = f"Known: {', '.join(known[:MOST_LISTED])}{more}"
    return f"did you mean {near[0]!r}? {listing}" if near else listing
