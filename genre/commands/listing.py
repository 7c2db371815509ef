"""What is heard in files, printed for people or for programs."""

from __future__ import annotations

import json
import sys
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from genre.audio.files import shown
from genre.checks import is_whole
from genre.errors import ConfigError, near_names
from genre.evaluation.files import write_row

if TYPE_CHECKING:
    from genre.inference.decision import Decision
    from genre.inference.files import FilePrediction

FORMATS = ("auto", "table", "json", "csv")
WIDE = 160


@dataclass(frozen=True)
class Answer:
    """A file and what is said of it."""

    prediction: FilePrediction
    decision: Decision


class Listing(ABC):
    """Prints answers on standard output.

    Parameters
    ----------
    labels
        Names of the genres.
    with_clips
        Whether the probabilities of every clip are wanted.
    """

    def __init__(self, labels: Sequence[str], *, with_clips: bool = False) -> None:
        self.labels = labels
        self.with_clips = with_clips

    @abstractmethod
    def add(self, answer: Answer) -> None:
        """Print, or keep, the answer for a file."""

    @abstractmethod
    def failed(self, path: Path, sentence: str) -> None:
        """Print why a file has no answer, where that is part of the result; the user is told anyway."""

    @abstractmethod
    def close(self) -> None:
        """Print what was kept."""


class JsonLines(Listing):
    """One JSON object an input, a line each."""

    def add(self, answer: Answer) -> None:
        """Print the answer."""
        prediction, decision = answer.prediction, answer.decision
        row: dict[str, Any] = {
            "file": str(prediction.path),
            "predicted": decision.label,
            "probability": decision.probability,
            "unsure": decision.unsure,
            "top": [{"label": label, "probability": share} for label, share in decision.ranking[:3]],
            "probabilities": self._by_label(prediction.probabilities),
            "seconds": round(prediction.seconds, 3),
            "n_clips": len(prediction.start_sec),
            "truncated": prediction.truncated,
        }
        if self.with_clips:
            row["clips"] = [
                {"start_sec": round(float(start), 6), "probabilities": self._by_label(shares)}
                for start, shares in zip(prediction.start_sec, prediction.clip_probabilities, strict=True)
            ]
        print(json.dumps(row))

    def failed(self, path: Path, sentence: str) -> None:
        """Print that there is none."""
        print(json.dumps({"file": str(path), "error": sentence}))

    def close(self) -> None:
        """Do nothing: all is printed."""

    def _by_label(self, shares: Any) -> dict[str, float]:
        return dict(zip(self.labels, map(float, shares), strict=True))


class CsvRows(Listing):
    """One row a file, or one a clip, below the names of the columns.

    Parameters
    ----------
    labels, with_clips
        See :class:`Listing`.
    """

    def __init__(self, labels: Sequence[str], *, with_clips: bool = False) -> None:
        super().__init__(labels, with_clips=with_clips)
        columns = ("file", "start_sec") if self.with_clips else ("file",)
        self._write(*columns, "predicted", "probability", "unsure", "truncated", *self.labels)

    def add(self, answer: Answer) -> None:
        """Print the rows."""
        prediction, decision = answer.prediction, answer.decision
        flags = (str(decision.unsure).lower(), str(prediction.truncated).lower())
        said = (decision.label, f"{decision.probability:.9g}", *flags)
        if not self.with_clips:
            self._write(str(prediction.path), *said, *(f"{share:.9g}" for share in prediction.probabilities))
            return
        for start, shares in zip(prediction.start_sec, prediction.clip_probabilities, strict=True):
            best = int(shares.argmax())
            said = (self.labels[best], f"{shares[best]:.9g}", *flags)
            self._write(str(prediction.path), f"{start:.6f}", *said, *(f"{share:.9g}" for share in shares))

    def failed(self, path: Path, sentence: str) -> None:
        """Do nothing: a file without an answer has no row."""

    def close(self) -> None:
        """Do nothing: all is printed."""

    def _write(self, *cells: str) -> None:
        write_row(sys.stdout, cells)


class TableListing(Listing):
    """A table for people.

    Parameters
    ----------
    labels, with_clips
        See :class:`Listing`.
    top
        How many genres are shown.
    """

    def __init__(self, labels: Sequence[str], *, with_clips: bool = False, top: int = 3) -> None:
        self._answers: list[Answer] = []
        self._top = min(top, len(labels))
        super().__init__(labels, with_clips=with_clips)

    def add(self, answer: Answer) -> None:
        """Keep the answer."""
        self._answers.append(answer)

    def failed(self, path: Path, sentence: str) -> None:
        """Do nothing: a file without an answer has no row."""

    def close(self) -> None:
        """Print the table."""
        if not self._answers:
            return
        terminal = sys.stdout.isatty()
        console = Console(width=None if terminal else WIDE, highlight=False)
        table = Table(show_edge=False, pad_edge=False)
        table.add_column("file", overflow="fold")
        for column in ("genre", *(f"{rank}." for rank in range(2, self._top + 1))):
            table.add_column(column, no_wrap=True)
        table.add_column("", no_wrap=True)
        for answer in self._answers:
            table.add_row(*self._cells(answer))
        console.print(table)

    def _cells(self, answer: Answer) -> list[Text]:
        prediction, decision = answer.prediction, answer.decision
        name = Text(shown(prediction.path))
        ranks = [Text(f"{label} {100 * share:.0f} %") for label, share in decision.ranking[: self._top]]
        ranks[0].stylize("yellow" if decision.unsure else "bold green")
        remarks = [word for word, holds in (("unsure", decision.unsure), ("ends early", prediction.truncated)) if holds]
        return [name, *ranks, Text(", ".join(remarks), style="yellow")]


def open_listing(form: str, labels: Sequence[str], *, top: int, with_clips: bool) -> Listing:
    """Return what prints answers in a format.

    Raises
    ------
    ConfigError
        If the format is unknown.
    """
    form = resolved_format(form)
    take_any_text(form)
    if form == "table":
        return TableListing(labels, with_clips=with_clips, top=top)
    return (JsonLines if form == "json" else CsvRows)(labels, with_clips=with_clips)


def take_any_text(form: str) -> None:
    """Let standard output take any text, whatever its encoding: a table escapes what it cannot show.

    For programs it is UTF-8, and undecodable bytes of a file name are printed as the bytes they were.
    """
    reconfigure = getattr(sys.stdout, "reconfigure", None)
    if reconfigure is None:
        return
    if form == "table":
        reconfigure(errors="backslashreplace", line_buffering=True)
    else:
        reconfigure(encoding="utf-8", errors="surrogateescape", line_buffering=True)


def check_top(top: object) -> None:
    """Raise unless ``top`` is a number of genres to show.

    Raises
    ------
    ConfigError
        Naming the setting.
    """
    if not is_whole(top, 1):
        raise ConfigError(f"top={top} is not a number of genres; give 1 or more")


def resolved_format(form: str) -> str:
    """Return ``"table"``, ``"json"`` or ``"csv"``.

    Raises
    ------
    ConfigError
        If the format is unknown.
    """
    if form not in FORMATS:
        raise ConfigError(f"format={form} is unknown; {near_names(str(form), FORMATS)}")
    if form == "auto":
        return "table" if sys.stdout.isatty() else "json"
    return form
