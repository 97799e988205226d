"""How an adversarial game goes, in figures and in plain words."""

import math
from collections import deque
from collections.abc import Callable
from itertools import pairwise
from statistics import mean

from torch import Tensor

from ..core import GenerativeModel, Samples
from ..data import Data
from ..metrics import count_modes

WINDOW = 20  # logged lines a judgement looks back on
Figures = dict[str, float]


class Monitor:
    """Reads the record of a run as it is written and says, once each, what has gone wrong between its players.

    A discriminator logs `accuracy_real` and `accuracy_fake` (or `accuracy_pair`) and, where its loss is logistic, `jsd`, the
    Jensen-Shannon divergence that its values imply, 0 to ln 2. It has *won* where it is right of nearly everything: the
    generator then learns little, for D is close to 1 at data and to 0 at samples. It has *collapsed* where it is right by
    chance only while its loss says that it is sure of nothing. It *oscillates* where it calls everything data for a while,
    then nothing.
    """

    def __init__(self) -> None:
        self._seen: dict[str, deque[Figures]] = {}
        self._said: set[tuple[str, str]] = set()

    def look(self, figures: Figures) -> list[str]:
        """New warnings, a sentence each, after a line of the record."""
        new = []
        for player in sorted({name.rpartition("/")[0] for name in figures if "/accuracy" in name}):
            lines = self._seen.setdefault(player, deque(maxlen=WINDOW))
            lines.append({name.removeprefix(f"{player}/"): value for name, value in figures.items()})
            if len(lines) < WINDOW:
                continue
            for kind, holds, sentence in SIGNS:
                if (player, kind) not in self._said and holds(list(lines)):
                    self._said.add((player, kind))
                    new.append(f"the {player} {sentence}")
        return new


def _accuracies(line: Figures) -> list[float]:
    return [value for name, value in line.items() if name.startswith("accuracy")]


def _won(lines: list[Figures]) -> bool:
    sure = all(mean(_accuracies(line)) > 0.98 for line in lines)
    return sure and all(line.get("jsd", math.log(2)) > 0.9 * math.log(2) for line in lines)


def _collapsed(lines: list[Figures]) -> bool:
    chance = all(abs(mean(_accuracies(line)) - 0.5) < 0.03 for line in lines)
    return chance and all(abs(line.get("jsd", 0.0)) < 0.002 for line in lines)


def _oscillates(lines: list[Figures]) -> bool:
    if "accuracy_real" not in lines[0]:
        return False
    lean = [line["accuracy_real"] - line["accuracy_fake"] for line in lines]  # 1: calls all data, −1: calls nothing data
    turns = sum(a * b < 0 for a, b in pairwise(lean))
    return turns >= 3 and mean(map(abs, lean)) > 0.5


SIGNS: list[tuple[str, Callable[[list[Figures]], bool], str]] = [
    (
        "won",
        _won,
        "has won: it tells data from samples nearly always, and the generator learns little from it. Give it less: "
        "r1=1 or more, a lower discriminator_rate, or pack=2; or data are too few for it.",
    ),
    (
        "collapsed",
        _collapsed,
        "cannot tell data from samples at all: either samples are perfect, which their pictures would show, or it has stopped "
        "learning. Give it more: a higher discriminator_rate, more units, or weaker penalties.",
    ),
    (
        "oscillates",
        _oscillates,
        "swings between calling everything data and nothing: players chase each other. Use averaged weights (ema=0.999), "
        "a penalty (r1=1), or lower learning rates.",
    ),
]


def modes_of(model: GenerativeModel, data: Data, samples: Tensor) -> Figures:
    """How many of the data's modes samples reach, and the share that lies on one, where modes are known."""
    if data.modes is None or not isinstance(model, Samples):
        return {}
    counted = count_modes(samples, *data.modes)
    return {"modes": counted["modes"].value, "high_quality": counted["high_quality"].value}
