"""Scales, chords and melodies as MIDI note numbers."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

SCALES: Mapping[str, tuple[int, ...]] = {
    "major": (0, 2, 4, 5, 7, 9, 11),
    "minor": (0, 2, 3, 5, 7, 8, 10),
    "harmonic_minor": (0, 2, 3, 5, 7, 8, 11),
    "dorian": (0, 2, 3, 5, 7, 9, 10),
    "phrygian": (0, 1, 3, 5, 7, 8, 10),
    "mixolydian": (0, 2, 4, 5, 7, 9, 10),
    "major_pentatonic": (0, 2, 4, 7, 9),
    "minor_pentatonic": (0, 3, 5, 7, 10),
    "blues": (0, 3, 5, 6, 7, 10),
    "bebop": (0, 2, 4, 5, 7, 8, 9, 11),
}
_ROOTS = {"i": 0, "ii": 2, "iii": 4, "iv": 5, "v": 7, "vi": 9, "vii": 11}
_CHORD = re.compile(r"(?P<flat>b?)(?P<numeral>[iv]+|[IV]+)(?P<added>maj7|7|9)?")
_ADDED = {"": (), "7": (10,), "maj7": (11,), "9": (10, 14)}


@dataclass(frozen=True, slots=True)
class Chord:
    """A chord in a key: ``root`` in half-tones above the tonic, ``intervals`` in half-tones above the root."""

    root: int
    intervals: tuple[int, ...]

    def degree(self, name: str) -> int:
        """Half-tones above the root of the degree ``1 3 5 6 7 8`` of the chord."""
        if name == "3":
            return self.intervals[1]
        if name == "7":
            return self.intervals[3] if len(self.intervals) > 3 else 10
        return {"1": 0, "5": 7, "6": 9, "8": 12}[name]


def parse_chord(text: str) -> Chord:
    """Read a Roman numeral.

    >>> parse_chord("bVII7")
    Chord(root=10, intervals=(0, 4, 7, 10))
    >>> parse_chord("ii")
    Chord(root=2, intervals=(0, 3, 7))
    """
    match = _CHORD.fullmatch(text)
    if match is None:
        raise ValueError(f"not a chord: {text!r}")
    numeral = match["numeral"]
    third = 3 if numeral.islower() else 4
    root = (_ROOTS[numeral.lower()] - len(match["flat"])) % 12
    return Chord(root, (0, third, 7, *_ADDED[match["added"] or ""]))


def near(pitch_class: int, centre: int) -> int:
    """Return the MIDI note of a pitch class that lies nearest to ``centre`` (-5 to +6 half-tones from it)."""
    return centre - 5 + (pitch_class - centre + 5) % 12


class Melody:
    """A line that wanders on a scale and comes back to the notes of the chord on the beat.

    Parameters
    ----------
    tonic
        Pitch class of the key, 0 to 11.
    scale
        Name in :data:`SCALES`.
    register
        MIDI number about which the line lies.
    span
        Steps of the scale that it may leave the middle by.
    repeat
        Probability that a bar takes the steps of the bar before.
    """

    def __init__(
        self, tonic: int, scale: str, register: int, rng: np.random.Generator, *, span: int, repeat: float
    ) -> None:
        base = near(tonic, register)
        steps = SCALES[scale]
        self._notes = sorted(base + 12 * octave + step for octave in (-3, -2, -1, 0, 1, 2) for step in steps)
        self._middle = min(range(len(self._notes)), key=lambda index: abs(self._notes[index] - register))
        self._tonic, self._span, self._repeat, self._rng = tonic, span, repeat, rng
        self._moves: list[int] = []
        self._position = 0
        self._place = 0

    def start_bar(self) -> None:
        """Begin a bar: a new set of moves, or the last one again."""
        if not self._moves or self._rng.random() >= self._repeat:
            self._moves = self._rng.choice((-3, -2, -1, -1, 0, 1, 1, 2, 3), 16).tolist()
        self._place = 0
        self._position = int(np.clip(self._position, -2, 2))

    def next_note(self, chord: Chord, on_beat: bool) -> int:
        """Return the next note of the line (MIDI number)."""
        move = self._moves[self._place % len(self._moves)]
        self._place += 1
        position = self._position + move
        if abs(position) > self._span:
            position = self._position - move
        self._position = int(np.clip(position, -self._span, self._span))
        note = self._notes[self._middle + self._position]
        if not on_beat:
            return note
        wanted = [near(self._tonic + chord.root + interval, note) for interval in chord.intervals]
        return min(wanted, key=lambda candidate: (abs(candidate - note), candidate))
