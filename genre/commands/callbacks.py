"""Callbacks of a training run: progress, history, reproducible epochs, and a checkpoint whatever happens."""

from __future__ import annotations

import math
import os
import shlex
import shutil
import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from pytorch_lightning import Callback, LightningModule, Trainer
from pytorch_lightning.callbacks import ModelCheckpoint
from pytorch_lightning.plugins.io import TorchCheckpointIO
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR

from genre.commands.console import console, say
from genre.commands.entry import if_interrupted
from genre.commands.runs import folder_of_command
from genre.data.disk import replacing
from genre.data.randomness import step_seed
from genre.errors import CheckpointError, DataError
from genre.evaluation.calibration import DIVERGED

if TYPE_CHECKING:
    from optuna import Study

SHOWN = (
    ("train/loss", "train loss {:.3f}"),
    ("val/loss", "val loss {:.3f}"),
    ("val/clip_accuracy", "clips {:.3f}"),
    ("val/track_accuracy", "tracks {:.3f}"),
)


class StepSeed(Callback):
    """Seed every step by itself, so that a resumed run draws the same random numbers as one that never stopped.

    Of several processes each draws its own.
    """

    def __init__(self, seed: int) -> None:
        self.seed = seed

    def on_train_batch_start(self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int) -> None:
        """Seed the coming step."""
        seed = step_seed(trainer, self.seed, "network")
        if pl_module.device.type == "cpu":
            torch.default_generator.manual_seed(seed)  # the same numbers, without the milliseconds for absent devices
        else:
            torch.manual_seed(seed)


class LearningRate(Callback):
    """Log the learning rate of every step as ``learning_rate``, and that of an epoch's last step among its metrics.

    ``LightningModule.log`` would go through all metrics that the epoch has so far at every step.
    """

    def on_before_optimizer_step(self, trainer: Trainer, pl_module: LightningModule, optimizer: Optimizer) -> None:
        """Log the rate of the coming step."""
        self.rate = float(optimizer.param_groups[0]["lr"])
        every = trainer.log_every_n_steps  # type: ignore[attr-defined]
        if every and trainer.global_step % every == 0:  # 0: never
            for logger in trainer.loggers:
                logger.log_metrics({"learning_rate": self.rate}, step=trainer.global_step)

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Put the last rate among the metrics of the epoch."""
        trainer.callback_metrics["learning_rate"] = torch.tensor(self.rate)


class WholeCheckpoints(TorchCheckpointIO):
    """Checkpoint files that are whole or not there, whenever the process is killed.

    Lightning writes to the folder for temporary files and moves the result, which on another file system is a copy.
    """

    def save_checkpoint(self, checkpoint: dict[str, Any], path: str | Path, storage_options: Any = None) -> None:
        """Write a checkpoint beside its place and onto the disk, then move it there."""
        write_checkpoint(checkpoint, Path(path))


def write_checkpoint(checkpoint: Mapping[str, Any], path: Path) -> None:
    """Write a checkpoint, whole or not at all; an older one stays as it was if that fails.

    Raises
    ------
    CheckpointError
        If the system refuses, as on a full disk.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with replacing(path) as stream:
            torch.save(checkpoint, stream)
            stream.flush()
            os.fsync(stream.fileno())
    except (OSError, RuntimeError) as error:
        refusal = _refusal(error)
        if refusal is None:
            raise
        setting, folder = folder_of_command()
        raise CheckpointError(
            f"cannot write {path} ({refusal.strerror or refusal}): free some space and go on with "
            f"{shlex.quote(f'{setting}={folder}')} resume=true, or choose another {setting}"
        ) from error


def _refusal(error: BaseException | None) -> OSError | None:
    """Return what the system said: PyTorch raises an error of its own when its stream does not take all of a file."""
    while error is not None and not isinstance(error, OSError):
        error = error.__cause__ or error.__context__
    return error


class History(Callback):
    """Every logged metric of every epoch; kept in the checkpoint, so that a resumed run has all of it.

    Attributes
    ----------
    values : dict
        Metric name to a list of (epoch, value), epochs counted from 1.
    seconds : float
        Time spent training, earlier parts of a resumed run included.
    """

    def __init__(self) -> None:
        self.values: dict[str, list[tuple[int, float]]] = {}
        self.seconds = 0.0
        self._seconds_at: dict[int, float] = {}
        self._since = 0.0

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Start the clock, and forget what came after the epoch that training goes on from.

        The best checkpoint of a run has the history of the whole of it.
        """
        done = trainer.current_epoch
        self.values = {name: [point for point in points if point[0] <= done] for name, points in self.values.items()}
        self.values = {name: points for name, points in self.values.items() if points}
        self._seconds_at = {epoch: seconds for epoch, seconds in self._seconds_at.items() if epoch <= done}
        self.seconds = self._seconds_at.get(done, self.seconds)
        self._since = time.perf_counter()

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Keep this epoch's metrics.

        Raises
        ------
        DataError
            If the network has diverged, before its checkpoint is written.
        """
        now = time.perf_counter()
        self.seconds += now - self._since
        self._since = now
        self._seconds_at[trainer.current_epoch + 1] = self.seconds
        metrics = {name: float(value) for name, value in trainer.callback_metrics.items()}
        if not math.isfinite(metrics.get("train/loss", 0.0)) and not _is_finite(pl_module):
            raise DataError(DIVERGED)
        for name, value in metrics.items():
            self.values.setdefault(name, []).append((trainer.current_epoch + 1, value))

    def on_save_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]) -> None:
        """Note whether training ends with this epoch: what early stopping knows is lost otherwise."""
        last_epoch = trainer.max_epochs is not None and trainer.current_epoch + 1 >= trainer.max_epochs
        checkpoint["training_ended"] = bool(trainer.should_stop or last_epoch)

    def state_dict(self) -> dict[str, Any]:
        """Return what a checkpoint keeps."""
        return {"values": self.values, "seconds": self.seconds, "seconds_at": self._seconds_at}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on from what a checkpoint kept."""
        self.values = {
            name: [(int(at), float(value)) for at, value in points] for name, points in state_dict["values"].items()
        }
        self.seconds = float(state_dict["seconds"])
        self._seconds_at = {int(at): float(seconds) for at, seconds in state_dict.get("seconds_at", {}).items()}


def _is_finite(model: LightningModule) -> bool:
    """Return whether all weights are numbers: in half precision a loss may be infinite and its step left out."""
    return all(bool(torch.isfinite(weight).all()) for weight in model.parameters())


class BestCheckpoint(ModelCheckpoint):
    """``best.ckpt``: the best epoch by a validation metric, of a resumed run's earlier part too.

    Parameters
    ----------
    folder
        Where it is written.
    monitor, mode
        The metric, and whether its best is ``"min"`` or ``"max"``.

    Attributes
    ----------
    earlier : Path or None
        Folder of the run that is continued; to be set before training.
    """

    def __init__(self, folder: Path, *, monitor: str, mode: str) -> None:
        super().__init__(
            folder, "best", monitor=monitor, mode=mode, save_on_train_epoch_end=True, enable_version_counter=False
        )
        self.path = folder / "best.ckpt"
        self.earlier: Path | None = None

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take over the best epoch of the run that is continued."""
        before = None if self.earlier is None else self.earlier / "best.ckpt"
        if before is None or not before.is_file():
            return
        if before.resolve() != self.path.resolve():
            shutil.copyfile(before, self.path)
        here = str(self.path)
        score = state_dict["best_model_score"]
        moved = {"best_model_path": here, "kth_best_model_path": here, "best_k_models": {here: score}}
        super().load_state_dict({**state_dict, **moved, "dirpath": self.dirpath, "last_model_path": ""})


class AsConfigured(Callback):
    """Keep to the configured learning rate, weight decay and patience where a run is continued.

    Lightning would go on with those of the checkpoint, whatever the configuration says. Where both say the same,
    nothing is changed.
    """

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Note the patience before that of the checkpoint is read."""
        self._patience = [stopping.patience for stopping in trainer.early_stopping_callbacks]

    def on_fit_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Note the rates of the new optimiser before those of the checkpoint are read."""
        self._rates = [(group["initial_lr"], group["weight_decay"]) for group in trainer.optimizers[0].param_groups]

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Put back what was noted; the current rate is that of the configured schedule at this step."""
        for stopping, patience in zip(trainer.early_stopping_callbacks, self._patience, strict=True):
            stopping.patience = patience
        schedule = trainer.lr_scheduler_configs[0].scheduler
        assert isinstance(schedule, LambdaLR)
        schedule.base_lrs = [rate for rate, _ in self._rates]
        groups = trainer.optimizers[0].param_groups
        for group, factor, (rate, decay) in zip(groups, schedule.lr_lambdas, self._rates, strict=True):
            group.update(initial_lr=rate, weight_decay=decay, lr=rate * factor(schedule.last_epoch))


class TrainingProgress(Callback):
    """One bar over the whole training with the time left, and a line an epoch."""

    def __init__(self) -> None:
        self._bar: Progress | None = None
        self._since = 0.0

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Show the bar."""
        self._since = time.perf_counter()
        if not trainer.is_global_zero:
            return
        self._bar = Progress(
            TextColumn("[progress.description]{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("steps"),
            TimeRemainingColumn(),
            console=console,
            transient=True,
        )
        total = trainer.estimated_stepping_batches
        self._task = self._bar.add_task("training", total=total, completed=trainer.global_step)
        self._bar.start()

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Say which epoch it is."""
        self._since = time.perf_counter()
        if self._bar is not None:
            self._bar.update(self._task, description=f"epoch {trainer.current_epoch + 1}/{trainer.max_epochs}")

    def on_train_batch_end(self, trainer: Trainer, *args: Any, **kwargs: Any) -> None:
        """Move the bar."""
        if self._bar is not None:
            self._bar.update(self._task, completed=trainer.global_step)

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Print the epoch's line."""
        if not trainer.is_global_zero:
            return
        metrics = trainer.callback_metrics
        parts = [text.format(float(metrics[name])) for name, text in SHOWN if name in metrics]
        width = len(str(trainer.max_epochs))
        say(
            f"epoch {trainer.current_epoch + 1:{width}d}/{trainer.max_epochs}  {'  '.join(parts)}  "
            f"{time.perf_counter() - self._since:.1f} s"
        )

    def _close(self) -> None:
        if self._bar is not None:
            self._bar.stop()
            self._bar = None

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Take the bar away."""
        self._close()

    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:
        """Take the bar away."""
        self._close()


class TrialPruning(Callback):
    """Tell the study of a search how a trial goes, epoch by epoch, and stop one that does worse than others did.

    A trial that is repeated since it was killed has the epochs before that behind it: they are not judged again.

    Parameters
    ----------
    study
        The study, with the pruner that decides.
    number
        Of the trial.
    """

    MONITOR = "val/track_accuracy"

    def __init__(self, study: Study, number: int) -> None:
        from optuna.trial import Trial

        begun = study.trials[number]
        self.trial = Trial(study, begun._trial_id)
        self.judged = max(begun.intermediate_values, default=0)
        self.epoch: int | None = None

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Report the epoch's validation accuracy over tracks, and stop if it is hopeless."""
        from genre.commands.study import PRUNED_AT

        if self.MONITOR not in trainer.callback_metrics:
            return
        epoch = trainer.current_epoch + 1
        if epoch <= self.judged:
            return
        self.trial.report(float(trainer.callback_metrics[self.MONITOR]), epoch)
        if epoch < (trainer.max_epochs or 0) and self.trial.should_prune():
            self.epoch = epoch
            self.trial.set_user_attr(PRUNED_AT, epoch)
            trainer.should_stop = True


class TellInterrupted(Callback):
    """Say how to go on with a run that is interrupted: from ``last.ckpt``, which every epoch leaves when it ends.

    Parameters
    ----------
    folder
        Of the run.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.training = False

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Note that the training of this run has begun."""
        self.training = True

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Note that it is done."""
        self.training = False
        if_interrupted(after_training(self.folder))

    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:
        """Let it be said; nothing is saved, since the rest of an epoch cannot be trained later on."""
        if not self.training or not isinstance(exception, KeyboardInterrupt | SystemExit):
            return
        last = self.folder / "last.ckpt"
        if last.is_file():
            sentence = f"interrupted: continue with python train.py {shlex.quote(f'ckpt={last}')}"
        elif trainer.ckpt_path is not None:
            start = shlex.quote(f"ckpt={trainer.ckpt_path}")
            sentence = f"interrupted before another epoch was finished: begin again with {start}"
        else:
            sentence = "interrupted before the first epoch was finished: nothing is kept, the same command begins anew"
        if_interrupted(sentence)


def after_training(folder: Path) -> str:
    """Return what there is to say if a run is interrupted when its training is done."""
    settings = shlex.quote(f"hydra.run.dir={folder}")
    return f"interrupted after training: the same command with {settings} resume=true only evaluates"
