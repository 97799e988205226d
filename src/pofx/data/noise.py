"""Randomness as a pure function of a key, so that no generator has a state worth saving."""

import torch
from torch import Tensor

_MASK = (1 << 64) - 1
_GOLDEN, _FIRST, _SECOND = 0x9E3779B97F4A7C15, 0xBF58476D1CE4E5B9, 0x94D049BB133111EB


def mix(*key: int) -> int:
    """A 63-bit seed from a key of integers; near keys give unrelated seeds.

    Source: SplitMix64, in Steele, Lea, Flood, "Fast splittable pseudorandom number generators" (2014).

    >>> mix(0, 1) == mix(0, 1), mix(0, 1) == mix(1, 0)
    (True, False)
    """
    state = 0
    for part in key:
        state = ((state ^ part & _MASK) + _GOLDEN) & _MASK
        state = (state ^ state >> 30) * _FIRST & _MASK
        state = (state ^ state >> 27) * _SECOND & _MASK
        state ^= state >> 31
    return state >> 1


def generator(*key: int) -> torch.Generator:
    """A CPU generator in the state that belongs to the key."""
    return torch.Generator().manual_seed(mix(*key))


def uniform(seed: int, rows: Tensor, size: int, bits: int) -> Tensor:
    """Uniform numbers in (0, 1), float32 (len(rows), size), each a function of (seed, row, column) alone.

    Values are the midpoints of 2^bits equal cells (bits <= 23), which float32 holds exactly. A row has the same
    numbers however rows are read: all at once, in pieces, or in any order. Source: SplitMix64 (see `mix`).
    """
    z = (rows.unsqueeze(1) * size + torch.arange(size)) * _signed(_GOLDEN) + _signed(seed)
    z = (z ^ _shift(z, 30)) * _signed(_FIRST)
    z = (z ^ _shift(z, 27)) * _signed(_SECOND)
    z = z ^ _shift(z, 31)
    return (_shift(z, 64 - bits).float() + 0.5) / 2**bits


def _signed(word: int) -> int:
    return word - (1 << 64) if word >> 63 else word


def _shift(z: Tensor, by: int) -> Tensor:
    """The logical right shift, which int64 lacks."""
    return (z >> by) & ((1 << (64 - by)) - 1)
