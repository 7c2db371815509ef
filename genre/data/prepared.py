"""A prepared store, opened for reading, and the key that names it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from genre.data import layout
from genre.data.clips import ClipSpec
from genre.data.fingerprint import digest
from genre.data.preparation import PASSAGE, PreparedTrack, kinds_of
from genre.errors import StoreError


@dataclass(frozen=True)
class StoreKey:
    """All that shapes a store.

    Parameters
    ----------
    recordings
        Hashes of the bytes of the audio files, sorted.
    clips, frontend
        How they are cut; settings of the front end.
    code
        Fingerprint of the code that computes each array.
    """

    recordings: tuple[str, ...]
    clips: ClipSpec
    frontend: dict[str, Any]
    code: dict[str, str]

    @property
    def name(self) -> str:
        """Name of the store's folder."""
        return digest([self.recordings, self.recipes()])[:16]

    @property
    def kinds(self) -> tuple[str, ...]:
        """The arrays that the store has."""
        return kinds_of(self.clips)

    def recipes(self) -> dict[str, str]:
        """Return, for each array, the hash of how it is made of any recording."""
        own = {"spectrogram": self.frontend, "features": None, PASSAGE: self.clips.passage_length}
        return {kind: digest([kind, self.clips.in_samples(), self.code[kind], own[kind]]) for kind in self.kinds}

    def settings(self) -> dict[str, Any]:
        """Return the key in words, without the recordings."""
        return {
            "clips": self.clips.in_samples(),
            "frontend": self.frontend,
            "passage": self.clips.passage_length,
            "code": {kind: self.code[kind] for kind in self.kinds},
            "recipes": self.recipes(),
        }


class Store:
    """A prepared store, opened for reading.

    Parameters
    ----------
    folder
        The store's folder.
    files
        What its tracks are called now, in its order; by default what they were called when it was prepared.
    left_out
        Tracks whose files could not be read and that are not in the store, to be listed as well.

    Attributes
    ----------
    recordings : tuple of str
        Hash of the bytes of each audio file, sorted.
    tracks : tuple of PreparedTrack
        One an audio file, in the same order, which is that of the rows of the arrays; those that cannot be used
        included.
    track : shape=(n_clips,)
        Index in ``tracks`` of each clip.
    start : shape=(n_clips,)
        First sample of each clip in its track, at the store's sample rate.
    spectrogram : shape=(n_clips, bins, frames)
        Memory map.
    features : shape=(n_clips, 57)
        Memory map.
    passage : shape=(n_clips, n_columns)
        Memory map of the passage in which each clip begins, :data:`genre.data.passages.PASSAGE_COLUMNS`; ``None`` in a
        store without passages.

    Raises
    ------
    StoreError
        If the folder is not a whole store, or the rows of its arrays are not those of its clips.
    """

    def __init__(
        self, folder: Path, *, files: Sequence[str] | None = None, left_out: Sequence[PreparedTrack] = ()
    ) -> None:
        self.folder = folder
        try:
            self.settings = layout.read_settings(folder)
            self.sample_rate = int(self.settings["clips"]["sample_rate"])
            tracks = tuple(layout.read_tracks(folder / layout.TRACKS))
            clips = np.load(folder / layout.CLIPS)
            kinds = tuple(self.settings["recipes"])
            rows = {kind: np.load(folder / layout.rows_file(kind)) for kind in kinds}
            arrays = {kind: np.load(folder / layout.array_file(kind), mmap_mode="r") for kind in kinds}
        except (OSError, ValueError, EOFError, KeyError, TypeError) as error:
            raise StoreError(
                f"the prepared clips in {folder} cannot be read ({error}); delete that folder and run again"
            ) from error
        of_track = np.repeat(np.arange(len(tracks)), [track.n_clips for track in tracks])
        if clips.shape != (len(of_track), 2) or not np.array_equal(clips[:, 0], of_track):
            raise self._misaligned(layout.CLIPS, layout.TRACKS)
        for kind in kinds:
            if not np.array_equal(rows[kind], clips) or len(arrays[kind]) != len(clips):
                raise self._misaligned(layout.array_file(kind), layout.CLIPS)
        self._arrays = arrays
        self.spectrogram: NDArray[Any] = arrays["spectrogram"]
        self.features: NDArray[np.float32] = arrays["features"]
        self.passage: NDArray[np.float32] | None = arrays.get(PASSAGE)
        self.track: NDArray[np.int64] = clips[:, 0]
        self.start: NDArray[np.int64] = clips[:, 1]
        self.recordings = tuple(track.bytes_hash for track in tracks)
        if files is not None:
            if len(files) != len(tracks):
                raise self._misaligned(layout.TRACKS, "the audio files")
            tracks = tuple(track.named(file) for track, file in zip(tracks, files, strict=True))
        self.tracks: tuple[PreparedTrack, ...] = (*tracks, *left_out)

    def _misaligned(self, name: str, other: str) -> StoreError:
        return StoreError(
            f"the rows of {name} in {self.folder} are not those of {other}; delete that folder and run again"
        )

    def __len__(self) -> int:
        return len(self.track)

    def array(self, kind: str) -> NDArray[Any]:
        """Return the memory map ``kind``, see :func:`genre.data.preparation.kinds_of`."""
        array: NDArray[Any] = self._arrays[kind]
        return array

    def rows_of(self, number: int) -> slice:
        """Return the rows of the arrays that belong to ``tracks[number]``."""
        first, end = np.searchsorted(self.track, [number, number + 1])
        return slice(int(first), int(end))
