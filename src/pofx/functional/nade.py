"""The computations of NADE: the equation as it is written, and the same numbers in blocks of variables.

The equation, for variables in visiting order d = 1..D:

    p(x_d = 1 | x_<d) = sigmoid(b_d + V_d h_d),   h_d = act(a_d),   a_1 = c,   a_{d+1} = a_d + W_d x_d

Two facts make it fast. Within a block of variables every a_d is the block's first a plus a triangular product, so that
few matrix products replace D small steps. And where x_d = 0 the hidden state stays as it is, so that only *distinct*
states are computed: one per event and block, plus one per non-zero x_d.

Source: The Neural Autoregressive Distribution Estimator, Hugo Larochelle and Iain Murray, 2011.
"""

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd.function import once_differentiable

BLOCK = 16  # variables a block: fewer waste time on calls, more on multiplications with the zeros of the triangle
ROWS = 256  # events at a time: their states of one block stay in the cache


class Activation(NamedTuple):
    """A nonlinearity that accepts `out=`, and the gradient through it from the gradient at its value and that value."""

    apply: Callable[..., Tensor]
    backward: Callable[[Tensor, Tensor], Tensor]


ACTIVATIONS = {
    "sigmoid": Activation(torch.sigmoid, lambda grad, h: torch.ops.aten.sigmoid_backward(grad, h)),
    "relu": Activation(partial(torch.clamp, min=0), lambda grad, h: torch.ops.aten.threshold_backward(grad, h, 0)),
}


def nade_logits_reference(x: Tensor, W: Tensor, V: Tensor, b: Tensor, c: Tensor, activation: str = "sigmoid") -> Tensor:
    """What `nade_logits` computes, as the equation is written: D steps, under autograd 2·B·D·H numbers of memory."""
    act = torch.sigmoid if activation == "sigmoid" else torch.relu
    a, logits = c.expand(len(x), -1), []
    for x_d, W_d, V_d, b_d in zip(x.T, W, V, b, strict=True):
        logits.append(act(a) @ V_d + b_d)
        a = a + x_d[:, None] * W_d
    return torch.stack(logits, dim=1)


def nade_logits(x: Tensor, W: Tensor, V: Tensor, b: Tensor, c: Tensor, activation: str = "sigmoid") -> Tensor:
    """Logits (B, D) of p(x_d = 1 | x_<d) for x (B, D); x, W (D, H), V (D, H) and b (D,) in visiting order, c (H,).

    Differentiable in W, V, b and c, not in x, which is data. Computed in the precision of W, also under autocast.
    Time grows with B·D·H and the share of non-zero x, memory with B·D + D·H: nothing of size B·D·H is stored.

    >>> W, V, b, c = torch.ones(2, 1), torch.ones(2, 1), torch.zeros(2), torch.zeros(1)
    >>> nade_logits(torch.tensor([[1.0, 0.0]]), W, V, b, c)  # sigmoid(0), then sigmoid(1)
    tensor([[0.5000, 0.7311]])
    """
    (dims, hidden), act = W.shape, ACTIVATIONS[activation]
    missing = -dims % BLOCK  # variables that are always 0 fill the last block
    x, W, V = F.pad(x.to(W.dtype), (0, missing)), F.pad(W, (0, 0, 0, missing)), F.pad(V, (0, 0, 0, missing))
    W, V = W.view(-1, BLOCK, hidden), V.view(-1, BLOCK, hidden)
    with torch.autocast(x.device.type, enabled=False):
        logits = [_NadeLogits.apply(rows, W, V, c, act) for rows in x.split(ROWS)]
        return torch.cat(logits)[:, :dims] + b


class _NadeLogits(torch.autograd.Function):
    """Logits without b; x (B, K·m), W and V (K, m, H): K blocks of m variables."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, W: Tensor, V: Tensor, c: Tensor, act: Activation) -> Tensor:
        ctx.save_for_backward(x, W, V, c)
        ctx.act = act
        m, logits = W.shape[1], torch.empty_like(x)
        a = c.repeat(len(x), 1)
        blocks = zip(x.split(m, 1), W, V, _states(x, m), logits.split(m, 1), strict=True)
        for x_k, W_k, V_k, states, logits_k in blocks:
            h = states.hidden(a, W_k, act)
            logits_k.copy_((h @ V_k.T).take(states.slot))
            a.addmm_(x_k, W_k)
        return logits

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        """Walks the blocks from the last to the first: a is recovered by subtraction, delta is the gradient at a."""
        x, W, V, c = ctx.saved_tensors
        m, dW, dV = W.shape[1], torch.empty_like(W), torch.empty_like(V)
        with torch.autocast(x.device.type, enabled=False):
            a = torch.addmm(c, x, W.flatten(0, 1))
            delta = torch.zeros_like(a)
            blocks = zip(x.split(m, 1), W, V, dW, dV, _states(x, m), grad.split(m, 1), strict=True)
            for x_k, W_k, V_k, dW_k, dV_k, states, grad_k in reversed(list(blocks)):
                a.addmm_(x_k, W_k, alpha=-1)
                h = states.hidden(a, W_k, ctx.act)
                error = torch.zeros_like(states.read).put_(states.slot, grad_k)  # of the outputs that a state predicts
                torch.mm(error.T, h, out=dV_k)
                grad_a = ctx.act.backward(error @ V_k, h)
                torch.mm(x_k.T, delta, out=dW_k).addmm_(states.read.T, grad_a)
                delta.index_add_(0, states.row, grad_a)
        return None, dW, dV, delta.sum(0), None


class _States(NamedTuple):
    """The S distinct hidden states that B events pass through in a block of m variables."""

    row: Tensor  # (S,) the event that a state belongs to
    read: Tensor  # (S, m) what the state has seen of the block
    slot: Tensor  # (B, m) which entry of a table (S, m), flattened, is that of the state from which a variable is predicted

    def hidden(self, a: Tensor, W: Tensor, act: Activation) -> Tensor:
        """The states (S, H), from a (B, H) before the block and the block's W (m, H)."""
        h = a.index_select(0, self.row).addmm_(self.read, W)
        return act.apply(h, out=h)


def _states(x: Tensor, m: int) -> list[_States]:
    x = x.view(len(x), x.shape[1] // m, m).transpose(0, 1)  # (blocks, B, m)
    changed = torch.ones_like(x, dtype=torch.bool)
    changed[..., 1:] = x[..., :-1] != 0
    block, row, first = changed.nonzero().unbind(1)
    before = torch.ones(m, m, dtype=x.dtype, device=x.device).tril(-1)
    read = x[block, row] * before.index_select(0, first)
    state = changed.flatten(1).cumsum(1).view(x.shape) - 1
    slot = state * m + torch.arange(m, device=x.device)
    counts = changed.sum((1, 2)).tolist()
    return [_States(*parts) for parts in zip(row.split(counts), read.split(counts), slot, strict=True)]


@torch.no_grad()
def nade_sample(
    n: int, W: Tensor, V: Tensor, b: Tensor, c: Tensor, activation: str = "sigmoid", generator: torch.Generator | None = None
) -> Tensor:
    """n draws x (n, D) in {0, 1}, variables in visiting order as in `nade_logits`; time O(n·D·H), memory O(n·(D + H)).

    `generator` must live on the device of W.
    """
    act = ACTIVATIONS[activation].apply
    u = torch.rand(n, len(W), dtype=W.dtype, device=W.device, generator=generator)
    threshold = (torch.logit(u) - b).T.contiguous()  # u < sigmoid(b + V h)  <=>  logit(u) - b < V h
    x = torch.empty_like(threshold)
    a = c.repeat(n, 1)
    h, logit = torch.empty_like(a), a.new_empty(n)
    for x_d, threshold_d, W_d, V_d in zip(x, threshold, W, V, strict=True):
        act(a, out=h)
        torch.mv(h, V_d, out=logit)
        torch.gt(logit, threshold_d, out=x_d)
        a.addcmul_(x_d[:, None], W_d)
    return x.T
