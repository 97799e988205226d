"""PixelCNN as one would write it from the paper: full masked kernels, and one pass of the network for every pixel drawn."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class MaskedConv2d(nn.Conv2d):
    def __init__(self, inputs: int, outputs: int, size: int, mask: str) -> None:
        super().__init__(inputs, outputs, size, padding=size // 2)
        self.register_buffer("mask", torch.ones_like(self.weight))
        self.mask[:, :, size // 2, size // 2 + (mask == "B") :] = 0
        self.mask[:, :, size // 2 + 1 :] = 0

    def forward(self, x: Tensor) -> Tensor:
        return F.conv2d(x, self.weight * self.mask, self.bias, padding=self.padding)


class Block(nn.Module):
    def __init__(self, hidden: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.ReLU(), nn.Conv2d(2 * hidden, hidden, 1), nn.ReLU(), MaskedConv2d(hidden, hidden, 3, "B"), nn.ReLU(),
            nn.Conv2d(hidden, 2 * hidden, 1),
        )  # fmt: skip

    def forward(self, x: Tensor) -> Tensor:
        return x + self.layers(x)


class PlainPixelCNN(nn.Module):
    """Binary pictures (n, 1, H, W): 7×7, residual blocks, two 1×1 convolutions of 2·hidden channels."""

    def __init__(self, hidden: int = 16, layers: int = 15) -> None:
        super().__init__()
        self.network = nn.Sequential(
            MaskedConv2d(1, 2 * hidden, 7, "A"), *(Block(hidden) for _ in range(layers)),
            nn.ReLU(), nn.Conv2d(2 * hidden, 2 * hidden, 1), nn.ReLU(), nn.Conv2d(2 * hidden, 1, 1),
        )  # fmt: skip

    def log_prob(self, x: Tensor) -> Tensor:
        return -F.binary_cross_entropy_with_logits(self.network(x), x, reduction="none").flatten(1).sum(1)

    @torch.no_grad()
    def sample(self, n: int, height: int = 28, width: int = 28, pixels: int | None = None) -> Tensor:
        """n pictures; only their first `pixels` pixels, to measure what one costs."""
        x = torch.zeros(n, 1, height, width)
        for i in range(height * width if pixels is None else pixels):
            row, column = divmod(i, width)
            x[:, 0, row, column] = torch.bernoulli(self.network(x)[:, 0, row, column].sigmoid())
        return x


class GatedBlock(nn.Module):
    """The paper's layer: the vertical map is shifted down by one row in every layer."""

    def __init__(self, inputs: int, hidden: int, size: int, mask: str) -> None:
        super().__init__()
        self.residual_sum = mask == "B"
        self.vertical = MaskedConv2d(inputs, 2 * hidden, size, "B")
        self.vertical.mask[:, :, size // 2] = 1
        self.horizontal = nn.Conv2d(inputs, 2 * hidden, (1, size // 2 + (mask == "B")))
        self.pad = size // 2
        self.link = nn.Conv2d(2 * hidden, 2 * hidden, 1)
        self.residual, self.skip = nn.Conv2d(hidden, hidden, 1), nn.Conv2d(hidden, 2 * hidden, 1)

    def forward(self, v: Tensor, h: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        vertical = self.vertical(v)
        horizontal = self.horizontal(F.pad(h, (self.pad, 0)))[..., : h.shape[-1]]
        gated = self.gate(horizontal + self.link(F.pad(vertical, (0, 0, 1, -1))))
        out = self.residual(gated)
        return self.gate(vertical), out + h if self.residual_sum else out, self.skip(gated)

    @staticmethod
    def gate(x: Tensor) -> Tensor:
        f, g = x.chunk(2, 1)
        return f.tanh() * g.sigmoid()


class PlainGatedPixelCNN(PlainPixelCNN):
    """The same pictures with gated layers: a 7×7 one and `layers` of 3×3."""

    def __init__(self, hidden: int = 16, layers: int = 15) -> None:
        nn.Module.__init__(self)
        self.layers = nn.ModuleList([GatedBlock(1, hidden, 7, "A")])
        self.layers.extend(GatedBlock(hidden, hidden, 3, "B") for _ in range(layers))
        self.head = nn.Sequential(nn.ReLU(), nn.Conv2d(2 * hidden, 2 * hidden, 1), nn.ReLU(), nn.Conv2d(2 * hidden, 1, 1))

    def network(self, x: Tensor) -> Tensor:
        v, h, skips = x, x, 0
        for layer in self.layers:
            v, h, skip = layer(v, h)
            skips = skips + skip
        return self.head(skips)
