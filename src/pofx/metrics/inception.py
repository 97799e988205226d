"""Features that are not trained here: of Inception-v3, where the user has its weights, or of any function of theirs."""

from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor, nn

from ..core import ConfigError, DataError
from .features import FeatureExtractor

WEIGHTS = "weights-inception-2015-12-05-6726825d.pth"  # the file's name in torch-fidelity's releases
WIDTH = 2048
AT_ONCE = 64


def inception_features(weights: str | Path | None = None) -> FeatureExtractor:
    """The 2,048 pooled features of Inception-v3 with its weights of 2015, in which published Fréchet distances are measured.

    `weights` is the file `weights-inception-2015-12-05-6726825d.pth` that torch-fidelity publishes; without it the file is
    looked for where torch keeps such downloads, and nothing is downloaded. Pictures (n, 1 or 3, h, w) in [0, 1] are rounded to
    8 bits, grey ones repeated, and brought to 299 × 299 with anti-aliasing. About 0.1 s a picture on one core.

    Raises `ConfigError` where torch-fidelity is not installed or the weights are not there.
    """
    from torchmetrics.image.fid import NoTrainInceptionV3

    path = Path(weights) if weights is not None else Path(torch.hub.get_dir()) / "checkpoints" / WEIGHTS
    if not path.is_file():
        raise ConfigError(
            f"features need the weights of Inception-v3, and {path} is not there: download {WEIGHTS} from the releases of "
            "torch-fidelity and give its path, or leave features out for those of a small classifier."
        )
    try:
        network = NoTrainInceptionV3("inception-v3-compat", [str(WIDTH)], str(path))
    except ModuleNotFoundError as error:
        raise ConfigError(
            "features of Inception-v3 need torch-fidelity, which is not installed: pip install torch-fidelity, or leave "
            "features out for those of a small classifier."
        ) from error
    except (RuntimeError, KeyError, OSError, ValueError) as error:
        raise ConfigError(f"{path} does not hold the weights of Inception-v3 ({error}): give {WEIGHTS}.") from error
    words = "The 2,048 pooled features of Inception-v3 (weights of 2015), of 8-bit pictures brought to 299 × 299."
    return FeatureExtractor(_InBytes(network), words)


class _InBytes(nn.Module):
    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, x: Tensor) -> Tensor:
        if x.ndim != 4 or x.shape[1] not in (1, 3):
            raise DataError(f"Inception-v3 takes pictures (n, 1 or 3, h, w), got {tuple(x.shape)}: leave features out.")
        codes = (x.clamp(0, 1) * 255).round().byte().expand(-1, 3, -1, -1)
        return torch.cat([self.network(rows) for rows in codes.split(AT_ONCE)])


def features_by(function: Callable[[Tensor], Tensor], description: str | None = None) -> FeatureExtractor:
    """Any function of events (n, *event_shape) that gives features (n, f), as a feature extractor.

    >>> features_by(lambda x: x.flatten(1), "The pixels themselves.").features(torch.ones(2, 1, 2, 2)).shape
    torch.Size([2, 4])
    """
    name = getattr(function, "__name__", type(function).__name__)
    return FeatureExtractor(_Calling(function), description or f"Features by the function {name}.")


class _Calling(nn.Module):
    def __init__(self, function: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.function = function

    def forward(self, x: Tensor) -> Tensor:
        found = self.function(x)
        if not isinstance(found, Tensor) or found.ndim != 2 or len(found) != len(x):
            shape = tuple(found.shape) if isinstance(found, Tensor) else type(found).__name__
            raise ConfigError(f"features must be a function that gives (n, f) for n events, got {shape} for {len(x)} of them.")
        return found.detach().float()
