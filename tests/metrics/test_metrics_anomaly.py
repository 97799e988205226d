import math

import pytest
import torch
from torch import Tensor

from pofx.core import ConfigError, DataError, discrete_support
from pofx.metrics import CORRUPTIONS, auroc, average_precision, corrupt, corrupted


def scores(n: int, seed: int, levels: int | None = None) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    if levels:
        return torch.randint(levels, (n,), generator=generator).double()
    return torch.randn(n, dtype=torch.float64, generator=generator)


def test_auroc_is_mann_whitney_with_ties():
    from scipy.stats import mannwhitneyu

    normal, anomalous = scores(40, 0, levels=5), scores(30, 1, levels=5) + 1
    u = mannwhitneyu(anomalous.numpy(), normal.numpy()).statistic
    pairs = anomalous[:, None] - normal
    by_hand = (pairs > 0).double().mean() + (pairs == 0).double().mean() / 2
    assert auroc(normal, anomalous).value == pytest.approx(u / 1200, rel=1e-12) == pytest.approx(by_hand.item(), rel=1e-12)


def test_auroc_of_equal_perfect_negated_and_transformed_scores():
    normal, anomalous = scores(50, 0), scores(60, 1) + 1
    area = auroc(normal, anomalous).value
    assert auroc(torch.zeros(5), torch.zeros(7)).value == 0.5
    assert auroc(normal, normal.max() + 1 + anomalous.abs()).value == 1
    assert auroc(-normal, -anomalous).value == pytest.approx(1 - area, rel=1e-12)
    assert auroc((3 * normal).exp(), (3 * anomalous).exp()).value == area
    assert 0.5 < area < 1


def test_auroc_accepts_the_scores_of_impossible_events():
    assert auroc(torch.tensor([1.0, 2.0]), torch.tensor([3.0, math.inf])).value == 1
    assert auroc(torch.tensor([1.0, math.inf]), torch.tensor([0.0, math.inf])).value == 0.375


def test_standard_error_of_the_example_of_hanley_and_mcneil():
    # 51 abnormal and 58 normal cases with an area of 0.893 have a standard error of 0.032.
    normal = torch.arange(58.0)
    anomalous = torch.tensor([100.0] * 45 + [-1.0] * 5 + [31.0])
    estimate = auroc(normal, anomalous)
    assert estimate.value == pytest.approx(0.893, abs=1e-5)
    assert estimate.stderr == pytest.approx(0.032, abs=6e-4)
    assert (estimate.n, estimate.unit) == (109, "probability")


def test_average_precision_of_chance_is_the_prevalence():
    values = torch.tensor([average_precision(scores(300, 2 * s), scores(100, 2 * s + 1)).value for s in range(50)])
    assert values.mean().item() == pytest.approx(0.25, abs=4 * values.std().item() / 50**0.5 + 0.005)  # biased by O(1/n)
    assert average_precision(torch.zeros(30), torch.zeros(10)).value == 0.25
    assert average_precision(scores(9, 0), scores(9, 1) + 99).value == 1


@pytest.mark.parametrize("metric", [auroc, average_precision])
def test_unfit_scores_are_explained(metric):
    with pytest.raises(DataError, match="1 of them NaN"):
        metric(torch.tensor([0.0, math.nan]), torch.tensor([1.0]))
    with pytest.raises(DataError, match="got 2 and 0 scores"):
        metric(torch.zeros(2), torch.empty(0))


def uniform(*shape: int, seed: int = 0) -> Tensor:
    return torch.rand(shape, generator=torch.Generator().manual_seed(seed))


IMAGES = {levels: (uniform(40, 2, 9, 8) * levels).floor() / (levels - 1) for levels in (2, 17, 256)}
TABLES = {levels: (uniform(40, 6) * levels).floor() for levels in (2, 5)}


@pytest.mark.parametrize("levels", IMAGES)
@pytest.mark.parametrize("kind", CORRUPTIONS)
def test_corrupted_images_stay_inside_their_support_and_change(kind, levels):
    x = IMAGES[levels]
    y = corrupt(x, kind, levels)
    assert bool(discrete_support(levels, x.shape[1:]).check(y).all())
    assert y.shape == x.shape
    assert y.dtype == x.dtype
    assert (y != x).flatten(1).any(1).float().mean() > 0.95


@pytest.mark.parametrize("kind", ["noise", "independent"])
def test_corrupted_tables_stay_inside_the_range_of_each_column(kind):
    for levels, x in TABLES.items():
        assert bool(discrete_support(levels, x.shape[1:]).check(corrupt(x, kind, levels)).all())
    x = torch.cat([uniform(50, 3) * 7 - 3, torch.ones(50, 1)], dim=1)
    y = corrupt(x, kind)
    assert bool(((y >= x.amin(0)) & (y <= x.amax(0))).all())
    assert not torch.equal(x, y)


def test_noise_redraws_a_tenth_of_the_values_uniformly():
    x = torch.full((4000, 1, 4, 5), 0.5)
    changed = corrupt(x, "noise") != x
    assert (changed.flatten(1).sum(1) == 2).all()
    redrawn = corrupt(x, "noise", levels=5)[changed]
    share = (redrawn.unsqueeze(1) == torch.arange(5) / 4).float().mean(0)
    assert (share - 0.2).abs().max() < 4 * math.sqrt(0.16 / 8000)
    assert ((corrupt(uniform(30, 3), "noise") != uniform(30, 3)).sum(1) == 1).all()


def test_patch_inverts_a_square_somewhere():
    x = torch.zeros(200, 3, 12, 9)
    y = corrupt(x, "patch")
    assert (y.sum(dim=(1, 2, 3)) == 3 * 9).all()
    first_rows = y[:, 0].amax(2).argmax(1)
    assert first_rows.unique().tolist() == list(range(10))
    assert torch.equal(y[:, :, :, :].amax(2).sum(2), torch.full((200, 3), 3.0))


def test_quadrants_are_exchanged_and_exchanged_back():
    x = uniform(3, 2, 5, 6)
    y = corrupt(x, "quadrants")
    assert torch.equal(y[:, :, :2, :3], x[:, :, 3:, 3:])
    assert torch.equal(y[:, :, 2], x[:, :, 2])
    assert torch.equal(corrupt(y, "quadrants"), x)


def test_independent_keeps_marginals_and_loses_dependence():
    x = uniform(5000, 1).expand(5000, 3)
    y = corrupt(x, "independent")
    assert torch.equal(y.sort(dim=0).values, x.sort(dim=0).values)
    off_diagonal = y.T.corrcoef()[~torch.eye(3, dtype=torch.bool)]
    assert off_diagonal.abs().max() < 4 / 5000**0.5


def test_the_standard_test_is_reproducible_and_leaves_the_global_generator_alone():
    state = torch.get_rng_state()
    first, again, other = corrupted(IMAGES[2], 2), corrupted(IMAGES[2], 2), corrupted(IMAGES[2], 2, seed=1)
    assert [name for name, _ in first] == list(CORRUPTIONS)
    assert all(torch.equal(a, b) for (_, a), (_, b) in zip(first, again, strict=True))
    assert [n for (n, a), (_, b) in zip(first, other, strict=True) if torch.equal(a, b)] == ["quadrants"]
    assert [name for name, _ in corrupted(TABLES[5], 5)] == ["noise", "independent"]
    assert torch.equal(state, torch.get_rng_state())


def test_unfit_corruptions_are_explained():
    with pytest.raises(ConfigError, match="did you mean 'patch'"):
        corrupt(IMAGES[2], "path")
    with pytest.raises(ConfigError, match="expects images"):
        corrupt(TABLES[2], "patch")
    assert all(c.description and "\n" not in c.description for c in CORRUPTIONS.values())
