"""What a row of published.py is."""

from dataclasses import dataclass, field
from typing import Any

MEMORY = "figure not re-read"  # the paper was not at hand when the figure was written down


@dataclass(frozen=True)
class Row:
    """A published figure and the candidates among which validation log-likelihood chooses ours.

    `figure` is what is measured, a name of `figures.FIGURES`. `scored` are arguments that change between training and scoring,
    and `run` the row whose training is used. With `folds` the table's rows are tested in so many folds, its columns
    standardised, those in `drop` left out. With `seeds` the one candidate is trained so often, and data are drawn anew.
    With `preset` training has the settings of the model's preset for these data, where a candidate says nothing else.
    """

    id: str
    model: str
    data: str
    candidates: list[dict[str, Any]]
    published: float | None
    source: str
    options: dict[str, Any] = field(default_factory=dict)
    figure: str = "log-likelihood"
    scored: dict[str, Any] = field(default_factory=dict)
    run: str | None = None
    folds: int = 0
    drop: tuple[str, ...] = ()
    seeds: int = 1
    preset: bool = False
