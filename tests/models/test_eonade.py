"""EoNADE: every order is a normalised distribution, the training loss averages over them, parts follow from parts."""

import itertools
import math

import pytest
import torch
import torch.nn.functional as F

from pofx.core import Batch, ConfigError, DataError, LevelGrid, capabilities, density
from pofx.models import eonade
from pofx.models.eonade import EoNADE

SIZES = [{"hidden": [5]}, {"hidden": [7, 4]}, {"hidden": [4, 6, 3]}, {"hidden": [6, 6], "orders": 3}]
sizes = pytest.mark.parametrize("options", SIZES, ids=str)
kinds = pytest.mark.parametrize("likelihood", ["bernoulli", "gaussian"])


def all_events(dims):
    return torch.tensor(list(itertools.product([0.0, 1.0], repeat=dims)), dtype=torch.float64)


def random_eonade(event_shape=(1, 2, 3), orders=None, **options):
    """A model with random weights; `orders` may be a list of orders rather than their number."""
    torch.manual_seed(0)
    count = len(orders) if isinstance(orders, list) else orders or 1
    model = EoNADE(event_shape, orders=count, **{"hidden": [8, 8], "components": 2, **options}).double()
    for p in model.parameters():
        torch.nn.init.normal_(p)
    if isinstance(orders, list):
        model.orders = torch.tensor(orders)
    return model


def members(model):
    """The model once for each of its orders."""
    for order in model.orders.tolist():
        yield random_eonade(**{**model.config, "orders": [order]})


def events(model, n, seed=1):
    x = torch.randn(n, *model.event_shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    return (x < 0).double() if model.likelihood == "bernoulli" else x


def drawn(number):
    return torch.Generator().manual_seed(number)


def subset(*variables, dims=6):
    return torch.zeros(dims, dtype=torch.bool).index_fill(0, torch.tensor(variables, dtype=torch.long), True)


def conditional_log_prob(model, x, mask, variable):
    """ln p(x_variable | x_mask) by one plain pass of the network."""
    flag = mask.double().expand_as(x)
    output = model.last(model.middle(model.first(torch.cat([torch.where(mask, x, 0), flag], 1))))
    output = output.view(len(x), model.dims, -1)[:, variable]
    if model.likelihood == "bernoulli":
        return -F.binary_cross_entropy_with_logits(output.squeeze(1), x[:, variable], reduction="none")
    weight, mean, log_scale = output.chunk(3, 1)
    normal = torch.distributions.Normal(mean, model.floor + log_scale.exp())
    return torch.logsumexp(weight.log_softmax(1) + normal.log_prob(x[:, variable, None]), 1)


def plain_log_prob(model, x, order, given=()):
    """The chain rule as it is written, one pass of the network for each variable."""
    total = torch.zeros(len(x), dtype=x.dtype)
    for d, variable in enumerate(order):
        total = total + conditional_log_prob(model, x, subset(*given, *order[:d], dims=model.dims), variable)
    return total


def chi_square(x, expected):
    dims = x[0].numel()
    codes = (x.flatten(1) @ 2.0 ** torch.arange(dims - 1, -1, -1, dtype=x.dtype)).long()
    counts = torch.bincount(codes, minlength=len(expected))
    return float(((counts - expected.detach()) ** 2 / expected.detach()).sum())


@sizes
def test_probabilities_sum_to_one_for_each_order_and_the_ensemble(options):
    model, x = random_eonade(**options), all_events(6).view(-1, 1, 2, 3)
    for one in (model, *members(model)):
        assert one.log_prob(x).exp().sum().item() == pytest.approx(1, abs=1e-9)


@kinds
@pytest.mark.parametrize("chunk", [1, 300, 10**6])
def test_the_running_sum_equals_one_pass_for_each_variable(likelihood, chunk, monkeypatch):
    monkeypatch.setattr(eonade, "CHUNK", chunk)
    model = random_eonade((7,), likelihood=likelihood)
    x = events(model, 5)
    torch.testing.assert_close(model.log_prob(x), plain_log_prob(model, x, model.orders[0].tolist()))


def test_real_densities_integrate_to_one():
    torch.manual_seed(0)
    model = EoNADE((2,), hidden=[8], likelihood="gaussian", components=3, mean_range=(-2, 2)).double()
    torch.nn.init.normal_(model.last.weight, std=0.2)
    axis = torch.linspace(-15, 15, 401, dtype=torch.float64)
    density = model.log_prob(torch.cartesian_prod(axis, axis)).exp().detach()
    assert density.sum().item() * float(axis[1] - axis[0]) ** 2 == pytest.approx(1, abs=1e-6)


@kinds
def test_a_conditional_depends_on_earlier_variables_only(likelihood):
    model = random_eonade((6,), likelihood=likelihood, orders=[[3, 0, 5, 1, 4, 2]])
    order, x = model.orders[0], events(model, 1)

    def terms(values):
        return torch.cat([
            model.log_prob_given(values[None], subset(int(o)), subset(*order[:d].tolist())) for d, o in enumerate(order)
        ])  # fmt: skip

    jacobian = torch.autograd.functional.jacobian(terms, x[0])[:, order]
    assert torch.equal(jacobian.triu(1), torch.zeros(6, 6, dtype=torch.float64))
    assert (jacobian.tril(-1) != 0).sum() > 10


@kinds
def test_the_loss_averaged_over_masks_is_the_mean_over_all_orders(likelihood):
    model = random_eonade((4,), likelihood=likelihood)
    x = events(model, 3)
    orders = list(itertools.permutations(range(4)))
    exact = -sum(plain_log_prob(model, x, order) for order in orders) / len(orders)
    losses = [
        model.order_agnostic_nll(x, subset(*order[:d], dims=4)) for order in orders for d in range(4)
    ]  # fmt: skip
    torch.testing.assert_close(sum(losses) / len(losses), exact)


def test_training_draws_every_number_of_observed_variables_as_often(monkeypatch):
    model = random_eonade((4,))
    seen = []
    monkeypatch.setattr(EoNADE, "order_agnostic_nll", lambda self, x, observed, dropout: seen.append(observed) or x.sum(1))
    torch.manual_seed(0)
    model.players()[0].loss(Batch(torch.zeros(8000, 4)))
    counts = torch.bincount(seen[0].sum(1), minlength=4)
    assert len(counts) == 4
    assert ((counts - 2000.0) ** 2 / 2000).sum() < 16.3  # the 99.9 % point with 3 degrees of freedom
    assert ((seen[0].double().mean(0) - 0.375).abs() < 0.025).all()


def test_dropout_leaves_out_units_in_training_only():
    plain, model = random_eonade((4,), hidden=[30]), random_eonade((4,), hidden=[30], dropout=0.5)
    x, observed = events(model, 1), subset(1, 2, dims=4)
    assert torch.equal(plain.log_prob(x), model.log_prob(x))
    torch.manual_seed(0)
    assert len({model.order_agnostic_nll(x, observed, 0.5).item() for _ in range(20)}) == 20
    assert torch.equal(model.order_agnostic_nll(x, observed), plain.order_agnostic_nll(x, observed))
    seeded = []
    for one in (plain, model):
        torch.manual_seed(1)
        seeded.append(one.players()[0].loss(Batch(x))["nll"])
    assert not torch.equal(*seeded)
    with pytest.raises(ConfigError, match=r"dropout must be a share in \[0, 1\), got -0.1"):
        EoNADE((4,), dropout=-0.1)


def test_the_ensemble_averages_probabilities_of_whole_events():
    model = random_eonade(orders=4)
    x = events(model, 20)
    each = torch.stack([one.log_prob(x) for one in members(model)])
    ensemble = model.log_prob(x)
    torch.testing.assert_close(ensemble.exp(), each.exp().mean(0))
    assert (each.mean(0) <= ensemble).all()
    assert (ensemble <= each.max(0).values).all()
    assert len({tuple(order.tolist()) for order in model.orders}) > 1


@kinds
def test_the_chain_rule_holds_along_the_order(likelihood):
    model = random_eonade((6,), likelihood=likelihood, orders=[[3, 0, 5, 1, 4, 2]])
    x, nothing = events(model, 5), subset()
    for d in range(7):
        a, b = (subset(*model.orders[0].tolist()[part]) for part in (slice(d), slice(d, 6)))
        parts = model.log_prob_given(x, a, nothing) + model.log_prob_given(x, b, a)
        torch.testing.assert_close(parts, model.log_prob(x))


@kinds
@pytest.mark.parametrize("orders", [1, 3])
def test_parts_given_parts_equal_plain_passes_over_each_events_own_masks(likelihood, orders):
    model = random_eonade((6,), likelihood=likelihood, orders=orders)
    x = events(model, 8)
    kind = torch.randint(3, (8, 6), generator=drawn(2))  # target, observed or ignored
    ignored = torch.where(kind == 2, torch.nan, x)
    expected = []
    for row, kinds_of_row in zip(x, kind.tolist(), strict=True):
        given = [i for i, k in enumerate(kinds_of_row) if k == 1]
        aims = [[i for i in order if kinds_of_row[i] == 0] for order in model.orders.tolist()]
        each = torch.cat([plain_log_prob(model, row[None], aim, given) for aim in aims])
        expected.append(torch.logsumexp(each, 0) - math.log(orders))
    torch.testing.assert_close(model.log_prob_given(ignored, kind == 0, kind == 1), torch.stack(expected))


@pytest.mark.parametrize("orders", [1, 3])
def test_parts_given_parts_are_normalised(orders):
    model, observed = random_eonade((6,), orders=orders), subset(1, 4)
    x = all_events(6)
    x = x[(x[:, 1] == 1) & (x[:, 4] == 0) & (x[:, 5] == 0)]
    assert model.log_prob_given(x, subset(0, 2, 3), observed).exp().sum().item() == pytest.approx(1, abs=1e-9)
    assert torch.equal(model.log_prob_given(x, subset(), observed), torch.zeros(8, dtype=torch.float64))


@pytest.mark.parametrize("orders", [1, 3])
def test_samples_follow_the_distribution(orders):
    model, n = random_eonade((3,), orders=orders), 20_000
    expected = n * model.log_prob(all_events(3)).exp()
    assert chi_square(model.sample(n, generator=drawn(0)), expected) < 24.3  # 99.9 % point with 7 degrees of freedom


@pytest.mark.parametrize("orders", [1, 3])
def test_inpainted_values_follow_their_probability_given_the_observed(orders):
    model, n, observed = random_eonade((4,), orders=orders), 20_000, subset(1, 3, dims=4)
    x = torch.tensor([torch.nan, 1.0, torch.nan, 0.0], dtype=torch.float64)
    filled = model.inpaint(x.expand(n, -1), observed, drawn(0))
    assert (filled[:, 1] == 1).all()
    assert (filled[:, 3] == 0).all()
    possible = all_events(4)
    possible = possible[(possible[:, 1] == 1) & (possible[:, 3] == 0)]
    expected = n * model.log_prob_given(possible, ~observed, observed).exp()
    assert chi_square(filled[:, [0, 2]], expected) < 16.3  # 3 degrees of freedom


def test_each_event_is_inpainted_by_its_own_mask():
    model = random_eonade((3,))
    n = 20_000
    x = torch.tensor([[1.0, 0.0, 0.0], [0.0, 1.0, 1.0]], dtype=torch.float64).repeat(n, 1)
    mask = torch.tensor([[True, False, False], [False, True, True]]).repeat(n, 1)
    filled = model.inpaint(x, mask, drawn(0))
    assert torch.equal(filled[mask], x[mask])
    likely = model.log_prob_given(x[1:2] * 0 + torch.tensor([1.0, 1.0, 1.0]), subset(0, dims=3), subset(1, 2, dims=3)).exp()
    assert filled[1::2, 0].mean().item() == pytest.approx(likely.item(), abs=4 * (0.25 / n) ** 0.5)
    pairs = all_events(3)[4:]
    expected = n * model.log_prob_given(pairs, subset(1, 2, dims=3), subset(0, dims=3)).exp()
    assert chi_square(filled[::2, 1:], expected) < 16.3


def test_real_values_are_drawn_from_their_mixtures():
    model, n = random_eonade((2,), likelihood="gaussian", orders=[[1, 0]]), 40_000
    x = model.sample(n, generator=drawn(0))
    axis = torch.linspace(-60, 60, 24_001, dtype=torch.float64)
    p = model.log_prob_given(torch.stack([axis, axis], 1), subset(1, dims=2), subset(dims=2)).exp() * (axis[1] - axis[0])
    mean, square = (p * axis).sum(), (p * axis**2).sum()
    assert x[:, 1].mean().item() == pytest.approx(mean.item(), abs=4 * (square.item() / n) ** 0.5)
    assert (x[:, 1] < mean).double().mean().item() == pytest.approx(p[axis < mean].sum().item(), abs=0.01)


def test_one_player_learns_the_distribution_of_its_data():
    torch.manual_seed(0)
    model = EoNADE((2,), hidden=[16], learning_rate=0.02, orders=2)
    x = torch.tensor([[1.0, 1.0], [0.0, 0.0], [1.0, 1.0], [0.0, 1.0]]).repeat(16, 1)
    (player,) = model.players()
    optimizer = player.optimizer(player.parameters)
    for _ in range(400):
        optimizer.zero_grad()
        player.loss(Batch(x))["nll"].backward()
        optimizer.step()
    assert -model.log_prob(x).mean().item() == pytest.approx(1.0397, abs=0.02)  # 3/2 ln 2


def test_untrained_mixtures_cover_their_range():
    model = EoNADE((3,), likelihood="gaussian", components=4, mean_range=(0, 1))
    start = model.last.bias.detach().view(3, 3, 4)
    torch.testing.assert_close(start[1], torch.tensor([[0.0] * 4, [0.2, 0.4, 0.6, 0.8], [math.log(0.2)] * 4]))


def test_the_same_generator_state_gives_the_same_samples():
    model = random_eonade(orders=3)
    first, again = (model.sample(8, generator=drawn(5)) for _ in range(2))
    assert torch.equal(first, again)
    assert model.sample(0).shape == (0, 1, 2, 3)
    assert model.log_prob(torch.zeros(0, 1, 2, 3, dtype=torch.float64)).shape == (0,)


def test_what_it_is():
    model = EoNADE((1, 8, 8), hidden=[10, 5])
    assert model.parameter_count() == 128 * 10 + 10 + 10 * 5 + 5 + 5 * 64 + 64
    assert density(model) == "tractable"
    assert [c.__name__ for c in capabilities(model)] == [
        "Samples",
        "DrawsStepwise",
        "TractableDensity",
        "Encodes",
        "Inpaints",
        "ScoresAnomalies",
    ]
    twin = EoNADE(**EoNADE((4,), orders=3, order_seed=7).config)
    assert torch.equal(twin.orders, EoNADE((4,), orders=3, order_seed=7).orders)
    assert torch.equal(twin.orders[1:], EoNADE((4,), orders=2, order_seed=8).orders)
    assert model.encode(torch.zeros(3, 1, 8, 8)).shape == (3, 5)


def test_it_suits_binary_and_real_data():
    kinds = torch.distributions.constraints
    assert EoNADE.configure_for((4,), kinds.boolean) == {"likelihood": "bernoulli"}
    assert EoNADE.configure_for((4,), kinds.real)["likelihood"] == "gaussian"
    assert EoNADE.configure_for((1, 4, 4), kinds.unit_interval)["mean_range"] == (0.0, 1.0)
    with pytest.raises(ConfigError, match=r"eonade learns values in \{0, 1\} or real values, and the data are \{0, 1/16"):
        EoNADE.configure_for((1, 4, 4), LevelGrid(17))


def test_errors_say_what_to_do():
    model, x = EoNADE((4,), hidden=[3]), torch.zeros(2, 4)
    with pytest.raises(DataError, match=r"eonade expects values in \{0, 1\}, got 0.33"):
        model.log_prob(torch.full((1, 4), 0.33))
    with pytest.raises(DataError, match=r"eonade expects x of shape \(n, 4\), got \(2, 3\)"):
        model.inpaint(torch.zeros(2, 3), torch.zeros(2, 3, dtype=torch.bool))
    with pytest.raises(DataError, match=r"eonade expects mask to be boolean, of shape \(2, 4\) or \(4,\), got torch.float32"):
        model.inpaint(x, x)
    with pytest.raises(DataError, match="target and observed must not overlap"):
        model.log_prob_given(x, subset(0, 1, dims=4), subset(1, dims=4))
    with pytest.raises(ConfigError, match="likelihood='gausian' is unknown: did you mean 'gaussian'"):
        EoNADE((4,), likelihood="gausian")
    with pytest.raises(ConfigError, match="hidden must name at least one layer"):
        EoNADE((4,), hidden=[])
    for wrong in ({"components": 0}, {"orders": 0}, {"floor": 0.0}):
        with pytest.raises(ConfigError, match="components, orders, floor must be positive"):
            EoNADE((4,), **wrong)
