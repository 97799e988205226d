"""MADE as one would write it from the paper: masks multiplied into the weights, and a full pass for every variable drawn."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class PlainMADE(nn.Module):
    """One hidden layer, ReLU, direct connections, raster order; degrees cyclic."""

    def __init__(self, dims: int, hidden: int) -> None:
        super().__init__()
        self.first, self.last = nn.Linear(dims, hidden), nn.Linear(hidden, dims)
        self.direct = nn.Linear(dims, dims, bias=False)
        places = torch.arange(1, dims + 1)
        degrees = 1 + torch.arange(hidden) % (dims - 1)
        self.register_buffer("first_mask", (degrees[:, None] >= places).float())
        self.register_buffer("last_mask", (places[:, None] > degrees).float())
        self.register_buffer("direct_mask", (places[:, None] > places).float())

    def logits(self, x: Tensor) -> Tensor:
        h = F.relu(F.linear(x, self.first.weight * self.first_mask, self.first.bias))
        logits = F.linear(h, self.last.weight * self.last_mask, self.last.bias)
        return logits + F.linear(x, self.direct.weight * self.direct_mask)

    def log_prob(self, x: Tensor) -> Tensor:
        return -F.binary_cross_entropy_with_logits(self.logits(x), x, reduction="none").sum(1)

    @torch.no_grad()
    def sample(self, n: int) -> Tensor:
        x = torch.zeros(n, self.last.out_features)
        for d in range(x.shape[1]):
            x[:, d] = torch.bernoulli(torch.sigmoid(self.logits(x)[:, d]))
        return x
