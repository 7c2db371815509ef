"""The mean test track accuracy of repeated runs and how sure it is: an interval that counts nothing twice.

Runs of one model are repeats over seeds, over folds or over both. Seeds that are tested on the same tracks share the
luck of that choice of tracks, so they are no independent evidence: they are averaged first. What is left is one value a
test side. Over several sides that share no track (folds) the interval is Student's. Sides that do share tracks (other
deals of the same collection) are no independent evidence either: every track counts once then, with the mean of all
runs that were tested on it, and the interval is a bootstrap over artists or tracks. So it is for a single side, and
where every run is wholly right or every run wholly wrong, since Student's interval of values that do not differ would
be a single point. The mean is always the one that the interval is of, so runs that some folds have more of do not pull
it to these.

That folds share most of their training tracks, no such interval can see: Bengio, Y., Grandvalet, Y. (2004), "No
unbiased estimator of the variance of k-fold cross-validation", JMLR 5.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from typing import NamedTuple

import numpy as np

from genre.errors import DataError
from genre.evaluation.comparison import track_scores
from genre.evaluation.metrics import interval_of_accuracy
from genre.evaluation.predictions import Predictions, read_tracks
from genre.evaluation.report import PREDICTIONS_FILES, RunReport
from genre.evaluation.resampling import ARTISTS_FILE, Units, read_artists


class Interval(NamedTuple):
    """A 95 % interval of test track accuracy, in [0, 1], and what it is over.

    ``over`` is ``"artists"`` or ``"tracks"`` (bootstrap over those of one test side, or of several that overlap, their
    runs averaged track by track), ``"test sides"`` (Student's t over the means of several sides that do not overlap),
    or ``"runs"`` (Student's t over runs whose predictions are missing, so that no one knows which share a test side;
    too narrow if some do).
    """

    low: float
    high: float
    over: str


class Estimate(NamedTuple):
    """The mean test track accuracy of some runs, in [0, 1], and its interval.

    ``mean`` is over what the interval is over: each test side once, each track once, or each run once.
    """

    mean: float
    interval: Interval


def estimate(runs: Sequence[RunReport]) -> Estimate | None:
    """Return the mean test track accuracy of some runs and its interval; None if none of them was tested.

    Parameters
    ----------
    runs
        Repeats of one model on one data set under one protocol. Test sides are told apart by the tracks in
        ``predictions.csv``, and artists are those of ``artists.csv``.
    """
    tested = [(run, run.test.track_accuracy) for run in runs if run.test]
    if not tested:
        return None
    if len(tested) == 1:
        [figures] = [run.test for run in runs if run.test]
        interval = Interval(*figures.track_accuracy_ci95, figures.track_accuracy_ci95_over)
        return Estimate(figures.track_accuracy, interval)
    files = [run.folder / PREDICTIONS_FILES["test"] for run, _ in tested]
    try:
        sides: dict[frozenset[str], list[float]] = {}
        for file, (_, accuracy) in zip(files, tested, strict=True):
            sides.setdefault(read_tracks(file), []).append(accuracy)
        if len(sides) > 1 and not _overlap(sides) and 0 < sum(accuracy for _, accuracy in tested) < len(tested):
            return _student([float(np.mean(values)) for values in sides.values()], "test sides")
        averaged = track_scores([Predictions.read_csv(file) for file in files]).correct
        right = np.array(list(averaged.values()))
        units = Units.of(tuple(averaged), artists_of([run for run, _ in tested]))
        return Estimate(float(right.mean()), Interval(*interval_of_accuracy(right, units), units.over))
    except DataError:
        return _student([accuracy for _, accuracy in tested], "runs")


def artists_of(runs: Sequence[RunReport]) -> dict[str, str]:
    """Return test track -> artist, as far as some runs of one data set know; empty where they do not.

    Raises
    ------
    DataError
        When an ``artists.csv`` cannot be read.
    """
    known = [read_artists(run.folder / ARTISTS_FILE).get("test", {}) for run in runs]
    return {track: artist for one in known for track, artist in one.items()}


def _overlap(sides: Collection[frozenset[str]]) -> bool:
    """Return whether a track is on more than one of these test sides."""
    return sum(map(len, sides)) > len(frozenset().union(*sides))


def _student(values: Sequence[float], over: str) -> Estimate:
    """Return mean and mean ± t sd / sqrt(n), Student's t with n - 1 degrees of freedom, cut to [0, 1]."""
    from scipy.special import stdtrit

    mean = float(np.mean(values))
    reach = float(stdtrit(len(values) - 1, 0.975)) * float(np.std(values, ddof=1)) / math.sqrt(len(values))
    return Estimate(mean, Interval(max(0.0, mean - reach), min(1.0, mean + reach), over))
