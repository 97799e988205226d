"""The multi-scale PixelRNN: exact although later pixels of the small picture are seen, and sampled in two stages."""

import itertools
import math

import pytest
import torch

from pofx.core import Batch, ConfigError, from_codes
from pofx.models import pixelrnn
from pofx.models.pixelrnn import PixelRNN
from pofx.nn.incremental_recurrent import RecurrentCache

kinds = pytest.mark.parametrize("kind", ["diagonal", "row"])
SHAPES = [((1, 4, 5), 2, 2), ((1, 3, 4), 5, 3), ((3, 3, 4), 2, 2), ((3, 4, 3), 4, 2)]  # event_shape, levels, scale
shapes = pytest.mark.parametrize(("shape", "levels", "scale"), SHAPES, ids=str)


def random_model(shape=(1, 3, 4), hidden=6, layers=2, **options):
    torch.manual_seed(0)
    model = PixelRNN(shape, hidden=hidden, layers=layers, first_kernel=3, **{"scale": 2, **options}).double()
    for name, p in model.named_parameters():
        torch.nn.init.normal_(p, std=0.1 if "upsample" in name else 0.5)
    for network in (model, model.small):  # no ReLU is dead: zero gradients are structure
        for layer in (network.stack.blocks[-1].out, network.stack.merge, network.mix):
            torch.nn.init.constant_(layer.bias, 10.0)
    for layer in model.upsample.layers[::2]:
        torch.nn.init.constant_(layer.bias, 1.0)
    return model.eval()


def events(model, n, seed=1):
    codes = torch.randint(0, model.levels, (n, *model.event_shape), generator=torch.Generator().manual_seed(seed))
    return from_codes(codes, model.support, torch.float64)


def every_event(model):
    codes = torch.tensor(list(itertools.product(range(model.levels), repeat=model.dims)))
    return from_codes(codes.view(-1, *model.event_shape), model.support, torch.float64)


def small_of(x, model):
    return x[:, :, :: model.scale, :: model.scale]


def in_small(model):
    """Which sub-pixels are in the small picture, in the order of visiting, (dims,)."""
    inside = torch.zeros(model.event_shape, dtype=torch.bool)
    inside[:, :: model.scale, :: model.scale] = True
    return inside.permute(1, 2, 0).flatten()


def seeded(number):
    return torch.Generator().manual_seed(number)


@kinds
@pytest.mark.parametrize(
    ("shape", "levels", "scale"),
    [((1, 2, 6), 2, 2), ((1, 3, 3), 2, 2), ((1, 3, 4), 2, 3), ((1, 2, 3), 3, 2), ((3, 2, 2), 2, 2)],
    ids=str,
)
@torch.no_grad()
def test_probabilities_sum_to_one_and_to_those_of_the_small_picture(kind, shape, levels, scale):
    model = random_model(shape, levels=levels, scale=scale, kind=kind)
    x = every_event(model)
    p = model.log_prob(x).exp()
    torch.testing.assert_close(p.sum(), torch.ones_like(p.sum()), rtol=0, atol=1e-10)
    small, which = small_of(x, model).unique(dim=0, return_inverse=True)
    expected = model.small.log_prob(small).exp()
    torch.testing.assert_close(torch.zeros_like(expected).index_add_(0, which, p), expected, rtol=0, atol=1e-10)


@torch.no_grad()
def test_probabilities_of_all_pictures_of_4_by_4_bits_sum_to_one():
    model = random_model((1, 4, 4), hidden=2, layers=1)
    total = sum(model.log_prob(x).exp().sum() for x in every_event(model).split(8192))
    torch.testing.assert_close(total, torch.ones_like(total), rtol=0, atol=1e-10)


@shapes
@kinds
@pytest.mark.parametrize("layers", [1, 3])
def test_the_second_network_sees_all_of_the_small_picture_and_nothing_else_that_is_later(kind, layers, shape, levels, scale):
    model = random_model(shape, levels=levels, scale=scale, kind=kind, layers=layers)

    def logits(x):
        return model.logits(x)[0].square().sum(0).permute(1, 2, 0).flatten()

    x = torch.rand(1, *shape, generator=seeded(2), dtype=torch.float64)
    gradients = torch.autograd.functional.jacobian(logits, x)[:, 0].permute(0, 2, 3, 1).flatten(1)
    small = in_small(model)
    drawn = (gradients != 0)[~small]
    assert drawn[:, small].all()
    earlier = torch.ones_like(gradients, dtype=torch.bool).tril(-1)[~small][:, ~small]
    assert not (drawn[:, ~small] & ~earlier).any()
    if kind == "diagonal":
        assert torch.equal(drawn[:, ~small], earlier)


@kinds
@shapes
def test_logits_while_sampling_equal_full_passes_of_both_networks(kind, shape, levels, scale, monkeypatch):
    model, recorded = random_model(shape, levels=levels, scale=scale, kind=kind, layers=3), []
    logits = RecurrentCache.logits

    def recording(self, colour):
        recorded.append(logits(self, colour))
        return recorded[-1]

    monkeypatch.setattr(RecurrentCache, "logits", recording)
    x = model.sample(5, generator=seeded(3))
    first = model.small.dims
    for network, got, y in ((model.small, recorded[:first], small_of(x, model)), (model, recorded[first:], x)):
        colours, height, width = network.event_shape
        got = torch.stack(got).view(height, width, colours, -1, 5).permute(4, 3, 2, 0, 1)
        torch.testing.assert_close(got, network.logits(y).detach(), rtol=0, atol=1e-10)


def choose(logits, u, levels, temperature):
    if levels == 2:
        return (u < (logits / temperature).sigmoid() if temperature else logits > 0).long().squeeze(1)
    if temperature:
        return ((logits / temperature).softmax(1).cumsum(1)[:, :-1] <= u).sum(1)
    return logits.argmax(1)


def fill_by_full_passes(network, x, u, places, temperature):
    """Sub-pixels drawn at the places (row, column) from a pass of the whole network each."""
    for (row, column), colour in itertools.product(places, range(x.shape[1])):
        logits = network.logits(x).detach()[:, :, colour, row, column]
        code = choose(logits, u[:, colour, row, column, None], network.levels, temperature)
        x[:, colour, row, column] = from_codes(code, network.support, x.dtype)


def sample_by_full_passes(model, n, seed, temperature):
    u = torch.rand(n, *model.event_shape, dtype=torch.float64, generator=seeded(seed))
    x = torch.zeros_like(u)
    small, (_, height, width), scale = small_of(x, model), model.event_shape, model.scale
    places = list(itertools.product(range(height), range(width)))
    rest = [(r, c) for r, c in places if r % scale or c % scale]
    every = itertools.product(range(small.shape[2]), range(small.shape[3]))
    fill_by_full_passes(model.small, small, small_of(u, model), every, temperature)  # a view of x
    fill_by_full_passes(model, x, u, rest, temperature)
    return x


@kinds
@shapes
@pytest.mark.parametrize("temperature", [1.0, 0.5, 0.0])
def test_samples_equal_those_of_full_passes(kind, shape, levels, scale, temperature):
    model = random_model(shape, levels=levels, scale=scale, kind=kind)
    x = model.sample(4, generator=seeded(7), temperature=temperature)
    assert torch.equal(x, model.sample(4, generator=seeded(7), temperature=temperature))
    torch.testing.assert_close(x, sample_by_full_passes(model, 4, 7, temperature), rtol=0, atol=1e-12)


def chi_square(drawn, every, log_prob):
    """Of drawn events (n, bits) against the probabilities of every event (k, bits)."""
    power = 2.0 ** torch.arange(every.shape[1], dtype=torch.float64)
    counts = torch.bincount((drawn @ power).long(), minlength=len(every))[(every @ power).long()]
    expected = len(drawn) * log_prob.softmax(0)
    return ((counts - expected) ** 2 / expected.clamp(min=1)).sum()


@kinds
@torch.no_grad()
def test_samples_follow_the_distribution(kind):
    model = random_model((1, 2, 3), kind=kind)
    every, drawn = every_event(model), model.sample(20_000, generator=seeded(0))
    statistic = chi_square(drawn.flatten(1), every.flatten(1), model.log_prob(every))
    assert statistic < 103.4  # the 99.9 % point of chi-square with 63 degrees of freedom


@torch.no_grad()
def test_what_is_given_of_the_small_picture_informs_all_that_is_drawn():
    model = random_model((1, 2, 3))
    mask = in_small(model).view(1, 2, 3)
    x = torch.tensor([1.0, 0.0, 1.0, 0.0, 0.0, 0.0], dtype=torch.float64).view(1, 1, 2, 3)
    drawn = model.complete(x.expand(20_000, -1, -1, -1), mask, generator=seeded(0))
    assert torch.equal(drawn[:, mask], x[:, mask].expand(20_000, -1))
    every = every_event(model)
    every = every[(every == x)[:, mask].all(1)]
    statistic = chi_square(drawn[:, ~mask], every[:, ~mask], model.log_prob(every))
    assert statistic < 37.7  # the 99.9 % point of chi-square with 15 degrees of freedom


@kinds
@shapes
def test_completion_keeps_what_is_given_and_draws_the_rest_as_a_sample_would(kind, shape, levels, scale):
    model = random_model(shape, levels=levels, scale=scale, kind=kind)
    x, y = (events(model, 6, seed) for seed in (1, 2))
    mask = torch.rand(x.shape, generator=seeded(4)) < 0.5
    filled = model.complete(torch.where(mask, x, torch.nan), mask, generator=seeded(5))
    assert torch.equal(filled[mask], x[mask])
    assert model.support.check(filled).all()
    assert torch.equal(model.complete(y, torch.ones_like(mask)), y)
    for temperature in (1.0, 0.5):
        again = model.sample(6, generator=seeded(5), temperature=temperature)
        for part in (torch.zeros_like(mask), mask):  # given what it draws anyhow, it draws the same
            assert torch.equal(model.complete(again, part, seeded(5), temperature), again)


def test_many_samples_are_drawn_in_parts_and_progress_counts_both_pictures(monkeypatch):
    model, calls = random_model(), []  # 12 pixels, and 4 in the small picture
    whole = model.sample(7, generator=seeded(0), on_step=lambda *call: calls.append(call))
    assert calls == [(7 * (i + 1), 7 * 16) for i in range(16)]
    monkeypatch.setattr(pixelrnn, "AT_ONCE", 3)
    calls.clear()
    nothing = torch.zeros_like(whole, dtype=torch.bool)
    parts = model.complete(whole, nothing, seeded(0), on_step=lambda *call: calls.append(call))
    assert torch.equal(parts, whole)
    assert calls == sorted(calls)
    assert calls[-1] == (7 * 16, 7 * 16)
    assert len(calls) == 3 * 16
    assert model.sample(0).shape == (0, 1, 3, 4)


@pytest.mark.parametrize(("shape", "levels"), [((1, 5, 4), 2), ((3, 4, 4), 256)], ids=str)
def test_before_training_every_value_is_equally_likely(shape, levels):
    model = PixelRNN(shape, levels=levels, hidden=6, layers=1, scale=2).double()
    log_prob = model.log_prob(events(model, 3)).detach()
    torch.testing.assert_close(log_prob, torch.full_like(log_prob, -model.dims * math.log(levels)), rtol=0, atol=1e-10)


@kinds
def test_one_player_learns_the_distribution_of_its_data(kind):
    torch.manual_seed(0)
    model = PixelRNN((1, 2, 3), kind=kind, hidden=8, layers=1, learning_rate=0.01, scale=2)
    x = torch.tensor([[1.0, 1, 0, 1, 0, 1], [0.0, 0, 1, 1, 1, 0], [1.0, 1, 0, 1, 0, 1], [0.0, 1, 0, 0, 1, 1]]).view(4, 1, 2, 3)
    (player,) = model.players()
    assert {id(p) for p in player.parameters} == {id(p) for p in model.parameters()}
    optimizer = player.optimizer(player.parameters)
    for _ in range(200):
        optimizer.zero_grad()
        player.loss(Batch(x))["nll"].backward()
        optimizer.step()
    entropy = torch.tensor(0.5 * math.log(2) + 2 * 0.25 * math.log(4))
    torch.testing.assert_close(player.loss(Batch(x))["nll"].detach(), entropy, rtol=0, atol=0.02)


def test_scale_1_is_the_model_without_scales():
    one, two = (PixelRNN((1, 4, 4), hidden=4, layers=1, scale=scale).state_dict() for scale in (1, 2))
    assert {name.split(".")[0] for name in one} == {"stack", "mix", "head"}
    assert set(two) == {*one, *(f"small.{name}" for name in one), *(name for name in two if name.startswith("upsample."))}
    assert one["stack.blocks.0.lstm.input_weight"].shape == (2, 8, 16)
    assert two["stack.blocks.0.lstm.input_weight"].shape == (2, 8 + 4, 16)


def test_what_it_is():
    model = random_model((1, 3, 5))
    assert model.small.event_shape == (1, 2, 3)
    twin = type(model)(**model.config).double().eval()
    twin.load_state_dict(model.state_dict())
    x = events(model, 3)
    assert torch.equal(twin.log_prob(x), model.log_prob(x))
    assert model.encode(x).shape == (3, 24)
    torch.testing.assert_close(model.anomaly_score(x), -model.log_prob(x))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert model.float().encode(x.float()).dtype == torch.float32
        model.log_prob(x.float()).sum().backward()
        assert model.sample(2).dtype == torch.float32


@pytest.mark.parametrize("scale", [0, -2, 4])
def test_a_scale_that_leaves_no_small_picture_is_refused(scale):
    with pytest.raises(
        ConfigError, match=rf"scale must be from 1 to the shorter side of the picture, 3 pixels, got {scale}: 1 "
    ):
        PixelRNN((1, 5, 3), scale=scale)
