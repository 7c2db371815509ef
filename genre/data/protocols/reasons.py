"""Why groups cannot be dealt as asked (errors), and what the user should know of a deal (notices)."""

from __future__ import annotations

from collections import Counter

import numpy as np

from genre.data.protocols.groups import Groups, listing
from genre.data.protocols.table import TEST, TRAIN, VAL, BoolArray, IntArray, TrackTable
from genre.errors import ProtocolError


def require_two(protocol: str, groups: Groups) -> None:
    """Raise ProtocolError when a class has a single group: one cannot train on it and test on another."""
    single = np.flatnonzero(groups.per_class < 2)
    if len(single):
        raise ProtocolError(
            f"{groups.have_only(single)}, and protocol={protocol} needs at least 2 in a class, to train on one and "
            f"test on another: {_remedy(groups, single)}"
        )


def require_present(groups: Groups, present: BoolArray) -> None:
    """Raise ProtocolError unless every class is in train and test, and some class in val.

    ``present`` says which classes are on which sides, shape=(3, n_classes).
    """
    absent = np.flatnonzero(~(present[TRAIN] & present[TEST]))
    if len(absent):
        raise entangled(groups, absent)
    if not present[VAL].any():
        raise nothing_to_validate(groups)


def entangled(groups: Groups, labels: IntArray) -> ProtocolError:
    """Return the error for classes whose groups are all needed on one side by other classes."""
    names = listing(groups.table.labels[label] for label in labels)
    return ProtocolError(
        f"{names} cannot be both trained on and tested, because the same artists or recordings appear under other "
        f"labels too: {_remedy(groups, labels)}"
    )


def nothing_to_validate(groups: Groups) -> ProtocolError:
    """Return the error for a validation side without any track."""
    fewest = np.arange(len(groups.table.labels))
    return ProtocolError(f"{groups.have_only(fewest)}, so no tracks are left for validation: {_remedy(groups, fewest)}")


def _remedy(groups: Groups, labels: IntArray) -> str:
    if not groups.by_artist or all(artist is None for artist in groups.table.artist):
        return "add recordings"
    by_content = Groups.of(groups.table, by_artist=False).per_class
    return "add tracks by other artists" + (", or use protocol=track" if (by_content[labels] > 1).all() else "")


def about_unknown_artists(table: TrackTable) -> list[str]:
    """Say that tracks without an artist cannot be kept apart by artist."""
    unknown = sum(artist is None for artist in table.artist)
    if not unknown:
        return []
    if unknown == len(table.artist):
        return [
            "no artists are known for this data set, so tracks of one artist may be on two sides; "
            "add an artist column to tracks.csv"
        ]
    has = "has" if unknown == 1 else "have"
    return [
        f"{unknown} of {len(table.artist)} tracks {has} no artist, so tracks of one artist may be on two sides; "
        "fill in the artist column of tracks.csv"
    ]


def about_copies(table: TrackTable) -> list[str]:
    """Say which recordings are there more than once, for protocols that keep their copies on one side."""
    copies = [number for number in Counter(table.recording).values() if number > 1]
    if not copies:
        return []
    subject = "1 recording is" if len(copies) == 1 else f"{len(copies)} recordings are"
    return [f"{subject} there in several copies, {sum(copies)} tracks together: these stay on one side"]


def about_validation(groups: Groups, present: BoolArray) -> list[str]:
    """Say which classes are not in val, and why; ``present`` as in :func:`require_present`."""
    absent = np.flatnonzero(~present[VAL])
    few, many = absent[groups.per_class[absent] == 2], absent[groups.per_class[absent] > 2]
    notices = []
    if len(few):
        whose = "its" if len(few) == 1 else "their"
        notices.append(f"{groups.have_only(few)}: none of {whose} tracks are in validation")
    if len(many):
        names = listing(groups.table.labels[label] for label in many)
        notices.append(
            f"no tracks of {names} are in validation, because the same artists appear under other labels too"
        )
    return notices
