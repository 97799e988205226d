"""Progressive GAN's networks and its loop as public code writes them: each operation of the paper in turn, separate passes.

The networks are those of `pofx.nn.progressive` at their last level, without the layers of lower ones; `like_ours` copies the
weights, and then both give the same values. The order in a block of the critic is that of the authors' code, which joins
convolution and mean: the mean comes before bias and activation.
"""

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

import pofx
from pofx.data import Data, Split
from pofx.models import ProGAN

BATCH, LATENT, MAPS = 16, 512, 512
STEPS = {16: 2, 32: 1}  # of a measurement, at each side
SOURCE = "the loop of public code, same networks"


class Conv(nn.Module):
    def __init__(self, inputs: int, outputs: int, size: int = 3, gain: float = math.sqrt(2)) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(outputs, inputs, size, size))
        self.bias = nn.Parameter(torch.zeros(outputs))
        self.scale, self.padding = gain / math.sqrt(inputs * size**2), size // 2

    def forward(self, x: Tensor, pool: bool = False) -> Tensor:
        x = F.conv2d(x, self.weight * self.scale, padding=self.padding)
        return (F.avg_pool2d(x, 2) if pool else x) + self.bias.view(1, -1, 1, 1)


class Linear(nn.Module):
    def __init__(self, inputs: int, outputs: int, gain: float = math.sqrt(2)) -> None:
        super().__init__()
        self.weight, self.bias = nn.Parameter(torch.randn(outputs, inputs)), nn.Parameter(torch.zeros(outputs))
        self.scale = gain / math.sqrt(inputs)

    def forward(self, x: Tensor) -> Tensor:
        return F.linear(x, self.weight * self.scale, self.bias)


def pixel_norm(x: Tensor) -> Tensor:
    return x * torch.rsqrt(torch.mean(x**2, dim=1, keepdim=True) + 1e-8)


class Generator(nn.Module):
    def __init__(self, blocks: int, maps: int = MAPS, latent: int = LATENT, channels: int = 3) -> None:
        super().__init__()
        self.maps = maps
        self.bias = nn.Parameter(torch.zeros(maps, 1, 1))
        self.dense = nn.Parameter(torch.randn(16 * maps, latent))
        self.scale = math.sqrt(2) / 4 / math.sqrt(latent)
        self.first = Conv(maps, maps)
        self.blocks = nn.ModuleList(nn.ModuleList([Conv(maps, maps), Conv(maps, maps)]) for _ in range(blocks))
        self.to_picture = Conv(maps, channels, 1, gain=1.0)

    def forward(self, z: Tensor) -> Tensor:
        h = F.linear(pixel_norm(z), self.dense * self.scale).view(len(z), self.maps, 4, 4) + self.bias
        h = pixel_norm(F.leaky_relu(h, 0.2))
        h = pixel_norm(F.leaky_relu(self.first(h), 0.2))
        for block in self.blocks:
            h = F.interpolate(h, scale_factor=2, mode="nearest")
            for conv in block:
                h = pixel_norm(F.leaky_relu(conv(h), 0.2))
        return self.to_picture(h)


class Critic(nn.Module):
    def __init__(self, blocks: int, maps: int = MAPS, channels: int = 3) -> None:
        super().__init__()
        self.from_picture = Conv(channels, maps, 1)
        self.blocks = nn.ModuleList(nn.ModuleList([Conv(maps, maps), Conv(maps, maps)]) for _ in range(blocks))
        self.last = Conv(maps + 1, maps)
        self.dense, self.verdict = Linear(16 * maps, maps), Linear(maps, 1, gain=1.0)

    def forward(self, x: Tensor) -> Tensor:
        h = F.leaky_relu(self.from_picture(x), 0.2)
        for first, second in reversed(self.blocks):
            h = F.leaky_relu(second(F.leaky_relu(first(h), 0.2), pool=True), 0.2)
        groups = h.view(4, -1, *h.shape[1:])
        deviation = torch.sqrt(((groups - groups.mean(0)) ** 2).mean(0) + 1e-8).mean((1, 2, 3))
        h = torch.cat([h, deviation.repeat(4).view(-1, 1, 1, 1).expand(-1, 1, 4, 4)], 1)
        h = F.leaky_relu(self.last(h), 0.2)
        return self.verdict(F.leaky_relu(self.dense(h.flatten(1)), 0.2))


def like_ours(model: ProGAN) -> tuple[Generator, Critic]:
    """Reference networks with the weights of ours, whose parameters come in the same order."""
    theirs, levels = (Generator(model.levels - 2), Critic(model.levels - 2)), model.levels - 2
    unused = [*model.generator.to_picture[:levels], *model.critic.from_picture[:levels]]
    left_out = {id(p) for layer in unused for p in layer.parameters()}
    for net, own in zip(theirs, (model.generator, model.critic), strict=True):
        used = (p for p in own.parameters() if id(p) not in left_out)
        for ours, copy in zip(used, net.parameters(), strict=True):
            copy.data.copy_(ours.data)
    return theirs


def train(generator: Generator, critic: Critic, pictures: Tensor, steps: int) -> None:
    """WGAN-GP with drift: the critic's move with a pass for data, for samples and for the penalty, then the generator's."""
    options: dict[str, Any] = {"lr": 1e-3, "betas": (0.0, 0.99), "eps": 1e-8}
    critic_adam = torch.optim.Adam(critic.parameters(), **options)
    generator_adam = torch.optim.Adam(generator.parameters(), **options)
    for step in range(steps):
        real = 2 * pictures[step * BATCH : (step + 1) * BATCH] - 1
        fake = generator(torch.randn(BATCH, LATENT))
        critic_adam.zero_grad()
        real_value, fake_value = critic(real), critic(fake.detach())
        share = torch.rand(BATCH, 1, 1, 1)
        between = (share * real + (1 - share) * fake.detach()).requires_grad_()
        value = critic(between)
        slope = torch.autograd.grad(value, between, torch.ones_like(value), create_graph=True, retain_graph=True)[0]
        penalty = 10 * ((slope.flatten(1).norm(2, dim=1) - 1) ** 2).mean()
        (fake_value.mean() - real_value.mean() + penalty + 1e-3 * (real_value**2).mean()).backward()
        critic_adam.step()
        generator_adam.zero_grad()
        (-critic(generator(torch.randn(BATCH, LATENT))).mean()).backward()
        generator_adam.step()


def pictures(side: int) -> Tensor:
    """The data of both sides."""
    return torch.rand(BATCH * STEPS[side], 3, side, side, generator=torch.Generator().manual_seed(0))


def sides(side: int, precision: str) -> tuple[Callable[[], Callable[[], Any]], Callable[[], Callable[[], Any]]]:
    """Set-ups of ours, by `pofx.fit`, and of the reference, which is in fp32 always, as public code is."""

    def ours() -> Callable[[], Any]:
        model, split = ProGAN((3, side, side), grow=False), Split(pictures(side))
        data = Data("noise", split, split, split, model.event_shape, model.support)
        settings: dict[str, Any] = {"batch_size": BATCH, "validate_every": 0, "snapshots": 0, "precision": precision}
        return lambda: pofx.fit(model, data, steps=STEPS[side], progress=False, cpu=True, **settings)

    def other() -> Callable[[], Any]:
        blocks = int(math.log2(side)) - 2
        generator, critic, x = Generator(blocks), Critic(blocks), pictures(side)
        return lambda: train(generator, critic, x, STEPS[side])

    return ours, other
