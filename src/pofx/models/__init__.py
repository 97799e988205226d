"""The registry of models; one file a paper. A new model is one file, one line here, one preset, one test file."""

from ..core import GenerativeModel
from .aae import AAE
from .chain import Autoregressive, Independent, Markov
from .eonade import EoNADE
from .gan import GAN
from .joint import Joint
from .made import MADE
from .nade import NADE
from .pixelcnn import PixelCNN
from .pixelrnn import PixelRNN
from .rnade import RNADE
from .vae import VAE
from .wae import WAE

MODELS: dict[str, type[GenerativeModel]] = {
    model.name: model
    for model in (Joint, Independent, Markov, Autoregressive, NADE, RNADE, EoNADE, MADE, PixelRNN, PixelCNN, VAE, AAE, WAE, GAN)
}

__all__ = [
    "AAE",
    "GAN",
    "MADE",
    "MODELS",
    "NADE",
    "RNADE",
    "VAE",
    "WAE",
    "Autoregressive",
    "EoNADE",
    "Independent",
    "Joint",
    "Markov",
    "PixelCNN",
    "PixelRNN",
]
