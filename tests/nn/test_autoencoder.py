"""Encoders and decoders mirror each other, and what joins them has an effect."""

import pytest
import torch
from torch import nn

from pofx.core import ConfigError
from pofx.nn.autoencoder import Decoder, Encoder, check_autoencoder
from pofx.nn.conditions import one_hot_labels

CASES = [((5,), (7, 6), "mlp"), ((2, 3, 4), (7,), "mlp"), ((3,), (), "mlp"), ((3, 8, 12), (4, 6), "conv")]


@pytest.mark.parametrize(("shape", "hidden", "network"), CASES)
@pytest.mark.parametrize("per_value", [1, 3])
def test_shapes_of_encoders_and_decoders(shape, hidden, network, per_value):
    check_autoencoder(shape, 2, hidden, network, "tanh")
    code = Encoder(shape, hidden, 2, network, "tanh")(torch.rand(6, *shape))
    assert code.shape == (6, 2)
    out = Decoder(2, hidden, shape, network, "tanh", per_value)(code)
    assert out.shape == ((6, *shape) if per_value == 1 else (6, per_value, *shape))


@pytest.mark.parametrize(("shape", "hidden", "network"), CASES)
def test_the_decoder_has_the_layers_of_the_encoder_in_reverse(shape, hidden, network):
    kinds = (nn.Linear, nn.Conv2d, nn.ConvTranspose2d)
    down = [m.weight.shape for m in Encoder(shape, hidden, 5, network).modules() if isinstance(m, kinds)]
    up = [m.weight.shape for m in Decoder(5, hidden, shape, network).modules() if isinstance(m, kinds)]
    reverse = [(s[1], s[0]) if len(s) == 2 else tuple(s) for s in reversed(up)]  # torch keeps (in, out) of transposed ones
    assert [tuple(s) for s in down] == reverse


@pytest.mark.parametrize(("shape", "hidden", "network"), CASES)
def test_rows_are_apart_and_every_input_matters(shape, hidden, network):
    torch.manual_seed(0)
    encoder = Encoder(shape, hidden, 2, network, "tanh", extra=3).double()
    decoder = Decoder(2, hidden, shape, network, "tanh").double()
    x = torch.rand(4, *shape, dtype=torch.float64).requires_grad_()
    extra = torch.rand(4, 3, dtype=torch.float64).requires_grad_()
    out = decoder(encoder(x, extra))
    gradients = torch.autograd.grad(out[1].square().sum(), [x, extra])
    for gradient in gradients:
        assert (gradient[[0, 2, 3]] == 0).all()
        assert (gradient[1] != 0).all()


def test_what_joins_the_input_has_a_place_of_its_own():
    encoder = Encoder((2,), (), 1, extra=1).double()
    layer = encoder[-1][0]
    with torch.no_grad():
        layer.weight.copy_(torch.tensor([[1.0, 10.0, 100.0]]))
        layer.bias.zero_()
    assert encoder(torch.tensor([[1.0, 2.0]]).double(), torch.tensor([[3]])).item() == 321


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (((4,), 0, (8,), "mlp", "relu"), "latent must be at least 1, got 0"),
        (((4,), 2, (8,), "cnn", "relu"), "network='cnn' is unknown"),
        (((4,), 2, (8,), "mlp", "rleu"), "activation='rleu' is unknown: did you mean 'relu'"),
        (((4,), 2, (8, 0), "mlp", "relu"), r"hidden must name layers of at least 1 unit, got \[8, 0\]"),
        (((4,), 2, (8,), "conv", "relu"), r"needs pictures whose sides are divisible by 2, got events of shape \(4,\)"),
        (((1, 8, 6), 2, (8, 8), "conv", "relu"), "needs pictures whose sides are divisible by 4"),
        (((1, 8, 8), 2, (), "conv", "relu"), "hidden must name at least one layer for network='conv'"),
    ],
)
def test_networks_that_there_are_not_are_refused(arguments, sentence):
    with pytest.raises(ConfigError, match=sentence):
        check_autoencoder(*arguments)


def test_labels_become_one_hot_vectors_or_a_sentence():
    like = torch.zeros((), dtype=torch.float64)
    assert torch.equal(one_hot_labels("vae", torch.tensor([1, 0]), 2, 2, like), torch.tensor([[0.0, 1.0], [1.0, 0.0]]).double())
    with pytest.raises(ConfigError, match=r"vae with classes=2 learns p\(x \| label\) and got no labels"):
        one_hot_labels("vae", None, 2, 2, like)
    for wrong in ([0, 2], [-1, 0], [0], [0.0, 1.0]):
        with pytest.raises(ConfigError, match=r"condition must be one label of 0\.\.1 for each of 2 events, got"):
            one_hot_labels("vae", wrong, 2, 2, like)
