"""The sweeps of the two-dimensional LSTMs: skew laws, context, and the written backward pass against the equations."""

import pytest
import torch
import torch.nn.functional as F

from pofx.nn import pixel_recurrent
from pofx.nn.pixel_recurrent import PixelLSTM, diagonal_sweep, row_sweep, skew, sweep_over, unskew

SIZES = [(4, 4), (3, 5), (5, 2), (1, 3), (3, 1), (1, 1)]
kinds = pytest.mark.parametrize("kind", ["diagonal", "row"])
sizes = pytest.mark.parametrize("size", SIZES, ids=str)


def random_layer(kind, maps=4, hidden=3, colours=1, condition=0):
    torch.manual_seed(0)
    layer = PixelLSTM(kind, maps, hidden, colours, condition).double()
    for p in layer.parameters():
        torch.nn.init.normal_(p, std=0.6)
    return layer


def maps(*shape):
    return torch.randn(shape, generator=torch.Generator().manual_seed(1), dtype=torch.float64).requires_grad_()


def cell(a, before):
    """The equations of one step: gates a (4h,), and the cell that is carried on."""
    i, f, g, o = a.chunk(4)
    c = f.sigmoid() * before + i.sigmoid() * g.tanh()
    return c, o.sigmoid() * c.tanh()


def one_direction(x, taps, carried, weight, bias, states):
    """The recurrence pixel by pixel, in raster order, on one picture (height, width, inputs), as it is written."""
    height, width, _ = x.shape
    nothing = x.new_zeros(weight.shape[1] // 4)
    c, s = {}, {}
    for row in range(height):
        for column in range(width):
            a = bias + x[row, column] @ weight
            for (up, right), state_weight in zip(taps, states, strict=True):
                a = a + s.get((row - up, column + right), nothing) @ state_weight
            before = c.get((row - carried[0], column + carried[1]), nothing)
            c[row, column], s[row, column] = cell(a, before)
    return torch.stack([s[p] for p in sorted(s)]).view(height, width, -1)


def by_the_equations(layer, x, condition):
    weight, bias, states = layer.input_weight * layer.mask, layer.bias.squeeze(1), layer.state_weight
    if layer.kind == "row":
        x = torch.cat([F.pad(x, (0, 0, 1, -1)), x, condition], 2)
        return one_direction(x, [(1, -1), (1, 0), (1, 1)], (1, 0), weight[0], bias[0], states[0])
    x = torch.cat([x, condition], 2)
    left, right = (
        one_direction(view, [(1, 0), (0, -1)], (0, -1), weight[d], bias[d], states[d]) for d, view in enumerate((x, x.flip(1)))
    )
    return left + F.pad(right.flip(1), (0, 0, 0, 0, 1, -1))


@sizes
def test_skew_and_unskew_are_inverse(size):
    x = torch.arange(size[0] * size[1])
    assert torch.equal(unskew(skew(x, *size), *size), x)
    assert torch.equal(skew(unskew(x, *size), *size), x)


@sizes
def test_a_column_of_the_skewed_map_is_a_diagonal_from_above(size):
    height, width = size
    row, column = (skew(t.flatten(), *size) for t in torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij"))
    counts = [step.size for step in diagonal_sweep(*size).steps]
    assert len(counts) == height + width - 1
    diagonals = torch.arange(len(counts)).repeat_interleave(torch.tensor(counts))
    assert torch.equal(row + column, diagonals)
    assert torch.equal(diagonals * height + row, (diagonals * height + row).sort().values)


@sizes
@kinds
def test_every_cell_has_its_place_and_zero_cells_belong_to_nobody(kind, size):
    sweep = sweep_over(kind, *size, torch.device("cpu"))
    assert len(sweep.own.unique()) == size[0] * size[1]
    assert sum(step.size for step in sweep.steps) == size[0] * size[1]
    assert sweep.places > int(sweep.own.max())
    assert 0 not in sweep.own  # what the first row reads of the right-to-left direction
    for cells, own, tap in sweep.steps:
        assert tap + len(sweep.taps) - 1 + cells - 1 < own + cells  # taps lie in the step before


@sizes
@kinds
@pytest.mark.parametrize("told", [0, 2])
def test_the_sweep_equals_the_equations_and_their_gradient(kind, size, told):
    layer, x, condition = random_layer(kind, condition=told), maps(*size, 2, 4), maps(*size, 2, told)
    got = layer(x, condition) if told else layer(x)
    each = zip(x.unbind(2), condition.unbind(2), strict=True)
    expected = torch.stack([by_the_equations(layer, *picture) for picture in each], 2)
    torch.testing.assert_close(got, expected, rtol=0, atol=1e-12)
    inputs, seed = [x, *([condition] if told else []), *layer.parameters()], maps(*got.shape).detach()
    gradients = torch.autograd.grad(got, inputs, seed)
    torch.testing.assert_close(gradients, torch.autograd.grad(expected, inputs, seed), rtol=0, atol=1e-11)


@kinds
def test_backward_equals_finite_differences(kind):
    layer = random_layer(kind, maps=2, hidden=2)
    assert torch.autograd.gradcheck(layer, maps(3, 4, 2, 2))


def context(layer, height, width, row, column):
    """Which pixels have a gradient at one pixel of the output, (height, width)."""
    x = maps(height, width, 1, 4)
    layer(x)[row, column].sum().backward()
    return (x.grad != 0).any(3).any(2)


def test_a_diagonal_layer_sees_all_rows_above_and_its_row_to_the_left():
    expected = torch.zeros(5, 6, dtype=torch.bool)
    expected[:3], expected[3, :3] = True, True
    assert torch.equal(context(random_layer("diagonal"), 5, 6, 3, 2), expected)


def test_a_row_layer_sees_a_triangle():
    expected = torch.zeros(4, 9, dtype=torch.bool)
    for up in range(4):  # one column to the left more, by the convolution of the input
        expected[3 - up, max(0, 4 - up - 1) : 4 + up + 1] = True
    assert torch.equal(context(random_layer("row"), 4, 9, 3, 4), expected)


def test_without_the_shift_the_second_direction_reads_the_future(monkeypatch):
    def unshifted(kind, height, width, device):
        sweep = diagonal_sweep(height, width)
        return sweep._replace(place=sweep.own[sweep.pixel.argsort(1)] + torch.tensor([[0], [sweep.places]]))

    monkeypatch.setattr(pixel_recurrent, "sweep_over", unshifted)
    assert context(random_layer("diagonal"), 5, 6, 3, 2)[3, 3:].all()


@kinds
def test_a_state_of_one_colour_reads_no_later_colour_of_its_pixel(kind):
    layer, x = random_layer(kind, maps=6, hidden=6, colours=3), maps(3, 3, 1, 6)
    jacobian = torch.stack([torch.autograd.grad(layer(x)[1, 1, 0, k], x)[0][:, :, 0] for k in range(6)])
    allowed = torch.arange(6)[:, None] % 3 >= torch.arange(6) % 3
    assert torch.equal(jacobian[:, 1, 1] != 0, allowed)
    assert (jacobian[:, 0, 1] != 0).all()  # of an earlier pixel every colour is seen


def test_single_precision_is_close():
    layer = random_layer("diagonal")
    x = maps(8, 8, 2, 4)
    expected = layer(x)
    torch.testing.assert_close(layer.float()(x.float()), expected.float(), rtol=1e-4, atol=1e-5)


def test_sweeps_of_both_kinds_have_as_many_steps_as_diagonals_or_rows():
    assert len(row_sweep(5, 7).steps) == 5
    assert len(diagonal_sweep(5, 7).steps) == 11
