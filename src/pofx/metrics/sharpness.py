"""How sharp pictures are."""

from torch import Tensor, tensor
from torch.nn import functional as F

from ..core import DataError
from .estimate import Estimate, mean_estimate
from .rows import check_rows


def sharpness(x: Tensor) -> Estimate:
    """Mean over pictures (n, channels, height, width) of the variance of their Laplacian, of the mean of the channels.

    0 for a constant picture; compare with the sharpness of data. Noise is sharp as well: it measures blur, not quality.
    Raises `DataError` for another shape, pictures smaller than 3×3, or NaN.

    Wasserstein Auto-Encoders, Ilya Tolstikhin, Olivier Bousquet, Sylvain Gelly and Bernhard Schölkopf, 2018.

    >>> import torch
    >>> sharpness(torch.ones(2, 1, 4, 4)).value, sharpness(torch.eye(4).repeat(2, 1, 1, 1)).value
    (0.0, 9.0)
    """
    check_rows(x, "pictures")
    if x.ndim != 4 or min(x.shape[2:]) < 3:
        raise DataError(f"sharpness expects pictures (n, channels, height, width) of at least 3×3, got {tuple(x.shape)}.")
    kernel = tensor([[0, 1, 0], [1, -4, 1], [0, 1, 0]], dtype=x.dtype, device=x.device)
    edges = F.conv2d(x.mean(1, keepdim=True), kernel.view(1, 1, 3, 3))
    return mean_estimate(edges.flatten(1).var(1, correction=0), "squared pixel value")
