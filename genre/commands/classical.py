"""Tuning and evaluating a classical model: what ``sweep_classical.py`` does."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from hydra.utils import instantiate
from numpy.typing import NDArray
from omegaconf import DictConfig, OmegaConf
from pytorch_lightning.loggers import TensorBoardLogger
from sklearn.pipeline import Pipeline

import genre
from genre.classical.classifiers import takes_weights
from genre.classical.folds import Split
from genre.classical.model import SUFFIX, ClassicalModel, count_values
from genre.classical.search import Rows, Search, fit, inner_folds, tune
from genre.commands import tensorboard
from genre.commands.build import CLASSICAL_GROUPS, build_search, compared_settings, config_hash
from genre.commands.command_file import keep_command
from genre.commands.console import console, say, work_bar
from genre.commands.features import load_features
from genre.commands.page import before_page, write_run_page
from genre.commands.runs import (
    alone_in,
    check_seed,
    finished_run,
    in_multirun,
    output_folder,
    require_settings,
    tell_if_interrupted,
    tell_notices,
    tell_replaced,
)
from genre.commands.space import write_space
from genre.data.balance import artist_weights, check_artist_balance
from genre.data.clip_limit import check_max_clips, spread_clips
from genre.data.duplicates import FILE_NAME as DUPLICATES_FILE
from genre.data.duplicates import write_duplicates
from genre.data.feature_set import FeatureSet
from genre.data.protocols import Deal, Protocol
from genre.data.store import write_quarantine
from genre.evaluation.calibration import fit_temperature
from genre.evaluation.predictions import Predictions
from genre.evaluation.report import RunInfo, RunReport, heading, summary, write_run
from genre.evaluation.trials import TrialRow, write_trials

MODEL_FILE = f"model{SUFFIX}"
PLAIN = {"scaler": "minmax", "feature_set": "handcrafted"}
"""Choices that are not part of a model's name."""


def run(cfg: DictConfig) -> float | None:
    """Tune, fit, calibrate and evaluate one classical model.

    Returns
    -------
    val_track_accuracy
        Share of validation tracks that are classified right.

    Raises
    ------
    GenreError
        For everything the user can mend.
    """
    folder = output_folder()
    with alone_in(folder):
        return _run_in(folder, cfg)


def _run_in(folder: Path, cfg: DictConfig) -> float | None:
    tell_if_interrupted(
        "interrupted before the model was evaluated: the features computed so far are kept, the same command computes "
        "the others and searches anew"
    )
    require_settings(cfg)
    check_seed(cfg.seed)
    pipeline, grid = build_search(cfg)  # finds what is wrong with the settings before anything takes time
    protocol: Protocol = instantiate(cfg.protocol)
    keep_command(folder)
    features = load_features(cfg)
    done = finished_run(folder, hash_of(cfg, features))
    if done is None:
        tell_replaced(folder)
        job = Job(cfg, folder, features, protocol, model_name(cfg))
        done = job.run(pipeline, grid)
    return None if done.val is None else done.val.track_accuracy


def model_name(cfg: DictConfig) -> str:
    """Return what reports call the model of this run: ``pca_svm``, with whatever else is not as usual before it."""
    from hydra.core.hydra_config import HydraConfig

    choices: Any = HydraConfig.get().runtime.choices
    unusual = [name for name in (cfg.feature_set, choices.scaler) if name not in PLAIN.values()]
    return "_".join([*unusual, choices.transform, choices.classifier])


def hash_of(cfg: DictConfig, features: FeatureSet) -> str:
    """Return the hash of all that shapes the result of this run."""
    return config_hash(cfg, f"{cfg.feature_set} {features.content}", features.table, CLASSICAL_GROUPS)


@dataclass(frozen=True, eq=False)
class Job:
    """One run: its configuration, its folder, its features, the protocol that deals them, and its model's name."""

    cfg: DictConfig
    folder: Path
    features: FeatureSet
    protocol: Protocol
    name: str

    def run(self, pipeline: Pipeline, grid: Mapping[str, Sequence[Any]]) -> RunReport:
        """Tune, fit, calibrate, evaluate and report."""
        deal = self.protocol.deal(self.features.table)
        self._tell_data(deal)
        started = time.perf_counter()
        rows, splits = self._rows(deal)
        deal = replace(deal, train=self._learnt(deal.train))
        if rows.weight is not None and not takes_weights(pipeline[-1]):
            say(f"{self.name} takes no weights, so data.artist_balance does not change it")
        with work_bar(self.name) as progress:
            settings = self.cfg.search
            search = tune(
                pipeline,
                grid,
                rows,
                splits,
                score=settings.score,
                jobs=settings.jobs,
                progress=progress,
                tell=_note,
            )
        fitted = fit(search.pipeline, rows, deal.train)
        model = self._model(fitted, deal)
        seconds = time.perf_counter() - started
        model.save(self.folder / MODEL_FILE)
        return self._report(model, search, deal, seconds)

    def _rows(self, deal: Deal) -> tuple[Rows, list[Split]]:
        """Return what the search works on, and what it is judged by: validation, or folds within training."""
        folds, group = inner_folds(
            self.features.table,
            deal.train,
            n_folds=self.cfg.search.inner_folds,
            seed=self.cfg.seed,
            leaky=self.protocol.leaky,
            tell=_note,
        )
        values = self.features.values.astype(np.float64)
        n_classes = len(self.features.labels)
        rows = Rows(values, self.features.label, self.features.track, group, n_classes, self._weights(deal))
        return rows, [(self._learnt(train), judge) for train, judge in folds or [(deal.train, deal.val)]]

    def _learnt(self, train: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return the training clips that a model is fitted on: of each track as many as ``data.max_clips`` allows."""
        return spread_clips(train, self.features.track[train], check_max_clips(self.cfg.data.get("max_clips")))

    def _weights(self, deal: Deal) -> NDArray[np.float32] | None:
        """Return how much each clip counts in training; ``None`` if all count alike."""
        balance = check_artist_balance(self.cfg.data.get("artist_balance", 0))
        if balance == 0:
            return None
        learnt = self._learnt(deal.train)
        n_clips = np.bincount(self.features.track[learnt], minlength=len(self.features.table.names))
        return artist_weights(self.features.table, n_clips, balance)[self.features.track]

    def _model(self, pipeline: Pipeline, deal: Deal) -> ClassicalModel:
        """Return the fitted pipeline with the temperature that suits validation best."""
        facts = {
            "model": self.name,
            "seed": int(self.cfg.seed),
            "protocol": self.protocol.name,
            "dataset": self.features.name,
            "config_hash": hash_of(self.cfg, self.features),
            "version": genre.__version__,
        }
        raw = ClassicalModel(
            pipeline=pipeline,
            labels=self.features.labels,
            feature_names=self.features.names,
            features_version=self.features.version,
            clips=self.features.clips,
            provenance=facts,
        )
        return raw.with_temperature(
            fit_temperature(raw.logits(self.features.values[deal.val]), self.features.label[deal.val])
        )

    def _report(self, model: ClassicalModel, search: Search, deal: Deal, seconds: float) -> RunReport:
        sides = {side: self._predict(model, self.features.by_name(deal.side(side))) for side in ("val", "test")}
        info = RunInfo(
            protocol=self.protocol.name,
            leaky=self.protocol.leaky,
            model=self.name,
            seed=int(self.cfg.seed),
            parameters=count_values(model.pipeline),
            train_seconds=round(seconds, 2),
            dataset=self.features.name,
            config_hash=str(model.provenance["config_hash"]),
            version=genre.__version__,
        )
        trials = [
            TrialRow(trial.parameters, trial.score, trial.clip_accuracy, trial.seconds, trial.fault)
            for trial in search.trials
        ]
        best = search.best.number - 1
        chosen = {name.partition(".")[2]: value for name, value in search.best.parameters.items()}
        above = heading(info, "" if self.cfg.search.inner_folds else "val")
        write_trials(self.folder, trials, best=best, score=self.cfg.search.score, heading=above)
        OmegaConf.save(self.cfg, self.folder / "config.yaml", resolve=True)
        report = write_run(
            self.folder,
            info=info,
            val=sides["val"],
            test=sides["test"],
            artist=self.features.table.known_artists,
            chosen=chosen,
            settings={
                "feature_set": self.cfg.feature_set,
                **compared_settings(self.cfg, self.features.table, CLASSICAL_GROUPS),
            },
            also=lambda report: self._log(report, trials, sides),
        )
        self._tell(report, search, model, deal)
        return report

    def _predict(self, model: ClassicalModel, rows: NDArray[np.int64]) -> Predictions:
        names = self.features.table.names
        return Predictions(
            track=tuple(names[track] for track in self.features.track[rows]),
            start_sec=self.features.start_sec[rows],
            label=self.features.label[rows],
            probabilities=model.predict_proba(self.features.values[rows]),
            labels=self.features.labels,
        )

    def _log(self, report: RunReport, trials: Sequence[TrialRow], sides: Mapping[str, Predictions]) -> None:
        if not self.cfg.logger.tensorboard:
            return
        logger = TensorBoardLogger(self.folder, name="", version="tensorboard", default_hp_metric=False)
        tensorboard.log_settings(logger, self.cfg)
        # in a sweep the HParams tab is of its runs
        tensorboard.log_trials(logger, trials, score=self.cfg.search.score, rows=not in_multirun())
        settings = tensorboard.classical_hyperparameters(report.info, report.chosen)
        tensorboard.log_results(logger, settings, report, sides)
        logger.finalize("success")

    def _tell_data(self, deal: Deal) -> None:
        track = self.features.track
        sides = ", ".join(f"{len(np.unique(track[deal.side(side)]))} {side}" for side in ("train", "val", "test"))
        say(
            f"{self.name} on {self.features.name}: {len(self.features.table.names)} tracks, {len(track)} clips, "
            f"{len(self.features.labels)} classes; protocol {self.protocol.name}: tracks in {sides}"
        )
        tell_notices([*self.features.notices, *deal.notices])
        write_quarantine(self.folder / "quarantine.csv", self.features.quarantined, dict(self.features.label_of))
        write_duplicates(self.folder / DUPLICATES_FILE, self.features.duplicates, self.features.table)

    def _tell(self, report: RunReport, search: Search, model: ClassicalModel, deal: Deal) -> None:
        """Say how it went: in a sweep on one line, else at length and with pictures of the features."""
        text = ", ".join(f"{name}={value}" for name, value in report.chosen.items()) or "nothing to tune"
        failed = sum(bool(trial.fault) for trial in search.trials)
        say(
            f"{self.name}: best of {len(search.trials)} trials: {text}"
            + (f" ({failed} failed, see trials.csv)" if failed else "")
        )
        if in_multirun():
            assert report.test is not None
            low, high = report.test.track_accuracy_ci95
            say(
                f"{self.name}: test track accuracy {report.test.track_accuracy:.3f} [{low:.3f}, {high:.3f}], clip "
                f"accuracy {report.test.clip_accuracy:.3f}, {report.info.train_seconds:.1f} s"
            )
            return
        console.print(summary(report, facts={"model": str(self.folder / MODEL_FILE)}))
        if self.cfg.report:
            tell_if_interrupted(before_page(self.folder))
            write_space(self.folder, model, self.features, deal, report.info)
            clips = self.features.clips
            page = write_run_page(self.folder, self.features.path_of, clips.clip_sec if clips else 0.0)
            console.print(f"page: {page}", markup=False)


def _note(notice: str) -> None:
    tell_notices([notice])
