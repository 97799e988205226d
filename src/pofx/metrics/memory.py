"""Whether a model draws new events or copies those it was trained on."""

from dataclasses import dataclass

import torch
from torch import Tensor

from ..core import DataError
from .estimate import Estimate, share_estimate
from .rows import check_rows, same_width

CLOSE = 1 / 3  # of the distance to the second nearest: nearer than that is a copy


@dataclass(frozen=True)
class Memorisation:
    """What `memorisation` finds: the share of samples that are copies, and the training events nearest to each sample.

    `copies` is that share, `held_out` the same share of held-out events, which no model has copied; `ratio` (n,) is the
    distance of each sample to its nearest training event over that to its second nearest; `nearest` (n, k) are the positions
    of its k nearest training events, `distance` (n, k) how far they are.
    """

    copies: Estimate
    held_out: Estimate | None
    ratio: Tensor
    nearest: Tensor
    distance: Tensor


def memorisation(samples: Tensor, train: Tensor, held_out: Tensor | None = None, neighbours: int = 5) -> Memorisation:
    """Nearest training events of samples, and the share of samples that are copies, of events or features (n, ...).

    A sample counts as a copy where its nearest training event is less than a third as far as its second nearest: it lies at
    one event, not among several. Distances alone would not do, for blurred pictures are near many events and copies of none.
    In few dimensions d chance gives 3^−d of such events, so compare with `held_out`: well above its share a model repeats what
    it saw. A training event that comes twice hides its copies; a model that copies parts only is not found out.

    The distance is Euclidean. Time O(n · m · d) in float32 for m training events, memory in blocks. Raises `DataError` for
    unlike shapes, fewer than two training events, or NaN. TaeHo Yoon, Joo Young Choi, Sehyun Kwon and Ernest Ryu, Diffusion
    Probabilistic Models Generalize when They Fail to Memorize, 2023.

    >>> train = torch.eye(8)
    >>> found = memorisation(torch.stack([train[2], torch.full((8,), 0.125)]), train)
    >>> found.copies.value, found.nearest[0, 0].item()
    (0.5, 2)
    """
    rows = _rows(train, "training events", at_least=2)
    if neighbours < 1:
        raise DataError(f"memorisation expects neighbours >= 1, got {neighbours}: 5 make a good picture.")
    k = min(max(2, neighbours), len(rows))
    distance, nearest = _nearest(_rows(samples, "samples"), rows, k)
    ratio = _ratio(distance)
    other = None
    if held_out is not None and len(held_out):
        far = _ratio(_nearest(_rows(held_out, "held-out events"), rows, 2)[0])
        other = share_estimate(int((far < CLOSE).sum()), len(far))
    copies = share_estimate(int((ratio < CLOSE).sum()), len(ratio))
    return Memorisation(copies, other, ratio, nearest[:, :neighbours], distance[:, :neighbours])


def _rows(x: Tensor, name: str, at_least: int = 1) -> Tensor:
    check_rows(x, name, at_least)
    return x.detach().cpu().flatten(1).float()  # half the memory of float64, and differences lose nothing


def _nearest(a: Tensor, b: Tensor, k: int) -> tuple[Tensor, Tensor]:
    """Distances to and positions of the k nearest rows of b, (n, k) each: some candidates by products, then by differences."""
    same_width(a, b, "samples and training events")
    squares, index = b.square().sum(1), []
    for block in a.split(256):
        close = squares - 2 * block @ b.T  # less the square of the block's own rows, which changes no order
        index.append(close.topk(min(len(b), k + 3), dim=1, largest=False).indices)
    candidates = torch.cat(index)
    exact = torch.stack([(a - b[column]).norm(dim=1) for column in candidates.T], 1)
    distance, order = exact.sort(1)
    return distance[:, :k], candidates.gather(1, order)[:, :k]


def _ratio(distance: Tensor) -> Tensor:
    """1 where both distances are 0: an event that training holds twice is no copy of one."""
    first, second = distance[:, 0], distance[:, 1]
    return torch.where(second > 0, first / second.clamp(min=1e-30), torch.ones_like(first))
