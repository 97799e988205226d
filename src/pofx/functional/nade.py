"""The computations of NADE: the equation as it is written, and the same numbers in blocks of variables.

The equation, for variables in visiting order d = 1..D:

    p(x_d = 1 | x_<d) = sigmoid(b_d + V_d h_d),   h_d = act(a_d),   a_1 = c,   a_{d+1} = a_d + W_d x_d

With a window of N variables a_{d+1} also loses W_{d-N} x_{d-N}: what is N variables back leaves as x_d enters.

Two facts make it fast. Within a block of variables every a_d is the block's first a plus a triangular product (a banded
one with a window), so that few matrix products replace D small steps. And where nothing but zeros enters and leaves, the
hidden state stays as it is, so that only *distinct* states are computed: one per event and block, plus one per change.

Source: The Neural Autoregressive Distribution Estimator, Hugo Larochelle and Iain Murray, 2011.
"""

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd.function import once_differentiable

from ..core import OnStep
from .temperature import thresholds

BLOCK = 8  # variables a block: fewer waste time on calls, more on multiplications with the zeros of the triangle
ROWS = 256  # events at a time: their states of one block stay in the cache


class Activation(NamedTuple):
    """A nonlinearity that accepts `out=`, and the gradient through it from the gradient at its value and that value."""

    apply: Callable[..., Tensor]
    backward: Callable[[Tensor, Tensor], Tensor]


ACTIVATIONS = {
    "sigmoid": Activation(torch.sigmoid, lambda grad, h: torch.ops.aten.sigmoid_backward(grad, h)),
    "relu": Activation(partial(torch.clamp, min=0), lambda grad, h: torch.ops.aten.threshold_backward(grad, h, 0)),
}


def nade_logits_reference(
    x: Tensor, W: Tensor, V: Tensor, b: Tensor, c: Tensor, activation: str = "sigmoid", window: int | None = None
) -> Tensor:
    """What `nade_logits` computes, every conditional on its own: O(B·D²·H)."""
    act = torch.sigmoid if activation == "sigmoid" else torch.relu
    dims, logits = len(W), []
    for d in range(dims):
        seen = slice(max(0, d - (window or dims)), d)
        logits.append(act(c + x[:, seen] @ W[seen]) @ V[d] + b[d])
    return torch.stack(logits, dim=1)


def nade_logits(
    x: Tensor, W: Tensor, V: Tensor, b: Tensor, c: Tensor, activation: str = "sigmoid", window: int | None = None
) -> Tensor:
    """Logits (B, D) of p(x_d = 1 | x_<d) for x (B, D); x, W (D, H), V (D, H) and b (D,) in visiting order, c (H,).

    `window` is how many of the variables before it a conditional sees (None: all).
    Differentiable in W, V, b and c, not in x, which is data. Computed in the precision of W, also under autocast.
    Time grows with B·D·H and the share of non-zero x, memory with B·D + D·H: nothing of size B·D·H is stored.

    >>> W, V, b, c = torch.ones(2, 1), torch.ones(2, 1), torch.zeros(2), torch.zeros(1)
    >>> nade_logits(torch.tensor([[1.0, 0.0]]), W, V, b, c)  # sigmoid(0), then sigmoid(1)
    tensor([[0.5000, 0.7311]])
    """
    dims, act, missing = len(W), ACTIVATIONS[activation], -len(W) % BLOCK  # variables that are always 0 fill the last block
    x, W, V = F.pad(x.to(W.dtype), (0, missing)), F.pad(W, (0, 0, 0, missing)), F.pad(V, (0, 0, 0, missing))
    blocks, W_blocks, V_blocks = x.unflatten(1, (-1, BLOCK)), W.unflatten(0, (-1, BLOCK)), V.unflatten(0, (-1, BLOCK))
    if window is not None and window < dims - 1:  # what leaves is read as well, with the opposite sign
        blocks = torch.cat([blocks, -F.pad(x, (window, -window)).view_as(blocks)], 2)
        W_blocks = torch.cat([W_blocks, F.pad(W, (0, 0, window, -window)).view_as(W_blocks)], 1)
    with torch.autocast(x.device.type, enabled=False):
        logits = [_NadeLogits.apply(rows.transpose(0, 1), W_blocks, V_blocks, c, act) for rows in blocks.split(ROWS)]
        return torch.cat(logits)[:, :dims] + b


class _NadeLogits(torch.autograd.Function):
    """Logits without b; x (K, B, r), W (K, r, H), V (K, m, H): K blocks of m variables, each reading r = m or 2 m inputs."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, W: Tensor, V: Tensor, c: Tensor, act: Activation) -> Tensor:
        logits, a = x.new_empty(x.shape[1], len(V), V.shape[1]), c.repeat(x.shape[1], 1)
        ctx.states, ctx.act = _states(x, V.shape[1]), act
        for x_k, W_k, V_k, states, logits_k in zip(x, W, V, ctx.states, logits.unbind(1), strict=True):
            h = states.hidden(a, W_k, act)
            logits_k.copy_((h @ V_k.T).take(states.slot))
            a.addmm_(x_k, W_k)
        ctx.save_for_backward(x, W, V, a)
        return logits.flatten(1)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        """Walks the blocks from the last to the first: a is recovered by subtraction, delta is the gradient at a."""
        x, W, V, last = ctx.saved_tensors
        dW, dV = torch.empty_like(W), torch.empty_like(V)
        with torch.autocast(x.device.type, enabled=False):
            a, delta = last.clone(), torch.zeros_like(last)
            blocks = zip(x, W, V, dW, dV, ctx.states, grad.split(V.shape[1], 1), strict=True)
            for x_k, W_k, V_k, dW_k, dV_k, states, grad_k in reversed(list(blocks)):
                a.addmm_(x_k, W_k, alpha=-1)
                h = states.hidden(a, W_k, ctx.act)
                error = torch.zeros(len(h), V.shape[1], dtype=h.dtype, device=h.device)  # of the outputs a state predicts
                torch.mm(error.put_(states.slot, grad_k).T, h, out=dV_k)
                grad_a = ctx.act.backward(error @ V_k, h)
                torch.mm(x_k.T, delta, out=dW_k).addmm_(states.read.T, grad_a)
                delta.index_add_(0, states.row, grad_a)
        return None, dW, dV, delta.sum(0), None


class _States(NamedTuple):
    """The S distinct hidden states that B events pass through in a block of m variables that reads r inputs."""

    row: Tensor  # (S,) the event that a state belongs to
    read: Tensor  # (S, r) what the state has seen of the block's inputs
    slot: Tensor  # (B, m) which entry of a table (S, m), flattened, is that of the state from which a variable is predicted

    def hidden(self, a: Tensor, W: Tensor, act: Activation) -> Tensor:
        """The states (S, H), from a (B, H) before the block and the block's W (r, H)."""
        h = a.index_select(0, self.row).addmm_(self.read, W)
        return act.apply(h, out=h)


def _states(x: Tensor, m: int) -> list[_States]:
    changed = torch.ones(*x.shape[:2], m, dtype=torch.bool, device=x.device)
    changed[..., 1:] = (x.unflatten(2, (-1, m))[..., :-1] != 0).any(2)
    block, row, first = changed.nonzero().unbind(1)
    before = torch.ones(m, m, dtype=x.dtype, device=x.device).tril(-1).repeat(1, x.shape[2] // m)
    read = x[block, row] * before.index_select(0, first)
    state = changed.flatten(1).cumsum(1).view(changed.shape) - 1
    slot = state * m + torch.arange(m, device=x.device)
    counts = changed.sum((1, 2)).tolist()
    return [_States(*parts) for parts in zip(row.split(counts), read.split(counts), slot, strict=True)]


@torch.no_grad()
def nade_sample(
    n: int,
    W: Tensor,
    V: Tensor,
    b: Tensor,
    c: Tensor,
    activation: str = "sigmoid",
    window: int | None = None,
    given: Tensor | None = None,
    generator: torch.Generator | None = None,
    temperature: float = 1.0,
    on_step: OnStep | None = None,
) -> Tensor:
    """n draws x (n, D) in {0, 1}, variables in visiting order as in `nade_logits`; time O(n·D·H), memory O(n·(D + H)).

    `given` (n, D) holds values to keep, and -1 where a value is to be drawn given the ones before it.
    `generator` must live on the device of W. `temperature` divides the logits, `on_step(variables drawn, D)` follows each.
    """
    act = ACTIVATIONS[activation].apply
    u = torch.rand(n, len(W), dtype=W.dtype, device=W.device, generator=generator)
    threshold = thresholds(u, temperature) - b  # T = 1: u < sigmoid(b + V h)  <=>  logit(u) - b < V h
    if given is not None:  # every logit is above -inf, none above inf
        threshold = torch.where(given < 0, threshold, (0.5 - given) * torch.inf)
    threshold = threshold.T.contiguous()
    x, a = torch.empty_like(threshold), c.repeat(n, 1)
    h, logit = torch.empty_like(a), a.new_empty(n)
    columns, rows = x.unsqueeze(2).unbind(), W.unbind()
    for d, (x_d, threshold_d, V_d) in enumerate(zip(x.unbind(), threshold.unbind(), V.unbind(), strict=True)):
        act(a, out=h)
        torch.mv(h, V_d, out=logit)
        torch.gt(logit, threshold_d, out=x_d)
        a.addcmul_(columns[d], rows[d])
        if window is not None and d >= window:
            a.addcmul_(columns[d - window], rows[d - window], value=-1)
        if on_step:
            on_step(d + 1, len(W))
    return x.T
