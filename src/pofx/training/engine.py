"""The one file that knows 🤗 Accelerate: devices, processes, precision, trackers."""

from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import Parameter

from ..core import ConfigError, suggest


class Engine:
    """Where training runs: a device, alone or as one of several processes started by `torchrun`."""

    def __init__(self, precision: str = "fp32", trackers: tuple[str, ...] = (), out: str | None = None, cpu: bool = False):
        from accelerate import Accelerator

        cpu = cpu or not (torch.cuda.is_available() or torch.backends.mps.is_available())
        self._accelerator = Accelerator(cpu=cpu, log_with=list(trackers) or None, project_dir=out)
        self._bf16 = precision == "bf16"
        self.device: torch.device = self._accelerator.device
        self.process: int = self._accelerator.process_index
        self.processes: int = self._accelerator.num_processes
        self.is_main: bool = self._accelerator.is_main_process

    def autocast(self) -> AbstractContextManager[Any]:
        """The context of forward passes: bfloat16 where precision is bf16, nothing otherwise."""
        return torch.autocast(self.device.type, torch.bfloat16) if self._bf16 else nullcontext()

    def backward(self, loss: Tensor) -> None:
        """Back-propagate a loss."""
        self._accelerator.backward(loss)

    def average_gradients(self, parameters: Sequence[Parameter]) -> None:
        """Replace each gradient by its mean over processes; one message for all of them."""
        if self.processes == 1:
            return
        gradients = [p.grad for p in parameters if p.grad is not None]
        flat = self.mean(torch.cat([g.flatten() for g in gradients]))
        for gradient, mean in zip(gradients, flat.split([g.numel() for g in gradients]), strict=True):
            gradient.copy_(mean.view_as(gradient))

    def share(self, module: nn.Module) -> None:
        """Give every process the first one's weights, whatever each was initialised with."""
        if self.processes == 1:
            return
        from accelerate.utils import broadcast

        with torch.no_grad():
            for tensor in (*module.parameters(), *module.buffers()):
                tensor.copy_(broadcast(tensor.detach().clone()))

    def mean(self, value: Tensor) -> Tensor:
        """The mean of a tensor over processes."""
        return value if self.processes == 1 else self._accelerator.reduce(value, "mean")

    def any(self, flag: bool) -> bool:
        """Whether the flag is set in any process, so that all take the same decision."""
        if self.processes == 1:
            return flag
        return bool(self._accelerator.reduce(torch.tensor(float(flag), device=self.device), "sum") > 0)

    def wait(self) -> None:
        """Wait until every process is here."""
        self._accelerator.wait_for_everyone()

    def seed(self, seed: int, step: int) -> None:
        """Make this step's randomness a function of (seed, process, step), so that resuming needs no generator state."""
        mixed = (seed * 0x9E3779B1 + self.process * 0x85EBCA6B + step * 0xC2B2AE35) & 0xFFFF_FFFF  # one-to-one in step
        torch.default_generator.manual_seed(mixed)
        if self.device.type == "cuda":
            torch.cuda.manual_seed(mixed)

    @staticmethod
    def check_trackers(names: tuple[str, ...]) -> None:
        """Raise `ConfigError` for a tracker that Accelerate does not know or whose package is not installed."""
        if not names:
            return
        from accelerate.tracking import get_available_trackers

        available = [str(getattr(t, "value", t)) for t in get_available_trackers()]
        for name in names:
            if name not in available:
                raise ConfigError(
                    f"there is no tracker {name!r} here: {suggest(name, available)}; install its package to use it."
                )

    def start_trackers(self, project: str, config: dict[str, Any]) -> None:
        """Open the experiment trackers that were asked for (tensorboard, wandb, ...)."""
        flat = {k: v for k, v in config.items() if isinstance(v, int | float | str | bool)}
        self._accelerator.init_trackers(project, config=flat)

    def track(self, values: dict[str, float], step: int) -> None:
        """Send values to the trackers."""
        self._accelerator.log(values, step=step)

    def end_trackers(self) -> None:
        """Close the trackers."""
        self._accelerator.end_training()
