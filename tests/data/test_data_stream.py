import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from pofx.core import ConfigError, DataError
from pofx.data import Split, Stream


def counting(n: int) -> Split:
    return Split(torch.arange(n, dtype=torch.float32).unsqueeze(1), label=torch.arange(n), condition="label")


def seen(stream: Stream, position: int) -> list[int]:
    return stream.indices(position).tolist()


@settings(max_examples=60, deadline=None)
@given(n=st.integers(1, 40), batch=st.integers(1, 100), processes=st.integers(1, 4), seed=st.integers(0, 2**40))
def test_every_example_comes_exactly_once_an_epoch_whatever_the_batch(n, batch, processes, seed):
    streams = [Stream(counting(n), batch, seed, p, processes) for p in range(processes)]
    sequence: list[int] = []
    while len(sequence) < 3 * n:
        position = len(sequence)
        for stream in streams:
            share = seen(stream, position)
            assert len(share) == batch
            sequence += share
    for epoch in range(3):
        assert sorted(sequence[epoch * n : (epoch + 1) * n]) == list(range(n))


@settings(max_examples=40, deadline=None)
@given(n=st.integers(1, 30), batch=st.integers(1, 40), positions=st.lists(st.integers(0, 2000), min_size=2, max_size=8))
def test_a_batch_is_a_pure_function_of_seed_and_position(n, batch, positions):
    used = Stream(counting(n), batch, seed=7)
    first = {position: seen(used, position) for position in positions}
    for position in reversed(positions):
        assert seen(used, position) == first[position] == seen(Stream(counting(n), batch, seed=7), position)


@pytest.mark.parametrize("position", [0, 6, 18, 999])
def test_processes_partition_the_global_batch_of_one_process(position):
    whole = Stream(counting(10), batch_size=6, seed=3)
    shares = [Stream(counting(10), batch_size=3, seed=3, process=p, processes=2) for p in range(2)]
    assert seen(shares[0], position) + seen(shares[1], position) == seen(whole, position)


def test_epochs_and_seeds_have_orders_of_their_own():
    split = counting(50)
    orders = {tuple(seen(Stream(split, 50, seed), position)) for seed in (0, 1, 2) for position in (0, 50, 100)}
    assert len(orders) == 9


def test_orders_are_uniform_over_permutations():
    stream = Stream(counting(3), batch_size=3)
    counts: dict[tuple[int, ...], int] = {}
    for epoch in range(6000):
        order = tuple(seen(stream, 3 * epoch))
        counts[order] = counts.get(order, 0) + 1
    assert len(counts) == 6
    assert sum((c - 1000) ** 2 / 1000 for c in counts.values()) < 20.5  # chi-squared, 5 degrees of freedom, p = 0.001


def test_batches_carry_events_labels_and_conditions_of_the_same_rows():
    batch = Stream(counting(9), batch_size=20).batch(5)
    assert batch.x.shape == (20, 1)
    assert torch.equal(batch.x[:, 0].long(), batch.label)
    assert batch.condition is batch.label


def test_captions_follow_their_rows():
    split = Split(torch.arange(3.0)[:, None], extras={"caption": ["a", "b", "c"]}, condition="caption")
    assert split.rows(torch.tensor([2, 0, 2])).condition == ["c", "a", "c"]
    assert split.condition == ["a", "b", "c"]


def test_impossible_streams_are_refused():
    with pytest.raises(DataError, match="split to train on is empty"):
        Stream(counting(0), 1)
    with pytest.raises(ConfigError, match="batch_size must be at least 1, got 0"):
        Stream(counting(3), 0)
    with pytest.raises(ConfigError, match=r"process must be in 0\.\.1 with processes=2, got 2"):
        Stream(counting(3), 1, process=2, processes=2)
