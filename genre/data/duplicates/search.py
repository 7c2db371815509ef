"""Finding recordings that are copies of one another among many, by their sub-fingerprints.

Words that occur in two recordings say where these might be aligned; there the recordings are compared bit by bit. The
work grows with the length of the recordings together, not with the number of pairs.

References
----------
Haitsma, J., Kalker, T. (2002). A highly robust audio fingerprinting system. ISMIR, sections 4.3 (the threshold) and 5
(the search).
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

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

ENTRIES_AT_ONCE = 20_000_000
"""Words sorted at a time, about 0.5 GB."""


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


def find_matches(recordings: Sequence[Words]) -> tuple[Match, ...]:
    """Find all pairs of recordings that are the same where they overlap, each once, sorted.

    Of a pair that agrees at several offsets, as copies of looped music do, the one with the most agreeing bits beyond
    chance counts.

    Parameters
    ----------
    recordings
        Words of each recording (:func:`genre.features.subfingerprints.subfingerprints`).
    """
    length = np.array([len(words) for words in recordings], dtype=np.int64)
    first = np.concatenate([[0], np.cumsum(length)])
    words = np.concatenate([np.zeros(0, np.uint32), *recordings])
    n_parts = max(1, -(-len(words) // ENTRIES_AT_ONCE))
    found: list[IntArray] = []
    for part in range(n_parts):
        at = _entries(words, first, part, n_parts)
        found.append(_glances(words, first, at))
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


def _entries(words: Words, first: IntArray, part: int, n_parts: int) -> IntArray:
    """Return where the words of one part of the search are, sorted by word, then place."""
    at = np.flatnonzero((words != 0) & (words % n_parts == part))
    at = at[np.argsort(words[at], kind="stable")]
    recording = np.searchsorted(first, at, side="right")
    new = np.ones(len(at), dtype=np.bool_)
    new[1:] = (words[at[1:]] != words[at[:-1]]) | (recording[1:] != recording[:-1])
    start = np.maximum.accumulate(np.where(new, np.arange(len(at)), 0))
    kept: IntArray = at[np.arange(len(at)) - start < OCCURRENCES]
    return kept


def _glances(words: Words, first: IntArray, at: IntArray) -> IntArray:
    """Return (one, other, offset) of all pairs that agree around a shared word, shape (n, 3)."""
    recording = np.searchsorted(first, at, side="right") - 1
    found = [np.zeros((0, 3), np.int64)]
    row, buffer = 0, np.empty((1 << 20, 3), np.int64)
    while row < len(at):
        row, n = _glance(words, first, at, recording, row, buffer)
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
def _glance(  # noqa: PLR0917  compiled functions take no keywords
    words: Words, first: IntArray, at: IntArray, recording: IntArray, row: int, out: IntArray
) -> tuple[int, int]:
    """Write to ``out`` the candidates from entry ``row`` on; return the entry to go on with, and how many there are."""
    n = 0
    while row < at.size and n + NEIGHBOURS <= out.shape[0]:
        x, a = at[row], recording[row]
        for neighbour in range(row + 1, min(row + 1 + NEIGHBOURS, at.size)):
            y, b = at[neighbour], recording[neighbour]
            if words[x] != words[y]:
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
