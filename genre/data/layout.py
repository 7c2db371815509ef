"""The files a store is made of, and how they are written and read."""

from __future__ import annotations

import csv
import json
import os
import shutil
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from genre.data.preparation import PreparedTrack

SETTINGS = "store.json"
TRACKS = "tracks.csv"
CLIPS = "clips.npy"
QUARANTINE = "quarantine.csv"

Block = tuple[int, NDArray[np.int64], NDArray[Any]]
"""Number of a track, first sample of each of its clips, and its rows of an array."""


def array_file(kind: str) -> str:
    """Return the file of the array ``kind``."""
    return f"{kind}.npy"


def rows_file(kind: str) -> str:
    """Return the file that says which clips the rows of the array ``kind`` belong to."""
    return f"{kind}.rows.npy"


def write_array(folder: Path, kind: str, n_rows: int, blocks: Iterable[Block]) -> None:
    """Write one array of ``n_rows`` rows, track by track, and the clips its rows belong to.

    The rows are written one after the other rather than through a memory map, where a full disk would end the process.

    Raises
    ------
    OSError
        If the disk is full or cannot be written to.
    """
    rows = np.empty((n_rows, 2), dtype=np.int64)
    at = 0
    with (folder / array_file(kind)).open("wb") as stream:
        for number, start, array in blocks:
            if at == 0:
                _write_header(stream, array.dtype, (n_rows, *array.shape[1:]))
            stream.write(np.ascontiguousarray(array).data)
            rows[at : at + len(array), 0] = number
            rows[at : at + len(array), 1] = start
            at += len(array)
        if at == 0:  # no track can be used: who opens the store says so, with the reasons
            _write_header(stream, np.dtype(np.float32), (0, 0))
    with (folder / rows_file(kind)).open("wb") as stream:
        _write_header(stream, rows.dtype, rows.shape)
        stream.write(rows.tobytes())


def _write_header(stream: Any, dtype: np.dtype[Any], shape: tuple[int, ...]) -> None:
    # Not numpy.save: it forgets why the system refused a write.
    header = {"descr": dtype.str, "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(stream, header)


def link_array(donor: Path, folder: Path, kind: str) -> None:
    """Let a store share one array of another; copy it where the disk has no hard links."""
    for name in (array_file(kind), rows_file(kind)):
        try:
            os.link(donor / name, folder / name)
        except OSError:
            shutil.copyfile(donor / name, folder / name)


def write_tracks(path: Path, tracks: Sequence[PreparedTrack]) -> None:
    """Write the table of tracks."""
    with path.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.DictWriter(stream, [field.name for field in fields(PreparedTrack)])
        writer.writeheader()
        writer.writerows(asdict(track) for track in tracks)


def read_tracks(path: Path) -> Iterator[PreparedTrack]:
    """Read what :func:`write_tracks` wrote.

    Raises
    ------
    OSError, ValueError, KeyError, TypeError
        If the table is missing or damaged.
    """
    with path.open(newline="", encoding="utf-8") as stream:
        for row in csv.DictReader(stream):
            yield PreparedTrack(
                file=row["file"],
                bytes_hash=row["bytes_hash"],
                content=row["content"],
                seconds=float(row["seconds"]),
                sample_rate=int(row["sample_rate"]),
                channels=int(row["channels"]),
                n_clips=int(row["n_clips"]),
                reason=row["reason"],
                detail=row["detail"],
            )


def write_quarantine(path: Path, tracks: Sequence[PreparedTrack], labels: dict[str, str] | None = None) -> int:
    """Write the table of files that cannot be used and return how many there are.

    Parameters
    ----------
    path
        The table to write: ``file,label,reason,detail``, in the order of the files' names.
    tracks
        All tracks; usable ones are passed over.
    labels
        Label of each file, if known.
    """
    bad = sorted((track for track in tracks if not track.usable), key=lambda track: track.file)
    with path.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream)
        writer.writerow(["file", "label", "reason", "detail"])
        writer.writerows([track.file, (labels or {}).get(track.file, ""), track.reason, track.detail] for track in bad)
    return len(bad)


def write_settings(folder: Path, settings: dict[str, Any]) -> None:
    """Write what shaped a store, in words."""
    (folder / SETTINGS).write_text(json.dumps(settings, indent=2) + "\n", encoding="utf-8")


def read_settings(folder: Path) -> dict[str, Any]:
    """Read what :func:`write_settings` wrote.

    Raises
    ------
    OSError, ValueError
        If it is missing or damaged.
    """
    settings = json.loads((folder / SETTINGS).read_text(encoding="utf-8"))
    if not isinstance(settings, dict):
        raise ValueError(f"{SETTINGS} is damaged")
    return settings
