"""In which settings several things differ, and what these are called where space is scarce."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from genre.plain import plain_text

TRACKS = "data.tracks"
"""What the settings of a run say of its data set, beside how it is used: which tracks it has."""


def differing(settings: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    """Return the dotted names of settings that are not alike in all of ``settings``, sorted, each with a short name.

    The short name is the last part, where no other of them ends so.

    >>> differing([{"seed": 0, "protocol.train_share": 1}, {"seed": 0.0, "protocol.train_share": 0.5}])
    {'protocol.train_share': 'train_share'}
    """
    names = sorted(set().union(*settings))
    names = [name for name in names if len({plain_text(one.get(name)) for one in settings}) > 1]
    last = [name.rpartition(".")[2] for name in names]
    return {name: end if last.count(end) == 1 else name for name, end in zip(names, last, strict=True)}
