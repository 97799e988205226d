"""Log-likelihoods, Kullback-Leibler divergences and bounds, in nats, summed over everything but the first axis."""

import math

import torch
from torch import Tensor
from torch.nn import functional as F


def bernoulli_log_prob(x: Tensor, logits: Tensor) -> Tensor:
    """ln p(x) of independent Bernoulli variables, from logits of p(x_i = 1); x in {0, 1}, both (n, ...) -> (n,).

    >>> round(bernoulli_log_prob(torch.ones(1, 2), torch.zeros(1, 2)).item(), 4)  # 2 ln ½
    -1.3863
    """
    return -F.binary_cross_entropy_with_logits(logits, x, reduction="none").flatten(1).sum(1)


def gaussian_log_prob(x: Tensor, mean: Tensor, log_variance: Tensor) -> Tensor:
    """ln N(x; mean, exp(log_variance)) of independent variables, (n, ...) -> (n,)."""
    squares = (x - mean).square() * torch.exp(-log_variance)
    return -0.5 * (squares + log_variance + math.log(2 * math.pi)).flatten(1).sum(1)


def gaussian_kl(mean: Tensor, log_variance: Tensor) -> Tensor:
    """KL(N(mean, diag exp(log_variance)) ‖ N(0, I)) = ½ Σ_j (μ_j² + σ_j² − 1 − ln σ_j²), (n, latent) -> (n,).

    (Kingma and Welling, Auto-Encoding Variational Bayes, 2014, appendix B.)

    >>> gaussian_kl(torch.zeros(1, 3), torch.zeros(1, 3)).item()
    0.0
    """
    return 0.5 * (mean.square() + log_variance.exp() - 1 - log_variance).sum(1)


def log_mean_exp(log_weights: Tensor, dim: int = 0) -> Tensor:
    """ln (1/k Σ_j w_j) along an axis of k log-weights; of importance weights p(x, z_j)/q(z_j | x) the bound L_k ≤ ln p(x).

    L_1 is the evidence lower bound and L_k never falls with k. (Burda, Grosse, Salakhutdinov, Importance Weighted
    Autoencoders, 2016.)
    """
    return torch.logsumexp(log_weights, dim) - math.log(log_weights.shape[dim])
