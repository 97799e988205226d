"""Clusters named by majority and by matching: what permutations change, and the least that matching can get right."""

import itertools

import pytest
import torch

from pofx.core import DataError
from pofx.metrics import clustering_error, majority_labels, matched_labels


def one_hot(clusters, k):
    return torch.nn.functional.one_hot(clusters, k).double()


@pytest.fixture
def events():
    """Clusters (600,) of 5 that follow labels of 5 in part, and the labels."""
    generator = torch.Generator().manual_seed(0)
    labels = torch.arange(600) % 5
    other = torch.randint(5, (600,), generator=generator)
    return torch.where(torch.rand(600, generator=generator) < 0.4, labels, other), labels


def test_matching_is_the_best_of_all_assignments(events):
    clusters, labels = events
    q = one_hot(clusters, 5)
    error = clustering_error(q, labels, matched_labels(q, labels)).value
    every = [clustering_error(q, labels, torch.tensor(names)).value for names in itertools.permutations(range(5))]
    assert error == min(every)


@pytest.mark.parametrize("rule", [majority_labels, matched_labels])
def test_the_numbers_of_clusters_mean_nothing(events, rule):
    clusters, labels = events
    q = one_hot(clusters, 5)
    permuted = q[:, torch.tensor([3, 0, 4, 2, 1])]
    expected = clustering_error(q, labels, rule(q, labels)).value
    assert clustering_error(permuted, labels, rule(permuted, labels)).value == expected


@pytest.mark.parametrize("seed", range(5))
def test_of_ten_clusters_matching_gets_at_least_a_tenth_right_and_majority_no_less(seed):
    q = torch.rand(200, 10, generator=torch.Generator().manual_seed(seed))
    labels = torch.arange(200) % 10
    matched, majority = (clustering_error(q, labels, rule(q, labels)).value for rule in (matched_labels, majority_labels))
    assert majority <= matched <= 0.9


def test_two_clusters_of_one_label_are_right_by_majority_and_half_right_by_matching():
    labels = torch.tensor([0, 0, 0, 1])
    q = one_hot(torch.tensor([0, 0, 1, 2]), 3)
    assert majority_labels(q, labels).tolist() == [0, 0, 1]
    assert matched_labels(q, labels).tolist() == [0, -1, 1]
    assert clustering_error(q, labels, matched_labels(q, labels)).value == 0.25


def test_an_empty_cluster_is_named_by_no_event():
    q = one_hot(torch.tensor([0, 2]), 3)
    assert majority_labels(q, torch.tensor([1, 0])).tolist() == [1, -1, 0]


def test_labels_that_are_none_are_refused():
    for rule in (majority_labels, matched_labels):
        with pytest.raises(DataError, match="an integer for each event"):
            rule(torch.rand(3, 2), torch.rand(3))
