"""RNADE: the fast form equals the equation, the density is normalised, samples and quantiles follow it."""

import math

import pytest
import torch
from torch.distributions import Categorical, Laplace, MixtureSameFamily, MultivariateNormal, Normal, constraints

from pofx.core import Batch, CapabilityError, ConfigError, DataError, LevelGrid, capabilities, density
from pofx.models import rnade
from pofx.models.rnade import RNADE

TORCH = {"gaussian": Normal, "laplace": Laplace}
families = pytest.mark.parametrize("family", ["gaussian", "laplace"])
activations = pytest.mark.parametrize("activation", ["sigmoid", "relu"])
orders = pytest.mark.parametrize("order", ["raster", "random", [5, 0, 3, 1, 4, 2]], ids=str)


def random_rnade(event_shape=(6,), spread=0.5, **options):
    torch.manual_seed(0)
    model = RNADE(event_shape, **{"hidden": 4, "components": 3, **options}).double()
    for p in model.parameters():
        torch.nn.init.normal_(p, std=spread)
    return model


def reals(*shape, seed=1):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def conditional(model, x, d):
    """p(x_{o_d} | x_{o_<d}) as the equations are written, for one row x (D,)."""
    before, variable = model.order[:d], model.order[d]
    a = model.c + sum((x[i] * model.W[i] for i in before), torch.zeros_like(model.c))
    act = torch.sigmoid if model.activation == "sigmoid" else torch.relu
    output = model.b[variable] + act(model.rho[variable] * a) @ model.V[variable]
    logits, mean, log_scale = output.view(3, -1)
    scale = model.floor + log_scale.exp()
    return MixtureSameFamily(Categorical(logits=logits), TORCH[model.family](mean, scale), validate_args=False)


@families
@activations
@orders
def test_all_at_once_equals_the_equation_and_its_gradient(order, activation, family, monkeypatch):
    monkeypatch.setattr(rnade, "CHUNK", 6 * 9 * 3)  # three rows at a time
    model, x = random_rnade(order=order, activation=activation, family=family), reals(7, 6)
    got = model.log_prob(x)
    expected = torch.stack([sum(conditional(model, row, d).log_prob(row[v]) for d, v in enumerate(model.order)) for row in x])
    torch.testing.assert_close(got, expected, rtol=0, atol=1e-10)
    weights, seed = list(model.parameters()), reals(7)
    gradients, expected_gradients = (torch.autograd.grad(y, weights, seed) for y in (got, expected))
    torch.testing.assert_close(gradients, expected_gradients, rtol=0, atol=1e-9)


@families
@orders
def test_conditional_probabilities_and_quantiles_are_in_the_order_of_the_columns(order, family):
    model, x = random_rnade(order=order, family=family), reals(3, 6)
    pit, median = model.pit(x), model.conditional_quantiles(x, 0.5)
    for row in range(3):
        for d, variable in enumerate(model.order):
            p = conditional(model, x[row], d)
            torch.testing.assert_close(pit[row, variable], p.cdf(x[row, variable]).detach(), rtol=0, atol=1e-10)
            assert p.cdf(median[row, variable]).item() == pytest.approx(0.5, abs=1e-10)


@families
def test_every_conditional_integrates_to_one(family):
    model, row = random_rnade(order="random", family=family), reals(6)
    grid = torch.linspace(-60, 60, 60_001, dtype=torch.float64)
    for variable in model.order:
        x = row.repeat(len(grid), 1)
        x[:, variable] = grid
        rows = model._rows(x)
        with torch.no_grad():
            log_p = model._conditionals(rows).log_prob(rows.T)[model.order == variable].squeeze(0)
        assert torch.trapezoid(log_p.exp(), grid).item() == pytest.approx(1, abs=1e-5)


@families
@activations
def test_the_density_integrates_to_one(family, activation):
    model = random_rnade((2,), family=family, activation=activation, order=[1, 0])
    axis = torch.linspace(-30, 30, 601, dtype=torch.float64)
    with torch.no_grad():
        p = model.log_prob(torch.cartesian_prod(axis, axis)).exp().view(601, 601)
    assert torch.trapezoid(torch.trapezoid(p, axis), axis).item() == pytest.approx(1, abs=2e-3)


@orders
def test_a_conditional_depends_on_earlier_variables_only(order):
    model, x = random_rnade(order=order, activation="sigmoid"), reals(6)
    rows = x[model.order]
    jacobian = torch.autograd.functional.jacobian(lambda rows: model._conditionals(rows[None]).mean[:, 0].sum(1), rows)
    assert torch.equal(jacobian.triu(), torch.zeros(6, 6, dtype=torch.float64))
    assert (jacobian.tril(-1) != 0).sum() == 15


@orders
def test_the_last_visited_variable_is_read_by_nobody(order):
    model = random_rnade(order=order, activation="sigmoid")
    model.log_prob(reals(4, 6)).sum().backward()
    assert (model.W.grad.abs().sum(1) == 0).tolist() == [d == model.order[-1] for d in range(6)]


def test_permuting_variables_together_with_the_order_changes_nothing():
    x, permutation = reals(7, 6), torch.tensor([4, 2, 0, 5, 1, 3])
    model, permuted = random_rnade(), random_rnade(order=permutation.argsort().tolist())
    for name in ("W", "V", "b", "rho"):
        getattr(permuted, name).data = getattr(model, name).data[permutation]
    torch.testing.assert_close(permuted.log_prob(x[:, permutation]), model.log_prob(x), rtol=0, atol=1e-12)
    torch.testing.assert_close(permuted.pit(x[:, permutation]), model.pit(x)[:, permutation], rtol=0, atol=1e-12)


@families
def test_without_output_weights_it_is_a_product_of_mixtures(family):
    model, x = random_rnade(family=family), reals(9, 6)
    torch.nn.init.zeros_(model.V)
    logits, mean, log_scale = model.b.chunk(3, -1)
    parts = TORCH[family](mean, model.floor + log_scale.exp())
    expected = MixtureSameFamily(Categorical(logits=logits), parts).log_prob(x).sum(1)
    torch.testing.assert_close(model.log_prob(x), expected, rtol=0, atol=1e-12)


def linear_gaussian():
    """x_0 ~ N(1, 0.5²), x_1 | x_0 ~ N(2 + 3 x_0, 0.25²), with two ReLU units: x_0 = relu(x_0) − relu(−x_0)."""
    model = RNADE((2,), hidden=2, components=1).double()
    for p in (model.W, model.V, model.b):
        torch.nn.init.zeros_(p)
    with torch.no_grad():
        model.W[0] = torch.tensor([1.0, -1.0])
        model.V[1, :, 1] = torch.tensor([3.0, -3.0])  # outputs are logit, mean, log-scale
        model.b[:, 1] = torch.tensor([1.0, 2.0])
        model.b[:, 2] = (torch.tensor([0.5, 0.25], dtype=torch.float64) - model.floor).log()
    mean = torch.tensor([1.0, 5.0], dtype=torch.float64)
    covariance = torch.tensor([[0.25, 0.75], [0.75, 2.3125]], dtype=torch.float64)
    return model, MultivariateNormal(mean, covariance)


def test_a_linear_gaussian_model_has_its_closed_form():
    model, expected = linear_gaussian()
    x = expected.mean + 2 * reals(50, 2)
    torch.testing.assert_close(model.log_prob(x), expected.log_prob(x), rtol=0, atol=1e-9)
    z = torch.tensor(1.959963984540054, dtype=torch.float64)
    upper = torch.stack([(1 + 0.5 * z).expand(50), 2 + 3 * x[:, 0] + 0.25 * z], 1)
    torch.testing.assert_close(model.conditional_quantiles(x, 0.975), upper, rtol=0, atol=1e-9)


def test_samples_of_one_component_have_its_moments():
    model, expected = linear_gaussian()
    n = 20_000
    x = model.sample(n, generator=torch.Generator().manual_seed(0))
    standard_error = (expected.variance / n).sqrt()
    assert ((x.mean(0) - expected.mean).abs() < 4 * standard_error).all()
    torch.testing.assert_close(torch.cov(x.T), expected.covariance_matrix, rtol=0.05, atol=0)


@families
def test_samples_follow_the_density(family):
    """The transform of a sample is uniform on the cube: chi-square over its 4³ cells."""
    model, n = random_rnade((3,), family=family, order=[2, 0, 1]), 20_000
    u = model.pit(model.sample(n, generator=torch.Generator().manual_seed(0)))
    counts = torch.bincount(((u * 4).long() * torch.tensor([16, 4, 1])).sum(1), minlength=64)
    assert ((counts - n / 64) ** 2 / (n / 64)).sum() < 103.4  # the 99.9 % point of chi-square with 63 degrees of freedom


@families
def test_quantiles_of_the_transform_give_the_event_back(family):
    model = random_rnade((3,), family=family, order="random")
    x = model.sample(5, generator=torch.Generator().manual_seed(1))
    pit = model.pit(x)
    for row, (event, u) in enumerate(zip(x, pit, strict=True)):
        back = [model.conditional_quantiles(x, u[d].item())[row, d] for d in range(3)]
        torch.testing.assert_close(torch.stack(back), event, rtol=0, atol=1e-8)


def test_completing_keeps_what_is_given_and_draws_the_rest_from_the_conditional():
    model, _ = linear_gaussian()
    n = 20_000
    x = torch.tensor([-2.0, torch.nan], dtype=torch.float64).expand(n, 2)
    mask = torch.tensor([True, False]).expand(n, 2)
    filled = model.complete(x, mask, generator=torch.Generator().manual_seed(0))
    assert (filled[:, 0] == -2).all()
    assert filled[:, 1].mean().item() == pytest.approx(-4, abs=4 * 0.25 / n**0.5)
    assert filled[:, 1].std().item() == pytest.approx(0.25, rel=0.03)
    assert torch.equal(filled, model.complete(x, mask, generator=torch.Generator().manual_seed(0)))
    assert torch.equal(model.complete(filled, torch.ones_like(mask)), filled)


def test_the_scaled_gradient_is_that_of_the_means_alone_and_leaves_the_loss():
    model, plain, x = random_rnade(components=1), random_rnade(components=1, scale_mean_gradient=False), reals(1, 6)
    losses = [m._loss(Batch(x))["nll"] for m in (model, plain)]
    assert torch.equal(*losses)
    torch.testing.assert_close(losses[0], -model.log_prob(x).mean(), rtol=0, atol=1e-12)
    scaled, true = (torch.autograd.grad(loss, m.b)[0] for loss, m in zip(losses, (model, plain), strict=True))
    sigma = model._conditionals(x).scale.flatten().detach()
    torch.testing.assert_close(scaled[:, 1], true[:, 1] * sigma, rtol=1e-12, atol=0)
    assert torch.equal(scaled[:, [0, 2]], true[:, [0, 2]])
    exact = torch.autograd.grad(model.log_prob(x).sum(), model.b)[0]
    torch.testing.assert_close(exact, -true, rtol=0, atol=1e-12)


@families
def test_no_scale_falls_below_the_floor(family):
    model = random_rnade((2,), floor=0.05, family=family)
    torch.nn.init.constant_(model.b, -100.0)
    assert (model._conditionals(reals(4, 2)).scale >= 0.05).all()
    x = torch.full((1, 2), -100.0, dtype=torch.float64)
    torch.nn.init.zeros_(model.V)
    peak = {"gaussian": -math.log(0.05 * math.sqrt(2 * math.pi)), "laplace": -math.log(0.1)}[family]
    assert model.log_prob(x).item() == pytest.approx(2 * peak, abs=1e-12)


def test_rows_far_outside_the_data_have_a_finite_score():
    torch.manual_seed(0)
    model = RNADE((3,), hidden=8)
    torch.nn.init.normal_(model.V)
    assert model.anomaly_score(torch.tensor([[1e5, -1e5, 1e5], [0.0, 0.0, 0.0]])).isfinite().all()


def test_means_start_evenly_spread_over_the_given_range():
    conditionals = RNADE((2,), components=3, mean_range=(0.0, 4.0))._conditionals(torch.zeros(1, 2))
    torch.testing.assert_close(conditionals.mean[0, 0], torch.tensor([1.0, 2.0, 3.0]), rtol=0, atol=1e-6)
    torch.testing.assert_close(conditionals.scale, torch.full((2, 1, 3), 1.001), rtol=0, atol=1e-6)
    assert conditionals.logits.tolist() == [[[0.0] * 3]] * 2


def test_autocast_leaves_the_precision_of_the_weights():
    model, x = RNADE((4,), hidden=8), reals(3, 4).float()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        log_prob = model.log_prob(x)
        sample = model.sample(2, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(log_prob, model.log_prob(x), rtol=0, atol=0)
    assert torch.equal(sample, model.sample(2, generator=torch.Generator().manual_seed(0)))


def test_one_player_learns_the_density_of_its_data():
    torch.manual_seed(0)
    x0 = torch.randn(2000, 1)
    x = torch.cat([x0, torch.where(torch.rand(2000, 1) < 0.5, x0, -x0) + 0.1 * torch.randn(2000, 1)], 1)
    model = RNADE((2,), hidden=16, components=2, learning_rate=0.02)
    (player,) = model.players()
    optimizer = player.optimizer(player.parameters)
    for _ in range(300):
        optimizer.zero_grad()
        player.loss(Batch(x))["nll"].backward()
        optimizer.step()
    centres, weights = torch.stack([x0, -x0], -1).squeeze(1), torch.ones(2)
    second = MixtureSameFamily(Categorical(weights), Normal(centres, torch.full_like(centres, 0.1))).log_prob(x[:, 1])
    truth = -(Normal(0.0, 1.0).log_prob(x[:, 0]) + second).mean()
    torch.testing.assert_close(player.loss(Batch(x))["nll"].detach(), truth, rtol=0, atol=0.05)


@activations
def test_features_are_the_hidden_state_after_the_last_variable(activation):
    model, x = random_rnade((1, 2, 3), order="random", activation=activation), reals(4, 1, 2, 3)
    act = torch.sigmoid if activation == "sigmoid" else torch.relu
    torch.testing.assert_close(model.encode(x), act(model.c + x.flatten(1) @ model.W).detach(), rtol=0, atol=1e-12)
    torch.testing.assert_close(model.anomaly_score(x), -model.log_prob(x))


def test_what_it_is():
    model = RNADE((11,), hidden=10, components=5)
    assert model.parameter_count() == 11 * 10 + 10 + 11 + 3 * 11 * 5 * (10 + 1)
    assert density(model) == "tractable"
    kept = ["Samples", "DrawsStepwise", "TractableDensity", "Encodes", "Completes", "ScoresAnomalies"]
    assert [c.__name__ for c in capabilities(model)] == kept
    twin = RNADE(**RNADE((2, 3), order="random", order_seed=7).config)
    assert twin.order.tolist() == RNADE((2, 3), order="random", order_seed=7).order.tolist()
    assert model.log_prob(torch.zeros(0, 11)).shape == (0,)
    assert model.pit(torch.zeros(0, 11)).shape == model.conditional_quantiles(torch.zeros(0, 11), 0.5).shape == (0, 11)
    assert RNADE.configure_for((3,), constraints.real) == {}
    assert RNADE.configure_for((1, 8, 8), constraints.unit_interval) == {"mean_range": (0.0, 1.0)}


def test_errors_say_what_to_do():
    model = RNADE((2,))
    with pytest.raises(DataError, match=r"rnade expects values in the real numbers, got nan in row 0 of x: remove or fill in"):
        model.log_prob(torch.tensor([[0.0, torch.nan]]))
    with pytest.raises(DataError, match=r"rnade expects x of shape \(n, 2\), got \(3, 4\)"):
        model.encode(torch.zeros(3, 4))
    with pytest.raises(ConfigError, match="rnade takes no condition"):
        model.sample(1, condition=torch.zeros(1))
    with pytest.raises(ConfigError, match="q must lie strictly between 0 and 1, got 1"):
        model.conditional_quantiles(torch.zeros(1, 2), 1.0)
    with pytest.raises(ConfigError, match=r"rnade learns real values, and the data are \{0, 1/16, ..., 1\}: load them with"):
        RNADE.configure_for((1, 8, 8), LevelGrid(17))
    with pytest.raises(CapabilityError, match="its density is exact"):
        model.elbo(torch.zeros(1, 2))


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"family": "gausian"}, "family 'gausian' is unknown: did you mean 'gaussian'"),
        ({"activation": "sigmoidd"}, "activation 'sigmoidd' is unknown: did you mean 'sigmoid'"),
        ({"order": [0, 0]}, r"order must hold each of 0..1 once, got 2 entries: 0, 0"),
        ({"hidden": 0}, "hidden must be at least 1, got 0"),
        ({"components": 0}, "components must be at least 1, got 0"),
        ({"floor": 0.0}, "floor must be a positive number, got 0.0"),
        ({"mean_range": (3.0, -3.0)}, r"mean_range must be two rising numbers, got \(3.0, -3.0\)"),
        ({"mean_range": (1.0,)}, r"mean_range must be two rising numbers, got \(1.0,\)"),
    ],
    ids=str,
)
def test_arguments_that_make_no_sense_are_refused(options, sentence):
    with pytest.raises(ConfigError, match=sentence):
        RNADE((2,), **options)


def test_weight_decay_is_a_term_of_the_loss():
    torch.manual_seed(0)
    model = RNADE((3,), hidden=2, components=2, weight_decay=0.5)
    terms = model.players()[0].loss(Batch(torch.randn(4, 3)))
    expected = 0.25 * (model.W.square().sum() + model.V.square().sum())
    assert torch.allclose(terms["weight_decay"], expected)
    assert set(terms) == {"nll", "weight_decay"}
