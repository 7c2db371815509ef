"""Preparing many tracks in several processes; until the store is put together, every finished track is one file.

That file, a part, is a line of JSON (the track, and name, type and shape of its arrays) and the bytes of the arrays. A
run that was killed goes on after the parts it finds.
"""

from __future__ import annotations

import functools
import json
import math
from collections.abc import Iterator, Sequence
from contextlib import closing, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from genre.audio.files import shown
from genre.data.backends import Backend
from genre.data.content import stamp
from genre.data.disk import remove_unfinished, replacing
from genre.data.preparation import Job, PreparedTrack, Progress, prepare_track
from genre.errors import StoreError

LITTLE_BYTES = 32 << 20
"""Starting processes takes longer than preparing this much audio in one: about 50 tracks of 30 s, or 8 whole songs."""


def prepare_parts(
    todo: Sequence[Job],
    folder: Path,
    *,
    jobs: int | None = None,
    backend: Backend | None = None,
    progress: Progress | None = None,
) -> dict[str, PreparedTrack]:
    """Prepare all tracks whose part is not in ``folder`` yet.

    Parameters
    ----------
    todo
        The tracks, of different content.
    folder
        Where the parts are.
    jobs
        Processes; ``None`` is one a core, or this one only where starting others would not pay.
    backend
        What runs them; processes of this machine by default.
    progress
        Called with (tracks done, tracks in all, clips done): once when work begins, then after every track; not
        called if there is nothing to do.

    Returns
    -------
    tracks
        What was found out about each track, by the hash of its bytes.

    Raises
    ------
    StoreError
        If an audio file changed meanwhile, or a process was killed.
    OSError
        If a part cannot be written; finished ones are kept.
    """
    if not todo:
        return {}
    remove_unfinished(folder)
    looks = {job.bytes_hash: _finished(part_of(folder, job.bytes_hash), job.kinds) for job in todo}
    done = {bytes_hash: track for bytes_hash, track in looks.items() if track is not None}
    n_clips = sum(track.n_clips for track in done.values())
    tell = progress if progress is not None else lambda *_: None
    tell(len(done), len(todo), n_clips)
    try:
        for track in _in_processes(
            [job for job in todo if job.bytes_hash not in done], folder, jobs, backend or Backend()
        ):
            done[track.bytes_hash] = track
            n_clips += track.n_clips
            tell(len(done), len(todo), n_clips)
    finally:
        remove_unfinished(folder)
    return done


def _in_processes(todo: Sequence[Job], folder: Path, jobs: int | None, backend: Backend) -> Iterator[PreparedTrack]:
    """Yield the tracks as they are finished; stops all work when closed."""
    import joblib

    if jobs is None:
        little = sum(job.stamp[0] for job in todo) <= LITTLE_BYTES
        jobs = 1 if little and backend.name == "loky" else joblib.cpu_count()
    calls = [joblib.delayed(prepare_part)(job, folder) for job in todo]
    with closing(backend.run(calls, max(1, min(jobs, len(todo))))) as tracks:
        yield from tracks


def prepare_part(job: Job, folder: Path) -> PreparedTrack:
    """Prepare one track in one thread and write its part."""
    with _one_thread():
        try:
            track, arrays = prepare_track(job)
            changed = stamp(job.path) != job.stamp
        except OSError:
            changed = True
    if changed:
        raise StoreError(
            f"{shown(job.file)} changed while it was prepared; run again when nothing writes to it any more"
        )
    with replacing(part_of(folder, job.bytes_hash)) as stream:
        _write(stream, track, arrays)
    return track


def _one_thread() -> Any:
    """Return a context in which linear algebra uses one thread: there is a process a core, and values never differ."""
    return _thread_pools().limit(limits=1)


@functools.cache
def _thread_pools() -> Any:
    from threadpoolctl import ThreadpoolController

    import genre.features.handcrafted
    import genre.features.spectrogram  # noqa: F401  loads the libraries whose threads are to be limited

    return ThreadpoolController()


def part_of(folder: Path, bytes_hash: str) -> Path:
    """Return the part of the track with these bytes."""
    return folder / f"{bytes_hash}.part"


def read_part(path: Path, kind: str) -> tuple[NDArray[np.int64], NDArray[Any]]:
    """Return the first samples of a track's clips, and its rows of the array ``kind``."""
    with path.open("rb") as stream:
        head = _Head.read(stream)
        return head.array(stream, "start"), head.array(stream, kind)


def _write(stream: BinaryIO, track: PreparedTrack, arrays: dict[str, NDArray[Any]]) -> None:
    plain = {name: np.ascontiguousarray(array) for name, array in arrays.items()}
    layout = [[name, array.dtype.str, array.shape] for name, array in plain.items()]
    stream.write(json.dumps({"track": asdict(track), "arrays": layout}).encode() + b"\n")
    for array in plain.values():
        stream.write(array.data)


@dataclass(frozen=True)
class _Head:
    """The first line of a part: the track, and (type, shape, offset in the file) of each array."""

    track: PreparedTrack
    arrays: dict[str, tuple[np.dtype[Any], tuple[int, ...], int]]
    size: int

    @classmethod
    def read(cls, stream: BinaryIO) -> _Head:
        head = json.loads(stream.readline())
        offset = stream.tell()
        arrays = {}
        for name, dtype, shape in head["arrays"]:
            arrays[name] = (np.dtype(dtype), tuple(shape), offset)
            offset += np.dtype(dtype).itemsize * math.prod(shape)
        return cls(PreparedTrack(**head["track"]), arrays, offset)

    def array(self, stream: BinaryIO, name: str) -> NDArray[Any]:
        dtype, shape, offset = self.arrays[name]
        stream.seek(offset)
        return np.fromfile(stream, dtype, math.prod(shape)).reshape(shape)


def _finished(path: Path, kinds: Sequence[str]) -> PreparedTrack | None:
    """Return the track of a part that is whole and holds these arrays, or none of a track without clips."""
    with suppress(OSError, ValueError, TypeError, KeyError), path.open("rb") as stream:
        head = _Head.read(stream)
        holds_all = set(kinds) <= set(head.arrays) or not head.track.usable
        if holds_all and path.stat().st_size == head.size:
            return head.track
    return None
