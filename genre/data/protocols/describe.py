"""Describe a deal: how much of each class is on each side."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from genre.data.protocols.groups import group_tracks
from genre.data.protocols.table import SIDES, Deal, TrackTable


@dataclass(frozen=True, slots=True)
class SideCount:
    """How much of one class is on one side.

    Parameters
    ----------
    side
        ``train``, ``val`` or ``test``.
    label
        Name of the class.
    tracks, clips
        Their number; under a leaky protocol a track may count on several sides.
    groups
        Number of groups of tracks that share an artist or a recording.
    """

    side: str
    label: str
    tracks: int
    clips: int
    groups: int


def describe(table: TrackTable, deal: Deal) -> tuple[SideCount, ...]:
    """Count tracks, clips and groups of every class on every side: one row for each side and class, in that order."""
    clip_track = table.clip_track
    group = group_tracks(table, by_artist=True)
    rows = []
    for side in SIDES:
        tracks_of_clips = clip_track[deal.side(side)]
        for number, label in enumerate(table.labels):
            of_class = tracks_of_clips[table.label[tracks_of_clips] == number]
            tracks = np.unique(of_class)
            rows.append(SideCount(side, label, len(tracks), len(of_class), len(np.unique(group[tracks]))))
    return tuple(rows)
