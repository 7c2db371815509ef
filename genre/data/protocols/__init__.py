"""Protocols: how tracks are dealt to train, val and test, and what may not be on two sides.

A protocol is made from plain settings and deals a :class:`TrackTable`, which knows nothing of files:

>>> deal = ArtistProtocol(val=0.15, test=0.15, seed=0).deal(table)  # doctest: +SKIP
>>> deal.train, deal.val, deal.test, deal.notices                   # doctest: +SKIP
"""

from __future__ import annotations

from collections.abc import Mapping

from genre.data.protocols.base import Protocol
from genre.data.protocols.disjoint import assert_disjoint
from genre.data.protocols.fixed import FaultFilteredProtocol, PredefinedProtocol
from genre.data.protocols.grouped import ArtistProtocol, TrackProtocol
from genre.data.protocols.kfold import KFoldProtocol
from genre.data.protocols.leaky import ClipRandomProtocol
from genre.data.protocols.table import SIDES, Deal, TrackTable

PROTOCOLS: Mapping[str, type[Protocol]] = {
    protocol.name: protocol
    for protocol in (
        ArtistProtocol,
        TrackProtocol,
        ClipRandomProtocol,
        KFoldProtocol,
        FaultFilteredProtocol,
        PredefinedProtocol,
    )
}

__all__ = [
    "PROTOCOLS",
    "SIDES",
    "ArtistProtocol",
    "ClipRandomProtocol",
    "Deal",
    "FaultFilteredProtocol",
    "KFoldProtocol",
    "PredefinedProtocol",
    "Protocol",
    "TrackProtocol",
    "TrackTable",
    "assert_disjoint",
]
