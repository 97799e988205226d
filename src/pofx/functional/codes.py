"""Structured codes in a generator's input, and how much of them its events keep."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from ..core import ConfigError, DataError, suggest

SCALES = ("learned", "fixed")
LEAST_LOG_SCALE = -3.0  # without it the Gaussian term of Q has no upper bound where a code is recovered exactly


@dataclass(frozen=True)
class Codes:
    """Independent codes c: categorical ones, uniform over `categories` values each, then `continuous` ones, uniform on [−1, 1].

    A row of codes (width,) is the one-hot vector of each categorical code, then the continuous ones. Q(c | x) is what a
    network says of them, `outputs` numbers a row: logits of each categorical code, means of the continuous ones and, with
    scale="learned", the logarithms of their standard deviations, cut off at −3; with "fixed" these deviations are 1, and the
    log-likelihood of a continuous code is −½ (c − μ)² − ½ ln 2π.

    For any Q, L_I = E[ln Q(c | x)] + H(c) is a lower bound of the mutual information I(c; x), reached at Q = P(c | x). Of one
    categorical code it is at most H(c) = ln K, and 0 where Q is uniform. Fixed scales cap it at −½ ln 2π + ln 2 = −0.226 nats
    a continuous code: good for training, empty as a bound.

    InfoGAN, Xi Chen, Yan Duan, Rein Houthooft, John Schulman, Ilya Sutskever and Pieter Abbeel, 2016; the bound: David Barber
    and Felix Agakov, The IM Algorithm, 2003. Raises `ConfigError` for values that make no sense.

    >>> codes = Codes((10,), 2)
    >>> codes.width, codes.outputs, [round(h, 4) for h in codes.entropies]
    (12, 14, [2.3026, 0.6931, 0.6931])
    """

    categories: tuple[int, ...] = (10,)
    continuous: int = 2
    scale: str = "learned"

    def __post_init__(self) -> None:
        object.__setattr__(self, "categories", tuple(self.categories))
        if any(not isinstance(k, int) or k < 2 for k in self.categories):
            raise ConfigError(f"categories must be numbers of values, each at least 2, got {list(self.categories)}: as [10].")
        if not isinstance(self.continuous, int) or self.continuous < 0:
            raise ConfigError(f"continuous must be a number of codes of at least 0, got {self.continuous!r}.")
        if self.scale not in SCALES:
            raise ConfigError(f"scale={self.scale!r} is unknown: {suggest(self.scale, SCALES)}.")
        if not len(self):
            raise ConfigError("there is no code: give categories, as [10], or continuous codes; without any it is a dcgan.")

    def __len__(self) -> int:
        """How many codes there are."""
        return len(self.categories) + self.continuous

    @property
    def width(self) -> int:
        """The numbers in a row of codes."""
        return sum(self.categories) + self.continuous

    @property
    def outputs(self) -> int:
        """The numbers in which a network states Q(c | x)."""
        return self.width + (self.continuous if self.scale == "learned" else 0)

    @property
    def entropies(self) -> list[float]:
        """H of each code in nats: ln K of a categorical one, ln 2 (a differential entropy) of a continuous one."""
        return [math.log(k) for k in self.categories] + [math.log(2)] * self.continuous

    @property
    def names(self) -> list[str]:
        """c1, c2, ... as in the paper, categorical codes first."""
        return [f"c{i + 1}" for i in range(len(self))]

    def draw(self, n: int, like: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """Codes of n events, (n, width), of the kind of `like`."""
        device = like.device
        parts = [
            F.one_hot(torch.randint(k, (n,), device=device, generator=generator), k).to(like.dtype) for k in self.categories
        ]
        uniform = torch.rand(n, self.continuous, dtype=like.dtype, device=device, generator=generator)
        return torch.cat([*parts, 2 * uniform - 1], 1)

    def split(self, rows: Tensor) -> list[Tensor]:
        """The columns of each categorical code, then those of the continuous ones together, then what follows them."""
        return list(rows.split([*self.categories, self.continuous, rows.shape[1] - self.width], 1))

    def log_likelihoods(self, outputs: Tensor, codes: Tensor) -> Tensor:
        """ln Q(c | x) of each code in nats, (n, number of codes), of outputs (n, outputs) and the codes (n, width) of events.

        >>> Codes((4,), 0).log_likelihoods(torch.zeros(1, 4), torch.eye(4)[:1])  # −ln 4
        tensor([[-1.3863]])
        """
        *logits, mean, raw = self.split(outputs.to(codes.dtype))
        *one_hot, value, _ = self.split(codes)
        log_scale = raw.clamp(min=LEAST_LOG_SCALE) if self.scale == "learned" else torch.zeros_like(mean)
        found = [(y * a.log_softmax(1)).sum(1, keepdim=True) for a, y in zip(logits, one_hot, strict=True)]
        squares = ((value - mean) * (-log_scale).exp()).square()
        return torch.cat([*found, -0.5 * (squares + math.log(2 * math.pi)) - log_scale], 1)

    def expected(self, outputs: Tensor) -> Tensor:
        """What Q(c | x) expects, (n, width): probabilities of categorical codes, means of continuous ones, cut to [−1, 1]."""
        *logits, mean, _ = self.split(outputs)
        return torch.cat([*(a.softmax(1) for a in logits), mean.clamp(-1, 1)], 1)

    def given(self, condition: Any, n: int, like: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """The codes (n, width) that a condition names, of the kind of `like`.

        Integers (n,) are values of the first categorical code, the other codes are drawn; a matrix (n, width) is all codes as
        `expected` gives them. Raises `ConfigError` for another width, values that no code takes, or probabilities that do not
        sum to 1.
        """
        try:
            wanted = torch.as_tensor(condition, device=like.device)
        except (TypeError, ValueError):
            raise ConfigError(f"condition must be a tensor of categories or codes, got {condition!r}.") from None
        if not wanted.is_floating_point():
            codes = self.draw(n, like, generator)
            codes[:, : self.categories[0]] = self._one_hot(wanted, n, like) if self.categories else self._no_category(condition)
            return codes
        if wanted.shape != (n, self.width) or not bool(wanted.isfinite().all()):
            raise ConfigError(
                f"condition must be finite codes of shape ({n}, {self.width}), got {tuple(wanted.shape)}: {self._layout()}."
            )
        *shares, value, _ = self.split(wanted)
        for name, share in zip(self.names, shares, strict=False):
            if bool((share < 0).any() | ((share.sum(1) - 1).abs() > 1e-3).any()):
                raise ConfigError(f"condition: the columns of {name} must be probabilities that sum to 1, as a one-hot vector.")
        if bool((value.abs() > 1).any()):
            raise ConfigError(
                f"condition: continuous codes lie in [-1, 1], got {value.flatten()[value.abs().argmax()].item():.4g}: "
                "decode takes codes beyond."
            )
        return wanted.to(like.dtype)

    def _one_hot(self, labels: Tensor, n: int, like: Tensor) -> Tensor:
        count = self.categories[0]
        if labels.shape != (n,) or not bool(((labels >= 0) & (labels < count)).all()):
            raise ConfigError(
                f"condition must be one category of 0..{count - 1} for each of {n} events, or codes of shape ({n}, "
                f"{self.width}), got {labels!r}."
            )
        return F.one_hot(labels.long(), count).to(like.dtype)

    def _no_category(self, condition: Any) -> Tensor:
        raise ConfigError(
            f"condition must be codes, got {condition!r}: there is no categorical code. {self._layout().capitalize()}."
        )

    def _layout(self) -> str:
        parts = [f"{k} of {name}" for name, k in zip(self.names, self.categories, strict=False)]
        return "the columns are " + ", ".join([*parts, *([f"{self.continuous} continuous"] if self.continuous else [])])

    def along(self, codes: Tensor, code: int, steps: int = 10, reach: float = 1.0) -> tuple[Tensor, list[str]]:
        """Rows of codes (rows, width) with one code varied along columns, (rows, columns, width), and a title for each column.

        A categorical code takes each of its values, a continuous one `steps` values from −reach to reach; all else is kept.
        Raises `ConfigError` where there is no such code, counted from 0.
        """
        if not 0 <= code < len(self):
            raise ConfigError(f"code must be in 0..{len(self) - 1}, got {code}: the model has {len(self)} codes.")
        if code < len(self.categories):
            first, values = sum(self.categories[:code]), torch.eye(self.categories[code])
            titles = [str(i) for i in range(len(values))]
        else:
            if steps < 2 or not 0 < reach < math.inf:
                raise ConfigError(f"a row needs steps of at least 2 and a positive range, got {steps} and {reach:g}.")
            first = sum(self.categories) + code - len(self.categories)
            values = torch.linspace(-reach, reach, steps)[:, None]
            titles = [f"{v:.2g}" for v in values.flatten().tolist()]
        varied = codes[:, None].repeat(1, len(values), 1)
        varied[..., first : first + values.shape[1]] = values.to(codes)
        return varied, titles


def information_bounds(log_likelihoods: Tensor, entropies: Sequence[float]) -> Tensor:
    """L_I = E[ln Q(c | x)] + H(c) of each code in nats, (codes,), of ln Q (n, codes): at most I(c; x).

    >>> information_bounds(torch.tensor([[-2.3026], [-2.3026]]), [math.log(10)]).abs() < 1e-4  # a uniform Q knows nothing
    tensor([True])
    """
    if log_likelihoods.ndim != 2 or log_likelihoods.shape[1] != len(entropies):
        raise DataError(f"expected ln Q of {len(entropies)} codes, (n, {len(entropies)}), got {tuple(log_likelihoods.shape)}.")
    return log_likelihoods.mean(0) + log_likelihoods.new_tensor(entropies)
