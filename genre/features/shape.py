"""Spectral centroid, bandwidth and roll-off: where in frequency the sound of each frame lies."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from genre.features.compiled import compiled

ROLLOFF = 0.85  # share of the summed magnitude below the roll-off frequency
_TINY = float(np.finfo(np.float32).tiny)


def spectral_shape(by_bin: NDArray[np.float32], bin_hz: float) -> NDArray[np.float64]:
    """Describe the magnitude spectrum S of each frame, taken as a distribution over frequency f.

    Parameters
    ----------
    by_bin
        Magnitudes, shape (bins, frames).
    bin_hz
        Distance between neighbouring bins in Hz.

    Returns
    -------
    shape
        In Hz, shape (3, frames): centroid c = sum(f S) / sum(S); bandwidth sqrt(sum((f - c)^2 S) / sum(S)); roll-off,
        the lowest frequency up to which 85 % of sum(S) lie. Zero for silent frames.
    """
    moments = np.zeros((3, by_bin.shape[1]))
    cumulated = np.zeros((2, by_bin.shape[1]), dtype=np.float32)
    below = np.zeros(by_bin.shape[1], dtype=np.int32)
    _moments(by_bin, moments, cumulated[0])
    _bins_below(by_bin, np.float32(ROLLOFF) * cumulated[0], cumulated[1], below)
    total = np.where(moments[0] < _TINY, 1.0, moments[0])
    centroid, square = moments[1] / total, moments[2] / total
    weight = moments[0] / total
    # sum((f - c)^2 S) with the square multiplied out; rounding may leave it a hair below zero
    spread = np.maximum(square - (2.0 - weight) * centroid**2, 0.0)
    return np.stack([centroid, np.sqrt(spread), below]) * bin_hz


@compiled
def _moments(by_bin: NDArray[np.float32], moments: NDArray[np.float64], total: NDArray[np.float32]) -> None:
    """Sum S, k S and k^2 S over the bins k in double precision, and S in single precision as the roll-off does."""
    sum0, sum1, sum2 = moments[0], moments[1], moments[2]
    for k in range(by_bin.shape[0]):
        row, bin_ = by_bin[k], float(k)
        for t in range(row.size):
            value = np.float64(row[t])
            sum0[t] += value
            sum1[t] += bin_ * value
            sum2[t] += bin_ * bin_ * value
        for t in range(row.size):
            total[t] += row[t]


@compiled
def _bins_below(
    by_bin: NDArray[np.float32],
    threshold: NDArray[np.float32],
    cumulated: NDArray[np.float32],
    below: NDArray[np.int32],
) -> None:
    """Count the bins up to which the cumulated magnitude stays below the threshold."""
    for k in range(by_bin.shape[0]):
        row = by_bin[k]
        for t in range(row.size):
            cumulated[t] += row[t]
            below[t] += np.int32(cumulated[t] < threshold[t])
