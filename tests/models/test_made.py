"""MADE: outputs see what comes before them and nothing else, mixtures are normalised, draws follow the density."""

import itertools

import pytest
import torch

from pofx.core import Batch, ConfigError, DataError, capabilities, density
from pofx.models.made import MADE

SHAPES = [
    {"hidden": [5]}, {"hidden": [7, 4]}, {"hidden": [2, 2]}, {"hidden": [9], "direct": False, "activation": "tanh"},
    {"hidden": [6], "masks": 3, "order": "random"}, {"hidden": [4, 4], "masks": 2, "activation": "sigmoid", "order": "snake"},
]  # fmt: skip
shapes = pytest.mark.parametrize("options", SHAPES, ids=str)


def all_events(dims):
    return torch.tensor(list(itertools.product([0.0, 1.0], repeat=dims)), dtype=torch.float64)


def random_made(event_shape=(1, 2, 3), **options):
    torch.manual_seed(0)
    model = MADE(event_shape, **{"hidden": [8], **options}).double()
    for p in model.parameters():
        torch.nn.init.normal_(p)
    return model


def bits(*shape, seed=1):
    return (torch.rand(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64) < 0.5).double()


def drawn(number):
    return torch.Generator().manual_seed(number)


def chi_square(x, expected):
    dims = x[0].numel()
    codes = (x.flatten(1) @ 2.0 ** torch.arange(dims - 1, -1, -1, dtype=x.dtype)).long()
    counts = torch.bincount(codes, minlength=len(expected))
    return float(((counts - expected.detach()) ** 2 / expected.detach()).sum())


@shapes
def test_probabilities_sum_to_one(options):
    model = random_made(**options)
    members = model.member_log_probs(all_events(6).view(-1, 1, 2, 3)).exp().sum(1)
    torch.testing.assert_close(members, torch.ones_like(members), rtol=0, atol=1e-9)


@shapes
def test_an_output_sees_earlier_inputs_only(options):
    model = random_made(**options)
    for member in range(model.masks):
        jacobian = torch.autograd.functional.jacobian(lambda x, s=member: model.logits(x[None], s)[0], bits(6))
        ordered = jacobian[model.orders[member]][:, model.orders[member]]
        assert torch.equal(ordered.triu(), torch.zeros(6, 6, dtype=torch.float64))
        if options.get("direct", True):
            assert (ordered.tril(-1) != 0).sum() == 15


@shapes
def test_paths_through_the_masks_lead_forwards(options):
    model = random_made(**options)
    for member in range(model.masks):
        paths = model.output.mask(member).double()
        for layer in reversed(model.layers):
            paths = paths @ layer.mask(member).double()
        places = model.orders[member].argsort()
        assert not paths[places[:, None] <= places].any()
        if min(options["hidden"]) >= 5:
            assert paths[places[:, None] > places].all()


def test_one_variable_and_fewer_units_than_variables():
    alone = random_made((1,), hidden=[3])
    x = torch.tensor([[0.0], [1.0]], dtype=torch.float64)
    expected = torch.distributions.Bernoulli(logits=alone.output.bias).log_prob(x).squeeze(1)
    torch.testing.assert_close(alone.log_prob(x), expected)
    assert alone.sample(3).shape == (3, 1)
    narrow = random_made((12,), hidden=[3])
    assert narrow.log_prob(all_events(12)).exp().sum().item() == pytest.approx(1, abs=1e-9)


def test_without_weights_to_the_output_it_is_a_product_of_bernoullis():
    model, x = random_made((6,)), bits(9, 6)
    for weight in (model.output.weight, model.direct.weight):
        torch.nn.init.zeros_(weight)
    expected = torch.distributions.Bernoulli(logits=model.output.bias).log_prob(x).sum(1)
    torch.testing.assert_close(model.log_prob(x), expected)


def test_the_mixture_averages_probabilities_of_whole_events():
    model, x = random_made(masks=4, order="random"), bits(20, 1, 2, 3)
    members, mixture = model.member_log_probs(x), model.log_prob(x)
    assert members.shape == (4, 20)
    torch.testing.assert_close(mixture.exp(), members.exp().mean(0))
    assert (members.mean(0) <= mixture).all()
    assert (mixture <= members.max(0).values).all()
    assert len({tuple(order.tolist()) for order in model.orders}) > 1
    assert len({tuple(degrees.tolist()) for degrees in model.layers[0].after}) > 1


def test_members_share_a_given_order():
    model = random_made(masks=3, order="snake")
    assert (model.orders == model.orders[0]).all()
    assert not torch.equal(model.layers[0].after[0], model.layers[0].after[1])


@shapes
def test_draws_agree_with_full_passes(options):
    """Every drawn bit is u < p with p from a pass over the finished event: each unit was computed at the right time."""
    model = random_made(**options)
    threshold = torch.rand(40, 6, generator=drawn(3), dtype=torch.float64).logit()
    for member in range(model.masks):
        weights = torch.zeros(model.masks, 40)
        weights[member] = 1
        with torch.no_grad():
            x = model._draw(weights, threshold, drawn(0)).flatten(1)
            assert torch.equal(x, (threshold < model.logits(x, member)).double())


@pytest.mark.parametrize("options", [{}, {"masks": 3, "order": "random"}], ids=str)
def test_samples_follow_the_distribution(options):
    model, n = random_made((3,), **options), 20_000
    expected = n * model.log_prob(all_events(3)).exp()
    assert chi_square(model.sample(n, generator=drawn(0)), expected) < 24.3  # 99.9 % point with 7 degrees of freedom


@pytest.mark.parametrize("masks", [1, 3])
def test_completion_is_exact_where_the_kept_come_first(masks):
    model, n = random_made((4,), masks=masks, order=[2, 0, 3, 1]), 20_000
    x, mask = torch.tensor([1.0, torch.nan, 0.0, torch.nan], dtype=torch.float64), torch.tensor([True, False, True, False])
    completed = model.complete(x.expand(n, -1), mask.expand(n, -1), drawn(0))
    assert (completed[:, 0] == 1).all()
    assert (completed[:, 2] == 0).all()
    events = all_events(4)
    consistent = events[(events[:, 0] == 1) & (events[:, 2] == 0)]
    expected = n * model.log_prob(consistent).softmax(0)
    assert chi_square(completed[:, [1, 3]], expected) < 16.3  # 3 degrees of freedom


def test_completion_keeps_and_fills_in_the_order_of_each_member():
    model, x = random_made(masks=3, order="random"), bits(9, 1, 2, 3)
    mask = bits(9, 1, 2, 3, seed=4).bool()
    completed = model.complete(torch.where(mask, x, torch.nan), mask, drawn(0))
    assert torch.equal(completed[mask], x[mask])
    assert torch.equal(completed, model.complete(x, mask, drawn(0)))
    assert torch.equal(model.complete(x, torch.ones_like(mask)), x)


def test_a_step_moves_one_member_drawn_from_the_global_generator():
    model, x = random_made(masks=3, order="random"), bits(7, 1, 2, 3)
    members = -model.member_log_probs(x).mean(1)
    seen = set()
    for seed in range(20):
        torch.manual_seed(seed)
        loss = model.players()[0].loss(Batch(x))["nll"]
        torch.manual_seed(seed)
        assert torch.equal(loss, model.players()[0].loss(Batch(x))["nll"])
        seen.add(int((members - loss).abs().argmin()))
        assert (members - loss).abs().min() < 1e-12
    assert seen == {0, 1, 2}


def test_one_player_learns_the_distribution_of_its_data():
    torch.manual_seed(0)
    model = MADE((2,), hidden=[8], learning_rate=0.05)
    x = torch.tensor([[1.0, 1.0], [0.0, 0.0], [1.0, 1.0], [0.0, 1.0]])
    (player,) = model.players()
    optimizer = player.optimizer(player.parameters)
    for _ in range(300):
        optimizer.zero_grad()
        player.loss(Batch(x))["nll"].backward()
        optimizer.step()
    assert -model.log_prob(x).mean().item() == pytest.approx(1.0397, abs=0.01)  # 3/2 ln 2


def test_features_are_the_last_hidden_layer():
    model, x = random_made(hidden=[7, 4], activation="tanh"), bits(5, 1, 2, 3)
    first, second = model.layers
    expected = torch.tanh(second(torch.tanh(first(x.flatten(1)))))
    torch.testing.assert_close(model.encode(x), expected.detach())
    assert not model.encode(x).requires_grad


def test_what_it_is():
    model = MADE((1, 8, 8), hidden=[10], direct=False)
    assert model.parameter_count() == 2 * 64 * 10 + 10 + 64
    assert MADE((1, 8, 8), hidden=[10]).parameter_count() == model.parameter_count() + 64 * 64
    assert density(model) == "tractable"
    promises = ["Samples", "DrawsStepwise", "TractableDensity", "Encodes", "Completes", "ScoresAnomalies"]
    assert [c.__name__ for c in capabilities(model)] == promises
    one = MADE((1, 2, 3), hidden=[4], masks=3, order="random", order_seed=7)
    twin = MADE(**one.config)
    assert all(torch.equal(a, b) for a, b in zip(one.buffers(), twin.buffers(), strict=True))
    assert model.log_prob(torch.zeros(0, 1, 8, 8)).shape == (0,)
    assert one.sample(0).shape == (0, 1, 2, 3)


def test_errors_say_what_to_do():
    with pytest.raises(DataError, match=r"made expects values in \{0, 1\}, got 0.33"):
        MADE((4,), hidden=[3]).log_prob(torch.full((1, 4), 0.33))
    with pytest.raises(ConfigError, match="activation 'rellu' is unknown: did you mean 'relu'"):
        MADE((4,), activation="rellu")
    for hidden in ([], [3, 0]):
        with pytest.raises(ConfigError, match=r"hidden must name at least one layer of at least 1 unit, got \["):
            MADE((4,), hidden=hidden)
    with pytest.raises(ConfigError, match="masks must be at least 1, got 0"):
        MADE((4,), masks=0)
    with pytest.raises(ConfigError, match=r"made learns values in \{0, 1\}, and the data are the real numbers"):
        MADE.configure_for((4,), torch.distributions.constraints.real)
    assert MADE.configure_for((4,), torch.distributions.constraints.boolean) == {}


def test_dropout_leaves_out_units_in_training_only():
    twins = [MADE((6,), hidden=[40], dropout=share).double() for share in (0.0, 0.5)]
    for p in twins[0].parameters():
        torch.nn.init.normal_(p)
    twins[1].load_state_dict(twins[0].state_dict())
    x = torch.tensor([[1.0, 0, 1, 1, 0, 1]], dtype=torch.float64)
    assert torch.equal(twins[0].log_prob(x), twins[1].log_prob(x))
    torch.manual_seed(0)
    losses = torch.stack([twins[1].players()[0].loss(Batch(x))["nll"] for _ in range(20)])
    assert len(losses.unique()) == 20
    drawn = twins[1].logits(x.expand(20_000, -1), dropout=0.5)  # linear in the units of the one layer: right on average
    error = drawn.std(0) / 20_000**0.5
    assert ((drawn.mean(0) - twins[0].logits(x)[0]).abs() <= 4 * error + 1e-9).all()
    with pytest.raises(ConfigError, match=r"dropout must be a share in \[0, 1\), got 1"):
        MADE((6,), dropout=1.0)
