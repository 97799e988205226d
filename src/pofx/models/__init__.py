"""The registry of models; one file a paper. A new model is one file, one line here, one preset, one test file."""

from ..core import GenerativeModel
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

MODELS: dict[str, type[GenerativeModel]] = {
    model.name: model
    for model in (Joint, Independent, Markov, Autoregressive, NADE, RNADE, EoNADE, MADE, PixelRNN, PixelCNN, VAE, GAN)
}

__all__ = [
    "GAN",
    "MADE",
    "MODELS",
    "NADE",
    "RNADE",
    "VAE",
    "Autoregressive",
    "EoNADE",
    "Independent",
    "Joint",
    "Markov",
    "PixelCNN",
    "PixelRNN",
]
