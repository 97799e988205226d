"""The base of every model, and the questions one can ask of its capabilities."""

import functools
import inspect
from abc import ABC, abstractmethod
from typing import Any, ClassVar, TypeVar

import torch
from torch import Tensor, nn
from torch.distributions import constraints
from torch.distributions.constraints import Constraint

from .capabilities import (
    CAPABILITIES,
    ApproximateDensity,
    Capability,
    Decodes,
    DrawsStepwise,
    Reconstructs,
    Samples,
    TractableDensity,
)
from .errors import CapabilityError, ConfigError, DataError
from .player import Player
from .support import describe_support

C = TypeVar("C", bound=Capability)


class GenerativeModel(nn.Module, ABC):
    """A distribution p(x) over events of one shape, with parameters learned from data.

    A subclass has a `name` for the registry and a `summary` of a few words, lists the capabilities it keeps as further base
    classes, takes `event_shape` as its first constructor argument, sets `support`, and lists its `players`. Its constructor's
    arguments are its configuration: recorded in `config` as given, so that `type(model)(**model.config)` builds its twin;
    what JSON cannot hold is recorded as `recorded` says.
    """

    name: ClassVar[str]
    summary: ClassVar[str]
    prefers_binary: ClassVar[bool] = False  # the command line then binarises pictures unless told otherwise
    classes: int | None = None  # of a model of p(x | label): how many labels its condition may name
    event_shape: tuple[int, ...]
    support: Constraint
    config: dict[str, Any]

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if "__init__" in cls.__dict__:
            cls.__init__ = _recording_config(cls.__init__)  # type: ignore[method-assign]

    @abstractmethod
    def players(self) -> list[Player]:
        """The players of the training game; empty where the model is fitted by counting."""

    @classmethod
    def configure_for(cls, event_shape: tuple[int, ...], support: Constraint) -> dict[str, Any]:
        """Constructor arguments that suit data of this shape and support; what the user sets wins over them."""
        return {}

    def recorded(self) -> dict[str, Any]:
        """What the configuration records in place of arguments that JSON cannot hold (an array, a function)."""
        return {}

    def advance(self, examples_seen: int) -> None:
        """Bring schedules inside the model (growth, warm-up) to this point of training; a pure function of progress."""

    def batch_size_at(self, examples_seen: int, batch_size: int) -> int:
        """How many examples a process is given at this point of training where `batch_size` is set; pure as `advance` is."""
        return batch_size

    def stage_at(self, examples_seen: int) -> str | None:
        """The name of the stage of training at this point, where training has stages (growth); pure as `advance` is.

        Where a stage ends the optimisers forget their moments, and a picture of samples is kept under its name.
        """
        return None

    def parameter_count(self) -> int:
        """The number of trainable parameters."""
        return sum(p.numel() for p in self.parameters() if p.requires_grad)

    @property
    def dims(self) -> int:
        """The number of variables of one event."""
        return int(torch.Size(self.event_shape).numel())

    @property
    def rows_at_once(self) -> int:
        """How many events to score at once: their maps in a convolutional network should stay near the processor's cache."""
        return max(1, min(1000, 60_000 // self.dims))

    @property
    def device(self) -> torch.device:
        """Where the model's tensors are."""
        return next((t.device for t in (*self.parameters(), *self.buffers())), torch.device("cpu"))

    def check(self, x: Tensor, name: str = "x") -> Tensor:
        """x as it is, or a `DataError` that says which shape or values the model expects instead."""
        if tuple(x.shape[1:]) != tuple(self.event_shape):
            raise DataError(
                f"{self.name} expects {name} of shape (n, {', '.join(map(str, self.event_shape))}), "
                f"got {tuple(x.shape)}: reshape or resize the data, or build the model with that event_shape."
            )
        inside = self.support.check(x) & x.isfinite()
        if not bool(inside.all()):
            row = int((~inside).flatten(1).any(1).nonzero()[0])
            value = x[row][~inside[row]].flatten()[0].item()
            raise DataError(
                f"{self.name} expects values in {describe_support(self.support)}, got {value:.4g} in row {row} of {name}: "
                f"{self._remedy()}"
            )
        return x

    def refuse_condition(self, condition: Any) -> None:
        """Raise `ConfigError` where a condition is given to a model that takes none."""
        if condition is not None:
            raise ConfigError(f"{self.name} takes no condition, got {condition!r}: leave it out, or use a conditional model.")

    def _remedy(self) -> str:
        if self.support is constraints.boolean:
            return "load the data with binarize=True, or use a model for such values (vae, gan)."
        if self.support is constraints.real:
            return "remove or fill in missing and infinite values."
        if self.support is constraints.unit_interval:
            return "scale the data to [0, 1]."
        return "load the data with levels=K and build the model with the same levels=K."

    def __getattr__(self, name: str) -> Any:
        for capability in CAPABILITIES:
            if name == capability.method and not isinstance(self, capability):
                raise CapabilityError(_refusal(self, capability))
        return super().__getattr__(name)


def _recording_config(init: Any) -> Any:
    signature = inspect.signature(init)

    @functools.wraps(init)
    def wrapper(self: GenerativeModel, *args: Any, **kwargs: Any) -> None:
        bound = signature.bind(self, *args, **kwargs)
        bound.apply_defaults()
        init(self, *args, **kwargs)
        self.config = {k: v for k, v in bound.arguments.items() if k != "self"} | self.recorded()

    return wrapper


def density(model: GenerativeModel) -> str:
    """ "tractable" (exact log p), "approximate" (a bound on it) or "implicit" (samples only)."""
    if isinstance(model, TractableDensity):
        return "tractable"
    return "approximate" if isinstance(model, ApproximateDensity) else "implicit"


def capabilities(model: GenerativeModel | type[GenerativeModel]) -> list[type[Capability]]:
    """The capabilities that a model, or a class of models, keeps."""
    cls = model if isinstance(model, type) else type(model)
    return [c for c in CAPABILITIES if issubclass(cls, c)]


def require(model: GenerativeModel, capability: type[C]) -> C:
    """The model, typed as the capability, or a `CapabilityError` that names the way out."""
    if not isinstance(model, capability):
        raise CapabilityError(_refusal(model, capability))
    return model


def _refusal(model: GenerativeModel, capability: type[Capability]) -> str:
    others = ", ".join(sorted({c.name for c in _final_models() if issubclass(c, capability)})) or "none"
    sentence = f"{model.name} has no {capability.method}"
    if capability is TractableDensity and isinstance(model, ApproximateDensity):
        sentence += ": its density is approximate. Use model.elbo(x), a lower bound in nats"
    elif capability is ApproximateDensity and isinstance(model, TractableDensity):
        sentence += ": its density is exact. Use model.log_prob(x)"
    elif capability in (TractableDensity, ApproximateDensity) and isinstance(model, Samples):
        sentence += ": its density is implicit, it can only be sampled. Judge it by its samples (pofx evaluate)"
    elif capability is Reconstructs and isinstance(model, Decodes):
        sentence += ": its decoder does not take what its encoder gives"
    elif capability is DrawsStepwise and isinstance(model, Samples):
        sentence += " at a temperature"
    return f"{sentence}. Models with {capability.promise}: {others}."


def _final_models() -> list[type[GenerativeModel]]:
    found: list[type[GenerativeModel]] = []
    pending: list[type[GenerativeModel]] = GenerativeModel.__subclasses__()
    while pending:
        cls = pending.pop()
        pending.extend(cls.__subclasses__())
        if not inspect.isabstract(cls) and "name" in cls.__dict__ and cls.__module__.startswith("pofx."):
            found.append(cls)
    return found
