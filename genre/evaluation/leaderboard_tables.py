"""The leaderboard as rows of CSV and as Markdown."""

from __future__ import annotations

import itertools
import textwrap
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from genre.evaluation.metrics import LEAK_WARNING
from genre.evaluation.resampling import ON_RESAMPLES

if TYPE_CHECKING:
    from genre.evaluation.failed import FailedRun
    from genre.evaluation.leaderboard import Differences, Spread, Standing

LEADERBOARD_COLUMNS = (
    "dataset",
    "protocol",
    "leaky",
    "model",
    "settings",
    "runs",
    "seeds",
    "track_accuracy",
    "track_accuracy_sd",
    "track_accuracy_ci95_low",
    "track_accuracy_ci95_high",
    "ci95_over",
    "beside_best",
    "beside_best_p",
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

DIFFERENCE_COLUMNS = (
    "dataset",
    "protocol",
    "leaky",
    "a",
    "b",
    "accuracy_a",
    "accuracy_b",
    "difference",
    "ci95_low",
    "ci95_high",
    "ci95_over",
    "p",
    "p_holm",
    "beyond_noise",
    "n_tracks",
    "runs_a",
    "runs_b",
)

SHOWN_COLUMNS = (
    "model",
    "runs",
    "track accuracy",
    "95 % interval",
    "clip accuracy",
    "macro F1",
    "val track",
    "parameters",
)
"""Columns of the leaderboard where people read it; before ``chosen`` come the seconds."""

ON_INTERVALS = (
    "± is the standard deviation over runs (seeds, folds). Track accuracy is the mean that its 95 % interval is of:",
    "over test sides (Student's t) where there are several that share no track, as folds do, the seeds of each",
    "averaged first; else over artists or tracks (bootstrap), each track once with the mean of its runs: of the one",
    "side, or of all sides that overlap, as several deals do. It says runs where predictions.csv is missing: seeds",
    "that share a test side count as independent then, and it is too narrow. All other means are over runs.",
    *textwrap.wrap(ON_RESAMPLES, 115),
)
"""Sentences on the columns of a leaderboard, in lines."""

_ON_DIFFERENCES = (
    "",
    "Beside the best: whether a model differs from the best of its table by more than the choice of test tracks can do",
    "(paired bootstrap, each track with all its seeds; p after Holm for all pairs of the table; worse if under 0.05).",
    "It pools the tracks of all test sides, large and small, and the mean may count sides alike: where folds are of",
    "unequal size it can turn the order of the means, and a model can be better than the one with the best mean.",
    "All pairs are in differences.csv.",
)


def leaderboard_rows(
    standings: Sequence[Standing], failed: Sequence[FailedRun], differences: Differences | None
) -> Iterator[Sequence[object]]:
    """Yield the header and the rows of ``leaderboard.csv``."""
    yield LEADERBOARD_COLUMNS
    for standing in standings:
        yield _csv_row(standing, differences)
    for run in failed:
        known = {"model": run.name, "failed": run.fault}
        yield [known.get(column, "") for column in LEADERBOARD_COLUMNS]


def difference_rows(differences: Differences) -> Iterator[Sequence[object]]:
    """Yield the header and the rows of ``differences.csv``."""
    yield DIFFERENCE_COLUMNS
    for pair in differences.pairs:
        result = pair.result
        measured = (result.accuracy_a, result.accuracy_b, result.difference.difference, *result.difference.ci95)
        yield (
            pair.a.dataset,
            pair.a.protocol,
            "true" if pair.a.leaky else "false",
            pair.a.name,
            pair.b.name,
            *(f"{value:.6f}" for value in measured),
            result.difference.over,
            f"{result.p:.6g}",
            f"{result.p_holm:.6g}",
            "true" if result.beyond_noise else "false",
            result.difference.n_tracks,
            len(pair.a.runs),
            len(pair.b.runs),
        )


def markdown(
    standings: Sequence[Standing], failed: Sequence[FailedRun] = (), differences: Differences | None = None
) -> str:
    """Return the leaderboard as Markdown that also reads well in a terminal."""
    lines = ["# Leaderboard", ""]
    for (leaky, dataset, protocol), members in itertools.groupby(standings, key=lambda standing: standing.table):
        lines += [f"## {dataset}, protocol {protocol}" + (" (LEAKED)" if leaky else ""), ""]
        if leaky:
            lines += [f"**{LEAK_WARNING.capitalize()}. Do not compare with the other tables.**", ""]
        table = list(members)
        lines += [*_table(table, differences), ""]
        usual = {standing.model: standing.usual for standing in table if standing.usual}
        lines += [f"Where {model} does not say otherwise: {text}.  " for model, text in usual.items()]
        lines += [""] if usual else []
    if failed:
        rows = [("run", "why"), *((_cell(run.name), _cell(run.fault)) for run in failed)]
        lines += ["## Failed", "", *_aligned(rows, right=False), ""]
    lines += [
        *ON_INTERVALS,
        *(_ON_DIFFERENCES if differences is not None and differences.pairs else ()),
        "",
    ]
    return "\n".join(lines)


def _csv_row(standing: Standing, differences: Differences | None) -> Sequence[object]:
    def number(value: float | None) -> str:
        return "" if value is None else f"{value:.6f}"

    def mean(spread: Spread | None) -> str:
        return number(spread.mean if spread else None)

    def deviation(spread: Spread | None) -> str:
        return number(spread.sd if spread else None)

    track, clip = standing.track_accuracy, standing.test(lambda metrics: metrics.clip_accuracy)
    result = None if differences is None else differences.from_best(standing)
    low, high, over = standing.interval or (None, None, "")
    return (
        standing.dataset,
        standing.protocol,
        "true" if standing.leaky else "false",
        standing.model,
        standing.variant,
        len(standing.runs),
        _seeds(standing),
        mean(track),
        deviation(track),
        number(low),
        number(high),
        over,
        "" if differences is None else _verdict(standing, differences).partition(" (")[0].replace("-", ""),
        number(result.p_holm if result else None),
        mean(clip),
        deviation(clip),
        mean(standing.test(lambda metrics: metrics.macro_f1)),
        mean(standing.test(lambda metrics: metrics.ece)),
        mean(standing.val(lambda metrics: metrics.track_accuracy)),
        _range([run.test.n_tracks for run in standing.runs if run.test]),
        _range([run.info.parameters for run in standing.runs]),
        number(standing.seconds),
        standing.chosen,
        "",
    )


def _table(standings: Sequence[Standing], differences: Differences | None) -> Iterator[str]:
    """Return the lines of a Markdown table with its columns in line."""
    rows = [(*SHOWN_COLUMNS, "s"), *(tuple(map(_cell, cells(standing))) for standing in standings)]
    if differences is not None and any(map(differences.is_best, standings)):
        verdicts = ["beside the best", *(_verdict(standing, differences) for standing in standings)]
        rows = [(*row[:4], text, *row[4:]) for row, text in zip(rows, verdicts, strict=True)]
    if any(standing.chosen for standing in standings):
        chosen = ["chosen", *(_cell(standing.chosen) for standing in standings)]
        rows = [(*row, text) for row, text in zip(rows, chosen, strict=True)]
    return _aligned(rows, right=True)


def _aligned(rows: Sequence[Sequence[str]], *, right: bool) -> Iterator[str]:
    """Yield the lines of a Markdown table; its first column is flush left, the others too unless ``right``."""
    widths = [max(2, *(len(row[column]) for row in rows)) for column in range(len(rows[0]))]
    end = ":" if right else "-"
    rule = ["-" * widths[0], *("-" * (width - 1) + end for width in widths[1:])]
    for row in (rows[0], rule, *rows[1:]):
        others = zip(row[1:], widths[1:], strict=True)
        texts = (text.rjust(width) if right else text.ljust(width) for text, width in others)
        yield f"| {' | '.join([row[0].ljust(widths[0]), *texts])} |"


def _cell(text: str) -> str:
    """Return a text as a cell of a Markdown table."""
    return " ".join(text.split()).replace("|", "\\|")


def cells(standing: Standing) -> tuple[str, ...]:
    """Return the texts under :data:`SHOWN_COLUMNS`, and the mean of the seconds."""

    def text(spread: Spread | None) -> str:
        if spread is None:
            return "-"
        return f"{spread.mean:.3f}" + (f" ± {spread.sd:.3f}" if spread.sd is not None else "")

    interval = standing.interval
    return (
        standing.name,
        str(len(standing.runs)),
        text(standing.track_accuracy),
        f"{interval[0]:.3f} to {interval[1]:.3f} ({interval[2]})" if interval else "-",
        text(standing.test(lambda metrics: metrics.clip_accuracy)),
        text(standing.test(lambda metrics: metrics.macro_f1)),
        text(standing.val(lambda metrics: metrics.track_accuracy)),
        _range([run.info.parameters for run in standing.runs], thousands=True),
        f"{standing.seconds:.0f}",
    )


def _verdict(standing: Standing, differences: Differences) -> str:
    """Say whether a line differs from the best one of its table: ``not told apart (p 0.31)``, ``worse (p 0.004)``."""
    result = differences.from_best(standing)
    if result is None:
        return "best" if differences.is_best(standing) else "-"
    p = f"p {result.p_holm:.2g}" if result.p_holm >= 0.001 else "p < 0.001"
    return f"{result.verdict} ({p})"


def _seeds(standing: Standing) -> str:
    return " ".join(map(str, sorted({run.info.seed for run in standing.runs})))


def _range(values: Sequence[int], *, thousands: bool = False) -> str:
    """Write one number, or the ends when they differ: ``290``, ``58-62``."""
    ends = sorted({min(values), max(values)}) if values else []
    return "-".join(f"{value:,}" if thousands else str(value) for value in ends)
