"""One table of many runs: ``python -m genre.evaluation.leaderboard RUNS... [--out DIR]``.

Runs on the same tracks that differ in nothing but seeds and folds count as repeats of one thing, and get a mean, a
standard deviation and a 95 % interval (:mod:`genre.evaluation.intervals`). Only figures of one data set and one
protocol can be compared, so each pair has a table of its own, and the leaked ones stand apart at the end.

Within a table every two models are compared (:mod:`genre.evaluation.comparison`).
"""

from __future__ import annotations

import argparse
import itertools
import json
import math
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from genre.errors import DataError, OneSentenceParser
from genre.evaluation.comparison import Comparison, TrackScores, can_tell_apart, compare, track_scores
from genre.evaluation.failed import FailedRun
from genre.evaluation.files import write_csv, write_text
from genre.evaluation.intervals import Estimate, Interval, artists_of, estimate
from genre.evaluation.leaderboard_tables import difference_rows, leaderboard_rows, markdown
from genre.evaluation.metrics import Metrics
from genre.evaluation.predictions import Predictions
from genre.evaluation.report import METRICS_FILE, PREDICTIONS_FILES, RunReport, read_run
from genre.evaluation.variants import TRACKS, differing
from genre.plain import plain_text
from genre.terminal import run_tool

__all__ = ["markdown"]


@dataclass(frozen=True, slots=True)
class FoundRuns:
    """Runs below some folders, and sentences on what was left out."""

    runs: tuple[RunReport, ...]
    notices: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Spread:
    """A mean, and how far apart the runs lie.

    Parameters
    ----------
    mean
        Of the runs, but see :attr:`Standing.track_accuracy`.
    sd
        Sample standard deviation of the runs; None for a single one.
    """

    mean: float
    sd: float | None

    @classmethod
    def of(cls, values: Sequence[float]) -> Spread | None:
        """Summarise values; None when there are none."""
        if not values:
            return None
        return cls(mean=float(np.mean(values)), sd=float(np.std(values, ddof=1)) if len(values) > 1 else None)


@dataclass(frozen=True, slots=True)
class Standing:
    """One line of the leaderboard: all runs of one model with the same settings on one data set under one protocol.

    Parameters
    ----------
    dataset, protocol, leaky, model
        What the runs share.
    runs
        The runs, sorted by folder.
    variant
        The settings in which the runs differ from others of the same model in the same table, ``lr=0.01, hidden=16``;
        empty if there are no others.
    unusual
        The same without values that more than half of those lines share.
    usual
        These shared values, ``mixup=0.3``, the same for all lines of the model in the table.
    estimate
        Mean test track accuracy, its 95 % interval, and what both are over; None for models that were never tested.
    """

    dataset: str
    protocol: str
    leaky: bool
    model: str
    runs: tuple[RunReport, ...]
    variant: str = ""
    unusual: str = ""
    usual: str = ""
    estimate: Estimate | None = None

    @property
    def name(self) -> str:
        """The model, and how it differs from most others of that name."""
        return f"{self.model} ({self.unusual})" if self.unusual else self.model

    @property
    def table(self) -> tuple[bool, str, str]:
        """What it may be compared within: leaky, data set, protocol."""
        return self.leaky, self.dataset, self.protocol

    @property
    def seconds(self) -> float:
        """Mean time of training."""
        return float(np.mean([run.info.train_seconds for run in self.runs]))

    def test(self, figure: Callable[[Metrics], float]) -> Spread | None:
        """Summarise a test figure over the runs that have one."""
        return Spread.of([figure(run.test) for run in self.runs if run.test])

    def val(self, figure: Callable[[Metrics], float]) -> Spread | None:
        """Summarise a validation figure over the runs that have one."""
        return Spread.of([figure(run.val) for run in self.runs if run.val])

    @property
    def interval(self) -> Interval | None:
        """95 % interval of the mean test track accuracy, and what it is over."""
        return self.estimate and self.estimate.interval

    @property
    def track_accuracy(self) -> Spread | None:
        """Test accuracy over tracks: the mean that the interval is of, and the standard deviation of the runs."""
        runs = self.test(lambda metrics: metrics.track_accuracy)
        return runs and self.estimate and Spread(self.estimate.mean, runs.sd)

    @property
    def chosen(self) -> str:
        """What tuning chose, ``C=10, gamma=0.1``; of several runs, each different choice once."""
        texts = (", ".join(f"{name}={value}" for name, value in run.chosen.items()) for run in self.runs)
        return "; ".join(dict.fromkeys(filter(None, texts)))


@dataclass(frozen=True, slots=True)
class Pair:
    """Two lines of one table, compared.

    Parameters
    ----------
    a, b
        The lines; ``a`` is the higher one.
    result
        How they compare.
    of_best
        Whether ``a`` is the best line of the table.
    """

    a: Standing
    b: Standing
    result: Comparison
    of_best: bool


@dataclass(frozen=True, slots=True)
class Differences:
    """All pairs of lines that could be compared, in the order of the table, and sentences on what could not."""

    pairs: tuple[Pair, ...] = ()
    notices: tuple[str, ...] = ()
    _best: Mapping[tuple[object, ...], Pair] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        best = {(*pair.b.table, pair.b.name): pair for pair in self.pairs if pair.of_best}
        object.__setattr__(self, "_best", best)

    def from_best(self, standing: Standing) -> Comparison | None:
        """Return how a line compares with the best one of its table; None for the best, and where that is unknown."""
        pair = self._best.get((*standing.table, standing.name))
        return None if pair is None else pair.result

    def is_best(self, standing: Standing) -> bool:
        """Say whether others are compared with this line."""
        return any(pair.a is standing for pair in self._best.values())


def read_runs(paths: Iterable[Path]) -> FoundRuns:
    """Read every ``metrics.json`` below some folders (or given itself), sorted by path, each once.

    A file that cannot be read is left out with a notice. So is a repeat: a folder with the same ``config_hash``, data
    set, protocol, model and seed as another is the same run once more and no further evidence; the newest one counts.

    Raises
    ------
    DataError
        When a path does not exist.
    """
    files: set[Path] = set()
    for path in paths:
        if not path.exists():
            raise DataError(f"there is no folder {path}: give folders that hold runs")
        files.update(file.resolve() for file in (path.rglob(METRICS_FILE) if path.is_dir() else [path]))
    notices: list[str] = []
    newest: dict[tuple[object, ...], tuple[float, RunReport]] = {}
    for file in sorted(files):
        try:
            run, written = read_run(file), file.stat().st_mtime
        except (DataError, OSError) as error:
            notices.append(f"left out: {error}")
            continue
        info = run.info
        key = (info.config_hash or file, info.dataset, info.protocol, info.leaky, info.model, info.seed)
        if key in newest:
            older, kept = sorted([newest[key], (written, run)], key=lambda one: one[0])
            notices.append(f"left out: {older[1].folder} is the same run as {kept[1].folder}, which is newer")
            newest[key] = kept
        else:
            newest[key] = written, run
    runs = sorted((run for _, run in newest.values()), key=lambda run: run.folder)
    return FoundRuns(runs=tuple(runs), notices=tuple(notices))


def leaderboard(runs: Iterable[RunReport]) -> tuple[Standing, ...]:
    """Group runs by data set, protocol, model and settings; seeds and folds are no settings, the tracks are one.

    Runs of versions that did not write down their tracks count as repeats of each other, but of no others.

    The ``predictions.csv`` of repeats are read for the intervals, where they are there.

    Returns
    -------
    tuple of Standing
        Honest protocols first, then by data set and protocol; within these the best mean test track accuracy first, and
        models that were never tested last.
    """
    models: dict[tuple[bool, str, str, str], dict[str, list[RunReport]]] = {}
    for run in runs:
        info = run.info
        variants = models.setdefault((info.leaky, info.dataset, info.protocol, info.model), {})
        variants.setdefault(plain_text(run.settings), []).append(run)
    standings = [
        Standing(
            dataset=dataset,
            protocol=protocol,
            leaky=leaky,
            model=model,
            runs=tuple(sorted(members, key=lambda run: run.folder)),
            variant=names.variant,
            unusual=names.unusual,
            usual=names.usual,
            estimate=estimate(members),
        )
        for (leaky, dataset, protocol, model), variants in models.items()
        for members, names in zip(variants.values(), _variants(list(variants.values())), strict=True)
    ]
    return tuple(sorted(standings, key=_rank))


class _Names(NamedTuple):
    """How the settings of one line are told, see :class:`Standing`."""

    variant: str = ""
    unusual: str = ""
    usual: str = ""


def _variants(groups: Sequence[Sequence[RunReport]]) -> list[_Names]:
    """Return what tells runs of one model apart, for each group of repeats: ``lr=0.01, hidden=16``."""
    settings = [group[0].settings for group in groups]
    if any(TRACKS in one for one in settings):
        settings = [{TRACKS: "unknown", **one} if one else one for one in settings]
    known = [one for one in settings if one]
    short = differing(known)
    usual = {name: value for name in short for value in _usual(name, known)}
    if len(groups) == 1:
        return [_Names()]

    def told(one: Mapping[str, Any], which: Iterable[str]) -> str:
        return ", ".join(f"{short[name]}={_as_typed(one[name])}" for name in which if name in one)

    def unusual(one: Mapping[str, Any]) -> list[str]:
        return [name for name in short if name not in usual or plain_text(one[name]) != plain_text(usual[name])]

    return [
        _Names(told(one, short), told(one, unusual(one)), told(usual, usual))
        if one
        else _Names("unknown settings", "unknown settings", told(usual, usual))
        for one in settings
    ]


def _as_typed(value: object) -> object:
    """Return a value as a command has it: ``null``, ``true`` and ``false`` instead of Python's names."""
    return json.dumps(value) if value is None or isinstance(value, bool) else value


def _usual(name: str, known: Sequence[Mapping[str, Any]]) -> list[object]:
    """Return the value of a setting, alone in a list, that more than half of some runs have, if all have one."""
    values = [one[name] for one in known if name in one]
    key, count = Counter(map(plain_text, values)).most_common(1)[0]
    if len(values) < len(known) or 2 * count <= len(known):
        return []
    return [next(value for value in values if plain_text(value) == key)]


def compare_standings(standings: Sequence[Standing]) -> Differences:
    """Compare every two lines of each table by the ``predictions.csv`` of their runs.

    Parameters
    ----------
    standings
        As :func:`leaderboard` returns them. A line is left out, with a notice, when its predictions cannot be read.
    """
    pairs: list[Pair] = []
    notices: list[str] = []
    for _, members in itertools.groupby(standings, key=lambda standing: standing.table):
        tested = [standing for standing in members if standing.track_accuracy is not None]
        scored: list[tuple[Standing, TrackScores]] = []
        for standing in tested if len(tested) > 1 else ():
            if (scores := _track_scores(standing, notices)) is not None:
                scored.append((standing, scores))
        try:
            results = compare([scores for _, scores in scored])
        except DataError as error:
            notices.append(f"models of {tested[0].dataset}, protocol {tested[0].protocol}, are not compared: {error}")
            continue
        if not can_tell_apart(len(results)):
            notices.append(
                f"none of the {len(scored)} models of {tested[0].dataset}, protocol {tested[0].protocol}, can be told "
                f"from another: of {len(results):,} pairs some differ that much by luck; compare fewer"
            )
        lines = [standing for standing, _ in scored]
        pairs += [Pair(lines[one.a], lines[one.b], one, lines[one.a] is tested[0]) for one in results]
    return Differences(tuple(pairs), tuple(notices))


def _track_scores(standing: Standing, notices: list[str]) -> TrackScores | None:
    tested = [run for run in standing.runs if run.test]
    try:
        tables = [Predictions.read_csv(run.folder / PREDICTIONS_FILES["test"]) for run in tested]
        return track_scores(tables, artists_of(tested))
    except DataError as error:
        notices.append(f"{standing.name} is compared with no other: {error}")
        return None


def write_leaderboard(
    folder: Path,
    standings: Sequence[Standing],
    failed: Sequence[FailedRun] = (),
    differences: Differences | None = None,
) -> list[Path]:
    """Write ``leaderboard.csv``, ``.md`` and ``.png`` and ``differences.csv`` to ``folder``, each atomically.

    Parameters
    ----------
    folder
        Made if it is not there.
    standings
        The lines of the table.
    failed
        Runs that came to nothing; they stand at the end with the reason.
    differences
        What :func:`compare_standings` returned.

    Returns
    -------
    paths
        The files. There is no picture where no model was tested.

    Raises
    ------
    DataError
        When a file cannot be written.
    """
    differences = differences or Differences()
    names = ["leaderboard.md", "leaderboard.csv", "differences.csv", "leaderboard.png"]
    text, table, pairs, picture = (folder / name for name in names)
    write_text(text, markdown(standings, failed, differences))
    write_csv(table, leaderboard_rows(standings, failed, differences))
    write_csv(pairs, difference_rows(differences))
    tested = [standing for standing in standings if standing.interval is not None]
    if not tested:
        return [text, table, pairs]
    _write_picture(picture, tested, differences)
    return [text, table, pairs, picture]


def _write_picture(path: Path, standings: Sequence[Standing], differences: Differences) -> None:
    from genre.evaluation.canvas import save_png
    from genre.evaluation.leaderboard_plot import Row, Table, leaderboard_figure

    def row(standing: Standing) -> Row:
        accuracy, interval, result = standing.track_accuracy, standing.interval, differences.from_best(standing)
        assert accuracy is not None
        assert interval is not None
        return Row(standing.name, accuracy.mean, interval[:2], worse=result is not None and result.verdict == "worse")

    tables = [
        Table(f"{dataset}, protocol {protocol}", leaky, list(map(row, members)))
        for (leaky, dataset, protocol), members in itertools.groupby(standings, key=lambda standing: standing.table)
    ]
    save_png(leaderboard_figure(tables), path)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; return its exit status."""
    from genre.evaluation.leakage import write_protocol_pictures

    options = _parser().parse_args(arguments)
    found = read_runs(options.runs)
    for notice in found.notices:
        print(notice, file=sys.stderr)
    if not found.runs:
        raise DataError(f"there is no readable {METRICS_FILE} below {' '.join(map(str, options.runs))}: train first")
    standings = leaderboard(found.runs)
    differences = compare_standings(standings)
    for notice in differences.notices:
        print(notice, file=sys.stderr)
    files = write_leaderboard(options.out, standings, differences=differences)
    files += write_protocol_pictures(options.out, standings)
    print(markdown(standings, differences=differences))
    print(f"written to {', '.join(map(str, files))}", file=sys.stderr)
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = OneSentenceParser(
        prog="python -m genre.evaluation.leaderboard",
        description="One table of many runs: mean, standard deviation and interval over seeds and folds.",
    )
    parser.add_argument("runs", nargs="+", type=Path, metavar="RUNS", help="folders that hold runs, at any depth")
    parser.add_argument("--out", type=Path, default=Path(), metavar="DIR", help="where the files go (default: here)")
    return parser


def _rank(standing: Standing) -> tuple[object, ...]:
    accuracy = standing.track_accuracy
    return *standing.table, -accuracy.mean if accuracy else math.inf, standing.model, standing.variant


if __name__ == "__main__":
    run_tool(main)
