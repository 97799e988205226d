"""Every model of the registry keeps what it promises; joining the registry enrols it."""

from functools import cache, partial

import pytest
import torch
from torch.distributions import constraints

from pofx.building import build, load
from pofx.core import (
    CAPABILITIES,
    ApproximateDensity,
    Batch,
    CapabilityError,
    Completes,
    ConfigError,
    DataError,
    Decodes,
    DrawsStepwise,
    Encodes,
    FitsByCounting,
    Inpaints,
    LatentVariable,
    Reconstructs,
    Samples,
    ScoresAnomalies,
    TractableDensity,
    capabilities,
    density,
    from_codes,
    levels_of,
    require,
)
from pofx.data import Data, Split
from pofx.models import MODELS
from pofx.training import fit, save

KINDS = [  # the first kind of data that suits a model is the one it is tested on
    ((1, 4, 4), constraints.boolean), ((1, 16, 16), constraints.unit_interval), ((3, 16, 16), constraints.unit_interval),
    ((2,), constraints.real),
]  # fmt: skip


SMALL = {  # arguments with which a model that grows has grown within the few steps of a test
    "progan": {"latent": 8, "base": 64, "most": 16, "fade": 8, "hold": 8},
}


def events(support, shape, n, seed=0):
    generator = torch.Generator().manual_seed(seed)
    if levels := levels_of(support):
        return from_codes(torch.randint(0, levels, (n, *shape), generator=generator), support)
    x = torch.randn(n, *shape, generator=generator)
    return x.sigmoid() if support is constraints.unit_interval else x


def untrained(name):
    """The model, for the first kind of data that suits it; its weights are the same every time."""
    for shape, support in KINDS:
        try:
            torch.manual_seed(0)
            return build(name, shape, **MODELS[name].configure_for(shape, support), **SMALL.get(name, {}))
        except ConfigError as error:
            refusal = error
    raise refusal


def data_for(model):
    x = events(model.support, model.event_shape, 64)
    split = Split(x, label=torch.arange(64) % 2)
    return Data("events", split, split, split, model.event_shape, model.support)


@cache
def trained(name):
    model = untrained(name)
    fit(model, data_for(model), steps=4, batch_size=16, validate_every=0, progress=False)
    return model


@pytest.fixture
def model(request):
    return trained(request.param)


@pytest.fixture
def x(model):
    return events(model.support, model.event_shape, 7, seed=1)


def each(*promises):
    """The test for every model that keeps one of these promises, or for every model there is."""
    names = [name for name, cls in MODELS.items() if not promises or issubclass(cls, promises)]
    return pytest.mark.parametrize("model", names, indirect=True)


def seed(number):
    return torch.Generator().manual_seed(number)


@each()
def test_a_model_is_named_and_described(model):
    assert MODELS[model.name] is type(model)
    assert type(model).__doc__
    assert capabilities(model)
    expected = {TractableDensity: "tractable", ApproximateDensity: "approximate"}
    assert density(model) == next((word for promise, word in expected.items() if isinstance(model, promise)), "implicit")
    assert model.parameter_count() > 0


@each()
def test_its_configuration_builds_its_twin(model):
    twin = type(model)(**model.config)
    assert twin.config == model.config
    assert {k: v.shape for k, v in twin.state_dict().items()} == {k: v.shape for k, v in model.state_dict().items()}


@each()
def test_it_is_saved_and_loaded(model, x, tmp_path):
    save(model, tmp_path)
    loaded = load(tmp_path)
    assert type(loaded) is type(model)
    assert not loaded.training
    assert loaded.event_shape == model.event_shape
    assert loaded.state_dict().keys() == model.state_dict().keys()
    assert all(torch.equal(value, loaded.state_dict()[name]) for name, value in model.state_dict().items())
    if isinstance(model, Samples):
        assert torch.equal(loaded.sample(3, generator=seed(0)), model.sample(3, generator=seed(0)))
    if isinstance(model, Encodes):
        assert torch.equal(loaded.encode(x), model.encode(x))


@each()
def test_what_it_cannot_do_it_refuses_with_a_sentence(model):
    for capability in CAPABILITIES:
        if isinstance(model, capability):
            assert require(model, capability) is model
            assert hasattr(model, capability.method)
        else:
            refined = any(
                issubclass(capability, kept) for kept in capabilities(model)
            )  # the method is there, and promises less
            assert hasattr(model, capability.method) == refined
            with pytest.raises(CapabilityError, match=rf"{model.name} has no {capability.method}\b.*\."):
                require(model, capability)


@each(TractableDensity, ApproximateDensity, Encodes, ScoresAnomalies)
@pytest.mark.parametrize("wrong", ["shape", "value", "nan"])
def test_it_says_what_is_wrong_with_an_event(model, x, wrong):
    bad = x.clone()
    if wrong == "shape":
        bad = x.flatten(1)[:, 1:]
    else:
        bad.view(-1)[3] = torch.nan if wrong == "nan" else 0.33
    if wrong == "value" and bool(model.support.check(bad).all()):
        bad.view(-1)[3] = 7.5
        if bool(model.support.check(bad).all()):
            pytest.skip("every number is a value of its support")
    sentence = r"expects x of shape \(n, " if wrong == "shape" else r"expects values in .*, got (nan|0\.33|7\.5) in row \d of x"
    for promise in (TractableDensity, ApproximateDensity, Encodes, ScoresAnomalies):
        if isinstance(model, promise):
            with pytest.raises(DataError, match=f"{model.name} {sentence}"):
                getattr(model, promise.method)(bad)


@each(Samples)
def test_samples_have_their_shape_lie_in_the_support_and_follow_their_generator(model):
    one, same, other = (model.sample(20, generator=seed(s)) for s in (0, 0, 1))
    assert one.shape == (20, *model.event_shape)
    assert one.dtype == torch.float32
    assert not one.requires_grad
    assert model.support.check(one).all()
    assert torch.equal(one, same)
    assert not torch.equal(one, other)
    assert len(one.flatten(1).unique(dim=0)) > 1
    assert model.sample(0).shape == (0, *model.event_shape)


@each(Samples)
def test_sampling_with_a_generator_leaves_the_global_one_alone(model):
    torch.manual_seed(5)
    state = torch.get_rng_state()
    model.sample(3, generator=seed(0))
    assert torch.equal(torch.get_rng_state(), state)


def assert_a_function_of_each_row(function, x):
    """function(x) treats the rows of x alike and apart: whatever stands beside a row does not matter."""
    value, order = function(x), torch.tensor([3, 0, 6, 1, 5, 2, 4])
    assert len(value) == len(x)
    assert value.isfinite().all()
    assert torch.equal(value, function(x))
    torch.testing.assert_close(function(x[order]), value[order], rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(function(x[2:3]), value[2:3], rtol=1e-5, atol=1e-5)


@each(TractableDensity)
def test_log_probabilities_are_numbers_per_row(model, x):
    assert model.log_prob(x).shape == (7,)
    assert_a_function_of_each_row(model.log_prob, x)
    if levels_of(model.support):
        assert (model.log_prob(x) <= 0).all()


@each(ApproximateDensity)
def test_bounds_are_numbers_per_row_and_rise_with_samples(model, x):
    torch.manual_seed(0)
    many = x.repeat_interleave(300, 0)
    loose, tight = (model.elbo(many, samples=k).detach() for k in (1, 50))
    assert loose.shape == tight.shape == (2100,)
    assert loose.isfinite().all()
    assert tight.mean() >= loose.mean() - 3 * loose.std() / 2100**0.5
    if levels_of(model.support):
        assert tight.mean() <= 0


@each(Encodes)
def test_features_are_a_function_of_each_row(model, x):
    assert model.encode(x).ndim == 2
    assert not model.encode(x).requires_grad
    assert_a_function_of_each_row(model.encode, x)


@each(Decodes)
def test_latents_become_events(model):
    z = torch.randn(5, model.latent, generator=seed(0))
    assert model.decode(z).shape == (5, *model.event_shape)
    assert torch.equal(model.decode(z), model.decode(z))
    torch.testing.assert_close(model.decode(z[2:3]), model.decode(z)[2:3])


@each(Reconstructs)
def test_events_are_encoded_and_decoded(model, x):
    again, between = model.reconstruct(x), model.interpolate(x, x.flip(0), steps=3)
    assert again.shape == x.shape
    assert between.shape == (7, 3, *model.event_shape)
    torch.testing.assert_close(between[:, 0], again)
    torch.testing.assert_close(between[:, 2], again.flip(0))
    assert not again.requires_grad
    z = torch.randn(5, model.latent, generator=seed(0))
    assert not model.decode(z).requires_grad
    (gradient,) = torch.autograd.grad(model.decode(z.requires_grad_()).sum(), z)
    assert (gradient != 0).any(1).all()
    with torch.no_grad():
        assert not model.decode(z).requires_grad


@each(LatentVariable)
def test_the_parts_of_a_latent_variable_model_fit_together(model, x):
    mean, log_variance = model.posterior(x)
    assert mean.shape == log_variance.shape == (7, model.latent)
    assert_a_function_of_each_row(lambda rows: torch.cat(model.posterior(rows), 1), x)
    assert model.log_likelihood_given(x, mean).shape == model.prior.log_prob(mean).shape == (7,)
    drawn = model.draw_given(mean, generator=seed(0))
    assert model.support.check(drawn).all()
    assert torch.equal(drawn, model.draw_given(mean, generator=seed(0)))


@each(ScoresAnomalies)
def test_anomaly_scores_are_numbers_per_row(model, x):
    score = model.anomaly_score(x)
    assert score.shape == (7,)
    assert score.isfinite().all()
    assert torch.equal(score, model.anomaly_score(x))
    assert type(model).anomaly_score.__doc__


@each(Inpaints)
def test_inpainting_keeps_what_is_known(model, x):
    mask = torch.rand(x.shape, generator=seed(2)) < 0.5
    filled = model.inpaint(x, mask, generator=seed(3))
    assert filled.shape == x.shape
    assert torch.equal(filled[mask], x[mask])
    assert model.support.check(filled).all()
    assert torch.equal(filled, model.inpaint(torch.where(mask, x, torch.nan), mask, generator=seed(3)))
    assert torch.equal(model.inpaint(x, torch.ones_like(mask)), x)


@each(Completes)
def test_completion_keeps_what_is_known(model, x):
    mask = torch.rand(x.shape, generator=seed(2)) < 0.5
    filled = model.complete(x, mask, generator=seed(3))
    assert filled.shape == x.shape
    assert torch.equal(filled[mask], x[mask])
    assert model.support.check(filled).all()
    assert torch.equal(filled, model.complete(torch.where(mask, x, torch.nan), mask, generator=seed(3)))
    assert torch.equal(model.complete(x, torch.ones_like(mask), generator=seed(3)), x)


def ways_to_draw(model, x):
    """Whole events, and events in part given, by whatever methods the model has; each takes generator, temperature, on_step."""
    yield lambda **options: model.sample(len(x), **options)
    for promise in (Completes, Inpaints):
        if isinstance(model, promise):
            yield partial(getattr(model, promise.method), x, torch.rand(x.shape, generator=seed(2)) < 0.4)


@each(DrawsStepwise)
def test_temperature_1_draws_from_the_model_and_0_takes_the_likeliest_values(model, x):
    for draw in ways_to_draw(model, x):
        assert torch.equal(draw(generator=seed(0), temperature=1.0), draw(generator=seed(0)))
        greedy = draw(generator=seed(0), temperature=0.0)
        assert model.support.check(greedy).all()
        assert torch.equal(greedy, draw(generator=seed(1), temperature=0.0))
        assert torch.equal(greedy, draw(generator=seed(1), temperature=1e-40))
    assert len(model.sample(9, temperature=0.0).unique(dim=0)) == 1


@each(DrawsStepwise)
def test_a_temperature_that_is_none_is_refused_with_a_sentence(model, x):
    for draw in ways_to_draw(model, x):
        for wrong in (-0.5, torch.nan, torch.inf):
            with pytest.raises(ConfigError, match=rf"temperature must be at least 0, got {wrong}"):
                draw(temperature=wrong)


@each(DrawsStepwise)
def test_drawing_says_how_far_it_is_and_changes_nothing_by_it(model, x):
    for draw in ways_to_draw(model, x):
        steps = []
        watched = draw(generator=seed(0), on_step=lambda done, total, steps=steps: steps.append((done, total)))
        assert torch.equal(watched, draw(generator=seed(0)))
        done, totals = zip(*steps, strict=True)
        assert list(done) == sorted(set(done))
        assert min(done) > 0
        assert set(totals) == {done[-1]}


@each(FitsByCounting)
def test_counting_is_independent_of_order_and_is_forgotten(model, x):
    one, two = (type(model)(**model.config) for _ in range(2))
    one.count(x)
    two.count(x[4:])
    two.count(x[:4])
    assert all(torch.equal(a, b) for a, b in zip(one.buffers(), two.buffers(), strict=True))
    one.forget()
    assert all(torch.equal(a, b) for a, b in zip(one.buffers(), type(model)(**model.config).buffers(), strict=True))
    assert model.players() == []


TRAINED = [name for name, cls in MODELS.items() if not issubclass(cls, FitsByCounting)]


@pytest.mark.parametrize("name", TRAINED)
def test_every_move_has_finite_losses_and_changes_its_own_player_alone(name):
    model = untrained(name)
    model.train()
    model.advance(0)
    rows = events(model.support, model.event_shape, 16)
    batch = Batch(rows, label=torch.arange(16) % 2)
    players = model.players()
    assert len({player.name for player in players}) == len(players) > 0
    assert {id(p) for player in players for p in player.parameters} == {id(p) for p in model.parameters()}
    for player in players:
        own = {id(p) for p in player.parameters}
        for p in model.parameters():
            p.requires_grad_(id(p) in own)
        before = {name: p.detach().clone() for name, p in model.named_parameters()}
        optimizer = player.optimizer(player.parameters)
        terms = player.loss(batch)
        assert all(term.ndim == 0 and term.isfinite() for term in terms.values())
        sum(terms.values()).backward()
        optimizer.step()
        changed = {name for name, p in model.named_parameters() if not torch.equal(p, before[name])}
        assert changed
        assert changed <= {name for name, p in model.named_parameters() if id(p) in own}
        assert all(p.grad is None for p in model.parameters() if id(p) not in own)
        model.zero_grad()


@pytest.mark.parametrize("name", TRAINED)
def test_training_changes_every_player(name):
    before = untrained(name).state_dict()
    assert all(not torch.equal(p, before[key]) for key, p in trained(name).named_parameters() if p.requires_grad)
