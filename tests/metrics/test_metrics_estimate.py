import json
import math

import pytest
import torch

from pofx.core import ConfigError, DataError
from pofx.metrics import Estimate, bits_per_dim, mean_estimate, share_estimate


def test_mean_and_its_standard_error():
    estimate = mean_estimate(torch.tensor([1.0, 2.0, 3.0, 4.0], dtype=torch.float64), "nats")
    assert estimate.value == 2.5
    assert estimate.stderr == pytest.approx(math.sqrt(5 / 3) / 2, rel=1e-12)
    assert (estimate.n, estimate.unit) == (4, "nats")


def test_mean_is_taken_in_double_precision():
    assert mean_estimate(torch.full((10_000_000,), 0.1, dtype=torch.float32), "nats").value == pytest.approx(0.1, abs=2e-9)


def test_no_error_of_one_value_or_of_an_infinite_mean():
    assert mean_estimate(torch.tensor([7.0]), "nats") == Estimate(7.0, None, 1, "nats")
    assert mean_estimate(torch.tensor([-1.0, -math.inf]), "nats") == Estimate(-math.inf, None, 2, "nats")


def test_nan_is_explained_and_nothing_is_refused():
    with pytest.raises(DataError, match="NaN in row 1 of 2"):
        mean_estimate(torch.tensor([1.0, math.nan]), "nats")
    with pytest.raises(DataError, match="at least one value"):
        mean_estimate(torch.empty(0), "nats")


def test_share_is_binomial():
    assert share_estimate(20, 100) == Estimate(0.2, 0.04, 100, "share")
    assert share_estimate(5, 5).stderr == 0
    for hits, n in ((1, 0), (3, 2), (-1, 2)):
        with pytest.raises(DataError, match=f"hits={hits}, n={n}"):
            share_estimate(hits, n)


def test_an_estimate_is_json():
    estimate = share_estimate(1, 4)
    assert Estimate(**json.loads(json.dumps(estimate.as_dict()))) == estimate


def test_bits_per_dim_of_known_likelihoods():
    mnist = Estimate(-79.20, 0.1, 10_000, "nats")
    assert bits_per_dim(mnist, 784).value == pytest.approx(0.1457, abs=5e-5)
    assert bits_per_dim(mnist, 784).stderr == pytest.approx(0.1 / 784 / math.log(2))
    assert bits_per_dim(Estimate(-6388.0, None, 1, "nats"), 3072).value == pytest.approx(3.0, abs=5e-5)
    uniform = Estimate(-100 * math.log(256), None, 1, "nats")
    assert bits_per_dim(uniform, 100) == Estimate(pytest.approx(8.0, abs=1e-12), None, 1, "bits/dim")


def test_bits_per_dim_does_not_depend_on_the_scale_of_dequantised_data():
    # A density on u + noise, u in 0..255, and the same density after scaling to [0, 1): nats differ by D ln 256.
    dims, nats = 12, -50.0
    in_units = Estimate(nats, 0.5, 9, "nats")
    scaled = Estimate(nats + dims * math.log(256), 0.5, 9, "nats")
    assert bits_per_dim(scaled, dims, dequantized=256).value == pytest.approx(bits_per_dim(in_units, dims).value, rel=1e-12)
    uniform = Estimate(0.0, None, 1, "nats")  # of a density on [0, 1): 1 everywhere
    assert bits_per_dim(uniform, dims, dequantized=256).value == 8.0


def test_uniform_dequantisation_is_a_bound():
    # Histogram density on [0, 2), four cells of width 1/2; the probability of a unit cell is the mean of its two halves.
    halves = torch.tensor([[0.7, 0.3], [0.5, 0.5]], dtype=torch.float64)
    bound = halves.log().mean(1)
    exact = halves.mean(1).log()
    assert bound[0] < exact[0]
    assert bound[1] == exact[1]
    assert bits_per_dim(mean_estimate(bound, "nats"), 1).value > bits_per_dim(mean_estimate(exact, "nats"), 1).value


def test_bits_per_dim_refuses_other_units():
    with pytest.raises(ConfigError, match="unit 'share'"):
        bits_per_dim(share_estimate(1, 2), 4)
    with pytest.raises(ConfigError, match="dims=0"):
        bits_per_dim(Estimate(-1.0, None, 1, "nats"), 0)
