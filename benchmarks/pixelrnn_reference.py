"""PixelRNN as one would write it from the paper: a padded skew, a loop over columns or rows, gradients by autograd.

Samples by a whole pass of the network for each pixel, as public implementations do. For pictures of one channel.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class MaskedConv(nn.Conv2d):
    def __init__(self, inputs: int, outputs: int, kernel: tuple[int, int], mask: str) -> None:
        super().__init__(inputs, outputs, kernel, padding=(kernel[0] // 2, kernel[1] // 2))
        seen = torch.ones_like(self.weight)
        seen[:, :, kernel[0] // 2, kernel[1] // 2 + (mask == "B") :] = 0
        seen[:, :, kernel[0] // 2 + 1 :] = 0
        self.register_buffer("seen", seen)

    def forward(self, x: Tensor) -> Tensor:
        return F.conv2d(x, self.weight * self.seen, self.bias, padding=self.padding)


def skew(x: Tensor) -> Tensor:
    height, width = x.shape[2:]
    skewed = x.new_zeros(*x.shape[:3], height + width - 1)
    for r in range(height):
        skewed[:, :, r, r : r + width] = x[:, :, r]
    return skewed


def unskew(x: Tensor, width: int) -> Tensor:
    return torch.stack([x[:, :, r, r : r + width] for r in range(x.shape[2])], 2)


class LSTM(nn.Module):
    """Over the columns of (n, maps, height, columns), from left to right, with a convolution from column to column."""

    def __init__(self, hidden: int, taps: int) -> None:
        super().__init__()
        self.taps = taps
        self.state = nn.Conv1d(hidden, 4 * hidden, taps, bias=False)

    def forward(self, a: Tensor) -> Tensor:
        n, width, height, _ = a.shape
        s = c = a.new_zeros(n, width // 4, height)
        states = []
        for a_t in a.unbind(3):
            i, f, g, o = (a_t + self.state(F.pad(s, (1, self.taps - 2)))).chunk(4, 1)
            c = f.sigmoid() * c + i.sigmoid() * g.tanh()
            s = o.sigmoid() * c.tanh()
            states.append(s)
        return torch.stack(states, 3)


class DiagonalBiLSTM(nn.Module):
    def __init__(self, hidden: int, both: bool) -> None:
        super().__init__()
        self.inputs = nn.ModuleList(nn.Conv2d(2 * hidden, 4 * hidden, 1) for _ in range(1 + both))
        self.lstms = nn.ModuleList(LSTM(hidden, 2) for _ in range(1 + both))

    def forward(self, x: Tensor) -> Tensor:
        width = x.shape[3]
        y = unskew(self.lstms[0](skew(self.inputs[0](x))), width)
        if len(self.lstms) == 1:
            return y
        right = unskew(self.lstms[1](skew(self.inputs[1](x.flip(3)))), width).flip(3)
        return y + F.pad(right, (0, 0, 1, -1))


class RowLSTM(nn.Module):
    def __init__(self, hidden: int) -> None:
        super().__init__()
        self.input = MaskedConv(2 * hidden, 4 * hidden, (1, 3), "B")
        self.lstm = LSTM(hidden, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.lstm(self.input(x).transpose(2, 3)).transpose(2, 3)


class PlainPixelRNN(nn.Module):
    """`kind` is diagonal, row or one-way (the left-to-right direction alone, as in public code)."""

    def __init__(self, size: tuple[int, int], kind: str = "diagonal", hidden: int = 16, layers: int = 7) -> None:
        super().__init__()
        self.size = size
        self.first = MaskedConv(1, 2 * hidden, (7, 7), "A")
        self.lstms = nn.ModuleList(
            RowLSTM(hidden) if kind == "row" else DiagonalBiLSTM(hidden, kind == "diagonal") for _ in range(layers)
        )
        self.outs = nn.ModuleList(nn.Conv2d(hidden, 4 * hidden, 1) for _ in range(layers))
        self.head = nn.Sequential(
            nn.ReLU(), nn.Conv2d(2 * hidden, 2 * hidden, 1), nn.ReLU(), nn.Conv2d(2 * hidden, 2 * hidden, 1), nn.ReLU(),
            nn.Conv2d(2 * hidden, 1, 1),
        )  # fmt: skip

    def logits(self, x: Tensor) -> Tensor:
        x = self.first(2 * x - 1)
        skips = torch.zeros_like(x)
        for lstm, out in zip(self.lstms, self.outs, strict=True):
            residual, skip = out(lstm(x)).chunk(2, 1)
            x, skips = x + residual, skips + skip
        return self.head(x + skips)

    def log_prob(self, x: Tensor) -> Tensor:
        return -F.binary_cross_entropy_with_logits(self.logits(x), x, reduction="none").flatten(1).sum(1)

    @torch.no_grad()
    def sample(self, n: int, pixels: int | None = None) -> Tensor:
        """`pixels` stops early: every pixel takes the same time, that of one pass."""
        x = torch.zeros(n, 1, *self.size)
        for i in range(self.size[0] * self.size[1] if pixels is None else pixels):
            r, c = divmod(i, self.size[1])
            x[:, :, r, c] = torch.bernoulli(self.logits(x)[:, :, r, c].sigmoid())
        return x
