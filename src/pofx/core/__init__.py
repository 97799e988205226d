"""Contracts: models, capabilities, players, errors. Imports nothing but torch."""

from .capabilities import (
    CAPABILITIES,
    ApproximateDensity,
    Capability,
    Completes,
    Decodes,
    Discriminates,
    DrawsStepwise,
    Encodes,
    FitsByCounting,
    Inpaints,
    LatentVariable,
    OnStep,
    Reconstructs,
    Samples,
    ScoresAnomalies,
    TractableDensity,
)
from .errors import CapabilityError, ConfigError, DataError, Interrupted, PofxError, TrainingError, suggest
from .model import GenerativeModel, capabilities, density, require
from .player import Batch, Player, adam
from .support import (
    LevelGrid,
    describe_support,
    discrete_support,
    from_codes,
    levels_of,
    output_for,
    support_of,
    to_codes,
)

__all__ = [
    "CAPABILITIES", "ApproximateDensity", "Batch", "Capability", "CapabilityError", "Completes", "ConfigError",
    "DataError", "Decodes", "Discriminates", "DrawsStepwise", "Encodes", "FitsByCounting", "GenerativeModel",
    "Inpaints", "Interrupted", "LatentVariable", "LevelGrid", "OnStep", "Player", "PofxError", "Reconstructs",
    "Samples", "ScoresAnomalies", "TractableDensity", "TrainingError", "adam", "capabilities", "density",
    "describe_support", "discrete_support", "from_codes", "levels_of", "output_for", "require", "suggest", "support_of",
    "to_codes",
]  # fmt: skip
