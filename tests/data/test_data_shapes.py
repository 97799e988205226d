import pytest
import torch

from pofx.core import ConfigError
from pofx.data import load_data
from pofx.data.shapes import COLOURS, POSITIONS, SHAPES, SIZES


@pytest.fixture(scope="module")
def shapes():
    return load_data("shapes", n=1500, size=48, split=(1, 0, 0))


def parts(data) -> list[torch.Tensor]:
    """The codes of shape, colour, size and position, from the one-hot attributes."""
    pieces = data.train.extras["attributes"].split([len(SHAPES), len(COLOURS), len(SIZES), len(POSITIONS)], 1)
    assert all(torch.equal(piece.sum(1), torch.ones(len(piece))) for piece in pieces)
    return [piece.argmax(1) for piece in pieces]


def test_there_are_all_kinds_in_equal_shares_with_the_shape_as_label(shapes):
    assert shapes.event_shape == (3, 48, 48)
    assert shapes.support.levels == 256
    assert shapes.attribute_names == [*SHAPES, *COLOURS, *SIZES, *POSITIONS]
    assert shapes.label_names == list(SHAPES)
    shape, *_ = parts(shapes)
    assert torch.equal(shape, shapes.train.label)
    for codes in parts(shapes):
        share = torch.bincount(codes) / len(codes)
        assert (share - 1 / len(share)).abs().max() < 0.06


def test_the_colour_under_the_mask_is_the_one_named(shapes):
    x, mask = shapes.train.x, shapes.train.extras["mask"]
    colour = (x * mask).sum((2, 3)) / mask.sum((2, 3))
    nearest = torch.cdist(colour, torch.tensor(list(COLOURS.values()))).argmin(1)
    assert torch.equal(nearest, parts(shapes)[1])
    ground = (x * (1 - mask)).sum((2, 3)) / (1 - mask).sum((2, 3))
    assert ground.min() > 0.8


def test_the_mask_is_where_the_caption_says(shapes):
    mask = shapes.train.extras["mask"][:, 0]
    axis = (torch.arange(48) + 0.5) / 48
    area = mask.sum((1, 2))
    centre = torch.stack([(mask.sum(1) * axis).sum(1), (mask.sum(2) * axis).sum(1)], 1) / area[:, None]
    nearest = torch.cdist(centre, torch.tensor(list(POSITIONS.values()))).argmin(1)
    assert torch.equal(nearest, parts(shapes)[3])


def test_the_area_of_the_mask_is_that_of_the_size(shapes):
    shape, _, size, _ = parts(shapes)
    area = shapes.train.extras["mask"].sum((1, 2, 3)) / 48**2
    for kind in range(len(SHAPES)):
        assert area[(shape == kind) & (size == 0)].max() < area[(shape == kind) & (size == 1)].min()
    circles = shape == SHAPES.index("circle")
    for code, (low, high) in enumerate(SIZES.values()):
        chosen = area[circles & (size == code)]
        assert chosen.min() > 3.1416 * low**2 * 0.93
        assert chosen.max() < 3.1416 * high**2 * 1.07


def test_captions_name_all_four_attributes(shapes):
    names = [list(names) for names in (SHAPES, COLOURS, SIZES, POSITIONS)]
    for caption, *codes in zip(shapes.train.extras["caption"], *(c.tolist() for c in parts(shapes)), strict=True):
        assert all(name[code] in caption for name, code in zip(names, codes, strict=True))
    assert len({caption.split()[0] for caption in shapes.train.extras["caption"]}) == 5  # a, one, the, at, in


def test_masks_are_resized_with_the_pictures():
    data = load_data("shapes", n=20, size=32, resize=16)
    assert data.train.extras["mask"].shape == (len(data.train), 1, 16, 16)
    assert set(data.train.extras["mask"].unique().tolist()) == {0.0, 1.0}


def test_edges_are_smooth_and_masks_binary(shapes):
    mask = shapes.train.extras["mask"]
    assert set(mask.unique().tolist()) == {0.0, 1.0}
    first = shapes.train.x[0]
    assert len(first.flatten(1).unique(dim=1).T) > 5  # ink, ground and mixtures of them


@pytest.mark.parametrize("condition", ["label", "caption", "attributes"])
def test_any_extra_can_be_the_condition(condition):
    data = load_data("shapes", n=20, condition=condition)
    batch = data.train.rows(torch.tensor([3, 1]))
    expected = data.train.label if condition == "label" else data.train.extras[condition]
    if condition == "caption":
        assert batch.condition == [expected[3], expected[1]]
    else:
        assert torch.equal(batch.condition, expected[[3, 1]])


@pytest.mark.parametrize("size", [15, 129])
def test_sizes_are_limited(size):
    with pytest.raises(ConfigError, match=rf"size must be in 16\.\.128 pixels, got {size}"):
        load_data("shapes", size=size)
