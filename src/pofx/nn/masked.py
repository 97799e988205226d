"""Linear layers in which a unit sees only what comes before it in an order.

Every unit has a degree: an input its place 1..D in the order of visiting, a hidden unit of degree k sees inputs of degree at
most k, and an output of degree d units of degree less than d. Whatever lies between, output d then depends on the first
d − 1 inputs alone. (MADE: Masked Autoencoder for Distribution Estimation, Germain, Gregor, Murray, Larochelle, 2015.)
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn


def spread_degrees(units: int, dims: int) -> Tensor:
    """Degrees (units,) int64 for hidden units between `dims` variables: ascending, spread evenly over 1..dims − 1.

    Every degree occurs where there are at least dims − 1 units, and as often as any other, or once more. A single variable
    has nothing to be predicted from: the units of degree 1 that it is given reach no output.

    >>> spread_degrees(5, 4).tolist(), spread_degrees(2, 7).tolist()
    ([1, 1, 2, 3, 3], [2, 5])
    """
    return 1 + (2 * torch.arange(units) + 1) * (dims - 1) // (2 * units)


class MaskedLinear(nn.Linear):
    """A linear layer whose weights stay only where the degrees of the units allow it, for each of S assignments of degrees.

    `before` (S, inputs) and `after` (S, outputs) hold the degrees of assignment s in row s. Output j sees input i where
    after_j ≥ before_i, or with `strict` where after_j > before_i. The weights are shared by all assignments.

    >>> layer = MaskedLinear(torch.tensor([[1, 2]]), torch.tensor([[1, 2, 2]]), strict=True)
    >>> layer.mask().int().tolist()
    [[0, 0], [1, 0], [1, 0]]
    """

    before: Tensor
    after: Tensor

    def __init__(self, before: Tensor, after: Tensor, strict: bool = False, bias: bool = True) -> None:
        super().__init__(before.shape[1], after.shape[1], bias=bias)
        self.strict = strict
        self.register_buffer("before", before)
        self.register_buffer("after", after)

    def mask(self, member: int = 0) -> Tensor:
        """Which weights assignment `member` keeps, (outputs, inputs): 1 or 0, in single precision."""
        before, after = self.before[member].float(), self.after[member, :, None].float()
        kept = torch.empty(self.weight.shape, device=self.weight.device)  # comparing floats into floats is vectorised
        return torch.gt(after, before, out=kept) if self.strict else torch.ge(after, before, out=kept)

    def forward(self, input: Tensor, member: int = 0) -> Tensor:
        """(n, inputs) to (n, outputs) with the mask of one assignment."""
        return F.linear(input, self.weight * self.mask(member), self.bias)

    def by_degree(self, member: int = 0) -> tuple[Tensor, Tensor | None, Tensor]:
        """Weight and bias with units and inputs sorted by their degrees, and the sorted degrees of the units.

        In this arrangement the mask is a slice: what a unit sees is the beginning of its input.
        """
        degrees, rows = self.after[member].sort(stable=True)
        columns = self.before[member].argsort(stable=True)
        return self.weight[rows][:, columns], None if self.bias is None else self.bias[rows], degrees


def shuffled_degrees(units: int, dims: int, masks: int, generator: torch.Generator) -> Tensor:
    """Degrees of a hidden layer in every member, (masks, units): spread evenly, from the second member on shuffled."""
    spread = spread_degrees(units, dims)
    return torch.stack([spread, *(spread[torch.randperm(units, generator=generator)] for _ in range(masks - 1))])
