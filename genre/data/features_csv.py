"""Tables of features as they are passed on, first of all those published for GTZAN.

``filename``, ``label`` and one column a feature. ``length`` is ignored, ``artist`` and ``split`` are used if they are
there. Both of the published tables are read: in that of whole excerpts a row is a track (``blues.00000.wav``), in that
of pieces of 3 s a row is a clip (``blues.00000.4.wav``), and all clips of a track stay together. The case of these five
names and of a split does not matter; other names are features, as they are written.
"""

from __future__ import annotations

import csv
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from genre.audio.files import shown
from genre.data.feature_set import FeatureSet
from genre.data.fingerprint import digest
from genre.data.protocols import TrackTable
from genre.data.tracks import conflicting_labels
from genre.data.tracks_csv import find_columns, given_split, plain
from genre.errors import DataError, counted
from genre.features.handcrafted import FEATURE_NAMES

REQUIRED_COLUMNS = ("filename", "label")
OTHER_COLUMNS = ("length", "artist", "split")
PIECE_SEC = 3.0
_PIECE = re.compile(r"(?P<track>.*[A-Za-z]+\.\d{5})\.(?P<piece>\d+)(?P<suffix>\.\w+)?")


@dataclass(frozen=True, slots=True)
class _Row:
    track: str
    piece: int
    label: str
    artist: str | None
    split: str | None
    values: tuple[float, ...]


def read_features_csv(path: str | os.PathLike[str]) -> FeatureSet:
    """Read a table of features.

    Where all 57 features of this package are there they come first and in their usual order, whatever the order in the
    file. Two tracks with the same values count as the same recording. Order of the rows does not matter.

    Raises
    ------
    DataError
        Naming the table and the line, when it cannot be read, lacks a column, holds a text where a number belongs, or
        names a row twice.
    """
    where = shown(path)
    columns, names, lines = _read(Path(path), where)
    rows = [_row(where, line, fields, columns, names) for line, fields in lines]
    if not rows:
        raise DataError(f"{where} has no rows below its header: fill it or choose another table.")
    _check_rows(where, rows, [line for line, _ in lines])
    order = sorted(range(len(rows)), key=lambda i: (rows[i].track, rows[i].piece))
    return _feature_set(Path(path), where, names, [rows[i] for i in order])


def _feature_set(path: Path, where: str, names: tuple[str, ...], rows: Sequence[_Row]) -> FeatureSet:
    labels = tuple(sorted({row.label for row in rows}))
    if len(labels) < 2:
        raise DataError(f"{where} has a single class, {shown(labels[0])}: at least two are needed.")
    values = np.array([row.values for row in rows], dtype=np.float64)
    first = [i for i, row in enumerate(rows) if i == 0 or row.track != rows[i - 1].track]
    n_clips = np.diff([*first, len(rows)])
    content = tuple(digest(block.tolist()) for block in np.split(values, first[1:]))
    files = tuple(rows[i].track for i in first)
    table = TrackTable(
        names=files,
        label=np.array([labels.index(rows[i].label) for i in first], dtype=np.int64),
        labels=labels,
        artist=tuple(rows[i].artist for i in first),
        content=content,
        split=tuple(rows[i].split for i in first),
        n_clips=n_clips,
    )
    return FeatureSet(
        name=path.stem,
        values=values.astype(np.float32),
        names=names,
        version=0,
        table=table,
        start_sec=np.array([row.piece * PIECE_SEC for row in rows]),
        clips=None,
        content=digest([names, content, files]),
        notices=conflicting_labels(files, [rows[i].label for i in first], content),
    )


def _read(path: Path, where: str) -> tuple[dict[str, int], tuple[str, ...], list[tuple[int, list[str]]]]:
    """Return the position of each column, the names of the features, and the rows with their lines."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as stream:
            reader = csv.reader(stream, strict=True)
            names = next(reader, [])
            lines = [(reader.line_num, row) for row in reader if any(cell.strip() for cell in row)]
    except UnicodeDecodeError as error:
        raise DataError(f"{where} is not UTF-8 text: save it as CSV in UTF-8.") from error
    except csv.Error as error:
        raise DataError(f"{where} is not valid CSV ({error}): check its quotes.") from error
    except OSError as error:
        raise DataError(
            f"the table {where} cannot be read ({error.strerror}): set data.csv to a table of features."
        ) from error
    advice = "a table of features has filename, label and one column a feature"
    known = {place: name for name, place in find_columns(names, where, REQUIRED_COLUMNS, OTHER_COLUMNS, advice).items()}
    header = [known.get(place, name.strip()) for place, name in enumerate(names)]
    twice = sorted({name for name in header if header.count(name) > 1})
    if twice:
        raise DataError(f"{where} has two columns named {twice[0]}: rename or remove one.")
    columns = {name: place for place, name in enumerate(header)}
    features = [name for place, name in enumerate(header) if name and place not in known]
    if not features:
        raise DataError(f"{where} has no column besides filename and label: add one column a feature.")
    if set(FEATURE_NAMES) <= set(features):
        features = [*FEATURE_NAMES, *(name for name in features if name not in FEATURE_NAMES)]
    return columns, tuple(features), lines


def _row(where: str, line: int, fields: list[str], columns: dict[str, int], names: Sequence[str]) -> _Row:
    at = f"{where}, line {line}"
    if len(fields) != len(columns):
        raise DataError(f"{at} has {counted(len(fields), 'field')} and the header {len(columns)}: mend that line.")
    cells = {name: fields[place].strip() for name, place in columns.items()}
    for name in REQUIRED_COLUMNS:
        if not cells[name]:
            raise DataError(f"{at} has no {name}: fill it in.")
    piece = _PIECE.fullmatch(cells["filename"])
    return _Row(
        track=f"{piece['track']}{piece['suffix'] or ''}" if piece else cells["filename"],
        piece=int(piece["piece"]) if piece else 0,
        label=plain(cells["label"]),
        artist=plain(cells.get("artist", "")) or None,
        split=given_split(plain(cells.get("split", "")), at),
        values=tuple(_number(cells[name], name, at) for name in names),
    )


def _number(text: str, name: str, at: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = float("nan")
    if not np.isfinite(value):
        raise DataError(f"{at}: {name} is {shown(text)}, not a finite number: mend it or leave the row out.")
    return value


def _check_rows(where: str, rows: Sequence[_Row], lines: Sequence[int]) -> None:
    """Raise unless every clip is there once and the clips of a track agree on what it is."""
    seen: dict[tuple[str, int], int] = {}
    tracks: dict[str, tuple[_Row, int]] = {}
    for row, line in zip(rows, lines, strict=True):
        if (row.track, row.piece) in seen:
            raise DataError(
                f"{where}, line {line} names the same {'clip' if row.piece else 'file'} as line "
                f"{seen[row.track, row.piece]}: remove one."
            )
        seen[row.track, row.piece] = line
        other, at = tracks.setdefault(row.track, (row, line))
        if (row.label, row.artist, row.split) != (other.label, other.artist, other.split):
            raise DataError(
                f"{where}, line {line} says otherwise than line {at} what {shown(row.track)} is: its clips need one "
                "label, artist and split."
            )
