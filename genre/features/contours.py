"""Pitch contours: how strongly each pitch sounds in each frame, and the lines that strong pitches draw in time.

The salience of a pitch is the weighted sum of the spectral peaks that may be its harmonics; its peaks are joined over
time where pitch goes on. After sections II.B to II.D of [1]_.

.. [1] Salamon, J., Gomez, E. (2012). Melody extraction from polyphonic music signals using pitch contour
   characteristics. IEEE Trans. Audio, Speech, and Language Processing 20(6).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from genre.features.compiled import compiled
from genre.features.peaks import Peaks

LOWEST_HZ = 55.0  # pitch 0
CENTS_PER_BIN = 10.0
FIRST_BIN, LAST_BIN = 65, 510  # pitches from 80 Hz to 1047 Hz
REACH = 10  # bins: a harmonic counts up to a semitone off
N_HARMONICS = 20
HARMONIC_DECAY = 0.8
MOST_PITCHES = 12  # kept of each frame

STRONG_SHARE = 0.9  # of the strongest of the frame
STRONG_DEVIATIONS = 0.9  # below the mean of strong peaks
CONTINUITY = 8.0  # bins from frame to frame
LONGEST_GAP_SEC = SHORTEST_SEC = 0.1

_STRONG, _WEAK = 1, 2


@dataclass(frozen=True, slots=True, eq=False)
class Contours:
    """The pitch contours of a passage, each a run of neighbouring frames.

    Attributes
    ----------
    start
        First frame of each contour, shape (n_contours,).
    length
        Frames of each contour, shape (n_contours,).
    position
        Where each contour begins in ``cents`` and ``salience``, shape (n_contours,).
    cents
        Pitch above 55 Hz in each frame of each contour, shape (n_points,).
    salience
        Salience there, shape (n_points,).
    pitches
        Salience of the strongest pitches of each frame, in no order, 0 where there are fewer; shape (n_frames, 12).
    """

    start: NDArray[np.int64]
    length: NDArray[np.int64]
    position: NDArray[np.int64]
    cents: NDArray[np.float64]
    salience: NDArray[np.float64]
    pitches: NDArray[np.float32]


def find_contours(peaks: Peaks, frames_per_sec: float) -> Contours:
    """Find the pitch contours of a passage.

    Parameters
    ----------
    peaks
        Its spectral peaks.
    frames_per_sec
        Of the peaks.
    """
    n_frames = len(peaks.count)
    salience = np.zeros((n_frames, LAST_BIN), np.float32)
    octaves_up = np.log2(np.arange(1, N_HARMONICS + 1))
    _add_salience(peaks.frequency, peaks.amplitude, peaks.count, octaves_up, _harmonic_weights(), salience)
    strength = np.zeros((n_frames, MOST_PITCHES), np.float32)
    place = np.zeros((n_frames, MOST_PITCHES))
    _strongest_pitches(salience, strength, place)
    state = _strong_or_weak(strength)
    frame, rank = np.nonzero(state == _STRONG)
    order = np.argsort(-strength[frame, rank], kind="stable")
    runs = np.zeros((n_frames * MOST_PITCHES, 3), np.int64)
    points = np.zeros((2, n_frames * MOST_PITCHES))
    gap, shortest = int(LONGEST_GAP_SEC * frames_per_sec), int(SHORTEST_SEC * frames_per_sec)
    n, n_points = _join(strength, place, state, frame[order], rank[order], gap, shortest, runs, points)
    start, length, position = runs[:n].T
    return Contours(start, length, position, points[0, :n_points] * CENTS_PER_BIN, points[1, :n_points], strength)


def _harmonic_weights() -> NDArray[np.float32]:
    """Return cos^2 weights of the bins from a semitone below a pitch to a semitone above, shape (2 REACH + 1,)."""
    return (np.cos(np.arange(-REACH, REACH + 1) / REACH * np.pi / 2) ** 2).astype(np.float32)


def _strong_or_weak(strength: NDArray[np.float32]) -> NDArray[np.int64]:
    """Return 1 where a pitch may start a contour, 2 where it may only fill a gap in one, 0 where there is none."""
    top = strength.max(axis=1, keepdims=True)
    state = np.where(strength <= 0, 0, np.where(strength >= STRONG_SHARE * top, _STRONG, _WEAK))
    strong = strength[state == _STRONG]
    if strong.size:
        state[(state == _STRONG) & (strength < strong.mean() - STRONG_DEVIATIONS * strong.std())] = _WEAK
    return state


@compiled
def _add_salience(  # noqa: PLR0917  numba passes by position
    frequency: NDArray[np.float32],
    amplitude: NDArray[np.float32],
    count: NDArray[np.int64],
    octaves_up: NDArray[np.float64],
    weights: NDArray[np.float32],
    salience: NDArray[np.float32],
) -> None:
    """Add each peak to the pitches that it may be a harmonic of: to the two nearest bins, which then are spread."""
    bins_per_octave = 1200.0 / CENTS_PER_BIN
    exact = np.empty(LAST_BIN + REACH + 1, np.float32)
    for t in range(frequency.shape[0]):
        exact[:] = 0.0
        for i in range(count[t]):
            pitch = bins_per_octave * math.log2(frequency[t, i] / LOWEST_HZ)
            weight = amplitude[t, i]
            for octave in octaves_up:
                place = pitch - bins_per_octave * octave
                if place < FIRST_BIN - REACH:
                    break
                if place < LAST_BIN + REACH:
                    k = int(place)
                    above = weight * np.float32(place - k)
                    exact[k] += weight - above
                    exact[k + 1] += above
                weight *= np.float32(HARMONIC_DECAY)
        target = salience[t, FIRST_BIN:LAST_BIN]
        for j in range(weights.size):
            shifted, share = exact[FIRST_BIN - REACH + j : LAST_BIN - REACH + j], weights[j]
            for k in range(target.size):
                target[k] += share * shifted[k]


@compiled
def _strongest_pitches(
    salience: NDArray[np.float32], strength: NDArray[np.float32], place: NDArray[np.float64]
) -> None:
    """Write the strongest peaks of salience, and at which bin they are by a parabola."""
    most = strength.shape[1]
    for t in range(salience.shape[0]):
        row, kept, n = salience[t], strength[t], 0
        for k in range(FIRST_BIN + 1, LAST_BIN - 1):
            here = row[k]
            if here > 0 and here > row[k - 1] and here >= row[k + 1]:
                at = n
                if n < most:
                    n += 1
                else:
                    at = int(np.argmin(kept))
                    if kept[at] >= here:
                        continue
                curvature = row[k - 1] - 2 * here + row[k + 1]
                kept[at] = here
                place[t, at] = k + (0.5 * (row[k - 1] - row[k + 1]) / curvature if curvature < 0 else 0.0)


@compiled
def _nearest(place: NDArray[np.float64], state: NDArray[np.int64], wanted: int, here: float) -> int:
    """Return which pitch of a frame in state ``wanted`` is nearest, -1 where none is near enough."""
    nearest, distance = -1, CONTINUITY
    for k in range(place.size):
        if state[k] == wanted and abs(place[k] - here) < distance:
            nearest, distance = k, abs(place[k] - here)
    return nearest


@compiled
def _follow(  # noqa: PLR0917  numba passes by position
    strength: NDArray[np.float32],
    place: NDArray[np.float64],
    state: NDArray[np.int64],
    frame: int,
    here: float,
    direction: int,
    longest_gap: int,
    line: NDArray[np.float64],
) -> int:
    """Follow a pitch into one direction and take what it passes.

    Writes pitch and salience to the two rows of ``line`` and returns how many frames it got, up to its last strong one.
    """
    gap, steps, last = 0, 0, 0
    while True:
        frame += direction
        if frame < 0 or frame >= len(place):
            return last
        k = _nearest(place[frame], state[frame], 1, here)
        gap = 0 if k >= 0 else gap + 1
        if k < 0:
            k = _nearest(place[frame], state[frame], 2, here)
        if k < 0 or gap > longest_gap:
            return last
        here = place[frame, k]
        line[0, steps], line[1, steps] = here, strength[frame, k]
        state[frame, k] = 0
        steps += 1
        if gap == 0:
            last = steps


@compiled
def _join(  # noqa: PLR0917  numba passes by position
    strength: NDArray[np.float32],
    place: NDArray[np.float64],
    state: NDArray[np.int64],
    frames: NDArray[np.int64],
    ranks: NDArray[np.int64],
    longest_gap: int,
    shortest: int,
    runs: NDArray[np.int64],
    points: NDArray[np.float64],
) -> tuple[int, int]:
    """Join pitches to contours, the most salient first; return how many contours and points there are."""
    n, end = 0, 0
    before, after = np.empty((2, len(place))), np.empty((2, len(place)))
    for frame, rank in zip(frames, ranks):  # noqa: B905  numba knows no strict
        if state[frame, rank] != 1:
            continue
        state[frame, rank] = 0
        here = place[frame, rank]
        n_after = _follow(strength, place, state, frame, here, 1, longest_gap, after)
        n_before = _follow(strength, place, state, frame, here, -1, longest_gap, before)
        length = n_before + 1 + n_after
        if length < shortest:
            continue
        for row in range(2):
            target = points[row, end : end + length]
            target[:n_before] = before[row, :n_before][::-1]
            target[n_before + 1 :] = after[row, :n_after]
        points[0, end + n_before], points[1, end + n_before] = here, strength[frame, rank]
        runs[n, 0], runs[n, 1], runs[n, 2] = frame - n_before, length, end
        n, end = n + 1, end + length
    return n, end
