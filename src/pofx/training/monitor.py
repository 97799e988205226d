"""How an adversarial game goes, in figures and in plain words."""

import math
from collections import deque
from collections.abc import Callable, Iterable
from itertools import pairwise
from statistics import mean
from typing import Any

from ..core import Discriminates, GenerativeModel

WINDOW = 1_000  # steps that a judgement looks back on
LEAST_LINES = 10  # in these steps
Figures = dict[str, float]


class Monitor:
    """Reads the record of a run as it is written and says, once each, what has gone wrong between its players.

    A discriminator logs `accuracy_real` and `accuracy_fake` (or `accuracy_pair`) and, where its loss is logistic, `jsd`, the
    Jensen-Shannon divergence that its values imply, 0 to ln 2. Over the last 1,000 steps it has *won* where it is right of more
    than 97 % and the divergence is above 0.9 ln 2: the generator then learns little, for D is close to 1 at data and to 0 at
    samples. It has *collapsed* where it is right by chance at most and its loss says that it is sure of nothing. It
    *oscillates* where it calls everything data for a while, then nothing. A critic that is right of nearly all pairs has not
    won: it is meant to be, and its slope is what the generator learns from. Counts of `training.modes` say where more than a
    tenth of the modes is *missing* in the last quarter of training, or more than 30 %, and more than one, is *lost*:
    reached before and not in two counts in a row.
    """

    def __init__(self, model: GenerativeModel | None = None, total_steps: int = 0) -> None:
        self.total_steps = total_steps
        self.sides = (
            ("data", "samples") if model is None or isinstance(model, Discriminates) else ("draws of the prior", "codes")
        )
        self._lines: dict[str, deque[tuple[int, Figures]]] = {}
        self._said: set[tuple[str, str]] = set()
        self._most: dict[str, float] = {}
        self._below: dict[str, int] = {}  # how many counts in a row have been well below the most

    def replay(self, lines: Iterable[dict[str, Any]]) -> None:
        """Be as after these lines of a record: a resumed run says what an uninterrupted one would."""
        for line in lines:
            self.look(line["step"], {k: v for k, v in line.items() if "/" in k})

    def look(self, step: int, figures: Figures) -> list[str]:
        """New warnings, a sentence each, after the line of the record for this step."""
        new = self._look_at_modes(step, figures)
        for player in sorted({name.rpartition("/")[0] for name in figures if "/accuracy" in name}):
            line = {name.removeprefix(f"{player}/"): value for name, value in figures.items()}
            seen = self._lines.setdefault(player, deque())
            seen.append((step, line))
            while step - seen[0][0] > WINDOW:
                seen.popleft()
            if step < WINDOW or len(seen) < LEAST_LINES:
                continue
            for kind, holds, sentence in SIGNS:
                if holds([line for _, line in seen]):
                    new += self._once(player, kind, f"the {player} {sentence.format(*self.sides)}")
        return new

    def _look_at_modes(self, step: int, figures: Figures) -> list[str]:
        new = []
        for kind in ("modes", "classes"):
            if f"{kind}/reached" not in figures:
                continue
            now, of = figures[f"{kind}/reached"], figures[f"{kind}/of"]
            near = figures.get(f"{kind}/high_quality", 1.0)
            most = self._most[kind] = max(now if near >= 0.5 else 0.0, self._most.get(kind, 0.0))
            self._below[kind] = self._below.get(kind, 0) + 1 if most - now > max(1, 0.3 * of) else 0
            reach = f"samples reach {now:.0f} of {of:.0f} {kind}"
            reach += f", and {near:.0%} of them lie on one" if near < 0.5 else ""
            if self._below[kind] >= 2:
                new += self._once(kind, "lost", f"{reach}, after {most:.0f} before: some are lost. {REMEDY}")
            elif now < 0.9 * of and 4 * step >= 3 * self.total_steps > 0:
                new += self._once(kind, "missing", f"{reach}: some are missed. {REMEDY}")
        return new

    def _once(self, who: str, kind: str, sentence: str) -> list[str]:
        if (who, kind) in self._said:
            return []
        self._said.add((who, kind))
        return [sentence]


def _accuracy(lines: list[Figures]) -> float:
    return mean(value for line in lines for name, value in line.items() if name.startswith("accuracy"))


def _won(lines: list[Figures]) -> bool:
    if "accuracy_pair" in lines[0]:  # of a relativistic loss, whose value is then near 0; a critic's has no such value
        return "pair" in lines[0] and mean(line["pair"] for line in lines) < 0.05
    implied = mean(line.get("jsd", math.log(2)) for line in lines)
    return _accuracy(lines) > 0.97 and implied > 0.9 * math.log(2)


def _collapsed(lines: list[Figures]) -> bool:
    unsure = all(line.get("jsd", 0.0) < 0.002 for line in lines)
    return unsure and _accuracy(lines) < 0.52 and not _oscillates(lines)


def _oscillates(lines: list[Figures]) -> bool:
    if "accuracy_real" not in lines[0]:
        return False
    lean = [line["accuracy_real"] - line["accuracy_fake"] for line in lines]  # 1: calls all data, −1: calls nothing data
    turns = sum(a * b < 0 for a, b in pairwise(lean))
    return turns >= 3 and mean(map(abs, lean)) > 0.5


REMEDY = "What helps: pack=2 to 4, a penalty (r1=1), larger batches, longer training."
#: what may be wrong, how it shows in the lines of a player, and what is said of it, with names for the two sides it tells apart
SIGNS: list[tuple[str, Callable[[list[Figures]], bool], str]] = [
    (
        "won",
        _won,
        "has won: it tells {0} from {1} nearly always, and the other side learns little from it. Give it less: a penalty (r1=1 "
        "or more), a lower rate of its own, or pack=2; or there are too few data for it.",
    ),
    (
        "collapsed",
        _collapsed,
        "cannot tell {0} from {1} at all: either {1} are perfect, which pictures would show, or it has stopped learning. Give "
        "it more: a higher rate of its own, more units, or weaker penalties.",
    ),
    (
        "oscillates",
        _oscillates,
        "swings between taking everything for {0} and nothing: players chase each other. Use averaged weights (ema=0.999), "
        "a penalty (r1=1), or lower learning rates.",
    ),
]
