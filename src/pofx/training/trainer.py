"""The one training loop: any list of players, resumable bit for bit, alone or in several processes."""

import time
from contextlib import AbstractContextManager, nullcontext
from functools import reduce
from operator import add

import torch
from torch import Tensor

from ..core import (
    ApproximateDensity,
    Batch,
    ConfigError,
    GenerativeModel,
    Interrupted,
    Player,
    TractableDensity,
    TrainingError,
)
from ..data import Data, Stream
from .checkpoint import load_optimizers, optimizer_tensors, prefixed, read_tensors, under, write_tensors
from .directory import RunDirectory
from .ema import Average
from .engine import Engine
from .modes import ModeCounter
from .monitor import Monitor
from .progress import Progress
from .record import Losses, Record
from .settings import Settings
from .snapshots import Snapshots
from .stopping import EarlyStopping, StopRequest


class Trainer:
    """Training of one model on one data set: the state between steps, and the step itself."""

    def __init__(self, model: GenerativeModel, data: Data, settings: Settings, directory: RunDirectory | None) -> None:
        self.model, self.data, self.settings, self.directory = model, data, settings, directory
        out = str(directory.path) if directory else None
        self.engine = Engine(settings.precision, settings.trackers, out, settings.cpu)
        self.engine.share(model.to(self.engine.device))
        self.players = model.players()
        self.optimizers = {p.name: p.optimizer(p.parameters) for p in self.players}
        self.base_rates = {p.name: self._base_rate(p) for p in self.players}
        self.stream = Stream(data.train, settings.batch_size, settings.seed, self.engine.process, self.engine.processes)
        self.examples_per_step = settings.batch_size * self.engine.processes
        self.total_steps, self.total_examples = settings.length(model, len(data.train), self.engine.processes)
        self.average = Average(model, settings.ema) if settings.ema else None
        self.stopping = EarlyStopping(settings.look_ahead)
        self.best: dict[str, Tensor] = {}
        self.record = Record(directory.record if directory and self.engine.is_main else None)
        self.losses = Losses()
        self.monitor = Monitor(model, self.total_steps)
        self.modes = ModeCounter(model, data, settings.seed) if len(self.players) > 1 and directory else None
        self.steps, self.examples_seen, self.seconds, self.finished = 0, 0, 0.0, False
        self.stage: str | None = None  # that ended with the last step

    def _base_rate(self, player: Player) -> float:
        given = self.settings.learning_rate
        if isinstance(given, dict):
            unknown = sorted(set(given) - {p.name for p in self.players})
            if unknown:
                names = ", ".join(p.name for p in self.players)
                raise ConfigError(f"learning_rate names {unknown[0]!r}, but the players of {self.model.name} are {names}.")
            given = given.get(player.name)
        return float(given if given is not None else self.optimizers[player.name].param_groups[0]["lr"])

    @property
    def epoch(self) -> float:
        """How many times the training split has been seen."""
        return self.examples_seen / len(self.data.train)

    def run(self, progress: bool = True) -> None:
        """Train to the end, or to the user's Ctrl-C, and leave the model ready for use."""
        self.model.train()
        try:
            self._loop(progress and self.engine.is_main)
            if self.best or self.average:
                self.model.load_state_dict(self.best or self.average.weights)  # type: ignore[union-attr]
            self.model.advance(self.examples_seen)
        finally:
            for player in self.players:
                _enable(player, True)
            self.model.eval()
        self.engine.wait()

    def _loop(self, show: bool) -> None:
        snapshots = Snapshots(self.model, self.settings.snapshots, self.total_steps, self.directory, self.data)
        last_save = clock = time.monotonic()
        with StopRequest() as stop, Progress(self.model.name, self.total_steps, self.steps, show) as bar:
            last, reached = (self.model.stage_at(seen) for seen in (2**62, self.total_examples))
            if last != reached and not self.finished:
                bar.say(f"Training ends at {reached}, before its last stage {last}: give more epochs, or shorter stages.")
            while not self.finished:
                epoch = int(self.epoch)
                self.step()
                self.finished = self.steps >= self.total_steps
                epoch_ended = int(self.epoch) > epoch
                # Only a lone process may stop between two logged steps: several must agree on the step at which they stop.
                stop_now = stop.requested and self.engine.processes == 1
                logged = epoch_ended or self.finished or stop_now or self.steps % self.settings.log_every == 0
                stopping = logged and self.engine.any(stop.requested)
                if logged:
                    figures = self.losses.flush(self.engine, self._advice())
                    if self._validation_is_due(epoch_ended):
                        figures |= self.validate()
                    self.seconds, clock = self.seconds + time.monotonic() - clock, time.monotonic()
                    self._log(figures, bar)
                    bar.update(self.steps, figures)
                if self.engine.is_main and (self.finished or self.stage or snapshots.due(self.steps)):
                    began = time.monotonic()
                    self._look_at_samples(snapshots, bar)
                    clock += time.monotonic() - began  # watching is no training
                if logged and (self.finished or stopping or clock - last_save >= 60 * self.settings.checkpoint_minutes):
                    self.save()
                    last_save = clock
                if stopping and not self.finished:
                    raise Interrupted(self._how_to_resume())
            if self.engine.is_main:
                snapshots.animate()

    def _look_at_samples(self, snapshots: Snapshots, bar: Progress) -> None:
        """Draw from the weights to use: a picture, and how many modes are reached."""
        with self.weights_to_use():
            snapshots.take(self.steps, self.stage)
            if self.modes and snapshots.steps:
                self._log(self.modes.count(), bar)

    def step(self) -> None:
        """One step: seed, schedules, batch, and the moves of the players whose turn it is."""
        position = self.examples_seen
        self.engine.seed(self.settings.seed, self.steps)
        self.model.advance(position)
        size = self.model.batch_size_at(position, self.settings.batch_size)
        batch = self.stream.batch(position, size).to(self.engine.device)
        factor = self.settings.learning_rate_factor(position, self.total_examples)
        for player in self.players:
            if player.moves_at(self.steps):
                self._move(player, batch, factor)
        self.steps, self.examples_seen = self.steps + 1, position + size * self.engine.processes
        if self.average:
            self.average.update(self.steps)
        stage, following = (self.model.stage_at(seen) for seen in (position, self.examples_seen))
        self.stage = stage if stage != following or self.steps >= self.total_steps else None
        for optimizer in self.optimizers.values() if stage != following else ():
            optimizer.state.clear()

    def _move(self, player: Player, batch: Batch, factor: float) -> None:
        optimizer = self.optimizers[player.name]
        if len(self.players) > 1:
            for other in self.players:
                _enable(other, False)
            _enable(player, True)
        optimizer.zero_grad(set_to_none=True)
        with self.engine.autocast():
            terms = player.loss(batch)
        self.engine.backward(reduce(add, terms.values()))
        self.engine.average_gradients(player.parameters)
        if len(self.players) > 1 and (self.steps + 1) % self.settings.log_every == 0:
            gradients = [p.grad for p in player.parameters if p.grad is not None]
            terms = terms | {"gradient_norm": torch.nn.utils.get_total_norm(gradients)}
        if player.clip is not None:
            torch.nn.utils.clip_grad_norm_(player.parameters, player.clip)
        for group in optimizer.param_groups:
            group["lr"] = self.base_rates[player.name] * factor
        optimizer.step()
        self.losses.add(self.steps, player.name, terms)

    def weights_to_use(self) -> AbstractContextManager[None]:
        """The context in which the model has the weights that a user would be given now: averaged where there are such."""
        return self.average.applied() if self.average else nullcontext()

    def _validation_is_due(self, epoch_ended: bool) -> bool:
        every = self.settings.validate_every
        has_figure = isinstance(self.model, TractableDensity | ApproximateDensity) and len(self.data.valid) > 0
        return has_figure and every > 0 and (self.finished or (epoch_ended and int(self.epoch) % every == 0))

    @torch.no_grad()
    def validate(self) -> dict[str, float]:
        """The mean negative log-likelihood (or bound) of the validation split, from the same noise every time."""
        self.model.eval()
        self.engine.seed(self.settings.seed, 0)
        score = self.model.log_prob if isinstance(self.model, TractableDensity) else self.model.elbo
        name = "valid/nll" if isinstance(self.model, TractableDensity) else "valid/-elbo"
        total, rows = 0.0, len(self.data.valid)
        with self.weights_to_use():
            for index in torch.arange(rows).split(self.model.rows_at_once):
                batch = self.data.valid.rows(index)
                total -= float(score(batch.to(self.engine.device).x).double().sum())
            if self.stopping.improved(total / rows, self.epoch) and self.settings.look_ahead:
                self.best = {k: v.detach().clone() for k, v in self.model.state_dict().items()}
        self.model.train()
        self.finished = self.finished or self.stopping.exhausted(self.epoch)
        return {name: total / rows}

    def _log(self, figures: dict[str, float], bar: Progress) -> None:
        if not (figures and self.engine.is_main):
            return
        done = {"step": self.steps, "examples_seen": self.examples_seen, "seconds": round(self.seconds, 3)}
        warnings = self.monitor.look(self.steps, figures)
        self.record.add(done | figures | ({"warnings": warnings} if warnings else {}))
        self.engine.track(figures, self.steps)
        for sentence in warnings:
            bar.say(f"At step {self.steps} {sentence}")

    def save(self) -> None:
        """Write the state to resume from, and the weights to use; only the first process writes."""
        if self.directory is None or not self.engine.is_main:
            return
        broken = [name for name, weights in self.model.named_parameters() if not bool(weights.isfinite().all())]
        if broken:
            raise TrainingError(
                f"Training stopped: the weights {broken[0]!r} are no longer finite at step {self.steps}. {self._advice()}"
            )
        tensors = prefixed("model", self.model.state_dict()) | optimizer_tensors(self.optimizers) | prefixed("best", self.best)
        if self.average:
            tensors |= prefixed("average", self.average.weights)
        values = {
            "steps": self.steps, "total_steps": self.total_steps, "finished": self.finished, "seconds": self.seconds,
            "examples_seen": self.examples_seen, "examples_per_step": self.examples_per_step,
            "best": self.stopping.best, "best_epoch": self.stopping.best_epoch,
        }  # fmt: skip
        write_tensors(self.directory.state, tensors, values)
        with self.weights_to_use():
            self.model.advance(self.examples_seen)
            self.directory.write_weights(self.best or self.model.state_dict())

    def restore(self) -> None:
        """Continue from the directory's saved state, where there is one."""
        if self.directory is None or not self.directory.state.is_file():
            self.record.cut(0)  # of a run that was killed before it had saved anything
            return
        tensors, values = read_tensors(self.directory.state)
        if values["examples_per_step"] != self.examples_per_step:
            raise ConfigError(
                f"{self.directory.path} was trained with {values['examples_per_step']} examples a step (batch_size × "
                f"processes), got {self.examples_per_step}: keep the product the same to resume, or choose another directory."
            )
        self.model.load_state_dict(under("model", tensors))
        load_optimizers(self.optimizers, tensors)
        self.best = {k: v.to(self.engine.device) for k, v in under("best", tensors).items()}
        if self.average:
            self.average.load(under("average", tensors))
        self.stopping.best, self.stopping.best_epoch = values["best"], values["best_epoch"]
        self.steps, self.seconds = values["steps"], values["seconds"]
        self.examples_seen = values.get("examples_seen", self.steps * self.examples_per_step)  # older runs: all steps alike
        ended = values["finished"] and values["total_steps"] >= self.total_steps
        self.finished = ended or self.steps >= self.total_steps
        self.record.cut(self.steps)
        self.monitor.replay(self.record.lines)

    def _advice(self) -> str:
        rates = ", ".join(f"{name} {rate:g}" for name, rate in self.base_rates.items())
        kept = f" The last good state is kept in {self.directory.state.parent}." if self.directory else ""
        return f"Try a lower learning_rate (now {rates}) or look for extreme values in the data.{kept}"

    def _how_to_resume(self) -> str:
        if self.directory is None:
            return f"Stopped at step {self.steps} of {self.total_steps}; nothing was saved because no run directory was given."
        return (
            f"Stopped at step {self.steps} of {self.total_steps}; the state is saved in {self.directory.path}. "
            "Give the same command again to go on (pofx fit: with --resume)."
        )


def _enable(player: Player, on: bool) -> None:
    for parameter in player.parameters:
        parameter.requires_grad_(on)
