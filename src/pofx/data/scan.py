"""One streaming pass over raw data: are all values finite, and which values are there?"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from ..core import DataError, LevelGrid
from .raw import Raw, pieces


@dataclass
class Facts:
    """The smallest and the largest value, and whether all values are integers, all 0 or 1, all on 256 grey levels."""

    minimum: float = float("inf")
    maximum: float = float("-inf")
    integers: bool = True
    binary: bool = True
    grey_levels: bool = True

    def see(self, x: Tensor, top: int) -> None:
        """Take in one piece of data, whose codes are divided by `top` to reach [0, 1]."""
        self.minimum = min(self.minimum, x.min().item())
        self.maximum = max(self.maximum, x.max().item())
        self.binary = self.binary and bool(((x == 0) | (x == top)).all())
        if x.is_floating_point():
            self.integers = self.integers and bool((x == x.round()).all())
            self.grey_levels = self.grey_levels and bool(LevelGrid(256).check(x).all())


def scan(raw: Raw, event_shape: Sequence[int], missing: bool = False) -> Facts:
    """The facts of all parts together; raises a `DataError` that names the first row with NaN (unless `missing`) or Inf."""
    facts = Facts()
    top = (raw.grid or 2) - 1
    for name, part in raw.parts.items():
        bad: list[Tensor] = []
        for index in pieces(len(part.rows), event_shape) if len(part.rows) else []:
            x = part.rows.read(index)
            # 0 is a value of every support but the reals, where facts do not matter
            x = x.where(~x.isnan(), 0) if missing and x.is_floating_point() else x
            infinite = ~x.float().isfinite() if x.is_floating_point() else torch.zeros(())
            if bool(infinite.any()):
                infinite = infinite.flatten(1)
                bad.append(torch.stack([index, infinite.int().argmax(1)], 1)[infinite.any(1)])
            else:
                facts.see(x, top)
        if bad:
            raise DataError(_not_finite(raw, name, torch.cat(bad)))
    return facts


def _not_finite(raw: Raw, part: str, bad: Tensor) -> str:
    row, column = bad[0].tolist()
    if raw.image:
        where = f"picture {row}"
    else:
        where = f"row {row}, column {raw.column_names[column]!r}" if raw.column_names else f"row {row}, column {column}"
    where += "" if part == "all" else f" of {part}"
    rows = "row" if len(bad) == 1 else "rows"
    return (
        f"{raw.name} holds NaN, Inf or a missing value in {where}, counted from 0 ({len(bad):,} {rows} in all): "
        "remove these rows or fill in their values."
    )
