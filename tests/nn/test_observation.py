"""Observation models are distributions: they sum to one, their draws follow them, and their means are means."""

import math

import pytest
import torch
from torch import nn
from torch.distributions import Normal, constraints

from pofx.core import ConfigError, LevelGrid, from_codes, to_codes
from pofx.nn.observation import LEAST_LOG_VARIANCE, GaussianObservation, LogisticObservation, observation

DISCRETE = [("bernoulli", None), ("logistic", 2), ("logistic", 3), ("logistic", 17), ("logistic", 256), ("categorical", 5)]
SHAPES = [(1, 2, 3), (4,)]  # pictures in [0, 1] and tables of integers


def outputs(model, shape, n=6, std=2.0):
    """What a decoder might give: (n, *shape), with an axis behind the first where a value has several outputs."""
    axes = (n, *shape) if model.per_value == 1 else (n, model.per_value, *shape)
    return std * torch.randn(axes, dtype=torch.float64, generator=torch.Generator().manual_seed(0))


def levels_in(model):
    return getattr(model.support, "levels", None) or int(getattr(model.support, "upper_bound", 1)) + 1


def each_level(model, output, shape):
    """ln p of each level for each value, (levels, n, *shape), told apart by events that differ in one value."""
    n, k = len(output), levels_in(model)
    base = torch.zeros(n, *shape, dtype=torch.float64)
    reference = model.log_prob(base, output)
    found = torch.zeros(k, n, *shape, dtype=torch.float64)
    for place in range(math.prod(shape)):
        for level in range(k):
            x = base.clone()
            x.flatten(1)[:, place] = from_codes(torch.tensor(level), model.support, torch.float64)
            found.flatten(2)[level, :, place] = model.log_prob(x, output) - reference
    return found  # up to a constant for each value, that of level 0


@pytest.mark.parametrize(("likelihood", "levels"), DISCRETE)
def test_probabilities_of_all_levels_sum_to_one(likelihood, levels):
    model = observation(likelihood, (1,), levels).double()
    output = outputs(model, (1,), n=500, std=3.0)
    values = from_codes(torch.arange(levels_in(model)), model.support, torch.float64)
    total = torch.stack([model.log_prob(value.expand(500, 1), output) for value in values]).logsumexp(0)
    torch.testing.assert_close(total, torch.zeros(500, dtype=torch.float64), rtol=0, atol=1e-9)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize(("likelihood", "levels"), [("bernoulli", None), ("logistic", 5), ("categorical", 4)])
def test_draws_match_the_probabilities_of_each_value(likelihood, levels, shape):
    model = observation(likelihood, shape, levels).double()
    output = outputs(model, shape, n=2, std=1.0)
    p = each_level(model, output, shape).softmax(0)
    many = model.draw(output.repeat(40_000, *[1] * (output.ndim - 1)), torch.Generator().manual_seed(0))
    assert model.support.check(many).all()
    codes = to_codes(many, model.support).view(40_000, 2, *shape)
    share = torch.stack([(codes == level).double().mean(0) for level in range(len(p))])
    torch.testing.assert_close(share, p, rtol=0, atol=0.012)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize(("likelihood", "levels"), [("bernoulli", None), ("categorical", 4)])
def test_the_mean_of_a_discrete_value_is_its_expectation(likelihood, levels, shape):
    model = observation(likelihood, shape, levels).double()
    output = outputs(model, shape)
    p = each_level(model, output, shape).softmax(0)
    values = from_codes(torch.arange(len(p)), model.support, torch.float64)
    torch.testing.assert_close(model.mean(output), torch.einsum("k,k...->...", values, p), rtol=0, atol=1e-9)


@pytest.mark.parametrize(("shape", "support"), [((1, 2, 3), LevelGrid(9)), ((4,), constraints.integer_interval(0, 8))])
def test_a_narrow_logistic_has_the_level_nearest_to_its_location(shape, support):
    model = observation("logistic", shape, 9).double()
    assert str(model.support) == str(support)
    output = outputs(model, shape, n=200, std=0.4)
    output[:, 1] = -100.0
    mean = model.mean(output)
    assert ((mean >= 0) & (mean <= from_codes(torch.tensor(8), model.support))).all()
    drawn = model.draw(output, torch.Generator().manual_seed(0))
    codes = to_codes(mean, model.support)
    distinct = (mean * (8 if len(shape) == 3 else 1) - codes).abs() < 0.45  # a location half-way may fall either side
    assert torch.equal(to_codes(drawn, model.support)[distinct], codes[distinct])
    assert (model.log_prob(from_codes(codes, model.support, torch.float64), output) > math.prod(shape) * math.log(0.49)).all()


def test_a_logistic_value_far_from_its_location_is_finite_and_has_a_gradient():
    model = LogisticObservation(256, (1, 1, 1)).double()
    output = torch.tensor([[30.0, -9.0], [-30.0, -9.0], [0.0, 40.0], [0.0, -40.0]], dtype=torch.float64)
    output = output[:, :, None, None, None].requires_grad_()
    for value in (0.0, 100 / 255, 1.0):
        log_prob = model.log_prob(torch.full((4, 1, 1, 1), value, dtype=torch.float64), output)
        (gradient,) = torch.autograd.grad(log_prob.sum(), output)
        assert log_prob.isfinite().all()
        assert gradient.isfinite().all()
        assert (gradient[:2, 0] != 0).any()


@pytest.mark.parametrize("variance", [None, 0.3])
def test_the_gaussian_is_that_of_torch(variance):
    model = GaussianObservation(variance).double()
    if variance is None:
        nn.init.constant_(model.scaled_log_variance, 0.07)
    deviation = math.exp(0.35) if variance is None else math.sqrt(0.3)
    x, mean = (torch.randn(5, 2, 3, dtype=torch.float64) for _ in range(2))
    expected = Normal(mean, deviation).log_prob(x).flatten(1).sum(1)
    torch.testing.assert_close(model.log_prob(x, mean), expected, rtol=0, atol=1e-12)
    assert torch.equal(model.mean(mean), mean)
    drawn = model.draw(mean.expand(20_000, 5, 2, 3), torch.Generator().manual_seed(0))
    torch.testing.assert_close(drawn.mean(0), mean, rtol=0, atol=0.05)
    assert (drawn - mean).std().item() == pytest.approx(deviation, rel=0.01)
    assert sum(1 for _ in model.parameters()) == (variance is None)


def test_the_best_variance_is_the_mean_squared_error_and_it_has_a_floor():
    model = GaussianObservation().double()
    x, mean = (torch.randn(50, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(s)) for s in (0, 1))
    error = (x - mean).square().mean()
    nn.init.constant_(model.scaled_log_variance, math.log(error) / 10)
    (gradient,) = torch.autograd.grad(model.log_prob(x, mean).mean(), model.scaled_log_variance)
    assert abs(gradient) < 1e-10
    assert model.log_prob(x, mean).mean().item() == pytest.approx(-2 * (math.log(2 * math.pi * error) + 1), rel=1e-12)
    nn.init.constant_(model.scaled_log_variance, -100.0)
    assert model.log_variance() == LEAST_LOG_VARIANCE


@pytest.mark.parametrize(
    ("likelihood", "levels"), [("bernoulli", None), ("gaussian", None), ("logistic", 5), ("categorical", 4)]
)
def test_no_rows_give_no_events(likelihood, levels):
    model = observation(likelihood, (1, 2, 3), levels)
    output = outputs(model, (1, 2, 3), n=0)
    assert model.draw(output).shape == model.mean(output).shape == (0, 1, 2, 3)
    assert model.log_prob(torch.zeros(0, 1, 2, 3), output).shape == (0,)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({"likelihood": "gausian"}, "likelihood='gausian' is unknown: did you mean 'gaussian'"),
        ({"likelihood": "logistic"}, r"likelihood='logistic' needs levels, .*\(at least 2\), got None"),
        ({"likelihood": "categorical", "levels": 1}, "likelihood='categorical' needs levels"),
        ({"likelihood": "gaussian", "variance": -1.0}, "variance must be a positive number"),
        ({"likelihood": "gaussian", "variance": math.nan}, "variance must be a positive number"),
        ({"likelihood": "bernoulli", "variance": 1.0}, "variance must be a positive number, for likelihood='gaussian' alone"),
    ],
)
def test_what_makes_no_observation_model_is_refused(arguments, sentence):
    with pytest.raises(ConfigError, match=sentence):
        observation(event_shape=(4,), **arguments)
