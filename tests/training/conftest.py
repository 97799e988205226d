"""Models so simple that every step of their training is known."""

import pytest
import torch
from torch import nn
from torch.distributions import constraints

from pofx.core import GenerativeModel, Player, TractableDensity


class Walker(GenerativeModel, TractableDensity):
    """One weight that walks down by the learning rate at every step; events are likeliest at weight −5."""

    name = "walker"

    def __init__(self, event_shape=(2,), clip=None, slope=1.0, broken_at=None):
        super().__init__()
        self.event_shape, self.support = tuple(event_shape), constraints.real
        self.weight = nn.Parameter(torch.zeros((), dtype=torch.float64))
        self.clip, self.slope, self.broken_at = clip, slope, broken_at
        self.path, self.seen, self.noise, self.progress = [], [], [], []

    def players(self):
        optimizer = lambda parameters: torch.optim.SGD(parameters, lr=1.0)  # noqa: E731
        return [Player("model", [self.weight], self._loss, optimizer=optimizer, clip=self.clip)]

    def _loss(self, batch):
        self.path.append(self.weight.item())
        self.seen.append(batch.x)
        self.noise.append(torch.rand(()).item())
        broken = len(self.path) == self.broken_at
        return {"fall": self.slope * self.weight, "nothing": 0 * self.weight * (float("nan") if broken else 1)}

    def advance(self, examples_seen):
        self.progress.append(examples_seen)

    def log_prob(self, x):
        return -(self.weight + 5).square().expand(len(x))


class Duel(GenerativeModel):
    """Two players whose losses both depend on both players' parameters; each move is written down by its optimiser."""

    name = "duel"

    def __init__(self, event_shape=(2,), every=1):
        super().__init__()
        self.event_shape, self.support, self.every = tuple(event_shape), constraints.real, every
        self.left, self.right = nn.Parameter(torch.ones(2)), nn.Parameter(torch.full((2,), 2.0))
        self.moves = []

    def players(self):
        return [
            Player("left", [self.left], lambda batch: {"product": (self.left * self.right).sum()}, optimizer=self._spy("left")),
            Player("right", [self.right], self._right_loss, self.every, self._spy("right")),
        ]

    def _right_loss(self, batch):
        return {"product": -(self.left * self.right).sum(), "square": self.right.square().sum()}

    def _spy(self, player):
        def optimizer(parameters):
            sgd = torch.optim.SGD(parameters, lr=0.1)
            before = {}

            def look(*_):
                before.update(left=self.left.detach().clone(), right=self.right.detach().clone())

            def write(*_):
                changed = [name for name in before if not torch.equal(before[name], getattr(self, name))]
                with_gradient = [name for name in before if getattr(self, name).requires_grad]
                self.moves.append((player, changed, with_gradient))

            sgd.register_step_pre_hook(look)
            sgd.register_step_post_hook(write)
            return sgd

        return optimizer


@pytest.fixture
def walker():
    return Walker


@pytest.fixture
def duel():
    return Duel


@pytest.fixture
def eight(small_data):
    """Eight events to train on, four to validate."""
    return small_data(torch.arange(16.0).view(8, 2), torch.zeros(4, 2), constraints.real)
