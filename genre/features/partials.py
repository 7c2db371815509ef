"""How the partials of a passage move and rub: their steadiness, whether they move together, roughness, valleys.

Every frame of 93 ms has its spectral peaks; a partial is a peak followed for 70 ms from frame to frame.
"""

from __future__ import annotations

import itertools
import math

import numpy as np
from numpy.typing import NDArray

from genre.features.compiled import compiled
from genre.features.peaks import Peaks, find_peaks, magnitudes

SAMPLE_RATE = 22050
WINDOW_LENGTH = 2048
N_FFT = 4096
HOP_LENGTH = 256
LOWEST_PEAK_HZ, HIGHEST_PEAK_HZ = 80.0, 5000.0
MOST_PEAKS = 200

EDGES_HZ = (200.0, 500.0, 1000.0, 2000.0, 4000.0)
"""Ends of the four bands."""
LAG = 6  # frames a partial is followed for, 70 ms
STEADY_CENTS, SLOW_CENTS = 8.0, 25.0
TOGETHER_FROM_HZ = 400.0
BLOCK = 12  # frames whose mean steadiness is compared over time, 139 ms
VALLEY, TOP = 0.2, 0.95  # quantiles over the bins of a band

REACH_HZ = 300.0  # beyond it partials do not rub
NEAR_HZ = 120.0
TABLE_STEPS = 4096

_BANDS = range(1, len(EDGES_HZ))
_FATES = ("lost", "steady", "slow", "moving")
_QUARTILES = (25, 50, 75, 90)
_QUANTILES = (10, 50, 90)
PARTIALS_NAMES: tuple[str, ...] = (
    *(
        f"partials_{name}_band{i}"
        for i in _BANDS
        for name in (
            *(f"{fate}_mean" for fate in _FATES),
            *(f"{fate}_energy" for fate in _FATES),
            "moving_p90",
            "steady_std",
        )
    ),
    *(f"partials_{name}_p{quantile}" for name in ("movement", "together") for quantile in _QUARTILES),
    "partials_joint_movement",
    *(
        f"partials_{name}_{statistic}"
        for name in ("roughness", "count", "close_pairs")
        for statistic in (*(f"p{quantile}" for quantile in _QUANTILES), "std")
    ),
    *(f"partials_valley_{statistic}_band{i}" for i in _BANDS for statistic in ("p50", "p90", "std")),
)


def partials(samples: NDArray[np.float32]) -> NDArray[np.float64]:
    """Compute the features of partials, shape (len(PARTIALS_NAMES),).

    Parameters
    ----------
    samples
        At 22 050 Hz, the largest of size 1, shape (n_samples,) of at least 0.5 s.
    """
    spacing = SAMPLE_RATE / N_FFT
    spectrum = magnitudes(samples, WINDOW_LENGTH, N_FFT, HOP_LENGTH, int(HIGHEST_PEAK_HZ / spacing) + 3)
    peaks = find_peaks(
        spectrum, spacing, LOWEST_PEAK_HZ, HIGHEST_PEAK_HZ, most=MOST_PEAKS, full_scale=WINDOW_LENGTH / 4
    )
    return np.concatenate([_of_movement(peaks), _of_pairs(peaks), _of_valleys(spectrum, spacing)])


def roughness(peaks: Peaks) -> NDArray[np.float64]:
    """Return the roughness of each frame, shape (n_frames,).

    With partials i and j of amplitudes a > b and frequencies f < g, the sum over all pairs within 300 Hz of

        a b / 2 (2 b / (a + b))^3.11 (exp(-3.5 s (g - f)) - exp(-5.75 s (g - f))),  s = 0.24 / (0.0207 f + 18.96),

    divided by the sum of squared amplitudes. The source takes a b to the power of 0.1 and does not divide; the
    product and the division make the result independent of level.

    References
    ----------
    Vassilakis, P. N. (2001). Perceptual and physical properties of amplitude fluctuation and their musical
    significance. Doctoral dissertation, University of California, Los Angeles.
    """
    return _rubbing(peaks)[:, 0]


def _of_movement(peaks: Peaks) -> NDArray[np.float64]:
    """Return what becomes of partials in each band, and how far they move and whether they do so together."""
    energy, moved = _fates(peaks)
    total = energy.sum(axis=2)
    share = energy / (total[..., None] + 1e-12)
    over_time = energy.sum(axis=0) / (total.sum(axis=0)[:, None] + 1e-12)
    steady = share[: len(share) // BLOCK * BLOCK, :, 1].reshape(-1, BLOCK, len(_BANDS)).mean(axis=1)
    bands = np.column_stack(
        [share.mean(axis=0), over_time, np.percentile(share[:, :, 3], 90, axis=0), steady.std(axis=0)]
    )
    movement, together = moved.T
    return np.concatenate(
        [
            bands.ravel(),
            np.percentile(moved, _QUARTILES, axis=0).T.ravel(),
            [((together > 0.6) & (movement > STEADY_CENTS)).mean()],
        ]
    )


def _of_pairs(peaks: Peaks) -> NDArray[np.float64]:
    """Return statistics over frames of roughness (as a logarithm), of the number of peaks and of close pairs."""
    rubbing = _rubbing(peaks)
    series = np.column_stack([np.log(rubbing[:, 0] + 1e-4), peaks.count, rubbing[:, 1]])
    return np.vstack([np.percentile(series, _QUANTILES, axis=0), series.std(axis=0)]).T.ravel()


def _of_valleys(spectrum: NDArray[np.float32], spacing: float) -> NDArray[np.float64]:
    """Return how deep the valleys between the peaks of a band are, in dB; noise and distortion fill them."""
    edges = np.ceil(np.array(EDGES_HZ) / spacing).astype(np.int64)
    statistics = []
    for low, high in itertools.pairwise(edges):
        valley, top = int(VALLEY * (high - low - 1)), int(TOP * (high - low - 1))
        ordered = np.partition(spectrum[:, low:high], (valley, top), axis=1)
        depth = 20 * np.log10((ordered[:, valley] + 1e-5) / (ordered[:, top] + 1e-5))
        statistics += [*np.percentile(depth, (50, 90)), depth.std()]
    return np.array(statistics)


def _fates(peaks: Peaks) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the power of partials by frame, band and fate, shape (n, 4, 4), and their movement, shape (n, 2).

    Movement is the mean over partials, weighted by amplitude, of how many cents they move, and the size of the mean of
    the signed movement relative to it: 1 when all move alike.
    """
    n = max(len(peaks.count) - LAG, 1)
    energy, moved = np.zeros((n, len(_BANDS), len(_FATES))), np.zeros((n, 2))
    following = np.full(peaks.frequency.shape, -1, np.int64)
    _link(peaks.frequency, peaks.count, following)
    _follow(peaks.frequency, peaks.amplitude, peaks.count, following, np.array(EDGES_HZ), energy, moved)
    return energy, moved


def _rubbing(peaks: Peaks) -> NDArray[np.float64]:
    """Return roughness and number of close pairs of each frame, shape (n_frames, 2)."""
    farthest = REACH_HZ * 0.24 / 18.96
    distance = np.linspace(0.0, farthest, TABLE_STEPS + 1)
    beating = np.exp(-3.5 * distance) - np.exp(-5.75 * distance)
    depth = (2 * np.linspace(0.0, 1.0, TABLE_STEPS + 1) / (1 + np.linspace(0.0, 1.0, TABLE_STEPS + 1))) ** 3.11
    out = np.zeros((len(peaks.count), 2))
    _rub(peaks.frequency, peaks.amplitude, peaks.count, beating, TABLE_STEPS / farthest, depth, out)
    return out


@compiled
def _link(frequency: NDArray[np.float32], count: NDArray[np.int64], following: NDArray[np.int64]) -> None:
    """Write which peak of the next frame continues each peak: the nearest within 1.5 % or 12 Hz, or -1."""
    for t in range(len(count) - 1):
        nearest, n = 0, count[t + 1]
        for i in range(count[t]):
            here = frequency[t, i]
            while nearest + 1 < n and abs(frequency[t + 1, nearest + 1] - here) < abs(frequency[t + 1, nearest] - here):
                nearest += 1
            if n > 0 and abs(frequency[t + 1, nearest] - here) <= max(here * 0.015, 12.0):
                following[t, i] = nearest


@compiled
def _follow(  # noqa: PLR0917  numba passes by position
    frequency: NDArray[np.float32],
    amplitude: NDArray[np.float32],
    count: NDArray[np.int64],
    following: NDArray[np.int64],
    edges: NDArray[np.float64],
    energy: NDArray[np.float64],
    moved: NDArray[np.float64],
) -> None:
    for t in range(len(count) - LAG):
        weight = signed = size = 0.0
        for i in range(count[t]):
            here, strength = frequency[t, i], float(amplitude[t, i])
            if here < edges[0] or here >= edges[-1]:
                continue
            band = 0
            while here >= edges[band + 1]:
                band += 1
            k = i
            for step in range(LAG):
                k = following[t + step, k]
                if k < 0:
                    break
            if k < 0:
                energy[t, band, 0] += strength**2
                continue
            cents = 1200.0 * math.log2(frequency[t + LAG, k] / here)
            fate = 1 if abs(cents) < STEADY_CENTS else (2 if abs(cents) < SLOW_CENTS else 3)
            energy[t, band, fate] += strength**2
            if here > TOGETHER_FROM_HZ:
                weight += strength
                signed += strength * cents
                size += strength * abs(cents)
        if weight > 0:
            moved[t, 0] = size / weight
            moved[t, 1] = abs(signed) / (size + 1e-9)


@compiled
def _rub(  # noqa: PLR0917  numba passes by position
    frequency: NDArray[np.float32],
    amplitude: NDArray[np.float32],
    count: NDArray[np.int64],
    beating: NDArray[np.float64],
    steps: float,
    depth: NDArray[np.float64],
    out: NDArray[np.float64],
) -> None:
    """Write roughness and number of close pairs, exponentials and powers from tables."""
    for t in range(len(count)):
        power = rough = 0.0
        close = 0
        for i in range(count[t]):
            here, strength = frequency[t, i], amplitude[t, i]
            power += float(strength) ** 2
            scale = steps * 0.24 / (0.0207 * here + 18.96)
            for k in range(i + 1, count[t]):
                distance = frequency[t, k] - here
                if distance > REACH_HZ:
                    break
                weak, strong = min(strength, amplitude[t, k]), max(strength, amplitude[t, k])
                ratio = weak / strong
                rough += weak * strong * 0.5 * depth[int(ratio * TABLE_STEPS)] * beating[int(distance * scale)]
                close += ratio > 0.1 and distance < NEAR_HZ
        out[t, 0] = rough / (power + 1e-12)
        out[t, 1] = close
