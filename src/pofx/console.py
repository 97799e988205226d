"""Where the command line speaks; of several processes only the first does."""

import functools
import os
import sys
from typing import Any


@functools.cache
def console() -> Any:
    """The console that tables are printed on; 120 columns wide where nobody is looking."""
    from rich.console import Console

    return Console(width=None if sys.stdout.isatty() else 120, quiet=os.environ.get("RANK", "0") != "0")


def say(text: str) -> None:
    """A line for the user; of several processes only the first speaks."""
    if os.environ.get("RANK", "0") == "0":
        print(text, flush=True)
