"""Pictures of a run: what lies where in them, and the animation of all."""

import pytest
import torch
from PIL import Image

from pofx.core import DataError
from pofx.data import load_data
from pofx.data.pictures import save_animation, save_grid, save_scatter
from pofx.models import GAN, VAE
from pofx.training import fit
from pofx.training.directory import RunDirectory
from pofx.training.snapshots import SURFACE, Snapshots

QUICK = {"batch_size": 10, "progress": False}


@pytest.fixture(scope="module")
def rings():
    return load_data("rings", n=200)


def test_the_surface_is_the_discriminators_value_at_each_point_of_the_frame(rings, tmp_path):
    model = GAN((2,), output="real").eval()
    frame, values, name = Snapshots(model, 2, 10, RunDirectory(tmp_path), rings)._surface()
    low, high = frame
    assert name == "D(x)"
    assert bool((low < rings.train.x.amin(0)).all())
    assert bool((high > rings.train.x.amax(0)).all())
    for row, column in ((0, 0), (3, 90), (SURFACE - 1, 7)):
        x = low + (high - low) * torch.tensor([[column, row]]) / (SURFACE - 1)  # a row for each y, the first one lowest
        assert values[row, column] == pytest.approx(model.discriminate(x).sigmoid().item(), abs=1e-5)


def test_without_a_discriminator_of_events_there_is_no_surface(rings, tmp_path):
    assert Snapshots(VAE((2,), likelihood="gaussian"), 2, 10, RunDirectory(tmp_path), rings)._surface() is None


def test_a_low_and_a_high_value_have_their_colours_where_they_are(tmp_path):
    frame = torch.tensor([[0.0, 0.0], [1.0, 1.0]])
    values = torch.zeros(10, 10)
    values[:, 5:] = 1  # D = 1 on the right
    save_scatter(torch.tensor([[0.01, 0.01], [7.0, 7.0]]), tmp_path / "a.png", surface=(frame, values, "D(x)"))
    with Image.open(tmp_path / "a.png") as picture:
        wide, high = picture.size
        left, right = (picture.convert("RGB").getpixel((round(share * wide), high // 2)) for share in (0.25, 0.6))
    assert left[0] > left[2] + 50  # red
    assert right[2] > right[0] + 50  # blue


def test_after_a_run_its_pictures_are_an_animation(rings, tmp_path):
    torch.manual_seed(0)
    fit(GAN((2,), hidden=(8,), output="real"), rings, tmp_path, steps=12, snapshots=3, **QUICK)
    with Image.open(tmp_path / "samples" / "training.gif") as movie:
        assert movie.n_frames == 3
        assert movie.width == 480
    assert (tmp_path / "samples" / "training.gif").stat().st_size < 1_000_000
    assert {path.suffix for path in (tmp_path / "samples").iterdir()} == {".png", ".gif"}


def test_one_picture_is_no_animation_and_a_new_run_removes_the_old_one(rings, tmp_path):
    for count, there in ((2, True), (1, False)):
        fit(GAN((2,), output="real"), rings, tmp_path, steps=4, snapshots=count, overwrite=True, **QUICK)
        assert (tmp_path / "samples" / "training.gif").is_file() == there


def test_an_animation_is_made_smaller_until_it_fits_and_keeps_the_last_frame(tmp_path):
    files = [tmp_path / f"{i:03}.png" for i in range(70)]
    for i, file in enumerate(files):
        save_grid(torch.rand(4, 3, 32, 32, generator=torch.Generator().manual_seed(i)), file)
    save_grid(torch.ones(4, 3, 32, 32), files[-1])
    save_animation(files, tmp_path / "all.gif", most_bytes=400_000)
    with Image.open(tmp_path / "all.gif") as movie:
        assert movie.n_frames <= 60
        assert movie.width < 480
        movie.seek(movie.n_frames - 1)
        assert movie.convert("RGB").getpixel((10, 10)) == (255, 255, 255)


def test_points_only(tmp_path):
    with pytest.raises(DataError, match=r"\(n, 2\)"):
        save_scatter(torch.zeros(3, 3), tmp_path / "a.png")
