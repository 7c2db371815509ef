"""What a checkpoint comes from: the tracks it has learnt, and the runs whose settings made it what it is."""

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
"""Hexadecimal digits (64 bits) that a checkpoint keeps of the content of each track."""

KEPT = {"train": TRAIN, "val": VAL}
"""Sides whose tracks a checkpoint keeps: it was trained on the first, and the second chose its epoch."""

Provenance = Mapping[str, Any]
"""What a checkpoint says of where it comes from: plain values."""


def known_tracks(table: TrackTable, deal: Deal, earlier: Provenance) -> dict[str, list[str]]:
    """Return digests of the tracks that a training meets, by side: its own and those of the run it continues."""
    digests, present = _digests(table), on_sides(table, deal)
    before = earlier.get("tracks", {})
    return {side: sorted({*before.get(side, ()), *_on(digests, present, number)}) for side, number in KEPT.items()}


def check_unknown(
    checkpoint: str | Path, earlier: Provenance, table: TrackTable, protocol: Protocol, deal: Deal
) -> None:
    """Raise if figures of a deal would be of tracks that a checkpoint knows, though the protocol keeps them apart.

    Copies of a recording count as that recording where the protocol keeps them apart. A checkpoint that does not say
    what it was trained on, as those of earlier versions, passes.

    Parameters
    ----------
    checkpoint
        Its file, to name it.
    earlier
        Where it comes from.
    table, protocol, deal
        The usable tracks, and how they are dealt.

    Raises
    ------
    CheckpointError
        If it was trained on tracks that are validated or tested now, or its epoch was chosen by tracks tested now.
    """
    if protocol.leaky:
        return
    known: dict[str, set[str]] = {side: set(digests) for side, digests in earlier.get("tracks", {}).items()}
    digests, present = _digests(table), on_sides(table, deal)
    train, val = (_on(digests, present, number) for number in (TRAIN, VAL))
    keys = table.recording if protocol.copies_apart else table.content
    trained = _of(keys, digests, known.get("train", set()) - train)
    judging = _of(keys, digests, known.get("val", set()) - train - val)
    for met, sides, words, what in (
        (trained, (VAL, TEST), "validation and test", "was trained on"),
        (judging, (TEST,), "test", "had its epoch chosen by"),
    ):
        asked = np.flatnonzero(present[:, sides].any(axis=1))
        found = sorted(table.names[track] for track in asked if keys[track] in met)
        if found:
            raise CheckpointError(
                f"{checkpoint} {what} {len(found)} of the {len(asked)} {words} tracks of this deal, such as {found[0]}"
                "; keep protocol settings and tracks as they were then, or train anew without ckpt"
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


def _on(digests: Sequence[str], present: BoolArray, side: int) -> set[str]:
    return {one for one, there in zip(digests, present[:, side], strict=True) if there}


def _of(keys: Sequence[str], digests: Sequence[str], known: set[str]) -> set[str]:
    """Return the keys of the tracks with these digests."""
    return {key for key, one in zip(keys, digests, strict=True) if one in known}
