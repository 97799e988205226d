import numpy as np
import pytest
import torch

from pofx.core import DataError
from pofx.data.pictures import grid, read_image, save_grid, save_scatter


def test_a_grid_places_images_row_by_row_with_gaps():
    x = torch.stack([torch.full((1, 2, 3), v) for v in (0.0, 0.5, 1.0)])
    picture = np.array(grid(x, columns=2, pad=1, scale=1))
    assert picture.shape == (7, 9, 3)
    grey = picture[..., 0]
    assert (grey[1:3, 1:4] == 0).all()
    assert (grey[1:3, 5:8] == 128).all()
    assert (grey[4:6, 1:4] == 255).all()
    assert (grey[4:6, 5:8] == 128).all()  # an empty place
    assert (grey[0] == 128).all()
    assert (grey[:, 4] == 128).all()


def test_small_images_are_enlarged_without_smoothing():
    x = torch.rand(1, 3, 8, 8)
    picture = np.array(grid(x, pad=0))
    assert picture.shape == (48, 48, 3)
    codes = (x[0] * 255).round().byte().permute(1, 2, 0).numpy()
    assert np.array_equal(picture, codes.repeat(6, 0).repeat(6, 1))
    assert grid(torch.zeros(1, 1, 64, 64), pad=0).size == (64, 64)


def test_values_outside_the_unit_interval_are_clamped():
    x = torch.tensor([-1.0, 2.0, float("nan"), float("inf")]).view(4, 1, 1, 1)
    assert np.array(grid(x, columns=4, pad=0, scale=1))[0, :, 0].tolist() == [0, 255, 0, 255]


@pytest.mark.parametrize("shape", [(4, 2, 8, 8), (4, 64), (0, 1, 8, 8)])
def test_what_is_no_image_is_refused(shape):
    with pytest.raises(DataError, match="a grid needs images of shape"):
        grid(torch.zeros(shape))


def test_a_saved_grid_can_be_read_again(tmp_path):
    x = torch.rand(1, 3, 50, 60)
    save_grid(x, tmp_path / "deep" / "grid.png")
    again = read_image(tmp_path / "deep" / "grid.png")
    assert again.shape == (3, 52, 62)
    assert torch.allclose(again[:, 1:-1, 1:-1], x[0], atol=0.5 / 255 + 1e-6)


def test_points_are_drawn_over_the_reference(tmp_path):
    import matplotlib.pyplot as plt

    save_scatter(torch.randn(50, 2, requires_grad=True), tmp_path / "a.png", reference=torch.randn(80, 2))
    save_scatter(torch.randn(50, 2), tmp_path / "b.png")
    assert read_image(tmp_path / "a.png").shape == (3, 600, 600)
    assert plt.get_fignums() == []
    with pytest.raises(DataError, match=r"a scatter plot needs points of shape \(n, 2\), got \(5, 3\)"):
        save_scatter(torch.zeros(5, 3), tmp_path / "c.png")
