"""Pairs of tracks that hold one recording, and the table of them."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from genre.data.disk import replacing
from genre.data.duplicates.prints import Fingerprint
from genre.data.duplicates.search import find_matches
from genre.data.protocols import TrackTable
from genre.features.subfingerprints import Words, seconds

IDENTICAL = "identical"
SAME_RECORDING = "same recording"
FILE_NAME = "duplicates.csv"
COLUMNS = (
    "file",
    "other",
    "kind",
    "offset_sec",
    "overlap_sec",
    "score",
    "label",
    "other_label",
    "artist",
    "other_artist",
)


@dataclass(frozen=True, slots=True)
class Duplicate:
    """Two tracks that hold one recording.

    Parameters
    ----------
    one, other
        Numbers of the tracks.
    kind
        ``"identical"``: the decoded samples are the same; ``"same recording"``: they sound the same where they overlap.
    offset_sec
        Where ``other`` begins in the time of ``one``, in seconds; negative where it begins earlier.
    overlap_sec
        Seconds compared.
    score
        Share of the bits of the fingerprints that agree; unrelated music has 0.5.
    """

    one: int
    other: int
    kind: str
    offset_sec: float
    overlap_sec: float
    score: float


def find_duplicates(prints: Iterable[Fingerprint], *, scratch: Path | None = None) -> tuple[Duplicate, ...]:
    """Find the tracks that hold one recording.

    Of identical tracks the first stands for all: each other one makes a pair with it, and only the first is compared
    with what is not identical. The pairs so join all copies, but not every two of them.

    Parameters
    ----------
    prints
        One a track; of these one is held at a time.
    scratch
        See :func:`genre.data.duplicates.search.find_matches`.
    """
    first: dict[str, int] = {}
    found: list[Duplicate] = []

    def different() -> Iterator[Words]:
        """Yield the words of what is not identical to something before; ``first`` and ``found`` grow meanwhile."""
        for number, made in enumerate(prints):
            if (one := first.setdefault(made.content, number)) == number:
                yield made.words
            else:
                found.append(Duplicate(one, number, IDENTICAL, 0.0, round(seconds(len(made.words)), 2), 1.0))

    matches = find_matches(different(), scratch=scratch)
    numbers = list(first.values())
    for match in matches:
        found.append(
            Duplicate(
                one=numbers[match.one],
                other=numbers[match.other],
                kind=SAME_RECORDING,
                offset_sec=round(seconds(match.offset), 2),
                overlap_sec=round(seconds(match.overlap), 2),
                score=round(1 - match.bit_errors, 3),
            )
        )
    return tuple(sorted(found, key=lambda pair: (pair.one, pair.other)))


def recordings(content: Sequence[str], pairs: Sequence[Duplicate]) -> tuple[str, ...]:
    """Return a key of the recording that each track is of: equal for tracks that pairs join, however indirectly.

    Parameters
    ----------
    content
        Hash of each track's samples; where no pair says more, it is the key.
    pairs
        Tracks that hold one recording.
    """
    key = {one: one for one in content}

    def root(one: str) -> str:
        while key[one] != one:
            key[one] = key[key[one]]
            one = key[one]
        return one

    for pair in pairs:
        one, other = sorted((root(content[pair.one]), root(content[pair.other])))
        key[other] = one
    return tuple(root(one) for one in content)


def by_name(pairs: Sequence[Duplicate], table: TrackTable) -> list[Duplicate]:
    """Return the pairs sorted by name, the track whose name comes first as ``one``."""

    def turned(pair: Duplicate) -> Duplicate:
        if table.names[pair.one] <= table.names[pair.other]:
            return pair
        return replace(pair, one=pair.other, other=pair.one, offset_sec=0.0 - pair.offset_sec)

    return sorted(map(turned, pairs), key=lambda pair: (table.names[pair.one], table.names[pair.other]))


def write_duplicates(path: Path, pairs: Sequence[Duplicate], table: TrackTable) -> None:
    """Write the table of pairs, whole or not at all; the numbers of the pairs count in ``table``.

    Raises
    ------
    OSError
        If it cannot be written.
    """
    text = io.StringIO(newline="")
    csv.writer(text).writerows([COLUMNS, *(_row(pair, table) for pair in by_name(pairs, table))])
    with replacing(path) as stream:
        stream.write(text.getvalue().encode("utf-8", "surrogateescape"))


def _row(pair: Duplicate, table: TrackTable) -> Sequence[str]:
    ends = pair.one, pair.other
    return (
        *(table.names[end] for end in ends),
        pair.kind,
        f"{pair.offset_sec:.2f}",
        f"{pair.overlap_sec:.2f}",
        f"{pair.score:.3f}",
        *(table.labels[table.label[end]] for end in ends),
        *(table.artist[end] or "" for end in ends),
    )
