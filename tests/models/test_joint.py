"""The joint table: exact counts, exact conditioning, and the size of an RGB pixel."""

import math

import pytest
import torch
from scipy.stats import chisquare

from pofx.core import ConfigError, DataError
from pofx.models import Autoregressive, Joint


def counted(shape, levels, rows, smoothing=0.0, seed=0):
    model = Joint(shape, levels=levels, smoothing=smoothing)
    codes = torch.randint(0, levels, (rows, *shape), generator=torch.Generator().manual_seed(seed))
    x = codes.double() / (levels - 1 if levels > 2 and len(shape) == 3 else 1)
    model.count(x)
    return model, x


@pytest.mark.parametrize(("shape", "levels"), [((1,), 2), ((4,), 2), ((3,), 3), ((1, 1, 2), 3), ((2, 1, 2), 2)])
@pytest.mark.parametrize("smoothing", [0.0, 0.5])
def test_probabilities_are_smoothed_shares_and_sum_to_one(shape, levels, smoothing, all_events):
    model, x = counted(shape, levels, 40, smoothing)
    events = all_events(model)
    counts = torch.stack([(x == event).flatten(1).all(1).sum() for event in events]).double()
    expected = (counts + smoothing) / (40 + smoothing * len(events))
    torch.testing.assert_close(model.log_prob(events).exp(), expected, rtol=0, atol=1e-12)
    assert model.log_prob(events).exp().sum().item() == pytest.approx(1, abs=1e-12)


@pytest.mark.parametrize(("levels", "dims"), [(2, 5), (3, 3)])
def test_an_unfitted_table_is_uniform(levels, dims, all_events):
    for smoothing in (0.0, 1.0):
        model = Joint((dims,), levels=levels, smoothing=smoothing)
        torch.testing.assert_close(
            model.log_prob(all_events(model)), torch.full((levels**dims,), -dims * math.log(levels)).double()
        )


def test_counting_adds_up_and_forgets():
    model, x = counted((3,), 2, 20)
    half = Joint((3,), smoothing=0.0)
    half.count(x[:7])
    half.count(x[7:])
    assert torch.equal(half.counts, model.counts)
    model.forget()
    assert model.counts.sum() == 0


def test_parameter_counts():
    assert Joint((3, 1, 1), levels=256).parameter_count() == 16_777_215
    assert Joint((10,)).parameter_count() == 2**10 - 1
    assert Joint((4,), levels=5).parameter_count() == 5**4 - 1


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (
            {"event_shape": (1, 28, 28)},
            r"joint would need 1.0e\+236 parameters for 784 variables of 2 values; it takes at most 20",
        ),
        ({"event_shape": (10,), "levels": 256}, "joint would need 1.2e\\+24 parameters"),
        ({"event_shape": (3,), "levels": 1}, "levels must be a whole number of at least 2 .*, got 1"),
        ({"event_shape": (3,), "smoothing": -0.5}, "smoothing is a pseudo-count and must be at least 0, got -0.5"),
    ],
)
def test_what_makes_no_table_is_refused(arguments, sentence):
    with pytest.raises(ConfigError, match=sentence):
        Joint(**arguments)


def test_values_outside_the_table_are_refused():
    with pytest.raises(DataError, match=r"joint expects values in \{0, ..., 2\}, got 3 in row 0 of x"):
        Joint((2,), levels=3).count(torch.tensor([[0.0, 3.0]]))


def test_samples_follow_the_table(all_events):
    model, _ = counted((2,), 3, 60, smoothing=0.5)
    events = all_events(model)
    x = model.sample(90_000, generator=torch.Generator().manual_seed(0))
    observed = torch.stack([(x == event).all(1).sum() for event in events])
    assert chisquare(observed, 90_000 * model.log_prob(events).exp()).pvalue > 1e-3


def test_events_without_probability_are_never_drawn():
    model = Joint((2,), smoothing=0.0)
    model.count(torch.tensor([[0.0, 1.0], [1.0, 0.0]]))
    x = model.sample(1000, generator=torch.Generator().manual_seed(0))
    assert (x.sum(1) == 1).all()


@pytest.mark.parametrize("model", [Joint((2,), smoothing=0.0), Autoregressive((2,), smoothing=0.0)], ids=lambda m: m.name)
def test_the_smallest_random_number_draws_nothing_impossible(model, monkeypatch):
    model.count(torch.ones(3, 2))
    monkeypatch.setattr(torch, "rand", lambda *shape, dtype, **_: torch.zeros(*shape, dtype=dtype))
    assert (model.sample(4) == 1).all()


@pytest.mark.parametrize("observed", [[], [0], [2], [0, 1], [0, 1, 2]])
def test_inpainting_draws_from_the_conditional_table(observed, all_events):
    model, _ = counted((3,), 3, 60, smoothing=0.2)
    events, draws = all_events(model), 40_000
    given = torch.tensor([[2.0, 0.0, 1.0]])
    mask = torch.zeros(1, 3, dtype=torch.bool)
    mask[:, observed] = True
    x = model.inpaint(given.repeat(draws, 1), mask.repeat(draws, 1), generator=torch.Generator().manual_seed(1))
    possible = (~mask | (events == given)).all(1)
    weights = model.log_prob(events).exp() * possible
    frequencies = torch.stack([(x == event).all(1).sum() for event in events])
    assert frequencies[~possible].sum() == 0
    expected = draws * weights[possible] / weights.sum()
    assert len(expected) == 1 or chisquare(frequencies[possible], expected).pvalue > 1e-3


def test_inpainting_takes_a_mask_of_its_own_for_every_event():
    model, x = counted((4,), 2, 30, smoothing=0.5)
    mask = torch.rand(30, 4, generator=torch.Generator().manual_seed(2)) < 0.5
    missing = torch.where(mask, x, torch.full_like(x, math.nan))
    result = model.inpaint(missing, mask, generator=torch.Generator().manual_seed(3))
    assert (result[mask] == x[mask]).all()
    assert model.support.check(result).all()


def test_the_full_window_chain_is_another_form_of_the_table(all_events):
    model, x = counted((4,), 3, 500)
    chain = Autoregressive((4,), levels=3, window=3, smoothing=0.0)
    chain.count(x)
    events = all_events(model)
    seen = model.log_prob(events).isfinite()
    torch.testing.assert_close(chain.log_prob(events)[seen], model.log_prob(events)[seen], rtol=0, atol=1e-12)
    assert (chain.log_prob(events)[~seen].exp() == 0).all()
