"""Groups: tracks that must stay on one side because they share an artist or are one recording."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from genre.data.protocols.table import IntArray, TrackTable
from genre.errors import counted


@dataclass(frozen=True, eq=False)
class Groups:
    """The groups of a table of tracks.

    Parameters
    ----------
    table
        The tracks.
    group
        Group of each track, shape=(n_tracks,).
    counts
        Tracks of each group in each class, shape=(n_groups, n_classes).
    by_artist
        Whether tracks of one artist are one group.
    """

    table: TrackTable
    group: IntArray
    counts: IntArray
    by_artist: bool

    @classmethod
    def of(cls, table: TrackTable, *, by_artist: bool) -> Groups:
        """Group the tracks of ``table`` by recording and, with ``by_artist``, by artist."""
        group = group_tracks(table, by_artist=by_artist)
        counts = np.zeros((int(group.max(initial=-1)) + 1, len(table.labels)), dtype=np.int64)
        np.add.at(counts, (group, table.label), 1)
        return cls(table, group, counts, by_artist)

    @property
    def per_class(self) -> IntArray:
        """Number of groups in which each class occurs, shape=(n_classes,)."""
        return np.asarray((self.counts > 0).sum(axis=0))

    def size(self, label: int) -> str:
        """Say how many groups a class has in the plainest true words, such as ``2 artists`` or ``1 recording``."""
        members = np.flatnonzero(self.table.label == label)
        count = int(self.per_class[label])
        artists = {self.table.artist[track] for track in members}
        if self.by_artist and None not in artists and len(artists) == count:
            return counted(count, "artist")
        if len({self.table.recording[track] for track in members}) == count:
            return counted(count, "recording")
        return f"{counted(count, 'group')} of tracks that share an artist or a recording"

    def have_only(self, labels: Iterable[int]) -> str:
        """Say how few groups some classes have: ``blues and reggae have only 2 artists each``."""
        names = {label: self.table.labels[label] for label in labels}
        sizes = {label: self.size(label) for label in names}
        if len(names) > 1 and len(set(sizes.values())) == 1:
            return f"{listing(names.values())} have only {next(iter(sizes.values()))} each"
        return listing(f"{names[label]} has only {size}" for label, size in sizes.items())


def group_tracks(table: TrackTable, *, by_artist: bool) -> IntArray:
    """Find the groups of tracks that may not be parted.

    Groups are the connected components over "same recording" and, with ``by_artist``, "same artist". An artist who
    appears under two labels is therefore one group, and two artists who share a recording are too. A track without an
    artist is joined to others by recording only.

    Returns
    -------
    Group of each track, shape=(n_tracks,); groups are numbered by their first track.
    """
    parent = list(range(len(table.names)))
    _join(parent, table.content)
    _join(parent, table.recording)
    if by_artist:
        _join(parent, table.artist)
    roots = np.array([_root(parent, track) for track in range(len(parent))], dtype=np.int64)
    return np.unique(roots, return_inverse=True)[1].astype(np.int64)


def listing(words: Iterable[str], *, at_most: int = 10) -> str:
    """Join words as a sentence does, ``a, b and c``; those past ``at_most`` are only counted."""
    words = list(words)
    if len(words) > at_most:
        words = [*words[:at_most], f"{len(words) - at_most} more"]
    return f"{', '.join(words[:-1])} and {words[-1]}" if len(words) > 1 else "".join(words)


def _join(parent: list[int], keys: Sequence[Hashable | None]) -> None:
    first: dict[Hashable, int] = {}
    for track, key in enumerate(keys):
        if key is not None:
            one, other = _root(parent, first.setdefault(key, track)), _root(parent, track)
            parent[max(one, other)] = min(one, other)


def _root(parent: list[int], track: int) -> int:
    while parent[track] != track:
        parent[track] = parent[parent[track]]
        track = parent[track]
    return track
