"""Training and evaluation: what ``train.py`` does."""

from __future__ import annotations

import functools
import gc
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from lightning_fabric.utilities.exceptions import MisconfigurationException
from numpy.typing import NDArray
from omegaconf import DictConfig, OmegaConf
from pytorch_lightning import seed_everything

import genre
from genre.commands import tensorboard
from genre.commands.arguments import override_name
from genre.commands.build import (
    TrainerParts,
    build_datamodule,
    build_model,
    build_trainer,
    check_tracks_of_trial,
    compared_settings,
    config_hash,
    monitor_mode,
    tracks_hash,
)
from genre.commands.callbacks import AsConfigured, History, after_training, write_checkpoint
from genre.commands.command_file import keep_command
from genre.commands.console import console, fall_silent, preparation_bar, say
from genre.commands.distributed import check_processes, gathered, is_first_process, job_processes
from genre.commands.evaluating import check_as_trained, keep_data_settings, told_of
from genre.commands.lineage import (
    Provenance,
    check_unknown,
    continued_hash,
    evaluated_hash,
    known_artists,
    known_tracks,
)
from genre.commands.page import before_page, write_run_page
from genre.commands.resuming import clear_for_training, own_checkpoint
from genre.commands.runs import (
    alone_in,
    check_seed,
    finished_run,
    output_folder,
    require_settings,
    tell_if_interrupted,
    tell_notices,
    tell_replaced,
)
from genre.data.clips import ClipSpec
from genre.data.datamodule import GenreDataModule
from genre.data.duplicates import FILE_NAME as DUPLICATES_FILE
from genre.data.duplicates import write_duplicates
from genre.data.fingerprint import digest
from genre.data.store import write_quarantine
from genre.errors import CheckpointError, ConfigError, near_names
from genre.evaluation.calibration import fit_temperature
from genre.evaluation.predictions import Predictions
from genre.evaluation.report import RunInfo, RunReport, summary, write_run
from genre.inference.memory import keep_freed_memory, return_freed_memory
from genre.models.base import GenreModule
from genre.models.registry import BEST, LAST, file_of_run, load_model, model_of, read_checkpoint

MODES = ("fit", "test")

NOT_KEPT = (
    "ckpt",
    "mode",
    "resume",
    "report",
    "debug",
    "launcher",
    "hparams_search",
    "prepare",
    "prepare.backend",
    "prepare.address",
)
"""Settings that a checkpoint does not remember: they say what is done, and how, but shape nothing."""

BEFORE_WORK = {
    "fit": "interrupted before training: the tracks prepared so far are kept, the same command prepares the others",
    "test": "interrupted before the evaluation was finished: the same command begins it anew",
}
"""What there is to say if a run is interrupted before its own work, or within it, by mode."""

WHERE = (
    "trainer",
    *(f"trainer.{name}" for name in ("accelerator", "devices", "num_nodes", "strategy", "sync_batchnorm")),
)
"""Settings of a training that its evaluation does not take over: it may be done on another machine."""


def run(cfg: DictConfig) -> float | None:
    """Train and evaluate, or only evaluate, as ``cfg.mode`` says.

    Returns
    -------
    val_track_accuracy
        Share of validation tracks that are classified right; ``None`` if there are none.

    Raises
    ------
    GenreError
        For everything the user can mend.
    """
    if cfg.mode not in MODES:
        raise ConfigError(f"mode={cfg.mode} is unknown; {near_names(str(cfg.mode), MODES)}")
    if cfg.mode == "test" and cfg.ckpt is None:
        raise ConfigError("mode=test evaluates a checkpoint; name it with ckpt=..., such as the best.ckpt of a run")
    folder = output_folder()
    with alone_in(folder):
        keep_freed_memory()
        try:
            return _run_in(folder, composition(cfg))
        finally:
            gc.collect()  # trainer, model and data refer to each other, and would stay beside the next job's
            return_freed_memory()


def _run_in(folder: Path, composed: Composition) -> float | None:
    cfg = composed.cfg
    tell_if_interrupted(BEFORE_WORK[cfg.mode])
    _check_audio(cfg)
    require_settings(cfg)
    check_seed(cfg.seed)
    cfg.callbacks.monitor_mode = monitor_mode(cfg.callbacks)  # so that hash and settings say how epochs were judged
    _quiet()
    if not is_first_process():
        fall_silent()
    parts = build_trainer(cfg, folder)  # before the data, for which music may be composed
    with preparation_bar() as bar:
        datamodule = build_datamodule(cfg, progress=bar.prepared, say=say, fingerprint_progress=bar.listened)
        seed_everything(cfg.seed, workers=True, verbose=False)
        job = Job(composed, folder, parts, datamodule)  # finds what is wrong with the settings before audio is prepared
        if job.leads:
            keep_command(folder, over_finished=cfg.mode == "test")
        datamodule.prepare_data()
    check_tracks_of_trial(datamodule.table, leads=job.leads)
    if cfg.mode == "fit":
        done = finished_run(folder, job.config_hash, resume=cfg.resume)
        if done is not None:
            return None if done.val is None else done.val.track_accuracy
    datamodule.setup()
    notices = job.check_unknown()
    for side in datamodule.judged:
        datamodule.loader(side)  # finds that there are fewer clips than processes before any of them is started
    if job.leads:
        goes_on = cfg.resume or (cfg.ckpt is not None and Path(cfg.ckpt).resolve().parent == folder.resolve())
        if cfg.mode == "fit" and not goes_on:
            tell_replaced(folder)
        _tell_data(datamodule, folder, notices)
    with job_processes():
        return job.fit() if cfg.mode == "fit" else job.test()


def _check_audio(cfg: DictConfig) -> None:
    """Raise ConfigError if the data are a table of features, from which no clips can be cut."""
    if "source" not in cfg.data:
        raise ConfigError(
            "data=features_csv is a table of features, which is for sweep_classical.py; choose audio here, such as "
            "data=folder data.root=..."
        )


@dataclass(frozen=True)
class Composition:
    """A configuration with what it was composed from.

    Parameters
    ----------
    cfg
        The configuration.
    overrides
        ``name=value`` of all that was asked for, without :data:`NOT_KEPT`.
    model
        Name of the chosen model configuration.
    trained
        The configuration of the training whose checkpoint is evaluated; ``None`` where a model is trained.
    """

    cfg: DictConfig
    overrides: tuple[str, ...]
    model: str
    trained: DictConfig | None = None

    @property
    def told(self) -> DictConfig:
        """The settings by which this run is known among others."""
        return self.cfg if self.trained is None else told_of(self.cfg, self.trained)


def composition(cfg: DictConfig) -> Composition:
    """Return the configuration of this run; with ``ckpt``, that of the checkpoint under what the command line says.

    Raises
    ------
    GenreError
        If there is no such checkpoint, or it is to be evaluated as another training.
    """
    from hydra import compose
    from hydra.core.hydra_config import HydraConfig

    hydra = HydraConfig.get()
    asked = list(hydra.overrides.task)
    choices: Any = hydra.runtime.choices
    trained = None
    if cfg.ckpt is not None:
        file = file_of_run(cfg.ckpt, BEST if cfg.mode == "test" else LAST)
        earlier = read_checkpoint(file)["genre"].get("provenance", {}).get("overrides", [])
        said = asked
        if cfg.mode == "test":
            trained = compose(config_name=hydra.job.config_name, overrides=earlier)
            earlier = [override for override in earlier if override_name(override) not in WHERE]
        asked = merge_overrides(earlier, said, set(choices))
        cfg = compose(config_name=hydra.job.config_name, overrides=asked, return_hydra_config=True)
        choices = cfg.hydra.runtime.choices
        cfg = OmegaConf.masked_copy(cfg, [str(name) for name in cfg if name != "hydra"])
        cfg.ckpt = str(file)
        if trained is not None:
            keep_data_settings(cfg, trained, said)
            check_as_trained(cfg, trained, said)
    shaping = tuple(override for override in asked if override_name(override) not in NOT_KEPT)
    return Composition(cfg, shaping, str(choices.model), trained)


def merge_overrides(earlier: Sequence[str], later: Sequence[str], groups: set[str]) -> list[str]:
    """Return both lists of ``name=value`` as one in which the later wins.

    A later choice of a group replaces all earlier settings of that group.

    >>> merge_overrides(["data=folder", "data.root=a", "seed=1"], ["seed=2", "data=demo"], {"data"})
    ['seed=2', 'data=demo']
    """
    names = {override_name(override) for override in later}

    def replaced(override: str) -> bool:
        name = override_name(override)
        return name in names or any(name.startswith(f"{group}.") for group in names & groups)

    return [override for override in earlier if not replaced(override)] + list(later)


class SideLogits(NamedTuple):
    """What a model says of the clips of one side.

    Parameters
    ----------
    logits : shape=(n, classes)
        Before they are calibrated.
    batch
        ``label``, ``track`` and ``start`` of the clips, each of shape (n,).
    """

    logits: NDArray[np.float32]
    batch: dict[str, NDArray[np.int64]]


class Job:
    """One run: its configuration, its folder, its data, its model.

    Parameters
    ----------
    composed
        The configuration.
    folder
        Where the run writes.
    parts
        The trainer, and what else is asked for things.
    datamodule
        The data; they need not be prepared yet.

    Raises
    ------
    GenreError
        If a setting is wrong, or the checkpoint does not fit.
    """

    def __init__(self, composed: Composition, folder: Path, parts: TrainerParts, datamodule: GenreDataModule) -> None:
        self.composed = composed
        self.cfg = composed.cfg
        self.folder = folder
        self.datamodule = datamodule
        self.parts = parts
        check_processes(self.parts.trainer)
        datamodule.trainer = self.parts.trainer  # tells every process which clips are its own
        self.leads = self.parts.trainer.is_global_zero
        earlier = None if self.cfg.ckpt is None else load_model(self.cfg.ckpt)
        self.earlier: Provenance = {} if earlier is None else earlier.provenance
        if earlier is not None:
            self._check_fits(earlier)
        if earlier is not None and self.cfg.mode == "test":
            self.model = earlier
        else:
            self.model = build_model(self.cfg, datamodule)
            self._check_epochs()

    @functools.cached_property
    def config_hash(self) -> str:
        """Hash of all that shapes this training, that of the run it continues included; needs prepared data."""
        return continued_hash(self._settings_hash, self.earlier)

    @functools.cached_property
    def _settings_hash(self) -> str:
        return config_hash(self.cfg, self.datamodule.store_name, self.datamodule.table)

    @property
    def _evaluated(self) -> str:
        """Hash of what a checkpoint is evaluated by: prepared clips, tracks and protocol."""
        data = self.datamodule
        return digest([data.store_name, tracks_hash(data.table), data.protocol.settings()])[:16]

    def check_unknown(self) -> tuple[str, ...]:
        """Raise CheckpointError if the checkpoint knows what it would be judged by; needs dealt data.

        Returns
        -------
        notices
            What the user should know where the protocol promises less.
        """
        if self.cfg.ckpt is None:
            return ()
        data = self.datamodule
        return check_unknown(self.cfg.ckpt, self.earlier, data.table, data.protocol, data.deal)

    def _provenance(self) -> dict[str, Any]:
        """Return where the model comes from that this run trains."""
        return {
            "overrides": list(self.composed.overrides),
            "model": self.composed.model,
            "seed": int(self.cfg.seed),
            "config_hash": self.config_hash,
            "settings_hash": self._settings_hash,
            "tracks": known_tracks(self.datamodule.table, self.datamodule.deal, self.earlier),
            "artists": known_artists(self.datamodule.table, self.datamodule.deal, self.earlier),
            "version": genre.__version__,
        }

    def fit(self) -> float | None:
        """Train, calibrate, evaluate and report; a trial that is stopped early is not evaluated."""
        self.model.set_statistics(self.datamodule.statistics)
        self.model.provenance = provenance = self._provenance()
        own = own_checkpoint(self.folder, self.config_hash) if self.cfg.resume else None
        if own is not None and own.ended:
            tell_if_interrupted(after_training(self.folder))
            self._recall_history(own.path)
            best = own.best
        else:
            best = self._train(own.path if own else (None if self.cfg.ckpt is None else Path(self.cfg.ckpt)))
        if self.parts.pruning is not None and self.parts.pruning.epoch is not None:
            say(f"stopped after epoch {self.parts.pruning.epoch}: other trials of this search did better by then")
            if self.leads:
                (self.folder / LAST).unlink(
                    missing_ok=True
                )  # which says that training ended, so that it would be evaluated
            return None
        checkpoint = read_checkpoint(best)
        self.model = model_of(checkpoint, best)
        self.model.provenance = {**provenance, "evaluated": self._evaluated}  # the best epoch may be an earlier run's
        val = self._logits("val")
        self.model.temperature.fill_(fit_temperature(val.logits, val.batch["label"]))
        epoch = int(checkpoint["epoch"])
        if self.leads:
            finish_checkpoint(checkpoint, best, self.model, self.parts.history)
            _calibrate_last(self.folder / LAST, epoch, self.model)
        return self._evaluate(best, epoch, {"val": val})

    def test(self) -> float | None:
        """Evaluate the checkpoint and report."""
        epoch = int(read_checkpoint(self.cfg.ckpt)["epoch"])
        own_hash = evaluated_hash(self.earlier, self._evaluated, epoch)
        self.model.provenance = {**self.earlier, "config_hash": own_hash}
        self._recall_history(self.cfg.ckpt)
        return self._evaluate(Path(self.cfg.ckpt), epoch, {})

    def _recall_history(self, checkpoint: str | Path) -> None:
        kept = read_checkpoint(checkpoint).get("callbacks", {}).get(self.parts.history.state_key)
        if kept:
            self.parts.history.load_state_dict(kept)

    def _train(self, start: Path | None) -> Path:
        """Train, from a checkpoint if there is one to start from, and return the best checkpoint."""
        trainer = self.parts.trainer
        say(
            f"training {type(self.model).__name__} with {count_parameters(self.model):,} parameters on "
            f"{self.datamodule.epoch_clips} clips an epoch, {trainer.max_epochs} epochs at most"
        )
        if trainer.is_global_zero:
            clear_for_training(self.folder, start)
        self.parts.checkpoint.earlier = None if start is None else start.parent
        if start is not None:
            trainer.callbacks.append(AsConfigured())  # type: ignore[attr-defined]
        for logger in trainer.loggers if self.leads else ():
            tensorboard.log_settings(logger, self.cfg)
        before = 0 if start is None else int(read_checkpoint(start)["global_step"])
        try:
            trainer.fit(self.model, datamodule=self.datamodule, ckpt_path=start, weights_only=True)
        except (RuntimeError, ValueError) as error:
            if start is None or not any(word in str(error) for word in ("state_dict", "parameter group")):
                raise
            raise CheckpointError(
                f"{start} holds another network or optimizer than the one configured; use the same model settings and "
                "the same optimizer.name"
            ) from error
        except MisconfigurationException as error:
            said = " ".join(str(error).split()).rstrip(".")
            raise ConfigError(f"these settings of trainer do not fit the data ({said}); change them") from error
        if trainer.global_step <= before:
            if self.leads:
                clear_for_training(self.folder, start)  # of the best epoch of the run that was to be continued
            raise ConfigError(
                "nothing was trained, since the settings of trainer end the training before its first step; raise what "
                "limits it, such as trainer.max_steps"
            )
        return Path(self.parts.checkpoint.best_model_path)

    def _check_epochs(self) -> None:
        """Raise if the checkpoint to continue from has been trained to the end, or holds a part of an epoch."""
        if self.cfg.ckpt is None:
            return
        finished = whole_epochs(read_checkpoint(self.cfg.ckpt))
        if finished is None:
            raise CheckpointError(
                f"{self.cfg.ckpt} was written within an epoch, of which the rest cannot be trained; train anew without "
                "ckpt, or evaluate it with mode=test"
            )
        if finished >= self.cfg.trainer.max_epochs:
            raise ConfigError(
                f"nothing is left to train: {self.cfg.ckpt} has finished {finished} of trainer.max_epochs="
                f"{self.cfg.trainer.max_epochs} epochs; raise trainer.max_epochs, or evaluate it with mode=test"
            )

    def _check_fits(self, model: GenreModule) -> None:
        """Raise unless the checkpoint's labels, clips and front end are those of the data."""
        have = self.datamodule.describe()
        learnt = {**model.hparams, "clips": ClipSpec(**model.hparams["clips"]).settings()}  # old ones name fewer
        for name, what in (("labels", "labels"), ("frontend", "front end"), ("clips", "clips")):
            if learnt[name] != have[name]:
                raise CheckpointError(
                    f"{self.cfg.ckpt} was trained on other {what} ({_short(learnt[name])}) than these data have "
                    f"({_short(have[name])}); choose the data it was trained on, or train anew"
                )

    def _evaluate(self, checkpoint: Path, epoch: int, known: Mapping[str, SideLogits]) -> float | None:
        """Predict validation (if there are any) and test clips, write every output of the run, show the result.

        Parameters
        ----------
        checkpoint, epoch
            What is evaluated, and the number of its epoch, counted from 0.
        known
            Logits of sides that the model has predicted already.
        """
        sides = {side: self._predictions(known.get(side) or self._logits(side)) for side in self.datamodule.judged}
        if not self.leads:
            return None
        origin = self.model.provenance
        info = RunInfo(
            protocol=self.datamodule.protocol.name,
            leaky=self.datamodule.protocol.leaky,
            model=str(origin.get("model", type(self.model).__name__)),
            seed=int(origin.get("seed", self.cfg.seed)),
            parameters=count_parameters(self.model),
            train_seconds=round(self.parts.history.seconds, 2),
            dataset=self.datamodule.catalogue.name,
            config_hash=str(origin.get("config_hash", "")),
            version=genre.__version__,
        )
        OmegaConf.save(self.cfg, self.folder / "config.yaml", resolve=True)
        report = write_run(
            self.folder,
            info=info,
            val=sides.get("val"),
            test=sides["test"],
            history=self.parts.history.values,
            artist=self.datamodule.table.known_artists,
            best_epoch=epoch + 1,
            settings=compared_settings(self.composed.told, self.datamodule.table),
            also=lambda report: self._log(report, sides),
        )
        facts = {"checkpoint": str(checkpoint)}
        if self.cfg.report:
            tell_if_interrupted(before_page(self.folder))
            paths = {track.file: track.path for track in self.datamodule.tracks}
            facts["page"] = str(write_run_page(self.folder, paths, self.datamodule.clips.clip_sec))
        console.print(summary(report, facts=facts))
        return None if report.val is None else report.val.track_accuracy

    def _log(self, report: RunReport, sides: Mapping[str, Predictions]) -> None:
        for logger in self.parts.trainer.loggers:
            tensorboard.log_results(logger, tensorboard.hyperparameters(self.composed.told, report.info), report, sides)
            tensorboard.log_clips(logger, self.datamodule, sides["test"])
            logger.finalize("success")

    def _predictions(self, side: SideLogits) -> Predictions:
        batch = side.batch
        calibrated = torch.from_numpy(side.logits).double() / float(self.model.temperature)
        return Predictions(
            track=tuple(self.datamodule.tracks[track].file for track in batch["track"]),
            start_sec=batch["start"] / self.datamodule.clips.sample_rate,
            label=batch["label"],
            probabilities=torch.softmax(calibrated, dim=-1).numpy(),
            labels=self.datamodule.labels,
        )

    def _logits(self, side: str) -> SideLogits:
        """Return what the model says of the clips of one side, of all processes."""
        batches: Any = self.parts.trainer.predict(self.model, self.datamodule.loader(side))
        joined = {name: torch.cat([batch[name] for batch in batches]).cpu().numpy() for name in batches[0]}
        joined = gathered(joined)
        return SideLogits(joined.pop("logits"), joined)


def count_parameters(model: torch.nn.Module) -> int:
    """Return the number of trainable values."""
    return sum(parameter.numel() for parameter in model.parameters() if parameter.requires_grad)


def whole_epochs(checkpoint: Mapping[str, Any]) -> int | None:
    """Return how many epochs a checkpoint has been trained for; ``None`` if it was written before the end of one."""
    epochs = checkpoint["loops"]["fit_loop"]["epoch_progress"]["current"]
    finished = int(epochs["processed"])
    return finished if 0 < finished == epochs["started"] else None


def finish_checkpoint(checkpoint: dict[str, Any], path: Path, model: GenreModule, history: History) -> None:
    """Write a checkpoint with what is known at the end of the training, whole or not at all, where it was read from.

    That is the temperature, the history of the whole training, and where the model comes from.

    Raises
    ------
    CheckpointError
        If the system refuses, as on a full disk.
    """
    checkpoint["genre"]["provenance"] = model.provenance
    checkpoint["state_dict"]["temperature"] = model.temperature.cpu()
    checkpoint["callbacks"][history.state_key] = history.state_dict()
    write_checkpoint(checkpoint, path)


def _calibrate_last(last: Path, best_epoch: int, model: GenreModule) -> None:
    """Write the temperature into the last checkpoint too, if it holds the same weights."""
    if not last.is_file():
        return
    checkpoint = read_checkpoint(last)
    if checkpoint["epoch"] == best_epoch:
        checkpoint["state_dict"]["temperature"] = model.temperature.cpu()
        write_checkpoint(checkpoint, last)


def _short(value: Any, longest: int = 120) -> str:
    text = ", ".join(map(str, value)) if isinstance(value, list) else str(value)
    return text if len(text) <= longest else f"{text[:longest]}..."


def _tell_data(datamodule: GenreDataModule, folder: Path, notices: Sequence[str]) -> None:
    sides = ", ".join(
        f"{len(np.unique(datamodule.arrays.track[datamodule.rows(side)]))} {side}" for side in ("train", "val", "test")
    )
    say(
        f"data {datamodule.catalogue.name}: {len(datamodule.tracks)} tracks, {len(datamodule.arrays.label)} clips, "
        f"{len(datamodule.labels)} classes; protocol {datamodule.protocol.name}: tracks in {sides}"
    )
    tell_notices([*datamodule.notices, *notices])
    labels = {track.file: track.label for track in datamodule.catalogue.tracks}
    write_quarantine(folder / "quarantine.csv", datamodule.quarantined, labels)
    write_duplicates(folder / DUPLICATES_FILE, datamodule.pairs, datamodule.table)


def _quiet() -> None:
    """Silence what Lightning says of things that are as they should be."""
    import logging

    for name in ("pytorch_lightning", "lightning.pytorch", "pytorch_lightning.utilities.rank_zero"):
        logging.getLogger(name).setLevel(logging.WARNING)
    warnings.filterwarnings("ignore", module=r"pytorch_lightning\.utilities\._pytree")
    for message in (
        ".*dirpath has changed.*",
        ".*does not have many workers.*",
        ".*number of training batches.*",
        ".*Checkpoint directory.*exists.*",
    ):
        warnings.filterwarnings("ignore", message)
