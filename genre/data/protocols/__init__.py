"""Protocols: how tracks are dealt to train, val and test, and what may not be on two sides.

A protocol is made from plain settings and deals a :class:`TrackTable`, which knows nothing of files:

>>> deal = ArtistProtocol(val=0.15, test=0.15, seed=0).deal(table)  # doctest: +SKIP
>>> deal.train, deal.val, deal.test, deal.notices                   # doctest: +SKIP
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from typing import Any

from genre.data.protocols.base import Protocol
from genre.data.protocols.describe import SideCount, describe
from genre.data.protocols.disjoint import assert_disjoint
from genre.data.protocols.fixed import FaultFilteredProtocol, PredefinedProtocol
from genre.data.protocols.grouped import ArtistProtocol, TrackProtocol
from genre.data.protocols.kfold import KFoldProtocol
from genre.data.protocols.leaky import ClipRandomProtocol
from genre.data.protocols.table import SIDES, Deal, TrackTable
from genre.errors import ConfigError, near_names

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


def build_protocol(settings: Mapping[str, Any]) -> Protocol:
    """Make a protocol from plain values, such as ``{"name": "kfold", "fold": 2}``; what is not given has its default.

    Raises
    ------
    ConfigError
        When the name or a setting is unknown, or a value out of range.
    """
    arguments = dict(settings)
    name = str(arguments.pop("name", ""))
    if name not in PROTOCOLS:
        raise ConfigError(f"protocol={name} is unknown: {near_names(name, PROTOCOLS)}")
    known = [field.name for field in fields(PROTOCOLS[name])]
    for setting in arguments:
        if setting not in known:
            raise ConfigError(f"protocol={name} has no setting {setting}: {near_names(setting, known)}")
    return PROTOCOLS[name](**arguments)


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
    "SideCount",
    "TrackProtocol",
    "TrackTable",
    "assert_disjoint",
    "build_protocol",
    "describe",
]
