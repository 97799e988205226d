"""NADE as one would write it from the paper: a loop over the variables, gradients by autograd.

`PlainNADE` is the loop with the avoidable costs of public implementations left out, `UnboundNADE` the same a little better
still. `PaperNADE` is what those implementations are like: W (H, D) as in the paper, so that a column of it is read at each
variable, a term of the likelihood a variable, and draws from a Bernoulli object.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.distributions import Bernoulli


class PlainNADE(nn.Module):
    def __init__(self, dims: int, hidden: int) -> None:
        super().__init__()
        self.W = nn.Parameter(torch.randn(dims, hidden) / dims**0.5)
        self.V = nn.Parameter(torch.randn(dims, hidden) / hidden**0.5)
        self.b = nn.Parameter(torch.zeros(dims))
        self.c = nn.Parameter(torch.zeros(hidden))

    def log_prob(self, x: Tensor) -> Tensor:
        a, logits = self.c.expand(len(x), -1), []
        for d in range(x.shape[1]):
            h = torch.sigmoid(a)
            logits.append(h @ self.V[d] + self.b[d])
            a = a + x[:, d : d + 1] * self.W[d]
        return -F.binary_cross_entropy_with_logits(torch.stack(logits, 1), x, reduction="none").sum(1)

    @torch.no_grad()
    def sample(self, n: int) -> Tensor:
        a, x = self.c.expand(n, -1), []
        for d in range(len(self.W)):
            p = torch.sigmoid(torch.sigmoid(a) @ self.V[d] + self.b[d])
            x.append(torch.bernoulli(p))
            a = a + x[-1][:, None] * self.W[d]
        return torch.stack(x, 1)


class UnboundNADE(PlainNADE):
    """The same loop over unbound rows: `W[d]` costs autograd a D x H matrix of zeros in every step, `W.unbind()` does not."""

    def log_prob(self, x: Tensor) -> Tensor:
        a, logits = self.c.expand(len(x), -1), []
        for x_d, W_d, V_d, b_d in zip(x.unbind(1), self.W, self.V, self.b, strict=True):
            logits.append(torch.sigmoid(a) @ V_d + b_d)
            a = a + x_d[:, None] * W_d
        return -F.binary_cross_entropy_with_logits(torch.stack(logits, 1), x, reduction="none").sum(1)


class PaperNADE(PlainNADE):
    """W (H, D) as in the paper, a term of the likelihood a variable, draws from `torch.distributions`."""

    def __init__(self, dims: int, hidden: int) -> None:
        super().__init__(dims, hidden)
        self.W = nn.Parameter(self.W.detach().T.contiguous())

    def probability(self, a: Tensor, d: int) -> Tensor:
        return torch.sigmoid(F.linear(torch.sigmoid(a), self.V[d : d + 1], self.b[d : d + 1]))

    def log_prob(self, x: Tensor) -> Tensor:
        a, total = self.c.expand(len(x), -1), torch.zeros(len(x), 1)
        for d in range(x.shape[1]):
            x_d = x[:, d : d + 1]
            total = total + Bernoulli(self.probability(a, d), validate_args=False).log_prob(x_d)
            a = a + F.linear(x_d, self.W[:, d : d + 1])
        return total.squeeze(1)

    @torch.no_grad()
    def sample(self, n: int) -> Tensor:
        a, x = self.c.expand(n, -1), []
        for d in range(self.W.shape[1]):
            x.append(Bernoulli(self.probability(a, d), validate_args=False).sample())
            a = a + F.linear(x[-1], self.W[:, d : d + 1])
        return torch.cat(x, 1)
