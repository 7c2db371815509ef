"""How the level of a passage moves: crest factors, ranges of level, traces of a limiter, modulation of its envelope."""

from __future__ import annotations

import functools
import itertools
import math

import numpy as np
import scipy.fft
from numpy.typing import NDArray

from genre.features.compiled import compiled

SAMPLE_RATE = 22050
BANDS: dict[str, tuple[float, float]] = {"low": (0.0, 200.0), "mid": (300.0, 2000.0), "high": (2500.0, 8000.0)}
"""Passed by Butterworth filters of order 4, in Hz."""

BLOCK = 441  # samples, 20 ms: longer windows are whole numbers of them
WINDOWS_MS = (20, 200, 3000)
PEAK_BLOCKS = 5  # 100 ms
LEVELS = (5, 25, 50, 75, 95, 99.5)
SPANS: dict[str, tuple[int, int]] = {"p95_p5": (4, 0), "p50_p5": (2, 0), "p99_p50": (5, 2), "p75_p25": (3, 1)}
"""Pairs of ``LEVELS``, the higher one first."""

NEAR_DB = (0.5, 1.0, 2.0, 3.0, 6.0, 10.0)
ENVELOPE_BANDS = ("mid", "high")
ENVELOPE_STEP = 22  # samples: envelopes at 1002 Hz
ENVELOPE_FRAME = 512
ENVELOPE_EDGES = (4.0, 16.0, 40.0, 100.0, 250.0)
"""Ends of the bands of modulation frequency, in Hz."""

FLOOR = 1e-6  # of the highest sample: what is added before a logarithm

_SPREADS = tuple(f"crest_{ms}ms_{statistic}" for ms in WINDOWS_MS for statistic in ("mean", "std"))
_RANGES = tuple(f"range_{ms}ms_{span}" for ms in WINDOWS_MS[:2] for span in SPANS)
_SHAPES = ("kurtosis", "mean_absolute", "skewness", "peak")
_RATES = tuple(f"{low:g}_{high:g}hz" for low, high in itertools.pairwise(ENVELOPE_EDGES))
CREST_NAMES: tuple[str, ...] = (
    *(f"level_{name}_{band}" for band in ("full", *BANDS) for name in (*_SPREADS, *_RANGES, *_SHAPES)),
    *(f"level_within_{decibels:g}db".replace(".", "_") for decibels in NEAR_DB),
    *(f"level_peaks_{span}" for span in ("p99_p50", "p90_p50", "p50_p10")),
    *(f"level_modulation_{rate}_{band}" for band in ENVELOPE_BANDS for rate in _RATES),
)


def crest(samples: NDArray[np.float32]) -> NDArray[np.float64]:
    """Compute the features of level, shape (len(CREST_NAMES),).

    Parameters
    ----------
    samples
        At 22 050 Hz, the largest of size 1, shape (n_samples,) of at least 0.5 s.
    """
    bands = {"full": samples, **{band: _filtered(samples, _band_filter(band)) for band in BANDS}}
    return np.concatenate(
        [
            *(_of_band(band) for band in bands.values()),
            _limiting(samples),
            *(_envelope_modulation(bands[band]) for band in ENVELOPE_BANDS),
        ]
    )


def _of_band(samples: NDArray[np.float32]) -> NDArray[np.float64]:
    """Return crest factors and ranges of level in dB, and the shape of the distribution of samples."""
    sums, largest = _blocks(samples)
    crests, ranges = [], []
    for ms in WINDOWS_MS:
        n = min(ms // WINDOWS_MS[0], len(largest))  # a short passage is one window
        rms = np.sqrt(_by(sums[1], n).sum(axis=1) / (n * BLOCK))
        factor = _decibels(_by(largest, n).max(axis=1)) - _decibels(rms)
        crests += [factor.mean(), factor.std()]
        if ms != WINDOWS_MS[-1]:
            level = np.percentile(_decibels(rms), LEVELS)
            ranges += [level[high] - level[low] for high, low in SPANS.values()]
    mean_absolute, square, cube, fourth = sums.sum(axis=1) / (BLOCK * len(largest))
    deviation = math.sqrt(square) + 1e-9
    shape = [
        math.log(fourth / deviation**4 + FLOOR),
        mean_absolute / deviation,
        abs(cube) / deviation**3,
        float(_decibels(largest.max() / deviation)),
    ]
    return np.array([*crests, *ranges, *shape])


def _limiting(samples: NDArray[np.float32]) -> NDArray[np.float64]:
    """Return how often samples come near the highest one, as logarithms, and how alike the peaks of 100 ms are, in dB.

    A limiter lets many samples come near the highest and makes peaks alike.
    """
    thresholds = (10 ** (-np.array(NEAR_DB) / 20)).astype(np.float32)
    near = np.log10(_share_above(samples, thresholds) + FLOOR)
    peaks = _decibels(_by(_blocks(samples)[1], PEAK_BLOCKS).max(axis=1))
    p10, p50, p90, p99 = np.percentile(peaks, (10, 50, 90, 99))
    return np.array([*near, p99 - p50, p90 - p50, p50 - p10])


def _envelope_modulation(band: NDArray[np.float32]) -> NDArray[np.float64]:
    """Return log10 of the power of an envelope at rates from 4 to 250 Hz over its steady power; medians over frames."""
    envelope = _filtered(np.abs(band), _envelope_filter())[::ENVELOPE_STEP]
    if envelope.size < ENVELOPE_FRAME:
        envelope = np.pad(envelope, (0, ENVELOPE_FRAME - envelope.size), mode="mean")
    frames = np.lib.stride_tricks.sliding_window_view(envelope, ENVELOPE_FRAME)[:: ENVELOPE_FRAME // 2]
    steady = frames.mean(axis=1, keepdims=True)
    spectrum = scipy.fft.rfft((frames - steady) * np.hanning(ENVELOPE_FRAME).astype(np.float32), axis=1)
    power = spectrum.real**2 + spectrum.imag**2
    rate = np.arange(power.shape[1]) * SAMPLE_RATE / (ENVELOPE_STEP * ENVELOPE_FRAME)
    edges = np.searchsorted(rate, ENVELOPE_EDGES)
    bands = np.add.reduceat(power, edges, axis=1)[:, :-1]
    relative = bands / (steady**2 * (ENVELOPE_FRAME**2 / 4) + 1e-12)
    return np.asarray(np.median(np.log10(relative + FLOOR), axis=0))


def _decibels(amplitude: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(20 * np.log10(amplitude + FLOOR))


def _by(values: NDArray[np.float64], n: int) -> NDArray[np.float64]:
    """Return values in groups of ``n``, shape (len(values) // n, n); what is left at the end is dropped."""
    return values[: len(values) // n * n].reshape(-1, n)


@functools.cache
def _band_filter(band: str) -> NDArray[np.float64]:
    from scipy.signal import butter

    low, high = BANDS[band]
    edges, kind = (high, "lowpass") if low == 0 else ((low, high), "bandpass")
    return np.asarray(butter(4, edges, kind, fs=SAMPLE_RATE, output="sos"))


@functools.cache
def _envelope_filter() -> NDArray[np.float64]:
    from scipy.signal import butter

    return np.asarray(butter(2, 300.0, "lowpass", fs=SAMPLE_RATE, output="sos"))


def _filtered(samples: NDArray[np.float32], sections: NDArray[np.float64]) -> NDArray[np.float32]:
    filtered = np.empty_like(samples)
    _cascade(samples, sections, filtered)
    return filtered


def _blocks(samples: NDArray[np.float32]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return sums of the absolute, second, third and fourth powers, shape (4, n), and the largest size, of blocks."""
    n = samples.size // BLOCK
    sums, largest = np.empty((4, n)), np.empty(n)
    _sum_blocks(samples, sums, largest)
    return sums, largest


@compiled
def _cascade(samples: NDArray[np.float32], sections: NDArray[np.float64], out: NDArray[np.float32]) -> None:
    """Filter by second-order sections, each in transposed direct form II."""
    state = np.zeros((len(sections), 2))
    for i in range(samples.size):
        value = float(samples[i])
        for j in range(len(sections)):
            b0, b1, b2, _, a1, a2 = sections[j]
            result = b0 * value + state[j, 0]
            state[j, 0] = b1 * value - a1 * result + state[j, 1]
            state[j, 1] = b2 * value - a2 * result
            value = result
        out[i] = value


@compiled
def _sum_blocks(samples: NDArray[np.float32], sums: NDArray[np.float64], largest: NDArray[np.float64]) -> None:
    for block in range(largest.size):
        first = second = third = fourth = highest = 0.0
        for value in samples[block * BLOCK : (block + 1) * BLOCK]:
            size = abs(float(value))
            square = size * size
            first += size
            second += square
            third += square * value
            fourth += square * square
            highest = max(highest, size)
        sums[0, block], sums[1, block], sums[2, block], sums[3, block] = first, second, third, fourth
        largest[block] = highest


@compiled
def _share_above(samples: NDArray[np.float32], thresholds: NDArray[np.float32]) -> NDArray[np.float64]:
    """Return the share of samples whose size exceeds each threshold."""
    share = np.zeros(thresholds.size)
    for i in range(thresholds.size):
        n = 0
        for value in samples:
            n += abs(value) > thresholds[i]
        share[i] = n / samples.size
    return share
