"""How unlike each other the pictures of one set are."""

import torch
from torch import Tensor

from ..core import DataError
from .estimate import Estimate, mean_estimate
from .rows import check_rows

#: weights of the scales, finest first: Wang, Simoncelli and Bovik, Multi-scale Structural Similarity, 2003
WEIGHTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)
WINDOW, SIGMA = 11, 1.5  # of the Gaussian window, in pixels
AT_ONCE = 256  # pairs


def multiscale_similarity(x: Tensor, pairs: int = 10_000, seed: int = 0) -> Estimate:
    """Multi-scale structural similarity (MS-SSIM) of random pairs of pictures (n, c, h, w) in [0, 1], at most 1.

    Lower means more variety, 1 that all are alike; compare with the value of data, for noise has low values too. Pairs are of
    two different pictures, drawn by `seed`. Pictures of 176 pixels and more have the paper's five scales, smaller ones as many
    as the window of 11 pixels allows: 4 from 99 pixels on, 3 from 44, 2 from 11, with the weights of these brought to sum 1.
    Below 12 pixels the window is the largest odd number below the side. The standard error is that of a mean over n / 2
    independent pairs, where more are drawn.

    Raises `DataError` for fewer than two pictures, other shapes, pictures below 4 × 4, or NaN. As a measure of variety:
    Augustus Odena, Christopher Olah and Jonathon Shlens, Conditional Image Synthesis with Auxiliary Classifier GANs, 2017.

    >>> multiscale_similarity(torch.ones(3, 1, 8, 8), pairs=4).value
    1.0
    """
    from torchmetrics.functional.image import multiscale_structural_similarity_index_measure as similarity

    check_rows(x, "pictures", at_least=2)
    if x.ndim != 4 or min(x.shape[2:]) < 4:
        raise DataError(f"multiscale_similarity expects pictures (n, c, h, w) of at least 4×4 pixels, got {tuple(x.shape)}.")
    x = x.detach().float().cpu()
    side, n = min(x.shape[2:]), len(x)
    window = min(WINDOW, (side - 1) | 1 if side % 2 == 0 else side - 2)
    scales = next((k for k in (5, 4, 3, 2) if side // (k - 1) ** 2 > WINDOW - 1), 1)
    weights = tuple(w / sum(WEIGHTS[:scales]) for w in WEIGHTS[:scales])
    generator = torch.Generator().manual_seed(seed)
    first = torch.randint(n, (pairs,), generator=generator)
    second = (first + torch.randint(1, n, (pairs,), generator=generator)) % n
    values = [
        similarity(
            x[a], x[b], sigma=SIGMA * window / WINDOW, kernel_size=window, reduction="none", data_range=1.0, betas=weights,
            normalize="relu",
        )
        for a, b in zip(first.split(AT_ONCE), second.split(AT_ONCE), strict=True)
    ]  # fmt: skip
    found = mean_estimate(torch.cat([v.reshape(-1) for v in values]), "similarity")
    independent = min(pairs, n // 2)
    error = None if found.stderr is None else found.stderr * (pairs / independent) ** 0.5
    return Estimate(found.value, error, pairs, found.unit)
