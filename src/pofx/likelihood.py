"""The log-likelihood of models with codes: estimated by importance sampling or annealing, and checked from both sides."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from .core import ConfigError, DataError, GenerativeModel, OnStep, suggest
from .integrand import DecoderIntegrand, Integrand, integrand_of
from .marginal import Chains, Rows, annealed_rows, importance_rows, prior_rows, sandwiched_rows
from .metrics import Estimate, mean_estimate

METHODS = ("importance", "annealed", "prior")
KIND = "lower bound in expectation"
NORMAL_95 = 1.96
FEW, SMALL_SHARE, FEW_CHAINS = 10, 0.02, 2  # effective samples, their share, and effective chains that call for a warning


@dataclass(frozen=True)
class LikelihoodEstimate:
    """Estimates of ln p(x) in nats for every row, (n,) in float64; in expectation none lies above ln p(x).

    `effective_samples` (n,) says how many of the `samples` weights of a row count. `density` says whose ln p(x) this is,
    `method` how it was estimated, `warnings` what to beware of, in words.
    """

    log_likelihood: Tensor
    effective_samples: Tensor
    samples: int
    density: str
    method: str
    warnings: tuple[str, ...] = ()
    kind: str = KIND

    @property
    def mean(self) -> Estimate:
        """The mean over rows with its standard error, which the noise of the estimates is a part of."""
        return mean_estimate(self.log_likelihood, "nats")

    @property
    def interval(self) -> tuple[float, float] | None:
        """95 % confidence interval of the mean over rows (normal approximation); None for one row. It knows no bias."""
        return interval(self.mean)

    @property
    def monte_carlo_error(self) -> float:
        """The part of the standard error that more samples would remove: of a row's ln of a mean, √(1/ESS − 1/k)."""
        variance = (1 / self.effective_samples.clamp(min=1e-12) - 1 / self.samples).clamp(min=0)
        return float(variance.sum().sqrt() / len(variance))

    def as_dict(self) -> dict[str, Any]:
        """Everything but the rows, for JSON."""
        effective = self.effective_samples
        return {
            **self.mean.as_dict(), "kind": self.kind, "interval_95": self.interval, "monte_carlo_error": self.monte_carlo_error,
            "effective_samples": {"median": effective.median().item(), "least": effective.min().item(), "of": self.samples},
            "density": self.density, "method": self.method, "warnings": list(self.warnings),
        }  # fmt: skip


@dataclass(frozen=True)
class BidirectionalCheck:
    """What chains from both ends say of ln p(x) of events that the model itself drew, in nats, each a mean over events.

    In expectation lower <= ln p(x) <= upper, so that `gap` is at least what forward chains of this length miss. `importance`
    is the importance-sampling estimate for the same events, where one was asked for.
    """

    lower: Estimate
    upper: Estimate
    gap: Estimate
    importance: Estimate | None
    method: str

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        importance = None if self.importance is None else self.importance.as_dict()
        figures = {name: getattr(self, name).as_dict() for name in ("lower", "upper", "gap")}
        return {**figures, "gap_interval_95": interval(self.gap), "importance": importance, "method": self.method}


def interval(estimate: Estimate) -> tuple[float, float] | None:
    """95 % confidence interval of a mean, by the normal approximation."""
    if estimate.stderr is None:
        return None
    return estimate.value - NORMAL_95 * estimate.stderr, estimate.value + NORMAL_95 * estimate.stderr


@torch.no_grad()
def estimate_log_likelihood(
    model: GenerativeModel,
    x: Tensor,
    method: str = "importance",
    samples: int = 5000,
    steps: int = 1000,
    chains: int = 16,
    leapfrog: int = 10,
    noise: float | None = None,
    widen: float = 1.0,
    label: Tensor | None = None,
    seed: int = 0,
    on_step: OnStep | None = None,
) -> LikelihoodEstimate:
    """Estimate ln p(x) in nats of events x (n, *event_shape) under a model that has codes and no exact density.

    `method` is importance (`samples` codes of the encoder's q(z | x), whose deviations are multiplied by `widen`), annealed
    (`chains` chains from the prior to the posterior in `steps` steps, each of `leapfrog` gradients), or prior (`samples` codes
    of the prior: for priors without a density). Decoders without likelihood (aae, wae) are given one: Bernoulli for x in
    {0, 1}, else Gaussian `noise`. A conditional model is asked for ln p(x | `label`). Memory is bounded; the same seed gives
    the same numbers on the same device. `on_step(rows done, rows)` is called as time goes on.

    Raises `CapabilityError` for models with an exact density or without codes, `ConfigError` and `DataError` for arguments.
    """
    if method not in METHODS:
        raise ConfigError(f"method={method!r} is unknown: {suggest(method, METHODS)}.")
    _check_counts(samples=samples, steps=steps, chains=chains, leapfrog=leapfrog)
    integrand, generator = integrand_of(model, noise), torch.Generator(model.device).manual_seed(seed)
    if not len(x):
        raise DataError("ln p(x) is estimated for at least one event, got none.")
    rows, settings = Rows(model.check(x), _checked_labels(model, label, len(x))), Chains(steps, chains, leapfrog)
    with _evaluating(model):
        if method == "importance":
            result = importance_rows(integrand, rows, samples, widen, generator, on_step)
        elif method == "annealed":
            result = annealed_rows(integrand, rows, settings, generator, on_step)
        else:
            result = prior_rows(integrand, rows, samples, generator, on_step)
    count = chains if method == "annealed" else samples
    words = _annealing(settings) if method == "annealed" else _sampling(method, integrand, samples, widen)
    warnings = _warnings(result.effective_samples, count, method)
    return LikelihoodEstimate(result.log_likelihood, result.effective_samples, count, integrand.density, words, warnings)


@torch.no_grad()
def simulate_and_check(
    model: GenerativeModel,
    n: int = 100,
    steps: int = 1000,
    chains: int = 16,
    leapfrog: int = 10,
    samples: int | None = None,
    noise: float | None = None,
    widen: float = 1.0,
    seed: int = 0,
    on_step: OnStep | None = None,
) -> BidirectionalCheck:
    """Bidirectional Monte Carlo: bounds of ln p(x) from below and above, on n events drawn from the model.

    z ~ p(z), x ~ p(x | z): then z is an exact draw of p(z | x), and annealed chains that start there and walk back to the
    prior give an upper bound. What it says of a setting holds for events of the model; data may be harder. `samples` asks
    for importance sampling of the same events. Labels of a conditional model are drawn at random.

    Source: Sandwiching the Marginal Likelihood Using Bidirectional Monte Carlo, Grosse, Ghahramani, Adams, 2015.
    """
    _check_counts(n=n, steps=steps, chains=chains, leapfrog=leapfrog, samples=1 if samples is None else samples)
    integrand, generator = integrand_of(model, noise), torch.Generator(model.device).manual_seed(seed)
    prior, settings, sampled = integrand.density_prior(), Chains(steps, chains, leapfrog), None
    with _evaluating(model):
        z = prior.sample(n, generator)
        label = torch.randint(model.classes, (n,), device=z.device, generator=generator) if model.classes else None
        rows = Rows(integrand.draw(z, label, generator), label)
        lower, upper = sandwiched_rows(integrand, rows, z, settings, generator, on_step)
        if samples is not None:
            sampled = mean_estimate(importance_rows(integrand, rows, samples, widen, generator, None).log_likelihood, "nats")
    words = f"{n:,} events drawn from the model; from both ends: {_annealing(settings)}"
    below, above, gap = (mean_estimate(values, "nats") for values in (lower, upper, upper - lower))
    return BidirectionalCheck(below, above, gap, sampled, words)


@contextmanager
def _evaluating(model: GenerativeModel) -> Iterator[None]:
    """The model without what only training does (dropout); afterwards as it was."""
    training = model.training
    model.eval()
    try:
        yield
    finally:
        model.train(training)


def _check_counts(**counts: int) -> None:
    for name, count in counts.items():
        if count < 1:
            raise ConfigError(f"{name} must be at least 1, got {count}.")


def _checked_labels(model: GenerativeModel, label: Tensor | None, n: int) -> Tensor | None:
    if not model.classes:
        if label is not None:
            raise ConfigError(f"{model.name} takes no label here: leave it out, or use a conditional model.")
        return None
    if label is None:
        raise ConfigError(f"this {model.name} is a model of p(x | label): give the label of every event.")
    label = torch.as_tensor(label)
    if label.is_floating_point() or label.shape != (n,) or not bool(((label >= 0) & (label < model.classes)).all()):
        raise ConfigError(f"label must be one of 0..{model.classes - 1} for each of {n} events, got {label!r}.")
    return label.long()


def _sampling(method: str, integrand: Integrand, samples: int, widen: float) -> str:
    if method == "prior":
        return f"simple Monte Carlo with {samples:,} codes of the prior a row"
    of = "the encoder's q(z | x)"
    if isinstance(integrand, DecoderIntegrand):
        of = f"N(encode(x), {integrand.deviation:.3g}² I), a deviation chosen on the first rows"
    wider = "" if widen == 1 else f", deviations times {widen:g}"
    return f"importance sampling with {samples:,} codes a row of {of}{wider}"


def _annealing(chains: Chains) -> str:
    return (
        f"annealed importance sampling with {chains.number} chains a row of {chains.steps:,} steps from the prior, each of "
        f"{chains.leapfrog} gradients (Hamiltonian Monte Carlo, step sizes from a pilot run)"
    )


def _warnings(effective: Tensor, count: int, method: str) -> tuple[str, ...]:
    """A sentence where so few weights decide that the estimate is a loose bound."""
    median = effective.median().item()
    if method == "annealed":
        few, remedy = count > FEW_CHAINS and median < FEW_CHAINS, "take more steps"
    else:
        few = count >= FEW and median < max(FEW, SMALL_SHARE * count)
        remedy = (
            "compare method='annealed', or widen=1.2" if method == "importance" else "take many more, or a prior with density"
        )
    if not few:
        return ()
    return (
        f"Of {count:,} weights a row {median:.1f} count (median): the estimate is a loose bound, ln p(x) may be well above it. "
        f"To be sure, {remedy}.",
    )
