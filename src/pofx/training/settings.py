"""How to train: everything that is not the model and not the data."""

import dataclasses
import math
from dataclasses import dataclass
from typing import Any

from ..core import ConfigError, GenerativeModel, suggest

SCHEDULES = ("constant", "linear", "cosine")
PRECISIONS = ("fp32", "bf16")
#: settings that count, and the least they may be
WHOLE_NUMBERS = {"batch_size": 1, "seed": 0, "warmup": 0, "validate_every": 0, "log_every": 1, "snapshots": 0}


@dataclass(frozen=True)
class Settings:
    """Settings of one training run. Lengths count steps, epochs or examples as their names say.

    `steps`, or `epochs` where no steps are given, is the length of training; `batch_size` counts examples per process.
    `learning_rate` replaces that of every player (or of those named in a dict); it follows `schedule`, a function of the
    examples seen, after a linear rise over the first `warmup` examples. `ema` is the decay of the averaged weights
    (0 = none). `precision` "bf16" runs forward and backward passes in autocast. Every `validate_every` epochs the negative
    log-likelihood (or bound) of the validation split is recorded; with `look_ahead` = k training stops when k epochs
    brought no improvement and the best weights are kept. Losses are recorded every `log_every` steps, pictures of samples
    drawn from fixed noise `snapshots` times in a run, and the state is saved every `checkpoint_minutes`.
    """

    epochs: float = 30
    steps: int | None = None
    batch_size: int = 100
    seed: int = 0
    learning_rate: float | dict[str, float] | None = None
    schedule: str = "constant"
    warmup: int = 0
    ema: float = 0.0
    precision: str = "fp32"
    validate_every: int = 1
    look_ahead: int | None = None
    log_every: int = 50
    snapshots: int = 10
    checkpoint_minutes: float = 1.0
    trackers: tuple[str, ...] = ()
    cpu: bool = False

    #: what may change between a run and its continuation
    FREE = ("epochs", "steps", "log_every", "snapshots", "checkpoint_minutes", "trackers", "cpu")

    def __post_init__(self) -> None:
        if self.schedule not in SCHEDULES:
            raise ConfigError(f"schedule={self.schedule!r} is unknown: {suggest(self.schedule, SCHEDULES)}.")
        if self.precision not in PRECISIONS:
            raise ConfigError(f"precision={self.precision!r} is unknown: {suggest(self.precision, PRECISIONS)}.")
        optional = {name: 1 for name in ("steps", "look_ahead") if getattr(self, name) is not None}
        for name, least in (WHOLE_NUMBERS | optional).items():
            if not isinstance(getattr(self, name), int) or getattr(self, name) < least:
                raise ConfigError(f"{name} must be a whole number of at least {least}, got {getattr(self, name)!r}.")
        numbers = [(name, getattr(self, name)) for name in ("epochs", "checkpoint_minutes", "ema")]
        rates = self.learning_rate.values() if isinstance(self.learning_rate, dict) else [self.learning_rate]
        for name, value in numbers + [("learning_rate", rate) for rate in rates if rate is not None]:
            if not isinstance(value, int | float) or not 0 <= value < math.inf:
                raise ConfigError(f"{name} must be a finite number of at least 0, got {value!r}.")
        if not 0 <= self.ema < 1:
            raise ConfigError(f"ema must be a decay in [0, 1), got {self.ema}: 0.999 averages over about 1,000 steps.")
        if self.steps is None and self.epochs == 0:
            raise ConfigError("training needs a positive length, got epochs=0: give epochs or steps.")
        if self.look_ahead is not None and self.validate_every == 0:
            raise ConfigError(f"early stopping (look_ahead={self.look_ahead}) needs validate_every of at least 1, got 0.")
        trackers = [self.trackers] if isinstance(self.trackers, str) else self.trackers
        object.__setattr__(self, "trackers", tuple(trackers))

    @classmethod
    def names(cls) -> list[str]:
        """The names of all settings."""
        return [f.name for f in dataclasses.fields(cls)]

    @classmethod
    def of(cls, **values: Any) -> "Settings":
        """Settings from keyword arguments; an unknown name is a `ConfigError` that suggests the right one."""
        for name in values:
            if name not in cls.names():
                raise ConfigError(f"training has no setting {name!r}: {suggest(name, cls.names())}.")
        return cls(**values)

    def total_steps(self, examples: int, processes: int) -> int:
        """The length of training in steps, for a training split of so many examples."""
        return self.steps if self.steps is not None else math.ceil(self.epochs * examples / (self.batch_size * processes))

    def length(self, model: GenerativeModel, examples: int, processes: int) -> tuple[int, int]:
        """The length of training in steps and in examples seen; they are counted where the model changes its batch size."""
        if type(model).batch_size_at is GenerativeModel.batch_size_at:
            steps = self.total_steps(examples, processes)
            return steps, steps * self.batch_size * processes
        steps, seen = 0, 0
        while steps < self.steps if self.steps is not None else seen < self.epochs * examples:
            steps, seen = steps + 1, seen + model.batch_size_at(seen, self.batch_size) * processes
        return steps, seen

    def learning_rate_factor(self, examples_seen: int, total_examples: int) -> float:
        """By what the base learning rate is multiplied at this point of training.

        >>> Settings(schedule="linear").learning_rate_factor(25, 100)
        0.75
        """
        if examples_seen < self.warmup:
            return (examples_seen + 1) / (self.warmup + 1)
        if self.schedule == "constant":
            return 1.0
        progress = min(1.0, (examples_seen - self.warmup) / max(1, total_examples - self.warmup))
        return 1.0 - progress if self.schedule == "linear" else 0.5 * (1.0 + math.cos(math.pi * progress))
