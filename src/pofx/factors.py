"""Disentanglement of a model's code, for data whose factors are known."""

from typing import Any

import torch
from torch import Tensor

from .core import Encodes, GenerativeModel, LatentVariable, require
from .data import Data, Split
from .data.data import pick
from .data.shapes import factors_of
from .metrics import beta_vae_score, factor_vae_score, mutual_information_gap
from .scoring import in_blocks

MOST_ROWS = 5_000  # events of the training split, and held-out events
MOST_FACTORS = 100


class FactorJudge:
    """Judges codes by the factors that data have as attributes, a column of 0 and 1 each (of `shapes` four factors).

    The scores of β-VAE and FactorVAE learn from the training split and are judged on held-out events (validation and
    test), on which the information gap is measured. Factors that are the same in all of either are left out.
    """

    def __init__(self, data: Data, seed: int = 0) -> None:
        self.seed = seed
        self.train, train_factors, names = _some([data.train], data, seed)
        self.held_out, factors, _ = _some([data.valid, data.test], data, seed)
        varies = [(column != column[0]).any(0) for column in (train_factors, factors)]
        kept = (varies[0] & varies[1]).nonzero().flatten()[:MOST_FACTORS]
        self.names = [names[i] for i in kept.tolist()]
        self.train_factors, self.factors = train_factors[:, kept], factors[:, kept]

    @classmethod
    def for_data(cls, data: Data, seed: int = 0) -> "FactorJudge | None":
        """A judge, or None where the data have no attributes, or none that vary."""
        if not all(isinstance(split.extras.get("attributes"), Tensor) and len(split) for split in data.splits.values()):
            return None
        judge = cls(data, seed)
        return judge if judge.names else None

    def judge(self, model: GenerativeModel) -> dict[str, Any]:
        """The figures of an encoder: `mig` of its codes, `mig_sampled` of draws from q(z | x), the two scores."""
        encode = require(model, Encodes).encode
        train, held_out = (in_blocks(encode, x, model) for x in (self.train, self.held_out))
        sets = (train, self.train_factors, held_out, self.factors)
        figures = {
            "factors": self.names,
            "mig": self._gap(held_out),
            "beta_vae_score": beta_vae_score(*sets, seed=self.seed).as_dict(),
            "factor_vae_score": factor_vae_score(*sets, seed=self.seed).as_dict(),
        }
        if isinstance(model, LatentVariable) and not model.classes:
            both = in_blocks(lambda x: torch.cat(model.posterior(x), 1), self.held_out, model)
            figures["mig_sampled"] = self._gap(*both.chunk(2, dim=1))
        return figures

    def _gap(self, codes: Tensor, log_variance: Tensor | None = None) -> dict[str, Any]:
        gap = mutual_information_gap(codes, self.factors, log_variance=log_variance, seed=self.seed)
        by_factor = dict(zip(self.names, gap.by_factor.tolist(), strict=True))
        return {"value": gap.value, "stderr": None, "n": gap.n, "unit": "share", "by_factor": by_factor}


def _some(splits: list[Split], data: Data, seed: int) -> tuple[Tensor, Tensor, list[str]]:
    """At most 5,000 events of these splits together, drawn by seed, their factors, and the names of these."""
    whole = torch.cat([torch.full((len(split),), i) for i, split in enumerate(splits)])
    chosen = torch.randperm(len(whole), generator=torch.Generator().manual_seed(seed))[:MOST_ROWS].sort().values
    x, attributes = [], []
    for i, split in enumerate(splits):
        index = chosen[whole[chosen] == i] - int((whole < i).sum())
        x.append(split.rows(index).x)
        attributes.append(pick(split.extras["attributes"], index))
    joined = torch.cat(attributes)
    names = data.attribute_names or [f"attribute {i}" for i in range(joined.shape[1])]
    return torch.cat(x), *factors_of(joined, names)
