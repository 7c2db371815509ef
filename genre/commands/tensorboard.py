"""What a run shows in TensorBoard beside its curves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from matplotlib.figure import Figure
from numpy.typing import NDArray
from omegaconf import DictConfig, OmegaConf
from pytorch_lightning.loggers import Logger, TensorBoardLogger
from torch.utils.tensorboard import SummaryWriter
from torch.utils.tensorboard.summary import hparams

from genre.audio.excerpt import excerpt
from genre.audio.health import Extent, check_range
from genre.commands.build import flat
from genre.commands.console import say
from genre.data.clips import with_sound
from genre.data.datamodule import GenreDataModule
from genre.errors import AudioError, counted
from genre.evaluation import plots
from genre.evaluation.calibration import reliability
from genre.evaluation.metrics import class_scores, confusion_matrix
from genre.evaluation.predictions import Predictions, track_level
from genre.evaluation.report import RunInfo, RunReport, heading
from genre.evaluation.trials import TrialRow

CLIPS_SHOWN = 4
"""Clips a kind: rightly and wrongly classified."""

FINAL_FIGURES = (
    ("test", "track_accuracy"),
    ("test", "clip_accuracy"),
    ("test", "macro_f1"),
    ("val", "track_accuracy"),
    ("val", "clip_accuracy"),
    ("val", "macro_f1"),
    ("test", "ece"),
    ("val", "ece"),
)
"""Figures of the HParams tab, which shows the first five columns until more are asked for."""


def log_settings(logger: Logger, cfg: DictConfig) -> None:
    """Write the configuration as text."""
    if isinstance(logger, TensorBoardLogger):
        text = OmegaConf.to_yaml(cfg, resolve=True)
        logger.experiment.add_text("config", "```yaml\n" + text + "```")


def log_results(
    logger: Logger, settings: Mapping[str, Any], report: RunReport, sides: Mapping[str, Predictions]
) -> None:
    """Write the pictures of the evaluation, and settings with validation and test figures for the HParams tab.

    Parameters
    ----------
    logger
        Anything but a TensorBoard logger is passed over.
    settings
        Name -> plain value, as :func:`hyperparameters` returns them.
    report, sides
        The figures, and what they are of.
    """
    if not isinstance(logger, TensorBoardLogger):
        return
    writer = logger.experiment
    for side, clips in sides.items():
        levels = {"tracks": track_level(clips), "clips": clips}
        above = heading(report.info, side)
        matrices = {level: confusion_matrix(table) for level, table in levels.items()}
        scores = {level: class_scores(table) for level, table in levels.items()}
        writer.add_figure(f"{side}/confusion_matrix", plots.confusion_matrix_figure(matrices, clips.labels, above))
        writer.add_figure(f"{side}/per_class", plots.per_class_figure(scores, above))
        curve = reliability(clips.confidence, clips.correct)
        writer.add_figure(f"{side}/reliability", plots.reliability_figure(curve, above))
    measured = {"test": report.test, "val": report.val}
    figures = {
        f"{side}/final/{name}": float(getattr(metrics, name))
        for side, name in FINAL_FIGURES
        if (metrics := measured[side]) is not None
    }
    # into the run's own file, so that one run is one row
    for summary in hparams(dict(settings), figures):  # type: ignore[no-untyped-call]
        writer.file_writer.add_summary(summary)
    for name, value in figures.items():
        writer.add_scalar(name, value)
    writer.flush()


def log_trials(logger: Logger, trials: Sequence[TrialRow], *, score: str, rows: bool) -> None:
    """Write the score of every trial of a search as a curve, and with ``rows`` each as a row of the HParams tab."""
    if not isinstance(logger, TensorBoardLogger):
        return
    for number, trial in enumerate(trials, start=1):
        if trial.fault:
            continue
        logger.experiment.add_scalar(f"trials/{score}", trial.score, number)
        if rows and trial.parameters:
            with SummaryWriter(Path(logger.log_dir) / f"trial_{number:03}") as writer:
                settings = {"trial": number, **flat(dict(trial.parameters))}
                for summary in hparams(settings, {f"trial/{score}": trial.score}):  # type: ignore[no-untyped-call]
                    writer._get_file_writer().add_summary(summary)
                writer.add_scalar(f"trial/{score}", trial.score)
    logger.experiment.flush()


def log_clips(logger: Logger, datamodule: GenreDataModule, predictions: Predictions | None) -> None:
    """Write spectrogram and audio of a few clips that were classified right, and of the most confident mistakes.

    Clips whose file is no longer what it was when it was prepared have no audio, and it is said.
    """
    if not isinstance(logger, TensorBoardLogger) or predictions is None:
        return
    writer = logger.experiment
    rows = datamodule.rows("test")
    right = predictions.predicted == predictions.label
    confidence = predictions.probabilities.max(axis=1)
    silent: list[str] = []
    for kind, chosen in (("right", right), ("wrong", ~right)):
        order = [row for row in np.argsort(-confidence, kind="stable") if chosen[row]]
        for place, row in enumerate(_one_a_track(order, predictions)[:CLIPS_SHOWN], start=1):
            truth = predictions.labels[predictions.label[row]]
            said = predictions.labels[predictions.predicted[row]]
            where = f"{predictions.track[row]} at {predictions.start_sec[row]:.1f} s"
            title = f"{where}\n{truth}, predicted {said} ({confidence[row]:.0%})"
            picture = datamodule.arrays.gather(rows[row : row + 1])["spectrogram"][0, 0].numpy()
            figure = _spectrogram_figure(picture, datamodule.clips.clip_sec, title)
            writer.add_figure(f"clips_{kind}/{place} {truth} predicted {said}", figure)
            samples = _samples(datamodule, rows[row])
            if samples is None:
                silent.append(predictions.track[row])
                continue
            name = f"clips_{kind}/{place} {truth} predicted {said}"
            writer.add_audio(name, samples, sample_rate=datamodule.clips.sample_rate)
    writer.flush()
    if silent:
        files = counted(len(set(silent)), "file")
        say(f"note: TensorBoard has no sound of {files} (the first: {silent[0]}): not there or changed since prepared")


def _one_a_track(order: list[Any], predictions: Predictions) -> list[Any]:
    first: dict[str, Any] = {}
    for row in order:
        first.setdefault(predictions.track[row], row)
    return list(first.values())


def _spectrogram_figure(spectrogram: NDArray[np.float32], seconds: float, title: str) -> Figure:
    figure = Figure(figsize=(4.0, 3.2), dpi=120, layout="constrained")
    axes = figure.subplots()
    extent = (0.0, seconds, 0.0, float(len(spectrogram)))
    image = axes.imshow(spectrogram, origin="lower", aspect="auto", cmap="magma", extent=extent)
    axes.set(xlabel="time in the clip (s)", ylabel="bin, low to high")
    axes.set_title(title.replace("$", r"\$"), fontsize=10)
    figure.colorbar(image, ax=axes)
    return figure


def _samples(datamodule: GenreDataModule, row: int) -> torch.Tensor | None:
    """Return the samples (1, n) of a clip; None if its file does not have them any more.

    No more is decoded than up to a second past the clip, and no more is held than a second more on either side, where
    the resampler is not yet what it is in the midst of the track. Cut at a whole second, both sample rates agree.
    """
    path, clips = datamodule.tracks[datamodule.arrays.track[row]].path, datamodule.clips
    start = int(datamodule.arrays.start[row])
    first_sec = max(0, start // clips.sample_rate - 1)
    before = start - first_sec * clips.sample_rate
    try:
        samples = excerpt(path, first_sec, (before + clips.length) / clips.sample_rate + 1, clips.sample_rate)[before:]
        check_range(Extent().with_block(samples), name=path)
    except AudioError:
        return None
    if start > 0 and len(samples) < clips.length:
        return None
    clip = clips.cut(samples)[0][:1]
    if not with_sound(clip).all() or len(clip) == 0:  # no silent clip was ever prepared
        return None
    return torch.from_numpy(np.clip(clip, -1.0, 1.0))


def hyperparameters(cfg: DictConfig, info: RunInfo) -> dict[str, Any]:
    """Return what the HParams tab shows of a run; the names put what tells runs apart into its first columns."""
    nodes = {name: cfg[name] for name in ("model", "optimizer", "scheduler", "frontend", "protocol")}
    settings = {name: OmegaConf.to_container(node, resolve=True) for name, node in nodes.items()}
    settings["data"] = {name: cfg.data[name] for name in ("batch_size", "clip_sec", "hop_sec", "short")}
    settings["trainer"] = {"max_epochs": cfg.trainer.max_epochs}
    shown = {name: value for name, value in flat(settings, "setting").items() if not name.endswith("_target_")}
    front_end = str(cfg.frontend._target_).rpartition(".")[2]
    facts = {"data": info.dataset, "front_end": front_end, "model": info.model, "protocol": info.protocol}
    return {**facts, "seed": info.seed, **shown}


def classical_hyperparameters(info: RunInfo, chosen: Mapping[str, Any]) -> dict[str, Any]:
    """Return what the HParams tab shows of a classical run: what it is, and what tuning chose."""
    facts = {"data": info.dataset, "model": info.model, "protocol": info.protocol, "seed": info.seed}
    return {**facts, **flat(dict(chosen), "chosen")}
