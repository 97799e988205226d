"""Estimates of ln p(x) of models with codes: against exact values, their words and warnings, and the command."""

import json
import math

import pytest
import torch
from torch import nn
from torch.distributions import MultivariateNormal, constraints

import pofx
from pofx.core import (
    ApproximateDensity,
    CapabilityError,
    ConfigError,
    DataError,
    Decodes,
    Encodes,
    GenerativeModel,
    LatentVariable,
    Reconstructs,
    TractableDensity,
)
from pofx.functional.likelihoods import gaussian_log_prob
from pofx.likelihood import estimate_log_likelihood, simulate_and_check
from pofx.nn.priors import Gaussian, LearnedMixture, Points, Uniform


class Exact(GenerativeModel, TractableDensity):
    name, summary = "exact", "has a density"

    def __init__(self):
        super().__init__()
        self.event_shape, self.support = (2,), constraints.real

    def players(self):
        return []

    def log_prob(self, x):
        return x.sum(1)


class Linear(GenerativeModel, ApproximateDensity, LatentVariable):
    """x = W z + b_label + noise, z ~ N(0, I), of known ln p(x); q has the posterior's mean, and `share` times its variances."""

    name, summary = "linear", "linear-Gaussian"

    def __init__(self, dims=4, latent=2, variance=0.5, classes=None, share=1.0):
        super().__init__()
        self.event_shape, self.support, self.classes = (dims,), constraints.real, classes
        self.variance, self.share, self.most = variance, share, 0
        generator = torch.Generator().manual_seed(1)
        self.W = nn.Parameter(torch.randn(dims, latent, generator=generator, dtype=torch.float64))
        self.shifts = nn.Parameter(torch.randn(classes or 1, dims, generator=generator, dtype=torch.float64))
        self.prior = Gaussian(latent).double()

    def players(self):
        return []

    def elbo(self, x, samples=1):
        raise NotImplementedError

    def mean(self, z, condition):
        return z @ self.W.T + (self.shifts[condition] if self.classes else self.shifts[0])

    def posterior(self, x, condition=None):
        covariance = torch.linalg.inv(torch.eye(self.W.shape[1], dtype=x.dtype) + self.W.T @ self.W / self.variance)
        mean = (x - self.mean(torch.zeros(len(x), self.W.shape[1], dtype=x.dtype), condition)) @ self.W @ covariance
        return mean / self.variance, (self.share * covariance.diagonal()).log().expand(len(x), -1)

    def log_likelihood_given(self, x, z, condition=None):
        assert not self.training
        self.most = max(self.most, x.numel())
        return gaussian_log_prob(x, self.mean(z, condition), torch.tensor(self.variance, dtype=x.dtype).log())

    def draw_given(self, z, condition=None, generator=None):
        noise = torch.randn(len(z), *self.event_shape, dtype=z.dtype, generator=generator)
        return self.mean(z, condition) + self.variance**0.5 * noise

    def exact(self, x, condition=None):
        covariance = self.W @ self.W.T + self.variance * torch.eye(len(self.W), dtype=x.dtype)
        shift = self.mean(torch.zeros(len(x), self.W.shape[1], dtype=x.dtype), condition)
        return MultivariateNormal(torch.zeros_like(x[0]), covariance).log_prob(x - shift).detach()


class Autoencoder(GenerativeModel, Encodes, Decodes, Reconstructs):
    """A linear decoder without a likelihood."""

    name, summary = "autoencoder", "no density"

    def __init__(self, prior, support=constraints.real, dims=3):
        super().__init__()
        self.event_shape, self.support, self.prior, self.latent = (dims,), support, prior, prior.latent
        generator = torch.Generator().manual_seed(2)
        self.W = nn.Parameter(torch.randn(dims, prior.latent, generator=generator, dtype=torch.float64))

    def players(self):
        return []

    @torch.no_grad()
    def encode(self, x):
        return (x - 0.5) @ self.W if self.support is constraints.boolean else x @ torch.linalg.pinv(self.W).T

    def decode(self, z):
        x = z @ self.W.T
        return x.sigmoid() if self.support is constraints.boolean else x

    def reconstruct(self, x, condition=None):
        return self.decode(self.encode(x))

    def interpolate(self, a, b, steps=8, condition=None):
        raise NotImplementedError


def events(model, n=200, label=None):
    generator = torch.Generator().manual_seed(3)
    z = torch.randn(n, model.prior.latent, dtype=torch.float64, generator=generator)
    return model.draw_given(z, label, generator).detach()


METHODS = {
    "importance": {"samples": 2000},
    "annealed": {"steps": 120, "chains": 8, "leapfrog": 4},
    "prior": {"samples": 10_000},
}


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("shape", [(1, 1), (4, 2)])
def test_every_method_finds_the_likelihood_of_a_linear_gaussian_model(method, shape):
    model = Linear(*shape)
    x = events(model, 50)
    estimate, exact = estimate_log_likelihood(model, x, method, **METHODS[method]), model.exact(x)
    low, high = estimate.interval
    assert low < exact.mean() < high
    assert abs(estimate.mean.value - exact.mean().item()) < 0.06
    torch.testing.assert_close(estimate.log_likelihood, exact, rtol=0, atol=0.5)
    assert estimate.log_likelihood.dtype == torch.float64
    assert estimate.mean.n == 50
    assert estimate.kind == "lower bound in expectation"


def test_the_interval_is_normal_over_rows_and_knows_the_noise_of_the_estimates():
    model = Linear(share=0.5)
    x = events(model)
    few = estimate_log_likelihood(model, x, samples=20)
    mean, stderr = few.log_likelihood.mean().item(), few.log_likelihood.std().item() / 200**0.5
    assert few.interval == pytest.approx((mean - 1.96 * stderr, mean + 1.96 * stderr))
    again = [estimate_log_likelihood(model, x, samples=20, seed=seed).mean.value for seed in range(1, 40)]
    assert few.monte_carlo_error == pytest.approx(torch.tensor(again).std().item(), rel=0.4)
    assert estimate_log_likelihood(model, x[:1], samples=20).interval is None


def test_a_proposal_that_misses_the_posterior_is_said_aloud():
    model = Linear(dims=20, latent=8, variance=0.05, share=0.02)
    x = events(model, 30)
    estimate = estimate_log_likelihood(model, x, samples=500)
    (sentence,) = estimate.warnings
    assert "Of 500 weights a row" in sentence
    assert "loose bound" in sentence
    assert estimate.mean.value < model.exact(x).mean().item() - 1
    wide = estimate_log_likelihood(model, x, samples=500, widen=7)
    assert wide.warnings == ()
    assert wide.mean.value > estimate.mean.value + 1
    short = estimate_log_likelihood(model, x, "annealed", steps=3, chains=8)
    assert "take more steps" in short.warnings[0]


def test_memory_is_bounded_and_blocks_change_nothing():
    model = Linear(dims=300, latent=2)
    x = events(model, 400)
    estimate = estimate_log_likelihood(model, x, samples=64)
    assert model.most <= 200_000
    assert len(estimate.log_likelihood) == 400
    torch.testing.assert_close(estimate.log_likelihood, model.exact(x), rtol=0, atol=1.0)
    estimate_log_likelihood(model, x[:30], "annealed", steps=3, chains=40)
    assert model.most <= 200_000


def test_the_same_seed_gives_the_same_numbers_and_nothing_else_is_touched():
    model = Linear()
    x, state = events(model, 20), torch.get_rng_state()
    model.train()
    for method, settings in METHODS.items():
        settings = settings | {"samples": 50, "steps": 10}
        one, same, other = (estimate_log_likelihood(model, x, method, **settings, seed=s).log_likelihood for s in (0, 0, 1))
        assert torch.equal(one, same)
        assert not torch.equal(one, other)
    assert torch.equal(torch.get_rng_state(), state)
    assert model.training
    assert all(p.grad is None for p in model.parameters())


@pytest.mark.parametrize("method", METHODS)
def test_progress_is_told_in_rows(method):
    told, model = [], Linear(dims=300)
    estimate_log_likelihood(
        model, events(model, 300), method, samples=10, steps=5, chains=2, on_step=lambda done, total: told.append((done, total))
    )
    assert told[-1] == (300, 300)
    done = [d for d, _ in told]
    assert done == sorted(done)
    assert len(set(done)) > 1


def test_a_conditional_model_is_asked_for_the_likelihood_given_labels():
    model = Linear(classes=3)
    label = torch.arange(60) % 3
    x = events(model, 60, label)
    for method, settings in METHODS.items():
        estimate = estimate_log_likelihood(model, x, method, **settings, label=label)
        assert abs(estimate.mean.value - model.exact(x, label).mean().item()) < 0.06
        assert "ln p(x | label)" in estimate.density
    check = simulate_and_check(model, 30, steps=40, chains=4, leapfrog=4)
    assert -0.2 < check.gap.value < 0.5
    for wrong in (None, label[:5], label.double(), label + 1):
        with pytest.raises(ConfigError, match="label"):
            estimate_log_likelihood(model, x, label=wrong)
    with pytest.raises(ConfigError, match="linear takes no label here"):
        estimate_log_likelihood(Linear(), events(Linear()), label=torch.zeros(200))


def test_bounds_from_both_sides_hold_the_likelihood_of_simulated_events():
    model, gaps = Linear(dims=6, latent=3, variance=0.2), []
    for steps in (10, 80):
        check = simulate_and_check(model, 50, steps=steps, chains=8, leapfrog=5, samples=500)
        generator = torch.Generator().manual_seed(0)
        x = model.draw_given(model.prior.sample(50, generator), None, generator)  # the events of the check
        exact = model.exact(x).mean().item()
        spread = check.gap.stderr
        assert check.lower.value - 3 * spread < exact < check.upper.value + 3 * spread
        assert check.gap.value == pytest.approx(check.upper.value - check.lower.value)
        assert abs(check.importance.value - exact) < 0.05
        gaps.append(check.gap.value)
    assert gaps[0] > 3
    assert gaps[1] < 1
    assert simulate_and_check(model, 5, steps=2, chains=2).importance is None
    assert json.loads(json.dumps(check.as_dict()))["gap"]["n"] == 50


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("std", [1.0, 1.5])
def test_a_decoder_is_given_gaussian_noise_and_that_is_said(method, std):
    model = Autoencoder(Gaussian(2, std).double())
    covariance = std**2 * model.W @ model.W.T + 0.25 * torch.eye(3)
    exact = MultivariateNormal(torch.zeros(3, dtype=torch.float64), covariance.detach())
    torch.manual_seed(0)
    x = exact.sample((40,))
    estimate = estimate_log_likelihood(model, x, method, noise=0.5, **METHODS[method])
    assert abs(estimate.mean.value - exact.log_prob(x).mean().item()) < 0.2
    assert "decoder with Gaussian observation noise σ = 0.5, which is not part of the model" in estimate.density


def test_a_decoder_of_binary_events_is_checked_by_adding_up_all_of_them():
    model = Autoencoder(Gaussian(1).double(), constraints.boolean)
    x = torch.cartesian_prod(*[torch.tensor([0.0, 1.0], dtype=torch.float64)] * 3)
    for method, settings in METHODS.items():
        estimate = estimate_log_likelihood(model, x, method, **settings)
        assert estimate.log_likelihood.exp().sum().item() == pytest.approx(1, abs=0.02)
        assert "Bernoulli observation noise" in estimate.density
    assert simulate_and_check(model, 30, steps=50, chains=4).gap.value == pytest.approx(0, abs=0.15)
    with pytest.raises(ConfigError, match=r"noise=0.1 is for real values, and this autoencoder has \{0, 1\}"):
        estimate_log_likelihood(model, x, noise=0.1)


@pytest.mark.parametrize("prior", [Uniform(2), Points(2, torch.tensor([[0.0, 1.0], [1.0, -1.0]]))])
def test_a_prior_without_density_can_only_be_sampled(prior):
    model = Autoencoder(prior.double())
    x = model.decode(prior.sample(20)).detach()
    for method in ("importance", "annealed"):
        with pytest.raises(ConfigError, match=r"can be sampled and has no density.*use method='prior'"):
            estimate_log_likelihood(model, x, method, noise=0.5)
    with pytest.raises(ConfigError, match="no density"):
        simulate_and_check(model, 5, noise=0.5)
    estimate = estimate_log_likelihood(model, x, "prior", noise=0.5, samples=20_000)
    if isinstance(prior, Points):  # a mixture of two Gaussians
        parts = [
            MultivariateNormal(m, 0.25 * torch.eye(3, dtype=torch.float64)).log_prob(x) for m in model.decode(prior.points)
        ]
        expected = torch.stack(parts).logsumexp(0) - math.log(2)
        torch.testing.assert_close(estimate.log_likelihood, expected, rtol=0, atol=0.05)


def test_a_prior_with_any_density_will_do():
    model = Linear()
    torch.manual_seed(0)
    model.prior = LearnedMixture(2, 3).double()
    x = events(model, 20)
    by_codes, by_chains, by_prior = (
        estimate_log_likelihood(model, x, m, samples=10_000, steps=120, chains=8, leapfrog=4, widen=1.5).mean.value
        for m in METHODS
    )
    assert by_prior == pytest.approx(by_codes, abs=0.1)
    assert by_chains == pytest.approx(by_codes, abs=0.1)


def test_models_without_such_a_likelihood_say_so():
    x = torch.zeros(3, 2)
    with pytest.raises(CapabilityError, match=r"exact has an exact density, and nothing needs to be estimated.*pofx score"):
        estimate_log_likelihood(Exact(), x)
    with pytest.raises(CapabilityError, match="exact has an exact density"):
        simulate_and_check(Exact())
    coded = Autoencoder(Gaussian(2).double())
    coded.classes = 3
    with pytest.raises(CapabilityError, match="autoencoder with labels or categories has no likelihood"):
        estimate_log_likelihood(coded, torch.zeros(3, 3))


def test_a_decoder_without_gradients_cannot_be_annealed():
    class Frozen(Autoencoder):
        name = "frozen"

        def decode(self, z):
            return (z @ self.W.T).detach()

    with pytest.raises(CapabilityError, match="decode of frozen has no gradient in z"):
        estimate_log_likelihood(Frozen(Gaussian(2).double()), torch.zeros(3, 3, dtype=torch.float64), "annealed", noise=1.0)


MISTAKES = [
    ({"method": "importence"}, ConfigError, "method='importence' is unknown: did you mean 'importance'?"),
    ({"samples": 0}, ConfigError, "samples must be at least 1, got 0"),
    ({"steps": 0}, ConfigError, "steps must be at least 1, got 0"),
    ({"chains": -1}, ConfigError, "chains must be at least 1, got -1"),
    ({"leapfrog": 0}, ConfigError, "leapfrog must be at least 1, got 0"),
    ({"widen": 0.0}, ConfigError, "widen must be a positive number, got 0.0"),
    ({"noise": 0.1}, ConfigError, "noise=0.1 is for decoders without a likelihood, and linear has its own"),
    ({"x": torch.zeros(3, 5)}, DataError, r"linear expects x of shape \(n, 4\), got \(3, 5\)"),
    ({"x": torch.zeros(0, 4)}, DataError, "at least one event, got none"),
    ({"x": torch.full((1, 4), torch.nan)}, DataError, "got nan in row 0"),
]


@pytest.mark.parametrize(("arguments", "error", "sentence"), MISTAKES)
def test_mistakes_are_sentences(arguments, error, sentence):
    with pytest.raises(error, match=sentence):
        estimate_log_likelihood(Linear(), **{"x": torch.zeros(3, 4, dtype=torch.float64), **arguments})


@pytest.mark.parametrize("noise", [None, 0.0, -1.0, math.inf])
def test_a_decoder_needs_a_positive_noise(noise):
    with pytest.raises(ConfigError, match=rf"has a decoder and no likelihood: give noise.*got {noise}"):
        estimate_log_likelihood(Autoencoder(Gaussian(2).double()), torch.zeros(3, 3), noise=noise)


@pytest.fixture
def run(call, home):
    """Train a tiny model: run("vae", "hidden=[16]") -> its directory."""

    def train(model, *assignments, data="digits", options=()):
        settings = [word for text in assignments for word in ("--set", text)]
        code, _, err = call("fit", model, data, "--steps", 20, "--out", model, *settings, *options)
        assert code == 0, err
        return home / model

    return train


def test_the_command_prints_a_table_and_writes_all_figures(call, run):
    path = run("vae", "hidden=[16]", "latent=2", options=("--binarize", "yes"))
    code, out, err = call(
        "likelihood", "vae", "digits", "--samples", 60, "--rows", 20, "--check", "--check-rows", 6, "--steps", 8, "--chains", 4
    )
    assert code == 0, err
    figures = json.loads((path / "likelihood.json").read_text())
    estimate = figures["estimate"]
    assert estimate["n"] == 20
    assert estimate["kind"] == "lower bound in expectation"
    assert f"{estimate['value']:.3f} ± {estimate['stderr']:.3f}" in out
    for words in (
        "importance sampling: ≥",
        "Effective samples a row: median",
        "60 codes a row of the encoder's q(z | x)",
        "gap",
    ):
        assert words in out
    model, data = pofx.load(path), pofx.load_data("digits", binarize=True)
    expected = estimate_log_likelihood(model, data.test.x[:20], samples=60).mean
    assert estimate["value"] == pytest.approx(expected.value)
    assert figures["check"]["lower"]["n"] == 6
    assert figures["check"]["importance"]["n"] == 6
    code, out, _ = call("likelihood", "vae", "digits", "--method", "annealed", "--steps", 4, "--chains", 2, "--split", "valid")
    assert code == 0
    figures = json.loads((path / "likelihood.json").read_text())
    assert figures["estimate"]["n"] == 100  # chains take long: fewer rows unless the user names a number
    assert figures["check"] is None
    assert "annealed importance sampling with 2 chains a row of 4 steps" in out


def test_the_bound_of_many_samples_lies_above_that_of_the_model_itself(call, run):
    path = run("vae", "hidden=[16]", "latent=2", options=("--binarize", "yes"))
    model, x = pofx.load(path), pofx.load_data("digits", binarize=True).test.x[:50]
    estimate = estimate_log_likelihood(model, x, samples=500).log_likelihood
    torch.manual_seed(0)
    with torch.no_grad():
        assert (model.elbo(x, samples=1).double() < estimate + 0.5).float().mean() > 0.9
        same = torch.stack([model.elbo(x, samples=500).double() for _ in range(5)])
    assert abs((same.mean(0) - estimate).mean()) < 0.05


def test_the_command_of_a_conditional_model_takes_the_labels_of_the_data(call, run):
    run("vae", "hidden=[16]", "latent=2", "classes=10", options=("--binarize", "yes"))
    code, out, err = call("likelihood", "vae", "digits", "--samples", 20, "--rows", 30)
    assert code == 0, err
    assert "ln p(x | label) of the vae" in " ".join(out.split())


def test_what_the_command_cannot_do_is_one_sentence(call, run):
    run("vae", "hidden=[16]", "latent=2", options=("--binarize", "yes"))
    run("gan", "hidden=[16]")
    run("nade", "hidden=8")
    for arguments, sentence in (
        (("vae", "digits", "--method", "anealed"), "method='anealed' is unknown: did you mean 'annealed'?"),
        (("vae", "digits", "--noise", 0.1), "noise=0.1 is for decoders without a likelihood, and vae has its own"),
        (("vae", "digits", "--widen", 0), "widen must be a positive number, got 0.0"),
        (("vae", "digits", "--split", "tests"), "split='tests' is unknown: did you mean 'test'?"),
        (("vae", "digts"), "there is no data set and no file 'digts'"),
        (("gan", "digits"), "gan has no likelihood, and no encoder and decoder over one prior"),
        (("nade", "digits"), "nade has an exact density, and nothing needs to be estimated"),
        (("nothing", "digits"), "nothing holds no pofx run"),
    ):
        code, _, err = call("likelihood", *arguments)
        assert code == 2, arguments
        assert sentence in err
        assert "Traceback" not in err
