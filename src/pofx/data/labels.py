"""Labels given as text or integers, as codes 0..K-1 with their names."""

import re
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from ..core import DataError, suggest
from .options import Options

_INTEGER = re.compile(r"[+-]?\d+(\.0*)?")


def encode_labels(values: Sequence[np.ndarray], options: Options, what: str) -> tuple[list[Tensor], list[str]]:
    """Codes int64 (n,) for each array of labels, and the names of the codes, in the order of numbers or the alphabet.

    The names of a trained run are kept where they cover the labels, and must cover them where `label=` was chosen.
    Raises `DataError` for fractions, missing labels and names that the run does not know.
    """
    texts = [_as_text(value, what) for value in values]
    found = np.unique(np.concatenate(texts)).tolist()
    names: list[str] | None = options.known["label_names"] if options.known else None
    unknown = [name for name in found if name not in names] if names else []
    if unknown and names and options.label is not None:
        raise DataError(f"{what} has the label {unknown[0]!r}, new to the trained run: {suggest(unknown[0], names)}.")
    if names is None or unknown:
        names = sorted(found, key=int) if all(_INTEGER.fullmatch(name) for name in found) else found
    code = {name: i for i, name in enumerate(names)}
    return [torch.tensor([code[name] for name in text.tolist()], dtype=torch.long) for text in texts], names


def _as_text(values: np.ndarray, what: str) -> np.ndarray:
    if values.ndim != 1:
        raise DataError(f"{what} should have one label an event, shape (n,), and has shape {values.shape}.")
    if values.dtype.kind in "fc":
        whole = np.isfinite(values) & (values == np.round(values))
        if not whole.all():
            row = int(np.argmin(whole))
            raise DataError(f"{what} has the label {values[row]} in row {row}: a label is a whole number or a name.")
        values = values.astype(np.int64)
    texts = np.array([_plain(value) for value in values.tolist()], dtype=str)
    if (texts == "").any():
        raise DataError(f"{what} has no label in row {int(np.argmax(texts == ''))}: fill it in or remove the row.")
    return texts


def _plain(value: object) -> str:
    """The text of a label, whole numbers alike in every notation: True, 1, "1" and "1.0" are "1"."""
    text = "" if value is None else str(int(value)) if isinstance(value, bool) else str(value).strip()
    return str(int(float(text))) if _INTEGER.fullmatch(text) and len(text) < 16 else text
