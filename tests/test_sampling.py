"""`pofx sample` and `pofx complete` as a user meets them: temperature, labels by name, halves of pictures, gaps in tables."""

import csv

import numpy as np
import pytest
import torch
from PIL import Image

import pofx
from pofx import drawing
from pofx.completion import sees_all, what_to_keep
from pofx.drawing import draw_samples, labels_for


@pytest.fixture
def run(call, home):
    """Train a tiny model: run("nade", "digits", "hidden=8") -> its directory."""

    def train(model, data, *assignments, options=()):
        settings = [word for text in assignments for word in ("--set", text)]
        code, _, err = call("fit", model, data, "--epochs", 1, "--out", model, *settings, *options)
        assert code == 0, err
        return home / model

    return train


@pytest.fixture
def table(home):
    """Rows whose height is 2 · width - 180 and a little noise, with a label, in table.csv."""
    rng = np.random.default_rng(0)
    with (home / "table.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["kind", "width", "height"])
        for i, width in enumerate(100 + 10 * rng.normal(size=400)):
            writer.writerow(["ab"[i % 2], f"{width:.2f}", f"{2 * width - 180 + rng.normal():.2f}"])
    return "table.csv"


def rows_of(path):
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def test_a_temperature_makes_samples_likelier(call, home, run):
    run("nade", "digits", "hidden=16", options=("--epochs", 10))
    model, means = pofx.load("nade"), []
    for t in ("2", "1", "0.5", "0"):
        assert call("sample", "nade", "-n", 300, "--temperature", t, "--out", "x.npz")[0] == 0
        x = torch.from_numpy(np.load(home / "x.npz")["x"])
        means.append(model.log_prob(x).mean().item())
    assert means == sorted(means)
    assert len(x.unique(dim=0)) == 1
    call("sample", "nade", "-n", 300, "--out", "plain.npz")
    expected = model.sample(300, generator=torch.Generator().manual_seed(0))
    assert np.array_equal(np.load(home / "plain.npz")["x"], expected.numpy())


def test_labels_are_named_numbered_and_dealt_out():
    model = pofx.build("pixelcnn", (1, 4, 4), hidden=4, layers=1, classes=3)
    names = ["cat", "dog", "emu"]
    assert labels_for(model, "dog", 3, names).tolist() == [1, 1, 1]
    assert labels_for(model, "emu, cat", 5, names).tolist() == [2, 2, 2, 0, 0]
    assert labels_for(model, "2,0", 2, names).tolist() == [2, 0]
    assert labels_for(model, "all", 6, names).tolist() == labels_for(model, "all", 6, None).tolist() == [0, 0, 1, 1, 2, 2]
    assert labels_for(model, "4", 2, ["3", "4", "7"]).tolist() == [1, 1]  # numbers that are names are names


def test_samples_of_a_label(call, home, run):
    run("pixelcnn", "digits", "hidden=4", "layers=1", "classes=10", options=("--binarize", "yes"))
    assert call("sample", "pixelcnn", "-n", 4, "--condition", "3,1", "--out", "x.npy", "--seed", 2)[0] == 0
    model = pofx.load("pixelcnn")
    expected = model.sample(4, torch.tensor([3, 3, 1, 1]), torch.Generator().manual_seed(2))
    assert np.array_equal(np.load(home / "x.npy"), expected.numpy())
    code, out, _ = call("complete", "pixelcnn", "digits", "--rows", 2, "-n", 1)
    assert code == 0
    assert "kept the top half and the label, 1 draw each" in out


def test_many_samples_are_drawn_in_batches(monkeypatch):
    model, sizes = pofx.build("nade", (6,), hidden=4), []
    monkeypatch.setattr(drawing, "AT_ONCE", 4)
    monkeypatch.setattr(type(model), "sample", lambda self, n, **_: sizes.append(n) or torch.zeros(n, 6))
    assert draw_samples(model, 10, torch.Generator()).shape == (10, 6)
    assert sizes == [4, 4, 2]


def test_the_bar_reaches_its_end(monkeypatch):
    seen = []
    monkeypatch.setattr(drawing, "AT_ONCE", 4)
    monkeypatch.setattr(drawing.Progress, "update", lambda self, done, figures: seen.append((done, self.total)))
    draw_samples(pofx.build("nade", (6,), hidden=4), 10, torch.Generator())
    assert seen == sorted(seen)
    assert len(seen) > 3  # it moves within a batch too
    assert seen[-1] == (10, 10)


@pytest.mark.parametrize("keep", ["top", "bottom", "left", "right", "0.25"])
def test_pictures_are_completed(call, home, run, keep):
    run("nade", "digits", "hidden=4")
    assert call("complete", "nade", "digits", "--keep", keep, "--rows", 3, "-n", 2, "--out", "x.npz")[0] == 0
    arrays = np.load(home / "x.npz")
    x, mask, drawn = arrays["x"], arrays["mask"], arrays["drawn"]
    assert np.array_equal(x, pofx.load_data("digits", binarize=True).test.x[:3].numpy())
    assert drawn.shape == (3, 2, 1, 8, 8)
    assert (drawn[:, 0][mask] == x[mask]).all()
    assert (drawn[:, 0] != drawn[:, 1]).any()
    assert mask.sum() == 3 * 64 * (float(keep) if keep[0] == "0" else 0.5)
    corner = {"top": (0, 7), "bottom": (7, 0), "left": (7, 0), "right": (0, 7)}.get(keep)
    assert corner is None or mask[:, :, corner[0], corner[1]].all()


def test_the_grid_shows_original_kept_and_draws(call, home, run):
    run("nade", "digits", "hidden=4")
    code, out, _ = call("complete", "nade", "digits", "--rows", 2, "-n", 3)
    assert code == 0
    assert "2 rows, kept the top half, 3 draws each -> nade/completed.png" in out
    with Image.open(home / "nade" / "completed.png") as picture:
        assert picture.size == (1 + 5 * 49, 1 + 2 * 49)
        pixels = np.array(picture.convert("L"))
    original, cut, drawn = (pixels[1:49, 1 + 49 * i : 49 + 49 * i] for i in range(3))
    assert (cut[:24] == original[:24]).all()
    assert (drawn[:24] == original[:24]).all()
    assert (cut[24:] == 128).all()
    assert set(np.unique(drawn)) == {0, 255}


def test_what_order_cannot_use_is_said(call, run):
    run("nade", "digits", "hidden=4")
    run("eonade", "digits", "hidden=[4]")
    assert "what is kept after a value does not inform it" in call("complete", "nade", "digits", "--keep", "bottom")[1]
    assert "inform" not in call("complete", "nade", "digits")[1]
    assert "inform" not in call("complete", "eonade", "digits", "--keep", "bottom")[1]
    top = torch.tensor([True] * 2 + [False] * 2)[:, None].expand(5, 1, 4, 4)
    for options, sees in (({}, True), ({"order": "snake"}, True), ({"order": "random"}, False)):
        assert sees_all(pofx.build("nade", (1, 4, 4), hidden=2, **options), top) == sees


def test_a_share_is_of_pixels_with_all_their_colours_and_differs_by_row():
    mask, words = what_to_keep("0.5", torch.zeros(6, 3, 4, 4), torch.Generator().manual_seed(0))
    assert (mask == mask[:, :1]).all()
    assert (mask[:, 0].flatten(1).sum(1) == 8).all()
    assert len(mask.unique(dim=0)) == 6
    assert words == "0.5 of the pixels"


def test_empty_cells_of_a_table_are_filled_in(call, home, run, table):
    options = ("--label", "kind", "--standardize", "--epochs", 60)
    run("rnade", table, "hidden=20", "components=2", options=options)
    gaps = "height,kind,comment,width\n,b,as it is,103.500\nNA,a,,90.10\n10.00,b,07,95.00\n"
    (home / "gaps.csv").write_text(gaps)
    assert call("complete", "rnade", "gaps.csv")[0] == 0
    rows = rows_of(home / "rnade" / "completed.csv")
    assert [row["width"] for row in rows] == ["103.500", "90.10", "95.00"]  # as it is written
    assert [row["comment"] for row in rows] == ["as it is", "", "07"]
    assert rows[2]["height"] == "10.00"
    assert float(rows[0]["height"]) == pytest.approx(27, abs=12)  # in the units of the file, and near what width says
    assert float(rows[1]["height"]) == pytest.approx(0, abs=12)
    assert call("complete", "rnade", "gaps.csv", "-n", 50, "--temperature", 0.5, "--out", "many.csv")[0] == 0
    many = rows_of(home / "many.csv")
    assert [(row["row"], row["draw"]) for row in many[48:52]] == [("0", "48"), ("0", "49"), ("1", "0"), ("1", "1")]
    assert np.mean([float(row["height"]) for row in many[:50]]) == pytest.approx(27, abs=6)


def test_other_forms_of_completed_rows(call, home, run, table):
    run("eonade", table, "hidden=[8]", options=("--label", "kind", "--standardize"))
    assert call("complete", "eonade", table, "--split", "test", "--keep", 0.5, "--rows", 2, "--out", "x.parquet")[0] == 0
    (home / "nameless.csv").write_text("101;\n;20.5\n")
    assert call("complete", "eonade", "nameless.csv", "--out", "x.csv")[0] == 0
    one, two = rows_of(home / "x.csv")
    assert (one["x0"], two["x1"]) == ("101", "20.5")
    assert call("complete", "eonade", "nameless.csv", "--out", "x.npz", "-n", 3)[0] == 0
    arrays = np.load(home / "x.npz")
    assert arrays["mask"].tolist() == [[True, False], [False, True]]
    assert arrays["x"][0, 0] == pytest.approx(101)
    assert arrays["drawn"][:, :, 0][0] == pytest.approx(101)
    assert arrays["drawn"].shape == (2, 3, 2)


def test_counted_tables_fill_in_exactly(call, home, run):
    (home / "coins.csv").write_text("a,b\n" + "0,0\n1,1\n" * 50 + "2,0\n" * 2)
    run("markov", "coins.csv", "smoothing=0.0")
    (home / "gaps.csv").write_text("a,b\n,1\n0,\n")
    assert call("complete", "markov", "gaps.csv", "--out", "x.csv")[0] == 0
    assert (home / "x.csv").read_text().split() == ["a,b", "1,1", "0,0"]


def test_arrays_of_samples_are_in_the_units_of_the_file(call, home, run, table):
    run("vae", table, options=("--label", "kind", "--standardize", "--epochs", 30))
    assert call("sample", "vae", "-n", 200, "--out", "x.npz")[0] == 0
    assert np.load(home / "x.npz")["x"][:, 0].mean() == pytest.approx(100, abs=5)


def test_mistakes(call, home, run, table):
    run("vae", table, options=("--label", "kind", "--standardize"))
    run("eonade", table, "hidden=[4]", options=("--label", "kind", "--standardize"))
    run("nade", "digits", "hidden=4")
    run("pixelcnn", "digits", "hidden=4", "layers=1", "classes=10", options=("--binarize", "yes"))
    (home / "text.csv").write_text("width,height\n1,two\n")
    (home / "infinite.csv").write_text("width,height\n1,\n2,inf\n")
    for arguments, sentence in (
        (("sample", "vae", "--temperature", 0.5), "vae has no sample at a temperature. Models with draws at a temp"),
        (("sample", "nade", "--temperature", -1), "temperature must be at least 0, got -1.0"),
        (("sample", "nade", "--temperature", "nan"), "temperature must be at least 0, got nan"),
        (("sample", "nade", "--condition", "3"), "nade takes no condition, got '3': leave it out"),
        (("sample", "pixelcnn", "--condition", "33"), "condition '33' is not a label of pixelcnn: did you mean '3'?"),
        (("sample", "pixelcnn", "--condition", ""), "condition '' is not a label of pixelcnn"),
        (("sample", "pixelcnn", "--out", "x.jpg"), "samples can be written as .png, .npz, .npy, got --out x.jpg"),
        (("complete", "vae", table), "vae cannot draw a part of an event given the rest. Models that can: joint, independent"),
        (("complete", "nade", "digits", "--keep", "tpo"), "keep='tpo' is unknown: did you mean 'top'?"),
        (("complete", "nade", "digits", "--keep", "1.5"), "keep must be a share between 0 and 1, got 1.5"),
        (("complete", "nade", "digits", "--condition", "3"), "nade takes no condition, got '3'"),
        (("complete", "nade", "digits", "--temperature", "-2"), "temperature must be at least 0, got -2.0"),
        (("complete", "nade", "digits", "--out", "x.csv"), "completed rows can be written as .png, .npz, .npy"),
        (("complete", "nade", "digts"), "there is no data set and no file 'digts'"),
        (("complete", "nade", "digits", "--split", "tset"), "split='tset' is unknown: did you mean 'test'?"),
        (("complete", "eonade", table), "no cell is empty, so there is nothing to draw: leave cells empty"),
        (("complete", "eonade", table, "--keep", "top"), "keep='top' is for pictures, and these events have shape (2,)"),
        (("complete", "eonade", "text.csv"), "text.csv has the text 'two' in line 2, column 'height'"),
        (("complete", "eonade", "infinite.csv"), "infinite.csv holds NaN, Inf or a missing value in row 1, column 'height'"),
        (("complete", "nothing", table), "nothing holds no pofx run"),
    ):  # fmt: skip
        code, _, err = call(*arguments)
        assert code == 2, arguments
        assert err.startswith("Error: "), arguments
        assert sentence in err, err
    assert not list(home.glob("x.*"))
