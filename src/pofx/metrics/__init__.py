"""Metrics: arrays in, numbers out. They know no model and no data source; every number has a unit and a sample size."""

from .anomaly import CORRUPTIONS, Corruption, auroc, average_precision, corrupt, corrupted
from .clusters import cluster_labels, clustering_error, majority_labels, matched_labels
from .disentanglement import InformationGap, beta_vae_score, factor_vae_score, mutual_information_gap
from .estimate import Estimate, mean_estimate, share_estimate
from .features import FeatureExtractor, train_channel_features, train_features
from .fidelity import frechet_distance, kernel_distance, precision_recall_density_coverage
from .inception import features_by, inception_features
from .likelihood import bits_per_dim
from .memory import Memorisation, memorisation
from .modes import count_classes, count_modes, kl_to_uniform
from .pyramid import laplacian_pyramid, sliced_wasserstein
from .representation import linear_probe, map2d, nearest_neighbours
from .sharpness import sharpness
from .twosample import TwoSampleTest, classifier_test, mmd_test
from .variety import multiscale_similarity

__all__ = [
    "CORRUPTIONS", "Corruption", "Estimate", "FeatureExtractor", "InformationGap", "Memorisation", "TwoSampleTest", "auroc",
    "average_precision", "beta_vae_score", "bits_per_dim", "classifier_test", "cluster_labels", "clustering_error",
    "corrupt", "corrupted", "count_classes", "count_modes", "factor_vae_score", "features_by", "frechet_distance",
    "inception_features", "kernel_distance", "kl_to_uniform", "laplacian_pyramid", "linear_probe", "majority_labels",
    "map2d", "matched_labels", "mean_estimate", "memorisation", "mmd_test", "multiscale_similarity",
    "mutual_information_gap", "nearest_neighbours", "precision_recall_density_coverage", "share_estimate", "sharpness",
    "sliced_wasserstein", "train_channel_features", "train_features",
]  # fmt: skip
