"""The command line as a newcomer meets it: own files, every command, and a sentence for every mistake."""

import csv
import json
import subprocess
import sys

import numpy as np
import pytest
import torch
from PIL import Image

import pofx


@pytest.fixture
def pictures(home):
    rng = np.random.default_rng(0)
    for kind in ("dark", "light"):
        (home / "pictures" / kind).mkdir(parents=True)
        for i in range(20):
            values = rng.integers(0, 128, (12, 10, 3)) + (128 if kind == "light" else 0)
            Image.fromarray(values.astype(np.uint8)).save(home / "pictures" / kind / f"{i}.png")
    return home / "pictures"


@pytest.fixture
def table(home):
    rng = np.random.default_rng(0)
    with (home / "table.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["width", "height", "kind"])
        writer.writerows([f"{100 + 9 * a:.4f}", f"{b:.4f}", "ab"[i % 2]] for i, (a, b) in enumerate(rng.normal(size=(60, 2))))
    return home / "table.csv"


def rows_of(path):
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def test_help_answers_without_waiting_for_torch():
    script = "import sys; import pofx.cli; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == 0


@pytest.mark.parametrize("command", ["models", "data", "fit", "sample", "complete", "score", "encode", "evaluate", "compare"])
def test_every_command_has_help_with_an_example(call, command):
    code, out, _ = call(command, "--help")
    assert code == 0
    assert f"Example: pofx {command}" in " ".join(out.split())


def test_lists(call):
    assert all(name in call("models")[1] for name in pofx.MODELS)
    assert all(name in call("data")[1] for name in ("digits", "shapes", "binarized_mnist"))


def test_digits_from_training_to_evaluation(call, home):
    code, out, _ = call("fit", "nade", "digits", "--out", "run", "--epochs", 1, "--set", "hidden=8")
    assert code == 0, out
    assert "1,200 / 297 / 300" in out  # the splits are printed
    assert "binarised at 0.5" in out
    assert call("sample", "run", "-n", 4)[0] == 0
    with Image.open(home / "run" / "samples.png") as picture:
        assert picture.mode == "RGB"
    assert call("score", "run", "digits", "--out", "scores.parquet")[0] == 0
    assert call("score", "run", "digits", "--split", "valid")[0] == 0
    scores = rows_of(home / "run" / "scores.csv")
    model, data = pofx.load("run"), pofx.load_data("digits", binarize=True)
    expected = model.log_prob(data.valid.x)
    torch.testing.assert_close(torch.tensor([float(row["log_prob"]) for row in scores]), expected.detach())
    assert call("encode", "run", "digits", "--split", "all")[0] == 0
    assert np.load(home / "run" / "codes.npz")["codes"].shape == (1797, 8)
    code, out, _ = call("evaluate", "run")
    assert code == 0
    assert "nade" in out
    figures = json.loads((home / "run" / "evaluation.json").read_text())["models"]["nade"]
    assert figures["log_likelihood"]["kind"] == "exact"
    assert figures["log_likelihood"]["n"] == 300


def test_a_folder_of_pictures(call, home, pictures):
    code, _, err = call("fit", "vae", pictures, "--out", "run")
    assert code == 0, err
    assert call("score", "run", pictures)[0] == 0
    scores = rows_of(home / "run" / "scores.csv")
    assert [row["file"] for row in scores[:2]] == ["dark/0.png", "dark/1.png"]  # all pictures, in the order of their names
    assert len(scores) == 40
    assert call("encode", "run", pictures / "light" / "3.png", "--out", "one.csv")[0] == 0
    assert rows_of(home / "one.csv")[0]["file"] == "3.png"


def test_a_table_keeps_its_units_and_order(call, home, table):
    options = ("--label", "kind", "--standardize")
    assert call("fit", "vae", table, *options, "--out", "run", "--set", "hidden=[16]", "--epochs", 300)[0] == 0
    assert call("sample", "run", "-n", 200, "--out", "samples.csv")[0] == 0
    widths = [float(row["width"]) for row in rows_of(home / "samples.csv")]
    assert 96 < np.mean(widths) < 104  # in the units of the file, not standardised
    assert 6 < np.std(widths) < 12
    (home / "new.csv").write_text("width,height\n100,0\n100,60\n")
    assert call("score", "run", "new.csv")[0] == 0
    near, far = (float(row["anomaly_score"]) for row in rows_of(home / "run" / "scores.csv"))
    assert far > near + 10


def test_an_array_file(call, home):
    rng = np.random.default_rng(0)
    np.savez(home / "mine.npz", images=(rng.random((60, 6, 6)) > 0.7).astype(np.uint8) * 255)
    assert call("fit", "markov", "mine.npz", "--out", "run")[0] == 0
    assert call("sample", "run", "--out", "s.npz", "-n", 5)[0] == 0
    assert np.load(home / "s.npz")["x"].shape == (5, 1, 6, 6)


def test_the_same_seed_gives_the_same_samples(call, home):
    call("fit", "markov", "digits", "--binarize", "yes", "--out", "run")
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        call("sample", "run", "-n", 8, "--seed", seed, "--out", f"{name}.npy")
    a, b, c = (np.load(home / f"{name}.npy") for name in "abc")
    assert (a == b).all()
    assert not (a == c).all()


def test_compare_writes_the_report_and_takes_up_what_is_done(call, home):
    arguments = ("compare", "digits", "--models", "markov,nade:hidden=8,order=random,gan", "--epochs", 1, "--out", "out")
    code, _, err = call(*arguments)
    assert code == 0, err
    report = json.loads((home / "out" / "report.json").read_text())
    assert list(report["models"]) == ["markov", "nade:hidden=8,order=random", "gan"]
    assert report["models"]["gan"]["log_likelihood"] is None
    assert "implicit" in report["models"]["gan"]["why"]["log_likelihood"]
    assert "<img" in (home / "out" / "report.html").read_text()
    weights = {path: path.stat().st_mtime_ns for path in home.glob("out/models/nade*/model.safetensors")}
    assert len(weights) == 1
    assert call(*arguments)[0] == 0
    assert {path: path.stat().st_mtime_ns for path in weights} == weights  # not trained again


def test_compare_chooses_models_that_can_learn_the_data(call, home, table):
    assert call("compare", table, "--label", "kind", "--epochs", 1, "--out", "out")[0] == 0
    assert list(json.loads((home / "out" / "report.json").read_text())["models"]) == ["rnade", "vae", "gan"]


def test_pictures_are_dequantised_for_a_model_of_real_values(call, home):
    code, out, _ = call("fit", "rnade", "digits", "--epochs", 1, "--set", "hidden=4", "--set", "components=2", "--out", "run")
    assert code == 0
    assert "rnade cannot learn values in {0, 1/16, ..., 1}: dequantised" in out


MISTAKES = {
    "model": (("fit", "nadee", "digits"), "there is no model 'nadee': did you mean 'nade'?"),
    "data": (("fit", "nade", "digts"), "there is no data set and no file 'digts': did you mean 'digits'?"),
    "file": (("fit", "vae", "nowhere.csv"), "nowhere.csv"),
    "argument": (("fit", "nade", "digits", "--set", "hiden=3"), "have no 'hiden': did you mean 'hidden'?"),
    "type": (("fit", "nade", "digits", "--set", "hidden=many"), "nade expects hidden to be a whole number, got 'many'"),
    "assignment": (("fit", "nade", "digits", "--set", "hidden"), "'hidden' is no assignment: write key=value"),
    "binarize": (
        ("fit", "nade", "digits", "--binarize", "perhaps"),
        "binarize may be auto, yes, no, draw, redraw or a threshold",
    ),
    "support": (("fit", "markov", "digits", "--dequantize"), "markov counts discrete values, and the data are [0, 1]"),
    "steps": (("fit", "nade", "digits", "--steps", "0"), "steps must be a whole number of at least 1, got 0"),
    "run": (("sample", "nothing"), "nothing holds no pofx run"),
    "spec": (("compare", "digits", "--models", "hidden=3"), "'hidden=3' stands before any model"),
    "compared": (("compare", "digits", "--models", "nade,vea"), "there is no model 'vea': did you mean 'vae'?"),
    "no value": (("compare", "digits", "--models", ""), "names no model"),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_is_one_sentence_and_exit_code_2(call, home, mistake):
    arguments, sentence = MISTAKES[mistake]
    code, _, err = call(*arguments)
    assert code == 2
    assert err.startswith("Error: ")
    assert sentence in err
    assert "Traceback" not in err
    assert not (home / "runs").exists()  # nothing half-made is left behind


def test_mistakes_with_a_trained_run(call, home):
    assert call("fit", "gan", "digits", "--epochs", 1, "--out", "run", "--binarize", "yes")[0] == 0
    for arguments, sentence in (
        (("score", "run", "digits"), "gan has no anomaly_score. Models with anomaly score: aae, autoregressive"),
        (("sample", "run", "--out", "grid.jpeg2"), "samples can be written as .png, .npz, .npy, got --out grid.jpeg2"),
        (("encode", "run", "digits", "--split", "tests"), "split='tests' is unknown: did you mean 'test'?"),
        (("encode", "run", "rings"), "rings"),
        (("fit", "gan", "digits", "--epochs", 1, "--out", "run", "--binarize", "yes"), "holds a finished run of 20 steps"),
        (("fit", "vae", "digits", "--out", "run", "--resume", "--binarize", "yes"), "holds another run: name is 'gan' there"),
    ):
        code, _, err = call(*arguments)
        assert code == 2, arguments
        assert sentence in err
