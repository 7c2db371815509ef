"""From a style and an artist to the notes of one track."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from genre.data.demo.artists import Artist, Player
from genre.data.demo.harmony import Chord, Melody, near, parse_chord
from genre.data.demo.styles import STYLES, Part, Style

T = TypeVar("T")
STEPS = 16
_ACCENTS = {"X": 1.0, "x": 0.75, "o": 0.3}
_RESTING = 0.15  # probability that a player sits out two bars; the bass never does, so that no track is silent


@dataclass(frozen=True, slots=True)
class Note:
    """One note: start and length in seconds, pitch as a MIDI number, velocity 0 to 1."""

    start: float
    length: float
    midi: int
    velocity: float


@dataclass(frozen=True, slots=True)
class Hit:
    """One stroke on a drum: start in seconds, velocity 0 to 1."""

    drum: str
    start: float
    velocity: float


@dataclass(frozen=True)
class Score:
    """All notes of a track.

    Parameters
    ----------
    tempo
        Beats a minute.
    notes
        Notes by role.
    hits
        Strokes on drums.
    """

    tempo: float
    notes: Mapping[str, tuple[Note, ...]]
    hits: tuple[Hit, ...]


def compose(artist: Artist, seconds: float, rng: np.random.Generator) -> Score:
    """Write a track of ``seconds`` seconds in an artist's manner."""
    style = STYLES[artist.genre]
    tempo = artist.tempo * np.exp(0.05 * rng.standard_normal())
    n_bars = int(np.ceil(seconds * tempo / 240)) + 1
    grid = _grid(n_bars, tempo, artist.swing, style.rubato, rng)
    scale, progression = style.progressions[rng.integers(len(style.progressions))]
    song = _Song(
        artist=artist,
        style=style,
        grid=grid,
        tonic=int(rng.choice(artist.keys)),
        chords=_chords(progression, n_bars, rng),
        scale=scale,
        rng=rng,
    )
    notes = {role: song.part(role, player) for role, player in artist.players.items()}
    return Score(tempo=tempo, notes=notes, hits=song.drums())


def _grid(n_bars: int, tempo: float, swing: float, rubato: float, rng: np.random.Generator) -> NDArray[np.float64]:
    """Return the times of all sixteenths, seconds, shape=(16 * n_bars + 1,)."""
    beats = np.arange(STEPS * n_bars + 1) / 4
    whole, part = np.divmod(beats, 1.0)
    late = np.where(part < 0.5, part * swing / 0.5, swing + (part - 0.5) * (1 - swing) / 0.5)
    played = whole + late
    breath = rubato * np.sin(2 * np.pi * (played / 8 + rng.random())) * 8 / (2 * np.pi)
    times: NDArray[np.float64] = (played + breath - breath[0]) * 60 / tempo
    return times


def _chords(progression: str, n_bars: int, rng: np.random.Generator) -> tuple[Chord, ...]:
    chords = [parse_chord(text) for text in progression.split()]
    first = 4 * int(rng.integers(len(chords) // 4))  # a sketch may begin in the middle of the form
    return tuple(chords[(first + bar) % len(chords)] for bar in range(n_bars))


def _events(pattern: str, bar: int) -> Iterator[tuple[int, str, int]]:
    """Yield the step, the symbol and the length in steps of all that a pattern plays in one bar."""
    line = pattern[(bar * STEPS) % len(pattern) :][:STEPS]
    for match in re.finditer(r"[^.-]-*", line):
        yield match.start(), match[0][0], len(match[0])


@dataclass(frozen=True)
class _Song:
    """What all players of a track have agreed on."""

    artist: Artist
    style: Style
    grid: NDArray[np.float64]
    tonic: int
    chords: tuple[Chord, ...]
    scale: str
    rng: np.random.Generator

    def part(self, role: str, player: Player) -> tuple[Note, ...]:
        part = STYLES[player.style].parts[role]
        pattern = self._choose(part.patterns, player.pattern)
        melody = Melody(self.tonic, self.scale, part.register, self.rng, span=part.span, repeat=self.style.repeat)
        notes: list[Note] = []
        for bar in self._playing(resting=role != "bass"):
            melody.start_bar()
            for step, symbol, n_steps in _events(pattern, bar):
                pitches = self._pitches(symbol, bar, step, part, melody)
                notes += self._strike(bar * STEPS + step, n_steps, pitches)
        return tuple(notes)

    def drums(self) -> tuple[Hit, ...]:
        patterns = STYLES[self.artist.drum_style].drums
        if not patterns:
            return ()
        pattern = self._choose(patterns, self.artist.drum_pattern)
        hits = []
        for bar in self._playing(resting=True):
            for drum, line in pattern.items():
                for step, symbol, _ in _events(line, bar):
                    velocity = _ACCENTS[symbol] * self.rng.uniform(0.85, 1.0)
                    hits.append(Hit(drum, self._time(bar * STEPS + step), velocity))
        return tuple(hits)

    def _choose(self, choices: tuple[T, ...], favourite: int) -> T:
        """Mostly the artist's habit, sometimes another."""
        return choices[favourite if self.rng.random() < 0.8 else int(self.rng.integers(len(choices)))]

    def _playing(self, resting: bool) -> list[int]:
        """Return the bars in which a player is heard; one who rests does so for two bars at a time."""
        quiet = self.rng.random(len(self.chords) // 2 + 1) < (_RESTING if resting else 0)
        return [bar for bar in range(len(self.chords)) if not quiet[bar // 2]]

    def _time(self, step: int) -> float:
        return max(0.0, float(self.grid[step]) + self.artist.looseness * self.rng.standard_normal())

    def _strike(self, step: int, n_steps: int, pitches: list[int]) -> list[Note]:
        start = self._time(step)
        length = max(0.04, 0.92 * float(self.grid[step + n_steps] - self.grid[step]))
        velocity = (1.0 if step % 4 == 0 else 0.8) * self.rng.uniform(0.8, 1.0)
        delay = 0.008 if len(pitches) > 2 else 0.0  # a strum
        return [Note(start + delay * index, length, midi, velocity) for index, midi in enumerate(pitches)]

    def _pitches(self, symbol: str, bar: int, step: int, part: Part, melody: Melody) -> list[int]:
        chord, register = self.chords[bar], part.register
        root = near(self.tonic + chord.root, register)
        match symbol:
            case "c":
                return sorted(near(self.tonic + chord.root + interval, register) for interval in chord.intervals)
            case "p":
                return [root, root + 7, root + 12]
            case "s":
                return [root, root + 9, root + 12]
            case "m":
                return [melody.next_note(chord, on_beat=step % 4 == 0)]
            case "a":
                following = self.chords[(bar + 1) % len(self.chords)]
                return [near(self.tonic + following.root, register) + int(self.rng.choice((-1, 1)))]
            case _:
                return [root + chord.degree(symbol)]
