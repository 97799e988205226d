import itertools
import math

import pytest
import torch
from torch.distributions import Beta, Uniform

from pofx.core import ConfigError
from pofx.functional.divergences import (
    SCALES,
    inverse_multiquadratic,
    mmd,
    plain_mmd,
    random_directions,
    sliced_wasserstein,
    squared_distances,
)


@pytest.fixture(autouse=True)
def double_precision():
    torch.set_default_dtype(torch.float64)
    torch.manual_seed(0)
    yield
    torch.set_default_dtype(torch.float32)


LATENT = 8
C = 2.0 * LATENT
KERNELS = [C * s for s in SCALES]


def expected_kernel(variance, scales, points=4000):
    """E Σ_s s/(s + D) for D = ‖δ‖², δ ~ N(0, variance · I) in 8 dimensions, by quadrature over a chi-squared with 8 degrees."""
    if variance == 0:
        return float(len(scales))
    u = (torch.arange(points) + 0.5) * (120 / points)  # D = variance · u; the density u³ e^(−u/2)/96 is spent long before 120
    density = u**3 * torch.exp(-u / 2) / 96
    return float((inverse_multiquadratic(variance * u, scales) * density).sum() * (120 / points))


def population_mmd(variance, scales):
    """MMD² of N(0, variance · I) and N(0, I)."""
    codes, prior, cross = (expected_kernel(v, scales) for v in (2 * variance, 2.0, 1 + variance))
    return codes + prior - 2 * cross


def estimates(draw, estimator="unbiased", n=20, repeats=400, scale=C):
    return torch.stack([mmd(draw(n), torch.randn(n, LATENT), scale, estimator) for _ in range(repeats)])


def standard_error(values):
    return float(values.std()) / math.sqrt(len(values))


def test_distances_are_those_of_their_definition_and_never_negative():
    a, b = torch.randn(5, 3), torch.randn(4, 3)
    torch.testing.assert_close(squared_distances(a, b), (a[:, None] - b).square().sum(-1))
    far = 1e4 + torch.randn(50, 3, dtype=torch.float32)
    assert (squared_distances(far, far) >= 0).all()


def test_the_kernel_matrix_is_one_of_a_positive_definite_kernel():
    z = torch.randn(40, LATENT)
    kernel = inverse_multiquadratic(squared_distances(z, z), [C])
    torch.testing.assert_close(kernel, kernel.T)
    torch.testing.assert_close(kernel.diagonal(), torch.ones(40))
    assert ((kernel > 0) & (kernel <= 1 + 1e-12)).all()
    assert torch.linalg.eigvalsh(kernel).min() >= -1e-9


def test_kernels_of_many_scales_are_the_sum_of_kernels_of_one():
    distances = torch.rand(3, 4)
    one_by_one = sum(s / (s + distances) for s in (0.5, 2.0, 7.0))
    torch.testing.assert_close(inverse_multiquadratic(distances, [0.5, 2.0, 7.0]), one_by_one)


def test_the_quadrature_gives_the_published_population_values():
    assert expected_kernel(2.0, [C]) == pytest.approx(0.529252, abs=1e-6)
    assert population_mmd(0.25, KERNELS) == pytest.approx(0.427091, abs=1e-6)
    assert population_mmd(0.25, [C]) == pytest.approx(0.063916, abs=1e-6)
    assert population_mmd(0.0, KERNELS) == pytest.approx(1.833780, abs=1e-6)


@pytest.mark.parametrize("estimator", ["unbiased", "linear"])
@pytest.mark.parametrize("deviation", [0.0, 0.5, 1.0, 2.0])
def test_both_estimators_are_right_on_average(estimator, deviation):
    values = estimates(lambda n: deviation * torch.randn(n, LATENT), estimator)
    assert abs(float(values.mean()) - population_mmd(deviation**2, KERNELS)) < 4 * standard_error(values)


def test_an_estimate_may_be_negative_and_the_linear_one_varies_more():
    quadratic, linear = (estimates(lambda n: torch.randn(n, LATENT), e, n=100, repeats=300) for e in ("unbiased", "linear"))
    assert quadratic.min() < 0
    assert 0.009 < quadratic.std() < 0.016  # 0.0125 over 2,000 draws
    assert linear.std() > 3 * quadratic.std()


def test_shifted_codes_are_found():
    values = estimates(lambda n: torch.randn(n, LATENT) + 0.7, repeats=200)
    assert values.mean() > 10 * standard_error(values)


def test_keeping_the_diagonal_gives_a_distance_that_is_never_negative_and_too_large():
    n, offsets = 20, []
    for _ in range(800):
        z, p = torch.randn(2, n, LATENT)
        kzz, kpp, kzp = (inverse_multiquadratic(squared_distances(a, b), [C]).mean() for a, b in ((z, z), (p, p), (z, p)))
        biased = kzz + kpp - 2 * kzp
        assert biased >= 0
        unbiased = (kzz * n - 1) / (n - 1) + (kpp * n - 1) / (n - 1) - 2 * kzp
        offsets.append(biased - unbiased)
    offset = torch.stack(offsets)
    assert abs(float(offset.mean()) - 2 / n * (1 - expected_kernel(2.0, [C]))) < 4 * standard_error(offset)


def test_the_unbiased_estimate_is_the_sum_over_pairs():
    z, p = torch.randn(4, 2), torch.randn(3, 2)

    def kernel(a, b):
        return sum(2.0 * s / (2.0 * s + float((a - b).square().sum())) for s in SCALES)

    codes = sum(kernel(z[i], z[j]) for i in range(4) for j in range(4) if i != j) / 12
    prior = sum(kernel(p[i], p[j]) for i in range(3) for j in range(3) if i != j) / 6
    cross = sum(kernel(a, b) for a in z for b in p) / 12
    assert float(mmd(z, p, 2.0)) == pytest.approx(codes + prior - 2 * cross, rel=1e-12)


def test_the_linear_estimate_is_the_mean_over_pairs_of_pairs():
    z, p = torch.randn(5, 2), torch.randn(5, 2)  # the fifth rows are left out

    def kernel(a, b):
        return sum(2.0 * s / (2.0 * s + float((a - b).square().sum())) for s in SCALES)

    terms = [kernel(z[i], z[i + 1]) + kernel(p[i], p[i + 1]) - kernel(z[i], p[i + 1]) - kernel(z[i + 1], p[i]) for i in (0, 2)]
    assert float(mmd(z, p, 2.0, "linear")) == pytest.approx(sum(terms) / 2, rel=1e-12)


def test_it_is_symmetric_and_knows_no_order_origin_or_direction():
    z, p = torch.randn(12, 4), 0.5 * torch.randn(12, 4) + 1
    value = mmd(z, p, 3.0)
    rotation = torch.linalg.qr(torch.randn(4, 4)).Q
    shift = 5 * torch.randn(4)
    torch.testing.assert_close(mmd(p, z, 3.0), value)
    torch.testing.assert_close(mmd(z[torch.randperm(12)], p[torch.randperm(12)], 3.0), value)
    torch.testing.assert_close(mmd(z + shift, p + shift, 3.0), value)
    torch.testing.assert_close(mmd(z @ rotation, p @ rotation, 3.0), value)
    torch.testing.assert_close(mmd(10 * z, 10 * p, 300.0), value)


@pytest.mark.parametrize("sizes", [(12, 12), (9, 14), (2, 2)])
@pytest.mark.parametrize("scale", [3.0, torch.tensor(0.2, dtype=torch.float64)])
def test_the_fast_form_and_its_gradient_equal_the_equation(sizes, scale):
    z, p = (2 * torch.randn(n, 4) for n in sizes)
    fast, plain = z.clone().requires_grad_(), z.clone().requires_grad_()
    values = mmd(fast, p, scale), plain_mmd(plain, p, scale)
    torch.testing.assert_close(*values, rtol=1e-12, atol=1e-12)
    for value in values:
        (3 * value).backward()
    torch.testing.assert_close(fast.grad, plain.grad, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("estimator", ["unbiased", "linear"])
def test_gradients_are_those_of_finite_differences(estimator):
    z, p = torch.randn(4, 3, requires_grad=True), torch.randn(4, 3)
    assert torch.autograd.gradcheck(lambda z: mmd(z, p, 2.0, estimator), z)
    both = p.clone().requires_grad_()
    assert torch.autograd.gradcheck(lambda z, p: mmd(z, p, 2.0, estimator), (z, both))


def test_a_gradient_in_the_prior_is_never_lost():
    z, p = torch.randn(4, 3, requires_grad=True), torch.randn(4, 3, requires_grad=True)
    one, other = torch.autograd.grad(mmd(z, p, 2.0), (z, p))
    swapped, _ = torch.autograd.grad(mmd(p, z, 2.0), (p, z))
    torch.testing.assert_close(other, swapped)
    assert one.abs().max() > 0


@pytest.mark.parametrize("estimator", ["unbiased", "linear"])
def test_coincident_points_have_finite_gradients(estimator):
    z = torch.ones(6, 3, requires_grad=True)
    gradient, _ = torch.autograd.grad(mmd(z, torch.ones(6, 3), 2.0, estimator) + z.sum(), (z, z))
    torch.testing.assert_close(gradient, torch.ones(6, 3))  # of the sum alone: that of the distance is zero


def test_far_codes_feel_the_prior_where_those_of_a_gaussian_kernel_do_not():
    prior = torch.randn(20, LATENT, dtype=torch.float32)
    z = (torch.randn(20, LATENT, dtype=torch.float32) + 100 / math.sqrt(LATENT)).requires_grad_()
    mmd(z, prior, C).backward()
    outward = (z.grad.sum(0) @ z.mean(0)).item()
    assert outward > 1e-6  # moving out raises the distance, so that descent moves in
    gaussian = torch.exp(-squared_distances(z, prior) / C).sum()
    assert not torch.autograd.grad(gaussian, z)[0].any()


def test_autocast_changes_nothing():
    z, p = torch.randn(50, LATENT, dtype=torch.float32), torch.randn(50, LATENT, dtype=torch.float32)
    directions = random_directions(LATENT, 5, z)
    with torch.autocast("cpu", torch.bfloat16):
        within = mmd(z.requires_grad_(), p, C), sliced_wasserstein(z, p, directions)
        rounded = mmd(z.bfloat16(), p, C)
    torch.testing.assert_close(within, (mmd(z, p, C), sliced_wasserstein(z, p, directions)))
    assert rounded.dtype == torch.float32
    torch.testing.assert_close(rounded, mmd(z.bfloat16().float(), p, C))


def test_the_sliced_distance_of_a_set_from_itself_is_zero_and_knows_no_order():
    z = torch.randn(30, 3)
    assert sliced_wasserstein(z, z[torch.randperm(30)]) < 1e-30
    directions = random_directions(3, 7, z)
    p = torch.randn(30, 3)
    value = sliced_wasserstein(z, p, directions)
    torch.testing.assert_close(sliced_wasserstein(p, z, directions), value)
    torch.testing.assert_close(sliced_wasserstein(z.flip(0), p, directions), value)


def test_the_sliced_distance_of_a_translate_is_the_length_over_the_dimensions():
    z, shift = torch.randn(5, 4), torch.tensor([3.0, 0.0, -4.0, 1.0])
    along = random_directions(4, 100_000, z)
    torch.testing.assert_close(along.norm(dim=0), torch.ones(100_000))
    torch.testing.assert_close(sliced_wasserstein(z, z + shift, torch.eye(4)), shift.square().sum() / 4)
    # (θᵀt)² = |t|² b with b ~ Beta(1/2, 3/2) has the mean |t|²/4
    error = shift.square().sum() * Beta(torch.tensor(0.5), torch.tensor(1.5)).stddev / math.sqrt(100_000)
    assert abs(sliced_wasserstein(z, z + shift, along) - shift.square().sum() / 4) < 4 * error


def test_on_a_line_it_is_the_best_of_all_matchings():
    z, p = torch.randn(5, 1), torch.randn(5, 1)
    best = min(float((z[list(order)] - p).square().mean()) for order in itertools.permutations(range(5)))
    assert float(sliced_wasserstein(z, p)) == pytest.approx(best, rel=1e-12)


def test_the_sliced_distance_of_uniform_samples_is_that_of_their_quantiles():
    z = Uniform(-1.0, 1.0).sample((20_000, 1))
    # W² between uniforms on [−1, 1] and [−2, 2] is ∫ u² du over [−1, 1], halved: 1/3
    assert float(sliced_wasserstein(z, 2 * Uniform(-1.0, 1.0).sample((20_000, 1)))) == pytest.approx(1 / 3, abs=0.01)


def test_directions_follow_their_generator():
    z, p = torch.randn(9, 3), torch.randn(9, 3)
    one, same, other = (sliced_wasserstein(z, p, 4, torch.Generator().manual_seed(s)) for s in (0, 0, 1))
    assert one == same != other


def test_gradients_of_the_sliced_distance_are_those_of_finite_differences():
    z, p, directions = torch.randn(6, 3, requires_grad=True), torch.randn(6, 3), random_directions(3, 5, torch.zeros(()))
    assert torch.autograd.gradcheck(lambda z: sliced_wasserstein(z, p, directions), z)


@pytest.mark.parametrize(
    ("call", "sentence"),
    [
        (lambda: mmd(torch.zeros(4, 2), torch.zeros(4, 2), 1.0, "quadratic"), "estimator='quadratic' is unknown"),
        (lambda: mmd(torch.zeros(1, 2), torch.zeros(1, 2), 1.0), "at least 2 rows each, got"),
        (lambda: mmd(torch.zeros(4, 2), torch.zeros(6, 2), 1.0, "linear"), "as many of one as of the other, got"),
        (lambda: mmd(torch.zeros(4, 2), torch.zeros(4, 3), 1.0), r"must be \(n, latent\) and \(m, latent\), got \(4, 2\)"),
        (lambda: sliced_wasserstein(torch.zeros(4, 2), torch.zeros(5, 2)), "as many of one as of the other"),
        (lambda: sliced_wasserstein(torch.zeros(4, 2), torch.zeros(4, 2), 0), "directions must be at least 1, got 0"),
        (lambda: sliced_wasserstein(torch.zeros(4, 2), torch.zeros(4, 2), torch.eye(3)), r"of shape \(2, k\)"),
    ],
)
def test_what_cannot_be_compared_is_refused_with_a_sentence(call, sentence):
    with pytest.raises(ConfigError, match=sentence):
        call()
