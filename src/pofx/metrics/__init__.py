"""Metrics: arrays in, numbers out. They know no model and no data source; every number has a unit and a sample size."""

from .anomaly import CORRUPTIONS, Corruption, auroc, average_precision, corrupt, corrupted
from .clusters import cluster_labels, clustering_error
from .disentanglement import InformationGap, beta_vae_score, factor_vae_score, mutual_information_gap
from .estimate import Estimate, mean_estimate, share_estimate
from .features import FeatureExtractor, train_features
from .fidelity import frechet_distance, kernel_distance, precision_recall_density_coverage
from .likelihood import bits_per_dim
from .modes import count_modes, kl_to_uniform
from .representation import linear_probe, map2d, nearest_neighbours
from .sharpness import sharpness
from .twosample import TwoSampleTest, classifier_test, mmd_test

__all__ = [
    "CORRUPTIONS", "Corruption", "Estimate", "FeatureExtractor", "InformationGap", "TwoSampleTest", "auroc",
    "average_precision", "beta_vae_score", "bits_per_dim", "classifier_test", "cluster_labels", "clustering_error",
    "corrupt", "corrupted", "count_modes", "factor_vae_score", "frechet_distance", "kernel_distance", "kl_to_uniform",
    "linear_probe", "map2d", "mean_estimate", "mmd_test", "mutual_information_gap", "nearest_neighbours",
    "precision_recall_density_coverage", "share_estimate", "sharpness", "train_features",
]  # fmt: skip
