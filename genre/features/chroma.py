"""Chroma: how much of each of the twelve pitch classes sounds, after finding out how the recording is tuned."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from genre.features.compiled import compiled
from genre.features.filters import chroma_filters
from genre.features.scratch import scratch

_LOWEST_HZ, _HIGHEST_HZ = 150.0, 4000.0  # where pitches are looked for
_PEAK_SHARE = np.float32(0.1)  # of the strongest bin of the frame
_TINY = np.float32(np.finfo(np.float32).tiny)
_HALF = np.float32(0.5)


def chroma(by_bin: NDArray[np.float32], n_frames: int, sample_rate: int) -> NDArray[np.float32]:
    """Return the power of each pitch class, scaled so that the strongest of each frame is 1.

    Parameters
    ----------
    by_bin
        Magnitudes, shape (n_fft // 2 + 1, n_frames or more).
    n_frames
        How many of the columns are frames.

    Returns
    -------
    chroma
        shape (12, n_frames), C first.
    """
    n_fft = 2 * (by_bin.shape[0] - 1)
    filters = chroma_filters(sample_rate, n_fft, tuning(by_bin, n_frames, sample_rate))
    classes = np.zeros((12, by_bin.shape[1]), dtype=np.float32)
    _gather(filters, by_bin, classes)
    classes = classes[:, :n_frames]
    strongest = classes.max(axis=0)
    strongest[strongest < _TINY] = 1.0
    classes /= strongest
    return classes


def tuning(by_bin: NDArray[np.float32], n_frames: int, sample_rate: int) -> float:
    """Estimate how far a recording is from A = 440 Hz, in semitones, from -0.5 to 0.49 in steps of 0.01.

    Peaks between 150 and 4000 Hz that reach a tenth of the strongest bin of their frame are refined by a parabola
    through three bins; of the louder half of all peaks, the most frequent distance from the tempered scale wins.

    Parameters
    ----------
    by_bin
        Magnitudes, shape (n_fft // 2 + 1, n_frames or more).

    References
    ----------
    Smith, J. O. Spectral Audio Signal Processing: quadratic interpolation of spectral peaks.
    """
    bin_hz = sample_rate / (2 * (by_bin.shape[0] - 1))
    low = max(1, int(np.ceil(_LOWEST_HZ / bin_hz)))
    high = max(low, min(by_bin.shape[0] - 1, int(np.ceil(_HIGHEST_HZ / bin_hz))))
    power = scratch("power", (high - low + 2, by_bin.shape[1]), np.float32)
    np.square(by_bin[low - 1 : high + 1], out=power)
    floor = _PEAK_SHARE * np.square(by_bin[:, :n_frames].max(axis=0))
    peaks = scratch("peaks", (2, (high - low) * n_frames), np.float32)
    count = _peaks(power, floor, low, bin_hz, peaks)
    if count == 0:
        return 0.0
    pitch, strength = peaks[:, :count]
    loud = pitch[strength >= np.median(strength)]
    semitone = np.float32(12.0) * np.log2(loud / np.float32(27.5))
    distance = np.mod(semitone, np.float32(1.0))
    distance[distance >= 0.5] -= np.float32(1.0)
    edges = np.linspace(-0.5, 0.5, 101)
    votes = np.bincount(np.searchsorted(edges, distance, side="right") - 1, minlength=100)
    return float(edges[votes.argmax()])


@compiled
def _peaks(
    power: NDArray[np.float32],
    floor: NDArray[np.float32],
    lowest_bin: int,
    bin_hz: float,
    peaks: NDArray[np.float32],
) -> int:
    """Write frequency (Hz) and interpolated power of every peak above the floor of its frame; return how many.

    Row 1 of ``power`` is bin ``lowest_bin``; the first and the last row cannot be peaks.
    """
    count = 0
    for k in range(1, power.shape[0] - 1):
        before, here, after = power[k - 1], power[k], power[k + 1]
        for t in range(floor.size):
            if here[t] > floor[t] and here[t] > before[t] and here[t] >= after[t]:
                curve = np.float64(after[t] + before[t]) - 2.0 * np.float64(here[t])
                slope = np.float64(after[t] - before[t]) / 2.0
                shift = np.float32(-slope / curve) if abs(slope) < abs(curve) else np.float32(0.0)
                peaks[0, count] = (lowest_bin + k - 1 + np.float64(shift)) * bin_hz
                peaks[1, count] = here[t] + _HALF * (_HALF * (after[t] - before[t])) * shift
                count += 1
    return count


@compiled
def _gather(filters: NDArray[np.float32], by_bin: NDArray[np.float32], classes: NDArray[np.float32]) -> None:
    for k in range(by_bin.shape[0]):
        row = by_bin[k]
        for c in range(filters.shape[0]):
            weight, total = filters[c, k], classes[c]
            for t in range(row.size):
                total[t] += weight * (row[t] * row[t])
