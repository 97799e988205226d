"""Stacked digits: each channel is a digit of the split, the label says which, the seed fixes all."""

import pytest
import torch

from pofx.core import ConfigError, DataError
from pofx.data import load_data


@pytest.fixture(scope="module")
def stacked():
    return load_data("stacked_digits", n=2000)


def test_every_channel_is_a_digit_of_the_same_split_and_the_label_says_which(stacked):
    single = load_data("digits")
    for name, split in stacked.splits.items():
        digits = single.splits[name]
        known = {row.numpy().tobytes(): int(label) for row, label in zip(digits.x, digits.label, strict=True)}
        for x, label in zip(split.x[:50], split.label[:50].tolist(), strict=True):
            assert [known[channel.contiguous().numpy().tobytes()] for channel in x] == [
                label // 100,
                label // 10 % 10,
                label % 10,
            ]


def test_sizes_and_what_is_said_of_them(stacked):
    assert [len(split) for split in stacked.splits.values()] == [1400, 300, 300]
    assert stacked.event_shape == (3, 8, 8)
    assert stacked.label_names[37] == "037"
    assert "drawn by seed 0 from the splits of digits" in stacked.description


def test_channels_are_drawn_apart_and_by_the_seed(stacked):
    a, b = stacked.train.label // 100, stacked.train.label % 10
    assert ((a == b).float().mean() - 0.1).abs() < 0.04
    assert torch.equal(load_data("stacked_digits", n=2000).train.x, stacked.train.x)
    assert not torch.equal(load_data("stacked_digits", n=2000, seed=1).train.x, stacked.train.x)


def test_the_number_may_be_chosen_and_nothing_else(monkeypatch):
    assert len(load_data("stacked_digits", n=40).train) == 28
    with pytest.raises(ConfigError, match="size is for drawn data"):
        load_data("stacked_digits", size=32)
    with pytest.raises(ConfigError, match=r"n is for drawn data \(.*stacked_digits.*\)"):
        load_data("digits", n=3)
    monkeypatch.delenv("POFX_DATA", raising=False)
    with pytest.raises(DataError, match="mnist is read from a data root"):
        load_data("stacked_mnist")
