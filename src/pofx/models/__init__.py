"""The registry of models; one file a paper. A new model is one file, one line here, one preset, one test file."""

from ..core import GenerativeModel
from .aae import AAE
from .chain import Autoregressive, Independent, Markov
from .dcgan import DCGAN
from .eonade import EoNADE
from .gan import GAN
from .infogan import InfoGAN
from .joint import Joint
from .made import MADE
from .nade import NADE
from .pixelcnn import PixelCNN
from .pixelrnn import PixelRNN
from .progan import ProGAN
from .rnade import RNADE
from .vae import VAE
from .wae import WAE

MODELS: dict[str, type[GenerativeModel]] = {
    model.name: model
    for model in (
        Joint,
        Independent,
        Markov,
        Autoregressive,
        NADE,
        RNADE,
        EoNADE,
        MADE,
        PixelRNN,
        PixelCNN,
        VAE,
        AAE,
        WAE,
        GAN,
        DCGAN,
        InfoGAN,
        ProGAN,
    )
}

__all__ = [
    "AAE",
    "DCGAN",
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
    "InfoGAN",
    "Joint",
    "Markov",
    "PixelCNN",
    "PixelRNN",
    "ProGAN",
]
