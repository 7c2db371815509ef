"""Runs of a sweep that came to nothing: each leaves a file that says why in its folder."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

FAILURE_FILE = "failed.txt"
"""In the folder of a job of a multirun that failed: the sentence that says why."""


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


def failed_run(folder: Path, file: Path) -> FailedRun:
    """Return the run below a folder that left a file saying why it failed."""
    fault = file.read_text(encoding="utf-8", errors="replace").strip()
    return FailedRun(file.parent.relative_to(folder).as_posix(), fault)


def failure_files(folder: Path) -> list[Path]:
    """Return the files below a folder that say why a run failed, sorted."""
    return sorted(folder.rglob(FAILURE_FILE))
