"""GTZAN: 1000 excerpts of 30 s in ten genres (Tzanetakis and Cook 2002), in any of the layouts it is passed on in."""

from __future__ import annotations

import dataclasses
import os
from collections import Counter
from pathlib import Path, PurePosixPath

from genre.audio.files import shown
from genre.data.tracks import Catalogue, catalogue, existing_folder
from genre.data.tracks_csv import FILE_NAME
from genre.errors import DataError

GENRES = ("blues", "classical", "country", "disco", "hiphop", "jazz", "metal", "pop", "reggae", "rock")
TRACKS_PER_GENRE = 100
LAYOUTS = ("genres_original", "genres", "Data/genres_original", "")
"""Where the ten genre folders may lie below the root; the last is the root itself."""

_HOW_TO_LAY_OUT = (
    f"set data.root to the folder of GTZAN that has the ten genre folders in it ({GENRES[0]}, ..., {GENRES[-1]}), "
    f"directly or below {LAYOUTS[0]}, {LAYOUTS[1]} or {LAYOUTS[2]}"
)


def gtzan_catalogue(root: str | os.PathLike[str]) -> Catalogue:
    """Read the catalogue of GTZAN: from its ``tracks.csv`` if there is one, else from whichever layout is found.

    The labels are always the ten genres, in alphabetical order. An unexpected number of tracks is a notice.

    Raises
    ------
    DataError
        When the folder is missing, is not GTZAN, or lacks a genre.
    """
    folder = _layout(root)
    found = catalogue(folder, name="gtzan", labels=GENRES)
    count = Counter(track.label for track in found.tracks)
    _check_complete(folder, [genre for genre in GENRES if not count[genre]])
    return dataclasses.replace(found, notices=(*found.notices, *_unexpected(found, count)))


def track_key(file: str) -> str:
    """Return the name of a GTZAN track that all its copies share, as the published split lists have it.

    >>> track_key("blues/blues.00000.wav")
    'blues.00000'
    """
    return PurePosixPath(file).stem


def _layout(root: str | os.PathLike[str]) -> Path:
    """Return the folder below ``root`` that has the genre folders, or the table, in it."""
    folder = existing_folder(root, remedy=_HOW_TO_LAY_OUT)
    if os.path.lexists(folder / FILE_NAME):
        return folder
    missing = {layout: [genre for genre in GENRES if not os.path.isdir(folder / layout / genre)] for layout in LAYOUTS}
    layout = min(LAYOUTS, key=lambda layout: len(missing[layout]))
    if len(missing[layout]) == len(GENRES):
        raise DataError(f"{shown(folder)} has no folder named like a GTZAN genre in it: {_HOW_TO_LAY_OUT}.")
    _check_complete(folder / layout, missing[layout])
    return folder / layout


def _check_complete(folder: Path, missing: list[str]) -> None:
    if missing:
        raise DataError(
            f"GTZAN in {shown(folder)} has no tracks of {', '.join(missing)}: "
            "add them, or use data=folder for a part of GTZAN."
        )


def _unexpected(found: Catalogue, count: Counter[str]) -> list[str]:
    """Return the sentences about tracks too few, too many, or there twice."""
    notices = []
    odd = [f"{genre} {count[genre]}" for genre in GENRES if count[genre] != TRACKS_PER_GENRE]
    if odd:
        total = len(found.tracks)
        notices.append(
            f"This copy of GTZAN has {total} tracks instead of {len(GENRES) * TRACKS_PER_GENRE}; "
            f"instead of {TRACKS_PER_GENRE}: {', '.join(odd)}."
        )
    copies = Counter(track_key(track.file) for track in found.tracks)
    twice = sorted(key for key, n in copies.items() if n > 1)
    if len(twice) == 1:
        notices.append(f"The track {twice[0]} of GTZAN is there more than once: keep one copy.")
    elif twice:
        notices.append(
            f"{len(twice)} tracks of GTZAN, such as {twice[0]}, are there more than once: keep one copy of each."
        )
    return notices
