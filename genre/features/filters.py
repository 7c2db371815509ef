"""Filter banks: from the bins of a short-time spectrum to mel bands, chroma and cepstral coefficients."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

_MEL_HZ = 200.0 / 3.0  # below the break: this many Hz a mel
_BREAK_HZ = 1000.0
_BREAK_MEL = _BREAK_HZ / _MEL_HZ
_LOG_STEP = np.log(6.4) / 27.0  # above it: this much of ln(Hz) a mel


def hz_to_mel(frequency: NDArray[np.float64]) -> NDArray[np.float64]:
    """Convert Hz to mel on Slaney's scale: linear below 1 kHz, logarithmic above.

    Slaney, M. (1998). Auditory Toolbox. Technical Report 1998-010, Interval Research Corporation.
    """
    above = _BREAK_MEL + np.log(np.maximum(frequency, _BREAK_HZ) / _BREAK_HZ) / _LOG_STEP
    return np.where(frequency >= _BREAK_HZ, above, frequency / _MEL_HZ)


def mel_to_hz(mel: NDArray[np.float64]) -> NDArray[np.float64]:
    """Convert mel on Slaney's scale to Hz."""
    above = _BREAK_HZ * np.exp(_LOG_STEP * (mel - _BREAK_MEL))
    return np.where(mel >= _BREAK_MEL, above, mel * _MEL_HZ)


def mel_filters(sample_rate: int, n_fft: int, n_mels: int, fmin: float, fmax: float) -> NDArray[np.float32]:
    """Return triangular mel filters of equal area, shape (n_mels, n_fft // 2 + 1).

    Filter m rises from edge m to edge m + 1 and falls to edge m + 2, where the n_mels + 2 edges are evenly spaced in
    mel from ``fmin`` to ``fmax`` Hz; its height is 2 / (width in Hz), so that white noise is level over all bands.
    """
    frequency = np.arange(1 + n_fft // 2) * (sample_rate / n_fft)
    low, high = hz_to_mel(np.asarray([fmin, fmax], dtype=np.float64))
    edge = mel_to_hz(np.linspace(low, high, n_mels + 2))[:, np.newaxis]
    rising = (frequency - edge[:-2]) / (edge[1:-1] - edge[:-2])
    falling = (edge[2:] - frequency) / (edge[2:] - edge[1:-1])
    triangle = np.maximum(0.0, np.minimum(rising, falling)).astype(np.float32)
    height = 2.0 / (edge[2:] - edge[:-2])
    return (triangle * height).astype(np.float32)


@dataclass(frozen=True, slots=True, eq=False)
class BandFilters:
    """Filters of which each covers one stretch of bins: filter m weighs bins first[m] .. first[m] + count[m] - 1.

    Attributes
    ----------
    first, count
        shape (n_filters,).
    weights
        All weights laid end to end, filter by filter.
    """

    first: NDArray[np.int64]
    count: NDArray[np.int64]
    weights: NDArray[np.float32]


@lru_cache(maxsize=16)
def mel_bands(sample_rate: int, n_fft: int, n_mels: int, fmin: float, fmax: float) -> BandFilters:
    """Return :func:`mel_filters` without their zeros."""
    filters = mel_filters(sample_rate, n_fft, n_mels, fmin, fmax)
    covered = filters > 0
    some = covered.any(axis=1)
    first = np.where(some, covered.argmax(axis=1), 0)
    stop = np.where(some, covered.shape[1] - covered[:, ::-1].argmax(axis=1), 0)
    pieces = [row[a:b] for row, a, b in zip(filters, first, stop, strict=True)]
    return BandFilters(first.astype(np.int64), (stop - first).astype(np.int64), np.concatenate(pieces))


@lru_cache(maxsize=128)
def chroma_filters(sample_rate: int, n_fft: int, tuning: float) -> NDArray[np.float32]:
    """Return filters that gather the bins of each of the 12 pitch classes from C to B, shape (12, n_fft // 2 + 1).

    A bin at ``p`` semitones above A0 counts for pitch class c with exp(-2 (d / w)^2), where d is the distance from p to
    the nearest c and w the width of the bin, both in semitones (w at least one); the twelve weights of a bin are scaled
    to unit length and then by exp(-(octave - 5)^2 / 8), which favours the middle of the piano.

    Parameters
    ----------
    tuning
        How far the recording is from A = 440 Hz, in semitones.

    References
    ----------
    Ellis, D. P. W. (2007). Chroma feature analysis and synthesis. Columbia University.
    """
    frequency = np.arange(1, n_fft) * (sample_rate / n_fft)
    semitone = 12.0 * np.log2(frequency * 16.0 / (440.0 * 2.0 ** (tuning / 12.0)))
    semitone = np.concatenate(([semitone[0] - 18.0], semitone))  # 0 Hz: taken for one and a half octaves below bin 1
    width = np.maximum(np.diff(semitone, append=semitone[-1] + 1.0), 1.0)
    bins = slice(0, 1 + n_fft // 2)
    semitone, width = semitone[bins], width[bins]
    distance = np.mod(semitone - np.arange(12.0)[:, np.newaxis] + 6.0, 12.0) - 6.0
    weights = np.exp(-2.0 * (distance / width) ** 2)
    weights /= np.sqrt(np.sum(weights**2, axis=0))
    weights *= np.exp(-0.125 * (semitone / 12.0 - 5.0) ** 2)
    from_c: NDArray[np.float64] = np.roll(weights, -3, axis=0)  # the rows began with A
    return from_c.astype(np.float32)


@lru_cache(maxsize=4)
def dct_matrix(n_coefficients: int, n_bands: int) -> NDArray[np.float64]:
    """Return the first rows of the orthonormal DCT-II, shape (n_coefficients, n_bands)."""
    order, band = np.arange(n_coefficients)[:, np.newaxis], np.arange(n_bands)
    matrix = np.cos(np.pi * order * (2 * band + 1) / (2 * n_bands)) * np.sqrt(2.0 / n_bands)
    matrix[0] /= np.sqrt(2.0)
    return np.asarray(matrix)
