"""What a checkpoint comes from: tracks and artists it has learnt, and the runs whose settings made it what it is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from genre.data.fingerprint import digest
from genre.data.protocols import Deal, Protocol, TrackTable
from genre.data.protocols.table import TEST, TRAIN, VAL, BoolArray, on_sides
from genre.errors import CheckpointError

DIGEST_HEX = 16
"""Hexadecimal digits (64 bits) that a checkpoint keeps of the content of each track, and of each artist's name."""

KEPT = {"train": TRAIN, "val": VAL}
"""Sides whose tracks and artists a checkpoint keeps: it was trained on the first, and the second chose its epoch."""

Provenance = Mapping[str, Any]
"""What a checkpoint says of where it comes from: plain values."""


def known_tracks(table: TrackTable, deal: Deal, earlier: Provenance) -> dict[str, list[str]]:
    """Return digests of the tracks that a training meets, by side: its own and those of the run it continues."""
    digests, present = _digests(table), on_sides(table, deal)
    before = earlier.get("tracks", {})
    return {side: sorted({*before.get(side, ()), *_on(digests, present, number)}) for side, number in KEPT.items()}


def known_artists(table: TrackTable, deal: Deal, earlier: Provenance) -> dict[str, list[str]]:
    """Return digests of the artists that a training meets, by side: its own and those of the run it continues."""
    digests, present, before = _artists(table), on_sides(table, deal), _earlier_artists(table, earlier)
    return {side: sorted(before[side] | _on(digests, present, number)) for side, number in KEPT.items()}


def check_unknown(
    checkpoint: str | Path, earlier: Provenance, table: TrackTable, protocol: Protocol, deal: Deal
) -> tuple[str, ...]:
    """Raise if figures of a deal would be of what a checkpoint knows, though the protocol keeps it apart.

    Copies of a recording count as that recording where the protocol keeps them apart, and tracks by a known artist as
    known where it keeps artists apart. A checkpoint that does not name its artists, as those of earlier versions, knows
    those of its tracks that are in the table; one that does not name its tracks either passes.

    Parameters
    ----------
    checkpoint
        Its file, to name it.
    earlier
        Where it comes from.
    table, protocol, deal
        The usable tracks, and how they are dealt.

    Returns
    -------
    notices
        That test tracks are by artists it was trained on, where the protocol does not keep artists apart.

    Raises
    ------
    CheckpointError
        If it was trained on tracks or artists that are validated or tested now, or its epoch was chosen by some that
        are tested now.
    """
    if protocol.leaky:
        return ()
    known: dict[str, set[str]] = {side: set(digests) for side, digests in earlier.get("tracks", {}).items()}
    digests, present = _digests(table), on_sides(table, deal)
    train, val = (_on(digests, present, number) for number in (TRAIN, VAL))
    keys = table.recording if protocol.copies_apart else table.content
    trained = _of(keys, digests, known.get("train", set()) - train)
    judging = _of(keys, digests, known.get("val", set()) - train - val)
    _refuse(f"{checkpoint}", "tracks", present, list(zip(table.names, keys, strict=True)), (trained, judging))
    artists, before = _artists(table), _earlier_artists(table, earlier)
    train, val = (_on(artists, present, number) for number in (TRAIN, VAL))
    met = before["train"] - train, before["val"] - train - val
    if protocol.artists_apart:
        _refuse(f"{checkpoint}", "artists", present, list(zip(table.artist, artists, strict=True)), met)
        return ()
    tested = np.flatnonzero(present[:, TEST])
    known_by = [table.names[track] for track in tested if artists[track] in met[0]]
    if not known_by:
        return ()
    return (
        f"{len(known_by)} of {len(tested)} test tracks, such as {known_by[0]}, are by artists that {checkpoint} was "
        "trained on: the figures flatter it",
    )


def _refuse(
    checkpoint: str,
    what: str,
    present: BoolArray,
    named: Sequence[tuple[str | None, str | None]],
    known: tuple[set[str], set[str]],
) -> None:
    """Raise if a side that judges has what a checkpoint was trained on, or had its epoch chosen by.

    ``named`` has a name and a key of each track, ``known`` the keys of both kinds.
    """
    for met, sides, words, how in (
        (known[0], (VAL, TEST), "validation and test", "was trained on"),
        (known[1], (TEST,), "test", "had its epoch chosen by"),
    ):
        asked = {named[int(track)] for track in np.flatnonzero(present[:, sides].any(axis=1))} - {(None, None)}
        found = sorted(str(name) for name, key in asked if key in met)
        if found:
            raise CheckpointError(
                f"{checkpoint} {how} {len(found)} of the {len(asked)} {words} {what} of this deal, such as {found[0]}; "
                "keep protocol settings and tracks as they were then, or train anew without ckpt"
            )


def continued_hash(settings_hash: str, earlier: Provenance) -> str:
    """Return the hash of a run with these settings that continues another: the other's if its settings are the same.

    Parameters
    ----------
    settings_hash
        Of all that shapes a run that begins with these settings.
    earlier
        Where the checkpoint comes from that is continued; empty if there is none.
    """
    if not earlier:
        return settings_hash
    before = str(earlier.get("config_hash", ""))
    return before if earlier.get("settings_hash") == settings_hash else digest([settings_hash, before])[:16]


def evaluated_hash(earlier: Provenance, evaluated: str, epoch: int) -> str:
    """Return the hash of an evaluation: that of the training if it is the one that the training ended with.

    Parameters
    ----------
    earlier
        Where the checkpoint comes from.
    evaluated
        Hash of what it is evaluated by.
    epoch
        Of the checkpoint.
    """
    before = str(earlier.get("config_hash", ""))
    return before if earlier.get("evaluated") == evaluated else digest([before, evaluated, epoch])[:16]


def _digests(table: TrackTable) -> list[str]:
    return [content[:DIGEST_HEX] for content in table.content]


def _artists(table: TrackTable) -> list[str | None]:
    return [None if artist is None else digest(artist)[:DIGEST_HEX] for artist in table.artist]


def _earlier_artists(table: TrackTable, earlier: Provenance) -> dict[str, set[str]]:
    """Return digests of the artists a checkpoint knows, by side: those it names, and those of its tracks in a table."""
    artists, digests = _artists(table), _digests(table)
    named, tracks = earlier.get("artists", {}), earlier.get("tracks", {})
    return {side: {*named.get(side, ()), *_of(artists, digests, set(tracks.get(side, ())))} for side in KEPT}


def _on(digests: Sequence[str | None], present: BoolArray, side: int) -> set[str]:
    return {one for one, there in zip(digests, present[:, side], strict=True) if there and one is not None}


def _of(keys: Sequence[str | None], digests: Sequence[str], known: set[str]) -> set[str]:
    """Return the keys of the tracks with these digests."""
    return {key for key, one in zip(keys, digests, strict=True) if one in known and key is not None}
