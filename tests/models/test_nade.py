"""NADE: the fast form equals the equation, the distribution is normalised, samples follow it."""

import itertools

import pytest
import torch
import torch.nn.functional as F

import pofx
from pofx.core import Batch, CapabilityError, ConfigError, DataError, capabilities, density
from pofx.functional.nade import BLOCK, ROWS, nade_logits, nade_logits_reference, nade_sample
from pofx.models.nade import NADE

SIZES = [(3, 1, 2), (1, BLOCK, 3), (4, BLOCK + 1, 5), (2, 3 * BLOCK - 1, 1), (0, 5, 2), (ROWS + 3, 4, 2)]  # B, D, H
ORDERS = ["raster", "snake", "random", [5, 0, 3, 1, 4, 2]]
activations = pytest.mark.parametrize("activation", ["sigmoid", "relu"])
orders = pytest.mark.parametrize("order", ORDERS, ids=str)


def weights(dims, hidden, seed=0):
    g = seeded(seed)
    shapes = [(dims, hidden), (dims, hidden), (dims,), (hidden,)]
    return [torch.randn(s, generator=g, dtype=torch.float64).requires_grad_() for s in shapes]


def bits(*shape, share=0.5, seed=1):
    g = seeded(seed)
    return (torch.rand(shape, generator=g, dtype=torch.float64) < share).double()


def all_events(dims):
    return torch.tensor(list(itertools.product([0.0, 1.0], repeat=dims)), dtype=torch.float64)


def seeded(number):
    return torch.Generator().manual_seed(number)


def random_nade(event_shape=(1, 2, 3), **options):
    torch.manual_seed(0)
    model = NADE(event_shape, **{"hidden": 4, **options}).double()
    for p in model.parameters():
        torch.nn.init.normal_(p)
    return model


@activations
@pytest.mark.parametrize("size", SIZES, ids=str)
@pytest.mark.parametrize("share", [0.0, 0.2, 1.0])
def test_blocks_equal_the_equation_and_its_gradient(size, share, activation):
    (rows, dims, hidden), x = size, bits(*size[:2], share=share)
    parameters, seed = weights(dims, hidden), torch.randn(rows, dims, dtype=torch.float64)
    expected = nade_logits_reference(x, *parameters, activation)
    got = nade_logits(x, *parameters, activation)
    torch.testing.assert_close(got, expected, rtol=0, atol=1e-10)
    gradients = torch.autograd.grad(got, parameters, seed)
    expected_gradients = torch.autograd.grad(expected, parameters, seed, allow_unused=True, materialize_grads=True)
    torch.testing.assert_close(gradients, expected_gradients, rtol=0, atol=1e-10)


@activations
def test_backward_equals_finite_differences(activation):
    x, parameters = bits(3, BLOCK + 2), weights(BLOCK + 2, 3)
    assert torch.autograd.gradcheck(lambda *p: nade_logits(x, *p, activation), parameters)


def test_inputs_other_than_bits_are_read_as_numbers():
    x, parameters = torch.randn(5, BLOCK + 3, dtype=torch.float64), weights(BLOCK + 3, 4)
    torch.testing.assert_close(nade_logits(x, *parameters), nade_logits_reference(x, *parameters), rtol=0, atol=1e-10)


def test_single_precision_gradients_stay_close_after_many_blocks():
    parameters, x = weights(40 * BLOCK, 8), bits(4, 40 * BLOCK)
    exact = torch.autograd.grad(nade_logits(x, *parameters).sum(), parameters)
    single = [p.detach().float().requires_grad_() for p in parameters]
    got = torch.autograd.grad(nade_logits(x.float(), *single).sum(), single)
    torch.testing.assert_close(got, tuple(g.float() for g in exact), rtol=1e-3, atol=1e-3)


def test_autocast_leaves_the_precision_of_the_weights():
    model = NADE((1, 4, 4), hidden=8)
    x = bits(3, 1, 4, 4).float()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        log_prob = model.log_prob(x)
        log_prob.sum().backward()
        assert model.sample(2).dtype == torch.float32
    torch.testing.assert_close(log_prob, model.log_prob(x), rtol=0, atol=0)
    assert model.W.grad is not None
    assert model.W.grad.dtype == torch.float32


@activations
@orders
def test_probabilities_sum_to_one(order, activation):
    model = random_nade(order=order, activation=activation)
    total = model.log_prob(all_events(6).view(-1, 1, 2, 3)).exp().sum()
    torch.testing.assert_close(total, torch.ones_like(total), rtol=0, atol=1e-9)


@activations
def test_an_output_depends_on_earlier_inputs_only(activation):
    dims = 2 * BLOCK + 4
    x, parameters = bits(1, dims), weights(dims, 12)
    before = nade_logits(x, *parameters, activation)
    for d in range(dims):
        changed = x.clone()
        changed[:, d] = 1 - changed[:, d]
        after = nade_logits(changed, *parameters, activation)
        assert torch.equal(after[:, : d + 1], before[:, : d + 1])
        assert d == dims - 1 or not torch.equal(after[:, d + 1 :], before[:, d + 1 :])


def test_jacobian_of_the_equation_is_strictly_lower_triangular():
    parameters = weights(6, 4)
    jacobian = torch.autograd.functional.jacobian(lambda x: nade_logits_reference(x[None], *parameters)[0], bits(6))
    assert torch.equal(jacobian.triu(), torch.zeros(6, 6, dtype=torch.float64))
    assert (jacobian[1:, 0] != 0).all()


@orders
def test_the_last_visited_variable_is_read_by_nobody(order):
    model = random_nade(order=order)
    model.log_prob(torch.ones(2, 1, 2, 3, dtype=torch.float64)).sum().backward()
    assert (model.W.grad.abs().sum(1) == 0).tolist() == [d == model.order[-1] for d in range(6)]


def test_permuting_variables_together_with_the_order_changes_nothing():
    x, permutation = bits(7, 6), torch.tensor([4, 2, 0, 5, 1, 3])
    model, permuted = random_nade((6,)), random_nade((6,), order=permutation.argsort().tolist())
    for name in ("W", "V", "b"):
        getattr(permuted, name).data = getattr(model, name).data[permutation]
    torch.testing.assert_close(permuted.log_prob(x[:, permutation]), model.log_prob(x), rtol=0, atol=1e-12)


@activations
def test_without_output_weights_it_is_a_product_of_bernoullis(activation):
    model, x = random_nade((6,), activation=activation), bits(9, 6)
    torch.nn.init.zeros_(model.V)
    expected = torch.distributions.Bernoulli(logits=model.b).log_prob(x).sum(1)
    torch.testing.assert_close(model.log_prob(x), expected, rtol=0, atol=1e-12)


@activations
def test_a_sample_agrees_with_the_likelihood_that_drew_it(activation):
    dims, n = 2 * BLOCK + 3, 5
    parameters = [p.detach() for p in weights(dims, 4)]
    x = nade_sample(n, *parameters, activation, generator=seeded(3))
    u = torch.rand(n, dims, dtype=torch.float64, generator=seeded(3))
    p = nade_logits(x, *parameters, activation).sigmoid()  # every bit is u < p, with p evaluated on the finished event
    assert torch.equal(x, (u < p).double())
    recorded = torch.where(u < p, p.log(), (1 - p).log()).sum(1)
    evaluated = -F.binary_cross_entropy_with_logits(nade_logits(x, *parameters, activation), x, reduction="none").sum(1)
    torch.testing.assert_close(evaluated, recorded, rtol=0, atol=1e-10)


@activations
def test_samples_follow_the_distribution(activation):
    model, n = random_nade((3,), activation=activation, order=[2, 0, 1]), 20_000
    x = model.sample(n, generator=seeded(0))
    counts = torch.bincount((x @ torch.tensor([4.0, 2.0, 1.0], dtype=torch.float64)).long(), minlength=8)
    expected = n * model.log_prob(all_events(3)).exp()
    assert ((counts - expected) ** 2 / expected).sum() < 24.3  # the 99.9 % point of chi-square with 7 degrees of freedom


def test_the_same_generator_state_gives_the_same_samples():
    model = random_nade()
    first, again = (model.sample(8, generator=seeded(5)) for _ in range(2))
    assert torch.equal(first, again)
    assert not torch.equal(first, model.sample(8, generator=seeded(6)))
    assert NADE((4,)).sample(2).dtype == torch.float32
    assert model.sample(0).shape == (0, 1, 2, 3)


@orders
def test_completion_keeps_what_is_given_and_draws_the_rest_from_the_conditional(order):
    model, n = random_nade((1, 2, 3), order=order), 20_000
    x, mask = bits(1, 1, 2, 3), torch.zeros(6, dtype=torch.bool)
    mask[model.order[:3]] = True  # the variables visited first
    mask, x = mask.view(1, 1, 2, 3).expand(n, -1, -1, -1), x.expand(n, -1, -1, -1)
    drawn = model.complete(torch.where(mask, x, torch.nan), mask, seeded(0))
    assert torch.equal(drawn[mask], x[mask])
    events = all_events(6)
    possible = (events == x[0].flatten())[:, mask[0].flatten()].all(1)
    p = torch.where(possible, model.log_prob(events.view(-1, 1, 2, 3)).exp(), 0)
    place = torch.tensor([32, 16, 8, 4, 2, 1], dtype=torch.float64)
    counts = torch.bincount((drawn.flatten(1) @ place).long(), minlength=64)
    expected = n * p / p.sum()
    assert counts[~possible].sum() == 0
    assert ((counts - expected)[possible] ** 2 / expected[possible]).sum() < 24.3  # 99.9 %, 7 degrees of freedom


def test_completion_where_later_variables_are_given_draws_earlier_ones_without_them():
    model, n = random_nade((3,)), 20_000
    x, mask = torch.tensor([0.0, 1.0, 1.0], dtype=torch.float64), torch.tensor([False, False, True])
    drawn = model.complete(x.expand(n, -1), mask.expand(n, -1), seeded(0))
    first_two = model.log_prob(all_events(3)).exp().view(4, 2).sum(1)  # p(x_1, x_2), whatever x_3
    counts = torch.bincount((drawn[:, :2] @ torch.tensor([2.0, 1.0], dtype=torch.float64)).long(), minlength=4)
    assert (drawn[:, 2] == 1).all()
    assert ((counts - n * first_two) ** 2 / (n * first_two)).sum() < 16.3  # 99.9 %, 3 degrees of freedom


def test_completion_of_nothing_is_a_sample_and_of_everything_the_event_itself():
    model, x = random_nade(order="random"), bits(5, 1, 2, 3)
    sample, completed = model.sample(5, generator=seeded(2)), model.complete(x, torch.zeros_like(x).bool(), seeded(2))
    assert torch.equal(completed, sample)
    assert torch.equal(model.complete(x, torch.ones_like(x).bool()), x)


def test_one_player_learns_the_distribution_of_its_data():
    torch.manual_seed(0)
    model = NADE((2,), hidden=4, learning_rate=0.05)
    x = torch.tensor([[1.0, 1.0], [0.0, 0.0], [1.0, 1.0], [0.0, 1.0]])
    (player,) = model.players()
    optimizer = player.optimizer(player.parameters)
    for _ in range(400):
        optimizer.zero_grad()
        player.loss(Batch(x))["nll"].backward()
        optimizer.step()
    entropy = -(0.5 * torch.tensor(0.5).log() + 2 * 0.25 * torch.tensor(0.25).log())
    torch.testing.assert_close(player.loss(Batch(x))["nll"].detach(), entropy, rtol=0, atol=0.01)


@activations
def test_features_are_the_hidden_state_after_the_last_variable(activation):
    model, x = random_nade(order="random", activation=activation), bits(4, 1, 2, 3)
    act = torch.sigmoid if activation == "sigmoid" else torch.relu
    torch.testing.assert_close(model.encode(x), act(model.c + x.flatten(1) @ model.W).detach(), rtol=0, atol=1e-12)
    torch.testing.assert_close(model.anomaly_score(x), -model.log_prob(x))


def test_what_it_is():
    model = NADE((1, 8, 8), hidden=10)
    assert model.parameter_count() == 2 * 64 * 10 + 10 + 64
    assert density(model) == "tractable"
    kept = ["Samples", "DrawsStepwise", "TractableDensity", "Encodes", "Completes", "ScoresAnomalies"]
    assert [c.__name__ for c in capabilities(model)] == kept
    twin = NADE(**NADE((1, 2, 3), order="random", order_seed=7).config)
    assert twin.order.tolist() == NADE((1, 2, 3), order="random", order_seed=7).order.tolist()
    assert model.log_prob(torch.zeros(0, 1, 8, 8)).shape == (0,)


def test_errors_say_what_to_do():
    model = NADE((1, 2, 2))
    with pytest.raises(DataError, match=r"nade expects values in \{0, 1\}, got 0.33 in .*x: load the data with binarize=True"):
        model.log_prob(torch.full((1, 1, 2, 2), 0.33))
    with pytest.raises(DataError, match=r"nade expects x of shape \(n, 1, 2, 2\), got \(3, 4\)"):
        model.encode(torch.zeros(3, 4))
    with pytest.raises(ConfigError, match="nade takes no condition"):
        model.sample(1, condition=torch.zeros(1))
    with pytest.raises(ConfigError, match="activation 'sigmoidd' is unknown: did you mean 'sigmoid'"):
        NADE((4,), activation="sigmoidd")
    with pytest.raises(ConfigError, match="hidden must be at least 1, got 0"):
        NADE((4,), hidden=0)
    with pytest.raises(ConfigError, match=r"nade learns values in \{0, 1\} or a few levels, and the data are the real numbers"):
        NADE.configure_for((4,), torch.distributions.constraints.real)
    with pytest.raises(ConfigError, match=r"window must be a whole number of at least 1 .*, got 0: .* use independent"):
        NADE((4,), window=0)
    with pytest.raises(ConfigError, match="weight_decay must be a number of at least 0, got -1"):
        NADE((4,), weight_decay=-1.0)
    with pytest.raises(ConfigError, match=r"digits has 2 levels, got levels=3 for nade: leave it out"):
        pofx.build_for("nade", pofx.load_data("digits", binarize=True), levels=3)
    with pytest.raises(ConfigError, match=r"levels must be a whole number of at least 2 .*, got 1"):
        NADE((4,), levels=1)
    with pytest.raises(DataError, match=r"nade expects a boolean mask of the shape of x, \(1, 1, 2, 2\)"):
        model.complete(torch.zeros(1, 1, 2, 2), torch.zeros(1, 1, 2, 2))
    with pytest.raises(DataError, match=r"got 0.33 in row 0 of x"):
        model.complete(torch.full((1, 1, 2, 2), 0.33), torch.ones(1, 1, 2, 2).bool())
    with pytest.raises(CapabilityError, match="its density is exact"):
        model.elbo(torch.zeros(1, 1, 2, 2))


def test_weight_decay_pulls_weights_that_the_likelihood_leaves_alone():
    model = NADE((3,), hidden=2, learning_rate=0.1, weight_decay=0.5)
    before = model.W[2].detach().clone()  # the last variable's row has no gradient of its own
    player = model.players()[0]
    optimizer = player.optimizer(player.parameters)
    sum(player.loss(Batch(torch.zeros(4, 3))).values()).backward()
    optimizer.step()
    assert torch.allclose(model.W[2], before - 0.1 * before.sign(), atol=1e-5)  # Adam's first step: the sign of the gradient
