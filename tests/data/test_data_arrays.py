import numpy as np
import pytest
import torch
from torch.distributions import constraints

from pofx.core import ConfigError, DataError
from pofx.data import load_data

RNG = np.random.default_rng(0)
ALL = {"split": (1, 0, 0)}


def test_npy_on_disk_equals_in_memory(tmp_path):
    np.save(tmp_path / "t.npy", RNG.integers(0, 256, (40, 6, 6, 3), np.uint8))
    for options in ({}, {"grey": True, "resize": 3}, {"binarize": "draw"}, {"levels": 4, "dequantize": True}):
        memory, disk = (load_data(tmp_path / "t.npy", in_memory=where, **options) for where in (None, False))
        assert not disk.train.in_memory
        assert disk.support.__class__ is memory.support.__class__
        for name, split in memory.splits.items():
            assert torch.equal(disk.splits[name].x, split.x)
        rows = torch.tensor([3, 3, 0])
        assert torch.equal(disk.train.rows(rows).x, memory.train.x[rows])


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_npy_on_disk_with_nan_is_refused(tmp_path, bad):
    table = RNG.normal(size=(40, 3))
    table[11, 2] = bad
    np.save(tmp_path / "t.npy", table)
    with pytest.raises(DataError, match=r"t.npy holds NaN, Inf or a missing value in row 11, column 2"):
        load_data(tmp_path / "t.npy", in_memory=False)


@pytest.mark.parametrize(
    ("shape", "event"),
    [((5,), (1,)), ((5, 3), (3,)), ((5, 8, 6), (1, 8, 6)), ((5, 8, 6, 3), (3, 8, 6)), ((5, 8, 6, 1), (1, 8, 6)),
     ((5, 3, 8, 6), (3, 8, 6)), ((5, 1, 8, 6), (1, 8, 6))],
)  # fmt: skip
def test_shapes_of_arrays_are_recognised(tmp_path, shape, event):
    np.save(tmp_path / "t.npy", RNG.integers(0, 256, shape, np.uint8))
    assert load_data(tmp_path / "t.npy").event_shape == event


def test_eight_bits_are_scaled_and_channels_moved(tmp_path):
    array = RNG.integers(0, 256, (5, 8, 6, 3), np.uint8)
    np.save(tmp_path / "t.npy", array)
    data = load_data(tmp_path / "t.npy", **ALL)
    assert torch.equal(data.train.x, torch.from_numpy(array).permute(0, 3, 1, 2) / 255)
    assert data.support.levels == 256
    np.save(tmp_path / "t.npy", array.astype(np.int64))
    assert torch.equal(load_data(tmp_path / "t.npy", **ALL).train.x, data.train.x)


def test_grey_levels_are_recognised_in_floats(tmp_path):
    np.save(tmp_path / "t.npy", RNG.integers(0, 256, (5, 8, 6)) / 255)
    assert load_data(tmp_path / "t.npy").support.levels == 256
    np.save(tmp_path / "t.npy", RNG.random((5, 8, 6)))
    data = load_data(tmp_path / "t.npy")
    assert data.support is constraints.unit_interval
    with pytest.raises(ConfigError, match=r"dequantize needs discrete values and .* leave it out or add levels=K"):
        load_data(tmp_path / "t.npy", dequantize=True)


@pytest.mark.parametrize("kind", [bool, np.uint8, np.float32])
@pytest.mark.parametrize("shape", [(20, 4), (20, 5, 5)])
def test_zeros_and_ones_are_boolean(tmp_path, kind, shape):
    array = RNG.integers(0, 2, shape)
    np.save(tmp_path / "t.npy", array.astype(kind))
    data = load_data(tmp_path / "t.npy", **ALL)
    assert data.support is constraints.boolean
    assert np.array_equal(data.train.x.numpy().reshape(array.shape), array)


def test_black_and_white_is_boolean_too(tmp_path):
    np.save(tmp_path / "t.npy", RNG.integers(0, 2, (20, 5, 5)).astype(np.uint8) * 255)
    data = load_data(tmp_path / "t.npy")
    assert data.support is constraints.boolean
    assert set(data.train.x.unique().tolist()) == {0, 1}


def test_npz_with_events_labels_columns_and_extras(tmp_path):
    x = RNG.random((6, 2))
    extras = {"columns": np.array(["u", "v"]), "captions": np.array(list("abcdef")), "attributes": np.eye(6)}
    np.savez(tmp_path / "t.npz", X=x, y=np.array([3, 5, 3, 3, 4, 5]), **extras)
    data = load_data(tmp_path / "t.npz", condition="caption", **ALL)
    assert np.allclose(data.train.x.numpy(), x)
    assert data.train.label.tolist() == [0, 2, 0, 0, 1, 2]
    assert data.label_names == ["3", "4", "5"]
    assert data.column_names == ["u", "v"]
    assert data.train.condition == list("abcdef")
    assert torch.equal(data.train.extras["attributes"], torch.eye(6))


@pytest.mark.parametrize(
    "names", [("train", "val", "test"), ("x_train", "x_valid", "x_test"), ("train_images", "val_images", "test_images")]
)
def test_npz_with_published_splits(tmp_path, names):
    arrays = {name: np.full((i + 2, 4, 4), 50 * i, np.uint8) for i, name in enumerate(names)}
    np.savez(tmp_path / "t.npz", y_train=np.array([1, 0]), **arrays)
    data = load_data(tmp_path / "t.npz")
    assert [len(split) for split in data.splits.values()] == [2, 3, 4]
    assert data.test.x.unique().tolist() == pytest.approx([100 / 255])
    assert data.train.label.tolist() == [1, 0]
    assert data.test.label is None
    assert data.description.endswith("published split")


def test_a_dark_split_is_scaled_as_the_others(tmp_path):
    np.savez(tmp_path / "t.npz", train=np.full((2, 4, 4), 255, np.uint8), test=np.full((2, 4, 4), 1, np.uint8))
    assert load_data(tmp_path / "t.npz").test.x.unique().tolist() == pytest.approx([1 / 255])


def test_a_missing_split_is_taken_from_train(tmp_path):
    np.savez(tmp_path / "t.npz", x_train=RNG.random((85, 2)), x_test=RNG.random((10, 2)))
    data = load_data(tmp_path / "t.npz")
    assert [len(split) for split in data.splits.values()] == [70, 15, 10]
    assert data.description.endswith("published split, valid taken from train by seed 0")


@pytest.mark.parametrize(
    ("arrays", "options", "sentence"),
    [
        (
            {"foo": np.zeros((2, 2)), "bar": np.zeros(2)},
            {},
            r"t.npz holds the arrays foo, bar and none is named x, X, data or images",
        ),
        ({"x": np.zeros((2, 2)), "kind": np.zeros(2)}, {"label": "kinds"}, "no array 'kinds' for label: did you mean 'kind'"),
        ({"x": np.zeros((2, 2)), "y": np.zeros(3)}, {}, "t.npz has 3 labels for 2 events in 'x'"),
        (
            {"x": np.zeros((2, 2)), "y": np.array([0.5, 1])},
            {},
            "has the label 0.5 in row 0: a label is a whole number or a name",
        ),
        ({"x": np.zeros((2, 2)), "y": np.zeros((2, 2))}, {}, r"one label an event, shape \(n,\), and has shape \(2, 2\)"),
        ({"x": np.zeros((2, 2)), "captions": np.array(["a"])}, {}, "t.npz has 1 captions for 2 events"),
        ({"x": np.array([{}], dtype=object)}, {}, "t.npz holds Python objects, which are never unpickled"),
        ({"x": np.array(["a", "b"])}, {}, r"t.npz\[x\] holds <U1 values and numbers are expected"),
        ({"x": np.zeros((2, 5, 5, 4))}, {}, r"t.npz\[x\] has shape \(2, 5, 5, 4\): a table is \(n, columns\)"),
        ({"x": np.full((2, 5, 5), 128.0)}, {}, r"images of floats must lie in \[0, 1\] and t.npz has 128"),
        ({"x": np.full((2, 5, 5), 300)}, {}, "integer images with values up to 300: save them as uint8"),
        ({"x": np.full((2, 5, 5), np.nan)}, {}, "NaN, Inf or a missing value in picture 0, counted from 0"),
        ({"x": np.zeros((0, 3))}, {}, "t.npz holds no events"),
        (
            {"train": np.zeros((2, 3)), "test": np.zeros((2, 4))},
            {},
            r"splits of different kinds or shapes \(train float64 \(2, 3\)",
        ),
        ({"x": np.zeros((2, 2))}, {"in_memory": False}, "an .npz cannot be read row by row: save t.npz as .npy or Parquet"),
    ],
)
def test_mistakes_are_explained(tmp_path, arrays, options, sentence):
    np.savez(tmp_path / "t.npz", **arrays)
    with pytest.raises((DataError, ConfigError), match=sentence):
        load_data(tmp_path / "t.npz", **options)


@pytest.mark.parametrize("name", ["t.npy", "t.npz"])
@pytest.mark.parametrize("content", [b"", b"no array"])
def test_broken_files_are_explained(tmp_path, name, content):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(DataError, match=f"{name} is empty or no numpy file that can be read|never unpickled"):
        load_data(tmp_path / name)


def test_objects_are_never_unpickled(tmp_path):
    np.save(tmp_path / "t.npy", np.array([{}], dtype=object))
    with pytest.raises(DataError, match=r"t.npy holds Python objects, which are never unpickled"):
        load_data(tmp_path / "t.npy")


def test_unknown_kinds_of_files_are_refused(tmp_path):
    (tmp_path / "t.xls").write_bytes(b"")
    with pytest.raises(DataError, match=r"t.xls' is of no known kind: give a folder of pictures or a file of .*.csv"):
        load_data(tmp_path / "t.xls")
