"""PixelRNN: no future is seen, probabilities sum to one, sampling from caches equals the full pass."""

import itertools
import math

import pytest
import torch
from torch.distributions import constraints

from pofx.core import Batch, CapabilityError, ConfigError, DataError, LevelGrid, capabilities, density, from_codes
from pofx.models import pixelrnn
from pofx.models.pixelrnn import PixelRNN
from pofx.nn.incremental_recurrent import RecurrentCache

kinds = pytest.mark.parametrize("kind", ["diagonal", "row"])
SHAPES = [((1, 4, 5), 2, 4), ((1, 3, 4), 5, 4), ((3, 3, 4), 2, 9), ((3, 4, 2), 4, 9)]  # event_shape, levels, hidden
shapes = pytest.mark.parametrize(("shape", "levels", "hidden"), SHAPES, ids=str)


def random_model(shape=(1, 3, 4), **options):
    torch.manual_seed(0)
    model = PixelRNN(shape, **{"hidden": 4, "layers": 2, **options}).double()
    for p in model.parameters():
        torch.nn.init.normal_(p, std=0.5)
    for layer in (
        model.stack.blocks[-1].out,
        model.stack.merge,
        model.mix,
    ):  # no ReLU is dead: zero gradients are structure
        torch.nn.init.constant_(layer.bias, 10.0)
    return model.eval()


def events(model, n, seed=1):
    codes = torch.randint(0, model.levels, (n, *model.event_shape), generator=torch.Generator().manual_seed(seed))
    return from_codes(codes, model.support, torch.float64)


def jacobian(model):
    """Which sub-pixels have a gradient at each sub-pixel's logits, both in the order of visiting, (dims, dims)."""

    def logits(x):
        return model.logits(x)[0].square().sum(0).permute(1, 2, 0).flatten()

    x = torch.rand(1, *model.event_shape, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    gradients = torch.autograd.functional.jacobian(logits, x)[:, 0]
    return gradients.permute(0, 2, 3, 1).flatten(1)


@shapes
@kinds
@pytest.mark.parametrize("layers", [1, 3])
def test_no_sub_pixel_sees_itself_or_a_later_one(kind, layers, shape, levels, hidden):
    gradients = jacobian(random_model(shape, levels=levels, hidden=hidden, kind=kind, layers=layers))
    assert torch.equal(gradients.triu(), torch.zeros_like(gradients))


@shapes
def test_every_sub_pixel_sees_all_earlier_ones_through_diagonal_layers(shape, levels, hidden):
    gradients = jacobian(random_model(shape, levels=levels, hidden=hidden))
    assert torch.equal(gradients != 0, torch.ones_like(gradients).tril(-1) != 0)


@pytest.mark.parametrize("layers", [1, 2])
def test_the_last_pixel_of_the_row_above_is_seen_from_far(layers):
    gradients = jacobian(random_model((1, 4, 6), first_kernel=3, layers=layers))
    assert torch.equal(gradients != 0, torch.ones_like(gradients).tril(-1) != 0)


def test_row_layers_see_a_triangle():
    model = random_model((1, 3, 12), kind="row", first_kernel=3, layers=1)
    expected = torch.zeros(3, 12, dtype=torch.bool)
    expected[0, 2:9], expected[1, 3:8], expected[2, 4:6] = True, True, True
    assert torch.equal((jacobian(model)[2 * 12 + 6] != 0).view(3, 12), expected)  # by column 6 of the last row


@kinds
@pytest.mark.parametrize(("shape", "levels"), [((1, 2, 2), 2), ((1, 3, 3), 2), ((1, 2, 2), 3), ((3, 1, 2), 2)], ids=str)
def test_probabilities_sum_to_one(kind, shape, levels):
    model = random_model(shape, kind=kind, levels=levels, hidden=6)
    codes = torch.tensor(list(itertools.product(range(levels), repeat=model.dims))).view(-1, *shape)
    total = model.log_prob(from_codes(codes, model.support, torch.float64)).exp().sum()
    torch.testing.assert_close(total, torch.ones_like(total), rtol=0, atol=1e-10)


@pytest.mark.parametrize(("shape", "levels"), [((1, 4, 4), 2), ((3, 4, 4), 256)], ids=str)
def test_before_training_every_value_is_equally_likely(shape, levels):
    model = PixelRNN(shape, levels=levels, hidden=6, layers=1).double()
    log_prob = model.log_prob(events(model, 3)).detach()
    torch.testing.assert_close(log_prob, torch.full_like(log_prob, -model.dims * math.log(levels)), rtol=0, atol=1e-10)


@kinds
def test_the_first_sub_pixel_has_the_same_distribution_always(kind):
    model = random_model((3, 3, 3), kind=kind, hidden=6, levels=4)
    first = model.logits(events(model, 5))[:, :, 0, 0, 0]
    assert torch.equal(first, first[:1].expand(5, -1))


@kinds
@shapes
def test_logits_while_sampling_equal_a_full_pass(kind, shape, levels, hidden, monkeypatch):
    model, recorded = random_model(shape, levels=levels, hidden=hidden, kind=kind, layers=3), []
    logits = RecurrentCache.logits

    def recording(self, colour):
        recorded.append(logits(self, colour))
        return recorded[-1]

    monkeypatch.setattr(RecurrentCache, "logits", recording)
    x = model.sample(5, generator=torch.Generator().manual_seed(3))
    colours, height, width = shape
    got = torch.stack(recorded).view(height, width, colours, -1, 5).permute(4, 3, 2, 0, 1)
    torch.testing.assert_close(got, model.logits(x).detach(), rtol=0, atol=1e-10)


def sample_by_full_passes(model, n, seed, temperature=1.0):
    u = torch.rand(n, *model.event_shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))
    x = torch.zeros_like(u)
    for row, column, colour in itertools.product(*(range(model.event_shape[i]) for i in (1, 2, 0))):
        logits = model.logits(x).detach()[:, :, colour, row, column]
        one = u[:, colour, row, column, None]
        if model.levels == 2:
            code = (one < (logits / temperature).sigmoid() if temperature else logits > 0).long().squeeze(1)
        elif temperature:
            code = ((logits / temperature).softmax(1).cumsum(1)[:, :-1] <= one).sum(1)
        else:
            code = logits.argmax(1)
        x[:, colour, row, column] = from_codes(code, model.support, torch.float64)
    return x


@kinds
@shapes
@pytest.mark.parametrize("temperature", [1.0, 0.5, 0.0])
def test_samples_equal_those_of_full_passes(kind, shape, levels, hidden, temperature):
    model = random_model(shape, levels=levels, hidden=hidden, kind=kind)
    x = model.sample(4, generator=torch.Generator().manual_seed(7), temperature=temperature)
    torch.testing.assert_close(x, sample_by_full_passes(model, 4, 7, temperature), rtol=0, atol=1e-12)


@kinds
def test_samples_follow_the_distribution(kind):
    model, n = random_model((1, 2, 2), kind=kind), 20_000
    x = model.sample(n, generator=torch.Generator().manual_seed(0)).flatten(1)
    counts = torch.bincount((x @ torch.tensor([8.0, 4.0, 2.0, 1.0], dtype=torch.float64)).long(), minlength=16)
    every = torch.tensor(list(itertools.product([0.0, 1.0], repeat=4)), dtype=torch.float64).view(-1, 1, 2, 2)
    expected = n * model.log_prob(every).detach().exp()
    assert ((counts - expected) ** 2 / expected.clamp(min=1)).sum() < 37.7  # 99.9 % point of chi-square, 15 degrees of freedom


def test_many_samples_are_drawn_in_parts_and_progress_is_told(monkeypatch):
    model, calls = random_model(), []
    whole = model.sample(7, generator=torch.Generator().manual_seed(0), on_step=lambda done, total: calls.append((done, total)))
    assert calls == [(7 * (i + 1), 7 * 12) for i in range(12)]
    monkeypatch.setattr(pixelrnn, "AT_ONCE", 3)
    calls.clear()
    parts = model.sample(7, generator=torch.Generator().manual_seed(0), on_step=lambda done, total: calls.append((done, total)))
    assert torch.equal(parts, whole)
    assert calls[-1] == (7 * 12, 7 * 12)
    assert len(calls) == 3 * 12
    assert model.sample(0).shape == (0, 1, 3, 4)


@kinds
@shapes
def test_completion_keeps_what_is_given_and_draws_the_rest_from_what_came_before(kind, shape, levels, hidden):
    model = random_model(shape, levels=levels, hidden=hidden, kind=kind)
    x, y = (events(model, 6, seed) for seed in (1, 2))
    mask = torch.rand(x.shape, generator=torch.Generator().manual_seed(4)) < 0.5
    filled = model.complete(torch.where(mask, x, torch.nan), mask, generator=torch.Generator().manual_seed(5))
    assert torch.equal(filled[mask], x[mask])
    assert torch.equal(model.complete(y, torch.ones_like(mask)), y)
    nothing = model.complete(x, torch.zeros_like(mask), generator=torch.Generator().manual_seed(5))
    assert torch.equal(nothing, model.sample(6, generator=torch.Generator().manual_seed(5)))
    again = model.sample(6, generator=torch.Generator().manual_seed(5))
    top = torch.zeros_like(mask)
    top[:, :, 0] = True  # what a sample has drawn first, given: the rest is drawn the same
    assert torch.equal(model.complete(again, top, generator=torch.Generator().manual_seed(5)), again)


def test_completion_of_the_last_pixels_follows_the_conditional():
    model, n = random_model((1, 2, 2)), 20_000
    x = torch.tensor([1.0, 0.0, 0.0, 0.0], dtype=torch.float64).view(1, 1, 2, 2)
    mask = torch.tensor([True, True, False, False]).view(1, 2, 2)
    drawn = model.complete(x.expand(n, -1, -1, -1), mask, generator=torch.Generator().manual_seed(0))[:, 0, 1]
    counts = torch.bincount((2 * drawn[:, 0] + drawn[:, 1]).long(), minlength=4)
    every = x.repeat(4, 1, 1, 1)
    every[:, 0, 1] = torch.tensor(list(itertools.product([0.0, 1.0], repeat=2)), dtype=torch.float64)
    expected = n * model.log_prob(every).detach().softmax(0)
    assert ((counts - expected) ** 2 / expected).sum() < 16.3  # the 99.9 % point of chi-square with 3 degrees of freedom


@kinds
def test_one_player_learns_the_distribution_of_its_data(kind):
    torch.manual_seed(0)
    model = PixelRNN((1, 2, 2), kind=kind, hidden=8, layers=1, learning_rate=0.01)
    x = torch.tensor([[1.0, 1.0, 0.0, 1.0], [0.0, 0.0, 1.0, 1.0], [1.0, 1.0, 0.0, 1.0], [0.0, 1.0, 0.0, 0.0]]).view(4, 1, 2, 2)
    (player,) = model.players()
    optimizer = player.optimizer(player.parameters)
    for _ in range(200):
        optimizer.zero_grad()
        player.loss(Batch(x))["nll"].backward()
        optimizer.step()
    entropy = torch.tensor(0.5 * math.log(2) + 2 * 0.25 * math.log(4))
    torch.testing.assert_close(player.loss(Batch(x))["nll"].detach(), entropy, rtol=0, atol=0.02)


def test_autocast_leaves_the_recurrence_in_the_precision_of_the_weights():
    model = PixelRNN((1, 4, 4), hidden=4, layers=1)
    x = events(model, 3).float()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert model.encode(x).dtype == torch.float32
        model.log_prob(x).sum().backward()
        assert model.sample(2).dtype == torch.float32
    assert all(p.grad is None or p.grad.dtype == torch.float32 for p in model.parameters())


def test_what_it_is():
    model = random_model()
    promises = ["Samples", "DrawsStepwise", "TractableDensity", "Encodes", "Completes", "ScoresAnomalies"]
    assert density(model) == "tractable"
    assert [c.__name__ for c in capabilities(model)] == promises
    assert model.encode(events(model, 3)).shape == (3, 8)
    torch.testing.assert_close(model.anomaly_score(events(model, 3)), -model.log_prob(events(model, 3)))
    assert PixelRNN.configure_for((3, 8, 8), LevelGrid(17)) == {"levels": 17}
    assert model.log_prob(torch.zeros(0, 1, 3, 4)).shape == (0,)


def test_errors_say_what_to_do():
    model = PixelRNN((1, 4, 4), hidden=4, layers=1)
    with pytest.raises(DataError, match=r"pixelrnn expects values in \{0, 1\}, got 0.33 in .*binarize=True"):
        model.log_prob(torch.full((1, 1, 4, 4), 0.33))
    with pytest.raises(DataError, match=r"pixelrnn expects x of shape \(n, 1, 4, 4\), got \(2, 16\)"):
        model.encode(torch.zeros(2, 16))
    with pytest.raises(ConfigError, match="pixelrnn takes no condition"):
        model.sample(1, condition=torch.zeros(1))
    with pytest.raises(ConfigError, match=r"temperature must be at least 0, got -1.0"):
        model.sample(1, temperature=-1.0)
    with pytest.raises(ConfigError, match="kind='diagnal' is unknown: did you mean 'diagonal'"):
        PixelRNN((1, 4, 4), kind="diagnal")
    with pytest.raises(ConfigError, match="hidden must be a multiple of the 3 colours"):
        PixelRNN((3, 4, 4), hidden=16)
    with pytest.raises(ConfigError, match="layers must be at least 1, got 0"):
        PixelRNN((1, 4, 4), layers=0)
    with pytest.raises(ConfigError, match="first_kernel must be an odd number of at least 3 pixels, centred on one, got 4"):
        PixelRNN((1, 4, 4), first_kernel=4)
    with pytest.raises(ConfigError, match="pixelrnn learns pictures"):
        PixelRNN((16,))
    with pytest.raises(ConfigError, match="use nade or rnade for tables"):
        PixelRNN.configure_for((4,), constraints.real)
    with pytest.raises(ConfigError, match=r"the data are \[0, 1\]: load pictures with binarize=True or levels=K"):
        PixelRNN.configure_for((1, 8, 8), constraints.unit_interval)
    with pytest.raises(CapabilityError, match="its density is exact"):
        model.elbo(torch.zeros(1, 1, 4, 4))
