"""The computations of NADE for variables with K values: the equation as it is written, and the same numbers in blocks.

The equation, for variables in visiting order d = 1..D with codes x_d in 0..K-1:

    p(x_d = k | x_<d) = softmax_k(b_d + V_d h_d),   h_d = act(a_d),   a_1 = c,   a_{d+1} = a_d + W_{d, x_d}

With a window of N variables a_{d+1} also loses W_{d-N, x_{d-N}}. W holds a vector for every value of every variable: for
the one value that a variable has, one row is read, so that only the D softmaxes grow with K.

Source: The Neural Autoregressive Distribution Estimator, Hugo Larochelle and Iain Murray, 2011; with K values in place of two.
"""

from collections.abc import Iterator
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd.function import once_differentiable

from ..core import OnStep
from .nade import ACTIVATIONS, Activation
from .temperature import sharpened

BLOCK = 16  # variables at a time: B·16·(H + K) numbers of memory
ROWS = 256  # events at a time


def categorical_nade_reference(
    x: Tensor, W: Tensor, V: Tensor, b: Tensor, c: Tensor, activation: str = "sigmoid", window: int | None = None
) -> Tensor:
    """What `categorical_nade_log_prob` computes for one-hot x (B, D, K), every conditional on its own: O(B·D²·K·H)."""
    act = torch.sigmoid if activation == "sigmoid" else torch.relu
    dims, terms = len(W), []
    for d in range(dims):
        seen = slice(max(0, d - (window or dims)), d)
        h = act(c + torch.einsum("ndk,dkh->nh", x[:, seen], W[seen]))
        terms.append(((h @ V[d].T + b[d]).log_softmax(1) * x[:, d]).sum(1))
    return torch.stack(terms, dim=1)


def categorical_nade_log_prob(
    x: Tensor, W: Tensor, V: Tensor, b: Tensor, c: Tensor, activation: str = "sigmoid", window: int | None = None
) -> Tensor:
    """ln p(x_d | x_<d) in nats, (B, D), for codes x (B, D) int64; W, V (D, K, H), b (D, K) in visiting order, c (H,).

    `window` is how many of the variables before it a conditional sees (None: all).
    Differentiable in W, V, b and c. Computed in the precision of W, also under autocast. Time grows with B·D·K·H, memory
    with B·(D + 16 (H + K)) + D·K·H: neither the states nor the probabilities of all variables are stored.

    >>> W, V, b, c = torch.ones(2, 3, 1), torch.ones(2, 3, 1), torch.zeros(2, 3), torch.zeros(1)
    >>> categorical_nade_log_prob(torch.tensor([[2, 0]]), W, V, b, c).exp()
    tensor([[0.3333, 0.3333]])
    """
    if window is None or window >= len(W) - 1:
        window = len(W)
    with torch.autocast(x.device.type, enabled=False):
        return torch.cat([_LogProb.apply(rows.T, W, V, b, c, ACTIVATIONS[activation], window) for rows in x.split(ROWS)])


class _LogProb(torch.autograd.Function):
    """x (D, B). A block of m variables is computed at once: states (m, B, H), logits (m, B, K)."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, W: Tensor, V: Tensor, b: Tensor, c: Tensor, act: Activation, window: int) -> Tensor:
        a, terms = c.repeat(x.shape[1], 1), []
        for start in range(0, len(x), BLOCK):
            block = slice(start, start + BLOCK)
            h, a = _hidden(a, _steps(x, W, start, window), act)
            logits = torch.baddbmm(b[block].unsqueeze(1), h, V[block].mT)
            terms.append(logits.gather(2, x[block].unsqueeze(2)).squeeze(2) - logits.logsumexp(2))
        ctx.save_for_backward(x, W, V, b, a)
        ctx.act, ctx.window = act, window
        return torch.cat(terms).T

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        """Walks the blocks from the last to the first: a is recovered by subtraction, delta is the gradient at a."""
        x, W, V, b, a = ctx.saved_tensors
        dW, dV, db, delta = torch.zeros_like(W), torch.empty_like(V), torch.empty_like(b), torch.zeros_like(a)
        with torch.autocast(grad.device.type, enabled=False):
            for start in reversed(range(0, len(x), BLOCK)):
                block = slice(start, start + BLOCK)
                steps = _steps(x, W, start, ctx.window)
                a = a - steps.sum(0)
                h, _ = _hidden(a, steps, ctx.act)
                logits, g = torch.baddbmm(b[block].unsqueeze(1), h, V[block].mT), grad.T[block].unsqueeze(2)
                error = logits.softmax(2).mul_(-g).scatter_add_(2, x[block].unsqueeze(2), g)
                torch.bmm(error.mT, h, out=dV[block])
                torch.sum(error, 1, out=db[block])
                grad_a = ctx.act.backward(torch.bmm(error, V[block]), h)
                after = torch.cat([delta.unsqueeze(0), grad_a.flip(0)]).cumsum(0)  # delta before the last 0, 1, ... variables
                grad_steps, delta = after[:-1].flip(0), after[-1]
                for variables, rows, sign in _reads(x, W.shape[1], start, ctx.window):
                    grads = grad_steps[-len(rows) :].flatten(0, 1)
                    dW[variables].view(-1, W.shape[2]).index_add_(0, rows.flatten(), grads, alpha=sign)
        return None, dW, dV, db, delta.sum(0), None, None


def _hidden(a: Tensor, steps: Tensor, act: Activation) -> tuple[Tensor, Tensor]:
    """The states (m, B, H) of a block, from a (B, H) before it and its steps (m, B, H), and a after the block."""
    a_all = torch.cat([a.unsqueeze(0), steps]).cumsum(0)
    return act.apply(a_all[:-1]), a_all[-1]


def _steps(x: Tensor, W: Tensor, start: int, window: int) -> Tensor:
    """What each variable of a block changes in a, (m, B, H)."""
    steps = W.new_zeros(min(BLOCK, len(x) - start), x.shape[1], W.shape[2])
    for variables, rows, sign in _reads(x, W.shape[1], start, window):
        steps[-len(rows) :].add_(F.embedding(rows, W[variables].flatten(0, 1)), alpha=sign)
    return steps


def _reads(x: Tensor, levels: int, start: int, window: int) -> Iterator[tuple[slice, Tensor, int]]:
    """What enters a block's state, and what leaves it: (variables, rows of their W (variables, B), sign)."""
    end = min(start + BLOCK, len(x))
    for lag, sign in ((0, 1), (window, -1)):
        variables = slice(max(start - lag, 0), max(end - lag, 0))
        codes = x[variables]
        if len(codes):
            yield variables, codes + levels * torch.arange(len(codes), device=x.device).unsqueeze(1), sign


@torch.no_grad()
def categorical_nade_sample(
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
    """n draws of codes x (n, D) int64, variables in visiting order; time O(n·D·K·H), memory O(n·(D + H + K)).

    `given` (n, D) int64 holds codes to keep, and -1 where a value is to be drawn given the ones before it.
    `generator` must live on the device of W. `temperature` divides the logits, `on_step(variables drawn, D)` follows each.
    """
    act = ACTIVATIONS[activation].apply
    u = torch.rand(n, len(W), dtype=W.dtype, device=W.device, generator=generator).T
    x = torch.empty(len(W), n, dtype=torch.long, device=W.device)
    a = c.repeat(n, 1)
    for d, (x_d, u_d, W_d, V_d, b_d) in enumerate(zip(x, u, W, V, b, strict=True)):
        cumulative = sharpened(torch.addmm(b_d, act(a), V_d.T), temperature).softmax(1).cumsum(1)
        drawn = torch.searchsorted(cumulative, u_d.unsqueeze(1) * cumulative[:, -1:], right=True).squeeze(1)
        drawn = drawn.clamp_(max=len(b_d) - 1)
        x_d.copy_(drawn if given is None else torch.where(given[:, d] < 0, drawn, given[:, d]))
        a += W_d[x_d]
        if window is not None and d >= window:
            a -= W[d - window, x[d - window]]
        if on_step:
            on_step(d + 1, len(W))
    return x.T
