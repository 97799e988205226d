"""The registry of models; one file a paper. A new model is one file, one line here, one preset, one test file."""

from ..core import GenerativeModel
from .chain import Autoregressive, Independent, Markov
from .gan import GAN
from .joint import Joint
from .nade import NADE
from .vae import VAE

MODELS: dict[str, type[GenerativeModel]] = {
    model.name: model for model in (Joint, Independent, Markov, Autoregressive, NADE, VAE, GAN)
}

__all__ = ["GAN", "MODELS", "NADE", "VAE", "Autoregressive", "Independent", "Joint", "Markov"]
