"""How the melody of a passage moves: statistics of its pitch contours, of its predominant line and of its notes.

References
----------
Salamon, J., Rocha, B., Gomez, E. (2012). Musical genre classification using melody features extracted from polyphonic
music signals. ICASSP.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import scipy.fft
from numpy.typing import NDArray

from genre.features.compiled import compiled
from genre.features.contours import LOWEST_HZ, Contours, find_contours
from genre.features.peaks import Peaks, find_peaks, magnitudes

SAMPLE_RATE = 22050
WINDOW_LENGTH = 1024
N_FFT = 4096
HOP_LENGTH = 128
FRAMES_PER_SEC = SAMPLE_RATE / HOP_LENGTH
LOWEST_PEAK_HZ, HIGHEST_PEAK_HZ = 55.0, 6000.0
MOST_PEAKS = 120

VIBRATO_WINDOW = 64  # frames, 0.37 s
VIBRATO_HOP = 16
VIBRATO_FFT = 512
SMOOTHED = 9  # frames whose mean glides are told from

LONG_SEC = 1.0
PITCH_PERCENTILES = (5, 25, 50, 75, 95)
PITCH_EDGES = np.arange(600, 5200, 500)
"""Ends of nine ranges of pitch, in cents above 55 Hz."""
INTERVAL_EDGES = (0, 0.5, 1.5, 2.5, 4.5, 7.5, 11.5, 12.5, 60)
"""Ends of eight ranges of interval, in semitones: repeated, half tone, tone, third, fourth and fifth, ..., octave."""
HARMONIC_EDGES = (700.0, 2000.0)
"""Hz where the middle and the high part of the spectrum begin."""

_PROPERTIES = (
    "duration",
    "height",
    "deviation",
    "range",
    "salience",
    "salience_deviation",
    "salience_total",
    "vibrato_coverage",
    "vibrato_energy",
    "jitter",
    "glide",
    "drift",
)
_MOMENTS = ("mean", "std", "skewness", "kurtosis", "long_mean", "long_std")
_QUANTILES = (10, 50, 90)
_OF_QUANTILES = ("duration", "height", "range", "glide")
MELODY_NAMES: tuple[str, ...] = (
    *(f"melody_{name}_{moment}" for name in _PROPERTIES for moment in _MOMENTS),
    *(f"melody_{name}" for name in ("vibrato_share", "vibrato_share_long_mean", "vibrato_share_long_std")),
    *(
        f"melody_vibrato_{name}{part}_{m}"
        for name in ("rate", "extent")
        for part in ("", "_long")
        for m in _MOMENTS[:2]
    ),
    *(f"melody_{name}_p{quantile}" for quantile in _QUANTILES for name in _OF_QUANTILES),
    *(f"melody_{name}" for name in ("contours_per_sec", "long_contours", "duration_max")),
    *(f"melody_{name}" for name in ("voiced", "voices_mean", "voices_p90")),
    *(f"melody_pitch_p{quantile}" for quantile in PITCH_PERCENTILES),
    "melody_pitch_std",
    *(f"melody_pitch_range{i}" for i in range(1, len(PITCH_EDGES))),
    *(f"melody_{name}" for name in ("notes_per_sec", "interval_mean", "interval_std")),
    *(f"melody_interval_range{i}" for i in range(1, len(INTERVAL_EDGES))),
    *(f"melody_interval_class{i}" for i in range(12)),
    *(f"melody_{which}_pitch_p{quantile}" for quantile in (25, 50, 75) for which in ("second", "fourth")),
    *(f"melody_harmonics_{part}_p{quantile}" for part in ("all", "middle", "high") for quantile in _QUANTILES),
)


@dataclass(frozen=True, slots=True, eq=False)
class Vibrato:
    """Vibrato of each contour, each of shape (n_contours,); 0 where there is none.

    Attributes
    ----------
    coverage
        Share of the windows of 0.37 s that have vibrato.
    rate
        In Hz, the mean over these windows.
    extent
        From the lowest to the highest pitch of a cycle, in cents, the mean over these windows.
    energy
        Median over all windows of the share of movement at 4 to 8.5 Hz, as a ratio of amplitudes.
    """

    coverage: NDArray[np.float64]
    rate: NDArray[np.float64]
    extent: NDArray[np.float64]
    energy: NDArray[np.float64]


def melody(samples: NDArray[np.float32]) -> NDArray[np.float64]:
    """Compute the features of melody, shape (len(MELODY_NAMES),).

    Parameters
    ----------
    samples
        At 22 050 Hz, the largest of size 1, shape (n_samples,) of at least 0.5 s.
    """
    peaks = melody_peaks(samples)
    contours = find_contours(peaks, FRAMES_PER_SEC)
    vibrato = find_vibrato(contours)
    properties = _properties(contours, vibrato)
    line, pitch, voices = _predominant(contours, properties)
    n_sec = samples.size / SAMPLE_RATE
    return np.concatenate(
        [
            _of_contours(properties, vibrato, n_sec),
            _of_line(line, pitch, voices),
            _of_notes(line, properties[:, _PROPERTIES.index("height")], n_sec),
            _second_and_fourth(contours.pitches),
            _of_harmonics(peaks, line, pitch),
        ]
    )


def melody_peaks(samples: NDArray[np.float32]) -> Peaks:
    """Return the spectral peaks that melodies are found from, weighted by how well they are heard."""
    spacing = SAMPLE_RATE / N_FFT
    n_bins = int(HIGHEST_PEAK_HZ / spacing) + 3
    spectrum = magnitudes(samples, WINDOW_LENGTH, N_FFT, HOP_LENGTH, n_bins)
    spectrum *= a_weighting(np.arange(n_bins) * spacing).astype(np.float32)
    return find_peaks(spectrum, spacing, LOWEST_PEAK_HZ, HIGHEST_PEAK_HZ, most=MOST_PEAKS, full_scale=WINDOW_LENGTH / 4)


def a_weighting(frequency: NDArray[np.floating]) -> NDArray[np.float64]:
    """Return the A-weighting of IEC 61672 as a factor of amplitude, about 1 at 1000 Hz.

    Parameters
    ----------
    frequency
        In Hz.
    """
    f2 = frequency**2
    middle = np.sqrt((f2 + 107.7**2) * (f2 + 737.9**2))
    return np.asarray(1.2589 * 12194.0**2 * f2**2 / ((f2 + 20.6**2) * middle * (f2 + 12194.0**2)))


def find_vibrato(contours: Contours) -> Vibrato:
    """Find vibrato: movement at 4 to 8.5 Hz that outweighs all other movement from 1.5 to 25 Hz.

    A window of 0.37 s, freed from its mean and slope, has vibrato when the strongest rate lies between 4 and 8.5 Hz,
    the rates within 2.7 Hz of it hold more than 70 % of the power, and the extent is between 20 and 500 cents.
    """
    owner, windows = _windows(contours)
    n = len(contours.start)
    if not len(windows):
        return Vibrato(*np.zeros((4, n)))
    power = np.abs(scipy.fft.rfft(windows * np.hanning(VIBRATO_WINDOW), VIBRATO_FFT, axis=1)) ** 2
    rates = np.arange(power.shape[1]) * FRAMES_PER_SEC / VIBRATO_FFT
    heard = (rates >= 1.5) & (rates <= 25)
    power, rates = power[:, heard], rates[heard]
    total = power.sum(axis=1) + 1e-9
    rate = rates[power.argmax(axis=1)]
    prominent = (power * (np.abs(rates - rate[:, None]) <= 2.7)).sum(axis=1) > 0.7 * total
    extent = windows.std(axis=1) * math.sqrt(8)
    found = (rate >= 4) & (rate <= 8.5) & prominent & (extent > 20) & (extent < 500)
    energy = np.sqrt(power[:, (rates >= 4) & (rates <= 8.5)].sum(axis=1) / total)
    n_windows, n_found = np.bincount(owner, minlength=n), np.bincount(owner, found, minlength=n)
    mean_rate, mean_extent = (
        np.bincount(owner, found * value, minlength=n) / np.maximum(n_found, 1) for value in (rate, extent)
    )
    return Vibrato(n_found / np.maximum(n_windows, 1), mean_rate, mean_extent, _medians(energy, owner, n_windows))


def _windows(contours: Contours) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Return windows of pitch without mean and slope, shape (n, VIBRATO_WINDOW), and to which contour each belongs."""
    n_windows = np.maximum((contours.length - VIBRATO_WINDOW) // VIBRATO_HOP + 1, 0)
    owner = np.repeat(np.arange(len(n_windows)), n_windows)
    number = np.arange(owner.size) - np.repeat(np.cumsum(n_windows) - n_windows, n_windows)
    first = contours.position[owner] + number * VIBRATO_HOP
    windows = contours.cents[first[:, None] + np.arange(VIBRATO_WINDOW)]
    time = np.arange(VIBRATO_WINDOW) - (VIBRATO_WINDOW - 1) / 2
    windows -= windows.mean(axis=1, keepdims=True)
    windows -= (windows @ time / (time @ time))[:, None] * time
    return owner, windows


def _medians(values: NDArray[np.float64], owner: NDArray[np.int64], count: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return the median of the values of each owner, 0 where it has none; ``owner`` is sorted."""
    ordered = values[np.lexsort((values, owner))]
    first, some = np.cumsum(count) - count, count > 0
    low, high = first + (count - 1) // 2, first + count // 2
    medians = np.zeros(count.size)
    medians[some] = (ordered[low[some]] + ordered[high[some]]) / 2
    return medians


def _properties(contours: Contours, vibrato: Vibrato) -> NDArray[np.float64]:
    """Return the properties of each contour, shape (n_contours, 12); salience relative to the mean of the strongest."""
    salience = contours.salience / (contours.pitches.max(axis=1).mean(dtype=np.float64) + 1e-9)
    moving = np.empty((len(contours.start), 9))
    _describe(contours.cents, salience, contours.position, contours.length, moving)
    height, deviation, extremes, mean, spread, total, jitter, glide, drift = moving.T
    return np.stack(
        [
            contours.length / FRAMES_PER_SEC,
            height,
            deviation,
            extremes,
            mean,
            spread,
            total / FRAMES_PER_SEC,
            vibrato.coverage,
            vibrato.energy,
            jitter * FRAMES_PER_SEC,
            glide * FRAMES_PER_SEC,
            drift,
        ],
        axis=1,
    )


def _of_contours(properties: NDArray[np.float64], vibrato: Vibrato, n_sec: float) -> NDArray[np.float64]:
    """Return statistics over contours, and some over the longest third of them."""
    n = len(properties)
    if n == 0:
        properties, vibrato = np.zeros((1, len(_PROPERTIES))), Vibrato(*np.zeros((4, 1)))
    duration = properties[:, 0]
    longest = np.argsort(-duration, kind="stable")[: max(1, n // 3)]
    moments = np.stack([*_moments(properties), properties[longest].mean(axis=0), properties[longest].std(axis=0)], 1)
    sung = vibrato.coverage > 0
    rates = [
        _mean_and_std(values[some][sung[some]])
        for values in (vibrato.rate, vibrato.extent)
        for some in (slice(None), longest)
    ]
    columns = [_PROPERTIES.index(name) for name in _OF_QUANTILES]
    return np.concatenate(
        [
            moments.ravel(),
            [sung.mean(), sung[longest].mean(), sung[longest].std()],
            *rates,
            np.percentile(properties[:, columns], _QUANTILES, axis=0).ravel(),
            [n / n_sec, duration[duration > LONG_SEC].sum() / n_sec, duration.max()],
        ]
    )


def _moments(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return mean, deviation, skewness and excess kurtosis of each column, shape (4, n); 0 where it does not vary."""
    mean, deviation = values.mean(axis=0), values.std(axis=0)
    varies = deviation > 1e-6 * (np.abs(mean) + 1e-3)
    unit = np.where(varies, (values - mean) / np.where(varies, deviation, 1.0), 0.0)
    return np.stack([mean, deviation, (unit**3).mean(axis=0), np.where(varies, (unit**4).mean(axis=0) - 3.0, 0.0)])


def _mean_and_std(values: NDArray[np.float64]) -> tuple[float, float]:
    return (float(values.mean()), float(values.std())) if values.size else (0.0, 0.0)


def _predominant(
    contours: Contours, properties: NDArray[np.float64]
) -> tuple[NDArray[np.int64], NDArray[np.float64], NDArray[np.int64]]:
    """Return the contour and the pitch in cents of the melody in each frame, and how many contours sound there.

    The melody is the contour of largest total salience among those whose mean salience is not below the mean less 0.2
    deviations of all (Salamon and Gomez 2012, section II.D); contour -1 and pitch 0 where there is none.
    """
    n_frames = len(contours.pitches)
    line, pitch = np.full(n_frames, -1), np.zeros(n_frames)
    best, voices = np.zeros(n_frames), np.zeros(n_frames, np.int64)
    if len(properties):
        salience, total = (
            properties[:, _PROPERTIES.index("salience")],
            properties[:, _PROPERTIES.index("salience_total")],
        )
        audible = salience >= salience.mean() - 0.2 * salience.std()
        places = contours.start, contours.length, contours.position
        _choose(*places, contours.cents, total, audible, line, pitch, best, voices)
    return line, pitch, voices


def _of_line(line: NDArray[np.int64], pitch: NDArray[np.float64], voices: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return how much of the passage has a melody, how many contours sound at once, and how high the melody lies."""
    voiced = line >= 0
    sung = pitch[voiced] if voiced.any() else np.zeros(1)
    return np.concatenate(
        [
            [voiced.mean(), voices.mean(), np.percentile(voices, 90)],
            np.percentile(sung, PITCH_PERCENTILES),
            [sung.std()],
            np.histogram(sung, PITCH_EDGES)[0] / sung.size,
        ]
    )


def _of_notes(line: NDArray[np.int64], height: NDArray[np.float64], n_sec: float) -> NDArray[np.float64]:
    """Return how often the melody goes to another contour, and by which intervals, in semitones."""
    notes = line[np.concatenate([[True], np.diff(line) != 0])]
    notes = notes[notes >= 0]
    interval = np.diff(height[notes]) / 100 if len(notes) > 1 else np.zeros(1)
    size = np.abs(interval)
    classes = np.bincount(np.round(size).astype(np.int64) % 12, minlength=12)
    return np.concatenate(
        [
            [len(notes) / n_sec, size.mean(), interval.std()],
            np.histogram(size, INTERVAL_EDGES)[0] / size.size,
            classes / size.size,
        ]
    )


def _second_and_fourth(pitches: NDArray[np.float32]) -> NDArray[np.float64]:
    """Return quartiles over frames of the salience of the second and fourth pitch relative to the first."""
    ordered = np.sort(pitches, axis=1)[:, ::-1].astype(np.float64)
    ratio = ordered[:, [1, 3]] / (ordered[:, :1] + 1e-9)
    return np.percentile(ratio, (25, 50, 75), axis=0).ravel()


def _of_harmonics(peaks: Peaks, line: NDArray[np.int64], pitch: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return percentiles over frames of the share of the power of the peaks that harmonics of the melody hold."""
    voiced = line >= 0
    fundamental = np.where(voiced, LOWEST_HZ * 2 ** (pitch / 1200), 0.0)
    share = np.zeros((len(line), 3))
    _harmonic_share(peaks.frequency, peaks.amplitude, peaks.count, fundamental, np.array(HARMONIC_EDGES), share)
    return np.percentile(share[voiced] if voiced.any() else np.zeros((1, 3)), _QUANTILES, axis=0).T.ravel()


@compiled
def _describe(
    cents: NDArray[np.float64],
    salience: NDArray[np.float64],
    position: NDArray[np.int64],
    length: NDArray[np.int64],
    out: NDArray[np.float64],
) -> None:
    """Write mean, deviation and range of pitch, mean, deviation and sum of salience, mean step, smooth step, drift."""
    for i in range(len(position)):
        n = length[i]
        pitch, strength = cents[position[i] : position[i] + n], salience[position[i] : position[i] + n]
        step = smooth = 0.0
        for t in range(1, n):
            step += abs(pitch[t] - pitch[t - 1])
        for t in range(SMOOTHED, n):
            smooth += abs(pitch[t] - pitch[t - SMOOTHED]) / SMOOTHED
        out[i, 0], out[i, 1], out[i, 2] = pitch.mean(), pitch.std(), pitch.max() - pitch.min()
        out[i, 3], out[i, 4], out[i, 5] = strength.mean(), strength.std(), strength.sum()
        out[i, 6] = step / max(n - 1, 1)
        out[i, 7] = smooth / max(n - SMOOTHED, 1)
        out[i, 8] = pitch[n - 1] - pitch[0]


@compiled
def _choose(  # noqa: PLR0917  numba passes by position
    start: NDArray[np.int64],
    length: NDArray[np.int64],
    position: NDArray[np.int64],
    cents: NDArray[np.float64],
    total: NDArray[np.float64],
    audible: NDArray[np.bool_],
    line: NDArray[np.int64],
    pitch: NDArray[np.float64],
    best: NDArray[np.float64],
    voices: NDArray[np.int64],
) -> None:
    for i in range(len(start)):
        for n in range(length[i]):
            t = start[i] + n
            voices[t] += 1
            if audible[i] and total[i] > best[t]:
                line[t], pitch[t], best[t] = i, cents[position[i] + n], total[i]


@compiled
def _harmonic_share(  # noqa: PLR0917  numba passes by position
    frequency: NDArray[np.float32],
    amplitude: NDArray[np.float32],
    count: NDArray[np.int64],
    fundamental: NDArray[np.float64],
    edges: NDArray[np.float64],
    share: NDArray[np.float64],
) -> None:
    """Write the share of power in harmonics of all peaks, of those between the two edges, and of those above both."""
    explained, power = np.empty(3), np.empty(3)
    for t in range(frequency.shape[0]):
        if fundamental[t] <= 0:
            continue
        explained[:] = 0.0
        power[:] = 0.0
        for i in range(count[t]):
            harmonic = frequency[t, i] / fundamental[t]
            number = max(1.0, round(harmonic))
            near = harmonic > 0.5 and abs(1200.0 * math.log2(harmonic / number)) < 35
            if number > 12:  # where 35 cents would reach every peak
                near = abs(harmonic - number) < 0.2
            part = 0 if frequency[t, i] < edges[0] else (1 if frequency[t, i] < edges[1] else 2)
            energy = float(amplitude[t, i]) ** 2
            power[0] += energy
            explained[0] += energy * near
            if part > 0:
                power[part] += energy
                explained[part] += energy * near
        for part in range(3):
            if power[part] > 0:
                share[t, part] = explained[part] / power[part]
