"""The options of `load_data`: checked once, written into `Data.transform`, and merged with the options of a trained run."""

from dataclasses import asdict, dataclass, fields, replace
from typing import Any

from ..core import ConfigError

# Options about where the events come from; a trained run hands on the others to every other source.
_OF_THE_SOURCE = {"size", "n", "split", "seed", "root", "in_memory", "missing"}
_OF_TRAINING = {"labelled"}  # and this one to none, not even to its own source: data to judge by keep their labels


@dataclass(frozen=True)
class Options:
    """The keyword arguments of `load_data`, in its words and with its defaults.

    `known` holds what a trained run found out about its data (see `Pipeline.known`); empty for data of their own.
    `inherited` names the options that come from that run rather than from the caller.
    """

    binarize: bool | float | str = False
    levels: int | None = None
    resize: int | None = None
    grey: bool = False
    dequantize: bool = False
    standardize: bool = False
    label: str | None = None
    condition: str | None = None
    size: int | None = None
    n: int | None = None
    split: tuple[float, ...] = (0.7, 0.15, 0.15)
    seed: int = 0
    root: str | None = None
    in_memory: bool | None = None
    missing: bool = False
    labelled: int | None = None
    known: dict[str, Any] | None = None
    inherited: frozenset[str] = frozenset()

    def __post_init__(self) -> None:
        self._check_values()
        exclusive = [("binarize", "levels"), ("binarize", "standardize"), ("dequantize", "standardize")]
        for one, other in exclusive:
            if getattr(self, one) and getattr(self, other):
                raise ConfigError(f"{one} and {other} exclude each other: choose one of them.")

    def _check_values(self) -> None:
        if isinstance(self.binarize, str) and self.binarize not in ("draw", "redraw"):
            raise ConfigError(f"binarize must be True, a threshold in (0, 1], 'draw' or 'redraw', got {self.binarize!r}.")
        if self.threshold is not None and not 0 < self.threshold <= 1:
            raise ConfigError(f"binarize must be True, a threshold in (0, 1], 'draw' or 'redraw', got {self.binarize!r}.")
        if self.levels is not None and not 2 <= self.levels <= 256:
            raise ConfigError(f"levels must be in 2..256, got {self.levels}.")
        for name in ("resize", "n"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise ConfigError(f"{name} must be at least 1, got {value}.")
        if self.labelled is not None and self.labelled < 1:
            raise ConfigError(f"labelled must be at least 1, got {self.labelled}: it is the number of labels to keep.")
        if len(self.split) != 3 or min(self.split) < 0 or abs(sum(self.split) - 1) > 1e-6:
            raise ConfigError(f"split must be three fractions that sum to 1 (train, valid, test), got {self.split}.")

    @property
    def threshold(self) -> float | None:
        """The value from which a pixel counts as 1, or None where nothing is thresholded."""
        if isinstance(self.binarize, str) or self.binarize is False:
            return None
        return 0.5 if self.binarize is True else float(self.binarize)

    def merged(self, transform: dict[str, Any] | None, source: str) -> "Options":
        """These options, with those of a trained run wherever they are still at their default."""
        if not transform:
            return self
        same_source = transform.get("source") == source
        names = {f.name for f in fields(self)} - {"known", "inherited"} - _OF_TRAINING
        names -= set() if same_source else _OF_THE_SOURCE
        names = {name for name in names if name in transform and getattr(self, name) == getattr(Options, name)}
        values = {name: transform[name] for name in names}
        if "split" in values:
            values["split"] = tuple(values["split"])
        if not same_source and len(transform["known"]["event_shape"]) == 3:
            values |= self._picture_options(transform["known"]["event_shape"])
        return replace(self, known=transform["known"], inherited=frozenset(names), **values)

    def _picture_options(self, event_shape: list[int]) -> dict[str, Any]:
        """What brings pictures of any kind to the shape of the run's."""
        channels, height, width = event_shape
        resize = {"resize": height} if height == width and self.resize is None else {}
        return resize | ({"grey": True} if channels == 1 else {})

    def as_transform(self, source: str, known: dict[str, Any]) -> dict[str, Any]:
        """The JSON form of these options and of what was found out about the data."""
        values = {name: value for name, value in asdict(self).items() if name not in ("known", "inherited", "missing")}
        return {"source": source, **values, "split": list(self.split), "known": known}
