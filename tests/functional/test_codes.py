"""Codes and how much of them is kept: the bound of mutual information against tables that can be enumerated."""

import math

import pytest
import torch

from pofx.core import ConfigError
from pofx.functional.codes import LEAST_LOG_SCALE, Codes, information_bounds


def seed(number):
    return torch.Generator().manual_seed(number)


DOUBLE = torch.zeros((), dtype=torch.float64)


@pytest.fixture
def table():
    """A joint table P(c, x) of 4 equally probable codes and 6 events, float64."""
    given_c = torch.rand(4, 6, generator=seed(0), dtype=torch.float64) ** 3
    return given_c / given_c.sum(1, keepdim=True) / 4


def bound_of(table, logits):
    """E[ln Q(c | x)] + H(c) over the table, by the functions that training uses; logits (6, 4) are what Q says of each x."""
    codes = Codes((4,), 0)
    each = codes.log_likelihoods(logits.repeat(4, 1), torch.eye(4, dtype=torch.float64).repeat_interleave(6, 0))
    weighted = each * table.reshape(-1, 1) * 24  # the mean over 24 cells becomes the expectation
    return information_bounds(weighted, codes.entropies).item()


def test_the_bound_with_the_posterior_is_the_mutual_information_and_any_other_q_gives_less(table):
    p_x = table.sum(0)
    information = (table * (table / (p_x / 4)).log()).sum().item()
    posterior = (table / p_x).T.log()
    assert bound_of(table, posterior) == pytest.approx(information, abs=1e-12)
    for s in range(5):
        other = posterior + torch.randn(6, 4, generator=seed(s), dtype=torch.float64)
        gap = (table * (posterior.softmax(1).log() - other.log_softmax(1)).T).sum().item()  # E_x KL(P(c | x) || Q(c | x))
        assert gap > 0.01
        assert bound_of(table, other) == pytest.approx(information - gap, abs=1e-12)


def test_expectations_over_codes_of_the_posterior_are_those_over_the_codes_that_made_the_event(table):
    """E_{c, x}[f] = E_{c, x | c, c' | x}[f(c', x)]: no draws of the posterior are needed (lemma 5.1 of the paper)."""
    f = torch.randn(4, 6, generator=seed(1), dtype=torch.float64)
    p_x, posterior = table.sum(0), table / table.sum(0)
    again = torch.einsum("cx,dx,dx->", table, posterior, f)
    assert again.item() == pytest.approx((table * f).sum().item(), abs=1e-12)
    assert p_x.sum().item() == pytest.approx(1)


def test_the_bound_of_a_categorical_code_is_at_most_its_entropy_and_zero_for_a_uniform_q():
    codes = Codes((3, 10), 0)
    drawn = codes.draw(200, DOUBLE, seed(0))
    for s in range(20):
        logits = 5 * torch.randn(200, 13, generator=seed(s), dtype=torch.float64)
        bounds = information_bounds(codes.log_likelihoods(logits, drawn), codes.entropies)
        assert (bounds <= torch.tensor(codes.entropies)).all()
    none = information_bounds(codes.log_likelihoods(torch.zeros_like(drawn), drawn), codes.entropies)
    torch.testing.assert_close(none, torch.zeros(2).double(), rtol=0, atol=1e-12)
    right = information_bounds(codes.log_likelihoods(1000 * drawn, drawn), codes.entropies)
    torch.testing.assert_close(right, torch.tensor([math.log(3), math.log(10)], dtype=torch.float64), rtol=0, atol=1e-12)


def test_a_continuous_code_recovered_exactly_has_the_density_of_a_gaussian_at_its_mean():
    fixed = Codes((), 2, "fixed")
    c = fixed.draw(5, DOUBLE, seed(0))
    assert fixed.outputs == 2
    found = fixed.log_likelihoods(c, c)
    torch.testing.assert_close(found, torch.full((5, 2), -0.9189385332).double())
    torch.testing.assert_close(information_bounds(found, fixed.entropies), torch.full((2,), -0.2257913527).double())


def test_the_learned_scale_is_the_exponential_of_the_output_and_has_a_least_value():
    codes = Codes((), 1)
    c, mean = torch.tensor([[0.5]]).double(), torch.tensor([[0.2]]).double()
    for raw in (-1.0, 0.0, 0.7):
        found = codes.log_likelihoods(torch.cat([mean, torch.full_like(mean, raw)], 1), c).item()
        s = math.sqrt(math.exp(2 * raw))  # the authors' code, whose output is the logarithm of the variance
        assert found == pytest.approx(torch.distributions.Normal(0.2, s).log_prob(torch.tensor(0.5)).item(), abs=1e-6)
    sure = codes.log_likelihoods(torch.cat([c, torch.full_like(c, -50)], 1), c).item()
    assert sure == pytest.approx(-LEAST_LOG_SCALE - 0.5 * math.log(2 * math.pi))


def test_codes_are_drawn_from_their_priors():
    codes, n = Codes((10, 4), 2), 20_000
    drawn = codes.draw(n, DOUBLE, seed(0))
    one, two, value, rest = codes.split(drawn)
    for part, k in ((one, 10), (two, 4)):
        assert torch.equal(part.sum(1), torch.ones(n).double())
        assert set(part.unique().tolist()) == {0.0, 1.0}
        deviation = math.sqrt((1 / k) * (1 - 1 / k) / n)
        assert ((part.mean(0) - 1 / k).abs() < 4 * deviation).all()
    assert value.abs().max() <= 1
    assert (value.mean(0).abs() < 4 / math.sqrt(3 * n)).all()
    assert value.square().mean().item() == pytest.approx(1 / 3, abs=0.01)
    assert rest.shape == (n, 0)


def test_what_q_expects_is_a_row_of_codes_that_can_be_given_again():
    codes = Codes((3,), 2)
    expected = codes.expected(torch.tensor([[0.0, math.log(2), 0.0, 0.3, -4.0, 9.0, 9.0]]))
    torch.testing.assert_close(expected, torch.tensor([[0.25, 0.5, 0.25, 0.3, -1.0]]))
    assert torch.equal(codes.given(expected, 1, expected), expected)


def test_integers_name_the_first_categorical_code_and_the_others_are_drawn():
    codes = Codes((3, 2), 1)
    given = codes.given(torch.tensor([2, 0, 2]), 3, DOUBLE, seed(0))
    assert torch.equal(given[:, :3].argmax(1), torch.tensor([2, 0, 2]))
    assert torch.equal(given[:, 3:], codes.draw(3, DOUBLE, seed(0))[:, 3:])


@pytest.mark.parametrize(
    ("condition", "sentence"),
    [
        (torch.zeros(2, 4), r"codes of shape \(2, 5\), got \(2, 4\): the columns are 3 of c1, 2 continuous"),
        (torch.zeros(1, 5), r"codes of shape \(2, 5\), got \(1, 5\)"),
        (torch.full((2, 5), torch.nan), "finite codes"),
        (torch.zeros(2, 5), "the columns of c1 must be probabilities that sum to 1"),
        (torch.tensor([[2.0, -1, 0, 0, 0]] * 2), "the columns of c1 must be probabilities"),
        (torch.tensor([[1.0, 0, 0, 0, 0], [0, 1, 0, 0.5, -1.5]]), r"lie in \[-1, 1\], got -1.5: decode takes codes beyond"),
        (torch.tensor([0, 3]), r"one category of 0..2 for each of 2 events"),
        (torch.tensor([0]), r"one category of 0..2 for each of 2 events"),
        ("cat", "condition must be a tensor"),
    ],
)
def test_conditions_that_no_code_takes_are_refused(condition, sentence):
    with pytest.raises(ConfigError, match=sentence):
        Codes((3,), 2).given(condition, 2, torch.zeros(()))


def test_integers_name_nothing_where_no_code_is_categorical():
    with pytest.raises(ConfigError, match=r"there is no categorical code. The columns are 2 continuous"):
        Codes((), 2).given(torch.tensor([1]), 1, torch.zeros(()))


@pytest.mark.parametrize(("code", "first", "last"), [(0, 0, 3), (1, 3, 5), (2, 5, 6), (3, 6, 7)])
def test_a_traversal_changes_one_code_and_keeps_the_others(code, first, last):
    codes = Codes((3, 2), 2)
    start = codes.draw(4, DOUBLE, seed(0))
    rows, titles = codes.along(start, code, steps=5, reach=2.0)
    assert rows.shape == (4, len(titles), 7)
    others = [i for i in range(7) if not first <= i < last]
    assert torch.equal(rows[..., others], start[:, None, others].expand(-1, len(titles), -1))
    values = rows[0, :, first:last]
    expected = torch.eye(last - first) if code < 2 else torch.linspace(-2, 2, 5)[:, None]
    assert torch.equal(values, expected.double())
    assert torch.equal(rows[..., first:last], values.expand(4, -1, -1))


def test_traversals_that_make_no_sense_are_refused():
    codes = Codes((3,), 1)
    rows = codes.draw(1, DOUBLE)
    for arguments, sentence in (
        ((2,), r"code must be in 0..1, got 2"),
        ((1, 1), "steps of at least 2"),
        ((1, 5, 0.0), "range"),
    ):
        with pytest.raises(ConfigError, match=sentence):
            codes.along(rows, *arguments)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (((1,), 2), r"categories must be .*, got \[1\]"),
        (((10,), -1), "continuous must be .*, got -1"),
        (((), 0), "there is no code"),
        (((10,), 2, "free"), "scale='free' is unknown"),
    ],
)
def test_what_makes_no_codes_is_refused(arguments, sentence):
    with pytest.raises(ConfigError, match=sentence):
        Codes(*arguments)
