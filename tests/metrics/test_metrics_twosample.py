import pytest
import torch

from pofx.core import ConfigError, DataError
from pofx.metrics import classifier_test, cluster_labels, clustering_error, mmd_test
from pofx.metrics.twosample import SCALES


def normal(n, d, seed, **options):
    return torch.randn(n, d, generator=torch.Generator().manual_seed(seed), dtype=torch.float64, **options)


def by_hand(a, b):
    """The estimate from its definition, pair by pair."""
    rows = torch.cat([a, b])
    pairs = [(u - v).square().sum() for i, u in enumerate(rows) for j, v in enumerate(rows) if i != j]
    typical = sum(pairs) / len(pairs)

    def k(u, v):
        return sum(s * typical / (s * typical + (u - v).square().sum()) for s in SCALES) / len(SCALES)

    def within(x):
        return sum(k(u, v) for i, u in enumerate(x) for j, v in enumerate(x) if i != j) / (len(x) * (len(x) - 1))

    return within(a) + within(b) - 2 * sum(k(u, v) for u in a for v in b) / (len(a) * len(b))


def test_the_discrepancy_is_its_definition():
    a, b = normal(11, 2, 0), normal(14, 2, 1) + 1
    assert mmd_test(a, b, 3).distance.value == pytest.approx(by_hand(a, b).item(), abs=1e-12)


def test_the_discrepancy_is_symmetric_and_blind_to_order_place_rotation_and_unit():
    a, b = normal(30, 3, 0), 0.5 * normal(40, 3, 1)
    value = mmd_test(a, b, 3).distance.value
    rotation = torch.linalg.qr(normal(3, 3, 2)).Q
    for same in ((b, a), (a.flip(0), b), (a + 5, b + 5), (a @ rotation, b @ rotation), (100 * a, 100 * b)):
        assert mmd_test(*same, 3).distance.value == pytest.approx(value, abs=1e-10)


def test_equal_distributions_have_no_discrepancy_and_every_p_value_as_often():
    tests = [mmd_test(normal(40, 2, 2 * s), normal(40, 2, 2 * s + 1), 39, seed=s) for s in range(60)]
    values = torch.tensor([t.distance.value for t in tests])
    assert abs(values.mean()) < 4 * values.std() / 60**0.5
    assert values.min() < 0  # unbiased
    assert values.std().item() == pytest.approx(sum(t.distance.stderr for t in tests) / 60, rel=0.4)
    p = torch.tensor([t.p_value for t in tests])
    assert abs(p.mean() - 0.5) < 4 * (1 / 12 / 60) ** 0.5
    assert (p <= 0.1).sum() <= 15  # 6 expected, of binomial deviation 2.3


def test_apart_is_apart():
    for other in (normal(100, 2, 1) + 2, 0.3 * normal(100, 2, 1)):
        test = mmd_test(normal(100, 2, 0), other, 99)
        assert test.p_value == 0.01  # no permutation reaches it
        assert test.distance.value > 10 * test.distance.stderr
    assert mmd_test(normal(50, 2, 0), normal(50, 2, 1) + 1e6, 9).distance.value > 1


def test_a_classifier_guesses_between_equal_distributions():
    accuracy = torch.tensor(
        [classifier_test(normal(100, 2, 2 * s), normal(100, 2, 2 * s + 1)).distance.value for s in range(40)]
    )
    assert abs(accuracy.mean() - 0.5) < 4 * (1 / (4 * 100)) ** 0.5 / 40**0.5


def test_a_classifier_tells_what_is_apart_and_says_how_unlikely_that_is():
    test = classifier_test(normal(50, 2, 0), normal(80, 2, 1) + 20)
    assert test.distance.value == 1
    assert test.distance.n == 50
    assert test.p_value == pytest.approx(0.5**50)


def test_a_classifier_sees_a_hole_that_moments_do_not():
    angle = 2 * torch.pi * torch.rand(400, generator=torch.Generator().manual_seed(0))
    ring = 2**0.5 * torch.stack([angle.cos(), angle.sin()], 1)  # with the mean and the covariance of N(0, I)
    assert classifier_test(ring, normal(400, 2, 1)).distance.value > 0.65


def test_both_give_the_same_answer_again_and_take_part_of_many_rows():
    a, b = normal(1100, 2, 0), normal(30, 2, 1)
    assert mmd_test(a, b, 5) == mmd_test(a, b, 5)
    assert mmd_test(a, b, 5).distance.n == 1030
    a, b = normal(1500, 2, 0), normal(1200, 2, 1)
    assert classifier_test(a, b) == classifier_test(a, b)
    assert classifier_test(a, b).distance.n == 1000


@pytest.mark.parametrize("test", [mmd_test, classifier_test])
def test_rows_that_cannot_be_compared_are_refused(test):
    with pytest.raises(DataError, match="the same features, got 2 and 3"):
        test(normal(20, 2, 0), normal(20, 3, 0))
    with pytest.raises(DataError, match="at least 10 rows"):
        test(normal(9, 2, 0), normal(20, 2, 0))
    with pytest.raises(DataError, match="NaN or infinity in row 3"):
        test(normal(20, 2, 0), torch.cat([normal(3, 2, 0), torch.full((9, 2), torch.nan)]))
    with pytest.raises(ConfigError, match="permutations must be at least 1, got 0"):
        mmd_test(normal(20, 2, 0), normal(20, 2, 1), permutations=0)
    with pytest.raises(DataError, match="all are equal"):
        mmd_test(torch.zeros(20, 2), torch.zeros(20, 2))


@pytest.mark.parametrize("seed", range(3))
def test_clusters_that_are_labels_in_any_order_have_no_error(seed):
    label, order = torch.arange(50) % 5, torch.randperm(5, generator=torch.Generator().manual_seed(seed))
    q = torch.nn.functional.one_hot(order[label], 5).double()
    assert torch.equal(cluster_labels(q, label)[order], torch.arange(5))
    assert clustering_error(q, label, cluster_labels(q, label)).value == 0


def test_a_cluster_has_the_label_of_its_surest_event_not_of_its_most():
    q = torch.tensor([[0.6, 0.4], [0.6, 0.4], [0.9, 0.1], [0.0, 1.0]])
    names = cluster_labels(q, torch.tensor([1, 1, 2, 3]))
    assert names.tolist() == [2, 3]
    assert clustering_error(q, torch.tensor([1, 1, 2, 3]), names).value == 0.5


def test_clusters_without_sense_are_refused():
    q, label = torch.ones(4, 2) / 2, torch.zeros(4, dtype=torch.long)
    with pytest.raises(DataError, match="an integer for each event"):
        cluster_labels(q, label[:3])
    with pytest.raises(DataError, match="a label for each of 2 clusters"):
        clustering_error(q, label, label[:1])
    with pytest.raises(DataError, match="NaN"):
        cluster_labels(q * torch.nan, label)
