"""Tuning a pipeline over a grid, on validation tracks or on inner folds that keep artists apart.

Every combination of a grid is a trial. Trials are judged by accuracy over tracks (or over clips) of rows the trial was
not fitted on; equal ones by accuracy over clips, then by their order in the grid, which goes from simple to complex.
The mean over a track's clips is that of calibrated probabilities, as of the finished model, for it depends on the scale
of the scores: one temperature a trial, fitted on all rows that it is judged by.
"""

from __future__ import annotations

import itertools
import multiprocessing
import time
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import softmax
from sklearn.base import BaseEstimator, clone
from sklearn.pipeline import Pipeline

from genre.checks import is_whole
from genre.classical.classifiers import takes_groups, takes_weights
from genre.classical.folds import Split, deal_folds
from genre.classical.memory import bytes_of_split, free_memory, most_columns
from genre.classical.model import class_logits, refused_types
from genre.data.protocols.groups import group_tracks
from genre.data.protocols.table import TrackTable
from genre.errors import ConfigError, DataError, near_names
from genre.evaluation.calibration import fit_temperature

SCALER, TRANSFORM, CLASSIFIER = "scaler", "transform", "classifier"
SCORES = ("track_accuracy", "clip_accuracy", "macro_recall")

_TRIED_ROWS = 400
_SIZES = ("n_estimators", "epochs")  # settings on which it depends how long a fit takes, but not what types come of it


@dataclass(frozen=True, eq=False)
class Rows:
    """What a search works on; one entry a clip.

    Parameters
    ----------
    features : shape=(n, n_features)
    label, track, group : shape=(n,)
        Class number; number of the track; number of the group of tracks that may not be parted.
    n_classes
        Number of classes.
    weight : shape=(n,)
        How much each clip counts when a classifier is fitted that takes weights; ``None``: all alike.
    """

    features: NDArray[np.float64]
    label: NDArray[np.int64]
    track: NDArray[np.int64]
    group: NDArray[np.int64]
    n_classes: int
    weight: NDArray[np.floating] | None = None

    def beside(self, classifier: BaseEstimator, rows: NDArray[np.int64]) -> dict[str, NDArray[Any]]:
        """Return what a classifier is fitted with beside features and labels of ``rows``."""
        extra: dict[str, NDArray[Any]] = {}
        if takes_groups(classifier):
            extra["groups"] = self.group[rows]
        if self.weight is not None and takes_weights(classifier):
            extra["sample_weight"] = self.weight[rows]
        return extra


@dataclass(frozen=True)
class Trial:
    """One combination of a grid and how well it did.

    Parameters
    ----------
    number
        Its place in the grid, from 1.
    parameters
        Name (``"classifier.C"``) -> value.
    score
        Mean over the splits of the score that was asked for; NaN if the trial failed.
    clip_accuracy
        The same of the accuracy over clips.
    seconds
        Time spent fitting and judging.
    fault
        Why it failed; empty if it did not.
    """

    number: int
    parameters: Mapping[str, Any]
    score: float
    clip_accuracy: float
    seconds: float
    fault: str = ""


@dataclass(frozen=True, eq=False)
class Search:
    """All trials, and the pipeline of the best, not fitted.

    Parameters
    ----------
    trials
        In the order of the grid.
    best
        The one that did best.
    pipeline
        Set as the best trial was.
    """

    trials: tuple[Trial, ...]
    best: Trial
    pipeline: Pipeline


def build_pipeline(
    scaler: BaseEstimator | None, transform: BaseEstimator | None, classifier: BaseEstimator, *, seed: int
) -> Pipeline:
    """Return the pipeline of a scaler, a transform and a classifier; whatever draws random numbers gets the seed."""
    steps = [(SCALER, scaler), (TRANSFORM, transform), (CLASSIFIER, classifier)]
    pipeline = Pipeline([(name, "passthrough" if step is None else step) for name, step in steps])
    seeds = {name: seed for name in pipeline.get_params() if name.endswith("__random_state")}
    return pipeline.set_params(**seeds)


def check_grid(pipeline: Pipeline, grid: Mapping[str, Sequence[Any]]) -> None:
    """Raise unless a grid names settings of the pipeline and has values for each.

    Parameters
    ----------
    pipeline
        What is tuned.
    grid
        Name (``"classifier.C"``) -> the values to try.

    Raises
    ------
    ConfigError
        Naming the setting.
    """
    known = {name.replace("__", ".") for name in pipeline.get_params() if "__" in name}
    for name, values in grid.items():
        if name not in known:
            step = name.partition(".")[0]
            raise ConfigError(
                f"the grid tries {name}, which is no setting of the {step}; "
                f"{near_names(name, [other for other in known if _beside(other, name)])}"
            )
        if not isinstance(values, Sequence) or isinstance(values, str) or not values:
            raise ConfigError(f"the grid has no values for {name}; give a list, such as [1, 10]")


def check_storable(pipeline: Pipeline, grid: Mapping[str, Sequence[Any]]) -> None:
    """Raise if a step would be made of types that no model file may hold; to be asked before a search takes time.

    Each step is fitted by itself on a few random rows, with its own settings and with each text that the grid has for
    one of them. What cannot be fitted on these passes: the search tells of it.

    Parameters
    ----------
    pipeline
        What is tuned.
    grid
        Checked by :func:`check_grid`.

    Raises
    ------
    ConfigError
        Naming the setting.
    """
    for name, step in pipeline.steps:
        if step == "passthrough":
            continue
        quick = {setting: 1 for setting in step.get_params() if setting.rpartition("__")[2] in _SIZES}
        tried: dict[str, dict[str, Any]] = {f"{name}.estimator": {}}
        for place, values in grid.items():
            own = place.removeprefix(f"{name}.")
            texts = [value for value in values if isinstance(value, str)] if own != place else []
            tried |= {f"{name}.grid.{own}={text}": {own.replace(".", "__"): text} for text in texts}
        for setting, changes in tried.items():
            if refused := _refused(clone(step).set_params(**quick).set_params(**changes)):
                remedy = f"choose other settings of it, or another {name}"
                if any(kind.startswith("sklearn.neighbors.") for kind in refused):
                    remedy = "nearest neighbours need algorithm=brute"
                raise ConfigError(
                    f"{setting} gives a {type(step).__name__} made of {', '.join(refused)}, which no model file may "
                    f"hold; {remedy}"
                )


def _refused(estimator: BaseEstimator) -> list[str]:
    """Return the types in an estimator, once fitted, that no model file may hold; none if it cannot be fitted."""
    rows = np.random.default_rng(0).normal(size=(_TRIED_ROWS, 4))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            estimator.fit(rows, np.arange(_TRIED_ROWS) % 3)
        except Exception:  # whatever an estimator makes of random rows
            return []
    return refused_types(estimator)


def inner_folds(
    table: TrackTable,
    rows: NDArray[np.int64],
    *,
    n_folds: int,
    seed: int,
    leaky: bool,
    tell: Callable[[str], None] = lambda _notice: None,
) -> tuple[list[Split], NDArray[np.int64]]:
    """Return folds within ``rows`` that keep artists and recordings together, and the group of each clip of ``table``.

    Parameters
    ----------
    table
        The tracks.
    rows
        Clips to deal.
    n_folds
        Number of folds; fewer if there are too few groups (:func:`genre.classical.folds.deal_folds`).
    seed
        Of the deal.
    leaky
        Deal clips one by one, for a protocol that does so too.
    tell
        Called with a sentence if there are fewer folds.

    Raises
    ------
    ConfigError
        If ``n_folds`` is no number of folds, or there is nothing to part.
    """
    if not is_whole(n_folds, 0) or n_folds == 1:
        raise ConfigError(
            f"search.inner_folds={n_folds} is not a number of folds; give 2 or more, or 0 for the validation side"
        )
    n_clips = int(table.n_clips.sum())
    group = np.arange(n_clips) if leaky else table.per_clip(group_tracks(table, by_artist=True))
    if n_folds == 0:
        return [], group
    folds = deal_folds(
        table.per_clip(table.label)[rows],
        group[rows],
        n_folds,
        seed=seed,
        setting="search.inner_folds",
        otherwise="set search.inner_folds=0, which tunes on the validation side, or add artists",
        tell=tell,
    )
    return [(rows[fit], rows[judge]) for fit, judge in folds], group


def tune(
    pipeline: Pipeline,
    grid: Mapping[str, Sequence[Any]],
    rows: Rows,
    splits: Sequence[Split],
    *,
    score: str = "track_accuracy",
    jobs: int | None = None,
    progress: Callable[[int, int], None] = lambda _done, _total: None,
    tell: Callable[[str], None] = lambda _notice: None,
) -> Search:
    """Try every combination of a grid.

    Parameters
    ----------
    pipeline
        What :func:`build_pipeline` returns.
    grid
        Name (``"classifier.C"``) -> the values to try.
    rows
        The clips.
    splits
        Rows to fit on and to judge by; a trial's score is its mean over them.
    score
        One of :data:`SCORES`.
    jobs
        Processes; ``None`` is one a core; fewer where so many do not fit into memory. Each computes in cores / ``jobs``
        threads, or in fewer if so the thread pools are set.
    progress
        Called with (pieces of work done, in all).
    tell
        Called with a sentence for whatever is not quite done as it was asked for.

    Raises
    ------
    ConfigError
        If a setting is wrong, the transformed rows do not fit into memory, or every trial failed.
    """
    check_grid(pipeline, grid)
    if score not in SCORES:
        raise ConfigError(f"search.score={score} is unknown; {near_names(score, SCORES)}")
    _check_folds_of_stacking(pipeline[-1], rows, splits, tell)
    combinations = [dict(zip(grid, values, strict=True)) for values in itertools.product(*grid.values())]
    heads = list({repr(_head(one)): _set(pipeline, _head(one))[:-1] for one in combinations}.values())
    jobs, threads = share_cores(_affordable(share_cores(jobs)[0], heads, rows, splits, tell))
    work = list(_work(combinations, len(splits), jobs))
    outcomes: list[list[_Outcome]] = [[] for _ in combinations]
    calls = ((pipeline, [combinations[i] for i in piece.trials], rows, splits[piece.split]) for piece in work)
    finished: dict[int, Trial] = {}
    judges = [judge for _, judge in splits]
    for done, (piece, results) in enumerate(zip(work, _run(calls, jobs, threads), strict=True), start=1):
        for number, outcome in zip(piece.trials, results, strict=True):
            outcomes[number].append(outcome)
            if len(outcomes[number]) == len(splits):
                finished[number] = _trial(
                    number + 1, combinations[number], outcomes[number], rows=rows, judges=judges, score=score
                )
                outcomes[number].clear()
        progress(done, len(work))
    trials = tuple(finished[number] for number in range(len(combinations)))
    if all(trial.fault for trial in trials):
        raise ConfigError(f"no setting of {pipeline[-1]} can be fitted: {trials[0].fault}")
    best = max((trial for trial in trials if not trial.fault), key=lambda trial: (*_rounded(trial), -trial.number))
    return Search(trials, best, _set(pipeline, best.parameters))


def fit(pipeline: Pipeline, rows: Rows, train: NDArray[np.int64]) -> Pipeline:
    """Return a pipeline like this one, fitted on the rows ``train``."""
    fitted = clone(pipeline)
    extra = {f"{CLASSIFIER}__{name}": values for name, values in rows.beside(fitted[-1], train).items()}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # slow convergence and constant features: the scores tell how well it went
        fitted.fit(rows.features[train], rows.label[train], **extra)
    return fitted


def share_cores(jobs: int | None) -> tuple[int, int]:
    """Return processes and threads of each, so that their product is not more than the cores this process may use.

    A process has no more threads than thread pools are limited to, as by ``OMP_NUM_THREADS``. One that was itself
    started to share work, as by a parallel launcher, has one of each.
    """
    import joblib
    from threadpoolctl import threadpool_info

    if multiprocessing.parent_process() is not None:
        return 1, 1
    cores = joblib.cpu_count()
    if jobs is not None and not is_whole(jobs, 1):
        raise ConfigError(f"search.jobs={jobs} is not a number of processes; leave it at null for one a core")
    jobs = cores if jobs is None else min(jobs, cores)
    limits = [pool["num_threads"] for pool in threadpool_info()]
    return jobs, max(1, min(cores // jobs, *limits))


def _affordable(
    jobs: int, heads: Sequence[Pipeline], rows: Rows, splits: Sequence[Split], tell: Callable[[str], None]
) -> int:
    """Return how many of ``jobs`` processes fit into memory, each with transformed rows of its own.

    Raises
    ------
    ConfigError
        If there is not room for one.
    """
    n_columns = most_columns(heads, rows.features.shape[1])
    of_one = max(bytes_of_split(n_columns, len(train), len(judge)) for train, judge in splits)
    free = free_memory()
    if free is None or jobs * of_one <= free:
        return jobs
    n_clips = max(len(train) + len(judge) for train, judge in splits)
    need = (
        f"{n_clips:,} clips of {n_columns:,} columns, which the transform makes, take about {of_one / 1e9:.1f} GB a "
        f"process, and {free / 1e9:.1f} GB of memory are free"
    )
    if of_one > free:
        raise ConfigError(
            f"{need}; choose transform=none, transform=pca or feature_set=handcrafted, or fewer clips with data.hop_sec"
        )
    tell(f"search.jobs is lowered from {jobs} to {free // of_one}: {need}")
    return free // of_one


def _check_folds_of_stacking(
    classifier: BaseEstimator, rows: Rows, splits: Sequence[Split], tell: Callable[[str], None]
) -> None:
    """Raise ConfigError before anything takes time if an ensemble cannot deal what it is fitted on to folds."""
    if takes_groups(classifier):
        notices: dict[str, None] = {}
        for train, _ in splits:
            classifier.folds(rows.label[train], rows.group[train], tell=notices.setdefault)
        for notice in notices:
            tell(notice)


@dataclass(frozen=True)
class _Piece:
    """Trials that are fitted one after the other on one split, with the same settings before the classifier."""

    split: int
    trials: tuple[int, ...]


@dataclass(frozen=True, eq=False)
class _Outcome:
    """What a trial said of the rows that it is judged by in one split; no logits if it failed."""

    logits: NDArray[np.float64]
    seconds: float
    fault: str = ""


def _work(combinations: Sequence[Mapping[str, Any]], n_splits: int, jobs: int) -> Iterator[_Piece]:
    """Cut all trials on all splits into pieces, so few that transforms are rarely fitted again, but one a process."""
    by_head: dict[str, list[int]] = {}
    for number, parameters in enumerate(combinations):
        by_head.setdefault(repr(_head(parameters)), []).append(number)
    n_chunks = -(-jobs // (n_splits * len(by_head)))
    for split in range(n_splits):
        for numbers in by_head.values():
            for first in range(min(n_chunks, len(numbers))):
                yield _Piece(split, tuple(numbers[first::n_chunks]))


def _run(calls: Iterator[Any], jobs: int, threads: int) -> Iterator[list[_Outcome]]:
    from joblib import Parallel, delayed

    if jobs == 1:
        return (_try(*call, threads=threads) for call in calls)
    results: Iterator[list[_Outcome]] = Parallel(jobs, return_as="generator")(
        delayed(_try)(*call, threads=threads) for call in calls
    )
    return results


def _try(
    pipeline: Pipeline, combinations: Sequence[Mapping[str, Any]], rows: Rows, split: Split, *, threads: int
) -> list[_Outcome]:
    """Fit trials that differ in their classifier only, and ask them for the rows that they are judged by."""
    from threadpoolctl import threadpool_limits

    train, judge = split
    outcomes = []
    with threadpool_limits(threads), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        started = time.perf_counter()
        head = _set(pipeline, _head(combinations[0]))[:-1]
        try:
            before = head.fit_transform(rows.features[train], rows.label[train])
            after = head.transform(rows.features[judge])
        except Exception as error:  # what scikit-learn says of settings that do not fit the data
            return [_failed(error, started)] * len(combinations)
        for parameters in combinations:
            classifier = _set(pipeline, parameters)[-1]
            try:
                classifier.fit(before, rows.label[train], **rows.beside(classifier, train))
                logits = class_logits(classifier, after, rows.n_classes)
                outcomes.append(_Outcome(logits, time.perf_counter() - started))
            except Exception as error:  # as above
                outcomes.append(_failed(error, started))
            started = time.perf_counter()
    return outcomes


def _scores(logits: Sequence[NDArray[np.float64]], rows: Rows, judges: Sequence[NDArray[np.int64]]) -> dict[str, float]:
    """Return each of :data:`SCORES`, mean over splits, of the logits of the rows that are judged in each."""
    temperature = fit_temperature(np.concatenate(logits), rows.label[np.concatenate(judges)])
    scores: dict[str, list[float]] = {name: [] for name in SCORES}
    for said, judge in zip(logits, judges, strict=True):
        by_track, of_track = tracks_of(softmax(said / temperature, axis=1), rows.label[judge], rows.track[judge])
        right = by_track.argmax(axis=1) == of_track
        scores["track_accuracy"].append(right.mean())
        scores["clip_accuracy"].append((said.argmax(axis=1) == rows.label[judge]).mean())
        scores["macro_recall"].append(np.mean([right[of_track == k].mean() for k in np.unique(of_track)]))
    return {name: float(np.mean(values)) for name, values in scores.items()}


def tracks_of(
    probability: NDArray[np.float64], label: NDArray[np.int64], track: NDArray[np.int64]
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Return the mean probability over each track's clips, shape (n_tracks, n_classes), and the tracks' classes."""
    _, first, index = np.unique(track, return_index=True, return_inverse=True)
    total = np.zeros((len(first), probability.shape[1]))
    np.add.at(total, index, probability)
    return total / np.bincount(index)[:, None], label[first]


def _trial(
    number: int,
    parameters: Mapping[str, Any],
    outcomes: Sequence[_Outcome],
    *,
    rows: Rows,
    judges: Sequence[NDArray[np.int64]],
    score: str,
) -> Trial:
    fault = next((outcome.fault for outcome in outcomes if outcome.fault), "")
    scores = dict.fromkeys(SCORES, float("nan"))
    if not fault:
        try:
            scores = _scores([outcome.logits for outcome in outcomes], rows, judges)
        except DataError as error:  # scores that are no numbers
            fault = str(error)
    seconds = sum(outcome.seconds for outcome in outcomes)
    return Trial(number, parameters, scores[score], scores["clip_accuracy"], seconds, fault)


def _failed(error: Exception, started: float) -> _Outcome:
    fault = " ".join(f"{type(error).__name__}: {error}".split())[:300]
    return _Outcome(np.empty((0, 0)), time.perf_counter() - started, fault)


def _rounded(trial: Trial) -> tuple[float, float]:
    """Return what trials are ranked by; rounded, so that the last bit of a sum cannot choose another trial."""
    return round(trial.score, 9), round(trial.clip_accuracy, 9)


def _beside(name: str, other: str) -> bool:
    """Say whether two settings belong to the same step, and are as deep in it."""
    return name.partition(".")[0] == other.partition(".")[0] and name.count(".") == other.count(".")


def _head(parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Return the settings of what comes before the classifier."""
    return {name: value for name, value in parameters.items() if not name.startswith(f"{CLASSIFIER}.")}


def _set(pipeline: Pipeline, parameters: Mapping[str, Any]) -> Pipeline:
    """Return a copy of a pipeline with these parameters."""
    return clone(pipeline).set_params(**{name.replace(".", "__"): value for name, value in parameters.items()})
