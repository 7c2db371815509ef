"""Finding recordings that are copies of one another among many, by their sub-fingerprints.

Words that occur in two recordings say where these might be aligned; there the recordings are compared bit by bit. The
work grows with the length of the recordings together, not with the number of pairs; memory does not grow with it: the
words, and the places of each, lie in temporary files.

References
----------
Haitsma, J., Kalker, T. (2002). A highly robust audio fingerprinting system. ISMIR, sections 4.3 (the threshold) and 5
(the search).
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO

import numpy as np
from numpy.typing import NDArray

from genre.features.compiled import compiled
from genre.features.subfingerprints import Words

IntArray = NDArray[np.int64]

VERSION = 1
"""To be raised when other matches can be found: what was found is kept on disk."""

MOST_BIT_ERRORS = 0.35
"""Largest share of differing bits of two copies: the threshold of Haitsma and Kalker. Different music measures 0.4 and
more, copies in low-rate MP3 or Ogg 0.1 to 0.2."""

SHORT_SPREAD = 3.0
"""Different music of n words stays above 0.5 - SHORT_SPREAD / sqrt(n). The odds of the paper (0.35 at 256 words) make
it 2.4 for chance alone; it is a quarter more since excerpts of 2 s with the same loop or riff agree beyond chance."""

FEWEST_WORDS = 128
"""Words that must overlap: 1.9 s of sound."""

GLANCE_WORDS = 64
GLANCE_BIT_ERRORS = 0.4
"""What a first glance at the words around a shared one may find, before all of the overlap is compared."""

NEIGHBOURS = 24
"""Entries of one word that each is compared with: of many copies of a recording a chain is found."""

OCCURRENCES = 4
"""Entries of one word in one recording: a word that is held on says little."""

ENTRIES_AT_ONCE = 5_000_000
"""Words sorted at a time, about 0.25 GB."""

WORDS_AT_ONCE = 1 << 18
"""Words dealt to the parts of the search at a time."""

GLANCES_AT_ONCE = 1 << 16

_WORD = np.dtype(np.uint32)
_ENTRY = np.dtype([("word", np.uint32), ("at", np.int64)])


@dataclass(frozen=True, slots=True)
class Match:
    """Two recordings that are the same where they overlap.

    Parameters
    ----------
    one, other
        Their numbers; ``one`` is the smaller.
    offset
        Words from the start of ``one`` to the start of ``other``; negative where ``other`` begins earlier.
    overlap
        Words compared.
    bit_errors
        Share of their bits that differ.
    """

    one: int
    other: int
    offset: int
    overlap: int
    bit_errors: float


@dataclass(frozen=True, slots=True, eq=False)
class Entries:
    """Where the words of one part of the search occur, sorted by word, then place.

    Parameters
    ----------
    word, at, recording : shape=(n,)
        The word, its place among the words of all recordings, and the number of its recording.
    """

    word: Words
    at: IntArray
    recording: IntArray


def find_matches(recordings: Iterable[Words], *, scratch: Path | None = None) -> tuple[Match, ...]:
    """Find all pairs of recordings that are the same where they overlap, each once, sorted.

    Of a pair that agrees at several offsets, as copies of looped music do, the one with the most agreeing bits beyond
    chance counts.

    Parameters
    ----------
    recordings
        Words of each recording (:func:`genre.features.subfingerprints.subfingerprints`); one is held at a time.
    scratch
        Folder for temporary files, 16 bytes a word; by default that of the system.

    Raises
    ------
    OSError
        If a temporary file cannot be written.
    """
    with TemporaryFile(dir=scratch) as held, TemporaryFile(dir=scratch) as dealt:
        first = _write(held, recordings)
        return _search(held, dealt, first) if first[-1] else ()


def _search(held: IO[bytes], dealt: IO[bytes], first: IntArray) -> tuple[Match, ...]:
    """Find the pairs among recordings whose words are in a file, each from its place in ``first`` to the next."""
    n_parts = -(-int(first[-1]) // ENTRIES_AT_ONCE)
    begin = _deal(held, dealt, n_parts)
    words = np.memmap(held, _WORD, mode="r+").view(np.ndarray)
    found: list[IntArray] = []
    for part in range(n_parts):
        found.append(_glances(words, first, _entries(dealt, int(begin[part]), int(begin[part + 1]), first)))
    return tuple(_best(words, first, np.unique(np.concatenate(found), axis=0)))


def compare(one: Words, other: Words, offset: int) -> tuple[int, float]:
    """Compare two recordings at one offset.

    Returns
    -------
    overlap
        Words compared: those of neither recording's silence.
    bit_errors
        Share of their bits that differ; 1 where nothing can be compared.
    """
    words = min(len(one) - max(0, offset), len(other) - max(0, -offset))
    errors, overlap = _compare(one, other, max(0, offset), max(0, -offset), words)
    return overlap, errors / (32 * overlap) if overlap else 1.0


def most_bit_errors(overlap: int) -> float:
    """Return the largest share of differing bits at which ``overlap`` words are of one recording; negative for none."""
    if overlap < FEWEST_WORDS:
        return -1.0
    return min(MOST_BIT_ERRORS, 0.5 - SHORT_SPREAD / math.sqrt(overlap))


def _write(held: IO[bytes], recordings: Iterable[Words]) -> IntArray:
    """Write the words of all recordings, and return where each begins and the last one ends."""
    first = [0]
    for words in recordings:
        held.write(words.astype(_WORD, copy=False).tobytes())
        first.append(first[-1] + len(words))
    held.flush()
    return np.array(first, dtype=np.int64)


def _deal(held: IO[bytes], dealt: IO[bytes], n_parts: int) -> IntArray:
    """Write where each word occurs, part by part and in order of place; return where each part begins, and the end."""
    counts = np.zeros(n_parts, dtype=np.int64)
    for _, words in _blocks(held):
        counts += np.bincount(words[words != 0] % n_parts, minlength=n_parts)
    begin = np.concatenate([[0], np.cumsum(counts)])
    free = begin[:-1].copy()
    for start, words in _blocks(held):
        at = np.flatnonzero(words)
        part = words[at] % n_parts
        at = at[np.argsort(part, kind="stable")]
        entries = np.empty(len(at), _ENTRY)
        entries["word"], entries["at"] = words[at], start + at
        n_entries = np.bincount(part, minlength=n_parts)
        ends = np.cumsum(n_entries)
        for number in np.flatnonzero(n_entries):
            dealt.seek(int(free[number]) * _ENTRY.itemsize)
            dealt.write(entries[ends[number] - n_entries[number] : ends[number]].tobytes())
        free += n_entries
    return begin


def _blocks(held: IO[bytes]) -> Iterator[tuple[int, Words]]:
    """Yield all words with the place of the first, some at a time: read rather than mapped, they take no memory."""
    start = 0
    held.seek(0)
    while len(words := np.frombuffer(held.read(WORDS_AT_ONCE * _WORD.itemsize), _WORD)):
        yield start, words
        start += len(words)


def _entries(dealt: IO[bytes], begin: int, end: int, first: IntArray) -> Entries:
    """Return the entries of one part of the search."""
    dealt.seek(begin * _ENTRY.itemsize)
    entries = np.frombuffer(dealt.read((end - begin) * _ENTRY.itemsize), _ENTRY)
    order = np.argsort(entries["word"], kind="stable")
    word, at = entries["word"][order], entries["at"][order]
    del entries, order
    recording = np.searchsorted(first, at, side="right") - 1
    few = _few(word, recording, OCCURRENCES)
    return Entries(word[few], at[few], recording[few])


def _glances(words: Words, first: IntArray, entries: Entries) -> IntArray:
    """Return (one, other, offset) of all pairs that agree around a shared word, shape (n, 3)."""
    found = [np.zeros((0, 3), np.int64)]
    row, buffer = 0, np.empty((GLANCES_AT_ONCE, 3), np.int64)
    while row < len(entries.at):
        row, n = _glance(words, first, entries.word, entries.at, entries.recording, row, buffer)
        found.append(np.unique(buffer[:n], axis=0))
    return np.concatenate(found)


def _best(words: Words, first: IntArray, candidates: IntArray) -> Iterator[Match]:
    """Compare candidates over the whole overlap, and yield the best offset of each pair that passes."""
    starts = np.flatnonzero(np.any(np.diff(candidates[:, :2], axis=0, prepend=-1), axis=1))
    for offsets in np.split(candidates, starts[1:]) if len(candidates) else ():
        one, other = int(offsets[0, 0]), int(offsets[0, 1])
        a, b = words[first[one] : first[one + 1]], words[first[other] : first[other + 1]]
        matches = [Match(one, other, offset, *compare(a, b, offset)) for offset in _around(offsets[:, 2])]
        passing = [match for match in matches if match.bit_errors <= most_bit_errors(match.overlap)]
        if passing:
            yield max(passing, key=lambda match: (0.5 - match.bit_errors) * match.overlap)


def _around(offsets: IntArray) -> list[int]:
    """Return offsets with their neighbours: the one that fits best may not have been looked at."""
    return sorted({int(offset) + step for offset in offsets for step in (-1, 0, 1)})


@compiled
def _ones(word: np.uint32) -> int:
    """Count the bits that are set: Warren (2012), Hacker's Delight, section 5-1."""
    v = np.int64(word)
    v = v - ((v >> 1) & 0x55555555)
    v = (v & 0x33333333) + ((v >> 2) & 0x33333333)
    v = (v + (v >> 4)) & 0x0F0F0F0F
    return int(((v * 0x01010101) >> 24) & 0xFF)


@compiled
def _compare(one: Words, other: Words, start_one: int, start_other: int, n_words: int) -> tuple[int, int]:
    """Return the differing bits of some words, and how many words these are without those that are silent."""
    errors, compared = 0, 0
    for k in range(n_words):
        x, y = one[start_one + k], other[start_other + k]
        if x != 0 and y != 0:
            compared += 1
            errors += _ones(x ^ y)
    return errors, compared


@compiled
def _few(word: Words, recording: IntArray, most: int) -> NDArray[np.bool_]:
    """Say which entries are among the first ``most`` of their word in their recording."""
    few = np.ones(word.size, np.bool_)
    run = 0
    for row in range(1, word.size):
        run = run + 1 if word[row] == word[row - 1] and recording[row] == recording[row - 1] else 0
        few[row] = run < most
    return few


@compiled
def _glance(  # noqa: PLR0917  compiled functions take no keywords
    words: Words, first: IntArray, word: Words, at: IntArray, recording: IntArray, row: int, out: IntArray
) -> tuple[int, int]:
    """Write to ``out`` the candidates from entry ``row`` on; return the entry to go on with, and how many there are."""
    n = 0
    while row < at.size and n + NEIGHBOURS <= out.shape[0]:
        x, a = at[row], recording[row]
        for neighbour in range(row + 1, min(row + 1 + NEIGHBOURS, at.size)):
            y, b = at[neighbour], recording[neighbour]
            if word[row] != word[neighbour]:
                break
            if a == b:
                continue
            back = min(GLANCE_WORDS // 2, x - first[a], y - first[b])
            n_words = min(GLANCE_WORDS, first[a + 1] - x + back, first[b + 1] - y + back)
            errors, compared = _compare(words, words, x - back, y - back, n_words)
            if errors <= GLANCE_BIT_ERRORS * 32 * compared:
                out[n, 0], out[n, 1], out[n, 2] = a, b, (x - first[a]) - (y - first[b])
                n += 1
        row += 1
    return row, n
