"""NADE for variables with K values: the fast form equals the equation, the distribution is normalised, samples follow it."""

import itertools

import pytest
import torch
import torch.nn.functional as F
from torch.distributions import constraints

from pofx.core import Batch, DataError, LevelGrid, from_codes
from pofx.functional.nade_categorical import (
    BLOCK,
    ROWS,
    categorical_nade_log_prob,
    categorical_nade_reference,
    categorical_nade_sample,
)
from pofx.models.nade import NADE

SIZES = [(3, 1, 3, 2), (2, BLOCK, 4, 3), (4, BLOCK + 1, 3, 5), (2, 3 * BLOCK - 1, 5, 1), (0, 5, 3, 2), (ROWS + 3, 4, 3, 2)]
activations = pytest.mark.parametrize("activation", ["sigmoid", "relu"])


def weights(dims, levels, hidden, seed=0):
    g = torch.Generator().manual_seed(seed)
    shapes = [(dims, levels, hidden), (dims, levels, hidden), (dims, levels), (hidden,)]
    return [torch.randn(s, generator=g, dtype=torch.float64).requires_grad_() for s in shapes]


def codes(*shape, levels, seed=1):
    return torch.randint(levels, shape, generator=torch.Generator().manual_seed(seed))


def random_nade(event_shape, levels=3, **options):
    torch.manual_seed(0)
    model = NADE(event_shape, **{"hidden": 4, "levels": levels, **options}).double()
    for p in model.parameters():
        torch.nn.init.normal_(p)
    return model


def all_events(model):
    events = torch.tensor(list(itertools.product(range(model.levels), repeat=model.dims)))
    return from_codes(events, model.support, torch.float64).view(-1, *model.event_shape)


@activations
@pytest.mark.parametrize("size", SIZES, ids=str)
def test_blocks_equal_the_equation_and_its_gradient(size, activation):
    rows, dims, levels, hidden = size
    x, parameters = codes(rows, dims, levels=levels), weights(dims, levels, hidden)
    expected = categorical_nade_reference(F.one_hot(x, levels).double(), *parameters, activation)
    got = categorical_nade_log_prob(x, *parameters, activation)
    torch.testing.assert_close(got, expected, rtol=0, atol=1e-10)
    seed = torch.randn(rows, dims, dtype=torch.float64)
    gradients = torch.autograd.grad(got, parameters, seed)
    expected_gradients = torch.autograd.grad(expected, parameters, seed, allow_unused=True, materialize_grads=True)
    torch.testing.assert_close(gradients, expected_gradients, rtol=0, atol=1e-10)


@activations
def test_backward_equals_finite_differences(activation):
    x, parameters = codes(3, BLOCK + 2, levels=3), weights(BLOCK + 2, 3, 2)
    assert torch.autograd.gradcheck(lambda *p: categorical_nade_log_prob(x, *p, activation), parameters)


@activations
@pytest.mark.parametrize("order", ["raster", "snake", "random", [3, 0, 2, 1]], ids=str)
@pytest.mark.parametrize("event_shape", [(4,), (1, 2, 2)])
def test_probabilities_sum_to_one(event_shape, order, activation):
    model = random_nade(event_shape, order=order, activation=activation)
    total = model.log_prob(all_events(model)).exp().sum()
    torch.testing.assert_close(total, torch.ones_like(total), rtol=0, atol=1e-9)


def test_a_variable_depends_on_earlier_ones_only():
    dims = BLOCK + 4
    x, parameters = codes(1, dims, levels=3), weights(dims, 3, 8)
    before = categorical_nade_log_prob(x, *parameters)
    for d in range(dims):
        changed = x.clone()
        changed[:, d] = (changed[:, d] + 1) % 3
        after = categorical_nade_log_prob(changed, *parameters)
        assert torch.equal(after[:, :d], before[:, :d])
        assert d == dims - 1 or not torch.equal(after[:, d + 1 :], before[:, d + 1 :])


def test_with_two_values_it_is_binary_nade():
    binary = NADE((7,), hidden=4, order="random").double()
    W, V, b = (torch.stack([torch.zeros_like(p), p], 1)[binary.order] for p in (binary.W, binary.V, binary.b))
    x = codes(9, 7, levels=2)
    got = categorical_nade_log_prob(x[:, binary.order], W, V, b, binary.c).sum(1)
    torch.testing.assert_close(got, binary.log_prob(x.double()), rtol=0, atol=1e-12)


def test_without_output_weights_it_is_a_product_of_categoricals():
    model, x = random_nade((5,)), codes(9, 5, levels=3)
    torch.nn.init.zeros_(model.V)
    expected = torch.distributions.Categorical(logits=model.b).log_prob(x).sum(1)
    torch.testing.assert_close(model.log_prob(x.double()), expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize("order", ["raster", "random"])
def test_the_last_visited_variable_is_read_by_nobody(order):
    model = random_nade((5,), order=order)
    model.log_prob(codes(2, 5, levels=3).double()).sum().backward()
    assert (model.W.grad.abs().sum((1, 2)) == 0).tolist() == [d == model.order[-1] for d in range(5)]


def test_a_sample_agrees_with_the_uniform_numbers_that_drew_it():
    dims, n = BLOCK + 3, 6
    parameters = [p.detach() for p in weights(dims, 4, 3)]
    x = categorical_nade_sample(n, *parameters, generator=torch.Generator().manual_seed(3))
    u = torch.rand(n, dims, dtype=torch.float64, generator=torch.Generator().manual_seed(3))
    for d in range(dims):  # the cumulative probability of the drawn value is the first one above u
        values = x.repeat_interleave(4, 0)
        values[:, d] = torch.arange(4).repeat(n)
        cumulative = categorical_nade_log_prob(values, *parameters)[:, d].exp().view(n, 4).cumsum(1)
        assert torch.equal((cumulative <= u[:, d, None]).sum(1), x[:, d])


@activations
def test_samples_follow_the_distribution(activation):
    model, n = random_nade((1, 1, 3), activation=activation, order=[2, 0, 1]), 20_000
    x = (model.sample(n, generator=torch.Generator().manual_seed(0)) * 2).flatten(1)
    counts = torch.bincount((x @ torch.tensor([9.0, 3.0, 1.0], dtype=torch.float64)).long(), minlength=27)
    expected = n * model.log_prob(all_events(model)).exp()
    assert ((counts - expected) ** 2 / expected).sum() < 54.1  # the 99.9 % point of chi-square with 26 degrees of freedom


def test_completion_keeps_what_is_given_and_draws_the_rest_from_the_conditional():
    model, n = random_nade((3,), order=[2, 0, 1]), 20_000
    x, mask = torch.tensor([torch.nan, torch.nan, 2.0]).double(), torch.tensor([False, False, True])
    drawn = model.complete(x.expand(n, -1), mask.expand(n, -1), torch.Generator().manual_seed(0))
    assert (drawn[:, 2] == 2).all()
    p = model.log_prob(all_events(model)).exp().view(3, 3, 3)[:, :, 2].flatten()
    counts = torch.bincount((drawn[:, :2] @ torch.tensor([3.0, 1.0], dtype=torch.float64)).long(), minlength=9)
    expected = n * p / p.sum()
    assert ((counts - expected) ** 2 / expected).sum() < 26.1  # the 99.9 % point of chi-square with 8 degrees of freedom


def test_features_are_the_hidden_state_after_the_last_variable():
    model, x = random_nade((4,), order="random", window=2), codes(5, 4, levels=3)
    a = model.c + sum(model.W[d, x[:, d]] for d in range(4))
    torch.testing.assert_close(model.encode(x.double()), a.sigmoid().detach(), rtol=0, atol=1e-12)


def test_256_levels_start_near_the_uniform_distribution_and_are_learned():
    torch.manual_seed(0)
    model = NADE((1, 4, 4), hidden=16, levels=256, learning_rate=0.01)
    x = codes(8, 1, 4, 4, levels=256).float() / 255
    (player,) = model.players()
    optimizer, losses = player.optimizer(player.parameters), []
    for _ in range(60):
        optimizer.zero_grad()
        losses.append(player.loss(Batch(x))["nll"])
        losses[-1].backward()
        optimizer.step()
    assert abs(losses[0].item() / 16 - torch.tensor(256.0).log().item()) < 1
    assert losses[-1] < losses[0] / 2
    assert model.support.check(model.sample(3)).all()


def test_grey_levels_start_in_proportion_to_the_level_and_those_of_a_table_apart():
    picture, table = NADE((1, 2, 3), hidden=50, levels=5), NADE((6,), hidden=50, levels=5)
    for p in (picture.W, picture.V):
        steps = p.diff(dim=1)
        torch.testing.assert_close(steps, steps[:, :1].expand_as(steps))
        assert (p[:, 2] == 0).all()
    assert table.W.diff(n=2, dim=1).abs().mean() > picture.W.abs().mean()


def test_levels_follow_the_data():
    assert NADE.configure_for((1, 4, 4), LevelGrid(17)) == {"levels": 17}
    assert NADE.configure_for((4,), constraints.integer_interval(0, 4)) == {"levels": 5}
    assert NADE.configure_for((4,), constraints.boolean) == {"levels": 2}
    assert NADE((3,), levels=5, hidden=2).parameter_count() == 2 * 3 * 5 * 2 + 2 + 3 * 5
    with pytest.raises(
        DataError, match=r"nade expects values in \{0, \.\.\., 2\}, got 3 in row 0 of x: load the data with levels=K"
    ):
        NADE((2,), levels=3).log_prob(torch.tensor([[3.0, 0.0]]))
