"""The trials of a search as a table and a picture."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from genre.evaluation.canvas import Heading, save_png
from genre.evaluation.files import write_csv
from genre.evaluation.sweep_plots import trials_figure


@dataclass(frozen=True, slots=True)
class TrialRow:
    """One trial.

    Parameters
    ----------
    parameters
        Name -> value that was tried.
    score, clip_accuracy
        How well it did; NaN if it failed.
    seconds
        Time it took.
    fault
        Why it failed; empty if it did not.
    """

    parameters: Mapping[str, Any]
    score: float
    clip_accuracy: float
    seconds: float
    fault: str

    @property
    def text(self) -> str:
        """The parameters on one line, ``C=10, gamma=0.1``."""
        return ", ".join(f"{name.rpartition('.')[2]}={value}" for name, value in self.parameters.items())


def write_trials(folder: Path, trials: Sequence[TrialRow], *, best: int, score: str, heading: Heading) -> None:
    """Write ``trials.csv`` and ``trials.png`` to ``folder``, each atomically.

    Parameters
    ----------
    folder
        Made if it is not there.
    trials
        In the order in which they are numbered.
    best
        Index of the one that was kept.
    score
        What the scores are.
    heading
        What the picture is of.
    """
    names = list(dict.fromkeys(name for trial in trials for name in trial.parameters))
    columns = ["trial", *names, score, "clip_accuracy", "seconds", "kept", "failed"]
    if score == "clip_accuracy":
        columns.remove("clip_accuracy")
    rows = []
    for number, trial in enumerate(trials, start=1):
        cells = {
            "trial": number,
            **trial.parameters,
            "clip_accuracy": _number(trial.clip_accuracy),
            score: _number(trial.score),
            "seconds": f"{trial.seconds:.3f}",
            "kept": "true" if number == best + 1 else "false",
            "failed": trial.fault,
        }
        rows.append([cells.get(column, "") for column in columns])
    write_csv(folder / "trials.csv", [columns, *rows])
    texts = [trial.text for trial in trials] if names else []
    figure = trials_figure([trial.score for trial in trials], best, heading, score=score, names=texts)
    save_png(figure, folder / "trials.png")


def _number(value: float) -> str:
    return f"{value:.6f}" if math.isfinite(value) else ""
