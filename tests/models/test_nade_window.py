"""NADE with a window: each conditional sees the variables visited last and no others; fast form equals the equation."""

import itertools

import pytest
import torch
import torch.nn.functional as F

from pofx.functional.nade import BLOCK, ROWS, nade_logits, nade_logits_reference, nade_sample
from pofx.functional.nade_categorical import categorical_nade_log_prob, categorical_nade_reference
from pofx.models.nade import NADE

SIZES = [(3, 1, 2), (1, BLOCK, 3), (4, 2 * BLOCK + 3, 5), (0, 5, 2), (ROWS + 3, 4, 2)]  # B, D, H
WINDOWS = [1, 3, BLOCK - 1, BLOCK, BLOCK + 2, 100]
activations = pytest.mark.parametrize("activation", ["sigmoid", "relu"])
windows = pytest.mark.parametrize("window", WINDOWS)


def weights(*shapes, seed=0):
    g = torch.Generator().manual_seed(seed)
    return [torch.randn(s, generator=g, dtype=torch.float64).requires_grad_() for s in shapes]


def binary_weights(dims, hidden):
    return weights((dims, hidden), (dims, hidden), (dims,), (hidden,))


def bits(*shape, share=0.5, seed=1):
    g = torch.Generator().manual_seed(seed)
    return (torch.rand(shape, generator=g, dtype=torch.float64) < share).double()


@activations
@windows
@pytest.mark.parametrize("size", SIZES, ids=str)
def test_blocks_equal_the_equation_and_its_gradient(size, window, activation):
    (rows, dims, hidden), x = size, bits(*size[:2], share=0.3)
    parameters, seed = binary_weights(dims, hidden), torch.randn(rows, dims, dtype=torch.float64)
    expected = nade_logits_reference(x, *parameters, activation, window)
    got = nade_logits(x, *parameters, activation, window)
    torch.testing.assert_close(got, expected, rtol=0, atol=1e-10)
    gradients = torch.autograd.grad(got, parameters, seed)
    expected_gradients = torch.autograd.grad(expected, parameters, seed, allow_unused=True, materialize_grads=True)
    torch.testing.assert_close(gradients, expected_gradients, rtol=0, atol=1e-10)


@pytest.mark.parametrize("window", [1, 2, 4])
def test_the_jacobian_of_the_equation_is_a_band_below_the_diagonal(window):
    x, lag = bits(7), torch.arange(7)[:, None] - torch.arange(7)
    parameters = binary_weights(7, 4)
    jacobian = torch.autograd.functional.jacobian(lambda x: nade_logits_reference(x[None], *parameters, window=window)[0], x)
    assert torch.equal(jacobian != 0, (lag >= 1) & (lag <= window))


@pytest.mark.parametrize("window", [1, 2, 4])
def test_the_jacobian_with_levels_is_a_band_below_the_diagonal(window):
    lag = torch.arange(6)[:, None] - torch.arange(6)
    parameters = weights((6, 3, 4), (6, 3, 4), (6, 3), (4,))
    one_hot = torch.eye(3, dtype=torch.float64)[torch.tensor([0, 2, 1, 1, 0, 2])]
    jacobian = torch.autograd.functional.jacobian(
        lambda x: categorical_nade_reference(x[None], *parameters, window=window)[0], one_hot
    )
    seen = (jacobian != 0).any(2) & (lag != 0)  # a term is also weighted by its own one-hot value
    assert torch.equal(seen, (lag >= 1) & (lag <= window))


@activations
@pytest.mark.parametrize("window", [1, BLOCK - 3, BLOCK + 5])
def test_what_is_outside_the_window_does_not_matter(window, activation):
    dims = 3 * BLOCK
    x, parameters = bits(1, dims), binary_weights(dims, 12)
    before = nade_logits(x, *parameters, activation, window)
    for d in range(dims):
        changed = x.clone()
        changed[:, d] = 1 - changed[:, d]
        difference = (nade_logits(changed, *parameters, activation, window) - before)[0].abs() > 1e-12
        seers = torch.arange(dims)
        assert not difference[(seers <= d) | (seers > d + window)].any()
        assert d == dims - 1 or difference[d + 1 : d + 1 + window].any()


@pytest.mark.parametrize("levels", [2, 3])
@pytest.mark.parametrize("window", [5, 6, 50])
def test_a_window_over_all_is_no_window(window, levels):
    torch.manual_seed(0)
    plain = NADE((6,), hidden=4, levels=levels).double()
    windowed = NADE((6,), hidden=4, levels=levels, window=window).double()
    windowed.load_state_dict(plain.state_dict())
    x = torch.randint(levels, (9, 6)).double()
    assert torch.equal(windowed.log_prob(x), plain.log_prob(x))
    samples = [model.sample(9, generator=torch.Generator().manual_seed(0)) for model in (plain, windowed)]
    assert torch.equal(*samples)


@activations
@pytest.mark.parametrize("levels", [2, 3])
@pytest.mark.parametrize("window", [1, 2, 3])
def test_probabilities_sum_to_one(window, levels, activation):
    torch.manual_seed(0)
    model = NADE((5,), hidden=4, levels=levels, window=window, order="random", activation=activation).double()
    events = torch.tensor(list(itertools.product(range(levels), repeat=5)), dtype=torch.float64)
    total = model.log_prob(events).exp().sum()
    torch.testing.assert_close(total, torch.ones_like(total), rtol=0, atol=1e-9)


def test_a_window_of_one_is_a_markov_chain():
    torch.manual_seed(0)
    model = NADE((4,), hidden=3, window=1).double()
    p = model.log_prob(torch.tensor(list(itertools.product([0.0, 1.0], repeat=4)), dtype=torch.float64)).exp().view(2, 2, 2, 2)
    last_given_all = p / p.sum(3, keepdim=True)
    last_given_one = (p.sum((0, 1)) / p.sum((0, 1, 3))[:, None]).expand(2, 2, 2, 2)
    torch.testing.assert_close(last_given_all, last_given_one, rtol=0, atol=1e-12)


@activations
@pytest.mark.parametrize("window", [1, 3, BLOCK + 2])
def test_a_sample_agrees_with_the_likelihood_that_drew_it(window, activation):
    dims, n = 2 * BLOCK + 3, 5
    parameters = [p.detach() for p in binary_weights(dims, 4)]
    x = nade_sample(n, *parameters, activation, window, generator=torch.Generator().manual_seed(3))
    u = torch.rand(n, dims, dtype=torch.float64, generator=torch.Generator().manual_seed(3))
    assert torch.equal(x, (u < nade_logits(x, *parameters, activation, window).sigmoid()).double())


def test_single_precision_stays_close_after_many_blocks():
    dims, window = 100 * BLOCK, 20
    parameters, x = binary_weights(dims, 8), bits(4, dims)
    exact = nade_logits(x, *parameters, window=window)
    gradients = torch.autograd.grad(F.softplus(exact).sum(), parameters)
    single = [p.detach().float().requires_grad_() for p in parameters]
    got = nade_logits(x.float(), *single, window=window)
    torch.testing.assert_close(got, exact.float(), rtol=1e-4, atol=1e-4)
    got_gradients = torch.autograd.grad(F.softplus(got).sum(), single)
    torch.testing.assert_close(got_gradients, tuple(g.float() for g in gradients), rtol=2e-3, atol=2e-3)


@pytest.mark.parametrize("window", [1, 7, 16, 30])
def test_levels_blocks_equal_the_equation_and_its_gradient(window):
    dims, levels, hidden = 35, 3, 4
    x = torch.randint(levels, (6, dims), generator=torch.Generator().manual_seed(0))
    parameters = weights((dims, levels, hidden), (dims, levels, hidden), (dims, levels), (hidden,))
    expected = categorical_nade_reference(F.one_hot(x, levels).double(), *parameters, window=window)
    got = categorical_nade_log_prob(x, *parameters, window=window)
    torch.testing.assert_close(got, expected, rtol=0, atol=1e-10)
    seed = torch.randn(6, dims, dtype=torch.float64)
    gradients = [torch.autograd.grad(value, parameters, seed) for value in (got, expected)]
    torch.testing.assert_close(*gradients, rtol=0, atol=1e-10)
