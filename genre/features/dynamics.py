"""How the sound of a clip moves: 326 features of its mel levels, beside the 57 of :mod:`genre.features.handcrafted`.

The 57 say how things are on average and how far they vary, whatever the order of the frames. These say how quickly
(delta pattern, delta cepstrum), at what rates (modulation spectrum), and what moves together (cepstral correlation).
All start from the levels of the default log-mel front end, so a store of prepared clips has all they need.
"""

from __future__ import annotations

import functools
import itertools

import numpy as np
from numpy.typing import NDArray

from genre.errors import DataError
from genre.features.handcrafted import HOP_LENGTH, N_MELS, N_MFCC, SAMPLE_RATE
from genre.features.mel import cepstrum

DYNAMICS_VERSION = 1  # raise it whenever a value changes

FRAMES_PER_SEC = SAMPLE_RATE / HOP_LENGTH
DELTA_GROUPS = 32
DELTA_STEP = 2
DELTA_PERCENTILE = 90
MODULATION_GROUPS = 16
MODULATION_EDGES = (0.5, 1.0, 1.7, 2.5, 3.5, 5.0, 7.0, 10.0, 15.0, 21.0)
"""Ends of the bands of modulation frequency, in Hz: from a bar of slow music to the roughness of a roll."""

N_CORRELATED = 13
DELTA_WIDTH = 9

_BANDS = tuple(f"{low:g}_{high:g}hz" for low, high in itertools.pairwise(MODULATION_EDGES))
DYNAMICS_NAMES: tuple[str, ...] = (
    *(f"delta_{statistic}_band{i}" for statistic in ("mean", "p90") for i in range(1, DELTA_GROUPS + 1)),
    *(f"modulation_{band}_band{i}" for i in range(1, MODULATION_GROUPS + 1) for band in _BANDS),
    *(f"mfcc{i}_delta{order}_std" for order in (1, 2) for i in range(1, N_MFCC + 1)),
    *(f"mfcc{i}_mfcc{j}_correlation" for i in range(1, N_CORRELATED + 1) for j in range(i + 1, N_CORRELATED + 1)),
)


def dynamics(levels: NDArray[np.floating]) -> NDArray[np.float32]:
    """Compute the 326 features of every clip.

    Parameters
    ----------
    levels
        Mel levels in dB as ``LogMel()`` gives them, shape (n_clips, 128, n_frames).

    Returns
    -------
    features
        shape (n_clips, 326), in the order of :data:`DYNAMICS_NAMES`; a row depends on its own clip only.

    Raises
    ------
    DataError
        When the levels have another shape, or a clip has fewer than three frames.
    """
    if levels.ndim != 3 or levels.shape[1] != N_MELS or levels.shape[2] <= DELTA_STEP:
        raise DataError(
            f"these features need mel levels of shape (clips, {N_MELS}, frames) with at least {DELTA_STEP + 1} frames, "
            f"not {levels.shape}."
        )
    features = np.empty((len(levels), len(DYNAMICS_NAMES)), dtype=np.float32)
    for clip, row in zip(levels, features, strict=True):
        coefficients = cepstrum(np.ascontiguousarray(clip, dtype=np.float32), N_MFCC).astype(np.float64)
        level = clip.astype(np.float64)
        row[:] = np.concatenate(
            [
                delta_pattern(level),
                modulation_spectrum(level),
                delta_deviation(coefficients),
                correlation(coefficients[:N_CORRELATED]),
            ]
        )
    return features


def delta_pattern(level: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return how far the level of each of 32 bands moves in two frames (46 ms), in dB, shape (64,).

    For each band the mean of the absolute difference, then for each the 90th percentile of the difference: how steep
    the onsets are. After the delta spectral pattern of Seyerlehner, K., Widmer, G., Pohle, T. (2010), "Fusing
    block-level features for music similarity estimation", DAFx-10.

    Parameters
    ----------
    level
        shape (128, n_frames), in dB.
    """
    grouped = _groups(level, DELTA_GROUPS)
    moved = grouped[:, DELTA_STEP:] - grouped[:, :-DELTA_STEP]
    return np.concatenate([np.abs(moved).mean(axis=1), np.percentile(moved, DELTA_PERCENTILE, axis=1)])


def modulation_spectrum(level: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return how strongly the level of each of 16 bands swings at rates from 0.5 to 21 Hz, shape (144,).

    log(1 + P), P the mean power of the Fourier transform over time of the level (its mean taken away, under a Hann
    window) in each of nine bands of modulation frequency. After the fluctuation patterns of Pampalk, E., Rauber, A.,
    Merkl, D. (2002), "Content-based organization and visualization of music archives", ACM Multimedia.

    Parameters
    ----------
    level
        shape (128, n_frames), in dB.
    """
    grouped = _groups(level, MODULATION_GROUPS)
    swinging = (grouped - grouped.mean(axis=1, keepdims=True)) * np.hanning(grouped.shape[1])
    power = np.abs(np.fft.rfft(swinging, axis=1)) ** 2
    return np.log1p(power @ _modulation_bands(grouped.shape[1]).T).ravel()


def delta_deviation(coefficients: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the deviation over frames of first and second differences of cepstral coefficients, shape (2 n,).

    The differences are those of ``librosa.feature.delta`` with ``mode="nearest"``: slope and curvature of a parabola
    fitted to nine frames (Savitzky, A., Golay, M. J. E., 1964, Analytical Chemistry 36(8)).

    Parameters
    ----------
    coefficients
        shape (n, n_frames).
    """
    from scipy.signal import savgol_filter

    first, second = (
        savgol_filter(coefficients, DELTA_WIDTH, polyorder=order, deriv=order, axis=1, mode="nearest")
        for order in (1, 2)
    )
    return np.concatenate([first.std(axis=1), second.std(axis=1)])


def correlation(coefficients: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the correlation over frames of each pair of rows, shape (n (n - 1) / 2,); 0 where a row does not move.

    Parameters
    ----------
    coefficients
        shape (n, n_frames).
    """
    moved = coefficients - coefficients.mean(axis=1, keepdims=True)
    length = np.sqrt((moved**2).sum(axis=1, keepdims=True))
    unit = np.divide(moved, length, out=np.zeros_like(moved), where=length > 1e-6)
    return np.asarray((unit @ unit.T)[np.triu_indices(len(unit), 1)])


def _groups(level: NDArray[np.float64], n_groups: int) -> NDArray[np.float64]:
    """Return the mean level of neighbouring bands, shape (n_groups, n_frames)."""
    return np.asarray(level.reshape(n_groups, -1, level.shape[1]).mean(axis=1))


@functools.cache
def _modulation_bands(n_frames: int) -> NDArray[np.float64]:
    """Return the weight of each bin of a transform over time in each band, shape (9, n_frames // 2 + 1).

    A bin counts by how much of its width lies in the band, so that a short clip, whose bins are wider than a band, has
    no empty band.
    """
    width = FRAMES_PER_SEC / n_frames
    centre = np.fft.rfftfreq(n_frames, 1 / FRAMES_PER_SEC)
    low, high = np.array(MODULATION_EDGES[:-1])[:, None], np.array(MODULATION_EDGES[1:])[:, None]
    overlap = np.minimum(high, centre + width / 2) - np.maximum(low, centre - width / 2)
    weight = np.clip(overlap, 0.0, None)
    return np.asarray(weight / weight.sum(axis=1, keepdims=True))
