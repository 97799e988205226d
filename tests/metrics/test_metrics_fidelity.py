import pytest
import torch
from torch import Tensor

from pofx.core import DataError
from pofx.metrics import frechet_distance, kernel_distance, precision_recall_density_coverage, rows


def normal(n: int, f: int, seed: int) -> Tensor:
    return torch.randn(n, f, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def exactly_standard(n: int, f: int, seed: int) -> Tensor:
    """Rows whose sample mean is 0 and whose sample covariance is the identity, to rounding."""
    x = normal(n, f, seed)
    x = x - x.mean(0)
    return torch.linalg.solve_triangular(torch.linalg.cholesky(x.T @ x / (n - 1)), x.T, upper=False).T


def test_frechet_of_equal_features_is_zero_even_where_they_are_degenerate():
    x = normal(50, 8, 0)
    x[:, 3] = 0.0  # a dead unit
    assert frechet_distance(x, x).value == pytest.approx(0, abs=1e-5)


def test_frechet_of_diagonal_gaussians_is_the_closed_form():
    z = exactly_standard(40, 1, 0)
    assert frechet_distance(z, 1 + 2 * z).value == pytest.approx(2, abs=1e-9)  # N(0, 1) and N(1, 4)
    z = exactly_standard(100, 3, 1)
    mean = torch.tensor([1.0, -2.0, 0.0], dtype=torch.float64)
    scale = torch.tensor([0.5, 1.0, 3.0], dtype=torch.float64)
    expected = float(mean.square().sum() + (1 - scale).square().sum())
    assert frechet_distance(z, mean + scale * z).value == pytest.approx(expected, abs=1e-9)


def test_frechet_of_covariances_that_do_not_commute():
    from scipy.linalg import sqrtm

    a, b = normal(60, 4, 0) @ normal(4, 4, 1), normal(80, 4, 2) @ normal(4, 4, 3) + 1
    s1, s2 = a.T.cov(), b.T.cov()
    root = torch.from_numpy(sqrtm((s1 @ s2).numpy()).real)
    expected = (a.mean(0) - b.mean(0)).square().sum() + (s1 + s2 - 2 * root).trace()
    assert frechet_distance(a, b).value == pytest.approx(expected.item(), rel=1e-9)


def test_frechet_is_symmetric_and_invariant_under_rotation_and_adds_a_shift():
    a, b = normal(60, 5, 0), 1.5 * normal(70, 5, 1)
    value = frechet_distance(a, b).value
    assert frechet_distance(b, a).value == pytest.approx(value, rel=1e-9)
    rotation = torch.linalg.qr(normal(5, 5, 2)).Q
    assert frechet_distance(a @ rotation, b @ rotation).value == pytest.approx(value, rel=1e-9)
    shift = torch.full((5,), 3.0, dtype=torch.float64)
    centred = b - b.mean(0) + a.mean(0)
    assert frechet_distance(a, centred + shift).value == pytest.approx(frechet_distance(a, centred).value + 45, rel=1e-9)


def test_frechet_of_two_samples_of_one_distribution_is_its_known_bias():
    f, n, m = 6, 400, 600
    values = torch.tensor([frechet_distance(normal(n, f, 2 * s), normal(m, f, 2 * s + 1)).value for s in range(40)])
    expected = (f + f * (f + 1) / 4) * (1 / n + 1 / m)
    assert values.mean().item() == pytest.approx(expected, rel=0.1)


def test_frechet_standard_error_is_the_spread_between_independent_samples():
    real = normal(2000, 3, 0)
    estimates = [frechet_distance(real, 1 + normal(200, 3, seed)) for seed in range(1, 41)]
    spread = torch.tensor([e.value for e in estimates]).std().item()
    claimed = torch.tensor([e.stderr for e in estimates]).mean().item()
    assert claimed == pytest.approx(spread, rel=0.35)
    assert (estimates[0].n, estimates[0].unit) == (200, "squared feature distance")


def test_kernel_distance_of_known_moments():
    # For f = 1 the kernel is 1 + 3ab + 3a²b² + a³b³; N(0, 1) and N(1, 1) differ by 1, 1, 4 in their first three moments.
    estimates = [kernel_distance(normal(400, 1, 2 * s), 1 + normal(400, 1, 2 * s + 1)) for s in range(500)]
    values = torch.tensor([e.value for e in estimates], dtype=torch.float64)
    assert abs(values.mean() - 22) < 4 * values.std() / 500**0.5
    claimed = torch.tensor([e.stderr for e in estimates]).square().mean().sqrt().item()
    assert claimed == pytest.approx(values.std().item(), rel=0.15)


def test_kernel_distance_is_unbiased_for_equal_distributions():
    values = torch.tensor([kernel_distance(normal(100, 4, 2 * s), normal(120, 4, 2 * s + 1)).value for s in range(100)])
    assert abs(values.mean()) < 4 * values.std() / 10
    assert values.min() < 0


def test_kernel_distance_is_the_double_loop_over_pairs():
    # Repeated rows make every subset alike, so the order of drawing does not matter.
    a, b = torch.tensor([[1.0, 2.0]]).expand(20, 2), torch.tensor([[0.0, -1.0]]).expand(20, 2)
    kernel = [(float(x @ y) / 2 + 1) ** 3 for x, y in ((a[0], a[0]), (b[0], b[0]), (a[0], b[0]))]
    estimate = kernel_distance(a, b)
    assert estimate.value == pytest.approx(kernel[0] + kernel[1] - 2 * kernel[2], rel=1e-12)
    assert (estimate.n, estimate.unit) == (20, "squared MMD")


def values_of(real: Tensor, fake: Tensor, k: int = 5) -> dict[str, float]:
    return {name: e.value for name, e in precision_recall_density_coverage(real, fake, k).items()}


def test_precision_and_the_rest_by_hand():
    real = torch.tensor([[0.0], [1.0], [2.0], [10.0]])  # radii 1, 1, 1, 8
    fake = torch.tensor([[0.5], [1.5], [5.0], [30.0]])  # radii 1, 1, 3.5, 25
    assert values_of(real, fake, k=1) == {"precision": 0.75, "recall": 1.0, "density": 1.25, "coverage": 1.0}
    swapped = values_of(fake, real, k=1)
    assert (swapped["precision"], swapped["recall"]) == (1.0, 0.75)


def test_equal_sets_score_one_and_distant_sets_zero():
    x = normal(50, 3, 0)
    equal = values_of(x, x)
    assert (equal["precision"], equal["recall"], equal["coverage"]) == (1, 1, 1)
    assert set(values_of(x, x + 1000).values()) == {0.0}


def test_equal_discrete_sets_score_one_although_their_balls_have_radius_zero():
    x = torch.tensor([[0.0, 1.0], [1.0, 1.0]]).repeat(10, 1)
    assert values_of(x, x.flip(0))["coverage"] == values_of(x, x)["precision"] == values_of(x, x)["recall"] == 1
    assert values_of(x, x + 0.1)["coverage"] == 0


def test_null_expectations_of_density_and_coverage():
    n, m, k, repeats = 200, 300, 3, 60
    found = [values_of(normal(n, 2, 2 * s), normal(m, 2, 2 * s + 1), k) for s in range(repeats)]
    miss = 1.0
    for i in range(1, k + 1):
        miss *= (n - i) / (m + n - i)
    assert 1 - miss == pytest.approx(0.93715, abs=1e-5)
    for name, expected in (("density", 1.0), ("coverage", 1 - miss)):
        values = torch.tensor([f[name] for f in found], dtype=torch.float64)
        assert abs(values.mean() - expected) < 4 * values.std() / repeats**0.5


def test_blocks_of_rows_change_nothing(monkeypatch):
    a, b = normal(60, 3, 0), normal(45, 3, 1)
    whole = precision_recall_density_coverage(a, b)
    monkeypatch.setattr(rows, "BLOCK_ENTRIES", 300)
    assert precision_recall_density_coverage(a, b) == whole


@pytest.mark.parametrize("metric", [frechet_distance, kernel_distance, precision_recall_density_coverage])
def test_unfit_features_are_explained(metric):
    good = normal(30, 3, 0)
    bad = good.clone()
    bad[7, 1] = torch.nan
    with pytest.raises(DataError, match="fake features expects finite numbers, got NaN or infinity in row 7"):
        metric(good, bad)
    with pytest.raises(DataError, match="got 3 and 2"):
        metric(good, good[:, :2])
    with pytest.raises(DataError, match="at least"):
        metric(good, good[:1])


def test_a_neighbourhood_of_none_is_refused():
    with pytest.raises(DataError, match="k=0"):
        precision_recall_density_coverage(normal(9, 2, 0), normal(9, 2, 1), k=0)


def test_the_global_generator_is_left_alone():
    state = torch.get_rng_state()
    frechet_distance(normal(30, 2, 0), normal(30, 2, 1))
    kernel_distance(normal(30, 2, 0), normal(30, 2, 1))
    assert torch.equal(state, torch.get_rng_state())
