"""Measures taken straight from samples: loudness, zero crossings, and the moments of the two parts of a clip."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from genre.features.compiled import compiled
from genre.features.scratch import scratch

_SILENT = np.float32(1e-10)  # samples this close to zero count as positive


def rms_and_crossings(clip: NDArray[np.float32], frame_length: int, hop_length: int) -> NDArray[np.float64]:
    """Measure each centred frame of a clip.

    Parameters
    ----------
    clip
        shape (n_samples,).
    frame_length
        An even multiple of ``hop_length``.

    Returns
    -------
    measures
        shape (2, 1 + n_samples // hop_length): root mean square (beyond its ends the clip is silent), and the share of
        samples whose sign differs from that of the sample before (beyond its ends the clip stays at its last value).
    """
    hops = frame_length // hop_length
    shape = (clip.size // hop_length + hops, hop_length)
    padded, changes = scratch("padded", shape, np.float32), scratch("changes", shape, np.bool_)
    padded.fill(0.0)
    changes.fill(False)
    first = frame_length // 2
    padded.ravel()[first : first + clip.size] = clip
    negative = clip < -_SILENT
    np.not_equal(negative[1:], negative[:-1], out=changes.ravel()[first + 1 : first + clip.size])
    energy = _sums_of(hops, np.einsum("ij,ij->i", padded, padded))
    crossings = _sums_of(hops, np.count_nonzero(changes, axis=1)) - changes[: energy.size, 0]
    return np.stack([np.sqrt(energy / frame_length), crossings / frame_length])


def _sums_of(n: int, values: NDArray[Any]) -> NDArray[np.float64]:
    """Return the sums of each ``n`` neighbouring values."""
    return np.convolve(values.astype(np.float64), np.ones(n), mode="valid")


def moments_of_parts(harmonic: NDArray[np.float32], clip: NDArray[np.float32]) -> tuple[float, float, float, float]:
    """Return mean and variance of the harmonic part of a clip, then of what is left of the clip without it."""
    return _moments_of_parts(harmonic, clip)


@compiled
def _moments_of_parts(harmonic: NDArray[np.float32], clip: NDArray[np.float32]) -> tuple[float, float, float, float]:
    sum_h, square_h, sum_p, square_p = 0.0, 0.0, 0.0, 0.0
    for i in range(clip.size):
        h = np.float64(harmonic[i])
        p = np.float64(clip[i]) - h
        sum_h += h
        square_h += h * h
        sum_p += p
        square_p += p * p
    n = clip.size
    mean_h, mean_p = sum_h / n, sum_p / n
    return mean_h, max(square_h / n - mean_h * mean_h, 0.0), mean_p, max(square_p / n - mean_p * mean_p, 0.0)
