"""pofx ("p of x"): learn p(x) from data, then generate, score and represent with it.

>>> import pofx
>>> data = pofx.load_data("digits", binarize=True)
>>> model = pofx.build("autoregressive", data.event_shape, window=3)
>>> run = pofx.fit(model, data)
>>> model.log_prob(data.test.x).shape, model.sample(16).shape
(torch.Size([300]), torch.Size([16, 1, 8, 8]))
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from . import models
    from .building import build, build_for, load, load_run_data
    from .comparison import compare
    from .core import (
        ApproximateDensity,
        Batch,
        Completes,
        Decodes,
        DrawsStepwise,
        Encodes,
        FitsByCounting,
        GenerativeModel,
        Inpaints,
        Player,
        PofxError,
        Samples,
        ScoresAnomalies,
        TractableDensity,
        density,
        require,
    )
    from .data import Data, load_data
    from .evaluation import evaluate
    from .models import MODELS
    from .training import Run, Settings, fit, save

__version__ = "0.1.0"

_HOMES = {
    "models": ".models", "MODELS": ".models", "build": ".building", "build_for": ".building", "load": ".building",
    "load_run_data": ".building", "compare": ".comparison", "evaluate": ".evaluation", "load_data": ".data", "Data": ".data",
    "fit": ".training", "save": ".training", "Run": ".training", "Settings": ".training",
    **dict.fromkeys(
        ("ApproximateDensity", "Batch", "Completes", "Decodes", "DrawsStepwise", "Encodes", "FitsByCounting",
         "GenerativeModel", "Inpaints", "Player", "PofxError", "Samples", "ScoresAnomalies", "TractableDensity", "density",
         "require"), ".core"),
}  # fmt: skip

__all__ = [
    "MODELS", "ApproximateDensity", "Batch", "Completes", "Data", "Decodes", "DrawsStepwise", "Encodes", "FitsByCounting",
    "GenerativeModel", "Inpaints", "Player", "PofxError", "Run", "Samples", "ScoresAnomalies", "Settings", "TractableDensity",
    "build", "build_for", "compare", "density", "evaluate", "fit", "load", "load_data", "load_run_data", "models", "require",
    "save",
]  # fmt: skip


def __getattr__(name: str) -> Any:
    """Import a public name when it is first used, so that `pofx --help` need not wait for torch."""
    if name not in _HOMES:
        raise AttributeError(f"module 'pofx' has no attribute {name!r}")
    home = import_module(_HOMES[name], __name__)
    value = home if name == "models" else getattr(home, name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
