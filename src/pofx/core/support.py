"""The values a variable may take, as `torch.distributions.constraints`, and the integer codes behind discrete values.

Discrete data come in two scales. Images live in [0, 1], so K grey levels are {0, 1/(K-1), ..., 1}: a `LevelGrid`.
Tables keep the integers 0..K-1 of their columns: `integer_interval`. For K = 2 both are {0, 1}: `boolean`.
"""

import torch
from torch import Tensor
from torch.distributions import constraints
from torch.distributions.constraints import Constraint

from .errors import ConfigError, suggest


class LevelGrid(Constraint):
    """K equally spaced levels in [0, 1]: {0, 1/(K-1), ..., 1}.

    >>> LevelGrid(3).check(torch.tensor([0.0, 0.5, 0.7]))
    tensor([ True,  True, False])
    """

    is_discrete = True

    def __init__(self, levels: int) -> None:
        self.levels = levels
        super().__init__()

    def check(self, value: Tensor) -> Tensor:
        code = value * (self.levels - 1)
        return ((code - code.round()).abs() < 1e-3) & (value >= 0) & (value <= 1)

    def __repr__(self) -> str:
        return f"LevelGrid({self.levels})"


def discrete_support(levels: int, event_shape: tuple[int, ...]) -> Constraint:
    """The support of variables with `levels` values: {0, 1}, a grid in [0, 1] for images, integers for tables."""
    if levels == 2:
        return constraints.boolean
    return LevelGrid(levels) if len(event_shape) == 3 else constraints.integer_interval(0, levels - 1)


def levels_of(support: Constraint) -> int | None:
    """How many values a variable has, or None where it is continuous.

    >>> levels_of(constraints.boolean), levels_of(LevelGrid(17)), levels_of(constraints.real)
    (2, 17, None)
    """
    if support is constraints.boolean:
        return 2
    if isinstance(support, LevelGrid):
        return support.levels
    if isinstance(support, constraints.integer_interval):
        return int(support.upper_bound) + 1
    return None


def _scale(support: Constraint) -> int:
    return support.levels - 1 if isinstance(support, LevelGrid) else 1


def to_codes(x: Tensor, support: Constraint) -> Tensor:
    """Values of a discrete support as int64 codes 0..K-1."""
    return (x * _scale(support)).round().long()


def from_codes(codes: Tensor, support: Constraint, dtype: torch.dtype = torch.float32) -> Tensor:
    """Codes 0..K-1 as values of the support; the inverse of `to_codes`."""
    return codes.to(dtype) / _scale(support)


OUTPUTS = {"unit": constraints.unit_interval, "binary": constraints.boolean, "real": constraints.real}


def support_of(output: str) -> Constraint:
    """The support of a network without a likelihood whose `output` is unit ([0, 1]), binary or real; else `ConfigError`."""
    if output not in OUTPUTS:
        raise ConfigError(f"output={output!r} is unknown: {suggest(output, OUTPUTS)}.")
    return OUTPUTS[output]


def output_for(event_shape: tuple[int, ...], support: Constraint) -> str:
    """The output that suits data: pictures lie in [0, 1].

    >>> output_for((1, 8, 8), constraints.real), output_for((5,), constraints.real), output_for((5,), constraints.boolean)
    ('unit', 'real', 'binary')
    """
    if support is constraints.boolean:
        return "binary"
    return "unit" if len(event_shape) == 3 or support is constraints.unit_interval else "real"


def describe_support(support: Constraint) -> str:
    """The support in the notation of error messages and reports.

    >>> describe_support(LevelGrid(17)), describe_support(constraints.boolean)
    ('{0, 1/16, ..., 1}', '{0, 1}')
    """
    if support is constraints.boolean:
        return "{0, 1}"
    if isinstance(support, LevelGrid):
        return f"{{0, 1/{support.levels - 1}, ..., 1}}"
    if isinstance(support, constraints.integer_interval):
        return f"{{0, ..., {support.upper_bound}}}"
    if support is constraints.unit_interval:
        return "[0, 1]"
    return "the real numbers"
