"""``tracks.csv``: the user's own table of tracks, ``file,label[,artist][,split]``."""

from __future__ import annotations

import csv
import os
import posixpath
import re
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from genre.audio.files import shown
from genre.errors import DataError, near_names

FILE_NAME = "tracks.csv"
REQUIRED_COLUMNS = ("file", "label")
OPTIONAL_COLUMNS = ("artist", "split")
SPLITS = ("train", "val", "test")
MOST_SHOWN = 8
"""Columns that an error lists."""

_SPLIT_SYNONYMS = {"valid": "val", "validation": "val"}


@dataclass(frozen=True, slots=True)
class Row:
    """One row: ``file`` is relative to the folder of the table, with forward slashes, and never leads out of it."""

    line: int
    file: str
    label: str
    artist: str | None
    split: str | None


def read_tracks_csv(path: str | os.PathLike[str]) -> tuple[Row, ...]:
    """Read a table of tracks; the files it names are not looked at.

    UTF-8 with or without a byte order mark, any line ends, quoted fields; blank lines and other columns are ignored.

    Raises
    ------
    DataError
        Naming the table and the line, when it cannot be read, lacks a column, leaves a file or label empty, has an
        unknown split, or names a file outside its own folder.
    """
    where = shown(path)
    rows = tuple(_row(line, fields, f"{where}, line {line}") for line, fields in _records(Path(path), where))
    if not rows:
        raise DataError(f"{where} lists no tracks: add one row a file below the header file,label.")
    return rows


def _records(path: Path, where: str) -> Iterator[tuple[int, dict[str, str]]]:
    """Yield the line and the known columns of each row that is not blank."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as stream:
            reader = csv.reader(stream, strict=True)
            columns: dict[str, int] | None = None
            n_columns = end = 0
            while (values := next(reader, None)) is not None:
                line, end = end + 1, reader.line_num
                if not any(value.strip() for value in values):
                    continue
                if columns is None:
                    columns = find_columns(
                        values, where, REQUIRED_COLUMNS, OPTIONAL_COLUMNS, "the header must be file,label"
                    )
                    n_columns = len(values)
                    continue
                if any(value.strip() for value in values[n_columns:]):
                    raise DataError(
                        f"{where}, line {line} has {len(values)} fields and the header {n_columns}: "
                        "put double quotes round names that contain commas."
                    )
                yield line, {name: values[i] if i < len(values) else "" for name, i in columns.items()}
    except UnicodeDecodeError as error:
        raise DataError(f"{where} is not UTF-8 text: save it as CSV in UTF-8.") from error
    except csv.Error as error:
        raise DataError(f"{where}, line {end + 1} is not valid CSV ({error}): check its quotes.") from error
    except OSError as error:
        raise DataError(f"{where} cannot be read ({error.strerror}): check the file and its permissions.") from error


def find_columns(
    header: Sequence[str], where: str, required: Sequence[str], optional: Sequence[str], advice: str
) -> dict[str, int]:
    """Return the position of each known column of a table, whatever the case of its name.

    Parameters
    ----------
    header
        The names of all columns.
    where
        What the table is called in errors.
    required, optional
        The known names, in lower case.
    advice
        What the header has to be.

    Raises
    ------
    DataError
        If a required column is not there, or a known one is there twice.
    """
    names = [name.strip().casefold() for name in header]
    columns = {name: names.index(name) for name in (*required, *optional) if name in names}
    for name in columns:
        if names.count(name) > 1:
            raise DataError(f"{where} has two columns named {name}: rename or remove one.")
    missing = [name for name in required if name not in columns]
    if missing:
        found = ", ".join([*(shown(name) for name in header[:MOST_SHOWN]), *(["..."] * (len(header) > MOST_SHOWN))])
        advice = "separate the columns with commas" if re.search("[;\t]", "".join(header)) else advice
        absent = " and no column ".join(missing)
        raise DataError(f"{where} has no column {absent} (columns found: {found or 'none'}): {advice}.")
    return columns


def _row(line: int, fields: dict[str, str], at: str) -> Row:
    file, label = fields["file"], plain(fields["label"])
    if not file.strip():
        raise DataError(f"{at} names no file: fill in the column file.")
    if not label:
        raise DataError(f"{at} gives {shown(file)} no label: fill in the column label.")
    artist, split = plain(fields.get("artist", "")), plain(fields.get("split", ""))
    return Row(line, _relative(file, at), label, artist or None, given_split(split, at))


def plain(value: str) -> str:
    """Return a word of a table without blanks round it, and with each letter that has an accent as one character."""
    return unicodedata.normalize("NFC", value.strip())


def _relative(file: str, at: str) -> str:
    relative = posixpath.normpath(file)
    if posixpath.isabs(relative) or re.match(r"[A-Za-z]:[\\/]", relative):
        raise DataError(f"{at}: {shown(file)} is an absolute path: write it relative to the folder of the table.")
    if relative.split("/")[0] in ("..", "."):
        raise DataError(f"{at}: {shown(file)} leads out of the folder of the table: move the file into it.")
    return relative


def given_split(value: str, at: str) -> str | None:
    """Return the side that a word means, in any case; ``None`` if there is no word.

    Raises
    ------
    DataError
        If the word is unknown; ``at`` says where it stands.
    """
    split = _SPLIT_SYNONYMS.get(value.casefold(), value.casefold())
    if split and split not in SPLITS:
        raise DataError(f"{at}: the split {shown(value)} is not known: {near_names(value, SPLITS)}.")
    return split or None
