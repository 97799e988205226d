import numpy as np
import pytest
import torch
from PIL import Image

from pofx.core import DataError
from pofx.data import load_data

RNG = np.random.default_rng(0)


@pytest.fixture
def pictures(arrow_cache):
    arrays = RNG.integers(0, 256, (10, 6, 6, 3), np.uint8)
    features = arrow_cache.Features(
        image=arrow_cache.Image(), label=arrow_cache.ClassLabel(names=["no", "yes"]), text=arrow_cache.Value("string")
    )
    rows = {"image": [Image.fromarray(a) for a in arrays], "label": [i % 2 for i in range(10)], "text": list("abcdefghij")}
    return arrays, arrow_cache.Dataset.from_dict(rows, features=features)


@pytest.fixture
def hub(arrow_cache, monkeypatch):
    """A stand-in for the Hub: what `datasets.load_dataset` returns, or raises, for org/name."""

    def answer(found):
        def load_dataset(name):
            assert name == "org/name"
            if isinstance(found, Exception):
                raise found
            return found

        monkeypatch.setattr(arrow_cache, "load_dataset", load_dataset)

    return answer


@pytest.mark.parametrize("in_memory", [None, False])
def test_the_first_column_of_pictures_is_taken_with_labels_and_captions(hub, pictures, in_memory):
    arrays, dataset = pictures
    hub(dataset)
    data = load_data("hf:org/name", condition="caption", split=(1, 0, 0), in_memory=in_memory)
    assert data.train.in_memory is (in_memory is None)
    assert torch.equal(data.train.x, torch.from_numpy(arrays).permute(0, 3, 1, 2) / 255)
    assert data.label_names == ["no", "yes"]
    assert data.train.label.tolist() == [0, 1] * 5
    assert data.train.condition == list("abcdefghij")
    assert data.transform["source"] == "hf:org/name"


def test_published_splits_are_kept_and_hidden_labels_left_out(hub, pictures, arrow_cache):
    _, dataset = pictures
    hidden = dataset.select(range(3)).map(lambda row: {"label": -1})
    hub(arrow_cache.DatasetDict(train=dataset, validation=dataset.select(range(4)), test=hidden))
    data = load_data("hf:org/name")
    assert [len(split) for split in data.splits.values()] == [10, 4, 3]
    assert data.test.label is None
    assert data.valid.label.tolist() == [0, 1, 0, 1]


def test_a_train_split_alone_is_divided(hub, pictures, arrow_cache):
    hub(arrow_cache.DatasetDict(train=pictures[1]))
    data = load_data("hf:org/name")
    assert [len(split) for split in data.splits.values()] == [6, 2, 2]
    assert data.description.endswith("split by seed 0")


def test_numeric_columns_are_a_table(hub, arrow_cache):
    rows = {"a": [1.5, 2.5, 3.5], "note": ["x", "y", "z"], "b": [1, 2, 3], "label": [7, 9, 7], "flag": [True, False, True]}
    hub(arrow_cache.Dataset.from_dict(rows))
    data = load_data("hf:org/name", split=(1, 0, 0))
    assert data.column_names == ["a", "b", "flag"]
    assert data.train.x.tolist() == [[1.5, 1, 1], [2.5, 2, 0], [3.5, 3, 1]]
    assert data.train.label.tolist() == [0, 1, 0]
    assert data.label_names == ["7", "9"]
    assert load_data("hf:org/name", label="note").label_names == ["x", "y", "z"]


@pytest.mark.parametrize("in_memory", [None, False])
def test_folders_saved_by_datasets_are_read(pictures, arrow_cache, tmp_path, in_memory):
    arrays, dataset = pictures
    arrow_cache.DatasetDict(train=dataset, test=dataset).save_to_disk(tmp_path / "set")
    data = load_data(tmp_path / "set", resize=3, in_memory=in_memory)
    assert data.test.x.shape == (10, 3, 3, 3)
    assert abs(data.test.x.mean() - arrays.mean() / 255) < 0.02


def test_grey_pictures_have_one_channel(hub, arrow_cache):
    rows = {"image": [Image.new("L", (4, 4), i) for i in range(3)]}
    hub(arrow_cache.Dataset.from_dict(rows, features=arrow_cache.Features(image=arrow_cache.Image())))
    assert load_data("hf:org/name").event_shape == (1, 4, 4)


def test_mistakes_are_explained(hub, arrow_cache):
    hub(ConnectionError("no network"))
    with pytest.raises(DataError, match=r"hf:org/name cannot be loaded \(no network\): check the name and the network"):
        load_data("hf:org/name")
    hub(arrow_cache.Dataset.from_dict({"note": ["x"]}))
    with pytest.raises(DataError, match="org/name has no column of numbers besides the label"):
        load_data("hf:org/name")
    hub(arrow_cache.Dataset.from_dict({"a": [1.0]}))
    with pytest.raises(DataError, match="org/name has no column 'b' for label: "):
        load_data("hf:org/name", label="b")
    empty = arrow_cache.Dataset.from_dict({"a": [1.0]})
    hub(arrow_cache.DatasetDict(one=empty, two=empty))
    with pytest.raises(DataError, match="org/name has the splits one, two and none is named train"):
        load_data("hf:org/name")
    rows = {"image": [Image.new("L", (4, 4)), Image.new("L", (5, 4))]}
    hub(arrow_cache.Dataset.from_dict(rows, features=arrow_cache.Features(image=arrow_cache.Image())))
    with pytest.raises(DataError, match="pictures of org/name differ in size, 4×4 and 5×4: use resize="):
        load_data("hf:org/name")
