"""The only place where configuration becomes objects."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from hydra.errors import InstantiationException
from hydra.utils import instantiate
from lightning_fabric.utilities.exceptions import MisconfigurationException
from omegaconf import DictConfig, OmegaConf
from pytorch_lightning import Callback, Trainer
from pytorch_lightning.callbacks import EarlyStopping, ModelCheckpoint, WeightAveraging
from pytorch_lightning.loggers import Logger, TensorBoardLogger
from torch.optim.swa_utils import get_ema_multi_avg_fn

from genre.audio.damage import Damage
from genre.commands.callbacks import (
    BestCheckpoint,
    History,
    LearningRate,
    StepSeed,
    TellInterrupted,
    TrainingProgress,
    TrialPruning,
    WholeCheckpoints,
)
from genre.commands.runs import in_multirun
from genre.commands.study import STUDY, check_tracks, open_study
from genre.data.backends import Backend
from genre.data.clips import ClipSpec
from genre.data.datamodule import DataSettings, GenreDataModule
from genre.data.duplicates import FingerprintProgress
from genre.data.fingerprint import digest
from genre.data.preparation import Progress
from genre.data.protocols import Protocol, TrackTable
from genre.errors import ConfigError, near_names
from genre.evaluation.variants import TRACKS
from genre.features.spectrogram import FrontEnd
from genre.models.base import GenreModule

if TYPE_CHECKING:
    from sklearn.pipeline import Pipeline

NOT_SHAPING = ("store_dir", "jobs", "in_memory", "root", "source", "csv")
"""Settings of data that say where things are or how fast they go; the audio itself counts by its content."""

SHOWN_ONLY = ("enable_progress_bar", "log_every_n_steps")
"""Settings of trainer that say what is shown of a training."""

TRAINING_GROUPS = (
    "protocol",
    "frontend",
    "damage",
    "augment",
    "model",
    "optimizer",
    "scheduler",
    "trainer",
    "callbacks",
    "seed",
)
"""Settings beside the data that shape a trained network."""

CLASSICAL_GROUPS = ("protocol", "frontend", "scaler", "transform", "classifier", "search", "seed")
"""Settings beside the data that shape a classical model."""

PRECISIONS = ("auto", "32", "32-true", "64", "64-true", "16-mixed", "bf16-mixed")
"""Values of ``trainer.precision``: those that keep the weights exact, as a checkpoint has them."""

SET_HERE = {
    "callbacks": "callbacks.monitor, callbacks.patience and callbacks.weight_average say what is done beside training",
    "logger": "logger=none or logger=tensorboard says what is logged",
    "plugins": "trainer.precision and trainer.strategy say how it is computed",
    "default_root_dir": "hydra.run.dir says where a run writes",
    "enable_model_summary": "the number of parameters is said where training begins",
}
"""Arguments of Lightning's Trainer that are no settings, since a run gives its own, and what there is instead."""

MACHINE = ("accelerator", "devices", "strategy", "num_nodes")
"""Settings of trainer that a machine may not have what it takes for."""

REPEATS = ("seed", "protocol.seed", "protocol.fold")
"""Settings in which repeats of one thing differ."""

MONITORED = {"val/loss": "min", "val/clip_accuracy": "max", "val/track_accuracy": "max"}
"""Metrics by which an epoch may be judged, and whether the smallest or the largest is best."""


@dataclass(frozen=True)
class TrainerParts:
    """A trainer and those of its callbacks that are asked for things afterwards."""

    trainer: Trainer
    history: History
    checkpoint: BestCheckpoint
    pruning: TrialPruning | None = None


def _store_dir(value: object) -> Path:
    if not isinstance(value, str) or not value:
        raise ConfigError(f"data.store_dir={'null' if value is None else value} is no folder; name one, such as stores")
    return Path(value)


def build_datamodule(
    cfg: DictConfig, *, progress: Progress, say: Any, fingerprint_progress: FingerprintProgress | None = None
) -> GenreDataModule:
    """Return the data module of a configuration; reads the catalogue, prepares nothing yet.

    Raises
    ------
    GenreError
        If a setting is wrong or the data set cannot be used.
    """
    data = cfg.data
    protocol: Protocol = instantiate(cfg.protocol)  # all settings before the catalogue, for which music may be composed
    clips = ClipSpec(data.clip_sec, data.hop_sec, data.short, data.sample_rate, data.get("passage_sec"))
    damage, copies = _damage(cfg)
    frontend: FrontEnd = instantiate(cfg.frontend, _convert_="all")
    if cfg.get("mode") == "fit":
        check_decibels(frontend, cfg.augment)
    settings = DataSettings(
        store_dir=_store_dir(data.store_dir),
        batch_size=data.batch_size,
        in_memory=data.in_memory,
        max_clips=data.max_clips,
        artist_balance=data.artist_balance,
        seed=cfg.seed,
        jobs=data.jobs,
        damage=damage,
        copies=copies,
        duplicates=data.duplicates,
    )
    augment = instantiate(cfg.augment) if "augment" in cfg else None
    backend = Backend(cfg.prepare.backend, cfg.prepare.address)
    return GenreDataModule(
        instantiate(data.source),
        protocol,
        frontend,
        clips,
        settings,
        augment=augment,
        backend=backend,
        only_test=cfg.get("mode") == "test",
        progress=progress,
        say=say,
        fingerprint_progress=fingerprint_progress,
    )


def check_decibels(frontend: FrontEnd, augment: DictConfig) -> None:
    """Raise ConfigError if levels are to be changed as decibels and the spectrograms are not in decibels."""
    wanted = [name for name in ("gain_db", "tilt_db", "equalizer_db", "lowpass", "noise") if augment[name]]
    if wanted and not frontend.in_decibels:
        given = " ".join(f"augment.{name}={augment[name]}" for name in wanted)
        off = " ".join(f"augment.{name}=0" for name in wanted)
        raise ConfigError(
            f"{given} would drown the spectrograms of frontend={frontend.name}, which are not in dB; set {off}, or "
            "choose frontend=logmel_relative"
        )


def _damage(cfg: DictConfig) -> tuple[Damage | None, int]:
    """Return what befalls damaged copies of the clips and how many there are: none but for training."""
    if cfg.get("mode") != "fit":
        return None, 0
    settings = OmegaConf.to_container(cfg.damage, resolve=True)
    assert isinstance(settings, dict)
    copies: int = settings.pop("copies")
    return (Damage(**{str(name): value for name, value in settings.items()}) if settings else None), copies


def build_model(cfg: DictConfig, datamodule: GenreDataModule) -> GenreModule:
    """Return the model of a configuration for the labels, clips and front end of a data module."""
    optimizer = OmegaConf.to_container(cfg.optimizer, resolve=True)
    scheduler = OmegaConf.to_container(cfg.scheduler, resolve=True)
    assert isinstance(optimizer, dict)
    assert isinstance(scheduler, dict)
    renamed = {"name": "scheduler", "warmup": "warmup", "at": "step_at", "factor": "step_factor"}
    model: GenreModule = instantiate(
        cfg.model,
        **datamodule.describe(),
        optimizer=optimizer.pop("name"),
        **{str(name): value for name, value in optimizer.items()},
        **{renamed[str(name)]: value for name, value in scheduler.items()},
        _convert_="all",
    )
    return model


def build_search(cfg: DictConfig) -> tuple[Pipeline, dict[str, list[Any]]]:
    """Return the pipeline of a configuration, and the grid to tune it over: name (``"classifier.C"``) -> values.

    Raises
    ------
    ConfigError
        If a grid names a setting that its step does not have, or a step could not be kept in a model file.
    """
    from genre.classical.search import CLASSIFIER, SCALER, TRANSFORM, build_pipeline, check_grid, check_storable

    steps = {name: instantiate(cfg[name].estimator, _convert_="all") for name in (SCALER, TRANSFORM, CLASSIFIER)}
    pipeline = build_pipeline(steps[SCALER], steps[TRANSFORM], steps[CLASSIFIER], seed=cfg.seed)
    grids: Any = {name: OmegaConf.to_container(cfg[name].grid, resolve=True) for name in steps}
    grid = {f"{step}.{name}": values for step, values_of in grids.items() for name, values in values_of.items()}
    check_grid(pipeline, grid)
    check_storable(pipeline, grid)
    return pipeline, grid


def build_trainer(cfg: DictConfig, folder: Path) -> TrainerParts:
    """Return the trainer of a configuration, which writes ``best.ckpt`` and ``last.ckpt`` into ``folder``.

    Raises
    ------
    ConfigError
        If a setting is wrong.
    """
    monitor, mode = cfg.callbacks.monitor, monitor_mode(cfg.callbacks)
    _check_epochs("trainer.max_epochs", cfg.trainer.max_epochs)
    if cfg.callbacks.patience is not None:
        _check_epochs("callbacks.patience", cfg.callbacks.patience, ", or null for never")
        if cfg.mode == "fit" and monitor is None:
            raise ConfigError(
                f"callbacks.patience={cfg.callbacks.patience} needs something that can get better; add "
                "callbacks.monitor=val/clip_accuracy, or take it out"
            )
    _check_limits(cfg, monitor)
    history = History()
    best = BestCheckpoint(folder, monitor=monitor, mode=mode)
    last = ModelCheckpoint(folder, "last", save_on_train_epoch_end=True, enable_version_counter=False)
    callbacks: list[Callback] = [StepSeed(cfg.seed), LearningRate(), history, best, last]
    if cfg.mode == "fit" and not _in_sweep():
        callbacks.append(TellInterrupted(folder))
    if cfg.callbacks.weight_average is not None:
        callbacks.insert(0, _weight_averaging(cfg.callbacks.weight_average))
    if cfg.callbacks.patience is not None and monitor is not None:
        callbacks.append(EarlyStopping(monitor, mode=mode, patience=cfg.callbacks.patience))
    loggers = _loggers(cfg, folder)
    settings = OmegaConf.to_container(cfg.trainer, resolve=True)
    assert isinstance(settings, dict)
    if settings.get("precision") == "auto":
        settings["precision"] = "bf16-mixed" if multiplies_bfloat16() else "32-true"
    if settings.pop("enable_progress_bar", True):
        callbacks.append(TrainingProgress())
    trainer = _make_trainer(
        settings,
        callbacks=callbacks,
        logger=loggers,
        plugins=[WholeCheckpoints()],
        default_root_dir=str(folder),
        enable_progress_bar=False,
        enable_model_summary=False,
    )
    pruning = _trial_pruning() if cfg.mode == "fit" and trainer.world_size == 1 else None
    if pruning is not None:
        trainer.callbacks.append(pruning)  # type: ignore[attr-defined]
    return TrainerParts(trainer, history, best, pruning)


def _check_limits(cfg: DictConfig, monitor: str | None) -> None:
    """Raise ConfigError for what Lightning offers and a run has no use for, or would have nothing sensible left of."""
    for name, instead in SET_HERE.items():
        if name in cfg.trainer:
            raise ConfigError(f"trainer.{name} is given by the run itself; take it out: {instead}")
    if cfg.trainer.get("fast_dev_run"):
        raise ConfigError(
            f"trainer.fast_dev_run={cfg.trainer.fast_dev_run} leaves no checkpoint, which a run needs for its "
            "evaluation; for a quick try take trainer.max_epochs=1 data.max_clips=1 instead"
        )
    for name in ("limit_train_batches", "max_steps"):
        if cfg.mode == "fit" and cfg.trainer.get(name) == 0:
            raise ConfigError(
                f"trainer.{name}={cfg.trainer[name]} leaves nothing to learn from; take it out, or raise it"
            )
    if cfg.trainer.get("overfit_batches"):
        raise ConfigError(
            f"trainer.overfit_batches={cfg.trainer.overfit_batches} would judge the model by what it learns; take it "
            "out (trainer.limit_train_batches=... makes epochs shorter)"
        )
    steps = cfg.trainer.get("accumulate_grad_batches", 1)
    if isinstance(steps, bool) or not isinstance(steps, int) or steps < 1:
        raise ConfigError(f"trainer.accumulate_grad_batches={steps} is not a number of batches; give 1 or more")
    clip = cfg.trainer.get("gradient_clip_val")
    if clip is not None and (isinstance(clip, bool) or not isinstance(clip, int | float) or not clip >= 0):
        raise ConfigError(
            f"trainer.gradient_clip_val={clip} is out of range; give the largest norm of a gradient, or null for any"
        )
    if str(cfg.trainer.precision) not in PRECISIONS:
        raise ConfigError(
            f"trainer.precision={cfg.trainer.precision} is unknown, or one in which figures are not those of the "
            f"checkpoint; {near_names(cfg.trainer.precision, PRECISIONS)}"
        )
    limit = cfg.trainer.get("limit_predict_batches")
    if limit is not None and not (isinstance(limit, float) and limit == 1.0):  # 1 is one batch, 1.0 all of them
        raise ConfigError(f"trainer.limit_predict_batches={limit} leaves clips out of the evaluation; take it out")
    if cfg.mode == "fit" and cfg.trainer.get("limit_val_batches") == 0 and monitor is not None:
        raise ConfigError(
            "trainer.limit_val_batches=0 leaves nothing to judge epochs by; take it out, or set callbacks.monitor=null"
        )


def _check_epochs(setting: str, value: object, otherwise: str = "") -> None:
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise ConfigError(f"{setting}={value} is not a number of epochs; give 1 or more{otherwise}")


def monitor_mode(callbacks: DictConfig) -> str:
    """Return whether an epoch is best where ``callbacks.monitor`` is smallest (``"min"``) or largest (``"max"``).

    Raises
    ------
    ConfigError
        If the metric is unknown, or ``callbacks.monitor_mode`` is given and is not the metric's own.
    """
    monitor, given = callbacks.monitor, callbacks.monitor_mode
    if monitor is not None and monitor not in MONITORED:
        raise ConfigError(f"callbacks.monitor={monitor} is unknown; {near_names(str(monitor), MONITORED)}")
    if given not in (None, "min", "max"):
        raise ConfigError(f"callbacks.monitor_mode={given} is unknown; {near_names(str(given), ('min', 'max'))}")
    mode = MONITORED.get(monitor, given or "min")
    if given not in (None, mode):
        best = "smallest" if mode == "min" else "largest"
        raise ConfigError(
            f"callbacks.monitor_mode={given} does not fit callbacks.monitor={monitor}, which is best where it is "
            f"{best}; choose callbacks.monitor_mode=null, which takes what fits"
        )
    return mode


def _make_trainer(settings: dict[Any, Any], **more: Any) -> Trainer:
    """Return the trainer, or say that this machine does not have what it asks for."""
    try:
        trainer: Trainer = instantiate(settings, **more)
    except InstantiationException as error:
        if not isinstance(error.__cause__, MisconfigurationException | ValueError):
            raise
        said = " ".join(str(error.__cause__).split()).rstrip(".!")
        blamed = [name for name in settings if name in said and name not in MACHINE]
        if blamed:
            where = ", ".join(f"trainer.{name}={settings[name]}" for name in blamed)
            raise ConfigError(f"{where} is refused by Lightning ({said}); change it, or take it out") from error
        where = ", ".join(f"trainer.{name}={settings[name]}" for name in MACHINE if name in settings)
        raise ConfigError(
            f"{where} is not possible on this machine ({said}); choose trainer=default, trainer.accelerator=cpu, or "
            "another number of devices"
        ) from error
    return trainer


def _trial_pruning() -> TrialPruning | None:
    """Return what stops a hopeless trial early, if this run is a trial of a search."""
    from hydra.core.hydra_config import HydraConfig

    if not _in_sweep():
        return None
    hydra = HydraConfig.get()
    pruning = hydra.sweeper.get("pruning")
    if pruning is None or pruning.startup_trials is None:
        return None
    from optuna.pruners import MedianPruner

    pruner = MedianPruner(n_startup_trials=pruning.startup_trials, n_warmup_steps=pruning.warmup_epochs + 1)
    return TrialPruning(open_study(Path(hydra.sweep.dir), pruner=pruner), int(hydra.job.num))


def check_tracks_of_trial(table: TrackTable, *, leads: bool) -> None:
    """Raise ConfigError if this run is a trial of a search whose earlier trials had other tracks.

    Parameters
    ----------
    table
        The usable tracks.
    leads
        Whether this is the first process of the run.
    """
    from hydra.core.hydra_config import HydraConfig

    if not _in_sweep():
        return
    hydra = HydraConfig.get()
    if hydra.runtime.choices["hydra/sweeper"] == STUDY:
        check_tracks(Path(hydra.sweep.dir), int(hydra.job.num), tracks_text(table), keep=leads)


def _in_sweep() -> bool:
    from hydra.core.hydra_config import HydraConfig

    return HydraConfig.initialized() and in_multirun()


def multiplies_bfloat16() -> bool:
    """Return whether the GPU, or without one the processor, has instructions for products in bfloat16."""
    if torch.cuda.is_available():
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    capabilities = torch.cpu.get_capabilities()
    return any(capabilities.get(name, False) for name in ("avx512_bf16", "amx_bf16", "bf16"))


def _weight_averaging(decay: object) -> WeightAveraging:
    if isinstance(decay, bool) or not isinstance(decay, float) or not 0 < decay < 1:
        raise ConfigError(
            f"callbacks.weight_average={decay} is out of range; give a decay such as 0.99, or null for none"
        )
    return WeightAveraging(multi_avg_fn=get_ema_multi_avg_fn(decay))  # type: ignore[no-untyped-call]


def _loggers(cfg: DictConfig, folder: Path) -> Sequence[Logger]:
    if not cfg.logger.tensorboard:
        return []
    return [TensorBoardLogger(save_dir=folder, name="", version="tensorboard", default_hp_metric=False)]


def config_hash(cfg: DictConfig, store_name: str, table: TrackTable, groups: Sequence[str] = TRAINING_GROUPS) -> str:
    """Return a hash of all that shapes the result of a run: its settings, its audio and what is said of its tracks."""
    return digest([shaping_settings(cfg, groups), store_name, tracks_hash(table)])[:16]


def tracks_hash(table: TrackTable) -> str:
    """Return a hash of all that a protocol and a model are told of the tracks, whatever their order.

    The name of a store counts the recordings, but neither what they are called nor labels, artists, given sides and
    which of them are copies.
    """
    label = [table.labels[number] for number in table.label]
    rows = zip(table.names, label, table.artist, table.split, table.content, table.recording, strict=True)
    return digest([table.labels, sorted(rows, key=lambda row: row[0])])


def tracks_text(table: TrackTable) -> str:
    """Return which usable tracks there are, shortly: how many, and a hash of their names, labels and sound.

    It is the same for every seed and fold, and wherever the files lie: ``26 in 3 classes #a1b2c3``.
    """
    label = [table.labels[number] for number in table.label]
    rows = sorted(zip(table.names, label, table.content, strict=True))
    return f"{len(rows)} in {len(table.labels)} classes #{digest([table.labels, rows])[:6]}"


def shaping_settings(cfg: DictConfig, groups: Sequence[str] = TRAINING_GROUPS) -> dict[str, Any]:
    """Return all settings that shape the result of a run, by group."""
    parts: dict[str, Any] = {}
    for group in groups:
        value = cfg[group]
        parts[group] = OmegaConf.to_container(value, resolve=True) if isinstance(value, DictConfig) else value
    data = OmegaConf.masked_copy(cfg.data, [name for name in cfg.data if name not in NOT_SHAPING])
    parts["data"] = OmegaConf.to_container(data, resolve=True)
    parts.get("search", {}).pop("jobs", None)
    for name in SHOWN_ONLY:
        parts.get("trainer", {}).pop(name, None)
    return parts


def compared_settings(cfg: DictConfig, table: TrackTable, groups: Sequence[str] = TRAINING_GROUPS) -> dict[str, Any]:
    """Return what tells runs apart that are no repeats of each other: all settings but seeds and folds, and the tracks.

    Returns
    -------
    dict
        Dotted name to plain value.
    """
    settings = flat(shaping_settings(cfg, groups))
    return {**{name: value for name, value in settings.items() if name not in REPEATS}, TRACKS: tracks_text(table)}


def flat(node: Any, prefix: str = "") -> dict[str, Any]:
    """Return nested settings as one level of plain values; a list becomes its text."""
    if not isinstance(node, dict):
        plain = node if isinstance(node, bool | int | float | str) else str(node)
        return {prefix: plain}
    levels = (flat(value, f"{prefix}.{name}" if prefix else str(name)) for name, value in node.items())
    return {name: value for level in levels for name, value in level.items()}
