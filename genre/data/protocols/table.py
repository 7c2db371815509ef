"""What a protocol deals, and what it deals to: plain tables of numbers and names, no files."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import ArrayLike, NDArray

IntArray = NDArray[np.int64]
BoolArray = NDArray[np.bool_]

SIDES = ("train", "val", "test")
SIDE_WORDS = {"train": "training", "val": "validation", "test": "test"}
TRAIN, VAL, TEST = range(3)
LEFT_OUT = -1
COLUMNS = ("names", "label", "artist", "content", "split", "n_clips", "recording")


@dataclass(frozen=True, eq=False)
class TrackTable:
    """The usable tracks of a data set, one entry a track.

    Clips are numbered track by track: clip ``i`` belongs to track ``clip_track[i]``.

    Parameters
    ----------
    names
        File of each track relative to the root, shape=(n_tracks,), no two alike.
    label
        Class number of each track, shape=(n_tracks,).
    labels
        Class names, shape=(n_classes,).
    artist
        Artist of each track, or None where it is not known, shape=(n_tracks,).
    content
        Hash of the decoded samples, shape=(n_tracks,): equal hashes are one and the same recording.
    split
        The side a user gave each track (``train``, ``val``, ``test``), or None, shape=(n_tracks,).
    n_clips
        Number of clips of each track, shape=(n_tracks,). A track without clips is on no side.
    recording
        Key of the recording that each track is of, however it was encoded, cut or levelled, shape=(n_tracks,); by
        default ``content``. Tracks of equal content have equal keys.

    Raises
    ------
    ValueError
        When lengths differ, a name occurs twice, or a number is out of range.
    """

    names: tuple[str, ...]
    label: IntArray
    labels: tuple[str, ...]
    artist: tuple[str | None, ...]
    content: tuple[str, ...]
    split: tuple[str | None, ...]
    n_clips: IntArray
    recording: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "recording", self.recording or self.content)
        for column in ("label", "n_clips"):
            object.__setattr__(self, column, _whole_numbers(column, getattr(self, column)))
        lengths = {c: len(getattr(self, c)) for c in COLUMNS}
        if len(set(lengths.values())) > 1:
            raise ValueError(f"columns of a track table differ in length: {lengths}")
        if len(set(self.names)) < len(self.names):
            raise ValueError("a track name occurs twice in the track table")
        if len(self.names) and not (self.label.min() >= 0 and self.label.max() < len(self.labels)):
            raise ValueError(f"labels must lie in 0 ... {len(self.labels) - 1}")
        if (self.n_clips < 0).any():
            raise ValueError("n_clips must not be negative")

    @property
    def clip_track(self) -> IntArray:
        """Track of each clip, shape=(n_clips,)."""
        return self.per_clip(np.arange(len(self.names)))

    @property
    def known_artists(self) -> dict[str, str]:
        """Name of a track -> its artist, where that is known."""
        return {name: artist for name, artist in zip(self.names, self.artist, strict=True) if artist}

    def per_clip(self, per_track: IntArray) -> IntArray:
        """Repeat a value of each track for each of its clips: shape=(n_tracks,) -> (n_clips,)."""
        return np.repeat(per_track, self.n_clips)

    def take(self, index: IntArray) -> TrackTable:
        """Return the table of the tracks ``index``, in that order; its clips are numbered anew."""
        return TrackTable(
            names=tuple(self.names[i] for i in index),
            label=self.label[index],
            labels=self.labels,
            artist=tuple(self.artist[i] for i in index),
            content=tuple(self.content[i] for i in index),
            split=tuple(self.split[i] for i in index),
            n_clips=self.n_clips[index],
            recording=tuple(self.recording[i] for i in index),
        )


@dataclass(frozen=True, eq=False)
class Deal:
    """The clips of each side, as sorted clip numbers of the table that was dealt.

    Parameters
    ----------
    train, val, test
        Clip numbers, int64, sorted.
    notices
        Sentences that the user should see beside every figure of this deal.
    """

    train: IntArray
    val: IntArray
    test: IntArray
    notices: tuple[str, ...] = field(default=())

    def side(self, name: str) -> IntArray:
        """Return the clips of ``train``, ``val`` or ``test``."""
        return {"train": self.train, "val": self.val, "test": self.test}[name]


def on_sides(table: TrackTable, deal: Deal) -> BoolArray:
    """Say which tracks have clips on which sides: shape=(n_tracks, 3)."""
    clip_track = table.clip_track
    present = np.zeros((len(table.names), len(SIDES)), dtype=bool)
    for number, name in enumerate(SIDES):
        present[clip_track[deal.side(name)], number] = True
    return present


def _whole_numbers(column: str, values: ArrayLike) -> IntArray:
    array = np.asarray(values)
    if array.ndim != 1 or (array.size and not np.issubdtype(array.dtype, np.integer)):
        raise ValueError(f"{column} must be a row of whole numbers")
    return array.astype(np.int64)
