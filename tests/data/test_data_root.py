import re

import pytest
import torch
from torch.distributions import constraints

from pofx.core import DataError, LevelGrid
from pofx.data import DATASETS, load_data
from pofx.data.pictures import save_grid

ON_DISK = [name for name, data in DATASETS.items() if data.origin == "data root"]
LARGE = {"emoji", "fashion_mnist", "msnbc", "kdd", "ad"}  # read alike to another set of the list


def sizes(data) -> list[int]:
    return [len(split) for split in data.splits.values()]


def shape_text(data) -> str:
    return "×".join(map(str, data.event_shape))


def test_names_are_at_home_in_the_catalogue():
    assert {"mnist", "nltcs", "debd-dna", "dna", "wine_red", "adbench/glass", "emoji-noto"} <= set(ON_DISK)
    assert {data.origin for data in DATASETS.values()} == {"embedded", "drawn", "data root"}
    assert all(data.summary and data.shape for data in DATASETS.values())


@pytest.mark.parametrize("name", [name for name in DATASETS if name not in ON_DISK])
def test_sets_without_files_have_the_shape_of_the_catalogue(name):
    assert shape_text(load_data(name)) == DATASETS[name].shape


@pytest.mark.parametrize("name", ["mnist", "emoji", "dna", "adbench/glass"])
def test_a_missing_root_is_explained(name, monkeypatch, tmp_path):
    monkeypatch.delenv("POFX_DATA", raising=False)
    sentence = rf"{name} is read from a data root and none is set: pass root=... \(--data-root\) or set POFX_DATA to the folder"
    with pytest.raises(DataError, match=sentence):
        load_data(name)
    with pytest.raises(DataError, match=f"{name} is read from .* below the data root, and .* does not hold it"):
        load_data(name, root=tmp_path)


def test_the_root_may_come_from_the_environment(root, monkeypatch):
    monkeypatch.setenv("POFX_DATA", root)
    assert sizes(load_data("dna")) == [1400, 600, 1186]


@pytest.mark.parametrize("name", [name for name in ON_DISK if name not in LARGE])
def test_every_set_on_disk_has_the_shape_of_the_catalogue_and_values_in_its_support(name, root):
    data = load_data(name, root=root)
    assert shape_text(data) == DATASETS[name].shape
    for split in data.splits.values():
        assert len(split) > 0
        assert data.support.check(split.x[:1000]).all()
        assert split.label is None or (split.label.min() >= 0 and split.label.max() < len(data.label_names))


def test_mnist_is_published_and_its_last_training_images_are_valid(root):
    data = load_data("mnist", root=root)
    assert sizes(data) == [50_000, 10_000, 10_000]
    assert data.train.label[:5].tolist() == [5, 0, 4, 1, 9]
    assert data.test.label[:5].tolist() == [7, 2, 1, 0, 4]
    assert isinstance(data.support, LevelGrid)
    assert abs(torch.cat([data.train.x, data.valid.x]).mean() - 0.1307) < 1e-4


def test_binarized_mnist_has_the_published_share_of_ink(root):
    data = load_data("binarized_mnist", root=root)
    assert sizes(data) == [50_000, 10_000, 10_000]
    assert data.support is constraints.boolean
    shares = [round(split.x.double().mean().item(), 5) for split in data.splits.values()]
    assert shares == [0.13056, 0.13113, 0.13251]


def test_faces_share_no_person_between_splits(root):
    data = load_data("att_faces", root=root)
    assert sizes(data) == [280, 60, 60]
    people = [set(split.label.tolist()) for split in data.splits.values()]
    assert sum(map(len, people)) == len(set.union(*people)) == 40


def test_emoji_keep_their_split_and_variants_together(root):
    data = load_data("emoji-noto", root=root, condition="caption")
    assert len(data.test) == 340
    assert len(data.train) + len(data.valid) == 2715
    without_tone = [{re.sub(": [a-z-]+ skin tone$", "", c) for c in split.condition} for split in (data.train, data.valid)]
    assert not without_tone[0] & without_tone[1]
    assert data.label_names[0] == "no tone"
    assert data.attribute_names[0] == "noto"
    assert data.train.extras["attributes"].shape[1] == len(data.attribute_names)


def test_flowers_and_sentences_keep_their_test_split(root):
    flowers = load_data("flowers", root=root)
    assert len(flowers.test) == 736
    assert torch.bincount(flowers.test.label).tolist() == [127, 180, 129, 140, 160]
    assert flowers.label_names == ["daisy", "dandelion", "roses", "sunflowers", "tulips"]
    nlvr = load_data("nlvr", root=root)
    assert len(nlvr.test) == 990
    assert not set(nlvr.train.extras["caption"]) & set(nlvr.valid.extras["caption"])


def test_tables_know_their_columns_and_anomalies(root):
    wine = load_data("wine_red", root=root, label="quality")
    assert wine.column_names[0] == "fixed acidity"
    assert wine.label_names == ["3", "4", "5", "6", "7", "8"]
    glass = load_data("adbench/glass", root=root, standardize=True)
    assert sum(split.label.sum().item() for split in glass.splits.values()) == 9
    assert glass.label_names == ["normal", "anomaly"]


def test_rcv1_says_that_it_is_its_validation_rows_alone(root):
    data = load_data("rcv1-valid-only", root=root)
    assert data.description.endswith("the published validation rows alone, split by seed 0")


def test_a_grid_of_faces_can_be_written(root, tmp_path):
    save_grid(load_data("att_faces", root=root).test.x[:6], tmp_path / "faces.png")
    assert (tmp_path / "faces.png").stat().st_size > 5000
