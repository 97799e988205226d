"""Latent space from the command line: what is decoded is what the codes say, and mistakes get their sentence."""

import csv
import json

import numpy as np
import pytest
import torch
from PIL import Image

import pofx
from pofx.core import CapabilityError, ConfigError
from pofx.evaluation import Judge
from pofx.factors import FactorJudge
from pofx.latents import coded, interpolate, reconstruct, traverse
from pofx.metrics import mutual_information_gap
from pofx.nn.priors import Gaussian
from pofx.strips import stacked, titled_grid


class Linear(torch.nn.Module):
    """z -> A z with one large column and one of zeros."""

    def __init__(self):
        super().__init__()
        self.register_buffer("A", torch.tensor([[1.0, 0, 5], [2, 0, 5], [0, 0, 5], [0, 0, 5]]))

    def forward(self, z):
        return z @ self.A.T


@pytest.fixture
def linear():
    """A VAE of (4,) events whose decoder is linear: dimension 2 moves most, dimension 1 nothing."""
    model = pofx.build("vae", (4,), latent=3, hidden=[4], likelihood="gaussian")
    model.decoder = Linear()
    return model


@pytest.fixture
def vae(call, home):
    """A VAE of the digits, trained for an epoch, in the folder vae."""
    code, _, err = call("fit", "vae", "digits", "--out", "vae", "--epochs", 1, "--set", "latent=4", "--set", "hidden=[32]")
    assert code == 0, err
    return pofx.load("vae")


def test_a_traversal_moves_one_dimension_at_a_time(linear):
    origin = torch.tensor([0.5, -1.0, 0.25])
    found = traverse(linear, origin, reach=2.0, steps=5)
    assert found.dims == [2, 0, 1]
    assert found.values.tolist() == [[-2, -1, 0, 1, 2]] * 3
    for row, dim in enumerate(found.dims):
        z = origin.repeat(5, 1)
        z[:, dim] = torch.linspace(-2, 2, 5)
        torch.testing.assert_close(found.x[row], z @ linear.decoder.A.T)
    torch.testing.assert_close(found.start, linear.decoder.A @ origin)
    torch.testing.assert_close(found.activity, 2.5 * torch.tensor([1.25, 0, 25]))  # mean square of a column, var of -2..2
    assert traverse(linear).origin.tolist() == [0, 0, 0]


def test_codes_tell_which_dimensions_are_active(linear):
    codes = torch.tensor([[1.0, 5, 0], [-1, -5, 0], [0, 0, 0.1]])
    found = traverse(linear, codes=codes, most=2)
    assert found.dims == [1, 0]
    torch.testing.assert_close(found.activity, codes.var(0))
    assert "codes of 3 events" in found.measure
    assert traverse(linear, codes=codes, dims=[2, 0]).dims == [2, 0]  # as they were asked for


def test_the_range_is_in_deviations_of_the_prior(linear):
    linear.prior = Gaussian(3, std=5.0)
    assert traverse(linear, reach=2.0, steps=3).values.tolist() == [[-10, 0, 10]] * 3
    mixture = pofx.build("vae", (4,), latent=3, hidden=[4], likelihood="gaussian", prior="mixture", components=2)
    with torch.no_grad():
        mixture.prior.mean.copy_(torch.tensor([[1.0, 0, 0], [3, 0, 0]]))
        mixture.prior.log_variance.fill_(-20)
    values = traverse(mixture, reach=1.0, steps=3, dims=[0, 1]).values
    torch.testing.assert_close(values[0], torch.tensor([1.0, 2, 3]), atol=0.03, rtol=0)  # deviation 1 about the mean 2
    assert values[1].abs().max() < 1e-3


def test_a_gan_is_traversed_about_a_draw():
    model = pofx.build("gan", (4,), latent=3, hidden=[8]).eval()
    found, again, other = (traverse(model, seed=seed) for seed in (1, 1, 2))
    assert found.origin.abs().min() > 0
    assert torch.equal(found.x, again.x)
    assert not torch.equal(found.origin, other.origin)
    torch.testing.assert_close(found.start, model.decode(found.origin[None])[0])
    for function in (coded, reconstruct):
        with pytest.raises(
            CapabilityError,
            match=r"what its encoder gives. Models with an encoder and its decoder: aae, vae, wae\.",
        ):
            function(model, torch.zeros(2, 4))


def test_interpolations_are_decoded_lines(linear):
    a, b = torch.randn(2, 5, 4, generator=torch.Generator().manual_seed(0))
    between = interpolate(linear, a, b, steps=4)
    first, last = linear.encode(a), linear.encode(b)
    t = torch.linspace(0, 1, 4)[None, :, None]
    torch.testing.assert_close(between, ((1 - t) * first[:, None] + t * last[:, None]) @ linear.decoder.A.T)
    torch.testing.assert_close(between[:, 0], reconstruct(linear, a))
    with pytest.raises(ConfigError, match="needs at least 2 steps and as many a as b, got steps=1"):
        interpolate(linear, a, b, steps=1)


def test_a_conditional_model_is_given_labels():
    torch.manual_seed(0)
    model = pofx.build("vae", (4,), latent=3, hidden=[8], likelihood="gaussian", classes=3)
    x, labels = torch.randn(6, 4), torch.tensor([0, 1, 2, 2, 1, 0])
    torch.testing.assert_close(reconstruct(model, x, labels), model.reconstruct(x, labels))
    torch.testing.assert_close(coded(model, x, labels), model.encode(x, labels))
    ends = interpolate(model, x[:3], x[3:], 2, (labels[:3], labels[3:]))
    torch.testing.assert_close(ends[:, 0], model.reconstruct(x[:3], labels[:3]))
    torch.testing.assert_close(ends[:, 1], model.reconstruct(x[3:], labels[3:]))
    found = traverse(model, label=2)
    torch.testing.assert_close(found.start, model.decode(torch.zeros(1, 3), torch.tensor([2]))[0])


def test_what_a_code_has_before_z_stays():
    torch.manual_seed(0)
    model, x = pofx.build("aae", (4,), latent=2, hidden=[8], output="real", categories=3), torch.randn(6, 4)
    codes = coded(model, x)
    found = traverse(model, codes[4], codes, steps=3)
    assert sorted(found.dims) == [0, 1]
    assert found.dims == codes[:, 3:].var(0).argsort(descending=True).tolist()
    z = codes[4].repeat(3, 1)
    z[:, 3 + found.dims[0]] = torch.tensor([-3.0, 0, 3])
    torch.testing.assert_close(found.x[0], model.decode(z))
    ends = interpolate(model, x[:3], x[3:], 2)
    torch.testing.assert_close(ends[:, 1], model.reconstruct(x[3:]))
    labelled = pofx.build("aae", (4,), latent=2, hidden=[8], output="real", supervision="classes", classes=3)
    labels = torch.arange(6) % 3
    ends = interpolate(labelled, x[:3], x[3:], 2, (labels[:3], labels[3:]))
    torch.testing.assert_close(ends[:, 0], labelled.reconstruct(x[:3]))


def test_traverse_on_the_command_line(call, home, vae):
    code, out, err = call("traverse", "vae", "--data", "digits", "--row", 7, "--most", 2, "--out", "x.npz", "--steps", 3)
    assert code == 0, err
    x = pofx.load_data("digits").test.x if vae.likelihood != "bernoulli" else pofx.load_data("digits", binarize=True).test.x
    codes, arrays = vae.encode(x), np.load(home / "x.npz")
    assert arrays["dims"].tolist() == codes.var(0).argsort(descending=True)[:2].tolist()
    assert np.allclose(arrays["origin"], codes[7], atol=1e-5)
    z = codes[7].repeat(3, 1)
    z[:, arrays["dims"][0]] = torch.tensor([-3.0, 0, 3])
    assert np.allclose(arrays["x"][0], vae.decode(z), atol=1e-5)
    assert "variance of the codes of 300 events: z" in out
    assert "2 of 4 latent dimensions, 3 steps each -> x.npz" in out
    assert call("traverse", "vae", "--dims", "2,0", "--range", 1, "--out", "y.npz")[0] == 0
    assert np.load(home / "y.npz")["dims"].tolist() == [2, 0]


def test_pictures_have_a_column_for_every_step(call, home, vae):
    assert call("traverse", "vae", "--steps", 5)[0] == 0
    assert call("traverse", "vae", "--steps", 5, "--data", "digits", "--row", 0, "--out", "from.png")[0] == 0
    with Image.open(home / "vae" / "traverse.png") as short, Image.open(home / "from.png") as long:
        assert long.width - short.width == 48 + 2  # one more, the event that the rows start from
        assert long.height == short.height
    assert call("interpolate", "vae", "digits", "--rows", "0,5,3,4")[0] == 0
    assert call("reconstruct", "vae", "digits", "-n", 3)[0] == 0
    assert (home / "vae" / "interpolate.png").is_file()
    assert (home / "vae" / "reconstruct.png").is_file()


def test_interpolate_and_reconstruct_on_the_command_line(call, home, vae):
    x = pofx.load_run_data("vae").test.x
    assert call("interpolate", "vae", "digits", "--rows", "0,5,3,4", "--steps", 4, "--out", "x.npz")[0] == 0
    arrays = np.load(home / "x.npz")
    assert arrays["pairs"].tolist() == [[0, 5], [3, 4]]
    assert np.allclose(arrays["x"], vae.interpolate(x[[0, 3]], x[[5, 4]], 4), atol=1e-5)
    code, out, _ = call("reconstruct", "vae", "digits", "-n", 2, "--out", "y.npz")
    assert code == 0
    back = vae.reconstruct(x)
    assert np.allclose(np.load(home / "y.npz")["x"], torch.stack([x, back], 1)[:2], atol=1e-5)
    error, spread = (back - x).square().mean(), (x - x.mean(0)).square().mean()
    assert f"Mean squared error a value: {error:.4g} ± " in out
    assert f"over 300 rows; of their mean event {spread:.4g}." in out


def test_tables_come_back_in_the_units_of_the_file(call, home):
    rng = np.random.default_rng(0)
    (home / "table.csv").write_text("width,height\n" + "".join(f"{a:.3f},{b:.3f}\n" for a, b in 100 + rng.normal(size=(80, 2))))
    assert call("fit", "vae", "table.csv", "--standardize", "--out", "run", "--epochs", 1, "--set", "latent=2")[0] == 0
    for command in (("traverse", "run"), ("interpolate", "run", "table.csv"), ("reconstruct", "run", "table.csv")):
        code, _, err = call(*command)
        assert code == 0, err
    tables = {}
    for name in ("traverse", "interpolate", "reconstruct"):
        with (home / "run" / f"{name}.csv").open() as file:
            tables[name] = list(csv.DictReader(file))
        assert all(90 < float(row["width"]) < 110 for row in tables[name])
    assert [len(rows) for rows in tables.values()] == [2 * 9, 6 * 10, 80 * 2]
    assert {row["dimension"] for row in tables["traverse"]} == {"z0", "z1"}
    assert [row["deviations"] for row in tables["traverse"][:3]] == ["-3", "-2.25", "-1.5"]
    one, back = tables["reconstruct"][:2]
    assert (one["row"], one["kind"], back["kind"]) == ("0", "event", "reconstruction")
    with (home / "table.csv").open() as file:
        assert float(one["height"]) == pytest.approx(float(next(csv.DictReader(file))["height"]), abs=1e-3)


def test_strips_are_cut_and_stacked():
    x = torch.arange(10.0).view(2, 5, 1)
    assert stacked(x, 3).squeeze(2).tolist() == [[0, 1, 2], [5, 6, 7], [3, 4, 0.5], [8, 9, 0.5]]
    assert torch.equal(stacked(x, 8), x)
    black = np.array(titled_grid(torch.zeros(2, 3, 1, 60, 60), ["a", "b"], ["", "", ""]).convert("L"))
    assert (black == 0).all(1).sum() == 0
    assert ((black == 0).sum(1) >= 3 * 60).sum() == 2 * 60  # the rows of pixels of two rows of pictures


def test_mistakes(call, home, vae):
    call("fit", "nade", "digits", "--out", "nade", "--epochs", 0.1, "--set", "hidden=4")
    call("fit", "gan", "digits", "--out", "gan", "--epochs", 0.1)
    call("fit", "vae", "digits", "--out", "labels", "--epochs", 0.1, "--set", "classes=10", "--set", "hidden=[8]")
    for arguments, sentence in (
        (("traverse", "nade"), "nade has no decode. Models with decoder from latents: "),
        (("traverse", "gan", "--data", "digits"), "gan has no reconstruct: its decoder does not take what its encoder gives. "),
        (("traverse", "vae", "--dims", "0,x"), "dims='0,x' is no list of whole numbers: write for example 0,3."),
        (("traverse", "vae", "--dims", "0,4"), "dims must be in 0..3, got 4: the model has 4 latent dimensions."),
        (("traverse", "vae", "--dims", "1,1"), "dims must name dimensions, each once, got [1, 1]"),
        (("traverse", "vae", "--dims", "1", "--most", 2), "dims=1 and most=2 both say what to show"),
        (("traverse", "vae", "--range", -1), "range must be a positive number of standard deviations, got -1"),
        (("traverse", "vae", "--range", "nan"), "range must be a positive number of standard deviations, got nan"),
        (("traverse", "vae", "--steps", 1), "steps must be at least 2, got 1"),
        (("traverse", "vae", "--row", 1), "row=1 needs data to count in: give --data"),
        (("traverse", "vae", "--row", 300, "--data", "digits"), "there is no row 300: digits has the rows 0 to 299 here"),
        (("traverse", "vae", "--condition", "3"), "vae takes no condition, got '3'"),
        (("traverse", "labels", "--condition", "33"), "condition '33' is not a label of vae: did you mean '3'?"),
        (("traverse", "vae", "--out", "x.csv"), "events side by side can be written as .png, .npz, .npy, got --out x.csv"),
        (("traverse", "vae", "--data", "digts"), "there is no data set and no file 'digts'"),
        (("interpolate", "vae", "digits", "--rows", "1,2,3"), "rows must be pairs, got 3 of them"),
        (("interpolate", "vae", "digits", "--rows", "1-2"), "rows='1-2' is no list of whole numbers"),
        (("interpolate", "vae", "digits", "--steps", 1), "needs at least 2 steps and as many a as b, got steps=1"),
        (("interpolate", "gan", "digits"), "gan has no reconstruct: its decoder does not take what its encoder gives"),
        (("reconstruct", "nade", "digits"), "nade has no reconstruct. Models with an encoder and its decoder: "),
        (("reconstruct", "nothing", "digits"), "nothing holds no pofx run"),
    ):  # fmt: skip
        code, _, err = call(*arguments)
        assert code == 2, arguments
        assert err.startswith("Error: "), arguments
        assert sentence in err, err
    assert not list(home.glob("x.*"))
    assert call("traverse", "labels", "--condition", "3", "--out", "three.npz")[0] == 0
    assert call("reconstruct", "labels", "digits", "-n", 2)[0] == 0


@pytest.fixture(scope="module")
def drawn():
    return pofx.load_data("shapes", n=300, size=16)


class Oracle(torch.nn.Module):
    """Encodes the events of some data as their true factors."""

    classes, device, rows_at_once = None, torch.device("cpu"), 1000

    def __init__(self, x, factors):
        super().__init__()
        self.known = {event.numpy().tobytes(): row for event, row in zip(x, factors.float(), strict=True)}

    def encode(self, x):
        return torch.stack([self.known[event.numpy().tobytes()] for event in x])


def test_factors_of_shapes_are_those_of_its_captions(drawn):
    judge = FactorJudge.for_data(drawn)
    assert judge.names == ["shape", "colour", "size", "position"]
    assert torch.equal(judge.train_factors[:, 0], drawn.train.label)
    assert torch.equal(judge.train, drawn.train.x)
    assert torch.equal(judge.held_out, torch.cat([drawn.valid.x, drawn.test.x]))
    for row, caption in enumerate(drawn.train.extras["caption"]):
        words = [["red", "green", "blue", "yellow", "purple", "orange"], ["small", "large"]]
        places = ["top left", "top right", "centre", "bottom left", "bottom right"]
        colour, size = (next(i for i, word in enumerate(ws) if word in caption) for ws in words)
        position = next(i for i, place in enumerate(places) if place in caption)
        assert judge.train_factors[row, 1:].tolist() == [colour, size, position]


def test_true_factors_as_codes_are_judged_perfect(drawn, monkeypatch):
    judge = FactorJudge.for_data(drawn)
    oracle = Oracle(torch.cat([judge.train, judge.held_out]), torch.cat([judge.train_factors, judge.factors]))
    monkeypatch.setattr("pofx.factors.require", lambda model, _: model)
    figures = judge.judge(oracle)
    bias = 0.5  # of the gap's other dimensions, with 90 events: I has up to 5 * 4 / 180 nats too much, of ln 2 = 0.7 nats
    assert 1 - bias < figures["mig"]["value"] < 1
    assert figures["beta_vae_score"]["value"] > 0.99
    assert figures["factor_vae_score"]["value"] > 0.95
    assert figures["mig"]["by_factor"].keys() == {"shape", "colour", "size", "position"}
    assert "mig_sampled" not in figures


@pytest.fixture
def attributed(small_data):
    """Events of four numbers, of which two say what their two attributes are; a third attribute never varies."""
    noise = torch.randn(80, 4, generator=torch.Generator().manual_seed(0))
    attributes = torch.stack([torch.arange(80) % 2, torch.ones(80), torch.arange(80) // 2 % 2], 1).float()
    x = torch.cat([8 * attributes[:, [0, 2]] - 4 + 0.1 * noise[:, :2], noise[:, 2:]], 1)
    data = small_data(x[:40], x[40:], torch.distributions.constraints.real)
    for split, chosen in ((data.train, attributes[:40]), (data.valid, attributes[40:]), (data.test, attributes[40:])):
        split.extras["attributes"] = chosen
    return data


def test_binary_attributes_are_factors_each(attributed):
    judge = FactorJudge.for_data(attributed)
    assert judge.names == ["attribute 0", "attribute 2"]
    assert judge.factors[:4].tolist() == [[0, 0], [1, 0], [0, 1], [1, 1]]


def test_evaluation_reports_disentanglement_where_factors_are_known(attributed, digits):
    judge = Judge(attributed)
    model = pofx.build("vae", (4,), latent=4, hidden=[], likelihood="gaussian")
    with torch.no_grad():  # encoder: mean x, deviation 1
        layer = next(m for m in model.encoder.modules() if isinstance(m, torch.nn.Linear))
        layer.weight.copy_(torch.cat([torch.eye(4), torch.zeros(4, 4)]))
        layer.bias.zero_()
    figures = judge.judge(model).figures
    found = json.loads(json.dumps(figures))["disentanglement"]
    assert found["factors"] == ["attribute 0", "attribute 2"]
    codes = model.encode(judge.factors.held_out)
    assert found["mig"]["value"] == pytest.approx(mutual_information_gap(codes, judge.factors.factors).value)
    assert 0.5 < found["mig"]["value"] < 1  # noise knows something of few events in 20 bins
    assert 0.9 < found["mig_sampled"]["value"] <= 1
    assert found["mig_sampled"]["by_factor"].keys() == {"attribute 0", "attribute 2"}
    assert found["beta_vae_score"] == {"value": 1.0, "stderr": 0.0, "n": 1000, "unit": "share"}
    assert found["factor_vae_score"]["value"] == 1
    assert judge.judge(model).figures["disentanglement"] == found
    assert FactorJudge.for_data(digits) is None


@pytest.mark.parametrize("command", ["traverse", "interpolate", "reconstruct"])
def test_every_command_has_help_with_an_example(call, command):
    code, out, _ = call(command, "--help")
    assert code == 0
    assert f"Example: pofx {command}" in " ".join(out.split())
