"""One table of many runs: ``python -m genre.evaluation.leaderboard RUNS... [--out DIR]``.

Runs of the same data set, protocol and model count as repeats of one thing under other seeds or folds, and get a
mean, a standard deviation and a 95 % interval. Only figures of one data set and one protocol can be compared, so each
pair has a table of its own, and the leaked ones stand apart at the end.
"""

from __future__ import annotations

import argparse
import itertools
import math
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

import numpy as np

from genre.errors import ConfigError, DataError, GenreError
from genre.evaluation.files import write_csv, write_text
from genre.evaluation.metrics import LEAK_WARNING, Metrics
from genre.evaluation.report import METRICS_FILE, RunReport, read_run

CSV_COLUMNS = (
    "dataset",
    "protocol",
    "leaky",
    "model",
    "runs",
    "seeds",
    "track_accuracy",
    "track_accuracy_sd",
    "track_accuracy_ci95_low",
    "track_accuracy_ci95_high",
    "ci95_over",
    "clip_accuracy",
    "clip_accuracy_sd",
    "macro_f1",
    "ece",
    "val_track_accuracy",
    "n_tracks",
    "parameters",
    "train_seconds",
    "chosen",
    "failed",
)


@dataclass(frozen=True, slots=True)
class FoundRuns:
    """Runs below some folders, and sentences on what was left out."""

    runs: tuple[RunReport, ...]
    notices: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class FailedRun:
    """A run that came to nothing.

    Parameters
    ----------
    name
        Of the run.
    fault
        The sentence that says why.
    """

    name: str
    fault: str


@dataclass(frozen=True, slots=True)
class Spread:
    """Mean over runs, and how far apart they lie.

    Parameters
    ----------
    mean
        Mean of the runs.
    sd
        Sample standard deviation; None for a single run.
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
    """One line of the leaderboard: all runs of one model on one data set under one protocol.

    Parameters
    ----------
    dataset, protocol, leaky, model
        What the runs share.
    runs
        The runs, sorted by folder.
    """

    dataset: str
    protocol: str
    leaky: bool
    model: str
    runs: tuple[RunReport, ...]

    def test(self, figure: Callable[[Metrics], float]) -> Spread | None:
        """Summarise a test figure over the runs that have one."""
        return Spread.of([figure(run.test) for run in self.runs if run.test])

    def val(self, figure: Callable[[Metrics], float]) -> Spread | None:
        """Summarise a validation figure over the runs that have one."""
        return Spread.of([figure(run.val) for run in self.runs if run.val])

    @property
    def track_accuracy(self) -> Spread | None:
        """Test accuracy over tracks."""
        return self.test(lambda metrics: metrics.track_accuracy)

    @property
    def chosen(self) -> str:
        """What tuning chose, ``C=10, gamma=0.1``; of several runs, each different choice once."""
        texts = (", ".join(f"{name}={value}" for name, value in run.chosen.items()) for run in self.runs)
        return "; ".join(dict.fromkeys(filter(None, texts)))

    @property
    def interval(self) -> tuple[float, float, str] | None:
        """95 % interval of the test track accuracy, and what it is over.

        Over ``"runs"`` when there are several: mean ± t sd / sqrt(n), Student's t with n - 1 degrees of freedom, cut to
        [0, 1]. It tells how seeds or folds move the mean, not what other test tracks would do. Over ``"tracks"`` when
        there is one run: the bootstrap interval of that run.
        """
        tested = [run.test for run in self.runs if run.test]
        if not tested:
            return None
        if len(tested) == 1:
            return *tested[0].track_accuracy_ci95, "tracks"
        from scipy.special import stdtrit

        values = [metrics.track_accuracy for metrics in tested]
        reach = float(stdtrit(len(values) - 1, 0.975)) * float(np.std(values, ddof=1)) / math.sqrt(len(values))
        return max(0.0, float(np.mean(values)) - reach), min(1.0, float(np.mean(values)) + reach), "runs"


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
    """Group runs by data set, protocol and model.

    Returns
    -------
    tuple of Standing
        Honest protocols first, then by data set and protocol; within these the best mean test track accuracy first, and
        models that were never tested last.
    """
    groups: dict[tuple[bool, str, str, str], list[RunReport]] = {}
    for run in runs:
        info = run.info
        groups.setdefault((info.leaky, info.dataset, info.protocol, info.model), []).append(run)
    standings = [
        Standing(
            dataset=dataset,
            protocol=protocol,
            leaky=leaky,
            model=model,
            runs=tuple(sorted(members, key=lambda run: run.folder)),
        )
        for (leaky, dataset, protocol, model), members in groups.items()
    ]
    return tuple(sorted(standings, key=_rank))


def write_leaderboard(folder: Path, standings: Sequence[Standing], failed: Sequence[FailedRun] = ()) -> None:
    """Write ``leaderboard.csv`` and ``leaderboard.md`` to ``folder``, each atomically.

    Parameters
    ----------
    folder
        Made if it is not there.
    standings
        The lines of the table.
    failed
        Runs that came to nothing; they stand at the end with the reason.

    Raises
    ------
    DataError
        When a file cannot be written.
    """
    rows = itertools.chain([CSV_COLUMNS], map(_csv_row, standings), map(_failed_row, failed))
    write_csv(folder / "leaderboard.csv", rows)
    write_text(folder / "leaderboard.md", markdown(standings, failed))


def markdown(standings: Sequence[Standing], failed: Sequence[FailedRun] = ()) -> str:
    """Return the leaderboard as Markdown that also reads well in a terminal."""
    lines = ["# Leaderboard", ""]
    for (leaky, dataset, protocol), members in itertools.groupby(standings, key=_comparable):
        lines += [f"## {dataset}, protocol {protocol}" + (" (LEAKED)" if leaky else ""), ""]
        if leaky:
            lines += [f"**{LEAK_WARNING.capitalize()}. Do not compare with the other tables.**", ""]
        lines += [*_table(list(members)), ""]
    if failed:
        rows = [("run", "why"), *((_cell(run.name), _cell(run.fault)) for run in failed)]
        lines += ["## Failed", "", *_aligned(rows, right=False), ""]
    lines += [
        "± is the standard deviation over runs (seeds, folds). The 95 % interval is of track accuracy: over runs",
        "(Student's t) where there are several, else over the tracks of the one run (bootstrap).",
        "",
    ]
    return "\n".join(lines)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; return its exit status: 0 done, 1 for what the user must fix."""
    from genre.evaluation.leakage import write_protocol_pictures

    try:
        options = _parser().parse_args(arguments)
        found = read_runs(options.runs)
        for notice in found.notices:
            print(notice, file=sys.stderr)
        if not found.runs:
            raise DataError(
                f"there is no readable {METRICS_FILE} below {' '.join(map(str, options.runs))}: train first"
            )
        standings = leaderboard(found.runs)
        write_leaderboard(options.out, standings)
        pictures = write_protocol_pictures(options.out, standings)
    except GenreError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    print(markdown(standings))
    files = [options.out / "leaderboard.csv", options.out / "leaderboard.md", *pictures]
    print(f"written to {', '.join(map(str, files))}", file=sys.stderr)
    return 0


class _Parser(argparse.ArgumentParser):
    """A parser whose errors are one sentence and exit status 1, as everywhere in this package."""

    def error(self, message: str) -> NoReturn:
        raise ConfigError(f"{message}; python -m genre.evaluation.leaderboard --help shows how it is used")


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="python -m genre.evaluation.leaderboard",
        description="One table of many runs: mean, standard deviation and interval over seeds and folds.",
    )
    parser.add_argument("runs", nargs="+", type=Path, metavar="RUNS", help="folders that hold runs, at any depth")
    parser.add_argument(
        "--out", type=Path, default=Path(), metavar="DIR", help="where leaderboard.csv and .md go (default: here)"
    )
    return parser


def _comparable(standing: Standing) -> tuple[bool, str, str]:
    return standing.leaky, standing.dataset, standing.protocol


def _rank(standing: Standing) -> tuple[object, ...]:
    accuracy = standing.track_accuracy
    return *_comparable(standing), -accuracy.mean if accuracy else math.inf, standing.model


def _csv_row(standing: Standing) -> Sequence[object]:
    def number(value: float | None) -> str:
        return "" if value is None else f"{value:.6f}"

    def mean(spread: Spread | None) -> str:
        return number(spread.mean if spread else None)

    def deviation(spread: Spread | None) -> str:
        return number(spread.sd if spread else None)

    track, clip = standing.track_accuracy, standing.test(lambda metrics: metrics.clip_accuracy)
    low, high, over = standing.interval or (None, None, "")
    seconds = Spread.of([run.info.train_seconds for run in standing.runs])
    return (
        standing.dataset,
        standing.protocol,
        "true" if standing.leaky else "false",
        standing.model,
        len(standing.runs),
        _seeds(standing),
        mean(track),
        deviation(track),
        number(low),
        number(high),
        over,
        mean(clip),
        deviation(clip),
        mean(standing.test(lambda metrics: metrics.macro_f1)),
        mean(standing.test(lambda metrics: metrics.ece)),
        mean(standing.val(lambda metrics: metrics.track_accuracy)),
        _range([run.test.n_tracks for run in standing.runs if run.test]),
        _range([run.info.parameters for run in standing.runs]),
        mean(seconds),
        standing.chosen,
        "",
    )


def _failed_row(run: FailedRun) -> Sequence[object]:
    known = {"model": run.name, "failed": run.fault}
    return [known.get(column, "") for column in CSV_COLUMNS]


def _table(standings: Sequence[Standing]) -> Iterator[str]:
    """Return the lines of a Markdown table with its columns in line."""
    head = (
        "model",
        "runs",
        "track accuracy",
        "95 % interval",
        "clip accuracy",
        "macro F1",
        "val track",
        "parameters",
        "s",
    )
    rows = [head, *map(_cells, standings)]
    if any(standing.chosen for standing in standings):
        chosen = ["chosen", *(_cell(standing.chosen) for standing in standings)]
        rows = [(*row, text) for row, text in zip(rows, chosen, strict=True)]
    return _aligned(rows, right=True)


def _aligned(rows: Sequence[Sequence[str]], *, right: bool) -> Iterator[str]:
    """Yield the lines of a Markdown table; its first column is flush left, the others too unless ``right``."""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    end = ":" if right else "-"
    rule = ["-" * widths[0], *("-" * (width - 1) + end for width in widths[1:])]
    for row in (rows[0], rule, *rows[1:]):
        others = zip(row[1:], widths[1:], strict=True)
        cells = [
            row[0].ljust(widths[0]),
            *(text.rjust(width) if right else text.ljust(width) for text, width in others),
        ]
        yield f"| {' | '.join(cells)} |"


def _cell(text: str) -> str:
    """Return a text as a cell of a Markdown table."""
    return " ".join(text.split()).replace("|", "\\|")


def _cells(standing: Standing) -> tuple[str, ...]:
    def text(spread: Spread | None) -> str:
        if spread is None:
            return "-"
        return f"{spread.mean:.3f}" + (f" ± {spread.sd:.3f}" if spread.sd is not None else "")

    interval = standing.interval
    seconds = float(np.mean([run.info.train_seconds for run in standing.runs]))
    return (
        _cell(standing.model),
        str(len(standing.runs)),
        text(standing.track_accuracy),
        f"{interval[0]:.3f} to {interval[1]:.3f} ({interval[2]})" if interval else "-",
        text(standing.test(lambda metrics: metrics.clip_accuracy)),
        text(standing.test(lambda metrics: metrics.macro_f1)),
        text(standing.val(lambda metrics: metrics.track_accuracy)),
        _range([run.info.parameters for run in standing.runs], thousands=True),
        f"{seconds:.0f}",
    )


def _seeds(standing: Standing) -> str:
    return " ".join(str(seed) for seed in sorted(run.info.seed for run in standing.runs))


def _range(values: Sequence[int], *, thousands: bool = False) -> str:
    """Write one number, or the ends when they differ: ``290``, ``58-62``."""
    ends = sorted({min(values), max(values)}) if values else []
    return "-".join(f"{value:,}" if thousands else str(value) for value in ends)


if __name__ == "__main__":
    sys.exit(main())
