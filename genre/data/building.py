"""Building a store: prepare what no store holds yet, put everything together, and rename it into place."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from genre.data import layout
from genre.data.backends import Backend
from genre.data.content import Stamp
from genre.data.parts import part_of, prepare_parts, read_part
from genre.data.preparation import Job, PreparedTrack, Progress
from genre.data.prepared import Store, StoreKey
from genre.errors import StoreError

BUILDING = "building"


@dataclass(frozen=True, order=True, slots=True)
class FoundFile:
    """An audio file that can be read: hash of its bytes, name, place, and its stamp when it was hashed."""

    bytes_hash: str
    file: str
    path: Path = field(compare=False)
    stamp: Stamp = field(compare=False)


def build(
    folder: Path,
    work: Path,
    key: StoreKey,
    found: Sequence[FoundFile],
    *,
    jobs: int | None = None,
    backend: Backend | None = None,
    progress: Progress | None = None,
) -> None:
    """Prepare every track that is not finished yet and make the store ``folder``.

    Parameters
    ----------
    folder
        The store; it appears when it is whole.
    work
        Folder for unfinished work, on the same disk; it stays.
    key
        What shapes the store.
    found
        The audio files, in the order of ``key.recordings``.
    jobs, backend, progress
        See :func:`genre.data.parts.prepare_parts`.

    Raises
    ------
    OSError
        If something cannot be written; finished tracks are kept, and nothing of ``folder``.
    """
    building = work / BUILDING
    shutil.rmtree(building, ignore_errors=True)
    work.mkdir(parents=True, exist_ok=True)
    donors = Donors(folder.parent, key)
    tracks = prepare_parts(_jobs(key, found, donors), work, jobs=jobs, backend=backend, progress=progress)
    listed = [(tracks.get(source.bytes_hash) or donors.track(source.bytes_hash)).named(source.file) for source in found]
    try:
        building.mkdir()
        _assemble(building, key, listed, donors, work)
        shutil.rmtree(folder, ignore_errors=True)  # there only if somebody removed its store.json
        building.rename(folder)
    except BaseException:
        shutil.rmtree(building, ignore_errors=True)
        raise


class Donors:
    """Rows that the stores of one folder hold already: of the same recordings, made in the same way.

    Parameters
    ----------
    store_dir
        Folder of all stores.
    key
        What the rows are wanted for.
    """

    def __init__(self, store_dir: Path, key: StoreKey) -> None:
        self._stores: dict[str, list[Store]] = {kind: [] for kind in key.kinds}
        self._rows: dict[str, dict[str, tuple[Store, int]]] = {kind: {} for kind in key.kinds}
        for settings in sorted(store_dir.glob(f"*/{layout.SETTINGS}")):
            shared = _shared_kinds(settings.parent, key)
            if shared:
                with suppress(StoreError):
                    self._add(Store(settings.parent), shared)

    def _add(self, store: Store, kinds: Sequence[str]) -> None:
        for kind in kinds:
            self._stores[kind].append(store)
            self._rows[kind] |= {recording: (store, number) for number, recording in enumerate(store.recordings)}

    def missing(self, recording: str) -> tuple[str, ...]:
        """Return the arrays for which no store has this recording."""
        return tuple(kind for kind, rows in self._rows.items() if recording not in rows)

    def track(self, recording: str) -> PreparedTrack:
        """Return what is known of a recording that some store has."""
        store, number = next(rows[recording] for rows in self._rows.values() if recording in rows)
        return store.tracks[number]

    def block(self, recording: str, kind: str) -> tuple[NDArray[np.int64], NDArray[Any]] | None:
        """Return the first samples of a recording's clips and its rows of an array, if some store has them."""
        if recording not in self._rows[kind]:
            return None
        store, number = self._rows[kind][recording]
        rows = store.rows_of(number)
        return store.start[rows], store.array(kind)[rows]

    def whole(self, recordings: Sequence[str], kind: str) -> Path | None:
        """Return a store whose array ``kind`` is of exactly these recordings, if there is one."""
        same = (store.folder for store in self._stores[kind] if store.recordings == tuple(recordings))
        return next(same, None)


def _shared_kinds(folder: Path, key: StoreKey) -> list[str]:
    """Return the arrays that the store in ``folder`` made in the way that ``key`` asks for."""
    with suppress(OSError, ValueError, AttributeError):
        theirs = layout.read_settings(folder).get("recipes", {})
        return [kind for kind, recipe in key.recipes().items() if theirs.get(kind) == recipe]
    return []


def _jobs(key: StoreKey, found: Sequence[FoundFile], donors: Donors) -> list[Job]:
    """Return what is left to compute, each recording once even if several files hold it."""
    return [
        Job(source.file, source.path, source.bytes_hash, source.stamp, key.clips, key.frontend, missing)
        for source in {source.bytes_hash: source for source in reversed(found)}.values()
        if (missing := donors.missing(source.bytes_hash))
    ]


def _assemble(building: Path, key: StoreKey, tracks: Sequence[PreparedTrack], donors: Donors, work: Path) -> None:
    """Write a whole store into the folder ``building`` from the parts of tracks and from what other stores hold."""
    n_clips = sum(track.n_clips for track in tracks)
    for kind in key.kinds:
        donor = donors.whole(key.recordings, kind)
        if donor is not None:
            layout.link_array(donor, building, kind)
        else:
            layout.write_array(building, kind, n_clips, _blocks(kind, tracks, donors, work))
    shutil.copyfile(building / layout.rows_file(key.kinds[0]), building / layout.CLIPS)
    layout.write_tracks(building / layout.TRACKS, tracks)
    layout.write_quarantine(building / layout.QUARANTINE, tracks)
    layout.write_settings(building, {**key.settings(), "n_clips": n_clips, "n_tracks": len(tracks)})


def _blocks(kind: str, tracks: Sequence[PreparedTrack], donors: Donors, work: Path) -> Iterator[layout.Block]:
    for number, track in enumerate(tracks):
        if track.usable:
            recording = track.bytes_hash
            held = donors.block(recording, kind)
            yield number, *(held if held is not None else read_part(part_of(work, recording), kind))
