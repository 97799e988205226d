"""What many tests share: one thread, the digits, and every event of a small space."""

import sys
from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from pofx.core import Batch, from_codes
from pofx.data import Data, Split, load_data

torch.set_num_threads(1)  # the same sums in the same order, and no fight over the cores


@pytest.fixture
def home(tmp_path, monkeypatch):
    """An empty folder to work in."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def call(monkeypatch, capsys):
    """Run `pofx …`; returns (exit code, what it printed, what it complained)."""
    from pofx import cli

    def run(*arguments):
        monkeypatch.setattr(sys, "argv", ["pofx", *map(str, arguments)])
        try:
            cli.main()
            code = 0
        except SystemExit as end:
            code = end.code or 0
        printed = capsys.readouterr()
        return code, printed.out, printed.err

    return run


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
