"""Masked layers: which weights stay, and what can reach what."""

import pytest
import torch

from pofx.nn.masked import MaskedLinear, spread_degrees


@pytest.mark.parametrize(("units", "dims"), [(5, 4), (3, 4), (100, 12), (17, 18), (500, 64)])
def test_every_degree_occurs_about_as_often(units, dims):
    degrees = spread_degrees(units, dims)
    counts = torch.bincount(degrees, minlength=dims)
    assert counts[0] == 0
    assert len(counts) == dims
    assert counts[1:].min() >= 1
    assert counts[1:].max() - counts[1:].min() <= 1
    assert torch.equal(degrees, degrees.sort().values)


def test_few_units_spread_over_all_degrees():
    assert spread_degrees(3, 13).tolist() == [3, 7, 11]
    assert spread_degrees(1, 784).tolist() == [392]
    assert spread_degrees(2, 1).tolist() == [1, 1]


def test_the_mask_compares_degrees():
    before, after = torch.tensor([[1, 2, 3], [3, 1, 2]]), torch.tensor([[1, 2], [2, 1]])
    layer = MaskedLinear(before, after)
    assert layer.mask(0).int().tolist() == [[1, 0, 0], [1, 1, 0]]
    assert layer.mask(1).int().tolist() == [[0, 1, 1], [0, 1, 0]]
    assert MaskedLinear(before, after, strict=True).mask(1).int().tolist() == [[0, 1, 0], [0, 0, 0]]


def test_weights_behind_the_mask_have_no_effect_and_no_gradient():
    layer, mask = MaskedLinear(torch.tensor([[2, 1, 3]]), torch.tensor([[1, 2]])), torch.tensor([[0, 1, 0], [1, 1, 0]]).bool()
    x = torch.randn(5, 3)
    kept = torch.nn.functional.linear(x, torch.where(mask, layer.weight, 0), layer.bias)
    torch.testing.assert_close(layer(x), kept)
    with torch.no_grad():
        layer.weight[~mask] = 1e6
    torch.testing.assert_close(layer(x), kept)
    layer(x).sum().backward()
    assert (layer.weight.grad[~mask] == 0).all()
    assert (layer.weight.grad[mask] != 0).all()


def test_sorted_by_degree_the_mask_is_a_slice():
    generator = torch.Generator().manual_seed(0)
    before, after = (torch.randint(1, 6, (2, units), generator=generator) for units in (7, 9))
    layer = MaskedLinear(before, after)
    for member in range(2):
        weight, bias, degrees = layer.by_degree(member)
        x, reach = torch.randn(4, 7), before[member].sort().values
        sliced = [
            x[:, : int((reach <= k).sum())] @ row[: int((reach <= k).sum())] for row, k in zip(weight, degrees, strict=True)
        ]
        unsorted = torch.empty_like(x)
        unsorted[:, before[member].argsort(stable=True)] = x
        expected = layer(unsorted, member)[:, after[member].argsort(stable=True)]
        torch.testing.assert_close(torch.stack(sliced, 1) + bias, expected)
