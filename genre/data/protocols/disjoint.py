"""The promise of every protocol: what must be kept apart is on one side only."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from genre.data.protocols.table import SIDE_WORDS, SIDES, BoolArray, Deal, TrackTable, on_sides
from genre.errors import ProtocolError


def assert_disjoint(table: TrackTable, deal: Deal, *, artists: bool, copies: bool = True, leaky: bool = False) -> None:
    """Check that nothing is on two sides.

    Clips are always checked. Tracks and identical content are checked unless ``leaky``, other copies of a recording
    when ``copies``, artists when ``artists``. The protocols whose sides somebody else has fixed (``predefined``,
    ``fault_filtered``) do not promise anything about artists and copies: there these are told in a notice when they are
    on two sides, while identical content remains an error.

    Raises
    ------
    ProtocolError
        Naming the first thing that is on two sides.
    """
    clips = np.concatenate([deal.side(side) for side in SIDES])
    n_clips = int(table.n_clips.sum())
    if len(clips) and not (clips.min() >= 0 and clips.max() < n_clips):
        raise ProtocolError(
            f"the deal does not fit these tracks, which have {n_clips} clips: prepare and deal them again"
        )
    if len(clips) and np.bincount(clips).max() > 1:
        raise ProtocolError("the same clip is on two sides, so no figure of this deal counts: deal the tracks again")
    if leaky:
        return
    present = on_sides(table, deal)
    split = np.flatnonzero(present.sum(axis=1) > 1)
    if len(split):
        raise ProtocolError(
            f"clips of {table.names[split[0]]} are on two sides ({_named(present[split[0]])}): deal the tracks again"
        )
    if shared := on_two_sides(table.content, present):
        raise ProtocolError(
            f"{examples(table, table.content, shared[0], present)} are the same recording on two sides: "
            "remove one of them, or give both the same side"
        )
    if copies and (shared := on_two_sides(table.recording, present)):
        raise ProtocolError(
            f"{examples(table, table.recording, shared[0], present)} are copies of one recording on two sides: "
            "deal the tracks again"
        )
    if artists and (shared := on_two_sides(table.artist, present)):
        raise ProtocolError(
            f"{examples(table, table.artist, shared[0], present)} are by one artist ({shared[0]}) on two sides: "
            "deal the tracks again"
        )


def on_two_sides(keys: Sequence[str | None], present: BoolArray) -> list[str]:
    """Return, sorted, the keys (artists, contents) whose tracks are on more than one side.

    Parameters
    ----------
    keys
        Key of each track, None for a track that has none, shape=(n_tracks,).
    present
        Which tracks are on which sides, shape=(n_tracks, 3).
    """
    sides: dict[str, int] = {}
    for key, bits in zip(keys, (present @ (1 << np.arange(len(SIDES)))).tolist(), strict=True):
        if key is not None:
            sides[key] = sides.get(key, 0) | bits
    return sorted(key for key, bits in sides.items() if bits.bit_count() > 1)


def examples(table: TrackTable, keys: Sequence[str | None], key: str, present: BoolArray) -> str:
    """Name two tracks of one key on different sides, each with its side."""
    members = [track for track in range(len(keys)) if keys[track] == key and present[track].any()]
    one = members[0]
    other = next(track for track in members if (present[track] != present[one]).any())
    return " and ".join(f"{table.names[track]} ({_named(present[track])})" for track in (one, other))


def _named(present: BoolArray) -> str:
    return " and ".join(SIDE_WORDS[side] for side, there in zip(SIDES, present, strict=True) if there)
