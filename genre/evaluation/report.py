"""What a run leaves behind: ``metrics.json``, prediction tables, scores by class and pictures.

``python -m genre.evaluation.report RUN_OR_SWEEP`` writes the page ``report.html`` of a run or a sweep.

``metrics.json`` is written last, so a folder that has one has all the rest. Its keys are fixed, since other tools read
them; whatever else is worth keeping has a file of its own.
"""

from __future__ import annotations

import argparse
import contextlib
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from genre.errors import DataError, OneSentenceParser
from genre.evaluation.calibration import reliability
from genre.evaluation.files import write_csv, write_text
from genre.evaluation.metrics import LEAK_WARNING, N_BOOTSTRAP, Metrics, class_scores, confusion_matrix, evaluate
from genre.evaluation.predictions import Predictions, track_level
from genre.evaluation.resampling import ARTISTS_FILE, Units, read_artists, write_artists
from genre.terminal import run_tool

if TYPE_CHECKING:
    from rich.console import RenderableType

    from genre.evaluation.canvas import Heading
    from genre.evaluation.plots import History

METRICS_FILE = "metrics.json"
CHOSEN_FILE = "chosen.json"
SETTINGS_FILE = "settings.json"
PREDICTIONS_FILES = {"val": "predictions_val.csv", "test": "predictions.csv"}


@dataclass(frozen=True, slots=True)
class RunInfo:
    """The facts of a run that are not figures.

    Parameters
    ----------
    protocol
        Name of the protocol that dealt the tracks.
    leaky
        Whether that protocol lets training hear recordings of the test side.
    model
        Name of the model.
    seed
        Seed of the run.
    parameters
        Number of trainable parameters.
    train_seconds
        Wall-clock seconds of training.
    dataset
        Name of the data set.
    config_hash
        Hash of everything that was configured, seed and fold included.
    version
        Version of the package that made the run.
    """

    protocol: str
    leaky: bool
    model: str
    seed: int
    parameters: int
    train_seconds: float
    dataset: str
    config_hash: str
    version: str


@dataclass(frozen=True, slots=True)
class RunReport:
    """A run and its figures, as ``metrics.json`` holds them.

    Parameters
    ----------
    folder
        Where the run's files are.
    info
        Its facts.
    val, test
        Its figures; None for a side that was not evaluated.
    chosen
        Settings that the run chose itself, by tuning: name -> value; kept in ``chosen.json``.
    settings
        Its settings without seeds and folds, and its tracks: name -> value; kept in ``settings.json``. Empty if that is
        missing.
    """

    folder: Path
    info: RunInfo
    val: Metrics | None
    test: Metrics | None
    chosen: Mapping[str, Any] = field(default_factory=dict)
    settings: Mapping[str, Any] = field(default_factory=dict)

    def as_dict(self) -> dict[str, Any]:
        """Return plain values in the order of ``metrics.json``."""
        info = self.info
        return {
            "protocol": info.protocol,
            "leaky": info.leaky,
            "model": info.model,
            "seed": info.seed,
            "parameters": info.parameters,
            "train_seconds": info.train_seconds,
            "val": self.val.as_dict() if self.val else None,
            "test": self.test.as_dict() if self.test else None,
            "dataset": info.dataset,
            "config_hash": info.config_hash,
            "version": info.version,
        }


def write_run(
    folder: Path,
    *,
    info: RunInfo,
    val: Predictions | None,
    test: Predictions | None,
    history: History | None = None,
    best_epoch: float | None = None,
    artist: Mapping[str, str] | None = None,
    chosen: Mapping[str, Any] | None = None,
    settings: Mapping[str, Any] | None = None,
    also: Callable[[RunReport], object] | None = None,
    n_bootstrap: int = N_BOOTSTRAP,
) -> RunReport:
    """Evaluate a run and write all its files to ``folder``, each atomically.

    Always ``per_class.csv``, ``confusion_matrix.png``, ``per_class.png``, ``reliability.png`` and ``metrics.json``;
    ``predictions.csv`` (test) and ``predictions_val.csv`` for the sides there are, removed for a side there is not, so
    that they never tell of another evaluation; ``artists.csv`` when artists are known, likewise; ``curves.png`` and
    ``history.csv`` when there is a history;
    ``chosen.json`` when the run was tuned, ``settings.json`` when there are settings. ``metrics.json`` is taken away
    first and comes last, so a folder that has one is whole. The pictures show the test side, or the validation side
    when there is no test.

    Parameters
    ----------
    folder
        Made if it is not there.
    info
        Facts of the run.
    val, test
        What the model said of the clips of each side.
    history
        Name of a curve -> its (epoch, value) points (:func:`genre.evaluation.plots.curves_figure`).
    artist
        Track -> artist, as far as known.
    best_epoch
        Epoch the evaluated weights are of; marked in the curves.
    chosen
        Settings found by tuning: name -> plain value.
    settings
        All settings but seeds and folds, and the tracks, by which the leaderboard knows repeats: name -> plain value.
    also
        Called when all but ``metrics.json`` is written, for whatever else belongs to a whole run.
    n_bootstrap
        Resamples of the intervals.

    Returns
    -------
    RunReport
        The figures.

    Raises
    ------
    DataError
        When there is no side at all, a side has no clips, or a file cannot be written.
    """
    sides = {side: table for side, table in (("val", val), ("test", test)) if table is not None}
    if not sides:
        raise DataError("there is nothing to evaluate: the run has neither validation nor test predictions")
    artist = artist or {}
    figures = {side: evaluate(table, artist=artist, n_bootstrap=n_bootstrap) for side, table in sides.items()}
    report = RunReport(
        folder=folder,
        info=info,
        val=figures.get("val"),
        test=figures.get("test"),
        chosen=dict(chosen or {}),
        settings=dict(settings or {}),
    )
    with contextlib.suppress(FileNotFoundError):
        (folder / METRICS_FILE).unlink()
    for side, name in PREDICTIONS_FILES.items():
        if side in sides:
            sides[side].write_csv(folder / name)
        else:
            with contextlib.suppress(OSError):
                (folder / name).unlink()
    write_artists(folder / ARTISTS_FILE, {side: table.track for side, table in sides.items()}, artist)
    write_csv(folder / "per_class.csv", _class_rows(sides, info))
    if history:
        write_csv(folder / "history.csv", _history_rows(history))
    _write_pictures(report, sides, history, best_epoch)
    if chosen is not None:
        _write_json(folder / CHOSEN_FILE, report.chosen)
    if settings is not None:
        _write_json(folder / SETTINGS_FILE, report.settings)
    if also is not None:
        also(report)
    _write_json(folder / METRICS_FILE, report.as_dict())
    return report


def _write_json(path: Path, values: Mapping[str, Any]) -> None:
    write_text(path, json.dumps(values, indent=2, allow_nan=False, ensure_ascii=False) + "\n")


def read_run(path: Path) -> RunReport:
    """Read a ``metrics.json``, and ``chosen.json`` and ``settings.json`` beside it; keys it does not know are ignored.

    Raises
    ------
    DataError
        When a file cannot be read, is not JSON, or lacks a key; the sentence names the file and the key.
    """
    artists = read_artists(path.parent / ARTISTS_FILE)
    chosen, settings = (_beside(path.parent / name) for name in (CHOSEN_FILE, SETTINGS_FILE))
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
        if not isinstance(values, dict):
            raise DataError("it does not hold one JSON object")
        val, test = (_side(values, side, artists.get(side, {})) for side in ("val", "test"))
        return RunReport(
            folder=path.parent,
            info=_info(values),
            val=val,
            test=test,
            chosen=chosen,
            settings=settings,
        )
    except OSError as error:
        raise DataError(f"cannot read {path} ({error.strerror}): check the path") from error
    except (ValueError, DataError) as error:
        raise DataError(f"{path} is not the metrics.json of a run ({error}): evaluate the run again") from error


def summary(report: RunReport, *, facts: Mapping[str, str] | None = None) -> RenderableType:
    """Return a table of a run's figures for the terminal; the leak warning stands over it in red.

    Parameters
    ----------
    report
        The run.
    facts
        Further lines for below the table: name -> text.
    """
    from rich.console import Group
    from rich.table import Table
    from rich.text import Text

    info = report.info
    title = f"{info.model} on {info.dataset}, protocol {info.protocol}, seed {info.seed}"
    table = Table(title=Text(title, style="bold"), title_justify="left")
    table.add_column()
    sides = [(name, side) for name, side in (("test", report.test), ("validation", report.val)) if side is not None]
    for name, _ in sides:
        table.add_column(name, justify="right")
    rows = [_summary_cells(side) for _, side in sides]
    for name in rows[0] if rows else ():
        table.add_row(name, *(cells[name] for cells in rows))
    cost = {
        "parameters": f"{info.parameters:,}",
        "training": duration(info.train_seconds),
        **(facts or {}),
        "results": str(report.folder),
    }
    lines = [Text(f"{name}: {text}", overflow="ignore", no_wrap=True) for name, text in cost.items()]
    warning = [Text(LEAK_WARNING.upper(), style="bold red")] if info.leaky else []
    return Group(*warning, table, *lines)


def heading(info: RunInfo, side: str) -> Heading:
    """Return what stands over a picture of one side (``"val"``, ``"test"`` or, for both, ``""``) of a run."""
    from genre.evaluation.canvas import Heading

    return Heading(dataset=info.dataset, protocol=info.protocol, leaky=info.leaky, model=info.model, side=side)


def _write_pictures(
    report: RunReport, sides: Mapping[str, Predictions], history: History | None, best_epoch: float | None
) -> None:
    from genre.evaluation import plots
    from genre.evaluation.canvas import save_png

    side = "test" if "test" in sides else "val"
    clips = sides[side]
    levels = {"tracks": track_level(clips), "clips": clips}
    above = heading(report.info, side)
    folder = report.folder
    matrices = {title: confusion_matrix(table) for title, table in levels.items()}
    save_png(plots.confusion_matrix_figure(matrices, clips.labels, above), folder / "confusion_matrix.png")
    scores = {title: class_scores(table) for title, table in levels.items()}
    save_png(plots.per_class_figure(scores, above), folder / "per_class.png")
    curve = reliability(clips.confidence, clips.correct)
    save_png(plots.reliability_figure(curve, above), folder / "reliability.png")
    if history:
        curves = plots.curves_figure(history, heading(report.info, ""), best_epoch=best_epoch)
        save_png(curves, folder / "curves.png")


def _class_rows(sides: Mapping[str, Predictions], info: RunInfo) -> Iterator[Sequence[object]]:
    yield "side", "level", "class", "precision", "recall", "f1", "support", "protocol", "leaky"
    for side, clips in sides.items():
        for level, table in (("track", track_level(clips)), ("clip", clips)):
            for of_class in class_scores(table):
                quotients = (f"{value:.6f}" for value in (of_class.precision, of_class.recall, of_class.f1))
                leaky = "true" if info.leaky else "false"
                yield side, level, of_class.label, *quotients, of_class.support, info.protocol, leaky


def _history_rows(history: History) -> Iterator[Sequence[object]]:
    yield "curve", "epoch", "value"
    for curve, points in history.items():
        for epoch, value in points:
            yield curve, f"{epoch:g}", f"{value:.9g}"


def _info(values: Mapping[str, Any]) -> RunInfo:
    def value(key: str, *kinds: type) -> Any:
        if key not in values:
            raise DataError(f"it has no {key!r}")
        if not isinstance(values[key], kinds) or (isinstance(values[key], bool) and bool not in kinds):
            raise DataError(f"its {key!r} is {values[key]!r}")
        return values[key]

    return RunInfo(
        protocol=value("protocol", str),
        leaky=value("leaky", bool),
        model=value("model", str),
        seed=value("seed", int),
        parameters=value("parameters", int),
        train_seconds=float(value("train_seconds", int, float)),
        dataset=value("dataset", str),
        config_hash=value("config_hash", str),
        version=value("version", str),
    )


def _beside(path: Path) -> Mapping[str, Any]:
    """Read a file of settings beside ``metrics.json``; empty if it is not there."""
    if not path.is_file():
        return {}
    try:
        settings = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise DataError(f"cannot read {path} ({error}): evaluate the run again") from error
    if not isinstance(settings, dict):
        raise DataError(f"{path} does not hold one JSON object: evaluate the run again")
    return settings


def _side(values: Mapping[str, Any], side: str, artist: Mapping[str, str]) -> Metrics | None:
    if side not in values:
        raise DataError(f"it has no {side!r}")
    figures = values[side]
    if figures is None:
        return None
    if not isinstance(figures, dict):
        raise DataError(f"its {side!r} is not an object")
    return Metrics.from_dict(figures, over=Units.of(tuple(artist), artist).over)


def _summary_cells(side: Metrics) -> dict[str, str]:
    low, high = side.track_accuracy_ci95
    return {
        "track accuracy [95 %]": f"{side.track_accuracy:.3f}  [{low:.3f}, {high:.3f}]",
        "interval over": side.track_accuracy_ci95_over,
        "clip accuracy": f"{side.clip_accuracy:.3f}",
        "macro F1 (clips)": f"{side.macro_f1:.3f}",
        "calibration error": f"{side.ece:.3f}",
        "tracks / clips": f"{side.n_tracks:,} / {side.n_clips:,}",
    }


def duration(seconds: float) -> str:
    """Write seconds as a person says them: ``8.2 s``, ``3 min 20 s``, ``2 h 5 min``."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes_of_hour = divmod(minutes, 60)
    return f"{hours} h {minutes_of_hour} min" if hours else f"{minutes} min {rest} s"


def main(arguments: Sequence[str] | None = None) -> int:
    """Write the page of a run or a sweep; return the exit status."""
    from genre.evaluation.pages import write_page

    folder = _parser().parse_args(arguments).folder
    if not folder.is_dir():
        raise DataError(f"there is no folder {folder}: name the folder of a run or a sweep")
    path = write_page(folder)
    print(path)
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = OneSentenceParser(
        prog="python -m genre.evaluation.report",
        description="One page, report.html, of a run or of all runs of a sweep; it needs no network.",
    )
    parser.add_argument("folder", type=Path, metavar="RUN_OR_SWEEP", help="the folder of a run, or one with runs in it")
    return parser


if __name__ == "__main__":
    run_tool(main)
