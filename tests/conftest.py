"""What many tests share: one thread, the digits, and every event of a small space."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from pofx.core import Batch, from_codes
from pofx.data import Data, Split, load_data

torch.set_num_threads(1)  # the same sums in the same order, and no fight over the cores


@pytest.fixture(scope="session")
def digits() -> Data:
    return load_data("digits", binarize=True)


@pytest.fixture(scope="session")
def small_data() -> Callable[..., Data]:
    """Data around a few events: small_data(x, valid, support)."""

    def make(x: Tensor, valid: Tensor, support: torch.distributions.constraints.Constraint, name: str = "small") -> Data:
        return Data(name, Split(x), Split(valid), Split(valid), tuple(x.shape[1:]), support)

    return make


@pytest.fixture(scope="session")
def all_events() -> Callable[..., Tensor]:
    """Every event there is: all_events(model) for models of discrete variables, (K^n, *event_shape), float64."""

    def enumerate_events(model) -> Tensor:
        levels = getattr(model, "levels", 2)
        codes = torch.cartesian_prod(*[torch.arange(levels)] * model.dims).view(-1, *model.event_shape)
        return from_codes(codes, model.support, torch.float64)

    return enumerate_events


@pytest.fixture(scope="session")
def step_of() -> Callable[..., dict[str, Tensor]]:
    """The loss terms of a player at an event batch, from fixed noise: step_of(model, "generator", x)."""

    def terms(model, player: str, x: Tensor, seed: int = 0) -> dict[str, Tensor]:
        torch.manual_seed(seed)
        return next(p for p in model.players() if p.name == player).loss(Batch(x))

    return terms
