"""Which differences between models are more than noise: a paired bootstrap over tracks, artist by artist.

A model is a column: for every test track, the share of its runs (seeds) that predicted the track right; with folds, the
tracks of all folds together. Two models are compared on the tracks that both were tested on, by the mean difference of
their columns. Whole tracks are resampled, each with all its runs and with both models, since that is what the models
have in common: hard tracks are hard for both. Where it is known who plays, whole artists are resampled with all their
tracks (:mod:`genre.evaluation.resampling`). All pairs of a table see the same resamples.

The p value is two-sided, twice the share of resamples on the less likely side of 0, and is corrected for the number of
pairs after Holm: with 40 models there are 780 pairs, of which some would differ by luck alone. A pair with no
resample at all on that side gets more of them, since so small a p value is that of their number, not of the models;
unless Chernoff's bound says that none of these would lie there either.

Chernoff, H. (1952), "A measure of asymptotic efficiency for tests of a hypothesis based on the sum of observations",
Annals of Mathematical Statistics 23(4).
Efron, B., Tibshirani, R. (1993), "An Introduction to the Bootstrap", chapters 13 and 15.
Holm, S. (1979), "A simple sequentially rejective multiple test procedure", Scandinavian Journal of Statistics 6(2).
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from genre.errors import DataError
from genre.evaluation.metrics import N_BOOTSTRAP, Difference
from genre.evaluation.predictions import Predictions, track_level
from genre.evaluation.resampling import DECIMALS, Units

NOISE = 0.05
"""A corrected p value below this is a difference beyond noise."""

RESAMPLES_A_PAIR = 80
"""So many resamples are needed for each pair that Holm's correction does not drown in the number of resamples: the
smallest p value is 2 / resamples, and times the number of pairs it has to stay well below 0.05."""

MOST_RESAMPLES = 500_000
"""No pair gets more. From 12,500 pairs (159 models) on, not even the smallest p value is beyond noise then, so that no
pair gets more than the first 10 000."""

NEVER = 1e-4
"""A pair whose resamples lie on the less likely side of 0 with a smaller chance than this, all together, gets none."""

_DRAWN_AT_ONCE = 2_000_000
_PAIRS_AT_ONCE = 16


@dataclass(frozen=True, slots=True)
class TrackScores:
    """How often each test track was predicted right by the runs of one model.

    Parameters
    ----------
    label
        Track -> its true class.
    correct
        Track -> share of the runs that predicted it right, in [0, 1].
    artist
        Track -> artist, as far as known.
    """

    label: Mapping[str, str]
    correct: Mapping[str, float]
    artist: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Comparison:
    """Two models on the tracks that both were tested on.

    Parameters
    ----------
    a, b
        Places of the two in what was compared.
    accuracy_a, accuracy_b
        Their track accuracies on these tracks, over all runs.
    difference
        Accuracy of ``a`` minus that of ``b``, with its interval (for this pair alone, not corrected).
    p
        Two-sided p value of this pair alone.
    p_holm
        The same, corrected for all pairs of the table.
    """

    a: int
    b: int
    accuracy_a: float
    accuracy_b: float
    difference: Difference
    p: float
    p_holm: float

    @property
    def beyond_noise(self) -> bool:
        """Whether the difference is more than noise, all pairs considered."""
        return self.p_holm < NOISE

    @property
    def verdict(self) -> str:
        """What ``b`` is beside ``a``: ``"worse"`` or ``"better"`` beyond noise, or ``"not told apart"``."""
        if not self.beyond_noise:
            return "not told apart"
        return "worse" if self.difference.difference > 0 else "better"


def track_scores(tables: Sequence[Predictions], artist: Mapping[str, str] | None = None) -> TrackScores:
    """Average the runs of one model, track by track.

    Parameters
    ----------
    tables
        The clips of each run; of the same tracks (seeds), of others (folds), or both.
    artist
        Track -> artist, as far as known.

    Raises
    ------
    DataError
        When a track has one label in one run and another in the next.
    """
    label: dict[str, str] = {}
    outcomes: dict[str, list[bool]] = {}
    for table in map(track_level, tables):
        for track, number, correct in zip(table.track, table.label.tolist(), table.correct.tolist(), strict=True):
            name = table.labels[number]
            if label.setdefault(track, name) != name:
                raise DataError(f"track {track!r} is {label[track]} in one run and {name} in another")
            outcomes.setdefault(track, []).append(correct)
    correct = {track: float(np.mean(values)) for track, values in outcomes.items()}
    return TrackScores(label, correct, artist or {})


def compare(models: Sequence[TrackScores], *, n_bootstrap: int | None = None, seed: int = 0) -> tuple[Comparison, ...]:
    """Compare every model with every other one.

    Parameters
    ----------
    models
        The models of one data set under one protocol.
    n_bootstrap
        Number of resamples; by default 10 000, and more (see :data:`RESAMPLES_A_PAIR`, :data:`MOST_RESAMPLES`) for the
        pairs whose p value is as small as these can tell, where there are very many pairs.
    seed
        Seed of the resamples.

    Returns
    -------
    tuple of Comparison
        In the order (0, 1), (0, 2), ..., (1, 2), ...; pairs without a track in common are left out.

    Raises
    ------
    DataError
        When two models were tested on the same track with different labels.
    """
    tracks = sorted(set().union(*(model.correct for model in models)))
    columns = np.array([[model.correct.get(track, np.nan) for model in models] for track in tracks])
    by_tracks: dict[bytes, list[tuple[int, int]]] = {}
    _check_labels(models)
    for a, b in itertools.combinations(range(len(models)), 2):
        both = np.isfinite(columns[:, a]) & np.isfinite(columns[:, b])
        if both.any():
            by_tracks.setdefault(both.tobytes(), []).append((a, b))
    n_pairs = sum(map(len, by_tracks.values()))
    resamples = n_bootstrap or N_BOOTSTRAP
    most = n_bootstrap or _most_resamples(n_pairs)
    if n_pairs * _share(0, most) >= NOISE:
        most = resamples
    found: list[Comparison] = []
    artist = dict(itertools.chain.from_iterable(model.artist.items() for model in models))
    for mask, pairs in by_tracks.items():
        rows = np.flatnonzero(np.frombuffer(mask, dtype=np.bool_))
        units = Units.of([tracks[row] for row in rows], artist)
        rough = list(_compare_pairs(columns[rows], units, pairs, resamples, seed))
        found.extend(_refined(columns[rows], units, rough, resamples, most=most, seed=seed))
    found.sort(key=lambda one: (one.a, one.b))
    corrected = holm([one.p for one in found])
    return tuple(replace(one, p_holm=p_holm) for one, p_holm in zip(found, corrected, strict=True))


def _most_resamples(n_pairs: int) -> int:
    return min(MOST_RESAMPLES, RESAMPLES_A_PAIR * n_pairs)


def can_tell_apart(n_pairs: int) -> bool:
    """Return whether of so many pairs any can differ beyond noise, after Holm and with the resamples that one gets."""
    return n_pairs * _share(0, max(N_BOOTSTRAP, _most_resamples(n_pairs))) < NOISE


def holm(p_values: Sequence[float]) -> list[float]:
    """Correct p values for their number after Holm; an order of theirs is kept.

    >>> holm([0.01, 0.04, 0.03])
    [0.03, 0.06, 0.06]
    """
    order = np.argsort(p_values, kind="stable")
    factors = np.arange(len(p_values), 0, -1)
    stepped = np.maximum.accumulate(np.asarray(p_values, dtype=np.float64)[order] * factors)
    corrected = np.empty(len(p_values))
    corrected[order] = np.minimum(1.0, stepped)
    return corrected.tolist()


def _check_labels(models: Sequence[TrackScores]) -> None:
    known: dict[str, str] = {}
    for model in models:
        for track, label in model.label.items():
            if known.setdefault(track, label) != label:
                raise DataError(
                    f"track {track!r} is {known[track]} for one model and {label} for another: compare runs of the "
                    "same data"
                )


def _compare_pairs(
    columns: NDArray[np.float64], units: Units, pairs: Sequence[tuple[int, int]], resamples: int, seed: int
) -> Iterator[Comparison]:
    """Compare pairs of columns, all of whose rows both have; shape (n_tracks, n_models)."""
    used, at = _used(pairs)
    drawn = np.hstack(list(_resampled_means(columns[:, used], units, resamples, seed)))
    accuracy = {place: float(columns[:, place].mean()) for place in used}
    for start in range(0, len(pairs), _PAIRS_AT_ONCE):
        some = pairs[start : start + _PAIRS_AT_ONCE]
        ahead, behind = ([at[place] for place in places] for places in zip(*some, strict=True))
        samples = np.round(drawn[ahead] - drawn[behind], DECIMALS)
        intervals = np.percentile(samples, [2.5, 97.5], axis=1).T.tolist()
        beyond = np.minimum(np.count_nonzero(samples <= 0, axis=1), np.count_nonzero(samples >= 0, axis=1)).tolist()
        for (a, b), (low, high), n_beyond in zip(some, intervals, beyond, strict=True):
            gain = columns[:, a] - columns[:, b]
            yield Comparison(
                a=a,
                b=b,
                accuracy_a=accuracy[a],
                accuracy_b=accuracy[b],
                difference=Difference(float(np.round(gain.mean(), DECIMALS)), (low, high), len(gain), units.over),
                p=_p_value(n_beyond, resamples, units.totals(gain)),
                p_holm=1.0,
            )


def _refined(
    columns: NDArray[np.float64], units: Units, found: Sequence[Comparison], resamples: int, *, most: int, seed: int
) -> Iterator[Comparison]:
    """Yield the comparisons; where p is as small as it can be, a new one of ``most`` resamples takes its place."""
    smallest = _share(0, resamples)
    doubtful = [(one.a, one.b) for one in found if one.p <= smallest] if most > resamples else []
    beyond = dict.fromkeys(doubtful, 0)
    near = [pair for pair in doubtful if most * _chance_beyond(_gain(columns, units, pair)) >= NEVER]
    if near:
        used, at = _used(near)
        mean = columns.mean(axis=0)
        places = {(a, b): (at[a], at[b]) if mean[a] > mean[b] else (at[b], at[a]) for a, b in near}
        for drawn in _resampled_means(columns[:, used], units, most, seed):
            reached = drawn + 10.0**-DECIMALS
            for pair, (ahead, behind) in places.items():
                beyond[pair] += int(np.count_nonzero(drawn[ahead] <= reached[behind]))
    for one in found:
        pair = one.a, one.b
        yield replace(one, p=_p_value(beyond[pair], most, _gain(columns, units, pair))) if pair in beyond else one


def _gain(columns: NDArray[np.float64], units: Units, pair: tuple[int, int]) -> NDArray[np.float64]:
    """Return the difference of two columns, summed over each unit."""
    return units.totals(columns[:, pair[0]] - columns[:, pair[1]])


def _chance_beyond(gain: NDArray[np.float64]) -> float:
    """Return an upper bound of the chance that a resample of the units lies on the less likely side of 0 or at 0.

    Of n draws with the gains g, which sum to S in a resample, P(S <= 0) <= E[exp(-t g)]^n for every t > 0 (Chernoff).
    """
    gain = gain * np.sign(gain.sum())
    t = 2.0 ** np.arange(-1, 7)[:, None] * gain.mean() / max(gain.var(), 1e-9)
    with np.errstate(over="ignore"):
        return float(np.exp(-t * gain).mean(axis=1).min() ** len(gain))


def _used(pairs: Sequence[tuple[int, int]]) -> tuple[list[int], dict[int, int]]:
    """Return the columns that occur in some pairs, and where each stands among them."""
    used = sorted({place for pair in pairs for place in pair})
    return used, {place: number for number, place in enumerate(used)}


def _share(beyond: int, resamples: int) -> float:
    """Return the two-sided p value of how many resamples lie on the less likely side of 0."""
    return 2 * (beyond + 1) / (resamples + 1)


def _p_value(beyond: int, resamples: int, gain: NDArray[np.float64]) -> float:
    """Return the two-sided bootstrap p value; ``gain`` is the difference of each unit that was drawn.

    It is never below what a sign test of the units that differ could reach, 2 / 2^n: the bootstrap sees no noise at
    all where the few tracks or artists that differ all differ in the same direction.
    """
    n_differing = int(np.count_nonzero(np.round(gain, DECIMALS)))
    reachable = math.ldexp(2.0, -min(n_differing, 60))
    return min(1.0, max(_share(beyond, resamples), reachable))


def _resampled_means(
    columns: NDArray[np.float64], units: Units, resamples: int, seed: int
) -> Iterator[NDArray[np.float64]]:
    """Yield the mean of each column in every resample of the units, in parts of shape (n_columns, some resamples)."""
    rng = np.random.default_rng(seed)
    total, size = units.totals(columns), units.size
    n = len(size)
    rows_at_once = max(1, _DRAWN_AT_ONCE // n)
    for start in range(0, resamples, rows_at_once):
        rows = min(rows_at_once, resamples - start)
        drawn = rng.integers(0, n, size=(rows, n)) + n * np.arange(rows)[:, None]
        weight = np.bincount(drawn.ravel(), minlength=rows * n).reshape(rows, n).T.astype(np.float64)
        yield total.T @ weight / (size @ weight)
