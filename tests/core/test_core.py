"""The contracts: supports and codes, players, refusals, and the sentences a user reads."""

import math

import pytest
import torch
from torch.distributions import constraints

from pofx.core import (
    CAPABILITIES,
    ApproximateDensity,
    Batch,
    CapabilityError,
    ConfigError,
    DataError,
    Decodes,
    Encodes,
    GenerativeModel,
    LevelGrid,
    Player,
    PofxError,
    Samples,
    TractableDensity,
    adam,
    capabilities,
    density,
    describe_support,
    discrete_support,
    from_codes,
    levels_of,
    require,
    suggest,
    to_codes,
)
from pofx.models import GAN, NADE, VAE, Independent, Markov

SUPPORTS = [constraints.boolean, LevelGrid(3), LevelGrid(256), constraints.integer_interval(0, 4)]


class Point(GenerativeModel, Samples):
    """The simplest model: always the same event."""

    name = "point"

    def __init__(self, event_shape, value=0.0, support=constraints.real):
        super().__init__()
        self.event_shape, self.support = tuple(event_shape), support
        self.place = torch.nn.Parameter(torch.full(self.event_shape, float(value)))

    def players(self):
        return []

    def sample(self, n, condition=None, generator=None):
        self.refuse_condition(condition)
        return self.place.detach().expand(n, *self.event_shape)


@pytest.mark.parametrize("support", SUPPORTS, ids=describe_support)
def test_codes_and_values_are_inverse_and_lie_inside_the_support(support):
    codes = torch.arange(levels_of(support))
    values = from_codes(codes, support)
    assert values.dtype == torch.float32
    assert support.check(values).all()
    assert torch.equal(to_codes(values, support), codes)


@pytest.mark.parametrize("support", SUPPORTS, ids=describe_support)
@pytest.mark.parametrize("value", [math.nan, math.inf, -0.1, 0.3, 5.0])
def test_supports_reject_what_is_no_value_of_theirs(support, value):
    assert not support.check(torch.tensor(value))


def test_discrete_support_has_the_scale_of_the_data():
    assert discrete_support(2, (1, 4, 4)) is discrete_support(2, (4,)) is constraints.boolean
    assert discrete_support(5, (1, 4, 4)).levels == 5
    assert levels_of(discrete_support(5, (4,))) == 5
    assert levels_of(constraints.unit_interval) is levels_of(constraints.real) is None
    assert [describe_support(s) for s in (LevelGrid(3), constraints.integer_interval(0, 4), constraints.unit_interval)] == [
        "{0, 1/2, ..., 1}", "{0, ..., 4}", "[0, 1]",
    ]  # fmt: skip


@pytest.mark.parametrize(("every", "moves"), [(1, [0, 1, 2, 3, 4, 5]), (2, [1, 3, 5]), (5, [4])])
def test_a_player_moves_on_the_last_of_every_so_many_steps(every, moves):
    player = Player("p", [], lambda batch: {}, every=every)
    assert [step for step in range(6) if player.moves_at(step)] == moves


def test_adam_takes_its_options():
    parameter = torch.nn.Parameter(torch.zeros(1))
    group = adam(0.5, betas=(0.1, 0.2), eps=1e-3)([parameter]).param_groups[0]
    assert (group["lr"], group["betas"], group["eps"]) == (0.5, (0.1, 0.2), 1e-3)


def test_a_batch_moves_its_tensors_and_leaves_captions_alone():
    batch = Batch(torch.zeros(2, 3), condition=["a", "b"], label=torch.tensor([0, 1])).to("meta")
    assert (batch.x.device.type, batch.label.device.type, batch.condition) == ("meta", "meta", ["a", "b"])
    assert len(batch) == 2


def test_errors_are_also_those_that_python_users_expect():
    assert issubclass(DataError, ValueError)
    assert issubclass(ConfigError, ValueError)
    assert issubclass(CapabilityError, AttributeError)
    assert all(issubclass(e, PofxError) for e in (DataError, ConfigError, CapabilityError))


def test_suggest_names_the_nearest_word_and_all_others():
    assert suggest("nadee", ["vae", "nade"]) == "did you mean 'nade'? Known: nade, vae"
    assert suggest("xyz", ["vae", "nade"]) == "Known: nade, vae"
    assert suggest("xyz", map(str, range(100, 200))).endswith(", 122, 123 and 76 more")


def test_the_configuration_is_what_the_constructor_was_given():
    assert Point((2,), support=constraints.real).config == {"event_shape": (2,), "value": 0.0, "support": constraints.real}
    assert Point([2], 3).config["event_shape"] == [2]
    order = [2, 0, 1]
    assert Markov((3,), order=order).config == {
        "event_shape": (3,), "levels": 2, "smoothing": 1.0, "order": order, "order_seed": 0,
    }  # fmt: skip
    assert Independent((3,)).config == {"event_shape": (3,), "levels": 2, "smoothing": 1.0}
    with pytest.raises(TypeError, match="colour"):
        Point((2,), colour="red")


def test_a_model_knows_its_size_and_its_place():
    model = Point((2, 3))
    assert (model.dims, model.parameter_count(), model.device) == (6, 6, torch.device("cpu"))
    model.place.requires_grad_(False)
    assert model.parameter_count() == 0
    assert Point((2,)).to("meta").device.type == "meta"


@pytest.mark.parametrize(
    ("support", "x", "sentence"),
    [
        (constraints.real, torch.zeros(4), r"point expects x of shape \(n, 2\), got \(4,\): reshape"),
        (constraints.real, torch.zeros(4, 3), r"point expects x of shape \(n, 2\), got \(4, 3\): reshape"),
        (
            constraints.boolean,
            torch.tensor([[0.0, 0.33]]),
            r"point expects values in \{0, 1\}, got 0.33 in row 0 of x: .*binarize=True",
        ),
        (constraints.unit_interval, torch.tensor([[0.0, 1.5]]), r"values in \[0, 1\], got 1.5 in row 0 of x: scale the data"),
        (LevelGrid(3), torch.tensor([[0.5, 0.7]]), r"values in \{0, 1/2, ..., 1\}, got 0.7 in row 0 of x: .*levels=K"),
        (
            constraints.integer_interval(0, 4),
            torch.tensor([[5.0, 1]]),
            r"values in \{0, ..., 4\}, got 5 in row 0 of x: .*levels=K",
        ),
        (constraints.real, torch.tensor([[0.0, math.nan]]), r"real numbers, got nan in row 0 of x: remove or fill in missing"),
        (constraints.boolean, torch.tensor([[0.0, math.nan]]), r"\{0, 1\}, got nan in row 0 of x"),
    ],
)
def test_check_says_what_is_wrong_and_what_to_do(support, x, sentence):
    with pytest.raises(DataError, match=sentence):
        Point((2,), support=support).check(x)


@pytest.mark.parametrize("value", [math.inf, -math.inf])
def test_infinity_is_no_real_number(value):
    with pytest.raises(
        DataError, match=r"real numbers, got -?inf in row 0 of x: remove or fill in missing and infinite values"
    ):
        Point((2,)).check(torch.tensor([[0.0, value]]))


def test_check_returns_what_is_fine_and_names_the_argument_otherwise():
    x = torch.zeros(3, 2)
    assert Point((2,)).check(x) is x
    with pytest.raises(DataError, match="expects the training split of shape"):
        Point((3,)).check(x, "the training split")


def test_a_condition_is_refused_where_there_is_no_place_for_it():
    with pytest.raises(ConfigError, match="point takes no condition, got 3: leave it out"):
        Point((2,)).sample(1, condition=3)


@pytest.mark.parametrize(
    ("model", "capability", "sentence"),
    [
        (VAE((4,)), TractableDensity, r"vae has no log_prob: its density is approximate. Use model.elbo\(x\), a lower bound"),
        (NADE((4,)), ApproximateDensity, r"nade has no elbo: its density is exact. Use model.log_prob\(x\). Models with"),
        (GAN((4,)), TractableDensity, r"gan has no log_prob: its density is implicit, it can only be sampled."),
        (Markov((4,)), Encodes, r"markov has no encode. Models with features: .*gan.*nade.*vae"),
    ],
)
def test_a_refusal_names_the_way_out(model, capability, sentence):
    with pytest.raises(CapabilityError, match=sentence):
        require(model, capability)
    with pytest.raises(CapabilityError, match=sentence):
        getattr(model, capability.method)
    assert not hasattr(model, capability.method)


def test_require_gives_back_the_model_that_can():
    model = VAE((4,), latent=2)
    assert require(model, Decodes) is model
    assert capabilities(VAE) == capabilities(model)
    assert [density(m) for m in (NADE((4,)), model, GAN((4,)))] == ["tractable", "approximate", "implicit"]


def test_unknown_attributes_are_ordinary_errors():
    with pytest.raises(AttributeError, match="'Point' object has no attribute 'smaple'"):
        Point((2,)).smaple  # noqa: B018


def test_every_capability_says_what_it_promises():
    for capability in CAPABILITIES:
        assert capability.method in capability.__abstractmethods__
        assert capability.__doc__
        assert capability.promise
