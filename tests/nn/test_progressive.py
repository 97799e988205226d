"""Blocks of growing networks: facts of section 8 of the paper's checklist, in float64."""

import math

import pytest
import torch
from torch.nn import functional as F

from pofx.nn.progressive import (
    EqualisedConv2d,
    EqualisedLinear,
    GrowingCritic,
    GrowingGenerator,
    double,
    halve,
    minibatch_deviation,
    pixel_norm,
)

MAPS = [6, 6, 5, 4]


@pytest.fixture(autouse=True)
def in_double_precision():
    torch.manual_seed(0)
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


@pytest.mark.parametrize("layer", [EqualisedLinear(5, 7), EqualisedConv2d(5, 7), EqualisedConv2d(5, 7, 1, gain=1.0)], ids=str)
def test_an_equalised_layer_is_the_plain_one_with_scaled_weights(layer):
    layer = layer.double()
    torch.nn.init.normal_(layer.bias)
    fan_in = layer.weight[0].numel()
    scale = (1.0 if layer.weight.shape[-1] == 1 else math.sqrt(2)) / math.sqrt(fan_in)
    plain = (layer.weight * scale).detach().requires_grad_()
    if layer.weight.ndim == 2:
        x = torch.randn(4, 5)
        expected = F.linear(x, plain, layer.bias)
    else:
        x = torch.randn(4, 5, 6, 6)
        expected = F.conv2d(x, plain, layer.bias, padding="same")
    torch.testing.assert_close(layer(x), expected, rtol=1e-12, atol=1e-12)
    layer(x).square().sum().backward()
    expected.square().sum().backward()
    torch.testing.assert_close(layer.weight.grad, scale * plain.grad, rtol=1e-10, atol=1e-12)


def test_stored_weights_have_unit_variance_and_used_ones_that_of_he():
    layer = EqualisedConv2d(64, 64)
    n = layer.weight.numel()
    assert abs(layer.weight.std().item() - 1) < 3 / math.sqrt(2 * n)
    assert layer.scale == pytest.approx(math.sqrt(2 / (64 * 9)))
    assert (layer.bias == 0).all()


def test_adams_first_step_is_the_same_share_of_weights_of_any_fan_in():
    for inputs in (4, 400):
        layer = EqualisedLinear(inputs, 3)
        before = layer.weight.detach().clone()
        layer(torch.randn(8, inputs)).square().sum().backward()
        torch.optim.Adam([layer.weight], lr=0.01).step()
        torch.testing.assert_close((layer.weight - before).abs(), torch.full_like(before, 0.01), rtol=1e-4, atol=0)


@pytest.mark.parametrize("resample", ["up", "down"])
def test_a_joined_convolution_is_the_two_in_turn(resample):
    layer = EqualisedConv2d(3, 4, resample=resample)
    torch.nn.init.normal_(layer.bias)
    x = torch.randn(2, 3, 8, 8, requires_grad=True)
    plain = layer.weight * layer.scale
    if resample == "up":
        expected = F.conv2d(double(x), plain, layer.bias, padding=1)
    else:
        expected = halve(F.conv2d(x, plain, layer.bias, padding=1))
    torch.testing.assert_close(layer(x), expected, rtol=1e-12, atol=1e-12)
    weights = torch.randn_like(expected)
    ours, theirs = (torch.autograd.grad((y * weights).sum(), [x, layer.weight]) for y in (layer(x), expected))
    for a, b in zip(ours, theirs, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-10, atol=1e-12)


def test_pixel_norm_brings_features_to_the_sphere():
    a = torch.randn(3, 5, 4, 4)
    b = pixel_norm(a)
    torch.testing.assert_close(b.square().mean(1), torch.ones(3, 4, 4), rtol=1e-6, atol=0)
    torch.testing.assert_close(pixel_norm(7 * a), b, rtol=1e-6, atol=1e-7)
    torch.testing.assert_close(pixel_norm(b), b, rtol=1e-6, atol=1e-7)


def test_the_deviation_is_that_of_each_group_by_hand():
    x = torch.randn(8, 3, 4, 4)
    y = minibatch_deviation(x, group=4)
    assert y.shape == (8, 4, 4, 4)
    assert torch.equal(y[:, :3], x)
    for first in (0, 1):  # rows 0, 2, 4, 6 are one group, rows 1, 3, 5, 7 the other
        rows = x[first::2]
        expected = ((rows - rows.mean(0)).square().mean(0) + 1e-8).sqrt().mean()
        torch.testing.assert_close(y[first::2, 3], expected.expand(4, 4, 4))


def test_the_deviation_of_a_constant_batch_is_the_epsilon_and_has_a_gradient():
    x = torch.ones(4, 2, 4, 4, requires_grad=True)
    deviation = minibatch_deviation(x, group=4)[:, 2]
    torch.testing.assert_close(deviation, torch.full((4, 4, 4), 1e-4))
    (gradient,) = torch.autograd.grad(deviation.sum(), x)
    assert (gradient == 0).all()


def test_the_deviation_does_not_know_the_order_within_a_group():
    x = torch.randn(8, 3, 4, 4)
    whole, mixed = minibatch_deviation(x, 8)[:, 3], minibatch_deviation(x[torch.randperm(8)], 8)[:, 3]
    torch.testing.assert_close(whole, mixed)
    order = torch.tensor([6, 1, 0, 5, 2, 3, 4, 7])  # even rows stay among themselves
    torch.testing.assert_close(minibatch_deviation(x[order], 4)[:, 3], minibatch_deviation(x, 4)[order, 3])


def test_batches_in_one_pass_keep_their_own_deviation():
    a, b = torch.randn(8, 3, 4, 4), 5 * torch.randn(8, 3, 4, 4)
    apart = torch.cat([minibatch_deviation(a, 4), minibatch_deviation(b, 4)])
    assert torch.equal(minibatch_deviation(torch.cat([a, b]), 4, batches=2), apart)
    assert not torch.allclose(minibatch_deviation(torch.cat([a, b]), 4), apart)


@pytest.mark.parametrize("level", [3, 4, 5])
def test_a_level_that_fades_in_begins_at_the_old_and_ends_at_the_new(level):
    generator, critic = GrowingGenerator(7, 2, MAPS), GrowingCritic(2, MAPS)
    z, x = torch.randn(4, 7), torch.randn(4, 2, 2**level, 2**level)
    old, new = generator(z, level - 1), generator(z, level)
    assert torch.equal(generator(z, level, alpha=0.0), double(old))
    torch.testing.assert_close(generator(z, level, alpha=0.25), 0.75 * double(old) + 0.25 * new)
    assert torch.equal(critic(x, level, alpha=0.0), critic(halve(x), level - 1))
    assert not torch.allclose(critic(x, level, alpha=0.5), critic(x, level))


def test_growing_leaves_the_old_path_alone():
    """The layers of lower levels give the same pictures whether or not there are higher ones, used or not."""
    small, large = GrowingGenerator(7, 2, MAPS[:2]), GrowingGenerator(7, 2, MAPS)
    small.load_state_dict({k: v for k, v in large.state_dict().items() if k in small.state_dict()})
    z = torch.randn(3, 7)
    before = small(z, 3)
    assert torch.equal(large(z, 3), before)
    large(z, 5, 0.3).sum().backward()
    assert torch.equal(large(z, 3), before)


def test_only_the_layers_of_a_level_are_used():
    generator, critic = GrowingGenerator(7, 2, MAPS), GrowingCritic(2, MAPS)
    critic(generator(torch.randn(4, 7), 4, alpha=0.5), 4, alpha=0.5).sum().backward()
    unused = {name for net in (generator, critic) for name, p in net.named_parameters() if p.grad is None}
    kinds = {name.rpartition(".")[0] for name in unused}
    assert kinds == {"to_picture.0", "to_picture.3", "blocks.2.0", "blocks.2.2", "blocks.2.3", "from_picture.0.0",
                     "from_picture.3.0"}  # fmt: skip


def test_noise_is_known_by_its_direction_only():
    generator, z = GrowingGenerator(7, 2, MAPS), torch.randn(3, 7)
    torch.testing.assert_close(generator(5 * z, 5), generator(z, 5), rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize(
    ("base", "most", "levels", "latent", "parameters"),
    [(8192, 512, 10, 512, (23_071_507, 23_077_137)), (4096, 128, 5, 128, (1_295_747, 1_297_153))],
)
def test_the_networks_have_as_many_weights_as_the_papers(base, most, levels, latent, parameters):
    maps = [min(2 * base // 2**level, most) for level in range(2, levels + 1)]
    if most == 512:
        assert maps == [512, 512, 512, 512, 256, 128, 64, 32, 16]
    with torch.device("meta"):
        generator, critic = GrowingGenerator(latent, 3, maps), GrowingCritic(3, maps)
    unused = [*generator.to_picture[:-1], *critic.from_picture[:-1]]
    counts = [sum(p.numel() for p in net.parameters()) for net in (generator, critic)]
    for i, half in enumerate((unused[: len(maps) - 1], unused[len(maps) - 1 :])):
        counts[i] -= sum(p.numel() for layer in half for p in layer.parameters())
    assert tuple(counts) == parameters
