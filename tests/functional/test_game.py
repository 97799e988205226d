"""The rules of adversarial games: closed forms of every loss and penalty, packing, and what is not minimised."""

import math

import pytest
import torch

from pofx.core import ConfigError
from pofx.functional.adversarial import DISCRIMINATOR_LOSSES, GENERATOR_LOSSES, figures
from pofx.functional.game import Game
from pofx.functional.penalties import gradient_penalty, squared_slope

REAL, FAKE = torch.tensor([2.0, 0.5, -1.0]).double(), torch.tensor([-3.0, 0.25, 1.5]).double()
W = torch.tensor([1.0, -2.0, 2.0]).double()  # of norm 3


def linear(x):
    return x.flatten(1) @ W


def events(n=6, seed=0):
    return torch.randn(n, 3, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def minimised(terms):
    return sum(value for value in terms.values() if value.requires_grad)


def test_least_squares_aims_at_one_and_at_zero():
    terms = DISCRIMINATOR_LOSSES["least-squares"](REAL, FAKE)
    assert terms["real"].item() == pytest.approx((1 + 0.25 + 4) / 6)
    assert terms["fake"].item() == pytest.approx((9 + 0.0625 + 2.25) / 6)
    assert GENERATOR_LOSSES["least-squares"](FAKE).item() == pytest.approx((16 + 0.5625 + 0.25) / 6)


def test_wasserstein_is_a_difference_of_means():
    terms = DISCRIMINATOR_LOSSES["wasserstein"](REAL, FAKE)
    assert sum(terms.values()).item() == pytest.approx(FAKE.mean().item() - REAL.mean().item())
    assert GENERATOR_LOSSES["wasserstein"](FAKE).item() == pytest.approx(-FAKE.mean().item())


def test_hinge_asks_for_a_margin_of_one_and_nothing_beyond():
    terms = DISCRIMINATOR_LOSSES["hinge"](REAL, FAKE)
    assert terms["real"].item() == pytest.approx((0 + 0.5 + 2) / 3)
    assert terms["fake"].item() == pytest.approx((0 + 1.25 + 2.5) / 3)
    real, fake = (x.clone().requires_grad_() for x in (REAL, FAKE))
    sum(DISCRIMINATOR_LOSSES["hinge"](real, fake).values()).backward()
    assert real.grad[0] == 0 and fake.grad[0] == 0  # noqa: PT018
    assert real.grad[1] != 0 and fake.grad[1] != 0  # noqa: PT018


def test_relativistic_losses_know_differences_only():
    shifted = DISCRIMINATOR_LOSSES["relativistic"](REAL + 7, FAKE + 7)["pair"]
    torch.testing.assert_close(shifted, DISCRIMINATOR_LOSSES["relativistic"](REAL, FAKE)["pair"])
    equal = torch.zeros(3)
    assert DISCRIMINATOR_LOSSES["relativistic"](equal, equal)["pair"].item() == pytest.approx(math.log(2))
    torch.testing.assert_close(
        GENERATOR_LOSSES["relativistic"](FAKE, REAL), DISCRIMINATOR_LOSSES["relativistic"](FAKE, REAL)["pair"]
    )


@pytest.mark.parametrize("loss", DISCRIMINATOR_LOSSES)
def test_every_generator_wants_larger_logits_and_every_discriminator_larger_on_data(loss):
    real, fake = (x.clone().requires_grad_() for x in (REAL, FAKE))
    sum(DISCRIMINATOR_LOSSES[loss](real, fake).values()).backward()
    if loss != "least-squares":  # it pulls logits beyond their targets back
        assert (real.grad <= 0).all()
        assert (fake.grad >= 0).all()
    fake = FAKE.clone().requires_grad_()
    Game(loss, bounded=True).generator_terms(lambda x: x, fake, REAL)["loss"].backward()
    assert fake.grad[0] < 0


def test_the_penalty_of_a_linear_critic_is_the_square_of_its_norm_minus_the_target():
    assert gradient_penalty(linear, events(), events(seed=1)).item() == pytest.approx((3 - 1) ** 2)
    assert gradient_penalty(linear, events(), events(seed=1), target=3.0).item() == pytest.approx(0, abs=1e-12)
    assert gradient_penalty(linear, events(), events(seed=1), target=2.0).item() == pytest.approx(0.25)


def test_the_penalty_looks_between_data_and_samples():
    seen = []

    def critic(x):
        seen.append(x.detach())
        return x.flatten(1).sum(1)

    gradient_penalty(critic, torch.zeros(500, 1, 2, 2), torch.ones(500, 1, 2, 2))
    share = seen[0].flatten(1)
    assert (share == share[:, :1]).all()  # one number for an event, not one for a pixel
    assert share.min() >= 0
    assert share.max() <= 1
    assert share[:, 0].mean().item() == pytest.approx(0.5, abs=0.05)


def test_a_critic_without_slope_has_a_finite_gradient():
    weight = torch.zeros(3, requires_grad=True, dtype=torch.float64)
    gradient_penalty(lambda x: x @ weight, events(), events(seed=1)).backward()
    assert weight.grad.isfinite().all()


@pytest.mark.parametrize("together", [False, True])
def test_r1_and_r2_of_a_linear_critic_are_half_gamma_times_its_squared_norm(together):
    terms = Game(r1=0.5, r2=4.0).discriminator_terms(linear, events(), events(seed=1), together)
    assert terms["r1"].item() == pytest.approx(0.5 / 2 * 9)
    assert terms["r2"].item() == pytest.approx(4.0 / 2 * 9)


def test_r1_is_the_slope_at_data_and_r2_at_samples():
    def cubic(x):
        return (x**3).sum(1) / 3

    real, fake = events(), events(seed=1)
    terms = Game(r1=2.0, r2=2.0).discriminator_terms(cubic, real, fake, together=True)
    assert terms["r1"].item() == pytest.approx((real**4).sum(1).mean().item())
    assert terms["r2"].item() == pytest.approx((fake**4).sum(1).mean().item())


def test_penalties_reach_the_weights_of_the_critic():
    weight = W.clone().requires_grad_()
    x = events().requires_grad_()
    squared_slope(x @ weight, x).mean().backward()
    torch.testing.assert_close(weight.grad, 2 * W)


def test_drift_is_the_mean_square_of_the_logits_of_data():
    terms = Game(loss="wasserstein", gradient_penalty=1.0, drift=1e-3).discriminator_terms(linear, events(), events(seed=1))
    assert terms["drift"].item() == pytest.approx(1e-3 * linear(events()).square().mean().item())


def test_one_sided_smoothing_is_the_cross_entropy_with_a_softer_target():
    terms = Game(smoothing=0.1).discriminator_terms(lambda x: x[:, 0], REAL[:, None], FAKE[:, None])
    target = torch.full_like(REAL, 0.9)
    expected = torch.nn.functional.binary_cross_entropy_with_logits(REAL, target)
    torch.testing.assert_close(terms["real"], expected)
    plain = Game().discriminator_terms(lambda x: x[:, 0], REAL[:, None], FAKE[:, None])
    torch.testing.assert_close(terms["fake"], plain["fake"])


@pytest.mark.parametrize("loss", DISCRIMINATOR_LOSSES)
def test_both_at_once_is_both_apart_where_rows_are_independent(loss):
    game = Game(loss, r1=1.0, r2=2.0, bounded=True)
    one, other = (game.discriminator_terms(linear, events(), events(seed=1), together) for together in (False, True))
    assert one.keys() == other.keys()
    for name in one:
        torch.testing.assert_close(one[name], other[name])


def test_packing_joins_events_along_their_channels():
    x = torch.arange(8.0).view(4, 2, 1, 1)
    assert torch.equal(Game(pack=1).packed(x), x)
    assert Game(pack=2).packed(x)[:, :, 0, 0].tolist() == [[0, 1, 2, 3], [4, 5, 6, 7]]
    with pytest.raises(ConfigError, match="pack=3 needs a batch_size that it divides, got 4"):
        Game(pack=3).packed(x)


def test_figures_are_logged_and_not_minimised():
    weight = W.clone().requires_grad_()
    terms = Game().discriminator_terms(lambda x: x @ weight, events(), events(seed=1))
    assert {name for name, value in terms.items() if not value.requires_grad} == {"accuracy_real", "accuracy_fake", "jsd"}
    minimised(terms).backward()
    alone, weight.grad = weight.grad, None
    terms = Game().discriminator_terms(lambda x: x @ weight, events(), events(seed=1))
    sum(terms.values()).backward()
    assert torch.equal(weight.grad, alone)


def test_accuracies_count_the_side_of_the_threshold():
    found = figures("least-squares", REAL, FAKE)
    assert found["accuracy_real"].item() == pytest.approx(1 / 3)  # 0.5 itself is on neither side
    assert found["accuracy_fake"].item() == pytest.approx(2 / 3)
    assert figures("wasserstein", REAL, FAKE)["accuracy_pair"].item() == pytest.approx(2 / 3)
    assert figures("non-saturating", torch.full((3,), 1e4), torch.full((3,), -1e4))["jsd"].item() == pytest.approx(math.log(2))


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({"loss": "hing"}, "loss='hing' is unknown: .*hinge"),
        ({"r1": -1.0}, "r1 must be a number of at least 0, got -1.0"),
        ({"gradient_penalty": math.inf}, "gradient_penalty must be a number"),
        ({"pack": 0}, "pack must be a whole number of at least 1, got 0"),
        ({"smoothing": 0.7}, r"smoothing must be in \[0, 0.5\)"),
        ({"smoothing": 0.1, "loss": "hinge"}, "smoothing .* needs loss='non-saturating' or 'saturating'"),
        ({"loss": "wasserstein"}, "loss='wasserstein' needs a bound on the critic's slope: set gradient_penalty=10"),
    ],
)
def test_rules_that_make_no_game_are_refused(arguments, sentence):
    with pytest.raises(ConfigError, match=sentence):
        Game(**arguments)
