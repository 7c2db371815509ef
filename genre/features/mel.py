"""Mel power spectrum, decibels and cepstral coefficients from the magnitudes of a short-time spectrum."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from genre.features.compiled import compiled
from genre.features.filters import BandFilters, dct_matrix

_DECIBELS = np.float32(10.0 / np.log(10.0))


def mel_power(by_bin: NDArray[np.float32], bands: BandFilters) -> NDArray[np.float32]:
    """Sum the power of the bins of each mel band.

    Parameters
    ----------
    by_bin
        Magnitudes, shape (bins, frames).
    bands
        The filters, see :func:`genre.features.filters.mel_bands`.

    Returns
    -------
    power
        shape (n_mels, frames).
    """
    power = np.zeros((bands.first.size, by_bin.shape[1]), dtype=np.float32)
    _band_power(by_bin, bands.first, bands.count, bands.weights, power)
    return power


def decibels(
    power: NDArray[np.float32], *, ref: float = 1.0, amin: float = 1e-10, top_db: float | None = 80.0
) -> NDArray[np.float32]:
    """Return 10 log10(power / ref), nowhere more than ``top_db`` below its largest value.

    Parameters
    ----------
    power
        Any shape, not empty.
    ref
        The power that is 0 dB.
    amin
        Smaller powers, and a smaller ``ref``, count as this one.
    """
    level: NDArray[np.float32] = np.log(np.maximum(power, np.float32(amin)))
    level *= _DECIBELS
    level -= np.float32(10.0 * np.log10(max(amin, ref)))
    if top_db is not None:
        np.maximum(level, level.max() - np.float32(top_db), out=level)
    return level


def cepstrum(level: NDArray[np.float32], n_coefficients: int) -> NDArray[np.float64]:
    """Return the first mel-frequency cepstral coefficients (DCT-II over the bands).

    Parameters
    ----------
    level
        Mel levels in dB, shape (n_mels, frames).

    Returns
    -------
    coefficients
        shape (n_coefficients, frames).
    """
    coefficients = np.zeros((n_coefficients, level.shape[1]))
    _weighted_sums(dct_matrix(n_coefficients, level.shape[0]), level, coefficients)
    return coefficients


@compiled
def _band_power(
    by_bin: NDArray[np.float32],
    first: NDArray[np.int64],
    count: NDArray[np.int64],
    weights: NDArray[np.float32],
    power: NDArray[np.float32],
) -> None:
    used = 0
    for band in range(first.size):
        total = power[band]
        for i in range(count[band]):
            magnitude = by_bin[first[band] + i]
            weight = weights[used + i]
            for t in range(total.size):
                total[t] += weight * (magnitude[t] * magnitude[t])
        used += count[band]


@compiled
def _weighted_sums(weights: NDArray[np.float64], rows: NDArray[np.float32], sums: NDArray[np.float64]) -> None:
    for i in range(weights.shape[0]):
        total = sums[i]
        for j in range(weights.shape[1]):
            weight, row = weights[i, j], rows[j]
            for t in range(total.size):
                total[t] += weight * row[t]
