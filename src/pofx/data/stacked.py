"""Digits on top of each other: three random ones as the channels of a picture, 1,000 modes that can be counted."""

import numpy as np
import torch

from .noise import generator
from .options import Options
from .raw import ArrayRows, Part, Raw
from .root import mnist
from .toys import digits

N = 50_000
_KEY = 0x57AC
NAMES = [f"{i:03}" for i in range(1000)]
HELD_OUT = 0.15  # of the pictures, in each of the validation and test splits


def stacked_mnist(options: Options) -> Raw:
    """Three random MNIST digits as the channels of a 28 × 28 picture; the label is 100 a + 10 b + c of the digits a, b, c.

    Each split stacks digits of the split of MNIST with its name, so that nothing of the test split is in training. VEEGAN:
    Reducing Mode Collapse in GANs using Implicit Variational Learning, Akash Srivastava et al., 2017; as a test of modes first
    in Unrolled Generative Adversarial Networks, Luke Metz et al., 2017.
    """
    return _stacked(mnist(options, "mnist"), "stacked_mnist", options)


def stacked_digits(options: Options) -> Raw:
    """The same of the embedded digits, 8 × 8: for trying out, without files."""
    return _stacked(digits(options), "stacked_digits", options)


def _stacked(single: Raw, name: str, options: Options) -> Raw:
    n = options.n or N
    held_out = max(1, round(HELD_OUT * n))
    counts = {"train": max(1, n - 2 * held_out), "valid": held_out, "test": held_out}
    parts = {split: _stack(single.parts[split], counts[split], options.seed, number) for number, split in enumerate(counts)}
    note = f"drawn by seed {options.seed} from the splits of {single.name}"
    return Raw(name, parts, image=True, grid=single.grid, label_names=NAMES, channel_classes=10, note=note)


def _stack(part: Part, count: int, seed: int, number: int) -> Part:
    index = torch.randint(len(part.rows), (3, count), generator=generator(seed, _KEY, number))
    array = np.concatenate([part.rows.read(rows).numpy() for rows in index], axis=1)
    digits = torch.as_tensor(part.label)[index]
    return Part(ArrayRows(array), 100 * digits[0] + 10 * digits[1] + digits[2])
