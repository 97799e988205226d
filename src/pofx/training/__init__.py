"""The one trainer: any list of players, on any device, resumable."""

from .directory import RunDirectory, save
from .fit import Run, fit
from .settings import Settings

__all__ = ["Run", "RunDirectory", "Settings", "fit", "save"]
