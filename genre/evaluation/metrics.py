"""Figures of a prediction table.

Conventions: "clip level" counts every clip, "track level" counts every track once, by the mean probability over its
clips. Intervals are 95 % percentile bootstrap intervals over tracks, since the clips of one track are no independent
evidence, and over artists with all their tracks where it is known who plays (:mod:`genre.evaluation.resampling`). A
resample of n values is drawn as how often each distinct value occurs in it, which is multinomial: the same distribution
as drawing n rows, thousands of times quicker, and not dependent on the order of the rows.

Efron, B., Tibshirani, R. (1993), "An Introduction to the Bootstrap", chapter 13: the percentile interval.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from genre.checks import is_number
from genre.errors import DataError
from genre.evaluation.calibration import reliability
from genre.evaluation.predictions import Predictions, track_level
from genre.evaluation.resampling import Units

N_BOOTSTRAP = 10_000
LEAK_WARNING = "leaked protocol: training has heard the recordings it is tested on"


@dataclass(frozen=True, slots=True)
class Metrics:
    """The figures of one side (val or test) of a run.

    Parameters
    ----------
    clip_accuracy, track_accuracy
        Share of clips, and of tracks, predicted right.
    track_accuracy_ci95
        95 % interval of ``track_accuracy``, see :func:`interval_of_accuracy`.
    track_accuracy_ci95_over
        What was drawn for it: ``"artists"`` or ``"tracks"``.
    macro_f1
        Clip level: mean F1 over the classes that occur among the labels or the predictions, as in scikit-learn.
    ece
        Clip level: expected calibration error, 15 equal-width bins (:mod:`genre.evaluation.calibration`).
    n_clips, n_tracks
        How many the figures are of.
    """

    clip_accuracy: float
    track_accuracy: float
    track_accuracy_ci95: tuple[float, float]
    macro_f1: float
    ece: float
    n_clips: int
    n_tracks: int
    track_accuracy_ci95_over: str = "tracks"

    def as_dict(self) -> dict[str, Any]:
        """Return the figures as plain values in the order of ``metrics.json``."""
        return {
            "clip_accuracy": self.clip_accuracy,
            "track_accuracy": self.track_accuracy,
            "track_accuracy_ci95": list(self.track_accuracy_ci95),
            "macro_f1": self.macro_f1,
            "ece": self.ece,
            "n_clips": self.n_clips,
            "n_tracks": self.n_tracks,
        }

    @classmethod
    def from_dict(cls, values: Mapping[str, Any], *, over: str = "tracks") -> Metrics:
        """Make :class:`Metrics` of what :meth:`as_dict` returned; further keys are ignored.

        Parameters
        ----------
        values
            The figures.
        over
            What was drawn for the interval, which is not among them.

        Raises
        ------
        DataError
            When a key is missing or its value is not a finite number.
        """
        interval = values.get("track_accuracy_ci95")
        if not isinstance(interval, list | tuple) or len(interval) != 2:
            raise DataError("track_accuracy_ci95 is not a pair of numbers")
        low, high = (_number({"track_accuracy_ci95": end}, "track_accuracy_ci95") for end in interval)
        return cls(
            clip_accuracy=_number(values, "clip_accuracy"),
            track_accuracy=_number(values, "track_accuracy"),
            track_accuracy_ci95=(low, high),
            macro_f1=_number(values, "macro_f1"),
            ece=_number(values, "ece"),
            n_clips=int(_number(values, "n_clips")),
            n_tracks=int(_number(values, "n_tracks")),
            track_accuracy_ci95_over=over,
        )


@dataclass(frozen=True, slots=True)
class ClassScores:
    """Precision, recall and F1 of one class; a quotient of nothing counts as 0, and ``support`` tells it apart.

    Parameters
    ----------
    label
        Name of the class.
    precision, recall, f1
        In [0, 1].
    support
        Rows that truly are of the class.
    """

    label: str
    precision: float
    recall: float
    f1: float
    support: int


@dataclass(frozen=True, slots=True)
class Difference:
    """How much better one model is than another on the same tracks.

    Parameters
    ----------
    difference
        Track accuracy of the first minus that of the second.
    ci95
        95 % paired bootstrap interval of the difference.
    n_tracks
        Tracks both were tried on.
    over
        What was drawn for the interval: ``"artists"`` or ``"tracks"``.
    """

    difference: float
    ci95: tuple[float, float]
    n_tracks: int
    over: str = "tracks"

    @property
    def beyond_noise(self) -> bool:
        """Whether the interval leaves out 0."""
        return self.ci95[0] > 0 or self.ci95[1] < 0


def evaluate(
    predictions: Predictions, *, artist: Mapping[str, str] | None = None, n_bootstrap: int = N_BOOTSTRAP, seed: int = 0
) -> Metrics:
    """Compute all figures of a prediction table.

    Parameters
    ----------
    predictions
        One row a clip.
    artist
        Track -> artist, as far as known.
    n_bootstrap
        Number of resamples of the interval.
    seed
        Seed of the resamples: same table, same seed, same interval.

    Raises
    ------
    DataError
        When there are no rows, or the clips of one track have different labels.
    """
    if not len(predictions):
        raise DataError("there are no clips to evaluate: this side of the protocol is empty")
    tracks = track_level(predictions)
    units = Units.of(tracks.track, artist or {})
    right = tracks.correct.astype(np.float64)
    return Metrics(
        clip_accuracy=float(predictions.correct.mean()),
        track_accuracy=float(tracks.correct.mean()),
        track_accuracy_ci95=interval_of_accuracy(right, units, n_bootstrap=n_bootstrap, seed=seed),
        track_accuracy_ci95_over=units.over,
        macro_f1=macro_f1(confusion_matrix(predictions)),
        ece=reliability(predictions.confidence, predictions.correct).error,
        n_clips=len(predictions),
        n_tracks=len(tracks),
    )


def confusion_matrix(predictions: Predictions) -> NDArray[np.int64]:
    """Count rows by true class (first axis) and predicted class, shape (n_classes, n_classes).

    Clip level as it stands; track level on what :func:`~genre.evaluation.predictions.track_level` returns.
    """
    n_classes = len(predictions.labels)
    pair = predictions.label * n_classes + predictions.predicted
    return np.bincount(pair, minlength=n_classes**2).reshape(n_classes, n_classes)


def macro_f1(matrix: NDArray[np.int64]) -> float:
    """Mean F1 over the classes that occur among the labels or the predictions of a confusion matrix.

    F1 = 2 TP / (2 TP + FP + FN). A class that neither occurs nor is predicted has no F1 and is left out, as
    ``sklearn.metrics.f1_score(average="macro")`` does.
    """
    occurrences = matrix.sum(axis=0) + matrix.sum(axis=1)
    present = occurrences > 0
    return float(np.mean(2 * np.diagonal(matrix)[present] / occurrences[present]))


def class_scores(predictions: Predictions) -> tuple[ClassScores, ...]:
    """Compute precision, recall and F1 of every class, in the order of ``predictions.labels``.

    Clip level as it stands; track level on what :func:`~genre.evaluation.predictions.track_level` returns.
    """
    matrix = confusion_matrix(predictions)
    right, predicted, support = np.diagonal(matrix), matrix.sum(axis=0), matrix.sum(axis=1)
    return tuple(
        ClassScores(
            label=label,
            precision=float(right[k] / max(predicted[k], 1)),
            recall=float(right[k] / max(support[k], 1)),
            f1=float(2 * right[k] / max(predicted[k] + support[k], 1)),
            support=int(support[k]),
        )
        for k, label in enumerate(predictions.labels)
    )


def interval_of_accuracy(
    right: NDArray[np.float64], units: Units, *, n_bootstrap: int = N_BOOTSTRAP, seed: int = 0
) -> tuple[float, float]:
    """95 % interval of an accuracy, of values in [0, 1], one a track, shape (n,).

    That of :func:`interval_of_mean`, but where all tracks are right, or all wrong, no resample differs from them, which
    is no certainty. The interval is the exact one of as many trials as there are units then: that of n right ones
    begins at ``0.025 ** (1 / n)``.

    Clopper, C., Pearson, E. (1934), "The use of confidence or fiducial limits illustrated in the case of the binomial",
    Biometrika 26.

    Raises
    ------
    DataError
        When ``n_bootstrap`` is less than 1.
    """
    low, high = interval_of_mean(right, units, n_bootstrap=n_bootstrap, seed=seed)
    least = 0.025 ** (1 / len(units.size))
    if np.all(right == 1):
        return least, 1.0
    return (0.0, 1 - least) if np.all(right == 0) else (low, high)


def interval_of_mean(
    values: NDArray[np.float64], units: Units, *, n_bootstrap: int = N_BOOTSTRAP, seed: int = 0
) -> tuple[float, float]:
    """Percentile bootstrap interval (95 %) of the mean of ``values``, one a track, shape (n,), drawing whole units.

    Raises
    ------
    DataError
        When ``n_bootstrap`` is less than 1.
    """
    if n_bootstrap < 1:
        raise DataError(f"an interval needs at least 1 resample, not {n_bootstrap}: set n_bootstrap to 1000 or more")
    size = units.size
    distinct, count = np.unique(np.column_stack([size, units.totals(values)]), axis=0, return_counts=True)
    drawn = np.random.default_rng(seed).multinomial(len(size), count / len(size), size=n_bootstrap)
    n_tracks, total = (drawn @ distinct).T
    low, high = np.percentile(total / n_tracks, [2.5, 97.5])
    return float(low), float(high)


def _number(values: Mapping[str, Any], key: str) -> float:
    value = values.get(key)
    if not is_number(value):
        raise DataError(f"{key} is not a number")
    return value
