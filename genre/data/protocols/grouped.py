"""Protocols that deal whole groups of tracks, stratified by class: ``artist`` and ``track``."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from genre.data.protocols.base import SharesProtocol
from genre.data.protocols.dealing import MUST, SHOULD, Aim, deal_groups, tally
from genre.data.protocols.disjoint import on_two_sides
from genre.data.protocols.groups import Groups
from genre.data.protocols.reasons import (
    about_copies,
    about_unknown_artists,
    about_validation,
    require_present,
    require_two,
)
from genre.data.protocols.table import SIDES, IntArray, TrackTable

_SIDE_WEIGHT = np.array([1.0, 1.0, 1.5])  # where one of the two must be small, rather val than test


@dataclass(frozen=True)
class GroupedProtocol(SharesProtocol):
    """Deal groups of tracks so that every class has the wanted shares as closely as its groups allow.

    Every class is in train and test, and with three or more groups in val too. A class with two groups has the larger
    in train, the other in test, and nothing in val; a notice says so. A class with one group is an error.
    """

    def _sides(self, table: TrackTable) -> tuple[IntArray, list[str]]:
        groups = Groups.of(table, by_artist=self.artists_apart)
        require_two(self.name, groups)
        side = deal_groups(groups.counts, self._aim(groups), np.random.default_rng(self.seed))
        present = tally(groups.counts, side, len(SIDES)) > 0
        require_present(groups, present)
        notices = [
            *about_copies(table),
            *self._about_artists(table, side[groups.group]),
            *about_validation(groups, present),
        ]
        return table.per_clip(side[groups.group]), notices

    def _aim(self, groups: Groups) -> Aim:
        total = groups.counts.sum(axis=0)
        target = np.outer([1.0 - self.val - self.test, self.val, self.test], total)
        need = np.repeat([[MUST], [SHOULD], [MUST]], len(total), axis=1)
        for label in np.flatnonzero(groups.per_class == 2):
            smaller, larger = np.sort(groups.counts[groups.counts[:, label] > 0, label])
            target[:, label] = larger, 0, smaller
        return Aim(target, need, _SIDE_WEIGHT)

    @abstractmethod
    def _about_artists(self, table: TrackTable, side: IntArray) -> list[str]:
        """Return notices about artists, given the side of each track."""


@dataclass(frozen=True)
class ArtistProtocol(GroupedProtocol):
    """Keep artists and identical recordings on one side, so that the test is about artists never heard before.

    Tracks without an artist are kept apart by identical content only, and a notice says so.
    """

    name: ClassVar[str] = "artist"
    artists_apart: ClassVar[bool] = True

    def _about_artists(self, table: TrackTable, side: IntArray) -> list[str]:
        return about_unknown_artists(table)


@dataclass(frozen=True)
class TrackProtocol(GroupedProtocol):
    """Keep identical recordings on one side, but not artists: figures are higher than for artists never heard."""

    name: ClassVar[str] = "track"

    def _about_artists(self, table: TrackTable, side: IntArray) -> list[str]:
        known = len({artist for artist in table.artist if artist is not None})
        shared = len(on_two_sides(table.artist, side[:, None] == np.arange(len(SIDES))))
        count = f" ({shared} of {known} artists are)" if known else ""
        return [
            f"tracks of one artist may be on two sides{count}, so the figures are higher than for unknown artists; "
            "protocol=artist keeps artists apart"
        ]
