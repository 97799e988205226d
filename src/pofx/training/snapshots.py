"""Pictures of samples drawn from the same noise as training goes on."""

import torch
from torch import Tensor

from ..core import Discriminates, GenerativeModel, Samples
from ..data import Data
from .checkpoint import atomically
from .directory import RunDirectory

COUNT = 64  # events in a picture of images
POINTS = 2000  # events in a picture of a plane, and data behind them
SURFACE = 100  # points a side at which a discriminator is asked


class Snapshots:
    """Takes `count` pictures evenly over a run; nothing where the model cannot sample, or events are no pictures.

    Points in the plane lie over data in grey and, of a model with a discriminator of events, over its surface: D(x), or the
    value of a critic, where data and samples are. After the run `samples/training.gif` shows the pictures one after the other.
    """

    def __init__(
        self, model: GenerativeModel, count: int, total_steps: int, directory: RunDirectory | None, data: Data | None = None
    ) -> None:
        self.model, self.directory = model, directory
        drawable = len(model.event_shape) == 3 or model.event_shape == (2,)
        wanted = directory is not None and isinstance(model, Samples) and drawable
        self.steps = {round(total_steps * (i + 1) / count) for i in range(count)} if wanted else set()
        self.data: Tensor | None = None
        if self.steps and data is not None and data.event_shape == (2,):
            self.data = data.train.rows(torch.arange(min(POINTS, len(data.train)))).x

    def due(self, step: int) -> bool:
        """Whether a picture is to be taken after this step."""
        return step in self.steps

    @torch.no_grad()
    def take(self, step: int, stage: str | None = None) -> None:
        """Draw samples from fixed noise and write `samples/step-N.png`, `step-N-STAGE.png` where a stage has ended."""
        if not self.steps or self.directory is None or not isinstance(self.model, Samples):
            return
        from ..data.pictures import save_grid, save_scatter

        training = self.model.training
        self.model.eval()
        points = self.model.event_shape == (2,)
        generator = torch.Generator(self.model.device).manual_seed(0)
        x = self.model.sample(POINTS if points else COUNT, generator=generator).float().cpu()
        path = self.directory.samples / f"step-{step:06}{f'-{stage}' if stage else ''}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        if points:
            save_scatter(x, path, self.data, surface=self._surface(), title=f"step {step:,}")
        else:
            save_grid(x, path)
        self.model.train(training)

    def animate(self) -> None:
        """Write `samples/training.gif` from the pictures of the run, where there are several."""
        from ..data.pictures import save_animation

        pictures = [] if self.directory is None or not self.steps else sorted(self.directory.samples.glob("step-*.png"))
        if len(pictures) > 1 and self.directory is not None:
            with atomically(self.directory.animation) as temporary:
                save_animation(pictures, temporary)

    def _surface(self) -> tuple[Tensor, Tensor, str] | None:
        """The frame around the data, (2, 2): lower and upper corner; the discriminator's values there; what they are."""
        if self.data is None or not isinstance(self.model, Discriminates):
            return None
        low, high = self.data.amin(0), self.data.amax(0)
        reach = float((high - low).max()) * 0.65 or 1.0
        frame = torch.stack([(low + high) / 2 - reach, (low + high) / 2 + reach])
        x, y = (torch.linspace(a, b, SURFACE) for a, b in frame.T.tolist())
        like = next(self.model.parameters())
        grid, beside = (points.to(like) for points in (torch.cartesian_prod(x, y), self.data))
        values = self.model.realness(grid, beside).float().cpu().view(SURFACE, SURFACE).T  # a row for each y
        return frame, values, self.model.realness_unit
