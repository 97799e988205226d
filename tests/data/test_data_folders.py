import numpy as np
import pytest
import torch
from PIL import Image

from pofx.core import DataError
from pofx.data import load_data
from pofx.data.pictures import read_image

RNG = np.random.default_rng(0)


def picture(path, size=(6, 5), colour=True):
    """Write random pixels of (width, height) and return them as (c, h, w)."""
    path.parent.mkdir(parents=True, exist_ok=True)
    array = RNG.integers(0, 256, (size[1], size[0], 3) if colour else (size[1], size[0]), np.uint8)
    Image.fromarray(array).save(path)
    return array.transpose(2, 0, 1) if colour else array[None]


def test_pictures_anywhere_below_a_folder_are_found_in_order(tmp_path):
    expected = [picture(tmp_path / name) for name in ("a.png", "b/c.bmp", "b/d/e.png", "f.tif")]
    picture(tmp_path / ".hidden" / "x.png", size=(2, 2))
    (tmp_path / "notes.txt").write_text("")
    data = load_data(tmp_path, split=(0, 0, 1))
    assert np.array_equal((data.test.x * 255).round().numpy(), np.stack(expected))
    assert data.event_shape == (3, 5, 6)
    assert data.train.label is None
    assert data.support.levels == 256


def test_folders_are_labels(tmp_path):
    for name in ("cat/1.png", "dog/1.png", "dog/deep/2.png"):
        picture(tmp_path / name)
    data = load_data(tmp_path, split=(0, 0, 1))
    assert data.label_names == ["cat", "dog"]
    assert data.test.label.tolist() == [0, 1, 1]


def test_one_folder_is_no_label(tmp_path):
    picture(tmp_path / "only" / "1.png")
    assert load_data(tmp_path).label_names is None


def test_train_val_and_test_are_splits_with_labels_below(tmp_path):
    for name in ("train/cat/1.png", "train/dog/1.png", "train/dog/2.png", "val/dog/1.png", "test/cat/1.png", "test/cat/2.png"):
        picture(tmp_path / name)
    data = load_data(tmp_path)
    assert [len(split) for split in data.splits.values()] == [3, 1, 2]
    assert [split.label.tolist() for split in data.splits.values()] == [[0, 1, 1], [1], [0, 0]]
    assert data.label_names == ["cat", "dog"]


def test_only_grey_pictures_have_one_channel(tmp_path):
    picture(tmp_path / "a.png", colour=False)
    assert load_data(tmp_path).event_shape == (1, 5, 6)
    picture(tmp_path / "b.png")
    assert load_data(tmp_path).event_shape == (3, 5, 6)


def test_pictures_on_disk_equal_those_in_memory(tmp_path):
    for i in range(7):
        picture(tmp_path / "ab"[i % 2] / f"{i}.png", size=(9 + i, 8))
    memory, disk = (load_data(tmp_path, resize=4, levels=8, in_memory=where) for where in (None, False))
    assert not disk.train.in_memory
    assert disk.description == memory.description
    for name, split in memory.splits.items():
        assert torch.equal(disk.splits[name].x, split.x)
        assert torch.equal(disk.splits[name].label, split.label)


def test_resize_takes_the_centred_square(tmp_path):
    array = np.zeros((4, 8, 3), np.uint8)
    array[:, 2:6] = 255
    Image.fromarray(array).save(tmp_path / "a.png")
    assert load_data(tmp_path, resize=4, split=(1, 0, 0)).train.x.min() == 1


def test_different_sizes_are_explained(tmp_path):
    picture(tmp_path / "a.png", size=(6, 5))
    picture(tmp_path / "b.png", size=(7, 5))
    with pytest.raises(DataError, match=r"a.png has 6×5 pixels, .*b.png has 7×5: bring them to one size with resize="):
        load_data(tmp_path)


@pytest.mark.parametrize("in_memory", [None, False])
@pytest.mark.parametrize("cut", [0, 60])
def test_unreadable_pictures_are_named(tmp_path, in_memory, cut):
    picture(tmp_path / "a.png")
    picture(tmp_path / "b.png")
    (tmp_path / "b.png").write_bytes((tmp_path / "b.png").read_bytes()[:cut])
    with pytest.raises(DataError, match=r"b.png is no picture that can be read \(.*\): repair or remove it"):
        load_data(tmp_path, in_memory=in_memory)
    with pytest.raises(DataError, match=r"b.png is no picture that can be read"):
        read_image(tmp_path / "b.png")


def test_empty_folders_are_explained(tmp_path):
    with pytest.raises(DataError, match=r"holds no pictures .*: give a folder that does"):
        load_data(tmp_path)


def test_one_picture_goes_through_the_transform_of_a_run(tmp_path):
    picture(tmp_path / "a.png", size=(40, 30))
    data = load_data(tmp_path / "a.png", transform=load_data("digits", levels=4).transform, split=(0, 0, 1))
    assert data.test.x.shape == (1, 1, 8, 8)
    assert data.support.levels == 4


def save(tmp_path, image: Image.Image, **options) -> torch.Tensor:
    image.save(tmp_path / "p.png", **options)
    return read_image(tmp_path / "p.png")


def test_alpha_is_put_on_white(tmp_path):
    x = save(tmp_path, Image.fromarray(np.array([[[255, 0, 0, 255], [0, 0, 0, 0], [0, 0, 0, 51]]], np.uint8)))
    assert torch.allclose(x[:, 0].T, torch.tensor([[1.0, 0, 0], [1, 1, 1], [0.8, 0.8, 0.8]]), atol=0.004)
    x = save(tmp_path, Image.fromarray(np.array([[[0, 0], [0, 255]]], np.uint8), mode=None))
    assert x.shape == (1, 1, 2)
    assert x.flatten().tolist() == [1, 0]


def test_palettes_are_resolved(tmp_path):
    image = Image.fromarray(np.array([[0, 1]], np.uint8)).convert("P")
    image.putpalette([0, 255, 0, 0, 0, 255])
    assert save(tmp_path, image)[:, 0].T.tolist() == [[0, 1, 0], [0, 0, 1]]
    assert save(tmp_path, image, transparency=0)[:, 0].T.tolist() == [[1, 1, 1], [0, 0, 1]]
    image.putpalette([51, 51, 51, 255, 255, 255])
    assert save(tmp_path, image).flatten().tolist() == pytest.approx([0.2, 1.0])


def test_sixteen_bits_become_eight(tmp_path):
    x = save(tmp_path, Image.fromarray(np.array([[0, 257 * 51, 65535]], np.uint16)))
    assert x.flatten().tolist() == pytest.approx([0, 0.2, 1])


def test_one_bit_pictures_are_black_and_white(tmp_path):
    assert save(tmp_path, Image.fromarray(np.array([[True, False]]))).flatten().tolist() == [1, 0]


def test_the_cameras_rotation_is_followed(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6  # a quarter turn
    Image.fromarray(np.zeros((4, 8, 3), np.uint8)).save(tmp_path / "a.png", exif=exif)
    assert load_data(tmp_path).event_shape == (3, 8, 4)
