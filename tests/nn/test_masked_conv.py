"""Masked convolutions: what a kernel sees, colours within a pixel, and the receptive fields of both stacks."""

import pytest
import torch

from pofx.nn.masked_conv import GatedStack, MaskedConv2d, PlainStack, gate


def seen_by(network, channels, size, position, outputs=None):
    """Which inputs (channels, H, W) have a non-zero gradient at one output position (of these output channels)."""
    torch.manual_seed(0)
    total = torch.zeros(channels, *size, dtype=torch.bool)
    for _ in range(3):  # a ReLU may be closed by chance
        x = torch.randn(1, channels, *size, dtype=torch.float64, requires_grad=True)
        out = network(x)[0, :, position[0], position[1]]
        for one in out if outputs is None else out[outputs]:
            total |= torch.autograd.grad(one, x, retain_graph=True)[0][0] != 0
    return total


def raster(size, position):
    """The positions before this one in raster order."""
    index = torch.arange(size[0] * size[1]).view(size)
    return index < position[0] * size[1] + position[1]


@pytest.mark.parametrize(
    ("kernel", "mask", "expected"),
    [
        ((2, 3), "A", [[1, 1, 1], [1, 0, 0]]),
        ((2, 3), "B", [[1, 1, 1], [1, 1, 0]]),
        ((2, 3), None, [[1, 1, 1], [1, 1, 1]]),
        ((1, 5), "A", [[1, 1, 0, 0, 0]]),
        ((1, 1), "B", [[1]]),
        ((1, 1), "A", [[0]]),
    ],
)
def test_a_kernel_sees_rows_above_and_its_own_row_to_the_left(kernel, mask, expected):
    convolution = MaskedConv2d(1, 1, kernel, mask).double()
    assert convolution.mask[0, 0].tolist() == expected
    size, position = (4, 7), (2, 3)
    (rows, columns), expected = kernel, torch.tensor(expected) == 1
    window = seen_by(convolution, 1, size, position)[0, 3 - rows : 3, 3 - columns // 2 : 4 + columns // 2]
    assert torch.equal(window, expected)
    assert seen_by(convolution, 1, size, position).sum() == expected.sum()


@pytest.mark.parametrize("mask", ["A", "B"])
def test_within_a_pixel_blue_sees_green_sees_red(mask):
    convolution = MaskedConv2d(6, 9, (1, 1), mask, colours=3)
    for out in range(9):
        for inp in range(6):
            earlier = inp % 3 < out % 3 or (mask == "B" and inp % 3 == out % 3)
            assert convolution.mask[out, inp, 0, 0] == earlier


def test_colours_do_not_matter_for_earlier_pixels():
    convolution = MaskedConv2d(3, 6, (2, 3), "A", colours=3)
    assert convolution.mask[:, :, 0].all()
    assert convolution.mask[:, :, 1, 0].all()
    assert not convolution.mask[:, :, 1, 2].any()


def test_it_is_the_convolution_with_a_full_kernel_and_zeros():
    convolution = MaskedConv2d(2, 4, (2, 3), "B").double()
    x = torch.randn(3, 2, 5, 6, dtype=torch.float64)
    full = torch.cat([convolution.masked_weight(), torch.zeros(4, 2, 1, 3, dtype=torch.float64)], dim=2)
    expected = torch.nn.functional.conv2d(x, full, convolution.bias, padding=1)
    torch.testing.assert_close(convolution(x), expected, rtol=0, atol=1e-12)


def test_masked_weights_neither_count_nor_learn():
    convolution = MaskedConv2d(1, 1, (2, 3), "A")
    convolution(torch.randn(2, 1, 4, 4)).sum().backward()
    assert (convolution.weight.grad[convolution.mask == 0] == 0).all()
    assert list(convolution.state_dict()) == ["weight", "bias"]


def test_the_gate_is_a_tanh_times_a_sigmoid():
    x = torch.randn(2, 6, 3, 3, dtype=torch.float64)
    torch.testing.assert_close(gate(x), (x[:, :3] / 2).tanh() * x[:, 3:].sigmoid())


def all_positions(size):
    return [(r, c) for r in range(size[0]) for c in range(size[1])]


def test_a_gated_stack_sees_every_earlier_pixel_and_no_other():
    torch.manual_seed(1)
    size = (5, 6)
    stack = GatedStack(1, hidden=3, layers=5, first_kernel=3, kernel=3).double()
    for position in all_positions(size):
        assert torch.equal(seen_by(stack, 1, size, position)[0], raster(size, position)), position


@pytest.mark.parametrize(("layers", "lost"), [(0, 0), (1, 1), (2, 3), (3, 6), (4, 10)])
def test_the_blind_spot_of_a_plain_stack_is_the_predicted_one(layers, lost):
    """L layers of 3×3 see r rows up as far as r columns to the right: L(L - 1)/2 of 2L(L + 1) positions are missed."""
    torch.manual_seed(1)
    reach = layers + 1  # layers in all, the first one included
    size, position = (reach + 1, 2 * reach + 1), (reach, reach)
    stack = PlainStack(1, hidden=6, layers=layers, first_kernel=3, kernel=3).double()
    for parameter in stack.parameters():
        torch.nn.init.uniform_(parameter, 0.1, 1)  # positive weights: no path is cut by a ReLU
    seen = seen_by(lambda x: stack(x.exp()), 1, size, position)[0]
    up = reach - torch.arange(size[0])[:, None]
    right = torch.arange(size[1]) - reach
    assert torch.equal(seen, raster(size, position) & (right <= up))
    missed = raster(size, position) & ~seen
    assert missed.sum() == lost == reach * (reach - 1) // 2
    assert raster(size, position).sum() == 2 * reach * (reach + 1)


def test_without_the_shift_by_one_row_the_future_leaks_in():
    torch.manual_seed(1)
    stack = GatedStack(1, hidden=3, layers=2, first_kernel=3, kernel=3).double()
    layer = stack.layers[0]

    def unshifted(x):
        return gate(layer(x, x, None)[1])

    leaked = seen_by(unshifted, 1, (4, 4), (1, 1))[0] & ~raster((4, 4), (1, 1))
    assert leaked.nonzero().tolist() == [[1, 1], [1, 2]]


def test_a_gated_stack_knows_the_top_row():
    """Above the picture are zeros in every layer: adding rows of zeros on top changes what a pixel is told, nothing else."""
    torch.manual_seed(1)
    stack = GatedStack(1, hidden=3, layers=2, first_kernel=3, kernel=3).double()
    x = torch.randn(1, 1, 9, 4, dtype=torch.float64)
    below = torch.cat([torch.randn(1, 1, 3, 4, dtype=torch.float64), x], dim=2)
    torch.testing.assert_close(stack(below)[:, :, -2:], stack(x)[:, :, -2:], rtol=0, atol=1e-12)
    assert not torch.allclose(stack(below)[:, :, 3], stack(x)[:, :, 0])


def test_signals_do_not_vanish_in_a_deep_gated_stack():
    torch.manual_seed(0)
    stack, spreads = GatedStack(1, hidden=32, layers=5, first_kernel=7, kernel=3), []
    for layer in stack.layers:
        layer.register_forward_hook(lambda _, __, arguments: spreads.append([a.std().item() for a in arguments]))
    stack((torch.rand(8, 1, 16, 16) < 0.5).float() * 2 - 1)
    vertical, horizontal = zip(*spreads, strict=True)
    assert min(horizontal) > 0.3
    assert min(vertical) > 0.1  # 0.04 with torch's default weights, by the biases alone
