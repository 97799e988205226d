import json

import numpy as np
import pytest
import torch
from torch.distributions import constraints

from pofx.core import ConfigError, DataError, LevelGrid
from pofx.data import Stream, load_data


@pytest.fixture(scope="module")
def digits():
    return load_data("digits")


def codes(data) -> torch.Tensor:
    return (data.train.x * 16).round()


def test_digits_have_fixed_sizes_and_seventeen_levels(digits):
    assert [len(split) for split in digits.splits.values()] == [1200, 297, 300]
    assert digits.event_shape == (1, 8, 8)
    assert digits.train.x.dtype == torch.float32
    assert isinstance(digits.support, LevelGrid)
    assert digits.support.levels == 17
    assert digits.support.check(digits.train.x).all()
    assert digits.label_names == list("0123456789")
    assert digits.train.label.dtype == torch.int64


def test_splits_are_disjoint_complete_and_reproducible(digits):
    from sklearn.datasets import load_digits

    rows = torch.cat([split.x.flatten(1) for split in digits.splits.values()])
    labels = torch.cat([split.label for split in digits.splits.values()])
    together = torch.cat([rows * 16, labels[:, None]], 1)
    bunch = load_digits()
    original = torch.from_numpy(np.column_stack([bunch.data, bunch.target])).float()
    assert sorted(map(tuple, together.tolist())) == sorted(map(tuple, original.tolist()))
    assert torch.equal(load_data("digits").test.x, digits.test.x)
    assert not torch.equal(load_data("digits", seed=1).test.x, digits.test.x)


def test_binarize_thresholds_at_half_or_where_it_is_told(digits):
    for threshold, first_code in ((True, 8), (0.25, 4), (1.0, 16)):
        data = load_data("digits", binarize=threshold)
        assert data.support is constraints.boolean
        assert torch.equal(data.train.x, (codes(digits) >= first_code).float())


def test_a_draw_has_the_pixels_as_its_probabilities_and_is_fixed_by_the_seed(digits):
    data = load_data("digits", binarize="draw")
    p, drawn = digits.train.x.double(), data.train.x.double()
    assert data.support is constraints.boolean
    assert drawn[p == 0].max() == 0
    assert drawn[p == 1].min() == 1
    inside = p[(p > 0) & (p < 1)]
    error = drawn[(p > 0) & (p < 1)].sum() - inside.sum()
    assert abs(error) < 4 * (inside * (1 - inside)).sum().sqrt()
    assert torch.equal(load_data("digits", binarize="draw").train.x, data.train.x)
    assert not torch.equal(load_data("digits", binarize="draw", seed=1).train.x, data.train.x)


def test_levels_round_to_the_nearest_level(digits):
    data = load_data("digits", levels=5)
    assert data.support.levels == 5
    assert torch.equal(data.train.x * 4, (digits.train.x * 4).round())
    assert load_data("digits", levels=2).support is constraints.boolean


def test_redraw_draws_the_training_split_anew_at_every_visit_and_the_others_once(digits):
    data, once = load_data("digits", binarize="redraw"), load_data("digits", binarize="draw")
    for name, split in data.splits.items():
        assert torch.equal(split.x, once.splits[name].x)
        assert (split.chances is not None) == (name == "train")
    stream, rows = Stream(data.train, batch_size=100, seed=3), torch.arange(50)
    first = stream.batch(0)
    assert data.support.check(first.x).all()
    assert torch.equal(first.x, Stream(data.train, batch_size=100, seed=3).batch(0).x)
    assert torch.equal(first.label, data.train.label[stream.indices(0)])
    whole, n = Stream(data.train, batch_size=len(data.train), seed=3), len(data.train)
    epochs = [whole.batch(epoch * n).x[whole.indices(epoch * n).argsort()] for epoch in (0, 1)]  # in the order of the split
    uncertain = (data.train.chances > 0) & (data.train.chances < 1)
    assert 0.2 < (epochs[0] != epochs[1])[uncertain].double().mean() < 0.5  # 2 p (1 - p) of grey levels
    assert torch.equal(epochs[0][~uncertain], epochs[1][~uncertain])
    one, two = (data.train.chances[stream.indices(position)] for position in (0, 100))
    crossed = (one <= two) & (first.x > stream.batch(100).x)  # never, if both batches came from the same uniform numbers
    expected = torch.where(one <= two, one * (1 - two), 0).sum()
    assert abs(crossed.sum() - expected) < 4 * expected.sqrt() < expected
    visits = torch.stack([data.train.seen(rows, key).x for key in range(4000)])
    chances = data.train.chances[rows]
    assert torch.equal(visits.mean(0)[(chances == 0) | (chances == 1)], chances[(chances == 0) | (chances == 1)])
    error = (chances * (1 - chances) / 4000).sqrt()
    assert ((visits.mean(0) - chances).abs() <= 4.5 * error).all()


@pytest.mark.parametrize(("options", "levels"), [({}, 17), ({"levels": 4}, 4), ({"binarize": True}, 2)])
def test_dequantised_values_stay_in_the_cell_of_their_level(options, levels):
    plain, data = load_data("digits", **options), load_data("digits", dequantize=True, **options)
    assert data.dequantized == levels
    assert plain.dequantized is None
    assert data.support is constraints.unit_interval
    assert data.train.x.max() < 1
    code = (plain.train.x * (levels - 1)).round()
    assert torch.equal((data.train.x * levels).floor(), code)
    noise = data.train.x.double() * levels - code
    assert abs(noise.mean() - 0.5) < 0.005
    assert noise.unique().numel() > 10_000


@pytest.mark.parametrize("top", [15, 100, 254, 255])
def test_dequantised_integers_can_be_recovered_for_any_number_of_levels(tmp_path, top):
    table = np.random.default_rng(0).integers(0, top + 1, (5000, 20))
    table[0, 0] = top
    np.save(tmp_path / "t.npy", table)
    data = load_data(tmp_path / "t.npy", dequantize=True, split=(1, 0, 0))
    assert data.dequantized == top + 1
    assert np.array_equal(np.floor(data.train.x.numpy() * np.float32(top + 1)), table)
    assert data.train.x.max() < 1


def test_resize_halves_by_a_smoothing_filter_and_stays_on_the_levels(digits):
    data = load_data("digits", resize=4)
    assert data.event_shape == (1, 4, 4)
    assert data.support.check(data.train.x).all()
    assert abs(data.train.x.mean() - digits.train.x.mean()) < 0.01
    twice = load_data("digits", resize=16).train.x
    assert abs(twice.mean() - digits.train.x.mean()) < 0.01


def test_grey_is_the_luma_of_the_colours(tmp_path):
    picture = np.zeros((4, 2, 2, 3), np.uint8)
    for i, colour in enumerate([(255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 255)]):
        picture[i] = colour
    np.save(tmp_path / "c.npy", picture)
    x = load_data(tmp_path / "c.npy", grey=True, split=(1, 0, 0)).train.x
    assert x.shape == (4, 1, 2, 2)
    assert torch.allclose(x[:, 0, 0, 0] * 255, torch.tensor([76.0, 150.0, 29.0, 255.0]))


def test_standardize_uses_the_training_split_alone(tmp_path):
    table = np.random.default_rng(1).normal(5, 3, (200, 3))
    table[:, 2] = 7
    np.save(tmp_path / "t.npy", table)
    data = load_data(tmp_path / "t.npy", standardize=True)
    x = data.train.x.double()
    assert torch.allclose(x.mean(0), torch.zeros(3, dtype=torch.float64), atol=1e-6)
    assert torch.allclose(x.std(0, correction=0), torch.tensor([1.0, 1.0, 0.0], dtype=torch.float64), atol=1e-6)
    assert abs(data.test.x[:, 0].mean()) > 1e-4
    assert data.support is constraints.real


def test_standardize_keeps_what_float32_alone_would_lose(tmp_path):
    table = 1e9 + np.random.default_rng(1).normal(size=(100, 1))
    np.save(tmp_path / "t.npy", table)
    data = load_data(tmp_path / "t.npy", standardize=True, split=(1, 0, 0))
    expected = (table - table.mean()) / table.std()
    assert np.allclose(data.train.x.numpy(), expected, atol=1e-5)


def test_a_transform_loads_other_data_as_the_training_data_were(tmp_path):
    rng = np.random.default_rng(0)
    train, other = rng.normal(2, 5, (50, 2)), rng.normal(0, 1, (8, 2))
    np.save(tmp_path / "train.npy", train)
    np.save(tmp_path / "other.npy", other)
    run = load_data(tmp_path / "train.npy", standardize=True, split=(1, 0, 0))
    transform = json.loads(json.dumps(run.transform))
    data = load_data(tmp_path / "other.npy", transform=transform, split=(0, 0, 1))
    assert np.allclose(data.test.x.numpy(), (other - train.mean(0)) / train.std(0), atol=1e-6)


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("digits", {"binarize": "draw", "seed": 5, "condition": "label"}),
        ("digits", {"levels": 3, "resize": 6, "dequantize": True}),
        ("shapes", {"n": 40, "size": 16, "seed": 2, "split": (0.5, 0.25, 0.25), "condition": "caption"}),
        ("rings", {"n": 100, "standardize": True}),
    ],
)
def test_a_transform_reloads_the_same_data(name, options):
    data = load_data(name, **options)
    again = load_data(name, transform=json.loads(json.dumps(data.transform)))
    assert again.description == data.description
    assert again.transform == data.transform
    for split, twin in zip(data.splits.values(), again.splits.values(), strict=True):
        assert torch.equal(split.x, twin.x)
    assert type(again.train.condition) is type(data.train.condition)


def test_pictures_of_any_kind_are_brought_to_the_shape_of_the_run(tmp_path):
    run = load_data("digits", binarize=True, condition="label")
    np.save(tmp_path / "p.npy", np.random.default_rng(0).integers(0, 256, (3, 20, 30, 3), np.uint8))
    data = load_data(tmp_path / "p.npy", transform=run.transform, split=(0, 0, 1))
    assert data.event_shape == run.event_shape
    assert data.support is constraints.boolean
    assert data.test.condition is None
    colour = load_data("shapes", n=10, size=16)
    np.save(tmp_path / "g.npy", np.full((2, 16, 16), 51, np.uint8))
    data = load_data(tmp_path / "g.npy", transform=colour.transform, split=(0, 0, 1))
    assert data.event_shape == (3, 16, 16)
    assert torch.allclose(data.test.x, torch.full((2, 3, 16, 16), 0.2))


def test_other_data_have_the_levels_of_the_run(tmp_path):
    np.save(tmp_path / "p.npy", np.random.default_rng(0).integers(0, 256, (3, 8, 8), np.uint8))
    data = load_data(tmp_path / "p.npy", transform=load_data("digits").transform, split=(0, 0, 1))
    assert data.support.levels == 17
    assert data.support.check(data.test.x).all()


def test_an_argument_wins_over_the_transform():
    run = load_data("digits", binarize=True)
    data = load_data("digits", binarize=0.25, transform=run.transform)
    assert torch.equal(data.train.x, load_data("digits", binarize=0.25).train.x)


def test_a_split_that_takes_everything_keeps_the_order(tmp_path):
    table = np.arange(10.0)[:, None] / 3
    np.save(tmp_path / "t.npy", table)
    data = load_data(tmp_path / "t.npy", split=(0, 0, 1))
    assert np.allclose(data.test.x.numpy(), table)
    assert len(data.train) == len(data.valid) == 0


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"binarize": "dice"}, r"binarize must be True, a threshold in \(0, 1\], 'draw' or 'redraw', got 'dice'"),
        ({"binarize": 1.5}, r"binarize must be True, a threshold in \(0, 1\], 'draw' or 'redraw', got 1.5"),
        ({"binarize": True, "levels": 3}, "binarize and levels exclude each other"),
        ({"levels": 1}, r"levels must be in 2\.\.256, got 1"),
        ({"levels": 18}, "digits has 17 levels, got levels=18: leave it out to keep all of them"),
        ({"resize": 0}, "resize must be at least 1, got 0"),
        ({"split": (0.5, 0.5)}, "split must be three fractions that sum to 1"),
        ({"split": (0.5, 0.6, -0.1)}, "split must be three fractions that sum to 1"),
        ({"standardize": True}, r"standardize is for tables and digits holds images"),
        ({"n": 5}, r"n is for drawn data \(shapes, rings, grid25, swissroll, stacked_mnist, stacked_digits\): leave n out"),
        ({"condition": "caption"}, "digits cannot give condition='caption': it may be 'label'"),
    ],
)
def test_options_that_make_no_sense_are_refused(options, sentence):
    with pytest.raises(ConfigError, match=sentence):
        load_data("digits", **options)


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"resize": 4}, "resize is for images and t.npy is a table"),
        ({"grey": True}, "grey is for images and t.npy is a table"),
        ({"levels": 4}, "levels is for images and t.npy is a table"),
        ({"binarize": True}, r"binarize expects values in \[0, 1\] and t.npy has -2.5"),
        ({"dequantize": True}, "dequantize needs discrete values and t.npy has continuous ones: leave it out"),
        ({"condition": "label"}, "t.npy cannot give condition='label': these data have no labels or captions"),
        ({"standardize": True, "split": (0, 0, 1)}, "standardize needs a training split"),
    ],
)
def test_options_for_images_are_refused_on_tables(tmp_path, options, sentence):
    np.save(tmp_path / "t.npy", np.array([[0.5, -2.5], [1.0, 2.0]]))
    with pytest.raises(ConfigError, match=sentence):
        load_data(tmp_path / "t.npy", **options)


def test_an_unknown_name_is_answered_with_the_nearest():
    with pytest.raises(DataError, match="no data set and no file 'digit': did you mean 'digits'"):
        load_data("digit")
    with pytest.raises(DataError, match="no data set and no file 'adbench/glas': did you mean 'adbench/glass'"):
        load_data("adbench/glas")
    with pytest.raises(DataError, match=r"there is no file or folder '.*nowhere.csv'"):
        load_data("nowhere.csv")


def test_summary_and_description_say_what_there_is():
    data = load_data("digits", binarize=True)
    assert data.description == "1,200 / 297 / 300 events of shape 1×8×8 in {0, 1}, binarised at 0.5, split by seed 0"
    assert data.summary.splitlines()[0] == f"digits: {data.description}"
    assert data.summary.splitlines()[2].split() == ["valid", "297", "events,", "with", "label"]
