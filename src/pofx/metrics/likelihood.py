"""Units of likelihood."""

import math

from ..core import ConfigError
from .estimate import Estimate


def bits_per_dim(nats: Estimate, dims: int, dequantized: int | None = None) -> Estimate:
    """Bits per dimension, -ln p / (dims ln 2), of a mean log-likelihood (or a bound on it) in nats per event.

    `dequantized=K` is for a density of data with K levels that had uniform noise added and were scaled to [0, 1): it adds
    log2 K, the change of variables back to unit cells, which makes the number a bound for the discrete data. A model of
    discrete values needs no such term. Raises `ConfigError` where the unit is not nats, dims < 1 or K < 1.

    >>> uniform_over_256_levels = Estimate(-math.log(256.0), 0.0, 1, "nats")
    >>> bits_per_dim(uniform_over_256_levels, dims=1).value
    8.0
    """
    if nats.unit != "nats":
        raise ConfigError(
            f"bits_per_dim expects a log-likelihood in nats, got the unit {nats.unit!r}: pass the mean of ln p(x)."
        )
    if dims < 1 or (dequantized is not None and dequantized < 1):
        raise ConfigError(f"bits_per_dim expects dims >= 1 and levels >= 1, got dims={dims}, dequantized={dequantized}.")
    scale = 1 / (dims * math.log(2))
    offset = math.log2(dequantized) if dequantized else 0.0
    stderr = None if nats.stderr is None else nats.stderr * scale
    return Estimate(offset - nats.value * scale, stderr, nats.n, "bits/dim")
