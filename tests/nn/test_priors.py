"""Priors: what their samples are, which parts labels name, what densities they have, and what is no prior."""

import math

import numpy as np
import pytest
import torch

from pofx.core import ConfigError, DataError
from pofx.nn.priors import CircleMixture, Gaussian, LearnedMixture, Points, SwissRoll, Uniform, VampPrior, sampled_prior


def seed(number):
    return torch.Generator().manual_seed(number)


def within(values, expected, deviation):
    """The mean of the values is the expected one within 4 standard errors."""
    return abs(values.mean().item() - expected) < 4 * deviation / len(values) ** 0.5


@pytest.mark.parametrize("std", [1.0, 5.0])
def test_a_gaussian_has_its_moments_and_its_density(std):
    prior = Gaussian(3, std).double()
    z = prior.sample(4000, seed(0))
    assert within(z.flatten(), 0.0, std)
    assert within(z.flatten().square(), std**2, math.sqrt(2) * std**2)
    expected = torch.distributions.Normal(0.0, std).log_prob(z).sum(1)
    torch.testing.assert_close(prior.log_prob(z), expected)


def test_a_uniform_fills_its_square():
    z = Uniform(2).double().sample(4000, seed(0))
    assert z.abs().max() <= 1
    assert within(z.flatten(), 0.0, 3**-0.5)
    assert within(z.flatten().square(), 1 / 3, (4 / 45) ** 0.5)


def test_a_mixtures_density_is_that_of_torch_distributions_and_integrates_to_one():
    torch.manual_seed(0)
    prior = LearnedMixture(2, 3).double()
    with torch.no_grad():
        prior.logits.copy_(torch.tensor([0.5, -1.0, 0.2]))
        prior.log_variance.copy_(0.3 * torch.randn(3, 2))
    parts = torch.distributions.Independent(torch.distributions.Normal(prior.mean, (0.5 * prior.log_variance).exp()), 1)
    expected = torch.distributions.MixtureSameFamily(torch.distributions.Categorical(logits=prior.logits), parts)
    z = torch.randn(50, 2, dtype=torch.float64)
    torch.testing.assert_close(prior.log_prob(z), expected.log_prob(z))
    side = torch.linspace(-12, 12, 400, dtype=torch.float64)
    mass = prior.log_prob(torch.cartesian_prod(side, side)).exp().sum() * (side[1] - side[0]) ** 2
    assert mass.item() == pytest.approx(1, abs=1e-6)


def test_samples_of_a_learned_mixture_follow_its_density():
    torch.manual_seed(1)
    prior = LearnedMixture(2, 3).double()
    with torch.no_grad():
        prior.logits.copy_(torch.tensor([1.0, -1.0, 0.0]))
        z, mean = prior.sample(20_000, seed(0)), (prior.logits.softmax(0)[:, None] * prior.mean).sum(0)
    assert within(z[:, 0], mean[0].item(), z[:, 0].std().item())
    assert within(z[:, 1], mean[1].item(), z[:, 1].std().item())


def test_a_vamp_prior_is_the_mean_of_the_posteriors_of_its_inputs():
    posterior = lambda x: (x.flatten(1)[:, :2], x.flatten(1)[:, 2:4])  # noqa: E731
    prior = VampPrior(2, 3, (1, 2, 2), posterior).double()
    z = torch.randn(5, 2, dtype=torch.float64)
    mean, log_variance = posterior(prior.inputs.sigmoid())
    parts = [torch.distributions.Normal(m, (0.5 * v).exp()).log_prob(z).sum(1) for m, v in zip(mean, log_variance, strict=True)]
    torch.testing.assert_close(prior.log_prob(z), torch.stack(parts).exp().mean(0).log())


@pytest.mark.parametrize("classes", [1, 7, 10])
def test_the_mixtures_parts_lie_around_their_centres_drawn_out_along_the_radius(classes):
    prior = CircleMixture(2, classes).double()
    label = torch.arange(classes).repeat_interleave(500)
    z = prior.sample(len(label), seed(0), label)
    angle = 2 * math.pi * label / classes
    outward = z[:, 0] * angle.cos() + z[:, 1] * angle.sin()
    sideways = z[:, 1] * angle.cos() - z[:, 0] * angle.sin()
    for k in range(classes):
        assert within(outward[label == k], prior.radius, prior.along)
        assert within(sideways[label == k], 0.0, prior.across)
    assert within((outward - prior.radius).square(), prior.along**2, math.sqrt(2) * prior.along**2)
    assert within(sideways.square(), prior.across**2, math.sqrt(2) * prior.across**2)


def test_a_label_is_a_segment_of_the_swiss_roll_and_segments_are_of_one_length():
    prior = SwissRoll(2, 8).double()
    prior.thickness = 0.0
    label = torch.arange(8).repeat_interleave(300)
    z = prior.sample(len(label), seed(0), label)
    t = z.norm(dim=1) / prior.radius  # r = radius · t
    assert ((t.square() * 8).floor().long() == label).all()
    angle = torch.atan2(z[:, 1], z[:, 0])
    turned = (angle - 2 * math.pi * prior.turns * t) / (2 * math.pi)
    assert (turned - turned.round()).abs().max() < 1e-9  # the angle belongs to the radius
    assert within(t.square(), 0.5, 12**-0.5)  # uniform in t², which is in proportion to the length of a long spiral


@pytest.mark.parametrize("name", ["mixture", "swiss_roll"])
def test_without_labels_every_part_is_drawn_as_often(name):
    prior = sampled_prior(name, 2, classes=5)
    z, parts = prior.sample(5000, seed(0)), prior.sample(5000, seed(0), torch.arange(5).repeat(1000))
    assert within(z.square().sum(1), parts.square().sum(1).mean().item(), 2 * z.square().sum(1).std().item())


@pytest.mark.parametrize("name", ["gaussian", "uniform", "mixture", "swiss_roll"])
def test_samples_follow_their_generator_and_their_precision(name):
    prior = sampled_prior(name, 2).double()
    assert prior.sample(5, seed(0)).dtype == torch.float64
    assert torch.equal(prior.sample(5, seed(0)), prior.sample(5, seed(0)))
    assert not torch.equal(prior.sample(5, seed(0)), prior.sample(5, seed(1)))
    assert prior.sample(0).shape == (0, 2)


def test_the_users_samples_are_drawn_with_replacement_each_as_often():
    points = torch.tensor([[1.0], [2.0], [3.0]])
    z = sampled_prior(points, 1).sample(6000, seed(0))
    assert set(z.flatten().tolist()) == {1.0, 2.0, 3.0}
    assert within((z == 2).double(), 1 / 3, (2 / 9) ** 0.5)
    assert sampled_prior(points.numpy().astype(np.float64), 1).points.dtype == torch.float32


def test_the_users_samples_are_kept_as_they_were():
    points = torch.zeros(3, 2)
    prior = sampled_prior(points, 2)
    points += 1
    assert torch.equal(prior.points, torch.zeros(3, 2))


def test_labels_name_the_users_samples():
    z, label = torch.tensor([[0.0], [1.0], [0.1], [1.1], [1.2]]), [0, 1, 0, 1, 1]
    prior = sampled_prior((z, label), 1)
    assert prior.classes == 2
    asked = torch.arange(2).repeat(500)
    drawn = prior.sample(1000, seed(0), asked).flatten()
    assert set(drawn[asked == 0].tolist()) == {z[0].item(), z[2].item()}
    assert set(drawn[asked == 1].tolist()) == {z[1].item(), z[3].item(), z[4].item()}
    assert within((drawn[asked == 1] == z[4]).double(), 1 / 3, (2 / 9) ** 0.5)
    assert prior.recorded((z, label)) == {"points": 5, "classes": 2}


def test_a_function_is_asked_for_fresh_samples_and_kept_as_some():
    calls = []

    def normal(n):
        calls.append(n)
        return torch.randn(n, 2)

    prior = sampled_prior(normal, 2)
    assert calls == [10_000]
    assert prior.sample(7).shape == (7, 2)
    assert calls == [10_000, 7]
    drawn = prior.sample(7, seed(0))
    assert calls == [10_000, 7]
    assert all((prior.points == row).all(1).any() for row in drawn)
    assert prior.recorded(normal) == {"points": 10_000, "classes": 0}


def test_what_comes_with_the_weights_is_what_was_saved():
    for given in (torch.randn(20, 2), (torch.randn(20, 2), torch.arange(20) % 3)):
        prior = sampled_prior(given, 2)
        twin = sampled_prior(prior.recorded(given), 2)
        assert not torch.equal(twin.points, prior.points)
        twin.load_state_dict(prior.state_dict())
        label = torch.arange(6) % 3
        assert torch.equal(twin.sample(6, seed(0), label), prior.sample(6, seed(0), label))
        assert twin.recorded(prior.recorded(given)) == prior.recorded(given)


def test_samples_come_from_a_file_or_an_importable_function(tmp_path):
    np.save(tmp_path / "z.npy", np.full((3, 2), 7.0))
    assert (sampled_prior(str(tmp_path / "z.npy"), 2).sample(4) == 7).all()
    prior = sampled_prior(f"{__name__}:two_columns", 2)
    assert isinstance(prior, Points)
    assert (prior.sample(3) == 0.5).all()


def two_columns(n):
    return torch.full((n, 2), 0.5)


@pytest.mark.parametrize(
    ("prior", "latent", "error", "sentence"),
    [
        ("gausian", 2, ConfigError, "prior='gausian' is unknown: did you mean 'gaussian'"),
        ("mixture", 3, ConfigError, "prior='mixture' lies in the plane and needs latent=2, got latent=3"),
        ("swiss_roll", 1, ConfigError, "prior='swiss_roll' lies in the plane and needs latent=2, got latent=1"),
        ("there_is_none.npy", 2, ConfigError, "prior='there_is_none.npy': there is no such file"),
        ("pofx.nowhere:f", 2, ConfigError, "prior='pofx.nowhere:f' could not be imported"),
        ("pofx:nothing", 2, ConfigError, "prior='pofx:nothing' could not be imported"),
        ({"dots": 3}, 2, ConfigError, "is no prior: give"),
        (None, 2, ConfigError, "prior must be a name, an array of numbers or a function, got None"),
        (torch.zeros(5, 3), 2, DataError, r"prior expects samples of shape \(m, 2\), for latent=2, got \(5, 3\)"),
        (torch.zeros(0, 2), 2, DataError, r"prior expects samples of shape \(m, 2\), for latent=2, got \(0, 2\)"),
        (torch.tensor([[0.0, 0.0], [0.0, torch.nan]]), 2, DataError, "prior expects finite samples, got .*nan.* in row 1"),
        (lambda n: torch.zeros(n, 3), 2, DataError, r"prior expects samples of shape \(10000, 2\), .* got \(10000, 3\)"),
        (lambda n: torch.zeros(2, 2), 2, DataError, r"got \(2, 2\)"),
        ((torch.zeros(4, 2), torch.zeros(3)), 2, DataError, "prior expects a label of at least 0 for each of its 4 samples"),
        ((torch.zeros(4, 2), [0, 0, 2, 2]), 2, DataError, "prior has no samples with label 1"),
    ],
)  # fmt: skip
def test_what_is_no_prior_is_refused(prior, latent, error, sentence):
    with pytest.raises(error, match=sentence):
        sampled_prior(prior, latent)


def test_arguments_that_a_prior_does_not_have_are_refused():
    for std in (0.0, -1.0, math.inf, math.nan):
        with pytest.raises(ConfigError, match="prior_std"):
            sampled_prior("gaussian", 2, std)
    with pytest.raises(ConfigError, match=r"prior_std=2\.0 is for prior='gaussian' alone"):
        sampled_prior("uniform", 2, std=2.0)
    with pytest.raises(ConfigError, match="classes must be at least 1, got 0"):
        sampled_prior("mixture", 2, classes=0)
    with pytest.raises(ConfigError, match="components must be at least 1, got 0"):
        LearnedMixture(2, 0)
