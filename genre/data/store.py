"""Prepared clips on disk: for every clip of a folder of audio a spectrogram and the 57 features of the same samples.

A store is a folder of plain arrays and one table, named by a hash of all that shaped it: the bytes of the audio files
(not their names or labels), how they are cut, the front end and the code that computes. It is written once and never
changed::

    <store_dir>/<hash>/tracks.csv          one line a file: its health, seconds, number of clips
                       clips.npy           (n_clips, 2) int64: line of tracks.csv from 0, first sample in the track
                       spectrogram.npy     (n_clips, bins, frames)
                       spectrogram.rows.npy  the clips of that array, compared with clips.npy at opening
                       features.npy        (n_clips, 57) float32
                       features.rows.npy   the same for the features
                       passage.npy         (n_clips, n) float32, if passages are asked for: seconds and features of
                                           the passage of the track in which the clip begins
                       passage.rows.npy    the same for these
                       quarantine.csv      the files that cannot be used, each with its reason, as they were called then
                       store.json          everything that shaped the store, in words

While a store is prepared, every finished track is one file in ``<store_dir>/.work/<hash>``, so that a run that was
killed goes on where it stopped. A lock lets only one process prepare a store; others wait for it. Rows that other
stores beside it hold already, of the same recording made in the same way, are taken from there: another front end
leaves the features alone, and one more track costs the computing of that track.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from genre.audio.files import shown
from genre.audio.health import Reason, check_file
from genre.data import layout
from genre.data.backends import Backend
from genre.data.building import FoundFile, build
from genre.data.clips import ClipSpec
from genre.data.content import ContentIndex
from genre.data.disk import discard, locked, writing_to
from genre.data.fingerprint import code_fingerprints
from genre.data.layout import write_quarantine
from genre.data.preparation import PreparedTrack, Progress, unusable
from genre.data.prepared import Store, StoreKey
from genre.errors import AudioError

__all__ = ["SourceFile", "Store", "StoreKey", "look_at", "prepare", "write_quarantine"]

CONTENT_INDEX = "content.json"
WORK = ".work"
LOOKS_AT_ONCE = 1000
"""Files waiting for a thread: each takes more memory than its result."""


@dataclass(frozen=True)
class SourceFile:
    """One audio file to prepare: its name in the catalogue and where it is."""

    file: str
    path: Path


def prepare(
    files: Sequence[SourceFile],
    clips: ClipSpec,
    frontend: dict[str, Any],
    *,
    store_dir: Path,
    jobs: int | None = None,
    backend: Backend | None = None,
    progress: Progress | None = None,
    say: Callable[[str], None] = lambda _: None,
) -> Store:
    """Return the store of these files, preparing what is not there yet.

    Parameters
    ----------
    files
        The audio files; their order does not matter.
    clips
        How tracks are cut.
    frontend
        Settings of the front end, as its ``stored_settings()`` returns them.
    store_dir
        Folder of all stores.
    jobs
        Processes to use; ``None`` is one a core if that pays. The result does not depend on it.
    backend
        What runs them, if not processes of this machine. The result does not depend on it either.
    progress
        Called when computing begins and after every track; not called if there is nothing to compute.
    say
        Called with a sentence worth telling, such as that another process is at work on the same store.

    Raises
    ------
    StoreError
        If the store cannot be written or read; nothing half-written is left.
    """
    with writing_to(store_dir):
        store_dir.mkdir(parents=True, exist_ok=True)
    found, left_out = look_at(files, store_dir / CONTENT_INDEX)
    recordings = tuple(source.bytes_hash for source in found)
    key = StoreKey(recordings, clips, frontend, code_fingerprints())
    folder, work = store_dir / key.name, store_dir / WORK / key.name
    if not _is_whole(folder):
        sentence = "another run is preparing the same clips: waiting for it"
        with writing_to(store_dir), locked(work.with_suffix(".lock"), lambda: say(sentence)):
            if not _is_whole(folder):
                build(folder, work, key, found, jobs=jobs, backend=backend, progress=progress)
    discard(work)
    return Store(folder, files=[source.file for source in found], left_out=left_out)


def look_at(files: Sequence[SourceFile], index_file: Path) -> tuple[list[FoundFile], list[PreparedTrack]]:
    """Return the files that can be read, in the order of their hashes, and the entries of the others.

    Parameters
    ----------
    files
        The audio files.
    index_file
        The hashes of the :class:`genre.data.content.ContentIndex`.
    """
    looks: list[FoundFile | PreparedTrack] = []
    with ContentIndex(index_file) as index, ThreadPoolExecutor() as threads:
        for first in range(0, len(files), LOOKS_AT_ONCE):
            looks += threads.map(lambda source: _look(source, index), files[first : first + LOOKS_AT_ONCE])
    found = sorted(look for look in looks if isinstance(look, FoundFile))
    left_out = [look for look in looks if isinstance(look, PreparedTrack)]
    return found, sorted(left_out, key=lambda track: track.file)


def _is_whole(folder: Path) -> bool:
    return (folder / layout.SETTINGS).is_file()


def _look(source: SourceFile, index: ContentIndex) -> FoundFile | PreparedTrack:
    try:
        check_file(source.path)
        bytes_hash, stamp = index.hash(source.path)
    except AudioError as error:
        return unusable(source.file, source.path, error)
    except OSError as error:
        sentence = f"{shown(source.file)} cannot be read ({error.strerror}): copy it again."
        return unusable(source.file, source.path, AudioError(sentence, reason=Reason.UNREADABLE))
    return FoundFile(bytes_hash, source.file, source.path, stamp)
