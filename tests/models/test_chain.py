"""Chains of tables: what counting gives, against brute force over every event."""

import math
from itertools import pairwise, product

import pytest
import torch
from scipy.stats import chisquare

from pofx.core import ConfigError, DataError
from pofx.models import Autoregressive, Independent, Markov

SIZES = [(2, 5), (3, 4)]  # values and variables
ORDERS = ["raster", "random"]


def some_events(levels, shape, rows=60, seed=0):
    codes = torch.randint(0, levels, (rows, *shape), generator=torch.Generator().manual_seed(seed))
    codes[:, ..., 1:] = torch.where(torch.rand(codes[..., 1:].shape, generator=torch.Generator().manual_seed(1)) < 0.6,
                                    codes[..., :-1], codes[..., 1:])  # fmt: skip
    return codes.double() / (levels - 1 if levels > 2 and len(shape) == 3 else 1)


def fitted(levels, shape, window, smoothing=1.0, order="raster", rows=60):
    model = Autoregressive(shape, levels=levels, window=window, smoothing=smoothing, order=order, order_seed=5)
    model.count(some_events(levels, shape, rows))
    return model


def brute_force_log_prob(x, data, levels, window, smoothing, order):
    """The definition, counted row by row."""
    total = 0.0
    for place, variable in enumerate(order):
        before = order[max(0, place - window) : place]
        same = data[(data[:, before] == x[before]).all(1)]
        hits = (same[:, variable] == x[variable]).sum().item()
        total += math.log((hits + smoothing) / (len(same) + levels * smoothing))
    return total


@pytest.mark.parametrize(("levels", "dims"), SIZES)
@pytest.mark.parametrize("window", [0, 1, 2, 3, 9])
@pytest.mark.parametrize("order", ORDERS)
def test_probabilities_sum_to_one(levels, dims, window, order, all_events):
    model = fitted(levels, (dims,), window, 0.3, order)
    assert model.log_prob(all_events(model)).exp().sum().item() == pytest.approx(1, abs=1e-10)


@pytest.mark.parametrize("order", ["raster", "snake", "random"])
def test_probabilities_of_pictures_sum_to_one(order, all_events):
    model = fitted(3, (1, 2, 3), 2, 0.3, order)
    assert model.log_prob(all_events(model)).exp().sum().item() == pytest.approx(1, abs=1e-10)


@pytest.mark.parametrize(("levels", "dims"), SIZES)
@pytest.mark.parametrize("window", [0, 1, 2, 3])
@pytest.mark.parametrize("order", ORDERS)
def test_probabilities_are_those_of_the_definition(levels, dims, window, order, all_events):
    model = fitted(levels, (dims,), window, 0.5, order)
    events, data = all_events(model), some_events(levels, (dims,))
    expected = [brute_force_log_prob(x, data, levels, window, 0.5, model.permutation.tolist()) for x in events[::7]]
    torch.testing.assert_close(model.log_prob(events[::7]), torch.tensor(expected, dtype=torch.float64), rtol=0, atol=1e-12)


def test_independence_is_the_product_of_the_marginals(all_events):
    data = some_events(3, (4,))
    model = Independent((4,), levels=3, smoothing=0.0)
    model.count(data)
    shares = torch.stack([(data == value).double().mean(0) for value in range(3)])
    events = all_events(model)
    torch.testing.assert_close(model.log_prob(events), shares.log().gather(0, events.long()).sum(1), rtol=0, atol=1e-12)


def test_windows_of_zero_and_one_are_independence_and_the_markov_chain(all_events):
    data = some_events(3, (4,))
    for window, other in ((0, Independent((4,), levels=3)), (1, Markov((4,), levels=3, order="random", order_seed=5))):
        model = fitted(3, (4,), window, order="random")
        other.count(data)
        torch.testing.assert_close(other.log_prob(all_events(other)), model.log_prob(all_events(model)), rtol=0, atol=1e-12)


def test_the_full_window_gives_every_order_the_empirical_joint(all_events):
    data = some_events(2, (4,), rows=200)
    for order in ORDERS:
        model = fitted(2, (4,), 3, smoothing=0.0, order=order, rows=200)
        events = all_events(model)
        share = torch.stack([(data == event).all(1).double().mean() for event in events])
        torch.testing.assert_close(model.log_prob(events).exp(), share, rtol=0, atol=1e-12)


def test_the_training_likelihood_never_falls_with_the_window():
    data = some_events(3, (6,), rows=80)
    values = [fitted(3, (6,), window, smoothing=0.0, rows=80).log_prob(data).mean().item() for window in range(6)]
    assert values == sorted(values)
    assert values[-1] > values[0]


@pytest.mark.parametrize(("levels", "dims", "window"), [(k, n, w) for k in (2, 3, 5) for n in (1, 4, 6) for w in (0, 1, 3, 9)])
def test_parameter_counts_follow_the_formula(levels, dims, window):
    k = min(window, dims - 1)
    expected = levels**k - 1 + (dims - k) * (levels - 1) * levels**k
    assert Autoregressive((dims,), levels=levels, window=window).parameter_count() == expected


def test_parameter_counts_of_28_by_28_pixels():
    shape = (1, 28, 28)
    counts = [m.parameter_count() for m in (Independent(shape), Markov(shape), Autoregressive(shape, window=8))]
    assert counts == [784, 1_567, 198_911]


@pytest.fixture
def worked_example():
    """p(x1 = 1) = 0.6, p(1 | 1) = 0.7, p(1 | 0) = 0.2, three variables, from ten thousand events counted."""
    model = Markov((3,), smoothing=0.0)
    first, after_one, after_zero = 0.6, 0.7, 0.2
    for event in product((0, 1), repeat=3):
        p = first if event[0] else 1 - first
        for before, now in pairwise(event):
            one = after_one if before else after_zero
            p *= one if now else 1 - one
        model.count(torch.tensor([event]).double().repeat(round(10_000 * p), 1))
    return model


def test_the_worked_example(worked_example):
    def evidence(values, seen):
        x, mask = torch.tensor([values]).double(), torch.tensor([seen], dtype=torch.bool)
        return worked_example.log_prob_observed(x, mask).exp().item()

    assert worked_example.log_prob(torch.tensor([[1.0, 0, 1]]).double()).item() == pytest.approx(-3.324236, abs=1e-6)
    assert evidence([0, 1, 0], [0, 1, 0]) == pytest.approx(0.5, abs=1e-12)
    assert evidence([0, 0, 1], [0, 0, 1]) == pytest.approx(0.45, abs=1e-12)
    assert evidence([1, 1, 1], [1, 1, 1]) / evidence([1, 0, 1], [1, 0, 1]) == pytest.approx(0.890909, abs=1e-6)


def test_the_worked_example_inpainted(worked_example):
    n = 100_000
    x, mask = torch.tensor([[1.0, 0, 1]]).repeat(n, 1), torch.tensor([[True, False, True]]).repeat(n, 1)
    share = worked_example.inpaint(x, mask, generator=torch.Generator().manual_seed(0))[:, 1].double().mean().item()
    assert share == pytest.approx(0.890909, abs=4 * math.sqrt(0.89 * 0.11 / n))


@pytest.mark.parametrize(("levels", "dims"), [(2, 7), (3, 4)])
@pytest.mark.parametrize("window", [0, 1, 2, 3])
@pytest.mark.parametrize("order", ORDERS)
def test_the_evidence_is_the_sum_over_all_completions(levels, dims, window, order, all_events):
    model = fitted(levels, (dims,), window, 0.4, order)
    events, x = all_events(model), some_events(levels, (dims,), rows=20, seed=3)
    mask = torch.rand(20, dims, generator=torch.Generator().manual_seed(4)) < 0.5
    mask[0], mask[1] = False, True
    agrees = (~mask[:, None] | (events == x[:, None])).all(2)
    expected = (agrees * model.log_prob(events).exp()).sum(1).log()
    evidence = model.log_prob_observed(torch.where(mask, x, math.nan), mask)
    torch.testing.assert_close(evidence, expected, rtol=0, atol=1e-10)
    assert evidence[0].item() == pytest.approx(0, abs=1e-12)


@pytest.mark.parametrize(("levels", "dims", "window"), [(2, 4, 0), (2, 4, 1), (2, 4, 2), (3, 3, 1), (2, 4, 3)])
@pytest.mark.parametrize("observed", [[], [0], [1, 3], [0, 1, 2, 3]])
def test_inpainting_has_the_law_of_the_posterior(levels, dims, window, observed, all_events):
    observed = [i for i in observed if i < dims]
    model, draws = fitted(levels, (dims,), window, 0.4, "random"), 30_000
    events, given = all_events(model), some_events(levels, (dims,), rows=1, seed=9)
    mask = torch.zeros(1, dims, dtype=torch.bool)
    mask[:, observed] = True
    x = model.inpaint(given.repeat(draws, 1), mask.repeat(draws, 1), generator=torch.Generator().manual_seed(1))
    possible = (~mask | (events == given)).all(1)
    expected = (model.log_prob(events) - model.log_prob_observed(given, mask)).exp()[possible] * draws
    frequencies = torch.stack([(x == event).all(1).sum() for event in events])
    assert frequencies[~possible].sum() == 0
    assert len(expected) == 1 or chisquare(frequencies[possible], expected).pvalue > 1e-3


def test_a_gap_knows_nothing_beyond_the_values_around_it():
    model = Markov((6,))
    model.count(some_events(2, (6,)))
    mask = torch.tensor([[True, True, False, False, True, True]]).repeat(500, 1)
    x = torch.tensor([[0.0, 1, 0, 0, 1, 0]]).repeat(500, 1)
    other = x.clone()
    other[:, [0, 5]] = 1 - other[:, [0, 5]]
    one, two = (model.inpaint(v, mask, generator=torch.Generator().manual_seed(0)) for v in (x, other))
    assert torch.equal(one[:, 2:4], two[:, 2:4])


@pytest.mark.parametrize(("levels", "shape"), [(2, (4,)), (3, (3,)), (3, (1, 1, 3))])
@pytest.mark.parametrize("window", [0, 1, 2])
def test_samples_follow_the_tables(levels, shape, window, all_events):
    model = fitted(levels, shape, window, 0.4, "random")
    events = all_events(model)
    x = model.sample(60_000, generator=torch.Generator().manual_seed(0))
    assert model.support.check(x).all()
    observed = torch.stack([((x - event).abs() < 1e-6).flatten(1).all(1).sum() for event in events])
    assert chisquare(observed, 60_000 * model.log_prob(events).exp()).pvalue > 1e-3


def test_tables_take_integers_and_pictures_a_grid():
    table, picture = Markov((4,), levels=3), Markov((1, 2, 2), levels=3)
    codes = torch.tensor([[0.0, 1, 2, 1]])
    table.count(codes)
    picture.count(codes.view(1, 1, 2, 2) / 2)
    assert torch.equal(table.counts, picture.counts)
    with pytest.raises(DataError, match=r"values in \{0, ..., 2\}, got 0.5"):
        table.count(codes / 2)
    with pytest.raises(DataError, match=r"\{0, 1/2, ..., 1\}, got 2"):
        picture.count(codes.view(1, 1, 2, 2))


def test_without_smoothing_what_was_never_seen_is_impossible_and_its_evidence_is_zero():
    model = Autoregressive((3,), window=1, smoothing=0.0)
    model.count(torch.zeros(2, 3))
    x, mask = torch.tensor([[1.0, 0, 0], [0, 0, 0]]), torch.tensor([[True, False, True]] * 2)
    assert model.log_prob(x).tolist() == [-math.inf, 0.0]
    assert model.log_prob_observed(x, mask).tolist() == [-math.inf, 0.0]
    with pytest.raises(DataError, match=r"autoregressive gives the observed values of row 0 probability 0: .*smoothing > 0"):
        model.inpaint(x, mask)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({"window": -1}, "window must be a whole number of at least 0 .*, got -1"),
        ({"window": 1.5}, "window must be a whole number of at least 0 .*, got 1.5"),
        ({"levels": 1}, "levels must be a whole number of at least 2 .*, got 1"),
        ({"smoothing": -1.0}, "smoothing is a pseudo-count and must be at least 0, got -1.0"),
        ({"window": 40}, "autoregressive would need a table of .* counts, and at most .* are kept: use a smaller window"),
        ({"order": "diagonal"}, "order 'diagonal' is unknown"),
    ],
)
def test_what_makes_no_chain_is_refused(arguments, sentence):
    with pytest.raises(ConfigError, match=sentence):
        Autoregressive((64,), **arguments)
