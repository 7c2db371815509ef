"""Prediction tables: what a model said of every clip, in memory and as ``predictions.csv``.

Conventions: a table has one row a clip; class ``k`` is ``labels[k]`` and column ``k`` of the probabilities; the
predicted class is the one of highest probability, and the first of them in a tie. Everything that evaluation computes
starts from such a table, so a figure can be computed again from the file alone.
"""

from __future__ import annotations

import csv
import itertools
from array import array
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from genre.errors import DataError
from genre.evaluation.files import write_csv

FIXED_COLUMNS = ("track", "start_sec", "label", "predicted")
SUM_TOLERANCE = 1e-3


@dataclass(frozen=True, eq=False, slots=True)
class Predictions:
    """One row a clip: where it is, what it is, and what the model said.

    Starts are rounded to microseconds and probabilities to single precision, which is what the file keeps: a table that
    was written and read back is equal bit for bit, and so are all metrics of it. The arrays cannot be written to.

    Parameters
    ----------
    track
        Name of each clip's track, n of them.
    start_sec
        Where each clip starts in its track, in seconds, shape (n,). A pair of track and start occurs once.
    label
        True class of each clip, shape (n,), integers in ``range(len(labels))``.
    probabilities
        Shape (n, n_classes), not negative, each row sums to 1 within 1e-3.
    labels
        Names of the classes, all different.

    Raises
    ------
    DataError
        When the columns do not fit these rules; the sentence names the first row that does not.
    """

    track: tuple[str, ...]
    start_sec: NDArray[np.float64]
    label: NDArray[np.int64]
    probabilities: NDArray[np.float64]
    labels: tuple[str, ...]

    def __post_init__(self) -> None:
        columns = {
            "track": tuple(self.track),
            "labels": tuple(self.labels),
            "start_sec": np.round(np.array(self.start_sec, dtype=np.float64), 6) + 0.0,  # + 0.0 turns -0.0 into 0.0
            "label": _integers(self.label),
            "probabilities": _single_precision(self.probabilities),
        }
        for name, column in columns.items():
            if isinstance(column, np.ndarray):
                column.flags.writeable = False
            object.__setattr__(self, name, column)
        self.validate()

    def __len__(self) -> int:
        return len(self.track)

    @property
    def predicted(self) -> NDArray[np.int64]:
        """Class of highest probability of each row, shape (n,)."""
        return np.asarray(np.argmax(self.probabilities, axis=1), dtype=np.int64)

    @property
    def confidence(self) -> NDArray[np.float64]:
        """Probability of the predicted class of each row, shape (n,)."""
        return np.asarray(np.max(self.probabilities, axis=1))

    @property
    def correct(self) -> NDArray[np.bool_]:
        """Whether each row was predicted right, shape (n,)."""
        return np.equal(self.predicted, self.label)

    def validate(self) -> None:
        """Check all columns (done on construction).

        Raises
        ------
        DataError
            At the first column or row that breaks a rule.
        """
        self._check_shapes()
        self._check_rows(
            "a start that is negative or not a number", (self.start_sec >= 0) & np.isfinite(self.start_sec)
        )
        in_range = (self.label >= 0) & (self.label < len(self.labels))
        self._check_rows(f"a label outside 0 to {len(self.labels) - 1}", in_range)
        self._check_rows("a probability that is not finite", np.all(np.isfinite(self.probabilities), axis=1))
        self._check_rows("a negative probability", np.all(self.probabilities >= 0, axis=1))
        sums_to_one = np.abs(self.probabilities.sum(axis=1) - 1) <= SUM_TOLERANCE
        self._check_rows(f"probabilities that do not sum to 1 within {SUM_TOLERANCE}", sums_to_one)
        self._check_unique()

    def _check_shapes(self) -> None:
        if not self.labels or "" in self.labels or len(set(self.labels)) != len(self.labels):
            raise DataError(
                f"predictions need class names that are all different and not empty, not {list(self.labels)}"
            )
        n_rows, n_classes = len(self.track), len(self.labels)
        shapes = {
            "start_sec": (self.start_sec.shape, (n_rows,)),
            "label": (self.label.shape, (n_rows,)),
            "probabilities": (self.probabilities.shape, (n_rows, n_classes)),
        }
        for name, (found, wanted) in shapes.items():
            if found != wanted:
                raise DataError(
                    f"predictions of {n_rows} clips and {n_classes} classes need {name} of shape {wanted}, not {found}"
                )

    def _check_rows(self, fault: str, good: NDArray[np.bool_]) -> None:
        if not good.all():
            row = int(np.argmin(good))
            raise DataError(f"row {row + 1} of the predictions (track {self.track[row]!r}) has {fault}")

    def _check_unique(self) -> None:
        number_of: dict[str, int] = {}
        number = np.array([number_of.setdefault(track, len(number_of)) for track in self.track], dtype=np.int64)
        order = np.lexsort((self.start_sec, number))
        again = (np.diff(number[order]) == 0) & (np.diff(self.start_sec[order]) == 0)
        if again.any():
            row = int(order[1:][again].min())
            track, start = self.track[row], float(self.start_sec[row])
            raise DataError(f"the predictions hold the clip of track {track!r} at {start:g} s twice")

    def write_csv(self, path: Path) -> None:
        """Write the table: ``track,start_sec,label,predicted``, then one probability column a class, as UTF-8.

        Written to a temporary file first, so that no half table is ever seen. Nine significant digits keep a number of
        single precision exactly.

        Raises
        ------
        DataError
            When the file cannot be written.
        """
        columns = (self.track, self.start_sec.tolist(), self.label.tolist(), self.predicted.tolist())
        rows = (
            [track, _seconds(start), self.labels[label], self.labels[predicted], *(f"{p:.9g}" for p in probabilities)]
            for track, start, label, predicted, probabilities in zip(
                *columns, map(np.ndarray.tolist, self.probabilities), strict=True
            )
        )
        write_csv(path, itertools.chain([[*FIXED_COLUMNS, *self.labels]], rows))

    @classmethod
    def read_csv(cls, path: Path) -> Predictions:
        """Read a table that :meth:`write_csv` wrote.

        The first four columns are told by position, so a class may have any name, ``track`` too.

        Raises
        ------
        DataError
            When the file is missing or is not such a table; the sentence names the file and the line.
        """
        rows = _read_rows(path)
        _, header = next(rows)
        labels = header[len(FIXED_COLUMNS) :]
        number_of = {name: number for number, name in enumerate(labels)}
        names: dict[str, str] = {}  # one text for all rows that have it
        track, said = list[str](), list[str]()
        # a table of a million rows in less than it takes as texts
        lines, start_sec, label, probabilities = array("q"), array("d"), array("q"), array("f")
        for line, row in rows:
            lines.append(line)
            track.append(names.setdefault(row[0], row[0]))
            start_sec.extend(_numbers(path, line, row[1:2]))
            label.append(_class(path, line, row[2], number_of))
            said.append(names.setdefault(row[3], row[3]))
            probabilities.extend(_numbers(path, line, row[len(FIXED_COLUMNS) :]))
        try:
            table = cls(
                track=tuple(track),
                start_sec=np.asarray(start_sec),
                label=np.asarray(label),
                probabilities=np.asarray(probabilities).reshape(len(track), len(labels)),
                labels=tuple(labels),
            )
        except DataError as error:
            raise _TableError(path, str(error)) from error
        for line, name, predicted in zip(lines, said, table.predicted.tolist(), strict=True):
            if name != labels[predicted]:
                fault = f"line {line} says {name!r} was predicted, but its probabilities say {labels[predicted]!r}"
                raise _TableError(path, fault)
        return table


def track_level(predictions: Predictions) -> Predictions:
    """Return one row a track: the mean probability over its clips, at the start of the first of them.

    Rows come sorted by track name, and do not depend on the order of the clips.

    Raises
    ------
    DataError
        When two clips of one track have different labels.
    """
    names = sorted(set(predictions.track))
    number_of = {name: number for number, name in enumerate(names)}
    index = np.array([number_of[name] for name in predictions.track], dtype=np.int64)
    order = np.lexsort((predictions.start_sec, index))
    first = np.searchsorted(index[order], np.arange(len(names)))
    label = predictions.label[order]
    own_label = label[first]
    clash = label != own_label[index[order]]
    if clash.any():
        at = int(np.argmax(clash))
        track = names[index[order][at]]
        two = predictions.labels[own_label[number_of[track]]], predictions.labels[label[at]]
        raise DataError(f"clips of track {track!r} have two labels, {two[0]} and {two[1]}: a track has one label")
    sums = np.add.reduceat(predictions.probabilities[order], first, axis=0)
    return Predictions(
        track=tuple(names),
        start_sec=predictions.start_sec[order][first],
        label=own_label,
        probabilities=sums / np.bincount(index, minlength=len(names))[:, None],
        labels=predictions.labels,
    )


def read_tracks(path: Path) -> frozenset[str]:
    """Return the tracks of a table that :meth:`Predictions.write_csv` wrote, much quicker than reading all of it.

    Raises
    ------
    DataError
        When the file is missing or is not such a table.
    """
    return frozenset(row[0] for _, row in itertools.islice(_read_rows(path), 1, None))


class _TableError(DataError):
    """A prediction table cannot be read."""

    def __init__(self, path: Path, fault: str) -> None:
        super().__init__(f"{path} is not a usable prediction table: {fault}; write it again by evaluating the run")


def _integers(values: NDArray[np.int64]) -> NDArray[np.int64]:
    array = np.array(values)
    if array.size and array.dtype.kind not in "iu":
        raise DataError(f"the labels of predictions must be class numbers (integers), not {array.dtype}")
    return array.astype(np.int64)


def _single_precision(values: NDArray[np.float64]) -> NDArray[np.float64]:
    with np.errstate(over="ignore"):  # an overflow becomes infinite, which the check of the values reports
        return np.asarray(values).astype(np.float32, copy=False).astype(np.float64)


def _seconds(value: float) -> str:
    """Write seconds with 3 to 6 decimals: ``3.000``, ``1.333333``."""
    whole, decimals = f"{value:.6f}".split(".")
    return f"{whole}.{decimals.rstrip('0').ljust(3, '0')}"


def _read_rows(path: Path) -> Iterator[tuple[int, list[str]]]:
    """Yield the header and the rows, each with the line of the file that it ends on."""
    try:
        with path.open(encoding="utf-8-sig", errors="surrogateescape", newline="") as file:
            reader = csv.reader(file, strict=True)
            header = next(reader, [])
            if tuple(header[: len(FIXED_COLUMNS)]) != FIXED_COLUMNS or len(header) == len(FIXED_COLUMNS):
                wanted = f"{','.join(FIXED_COLUMNS)} and one column a class"
                raise _TableError(path, f"its first line is not {wanted}")
            yield reader.line_num, header
            for row in reader:
                if len(row) != len(header):
                    fault = f"line {reader.line_num} has {len(row)} columns where the first line has {len(header)}"
                    raise _TableError(path, fault)
                yield reader.line_num, row
    except OSError as error:
        raise DataError(f"cannot read the predictions {path} ({error.strerror}): check the path") from error
    except csv.Error as error:
        raise _TableError(path, f"it is not CSV ({error})") from error


def _numbers(path: Path, line: int, cells: Sequence[str]) -> list[float]:
    try:
        return [float(cell) for cell in cells]
    except ValueError as error:
        raise _TableError(path, f"line {line} holds a text where a number belongs ({error})") from error


def _class(path: Path, line: int, name: str, number_of: dict[str, int]) -> int:
    if name not in number_of:
        raise _TableError(path, f"line {line} has the label {name!r}, which is not one of its columns")
    return number_of[name]
