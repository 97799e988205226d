"""What models of pictures, pixel by pixel, have in common: what they can learn, and the likelihood of sub-pixels."""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.distributions.constraints import Constraint

from ..core import ConfigError, describe_support, levels_of, to_codes


def configure_for_pixels(name: str, event_shape: tuple[int, ...], support: Constraint) -> dict[str, Any]:
    """The number of levels; `ConfigError` for anything but pictures of discrete values."""
    if len(event_shape) != 3:
        raise ConfigError(
            f"{name} learns pictures (channels, height, width), and the data are events of shape {event_shape}: "
            "use nade or rnade for tables."
        )
    levels = levels_of(support)
    if levels is None:
        raise ConfigError(
            f"{name} learns discrete values, and the data are {describe_support(support)}: load pictures with "
            "binarize=True or levels=K."
        )
    return {"levels": levels}


def check_hidden(hidden: int, colours: int) -> None:
    """Raise `ConfigError` where the hidden units cannot be shared out among the colours."""
    if hidden < 1 or hidden % colours:
        raise ConfigError(
            f"hidden must be a multiple of the {colours} colours, which share the channels, got {hidden}: "
            f"use {max(colours, hidden + -hidden % colours)}."
        )


def sub_pixel_log_prob(x: Tensor, logits: Tensor, support: Constraint, counted: Tensor | None = None) -> Tensor:
    """ln p(x) in nats, (n,), from logits (n, 1 or K, C, H, W): Bernoulli for {0, 1}, else a softmax over K levels.

    `counted` (H, W) is False at pixels that are given, so that their ln p is 0.
    """
    if levels_of(support) == 2:
        each = F.binary_cross_entropy_with_logits(logits.squeeze(1), x.to(logits.dtype), reduction="none")
    else:
        each = F.cross_entropy(logits, to_codes(x, support), reduction="none")
    if counted is not None:
        each = torch.where(counted, each, 0.0)
    return -each.flatten(1).sum(1)
