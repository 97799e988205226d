"""What a temperature does to draws: known answers by enumeration, of every model that draws variable by variable."""

import pytest
import torch

from pofx.building import build
from pofx.core import DrawsStepwise, to_codes
from pofx.functional.temperature import LEAST, check_temperature, sharpened, thresholds
from pofx.models import MODELS

SMALL = {  # all kinds of models of discrete variables, three of them
    "nade": ((3,), {"hidden": 4}),
    "nade, window": ((3,), {"hidden": 4, "window": 1, "order": [2, 0, 1]}),
    "nade, levels": ((3,), {"hidden": 4, "levels": 3, "order": [1, 2, 0]}),
    "nade, levels and window": ((3,), {"hidden": 4, "levels": 3, "window": 1}),
    "made": ((3,), {"hidden": [6], "order": [1, 0, 2]}),
    "eonade": ((3,), {"hidden": [6]}),
    "pixelcnn": ((1, 1, 3), {"hidden": 4, "layers": 1}),
    "pixelcnn, levels": ((3, 1, 1), {"hidden": 6, "layers": 1, "levels": 3, "kind": "plain"}),
    "pixelrnn": ((1, 1, 3), {"hidden": 4, "layers": 1, "kind": "row"}),
    "pixelrnn, levels": ((1, 1, 3), {"hidden": 4, "layers": 1, "levels": 3}),
}


def small(name):
    shape, options = SMALL[name]
    torch.manual_seed(1)
    model = build(name.split(",")[0], shape, **options).double()
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=1.0)
    return model


def order_of(model):
    return model.orders[0].tolist() if hasattr(model, "orders") else getattr(model, "order", torch.arange(3)).tolist()


def sharpened_by_hand(model, events, temperature):
    """p_T(x) of all events: p(x_d | before) to the power 1/T, each normalised again; from the model's log_prob alone."""
    levels = getattr(model, "levels", 2)
    joint = torch.zeros(levels, levels, levels, dtype=torch.float64)
    codes = to_codes(events.flatten(1), model.support)[:, order_of(model)]
    joint[codes.unbind(1)] = model.log_prob(events).detach().exp()
    logs = [joint.sum((1, 2)).log(), joint.sum(2).log(), joint.log()]  # of the first, the first two, all variables
    terms = [(logs[i] - (logs[i - 1].unsqueeze(-1) if i else 0)) / temperature for i in range(3)]
    first, second, third = (term.log_softmax(-1) for term in terms)
    return (first[:, None, None] + second[:, :, None] + third)[codes.unbind(1)].exp()


@pytest.mark.parametrize("name", SMALL)
@pytest.mark.parametrize("temperature", [0.5, 2.0])
def test_draws_follow_the_sharpened_conditionals(name, temperature, all_events):
    model, n = small(name), 20_000
    events = all_events(model)
    expected = sharpened_by_hand(model, events, temperature) * n
    assert (sharpened_by_hand(model, events, 1.0) - model.log_prob(events).exp()).abs().max() < 1e-12
    x = model.sample(n, generator=torch.Generator().manual_seed(0), temperature=temperature)
    counts = (x.flatten(1)[:, None] == events.flatten(1)).all(2).sum(0)
    likely = expected > 5
    chi2 = ((counts - expected).square() / expected)[likely].sum()
    assert chi2 < likely.sum() + 5 * (2 * likely.sum()) ** 0.5
    assert (counts[~likely] < 25).all()


@pytest.mark.parametrize("name", SMALL)
def test_temperature_0_takes_the_likeliest_value_at_each_step(name, all_events):
    model = small(name)
    events = all_events(model)
    likeliest = events[sharpened_by_hand(model, events, 1e-3).argmax()]
    assert sharpened_by_hand(model, events, 1e-3).max() > 0.99  # no ties
    x = model.sample(4, generator=torch.Generator().manual_seed(0), temperature=0)
    assert torch.equal(x, likeliest.expand(4, *likeliest.shape))


def test_every_model_that_draws_by_steps_is_among_the_small_ones():
    stepwise = {name for name, cls in MODELS.items() if issubclass(cls, DrawsStepwise)}
    assert stepwise - {"rnade"} <= {name.split(",")[0] for name in SMALL}


def test_a_mixture_of_members_is_as_mixed_at_temperature_0():
    torch.manual_seed(0)
    for model in (build("made", (6,), hidden=[8], masks=3, order="random"), build("eonade", (6,), hidden=[8], orders=3)):
        for parameter in model.parameters():
            torch.nn.init.normal_(parameter)
        assert 1 < len(model.sample(200, temperature=0).unique(dim=0)) <= 3


def test_a_condition_decides_what_is_likeliest():
    model = build("pixelcnn", (1, 4, 4), hidden=4, layers=1, classes=3)
    torch.manual_seed(1)
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter)
    torch.nn.init.zeros_(model.out.bias)
    labels = torch.tensor([0, 1, 2, 0, 1, 2])
    assert model.classes == 3
    x = model.sample(6, labels, temperature=0)
    assert torch.equal(x[:3], x[3:])
    assert len(x.unique(dim=0)) > 1
    assert torch.equal(model.complete(x, torch.zeros_like(x, dtype=torch.bool), temperature=0, condition=labels), x)


@pytest.mark.parametrize("family", ["gaussian", "laplace"])
def test_lower_temperatures_give_likelier_rows_of_real_values(family):
    torch.manual_seed(0)
    model = build("rnade", (4,), hidden=8, components=3, family=family)
    means = [
        model.log_prob(model.sample(2000, generator=torch.Generator().manual_seed(0), temperature=t)).mean().item()
        for t in (2.0, 1.0, 0.5, 0.1)
    ]
    assert means == sorted(means)
    assert len(model.sample(5, temperature=0).unique(dim=0)) == 1


def test_sharpened_logits_and_thresholds():
    logits = torch.randn(5, 3, 4, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    assert sharpened(logits, 1) is logits
    torch.testing.assert_close(sharpened(logits, 0.3, 1).softmax(1), (logits / 0.3).softmax(1))
    greedy = sharpened(logits, 0, 1).softmax(1)
    assert torch.equal(greedy.argmax(1), logits.argmax(1))
    assert torch.equal(greedy.sum(1), greedy.amax(1))
    u = torch.tensor([0.0, 0.3, 0.9])
    assert torch.equal(thresholds(u, 0), torch.zeros(3))
    assert torch.equal(thresholds(u, 1), torch.logit(u))
    torch.testing.assert_close(thresholds(u, 2), 2 * torch.logit(u))
    assert check_temperature(LEAST / 2) == 0
    assert check_temperature(0.7) == 0.7
