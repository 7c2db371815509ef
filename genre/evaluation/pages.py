"""The page of a run, or of all the runs of a sweep: ``report.html``, made of the files that the runs left."""

from __future__ import annotations

import csv
import heapq
import itertools
import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from genre.errors import DataError, counted
from genre.evaluation import html
from genre.evaluation.failed import FAILURE_FILE, FailedRun, failed_run, failure_files
from genre.evaluation.files import write_text
from genre.evaluation.hardest import HardClip, read_hardest
from genre.evaluation.leaderboard import Standing, leaderboard, read_runs
from genre.evaluation.leaderboard_tables import ON_INTERVALS, SHOWN_COLUMNS, cells
from genre.evaluation.metrics import LEAK_WARNING, class_scores, confusion_matrix
from genre.evaluation.predictions import Predictions, track_level
from genre.evaluation.report import METRICS_FILE, PREDICTIONS_FILES, RunReport, duration, read_run
from genre.evaluation.resampling import ON_RESAMPLES

PAGE_FILE = "report.html"
COMMAND_FILE = "command.txt"
CONFIG_FILE = "config.yaml"

MOST_RUNS = 60
"""Runs of a sweep whose figures are shown one by one."""

MOST_PAIRS = 200
"""Pairs of models in the table of differences."""

MOST_BYTES = 2_500_000
"""Of pictures in a page."""

MOST_CONFUSED = 30
"""Classes that a confusion matrix is still readable with."""

MORE_PICTURES = {
    "reliability.png": "How far the probabilities can be trusted",
    "trials.png": "The trials of the search",
    "feature_importance.png": "What the model listens to",
    "feature_space.png": "Principal components of the features",
    "feature_clusters.png": "Clusters of the features",
}
SWEEP_PICTURES = {
    "leaderboard*.png": "Test track accuracy of the runs",
    "protocols_*.png": "The same model under several protocols",
    "accuracy_table*.png": "Test track accuracy by transform and classifier",
}


def write_page(folder: Path) -> Path:
    """Write ``report.html`` into the folder of a run or of a sweep, atomically, and return where it is.

    Parameters
    ----------
    folder
        Of one run (it holds a ``metrics.json``), or one with runs below it.

    Raises
    ------
    DataError
        When there is no run, or the page cannot be written.
    """
    if (folder / METRICS_FILE).is_file():
        page = run_page(read_run(folder / METRICS_FILE))
    else:
        failed = [failed_run(folder, file) for file in failure_files(folder)]
        runs = [run for run in read_runs([folder]).runs if not (run.folder / FAILURE_FILE).is_file()]
        if not runs and not failed:
            raise DataError(f"there is no {METRICS_FILE} in {folder} or below it: name the folder of a run or a sweep")
        page = sweep_page(folder, runs, failed)
    write_text(folder / PAGE_FILE, page)
    return folder / PAGE_FILE


def run_page(run: RunReport) -> str:
    """Return the page of one run."""
    info = run.info
    body = [
        f"<h1>{html.text(info.model)} on {html.text(info.dataset)}</h1>",
        html.paragraph(f"protocol {info.protocol}, seed {info.seed}, genre {info.version}", "faint"),
        leak_banner([run]),
        key_figures(run),
        notes(run.folder),
        html.section("Training", training_curves(run.folder)),
        html.section("Genres", *genres(run)),
        html.section("The hardest clips", hardest_clips(run)),
        html.section("More pictures", pictures(run.folder, MORE_PICTURES)),
        html.section("Settings", *settings(run.folder)),
    ]
    return html.document(f"{info.model} on {info.dataset}", "\n".join(filter(None, body)))


def sweep_page(folder: Path, runs: Sequence[RunReport], failed: Sequence[FailedRun] = ()) -> str:
    """Return the page of the runs below a folder."""
    standings = leaderboard(runs)
    best = best_run(runs)
    count = counted(len(runs), "run")
    lost = f", {len(failed)} failed" if failed else ""
    body = [
        f"<h1>Sweep {html.text(folder.resolve().name)}</h1>",
        html.paragraph(f"{count}{lost}", "faint"),
        leak_banner(runs),
        html.section("Leaderboard", *leaderboard_tables(standings), failures(failed), differences(folder)),
        html.section("Pictures", pictures(folder, SWEEP_PICTURES)),
        html.section("Runs one by one", *(one_of_many(run, folder) for run in _ranked(standings)[:MOST_RUNS])),
        hardest_of(best, folder) if best else "",
        html.section("More pictures", pictures(folder, MORE_PICTURES)),
        html.section("Settings", *settings(folder)),
    ]
    return html.document(f"Sweep {folder.resolve().name}", "\n".join(filter(None, body)))


def best_run(runs: Sequence[RunReport]) -> RunReport | None:
    """Return the run that was best on validation, of honest protocols if there are any; None if there is no run."""
    return max(honest_runs(runs), key=val_accuracy, default=None)


def honest_runs(runs: Sequence[RunReport]) -> list[RunReport]:
    """Return the runs under protocols that do not leak, or all if there are none."""
    return [run for run in runs if not run.info.leaky] or list(runs)


def val_accuracy(run: RunReport) -> float:
    """Return the track accuracy of a run on validation; -1 without a validation side."""
    return run.val.track_accuracy if run.val else -1.0


def leak_banner(runs: Sequence[RunReport]) -> str:
    """Return the warning that figures are too high; nothing where no protocol leaks."""
    leaky = sorted({run.info.protocol for run in runs if run.info.leaky})
    if not leaky:
        return ""
    which = f" (protocol {', '.join(leaky)})" if len(leaky) < len({run.info.protocol for run in runs}) else ""
    words = f"{LEAK_WARNING.capitalize()}{which}. These figures say nothing about new music."
    return f'<p class="leak" role="note">{html.text(words)}</p>'


def key_figures(run: RunReport) -> str:
    """Return the figures of a run, the test side first."""
    info, side, name = run.info, run.test or run.val, "test" if run.test else "validation"
    if side is None:
        return ""
    low, high = side.track_accuracy_ci95
    cards = [
        (
            f"{name} track accuracy, 95 % over {side.track_accuracy_ci95_over}",
            f"{side.track_accuracy:.3f} [{low:.3f}, {high:.3f}]",
        ),
        ("clip accuracy", f"{side.clip_accuracy:.3f}"),
        ("macro F1", f"{side.macro_f1:.3f}"),
        ("calibration error", f"{side.ece:.3f}"),
    ]
    if run.test and run.val:
        cards.append(("validation track accuracy", f"{run.val.track_accuracy:.3f}"))
    lines = [
        ("data set", info.dataset),
        ("protocol", f"{info.protocol}{' (leaked)' if info.leaky else ''}"),
        (f"{name} tracks / clips", f"{side.n_tracks:,} / {side.n_clips:,}"),
        ("parameters", f"{info.parameters:,}"),
        ("training", duration(info.train_seconds)),
        ("seed", str(info.seed)),
        *((f"chosen {key}", str(value)) for key, value in run.chosen.items()),
    ]
    return html.facts(cards, "cards") + html.facts(lines) + html.paragraph(ON_RESAMPLES, "faint")


def notes(folder: Path) -> str:
    """Return the notices of the data and the deal, as the log of a run has them.

    An earlier run may have written into the same log: those that follow the last line that tells of the data are meant.
    """
    try:
        log = (folder / "run.log").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
    last = re.split(r"^.* classes; protocol .*: tracks in .*$", log, flags=re.MULTILINE)[-1]
    told = dict.fromkeys(line.partition(" note: ")[2] for line in last.splitlines() if " note: " in line)
    return html.bullets(told)


def training_curves(folder: Path) -> str:
    """Return loss and accuracy by epoch; nothing for a run that kept no history."""
    history = _history(folder / "history.csv")
    losses = [_curve(name, points) for name, points in history.items() if "loss" in name]
    scores = [_curve(name, points) for name, points in history.items() if "accuracy" in name]
    panels = [html.curves("loss", losses)] if losses else []
    panels += [html.curves("accuracy", scores, low=0.0, high=1.0)] if scores else []
    return f'<div class="pair">{"".join(panels)}</div>' if panels else ""


def genres(run: RunReport) -> list[str]:
    """Return scores by genre and confusion matrices of the test side, or of validation where there is no test."""
    clips, side = _predictions(run)
    if clips is None:
        return [html.paragraph(f"The predictions of this run are not in {run.folder}.", "faint")]
    tracks = track_level(clips)
    parts = [html.genre_bars(f"{side}, over tracks", class_scores(tracks))]
    if len(clips.labels) <= MOST_CONFUSED:
        matrices = (
            html.confusion_table(
                f"Confusion of {level}, {side}: rows are the true genre", confusion_matrix(rows), labels
            )
            for level, rows, labels in (("tracks", tracks, tracks.labels), ("clips", clips, clips.labels))
        )
        parts.append(f'<div class="pair">{"".join(matrices)}</div>')
    return parts


def hardest_clips(run: RunReport) -> str:
    """Return the most confident mistakes with their sound and spectrograms."""
    clips = read_hardest(run.folder)
    if clips is None:
        return html.paragraph(
            "The sound of this run's mistakes was not kept (it is written with report=true).", "faint"
        )
    if not clips:
        return html.paragraph("No test clip was classified wrong.", "faint")
    words = "The test clips that were classified wrong with the most confidence, one a track."
    return f'{html.paragraph(words, "faint")}<ol class="clips">{"".join(map(_clip, clips))}</ol>'


def hardest_of(run: RunReport, folder: Path) -> str:
    """Return the section about the mistakes of one run of a sweep."""
    whose = html.paragraph(f"of {_name(run, folder)}, the run that was best on validation", "faint")
    return html.section("The hardest clips", whose, hardest_clips(run))


def _clip(clip: HardClip) -> str:
    where = f"{clip.track} at {clip.start_sec:.1f} s"
    alt = f"Spectrogram of {where}: time to the right, frequency upwards"
    parts = [
        html.picture(clip.spectrogram, alt, kind="spectrogram") if clip.spectrogram else "",
        html.paragraph(f"{clip.label}, predicted {clip.predicted} ({100 * clip.probability:.0f} %)", "verdict"),
        html.paragraph(where, "faint"),
        html.player(clip.sound, f"Play {where}") if clip.sound else "",
        html.paragraph(f"Cannot be heard: {clip.fault}", "faint") if clip.fault else "",
    ]
    return f"<li>{''.join(parts)}</li>"


def pictures(folder: Path, wanted: dict[str, str]) -> str:
    """Return the pictures of a folder that are wanted (name or pattern -> what it shows), up to ``MOST_BYTES``."""
    parts, size = [], 0
    for pattern, words in wanted.items():
        for path in sorted(folder.glob(pattern)):
            size += path.stat().st_size
            if size > MOST_BYTES:
                parts.append(html.paragraph(f"{path.name} is in {folder}.", "faint"))
                continue
            detail = "" if path.stem == pattern.partition("*")[0].removesuffix(".png") else f" ({path.stem})"
            parts.append(html.figure(path.read_bytes(), f"{words}{detail}"))
    return f'<div class="pictures">{"".join(parts)}</div>' if parts else ""


def settings(folder: Path) -> list[str]:
    """Return the command and the configuration, as far as they were kept."""
    parts = []
    for name, words in ((COMMAND_FILE, "command"), (CONFIG_FILE, "configuration")):
        if (folder / name).is_file():
            kept = (folder / name).read_text(encoding="utf-8", errors="replace").strip()
            parts.append(html.folded(words, html.code(kept), is_open=name == COMMAND_FILE))
    return parts


def leaderboard_tables(standings: Sequence[Standing]) -> list[str]:
    """Return one table for each data set and protocol, the leaked ones last."""
    parts = []
    for (leaky, dataset, protocol), members in itertools.groupby(standings, key=lambda standing: standing.table):
        caption = f"{dataset}, protocol {protocol}{' (LEAKED: do not compare with other tables)' if leaky else ''}"
        parts.append(_standings(caption, list(members)))
    return [*parts, html.paragraph(" ".join(ON_INTERVALS), "faint")] if parts else []


def _standings(caption: str, standings: Sequence[Standing]) -> str:
    head = [*SHOWN_COLUMNS, "seconds", *(["chosen"] if any(standing.chosen for standing in standings) else [])]
    rows = [[html.text(cell) for cell in (*cells(standing), standing.chosen)] for standing in standings]
    return html.table(caption, head, (row[: len(head)] for row in rows), texts=(9,))


def failures(failed: Sequence[FailedRun]) -> str:
    """Return a list of the runs that came to nothing, with the reason."""
    return html.section("Failed", html.bullets(f"{run.name}: {run.fault}" for run in failed), level=3)


def differences(folder: Path) -> str:
    """Return the table ``differences.csv`` of a sweep: which differences are beyond noise; nothing without one."""
    path = folder / "differences.csv"
    if not path.is_file():
        return ""
    numbers, best = itertools.count(), dict[tuple[str | None, ...], str | None]()
    with path.open(encoding="utf-8", errors="surrogateescape", newline="") as file:
        reader = csv.reader(file)
        head = next(reader, [])
        pairs = zip((row for row in reader if len(row) == len(head) > 0), numbers, strict=False)
        first = heapq.nsmallest(MOST_PAIRS, pairs, key=lambda one: (*_weight(head, one[0], best), one[1]))
    n_pairs = next(numbers)
    rows = [row for row, _ in sorted(first, key=lambda one: one[1])]
    if not rows:
        return ""
    cells = [[html.text(_short(cell)) for cell in row] for row in rows]
    names = [html.text(name.replace("_", " ")) for name in head]
    table = html.table("Pairs of models", names, cells, texts=_texts(rows))
    note = f"{len(rows)} of {n_pairs:,} pairs: those with the best model, then those of the smallest p values. "
    rest = html.paragraph(f"{note}All are in {path.name}.", "faint") if n_pairs > len(rows) else ""
    return html.folded("Which differences are beyond noise", rest, table)


def _weight(
    head: Sequence[str], row: Sequence[str], best: dict[tuple[str | None, ...], str | None]
) -> tuple[bool, float]:
    """Return what puts pairs with the best model of their table first, then those of small p values.

    The best is that of the first row of a table; ``best`` keeps it.
    """
    cells = dict(zip(head, row, strict=True))
    table = tuple(map(cells.get, ("dataset", "protocol", "leaky")))
    if best.setdefault(table, cells.get("a")) == cells.get("a"):
        return False, 0.0
    p = cells.get("p", "")
    return True, float(p) if _is_number(p) else 1.0


def _short(cell: str) -> str:
    """Return a number with at most three decimals; anything else as it is."""
    return f"{float(cell):.3f}" if re.fullmatch(r"-?\d+\.\d{4,}", cell) else cell


def _texts(rows: Sequence[Sequence[str]]) -> set[int]:
    """Return the columns in which not every cell is a number."""
    return {column for row in rows for column, cell in enumerate(row) if cell and not _is_number(cell)}


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True


def one_of_many(run: RunReport, folder: Path) -> str:
    """Return a run of a sweep, folded."""
    side = run.test or run.val
    accuracy = f": track accuracy {side.track_accuracy:.3f}" if side else ""
    leaked = " (LEAKED)" if run.info.leaky else ""
    title = f"{run.info.model}, {run.info.protocol}{leaked}, seed {run.info.seed}{accuracy} · {_name(run, folder)}"
    return html.folded(title, key_figures(run), training_curves(run.folder), *genres(run), *settings(run.folder))


def _ranked(standings: Sequence[Standing]) -> list[RunReport]:
    return [run for standing in standings for run in standing.runs]


def _name(run: RunReport, folder: Path) -> str:
    """Return what a run is called within a folder."""
    own, above = run.folder.resolve(), folder.resolve()
    return own.relative_to(above).as_posix() if own.is_relative_to(above) else own.name


def _predictions(run: RunReport) -> tuple[Predictions | None, str]:
    """Return the predictions of the test side, or of validation, and what the side is called."""
    for side, word in (("test", "test"), ("val", "validation")):
        path = run.folder / PREDICTIONS_FILES[side]
        if path.is_file():
            return Predictions.read_csv(path), word
    return None, ""


def _history(path: Path) -> dict[str, list[tuple[float, float]]]:
    history: dict[str, list[tuple[float, float]]] = {}
    if path.is_file():
        with path.open(encoding="utf-8", newline="") as file:
            for row in csv.DictReader(file):
                value = float(row["value"])
                if np.isfinite(value):
                    history.setdefault(row["curve"], []).append((float(row["epoch"]), value))
    return history


def _curve(name: str, points: Sequence[tuple[float, float]]) -> html.Curve:
    side = next((side for side in ("train", "test") if name.startswith(side)), "val")
    kind = f"{side} dashed" if "clip" in name else side
    return html.Curve(name.replace("/", " ").replace("_", " "), kind, np.array(sorted(points), dtype=np.float64))
