"""Names of clips, in tables that do not say otherwise which recording each is of.

Two running numbers at the end, with dots before them, are those of a recording and of a piece of it:
``blues.00003.7.wav`` is piece 7 of ``blues.00003.wav``. One number is that of a recording: ``blues.00003.wav``. Other
names, such as ``blues_00003_7.wav`` or ``song (7).wav``, may mean pieces too, or tracks of an album: they can be told
of, but not joined.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from itertools import chain

Frame = tuple[str, str]
"""What stands before and after a running number."""

_PIECE = re.compile(r"(?P<track>.+\.\d+)\.(?P<piece>\d{1,6})(?P<suffix>(?:\.\w*[^\W\d]\w*)*)")
_SUFFIXES = re.compile(r"(?:\.(?:[^\W\d_]{1,5}|mp\d|m4a))+$")
_NUMBER = re.compile(r"\d+")
_RANGES = (2, 4)  # numbers in 3-6 and in 3.0-6.0
_LONGEST = 9  # digits of a number that can be one of a row


def piece_of(name: str) -> tuple[str, int] | None:
    """Return the recording that the name of a clip says it is of, and which piece; ``None`` if it does not say so.

    >>> piece_of("blues.00003.7.wav"), piece_of("blues.00003.wav")
    (('blues.00003.wav', 7), None)
    """
    match = _PIECE.fullmatch(name)
    return (match["track"] + match["suffix"], int(match["piece"])) if match else None


def in_order(name: str) -> list[tuple[int, str]]:
    """Return a key by which names are sorted as people count: ``clip2`` before ``clip10``."""
    parts = enumerate(re.split(r"(\d+)", name))
    return [(len(digits), digits) if i % 2 else (0, part) for i, part in parts for digits in [part.lstrip("0")]]


def like_pieces(names: Sequence[str], labels: Sequence[str], artists: Sequence[str | None]) -> list[tuple[int, ...]]:
    """Return the groups of tracks whose names differ in a running number as those of pieces of one recording do.

    Their label and artist are the same, and there are others of that label: where they are most of it, as all
    ``blues.00000.wav``, ``blues.00001.wav`` are in a table of GTZAN, or are called as it is, the number is that of a
    track. And their numbers follow on each other, or most of them come again in other groups, as pieces are counted
    anew for each recording.

    Parameters
    ----------
    names, labels, artists
        One item a track.

    Returns
    -------
    groups
        Tracks, by their place in ``names``; a track may be in several.
    """
    framed: defaultdict[Frame, dict[str, int]] = defaultdict(dict)
    for track, name in enumerate(names):
        for frame, number in _numbers(name):
            framed[frame].setdefault(number, track)
    of_label = Counter(labels)
    groups = {
        frame: numbered
        for frame, numbered in framed.items()
        if len(numbered) > 1
        and len({(labels[track], artists[track]) for track in numbered.values()}) == 1
        and not _are_of_label(frame, len(numbered), labels[next(iter(numbered.values()))], of_label)
    }
    seen = Counter(chain.from_iterable(groups.values()))
    return [
        tuple(numbered.values()) for numbered in groups.values() if _follow_on(numbered) or _come_again(numbered, seen)
    ]


def _numbers(name: str) -> Iterator[tuple[Frame, str]]:
    """Yield each number of a name, from the last to the first, and then each range that may be at its end."""
    base = _SUFFIXES.sub("", name)
    runs = list(_NUMBER.finditer(base))
    for run in reversed(runs):
        yield (base[: run.start()], base[run.end() :]), run[0].lstrip("0")
    for first in (runs[-length] for length in _RANGES if length <= len(runs)):
        yield (base[: first.start()], "..."), base[first.start() :]


def _are_of_label(frame: Frame, n_tracks: int, label: str, of_label: Counter[str]) -> bool:
    """Say whether a running number is that of a track of its label."""
    last = re.split(r"[/\\]", frame[0].rstrip("/\\"))[-1]
    named_as_it = not frame[1] and _word(last) == _word(label) != ""
    return named_as_it or 2 * n_tracks > of_label[label]


def _word(text: str) -> str:
    """Return letters and digits of a text, in small letters."""
    return "".join(filter(str.isalnum, text.casefold()))


def _follow_on(numbers: dict[str, int]) -> bool:
    """Say whether at least every other number of a range is there."""
    if not all(re.fullmatch(rf"\d{{0,{_LONGEST}}}", number) for number in numbers):
        return False
    values = sorted(int(number or 0) for number in numbers)
    return values[-1] - values[0] < 2 * len(values)


def _come_again(numbers: dict[str, int], seen: Counter[str]) -> bool:
    """Say whether at least half of these numbers are in other groups too."""
    return 2 * sum(seen[number] > 1 for number in numbers) >= len(numbers)
