"""Metrics: arrays in, numbers out. They know no model and no data source; every number has a unit and a sample size."""

from .anomaly import CORRUPTIONS, Corruption, auroc, average_precision, corrupt, corrupted
from .estimate import Estimate, mean_estimate, share_estimate
from .features import FeatureExtractor, train_features
from .fidelity import frechet_distance, kernel_distance, precision_recall_density_coverage
from .likelihood import bits_per_dim
from .modes import count_modes, kl_to_uniform
from .representation import linear_probe, map2d, nearest_neighbours

__all__ = [
    "CORRUPTIONS", "Corruption", "Estimate", "FeatureExtractor", "auroc", "average_precision", "bits_per_dim", "corrupt",
    "corrupted", "count_modes", "frechet_distance", "kernel_distance", "kl_to_uniform", "linear_probe", "map2d",
    "mean_estimate", "nearest_neighbours", "precision_recall_density_coverage", "share_estimate", "train_features",
]  # fmt: skip
