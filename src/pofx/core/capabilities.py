"""What a model can do. A capability is an abstract class whose docstring is the contract; callers ask with `isinstance`.

A different promise has a different method name, so that a bound can never pass for an exact value.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any, ClassVar

import torch
from torch import Tensor

OnStep = Callable[[int, int], None]  # called with the steps done and the steps in all


class Capability(ABC):
    """Base of the capabilities. `method` is the method that keeps the promise, `promise` what it gives, in words."""

    method: ClassVar[str]
    promise: ClassVar[str]


class Samples(Capability):
    """`sample(n)` draws n independent events, (n, *event_shape), float32 unless the model is double, inside `support`.

    The same `generator` state gives the same events; `condition` is for conditional models only.
    """

    method, promise = "sample", "samples"

    @abstractmethod
    def sample(self, n: int, condition: Any = None, generator: torch.Generator | None = None) -> Tensor: ...


class DrawsStepwise(Samples):
    """`sample` draws variable by variable, at a temperature, and says how far it is; so do `complete` and `inpaint`.

    `temperature` T >= 0 sharpens every conditional on its own: discrete values have the probabilities softmax(logits / T), so
    that T = 1 draws from the model, T < 1 likelier values, and T = 0 the likeliest at each step; a model of real values says
    in its docstring what T does. What is chosen before the first variable (a member of a mixture, a label) is chosen as ever.
    `on_step(done, total)` is called as drawing goes on, done rises to total; what a step is depends on the model.
    """

    method, promise = "sample", "draws at a temperature"

    @abstractmethod
    def sample(
        self, n: int, condition: Any = None, generator: torch.Generator | None = None, temperature: float = 1.0,
        on_step: OnStep | None = None,
    ) -> Tensor: ...  # fmt: skip


class TractableDensity(Capability):
    """`log_prob(x)` is the exact ln p(x) in nats, shape (n,), for x (n, *event_shape); normalised over the support."""

    method, promise = "log_prob", "exact log_prob"

    @abstractmethod
    def log_prob(self, x: Tensor) -> Tensor: ...


class ApproximateDensity(Capability):
    """`elbo(x, samples=k)` estimates a lower bound of ln p(x) in nats, shape (n,), all constants included.

    k = 1 is the evidence lower bound, k > 1 the importance-weighted bound, which rises to ln p(x) with k.
    """

    method, promise = "elbo", "lower bound on log p(x)"

    @abstractmethod
    def elbo(self, x: Tensor, samples: int = 1) -> Tensor: ...


class Encodes(Capability):
    """`encode(x)` is a feature vector per event, (n, features): deterministic, without gradient bookkeeping of its own."""

    method, promise = "encode", "features"

    @abstractmethod
    def encode(self, x: Tensor) -> Tensor: ...


class Decodes(Capability):
    """`decode(z)` maps latent vectors (n, latent) to events (n, *event_shape): the expected event, not a draw.

    Of a model that can `reconstruct` it is differentiable in z; where z has no gradient, neither has the event.
    """

    method, promise = "decode", "decoder from latents"
    latent: int

    @abstractmethod
    def decode(self, z: Tensor) -> Tensor: ...


class Reconstructs(Capability):
    """`reconstruct(x)` is the event that a model expects for the code of each x, (n, *event_shape): it encodes and decodes.

    `interpolate(a, b, steps)` is what it expects on the way from the code of each event of a to that of b, both ends included:
    (n, steps, *event_shape). A model of p(x | label) takes labels (n,) as `condition`, also in `encode` and `decode`.
    """

    method, promise = "reconstruct", "an encoder and its decoder"

    @abstractmethod
    def reconstruct(self, x: Tensor, condition: Any = None) -> Tensor: ...

    @abstractmethod
    def interpolate(self, a: Tensor, b: Tensor, steps: int = 8, condition: Any = None) -> Tensor: ...


class LatentVariable(Capability):
    """p(x) = ∫ p(x | z) p(z) dz with every part of it known, and q(z | x), a Gaussian that stands for p(z | x).

    `log_likelihood_given(x, z)` is ln p(x | z) in nats, (n,), differentiable in z, and `draw_given(z)` a draw from it;
    `posterior(x)` the mean and the log-variance of q(z | x), each (n, latent); `prior` has `log_prob(z)` and `sample(n)`. A
    model of p(x | label) takes labels (n,) as `condition`.
    """

    method, promise = "log_likelihood_given", "p(x | z) and q(z | x)"
    prior: Any

    @abstractmethod
    def log_likelihood_given(self, x: Tensor, z: Tensor, condition: Any = None) -> Tensor: ...

    @abstractmethod
    def draw_given(self, z: Tensor, condition: Any = None, generator: torch.Generator | None = None) -> Tensor: ...

    @abstractmethod
    def posterior(self, x: Tensor, condition: Any = None) -> tuple[Tensor, Tensor]: ...


class Discriminates(Capability):
    """`realness(x)` says how surely a discriminator takes each event x (n, *event_shape) for data, (n,), without gradient.

    `realness_unit` says of what kind the number is: a probability D(x), or the value of a critic, which has no scale. Where a
    decision is over several events, those `beside` x, data (k, *event_shape), make up the others; without them copies of x do.
    """

    method, promise = "realness", "a discriminator of events"

    @property
    @abstractmethod
    def realness_unit(self) -> str: ...

    @abstractmethod
    def realness(self, x: Tensor, beside: Tensor | None = None) -> Tensor: ...


class Inpaints(Capability):
    """`inpaint(x, mask)` keeps x where mask is True and draws the rest from p(missing | observed), (n, *event_shape)."""

    method, promise = "inpaint", "draws of missing values given observed ones"

    @abstractmethod
    def inpaint(self, x: Tensor, mask: Tensor, generator: torch.Generator | None = None) -> Tensor: ...


class Completes(Capability):
    """`complete(x, mask)` keeps x where mask is True and draws the other variables in the model's order.

    Each is drawn given all earlier ones, whether kept or drawn. Where the kept variables come first in the order that is
    p(missing | observed); else kept variables do not inform the missing ones before them, which is what `inpaint` promises.
    `temperature` and `on_step` are those of `DrawsStepwise`.
    """

    method, promise = "complete", "draws of missing values given earlier ones"

    @abstractmethod
    def complete(
        self, x: Tensor, mask: Tensor, generator: torch.Generator | None = None, temperature: float = 1.0,
        on_step: OnStep | None = None,
    ) -> Tensor: ...  # fmt: skip


class ScoresAnomalies(Capability):
    """`anomaly_score(x)` is a number per event, (n,), higher = more anomalous; the method's docstring says which quantity."""

    method, promise = "anomaly_score", "anomaly score"

    @abstractmethod
    def anomaly_score(self, x: Tensor) -> Tensor: ...


class FitsByCounting(Capability):
    """`count(x)` adds events to the model's sufficient statistics; counting the training split once is the exact fit.

    Such a model has no players. `forget()` returns to the state before any event was counted.
    """

    method, promise = "count", "exact fit by counting"

    @abstractmethod
    def count(self, x: Tensor) -> None: ...

    @abstractmethod
    def forget(self) -> None: ...


CAPABILITIES: tuple[type[Capability], ...] = (
    Samples, DrawsStepwise, TractableDensity, ApproximateDensity, LatentVariable, Encodes, Decodes, Reconstructs,
    Discriminates, Inpaints, Completes, ScoresAnomalies, FitsByCounting,
)  # fmt: skip
