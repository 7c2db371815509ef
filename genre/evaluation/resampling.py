"""What a bootstrap over tracks draws as a whole: artists where it is known who plays, else single tracks.

Tracks of one artist tend to be right or wrong together, so each by itself is less evidence than it seems. Drawing whole
artists with all their tracks (the cluster bootstrap) lets an interval see that. A mean over tracks is then a ratio, the
sum over the drawn artists' tracks by their number, since artists have different numbers of tracks.

Who plays is kept beside the predictions of a run, in ``artists.csv``.

Davison, A., Hinkley, D. (1997), "Bootstrap Methods and their Application", section 3.8: hierarchical data.
"""

from __future__ import annotations

import contextlib
import csv
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from genre.errors import DataError
from genre.evaluation.files import write_csv

ARTISTS_FILE = "artists.csv"
ON_RESAMPLES = (
    "Bootstrap intervals and p values draw whole artists, each with all tracks, where it is known who plays: they are "
    "over artists then. Where they are over tracks, tracks count as independent: if many are by few artists, whose "
    "tracks tend to be right or wrong together, intervals are too narrow and p values too small; with fewer than about "
    "ten artists they are so too, if less."
)
"""What stands beside intervals and p values."""

_COLUMNS = ("side", "track", "artist")

DECIMALS = 12
"""Sums are rounded, so that they do not depend on the order of the tracks; differences, so that equal ones are 0."""


@dataclass(frozen=True, slots=True)
class Units:
    """Tracks by what is drawn as a whole.

    Parameters
    ----------
    number
        Unit of each track, shape (n_tracks,), from 0 on without gaps.
    over
        ``"artists"`` or ``"tracks"``.
    """

    number: NDArray[np.int64]
    over: str

    @classmethod
    def of(cls, tracks: Sequence[str], artist: Mapping[str, str]) -> Units:
        """Return artists as units, and each track whose artist is unknown as one of its own.

        Single tracks are the units where no artist has two of them, and where all are by one artist, of which no
        resample would say anything.

        Parameters
        ----------
        tracks
            Names, no two alike.
        artist
            Track -> artist, missing or empty where unknown; further tracks do not matter.
        """
        keys = [(True, artist[track]) if artist.get(track) else (False, track) for track in tracks]
        place = {key: number for number, key in enumerate(sorted(set(keys)))}
        if not 1 < len(place) < len(tracks):
            return cls(np.arange(len(tracks), dtype=np.int64), "tracks")
        return cls(np.array([place[key] for key in keys], dtype=np.int64), "artists")

    @property
    def size(self) -> NDArray[np.float64]:
        """Number of tracks of each unit, shape (n_units,)."""
        return np.bincount(self.number).astype(np.float64)

    def totals(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the sum of ``values``, one a track (n_tracks, ...), over each unit (n_units, ...)."""
        sums: NDArray[np.float64] = np.zeros((self.number.max(initial=-1) + 1, *values.shape[1:]))
        np.add.at(sums, self.number, values)
        return np.asarray(np.round(sums, DECIMALS))


def write_artists(path: Path, sides: Mapping[str, Iterable[str]], artist: Mapping[str, str]) -> None:
    """Write who plays in the tracks of each side, nothing where it is not known; if nobody is, remove the file.

    Raises
    ------
    DataError
        When the file cannot be written.
    """
    rows = [(side, track, artist.get(track, "")) for side, tracks in sides.items() for track in sorted(set(tracks))]
    if any(known for _, _, known in rows):
        write_csv(path, [_COLUMNS, *rows])
    else:
        with contextlib.suppress(OSError):
            path.unlink()


def read_artists(path: Path) -> dict[str, dict[str, str]]:
    """Return side -> track -> artist (empty if unknown) of a file of :func:`write_artists`; nothing without a file.

    Raises
    ------
    DataError
        When it is there and cannot be read.
    """
    sides: dict[str, dict[str, str]] = {}
    try:
        with path.open(encoding="utf-8", errors="surrogateescape", newline="") as file:
            header, *rows = csv.reader(file, strict=True)
        if tuple(header) != _COLUMNS:
            raise ValueError(f"its first line is not {','.join(_COLUMNS)}")
        for side, track, artist in rows:
            sides.setdefault(side, {})[track] = artist
    except FileNotFoundError:
        return {}
    except (OSError, csv.Error, ValueError) as error:
        raise DataError(f"cannot read {path} ({error}): evaluate the run again") from error
    return sides
