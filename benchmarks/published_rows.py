"""The rows of published.py: model, data, candidates, and what the paper reports."""

from dataclasses import dataclass, field
from typing import Any

MEMORY = "figure not re-read"  # the paper was not at hand when the figure was written down


@dataclass(frozen=True)
class Row:
    """A published figure and the candidates among which validation chooses ours."""

    id: str
    model: str
    data: str
    candidates: list[dict[str, Any]]
    published: float | None
    source: str
    options: dict[str, Any] = field(default_factory=dict)


NADE_2011 = {
    "adult": -13.19, "connect4": -11.99, "dna": -84.81, "mushrooms": -9.81, "nips-0-12": -273.08, "ocr-letters": -27.22,
}  # fmt: skip

TABLES = [
    Row(
        f"table-{data}",
        "autoregressive",
        data,
        [{"window": k, "smoothing": alpha} for k in (1, 2, 3, 4, 6, 8) for alpha in (0.03, 0.1, 0.3, 1.0)],
        figure,
        f"NADE, Larochelle and Murray 2011 ({MEMORY}); ours is a table of counts",
    )
    for data, figure in NADE_2011.items()
]

SMALL = ("dna", "mushrooms", "nips-0-12")  # sets of a few hundred to two thousand rows, which want small steps


def nade_candidates(data: str) -> list[dict[str, Any]]:
    """What validation chooses from: hidden units, order and step size."""
    common = {"activation": "relu", "window": None, "epochs": 300, "look_ahead": 15}
    return [
        {"hidden": hidden, "order": order, "learning_rate": rate, "batch_size": batch, **common}
        for hidden in ((100, 500) if data in SMALL else (500,))
        for order in ("raster", "random")
        for rate, batch in (((1e-3, 20), (3e-4, 20)) if data in SMALL else ((1e-3, 100),))
    ]


NADE = [
    Row(f"nade-{data}", "nade", data, nade_candidates(data), figure, f"NADE, Larochelle and Murray 2011 ({MEMORY})")
    for data, figure in NADE_2011.items()
]
WINDOW = [
    Row(
        "nade-window-dna",
        "nade",
        "dna",
        [
            {
                "hidden": 50,
                "activation": "relu",
                "window": k,
                "learning_rate": 1e-3,
                "batch_size": 20,
                "epochs": 300,
                "look_ahead": 15,
            }
            for k in (4, 6, 8, 16)
        ],
        NADE_2011["dna"],
        f"NADE, Larochelle and Murray 2011 ({MEMORY}); ours sees a window of the natural order",
    )
]
MNIST = [
    Row(
        "nade-binarized_mnist",
        "nade",
        "binarized_mnist",
        [{"hidden": 500, "activation": "relu", "learning_rate": 1e-3, "batch_size": 100, "epochs": 40, "schedule": "linear"}],
        -88.33,
        "NADE, fixed order, as quoted by Uria, Murray and Larochelle 2014",
    )
]

ROWS = [*TABLES, *NADE, *WINDOW, *MNIST]
