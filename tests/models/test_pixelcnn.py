"""PixelCNN: normalised, causal down to the colours, drawn from caches exactly as from full passes."""

import math

import pytest
import torch
from torch.distributions import constraints

from pofx.core import Batch, ConfigError, DataError, LevelGrid, capabilities, density, from_codes, to_codes
from pofx.models.pixelcnn import AT_ONCE, PixelCNN
from pofx.nn.incremental import Choice

kinds = pytest.mark.parametrize("kind", ["gated", "plain"])


def random_pixelcnn(event_shape=(1, 3, 3), std=0.4, seed=0, **options):
    torch.manual_seed(seed)
    model = PixelCNN(event_shape, **{"hidden": 6, "layers": 2, "first_kernel": 5, **options}).double()
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=std)
    return model


def random_events(model, n, seed=1):
    codes = torch.randint(model.levels, (n, *model.event_shape), generator=torch.Generator().manual_seed(seed))
    return from_codes(codes, model.support, torch.float64)


@kinds
@pytest.mark.parametrize(
    ("shape", "levels"), [((1, 2, 2), 2), ((1, 3, 3), 2), ((1, 2, 2), 4), ((3, 1, 1), 4), ((3, 2, 1), 3), ((3, 1, 2), 2)]
)
def test_probabilities_sum_to_one(kind, shape, levels, all_events):
    model = random_pixelcnn(shape, kind=kind, levels=levels)
    probabilities = model.log_prob(all_events(model)).exp()
    assert probabilities.std() > 0
    torch.testing.assert_close(probabilities.sum(), torch.ones_like(probabilities.sum()), rtol=0, atol=1e-9)


@kinds
@pytest.mark.parametrize("levels", [2, 3])
@pytest.mark.parametrize("colours", [1, 3])
def test_no_sub_pixel_depends_on_itself_or_a_later_one(kind, colours, levels):
    model = random_pixelcnn((colours, 3, 4), kind=kind, levels=levels, layers=3)
    order = torch.arange(12 * colours).view(3, 4, colours).permute(2, 0, 1).flatten()  # raster, R before G before B
    gradients = torch.zeros(12 * colours, 12 * colours)
    for seed in range(40):  # a ReLU may be closed by chance
        x = random_events(model, 1, seed)
        jacobian = torch.autograd.functional.jacobian(lambda x: model.logits(x).sum(1), x).abs()
        gradients += jacobian.view(12 * colours, 12 * colours).float()
    later = order[None, :] >= order[:, None]
    assert (gradients[later] == 0).all()
    if kind == "gated":  # and it depends on every earlier one
        assert (gradients[~later] > 0).all()


@kinds
def test_the_first_sub_pixel_is_a_constant(kind):
    logits = (model := random_pixelcnn((3, 3, 3), kind=kind)).logits(random_events(model, 5))[:, :, 0, 0, 0]
    assert torch.equal(logits, logits[:1].expand_as(logits))


@kinds
@pytest.mark.parametrize(("shape", "levels"), [((1, 28, 28), 2), ((3, 4, 4), 256)])
def test_untrained_every_value_is_equally_likely(kind, shape, levels):
    model = PixelCNN(shape, levels=levels, kind=kind, hidden=6, layers=1).double()
    expected = torch.full((3,), -model.dims * math.log(levels), dtype=torch.float64)
    torch.testing.assert_close(model.log_prob(random_events(model, 3)), expected, rtol=0, atol=1e-9)


def drawn_by_full_passes(model, uniforms, shifts=None, temperature=1.0):
    """One pass of the whole network for every sub-pixel."""
    x = torch.zeros_like(uniforms)
    for row, column, colour in torch.cartesian_prod(*map(torch.arange, (*x.shape[2:], x.shape[1]))):
        p = (model.logits(x, shifts)[:, :, colour, row, column] / temperature).detach()
        u = uniforms[:, colour, row, column]
        if model.levels == 2:
            x[:, colour, row, column] = (u < p[:, 0].sigmoid()).to(x.dtype)
        else:
            code = (p.softmax(1).cumsum(1) <= u[:, None]).sum(1)
            x[:, colour, row, column] = code.to(x.dtype) / (model.levels - 1)
    return x


CASES = [
    {"event_shape": (1, 5, 6), "layers": 3, "first_kernel": 7},
    {"event_shape": (1, 4, 7), "first_kernel": 3, "kernel": 5},
    {"event_shape": (1, 5, 2), "first_kernel": 7},
    {"event_shape": (1, 3, 4), "first_kernel": 1, "kernel": 1},
    {"event_shape": (1, 4, 4), "levels": 5, "layers": 1},
    {"event_shape": (3, 3, 4), "levels": 2},
    {"event_shape": (3, 3, 2), "levels": 4, "kernel": 5},
    {"event_shape": (1, 4, 4), "classes": 3},
]


@kinds
@pytest.mark.parametrize("case", CASES, ids=str)
def test_cached_sampling_draws_what_full_passes_draw(kind, case):
    model = random_pixelcnn(kind=kind, **case)
    labels = torch.tensor([0, 2, 1, 1]) if model.condition is not None else None
    x = model.sample(4, labels, generator=torch.Generator().manual_seed(3))
    uniforms = torch.rand(x.shape, dtype=torch.float64, generator=torch.Generator().manual_seed(3))
    assert torch.equal(x, from_codes(to_codes(drawn_by_full_passes(model, uniforms, model._shifts(labels, 4)), model.support),
                                     model.support, torch.float64))  # fmt: skip
    assert 0.02 < x.mean() < 0.98


@kinds
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-10), (torch.float32, 1e-5)])
@pytest.mark.parametrize("case", CASES, ids=str)
def test_cached_logits_are_those_of_one_full_pass_of_the_finished_picture(kind, case, dtype, tolerance):
    model = random_pixelcnn(kind=kind, std=0.2, **case).to(dtype)
    shifts = model._shifts(torch.tensor([0, 2, 1]), 3) if model.condition is not None else None
    recorded = {}

    class Recording(Choice):
        def __call__(self, logits, colour, row, column):
            pixels = torch.stack(torch.broadcast_tensors(torch.as_tensor(row), torch.as_tensor(column)), -1).view(-1, 2)
            for pixel, values in zip(pixels.tolist(), logits.view(len(logits), len(pixels), 3).unbind(1), strict=True):
                recorded[(colour, *pixel)] = values.clone()
            return super().__call__(logits, colour, row, column)

    u = torch.rand(3, *model.event_shape, dtype=dtype, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        x = model._cache(3, shifts).draw(Recording(u, model.levels))
        full = model.logits(x, shifts)
    assert len(recorded) == model.dims
    for (colour, row, column), logits in recorded.items():
        torch.testing.assert_close(logits.T, full[:, :, colour, row, column], rtol=tolerance, atol=tolerance)


@kinds
def test_samples_follow_the_distribution(kind, all_events):
    model, n = random_pixelcnn((1, 2, 2), kind=kind, std=0.5), 20_000
    x = model.sample(n, generator=torch.Generator().manual_seed(0))
    counts = torch.bincount((x.flatten(1) @ torch.tensor([8.0, 4.0, 2.0, 1.0], dtype=torch.float64)).long(), minlength=16)
    expected = n * model.log_prob(all_events(model)).exp().detach()
    assert ((counts - expected) ** 2 / expected).sum() < 37.7  # the 99.9 % point of chi-square with 15 degrees of freedom


@kinds
@pytest.mark.parametrize("levels", [2, 4])
def test_temperature(kind, levels):
    model = random_pixelcnn((1, 3, 4), kind=kind, levels=levels)
    greedy = model.sample(2, temperature=0)
    logits = model.logits(greedy)
    likeliest = (logits[:, 0] > 0).long() if levels == 2 else logits.argmax(1)
    assert torch.equal(to_codes(greedy, model.support), likeliest)
    x = model.sample(5, temperature=0.5, generator=torch.Generator().manual_seed(2))
    uniforms = torch.rand(x.shape, dtype=torch.float64, generator=torch.Generator().manual_seed(2))
    expected = drawn_by_full_passes(model, uniforms, temperature=0.5)
    assert torch.equal(to_codes(x, model.support), to_codes(expected, model.support))


@kinds
def test_progress_is_reported_until_all_pixels_of_all_parts_are_drawn(kind):
    model, seen = random_pixelcnn((1, 3, 4), kind=kind, hidden=1, layers=1), []
    x = model.sample(AT_ONCE + 1, generator=torch.Generator().manual_seed(4), on_step=lambda *step: seen.append(step))
    assert seen == sorted(seen)
    assert seen[-1] == (24, 24)
    assert torch.equal(x, model.sample(AT_ONCE + 1, generator=torch.Generator().manual_seed(4)))


@kinds
@pytest.mark.parametrize("levels", [2, 4])
def test_completion_keeps_what_is_given_and_draws_the_rest_in_order(kind, levels):
    model = random_pixelcnn((3, 3, 3), kind=kind, levels=levels)
    x = random_events(model, 6)
    mask = torch.rand(x.shape, generator=torch.Generator().manual_seed(5)) < 0.5
    filled = model.complete(torch.where(mask, x, torch.nan), mask, torch.Generator().manual_seed(6))
    assert torch.equal(filled[mask], x[mask])
    assert model.support.check(filled).all()
    assert torch.equal(filled, model.complete(x, mask, torch.Generator().manual_seed(6)))
    assert torch.equal(model.complete(x, torch.ones_like(mask)), x)
    nothing = torch.zeros_like(mask)
    assert torch.equal(
        model.complete(x, nothing, torch.Generator().manual_seed(7)),
        model.sample(6, generator=torch.Generator().manual_seed(7)),
    )


@kinds
def test_completion_of_the_last_pixel_is_its_conditional(kind):
    model = random_pixelcnn((1, 2, 2), kind=kind)
    x, n = random_events(model, 1).expand(5000, -1, -1, -1), 5000
    mask = torch.tensor([[[True, True], [True, False]]])
    share = model.complete(x, mask, torch.Generator().manual_seed(1))[:, 0, 1, 1].mean()
    p = model.logits(x[:1])[0, 0, 0, 1, 1].sigmoid().detach()
    assert abs(share - p) < 4 * (p * (1 - p) / n) ** 0.5


@kinds
def test_labels_change_the_distribution_and_without_one_it_is_their_mixture(kind, all_events):
    model = random_pixelcnn((1, 2, 2), kind=kind, classes=3)
    x = all_events(model)
    each = torch.stack([model.log_prob(x, torch.full((16,), k)) for k in range(3)])
    torch.testing.assert_close(each.exp().sum(1), torch.ones(3, dtype=torch.float64), rtol=0, atol=1e-9)
    assert not torch.allclose(each[0], each[1])
    torch.testing.assert_close(model.log_prob(x), each.exp().mean(0).log(), rtol=0, atol=1e-9)
    assert model.sample(5, torch.tensor([0, 1, 2, 2, 1])).shape == (5, 1, 2, 2)
    assert model.sample(5).shape == (5, 1, 2, 2)
    (player,) = model.players()
    labels = torch.arange(16) % 3
    expected = -model.log_prob(x, labels).mean()
    torch.testing.assert_close(player.loss(Batch(x, label=labels))["nll"], expected)
    torch.testing.assert_close(player.loss(Batch(x, condition=labels, label=1 - labels))["nll"], expected)


@kinds
def test_one_player_learns_the_distribution_of_its_data(kind):
    torch.manual_seed(0)
    model = PixelCNN((1, 1, 2), kind=kind, hidden=4, layers=1, first_kernel=3, learning_rate=0.03)
    x = torch.tensor([[1.0, 1.0], [0.0, 0.0], [1.0, 1.0], [0.0, 1.0]]).view(4, 1, 1, 2)
    (player,) = model.players()
    optimizer = player.optimizer(player.parameters)
    for _ in range(200):
        optimizer.zero_grad()
        player.loss(Batch(x))["nll"].backward()
        optimizer.step()
    torch.testing.assert_close(player.loss(Batch(x))["nll"].item(), 1.5 * math.log(2), rtol=0, atol=0.01)


@kinds
def test_dropout_perturbs_the_loss_and_nothing_else(kind):
    model, plain = (random_pixelcnn((1, 3, 3), kind=kind, dropout=share) for share in (0.5, 0.0))
    x = random_events(model, 8)
    torch.testing.assert_close(model.log_prob(x), plain.log_prob(x), rtol=0, atol=0)
    torch.manual_seed(0)
    loss = model.players()[0].loss
    assert loss(Batch(x))["nll"] != loss(Batch(x))["nll"]
    assert torch.equal(plain.players()[0].loss(Batch(x))["nll"], -plain.log_prob(x).mean())


@kinds
def test_features_are_averages_over_a_grid(kind):
    model = random_pixelcnn((1, 8, 8), kind=kind)
    x = random_events(model, 3)
    features = model._features(x).detach()
    assert (features >= 0).all()
    expected = features.unfold(2, 2, 2).unfold(3, 2, 2).mean((4, 5)).flatten(1)
    torch.testing.assert_close(model.encode(x), expected)
    assert random_pixelcnn((1, 2, 3), kind=kind).encode(torch.zeros(2, 1, 2, 3)).shape == (2, 12 * 6)
    torch.testing.assert_close(model.anomaly_score(x), -model.log_prob(x))


@kinds
def test_autocast_keeps_the_precision_of_likelihood_and_samples(kind):
    model = random_pixelcnn((1, 4, 4), kind=kind, std=0.2).float()
    x = random_events(model, 3).float()
    exact, drawn = model.log_prob(x), model.sample(5, generator=torch.Generator().manual_seed(0))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert model.log_prob(x).dtype == torch.float32
        torch.testing.assert_close(model.log_prob(x), exact, rtol=0.05, atol=0.05)
        assert torch.equal(model.sample(5, generator=torch.Generator().manual_seed(0)), drawn)


def test_what_it_is():
    model = PixelCNN((1, 8, 8))
    assert density(model) == "tractable"
    assert [c.__name__ for c in capabilities(model)] == [
        "Samples", "DrawsStepwise", "TractableDensity", "Encodes", "Completes", "ScoresAnomalies",
    ]  # fmt: skip
    assert PixelCNN.configure_for((1, 8, 8), LevelGrid(17)) == {"levels": 17}
    assert PixelCNN.configure_for((3, 8, 8), constraints.boolean) == {"levels": 2}
    assert model.sample(0).shape == (0, 1, 8, 8)
    assert model.log_prob(torch.zeros(0, 1, 8, 8)).shape == (0,)
    assert model.sample(2).dtype == torch.float32


def test_errors_say_what_to_do():
    model = PixelCNN((1, 2, 2), hidden=2, layers=1)
    with pytest.raises(DataError, match=r"pixelcnn expects values in \{0, 1\}, got 0.33 in .*x: load the data with binarize"):
        model.log_prob(torch.full((1, 1, 2, 2), 0.33))
    with pytest.raises(ConfigError, match="pixelcnn takes no condition"):
        model.sample(1, condition=torch.zeros(1))
    with pytest.raises(ConfigError, match=r"temperature must be at least 0, got -1"):
        model.sample(1, temperature=-1)
    with pytest.raises(ConfigError, match="kind='gatd' is unknown: did you mean 'gated'"):
        PixelCNN((1, 2, 2), kind="gatd")
    with pytest.raises(ConfigError, match=r"pixelcnn learns pictures \(channels, height, width\), got events of shape \(4,\)"):
        PixelCNN((4,))
    with pytest.raises(ConfigError, match="hidden must be a multiple of the 3 colours, which share the channels, got 16"):
        PixelCNN((3, 2, 2), hidden=16)
    with pytest.raises(ConfigError, match="first_kernel must be an odd number of pixels, centred on one, got 4"):
        PixelCNN((1, 2, 2), first_kernel=4)
    with pytest.raises(ConfigError, match=r"dropout must be a share in \[0, 1\), got 1"):
        PixelCNN((1, 2, 2), dropout=1.0)
    with pytest.raises(ConfigError, match="levels must be at least 2, got 1"):
        PixelCNN((1, 2, 2), levels=1)
    with pytest.raises(ConfigError, match="the data are events of shape"):
        PixelCNN.configure_for((4,), constraints.boolean)
    with pytest.raises(ConfigError, match="pixelcnn learns discrete values, and the data are the real numbers"):
        PixelCNN.configure_for((1, 2, 2), constraints.real)
    conditional = PixelCNN((1, 2, 2), hidden=2, layers=1, classes=3)
    with pytest.raises(ConfigError, match=r"condition must be one label of 0\.\.2 for each of 2 events"):
        conditional.sample(2, torch.tensor([0, 3]))
    with pytest.raises(ConfigError, match=r"condition must be one label of 0\.\.2 for each of 3 events"):
        conditional.sample(3, torch.tensor([0, 1]))
    with pytest.raises(ConfigError, match="the data have no labels: build it without classes"):
        conditional.players()[0].loss(Batch(torch.zeros(2, 1, 2, 2)))
