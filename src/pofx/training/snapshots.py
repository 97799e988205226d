"""Pictures of samples drawn from the same noise as training goes on."""

import torch

from ..core import GenerativeModel, Samples
from .directory import RunDirectory

COUNT = 64  # events in a picture of images
POINTS = 2000  # events in a picture of a plane


class Snapshots:
    """Takes `count` pictures evenly over a run; nothing where the model cannot sample, or events are no pictures."""

    def __init__(self, model: GenerativeModel, count: int, total_steps: int, directory: RunDirectory | None) -> None:
        self.model, self.directory = model, directory
        drawable = len(model.event_shape) == 3 or model.event_shape == (2,)
        wanted = directory is not None and isinstance(model, Samples) and drawable
        self.steps = {round(total_steps * (i + 1) / count) for i in range(count)} if wanted else set()

    def due(self, step: int) -> bool:
        """Whether a picture is to be taken after this step."""
        return step in self.steps

    @torch.no_grad()
    def take(self, step: int) -> None:
        """Draw samples from fixed noise and write `samples/step-N.png`."""
        if not self.steps or self.directory is None or not isinstance(self.model, Samples):
            return
        from ..data.pictures import save_grid, save_scatter

        training = self.model.training
        self.model.eval()
        points = self.model.event_shape == (2,)
        generator = torch.Generator(self.model.device).manual_seed(0)
        x = self.model.sample(POINTS if points else COUNT, generator=generator).float().cpu()
        path = self.directory.samples / f"step-{step:06}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        (save_scatter if points else save_grid)(x, path)
        self.model.train(training)
