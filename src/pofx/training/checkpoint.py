"""Training state on disk: one safetensors file, its plain values as JSON in the header, replaced atomically."""

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ..core import TrainingError


@contextmanager
def atomically(path: Path) -> Iterator[Path]:
    """A temporary name to write to; on success it replaces `path` at once, so a kill at any instant leaves a whole file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        yield temporary
        with temporary.open("rb") as file:
            os.fsync(file.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def write_json(path: Path, value: Any) -> None:
    """Write JSON for people and programs, atomically."""
    with atomically(path) as temporary:
        temporary.write_text(json.dumps(value, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def write_tensors(path: Path, tensors: dict[str, Tensor], values: dict[str, Any] | None = None) -> None:
    """Write tensors, and plain values in the header, atomically."""
    from safetensors.torch import save_file

    whole = {k: v.detach().cpu().contiguous().clone() for k, v in tensors.items()}
    with atomically(path) as temporary:
        save_file(whole, temporary, metadata={"values": json.dumps(values or {})})


def read_tensors(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Read what `write_tensors` wrote. Raises `TrainingError` where the file is no such file."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="pt") as file:
            tensors = {k: file.get_tensor(k) for k in file.keys()}  # noqa: SIM118 - safe_open is no mapping
            return tensors, json.loads((file.metadata() or {}).get("values", "{}"))
    except (SafetensorError, OSError) as error:
        raise TrainingError(f"{path} cannot be read as a safetensors file ({error}): train again or copy it anew.") from error


def optimizer_tensors(optimizers: dict[str, torch.optim.Optimizer]) -> dict[str, Tensor]:
    """The optimisers' state (moments, step counts) under names `optimizer/PLAYER/PARAMETER/ENTRY`."""
    return {
        f"optimizer/{player}/{index}/{entry}": value if isinstance(value, Tensor) else torch.tensor(value)
        for player, optimizer in optimizers.items()
        for index, state in optimizer.state_dict()["state"].items()
        for entry, value in state.items()
    }


def load_optimizers(optimizers: dict[str, torch.optim.Optimizer], tensors: dict[str, Tensor]) -> None:
    """Put back what `optimizer_tensors` gave."""
    states: dict[str, dict[int, dict[str, Tensor]]] = {player: {} for player in optimizers}
    for name, value in tensors.items():
        if name.startswith("optimizer/"):
            _, player, index, entry = name.split("/")
            states[player].setdefault(int(index), {})[entry] = value
    for player, optimizer in optimizers.items():
        optimizer.load_state_dict({"state": states[player], "param_groups": optimizer.state_dict()["param_groups"]})


def prefixed(prefix: str, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """The tensors under names that begin with `prefix/`."""
    return {f"{prefix}/{name}": value for name, value in tensors.items()}


def under(prefix: str, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """The tensors whose names begin with `prefix/`, without it; the inverse of `prefixed`."""
    return {name.removeprefix(f"{prefix}/"): v for name, v in tensors.items() if name.startswith(f"{prefix}/")}
