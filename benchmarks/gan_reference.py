"""Adversarial networks and loops as public code writes them: the sizes and the order of moves of PyTorch-GAN.

(github.com/eriklindernoren/PyTorch-GAN: gan, dcgan, infogan; sizes and losses are facts of that repository, the code is ours.)
Networks give what stands before tanh and sigmoid, so that both sides can use them; the loop below adds the two. Left out, in
its favour: loading and resizing pictures one by one, random numbers by numpy, pictures of samples, a printed line a step.
"""

import itertools
from collections.abc import Callable, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

BATCH, RATE, BETAS = 64, 2e-4, (0.5, 0.999)
EPSILON = 0.8  # of most batch normalisations there: meant as momentum, passed as eps
NOISE, CATEGORIES, CONTINUOUS = 62, 10, 2  # of InfoGAN


def perceptrons() -> tuple[nn.Module, nn.Module]:
    """Generator 100-128-256-512-1024-784 and discriminator 784-512-256-1."""
    layers: list[nn.Module] = []
    for before, after in itertools.pairwise([100, 128, 256, 512, 1024]):
        normalised = [nn.BatchNorm1d(after, EPSILON)] if before != 100 else []
        layers += [nn.Linear(before, after), *normalised, nn.LeakyReLU(0.2, inplace=True)]
    generator = nn.Sequential(*layers, nn.Linear(1024, 784), nn.Unflatten(1, (1, 28, 28)))
    discriminator = nn.Sequential(
        nn.Flatten(), nn.Linear(784, 512), nn.LeakyReLU(0.2, inplace=True), nn.Linear(512, 256),
        nn.LeakyReLU(0.2, inplace=True), nn.Linear(256, 1),
    )  # fmt: skip
    return generator, discriminator


def upsampling_generator(inputs: int, maps: Callable[[], nn.Module] = lambda: nn.Unflatten(1, (128, 8, 8))) -> nn.Module:
    """Of pictures of 32 × 32: from 8 × 8, twice as large by repetition and a convolution of 3 × 3, 128 and 64 channels."""
    return nn.Sequential(
        nn.Linear(inputs, 128 * 64), maps(), nn.BatchNorm2d(128),
        nn.Upsample(scale_factor=2), nn.Conv2d(128, 128, 3, padding=1), nn.BatchNorm2d(128, EPSILON),
        nn.LeakyReLU(0.2, inplace=True),
        nn.Upsample(scale_factor=2), nn.Conv2d(128, 64, 3, padding=1), nn.BatchNorm2d(64, EPSILON),
        nn.LeakyReLU(0.2, inplace=True), nn.Conv2d(64, 1, 3, padding=1),
    )  # fmt: skip


def convolutional_trunk(normalised: Sequence[bool]) -> nn.Module:
    """Four convolutions of stride 2 with dropout, 16 to 128 channels: 32 × 32 pictures to 512 features."""
    layers: list[nn.Module] = []
    for (before, after), normal in zip(itertools.pairwise([1, 16, 32, 64, 128]), normalised, strict=True):
        layers += [nn.Conv2d(before, after, 3, 2, 1), nn.LeakyReLU(0.2, inplace=True), nn.Dropout2d(0.25)]
        layers += [nn.BatchNorm2d(after, EPSILON)] if normal else []
    return nn.Sequential(*layers, nn.Flatten())


def convolutions() -> tuple[nn.Module, nn.Module]:
    """The DCGAN."""
    trunk = convolutional_trunk([False, True, True, False])
    return upsampling_generator(100), nn.Sequential(trunk, nn.Linear(512, 1))


def coded() -> tuple[nn.Module, nn.Module, nn.Module, nn.Module]:
    """InfoGAN: generator, the trunk of the discriminator, and its two heads, the verdict and the codes."""
    trunk = convolutional_trunk([False, True, True, True])
    heads = nn.Linear(512, 1), nn.Linear(512, CATEGORIES + CONTINUOUS)
    return upsampling_generator(NOISE + CATEGORIES + CONTINUOUS), trunk, *heads


def adam(*modules: nn.Module) -> torch.optim.Adam:
    return torch.optim.Adam(itertools.chain(*(m.parameters() for m in modules)), lr=RATE, betas=BETAS)


def batches(x: Tensor, steps: int) -> Any:
    """Shuffled batches of pictures, scaled to [−1, 1]."""
    order = torch.cat([torch.randperm(len(x)) for _ in range(steps * BATCH // len(x) + 1)])
    for step in range(steps):
        yield 2 * x[order[step * BATCH : (step + 1) * BATCH]] - 1


def train_gan(generator: nn.Module, discriminator: nn.Module, x: Tensor, steps: int) -> None:
    """Steps of GAN or DCGAN: the generator's, through a discriminator whose gradients are computed too, and the other's."""
    makes, judges = adam(generator), adam(discriminator)
    ones, zeros = torch.ones(BATCH, 1), torch.zeros(BATCH, 1)
    for real in batches(x, steps):
        makes.zero_grad()
        fake = generator(torch.randn(BATCH, 100)).tanh()
        made = F.binary_cross_entropy(discriminator(fake).sigmoid(), ones)
        made.backward()
        makes.step()
        judges.zero_grad()
        on_real = F.binary_cross_entropy(discriminator(real).sigmoid(), ones)
        on_fake = F.binary_cross_entropy(discriminator(fake.detach()).sigmoid(), zeros)
        judged = (on_real + on_fake) / 2
        judged.backward()
        judges.step()
        made.item(), judged.item()  # it prints both at every step


def train_infogan(parts: Sequence[nn.Module], x: Tensor, steps: int) -> None:
    """Steps of InfoGAN: generator and discriminator by least squares, then both once more on new samples for the codes."""
    generator, trunk, verdict, recognition = parts
    makes, judges, informs = adam(generator), adam(trunk, verdict), adam(*parts)
    ones, zeros = torch.ones(BATCH, 1), torch.zeros(BATCH, 1)

    def draw() -> tuple[Tensor, Tensor, Tensor]:
        categories, codes = torch.randint(CATEGORIES, (BATCH,)), torch.rand(BATCH, CONTINUOUS) * 2 - 1
        z = torch.cat([torch.randn(BATCH, NOISE), F.one_hot(categories, CATEGORIES).float(), codes], 1)
        return generator(z).tanh(), categories, codes

    def heads(pictures: Tensor) -> tuple[Tensor, Tensor]:
        features = trunk(pictures)
        return verdict(features), recognition(features)

    for real in batches(x, steps):
        makes.zero_grad()
        fake = draw()[0]
        made = F.mse_loss(heads(fake)[0], ones)
        made.backward()
        makes.step()
        judges.zero_grad()
        judged = (F.mse_loss(heads(real)[0], ones) + F.mse_loss(heads(fake.detach())[0], zeros)) / 2
        judged.backward()
        judges.step()
        informs.zero_grad()
        fake, categories, codes = draw()
        found = heads(fake)[1]
        label, value = found.split([CATEGORIES, CONTINUOUS], 1)
        informed = F.cross_entropy(label.softmax(1), categories) + 0.1 * F.mse_loss(value, codes)
        informed.backward()
        informs.step()
        made.item(), judged.item(), informed.item()
