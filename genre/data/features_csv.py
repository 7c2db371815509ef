"""Tables of features as they are passed on, first of all those published for GTZAN.

``filename``, ``label`` and one column a feature. ``track``, ``start_sec``, ``artist`` and ``split`` are used if they
are there, ``length`` is ignored. A row is a clip, and all clips of a track stay together: those of the same ``track``,
and where that is not given those whose names say that they are of one recording (:mod:`genre.data.pieces`). So both of
the published tables are read: in that of whole excerpts every row is a track (``blues.00000.wav``), in that of pieces
of 3 s ten rows are (``blues.00000.4.wav``). The case of these seven names and of a split does not matter; other names
are features, as they are written.
"""

from __future__ import annotations

import csv
import math
import os
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from genre.audio.files import shown
from genre.data.feature_set import FeatureSet
from genre.data.fingerprint import digest
from genre.data.pieces import in_order, like_pieces, piece_of
from genre.data.protocols import TrackTable
from genre.data.tracks import conflicting_labels
from genre.data.tracks_csv import find_columns, given_split, plain
from genre.errors import DataError, counted
from genre.features.handcrafted import FEATURE_NAMES

REQUIRED_COLUMNS = ("filename", "label")
OTHER_COLUMNS = ("track", "start_sec", "length", "artist", "split")
PIECE_SEC = 3.0


@dataclass(frozen=True, slots=True)
class _Row:
    """One clip: ``track`` is ``named`` if the column says so, ``start`` in s is ``None`` where nothing says it."""

    line: int
    file: str
    track: str
    named: bool
    start: float | None
    label: str
    artist: str | None
    split: str | None
    values: tuple[float, ...]


def read_features_csv(path: str | os.PathLike[str]) -> FeatureSet:
    """Read a table of features.

    Clips start where ``start_sec`` says, or else one every 3 s: by the numbers in their names, or in the order of these
    where a column says which track they are of. Notices say which names were taken for clips of one recording, and
    which may mean it but were not, so that clips of one recording may be on several sides.

    Where all 57 features of this package are there they come first and in their usual order, whatever the order in the
    file. Two tracks with the same values count as the same recording. Order of the rows does not matter.

    Raises
    ------
    DataError
        Naming the table and the line, when it cannot be read, lacks a column, holds a text where a number belongs or a
        number too large for single precision, or names a clip twice.
    """
    where = shown(path)
    columns, names, lines = _read(Path(path), where)
    rows = [_row(where, line, fields, columns, names) for line, fields in lines]
    if not rows:
        raise DataError(f"{where} has no rows below its header: fill it or choose another table.")
    _check_rows(where, rows)
    rows, start_sec = _in_tracks(rows)
    return _feature_set(Path(path), where, names, rows, start_sec)


def _feature_set(
    path: Path, where: str, names: tuple[str, ...], rows: Sequence[_Row], start_sec: Sequence[float]
) -> FeatureSet:
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
        values=_single(values, rows, names, where),
        names=names,
        version=0,
        table=table,
        start_sec=np.array(start_sec),
        clips=None,
        content=digest([names, content, files, list(start_sec)]),
        notices=(*_told_of_names(rows), *conflicting_labels(files, [rows[i].label for i in first], content)),
    )


def _in_tracks(rows: Sequence[_Row]) -> tuple[list[_Row], list[float]]:
    """Return the rows track by track, those of a track by their start, and where each starts, in s."""
    of_track: defaultdict[str, list[_Row]] = defaultdict(list)
    for row in sorted(rows, key=lambda row: (in_order(row.file), row.file)):
        of_track[row.track].append(row)
    ordered: list[_Row] = []
    start_sec: list[float] = []
    for track in sorted(of_track):
        clips = of_track[track]
        starts = [PIECE_SEC * place if row.start is None else row.start for place, row in enumerate(clips)]
        if any(row.start is None for row in clips):
            starts = [PIECE_SEC * place for place in range(len(clips))]
        order = sorted(range(len(clips)), key=starts.__getitem__)
        ordered += [clips[i] for i in order]
        start_sec += [starts[i] for i in order]
    return ordered, start_sec


def _told_of_names(rows: Sequence[_Row]) -> list[str]:
    """Return what the names of the clips were taken for, and what they may mean besides."""
    of_track: defaultdict[str, list[_Row]] = defaultdict(list)
    for row in rows:
        if not row.named:
            of_track[row.track].append(row)
    notices = []
    joined = next((clips for clips in of_track.values() if clips[0].file != clips[-1].file), None)
    if joined:
        notices.append(
            f"Rows such as {shown(joined[0].file)} and {shown(joined[-1].file)} are taken for clips of one recording, "
            f"{shown(joined[0].track)}: where that is wrong, add a column track that names the recording of each row."
        )
    first = [clips[0] for clips in of_track.values()]
    alike = like_pieces([row.track for row in first], [row.label for row in first], [row.artist for row in first])
    if alike:
        pairs = [[first[track].file for track in group[:2]] for group in alike]
        one, other = map(shown, max(pairs, key=lambda pair: _same_letters(*pair)))
        number = len({track for group in alike for track in group})
        notices.append(
            f"{number} of {counted(len(first), 'track')} have names like clips of one recording, such as {one} and "
            f"{other}: if they are, one recording may be on several sides and every figure too high, so add a column "
            "track that names the recording of each row; if they are not, it silences this."
        )
    return notices


def _same_letters(one: str, other: str) -> int:
    """Return with how many letters both texts begin."""
    return next((i for i, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), min(len(one), len(other)))


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
    file, track, start = cells["filename"], plain(cells.get("track", "")), cells.get("start_sec", "")
    piece = None if track else piece_of(file)
    return _Row(
        line=line,
        file=file,
        track=track or (piece[0] if piece else file),
        named=bool(track),
        start=_start_sec(start, at) if start else piece[1] * PIECE_SEC if piece else None if track else 0.0,
        label=plain(cells["label"]),
        artist=plain(cells.get("artist", "")) or None,
        split=given_split(plain(cells.get("split", "")), at),
        values=tuple(_number(cells[name], name, at) for name in names),
    )


def _start_sec(text: str, at: str) -> float:
    value = round(_number(text, "start_sec", at), 6)
    if value < 0:
        raise DataError(f"{at}: start_sec is {shown(text)}, before the track begins: give seconds from its beginning.")
    return value


def _number(text: str, name: str, at: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = float("nan")
    if not math.isfinite(value):
        raise DataError(f"{at}: {name} is {shown(text)}, not a finite number: mend it or leave the row out.")
    return value


def _single(values: NDArray[np.float64], rows: Sequence[_Row], names: Sequence[str], where: str) -> NDArray[np.float32]:
    """Return the values in single precision; raise if one is too large for it."""
    with np.errstate(over="ignore"):
        kept = values.astype(np.float32)
    for row, column in np.argwhere(~np.isfinite(kept)):
        raise DataError(
            f"{where}, line {rows[row].line}: {names[column]} is {values[row, column]:g}, beyond the "
            f"{np.finfo(np.float32).max:.2g} that single precision reaches: mend it or leave the row out."
        )
    return kept


def _check_rows(where: str, rows: Sequence[_Row]) -> None:
    """Raise unless every clip is there once and the clips of a track agree on what it is."""
    seen: dict[tuple[str, float | str], _Row] = {}
    tracks: dict[str, _Row] = {}
    for row in rows:
        at = f"{where}, line {row.line}"
        again = seen.setdefault((row.track, row.file if row.start is None else row.start), row)
        if again is not row:
            same = "file" if row.file == again.file else f"clip of {shown(row.track)}"
            raise DataError(f"{at} names the same {same} as line {again.line}: remove one.")
        other = tracks.setdefault(row.track, row)
        if (row.label, row.artist, row.split) != (other.label, other.artist, other.split):
            remedy = "" if row.named else ", or, if they are of different recordings, a column track that says so"
            raise DataError(
                f"{at} says otherwise than line {other.line} what {shown(row.track)} is: its clips need one label, "
                f"artist and split{remedy}."
            )
