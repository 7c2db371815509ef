"""Global tempo from the autocorrelation of onset strength."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import scipy.fft
from numpy.typing import NDArray

from genre.features.compiled import compiled
from genre.features.scratch import scratch

_WINDOW_SEC = 8.0  # of onset strength correlated with itself
_START_BPM = 120.0  # the tempo expected beforehand; each octave away from it costs a standard deviation
_MAX_BPM = 320.0
_FRAMES_AT_ONCE = 32


def onset_strength(level: NDArray[np.float32], delay: int) -> NDArray[np.float32]:
    """Return the median rise of the mel levels from frame to frame, later by ``delay`` frames.

    Parameters
    ----------
    level
        Mel levels in dB, shape (n_mels, n_frames).
    delay
        How many frames later a rise is written down, so that it stands where the window reached it.

    Returns
    -------
    strength
        In dB, shape (n_frames,); zero in the first 1 + ``delay`` frames.
    """
    strength = np.zeros(level.shape[1], dtype=np.float32)
    n_rises = strength.size - 1 - delay
    if n_rises > 0:
        frames = np.ascontiguousarray(level.T)
        rises = np.diff(frames, axis=0)
        rises = np.sort(np.maximum(rises, np.float32(0.0), out=rises), axis=1)
        middle = level.shape[0] // 2
        median = (rises[:, middle] + rises[:, middle - 1 + level.shape[0] % 2]) / np.float32(2.0)
        strength[1 + delay :] = median[:n_rises]
    return strength


def tempo(strength: NDArray[np.float32], sample_rate: int, hop_length: int) -> float:
    """Estimate the tempo in beats a minute; 0 when nothing ever starts.

    The onset strength in a window of 8 s around each frame is correlated with itself, scaled to 1 at lag 0 and averaged
    over frames; the lag whose average, weighted by a log-normal preference for 120 a minute, is largest is the beat.
    Both ends are extended by ramps to zero.

    References
    ----------
    Ellis, D. P. W. (2007). Beat tracking by dynamic programming. Journal of New Music Research 36(1).
    Grosche, P., Mueller, M., Kurth, F. (2010). Cyclic tempogram. ICASSP.
    """
    if not strength.any():
        return 0.0
    window, beats_per_minute, preference = _lags(sample_rate, hop_length)
    correlation = _mean_autocorrelation(_with_ramps(strength, window.size // 2), window, strength.size)
    return float(beats_per_minute[np.argmax(np.log1p(1e6 * correlation) + preference)])


def _mean_autocorrelation(
    extended: NDArray[np.float32], window: NDArray[np.float64], n_frames: int
) -> NDArray[np.float64]:
    """Return the mean over frames of the autocorrelation at lags 0 .. window.size - 1, each scaled to 1 at lag 0.

    Sums and the inverse transform commute, so only the mean power spectrum is transformed back.
    """
    size = scipy.fft.next_fast_len(2 * window.size - 1, real=True)
    frames = scratch("onset_frames", (_FRAMES_AT_ONCE, size), np.float64)
    transformed = scratch("onset_spectra", (_FRAMES_AT_ONCE, size // 2 + 1), np.complex128)
    energy = np.empty(_FRAMES_AT_ONCE)
    mean_power = np.zeros(size // 2 + 1)
    for first in range(0, n_frames, _FRAMES_AT_ONCE):
        n = min(_FRAMES_AT_ONCE, n_frames - first)
        _window_frames(extended, window, first, frames[:n], energy)
        _add_power(np.fft.rfft(frames[:n], axis=-1, out=transformed[:n]), energy, mean_power)
    return np.fft.irfft(mean_power / n_frames, n=size)[: window.size]


def _with_ramps(strength: NDArray[np.float32], length: int) -> NDArray[np.float32]:
    """Extend both ends by straight lines of ``length`` frames down to zero."""
    ramp = np.linspace(0.0, 1.0, length, endpoint=False)
    extended = np.concatenate([strength[0] * ramp, strength, (strength[-1] * ramp)[::-1]])
    return extended.astype(np.float32)


@lru_cache(maxsize=8)
def _lags(sample_rate: int, hop_length: int) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Return the window, and for each lag the tempo in beats a minute and its log preference."""
    size = int(_WINDOW_SEC * sample_rate) // hop_length
    window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(size) / size)
    beats_per_minute = np.empty(size)
    beats_per_minute[0] = np.inf
    beats_per_minute[1:] = 60.0 * sample_rate / (hop_length * np.arange(1.0, size))
    preference = -0.5 * (np.log2(beats_per_minute) - np.log2(_START_BPM)) ** 2
    preference[: np.argmax(beats_per_minute < _MAX_BPM)] = -np.inf
    return window, beats_per_minute, preference


@compiled
def _window_frames(
    extended: NDArray[np.float32],
    window: NDArray[np.float64],
    first: int,
    frames: NDArray[np.float64],
    energy: NDArray[np.float64],
) -> None:
    """Write the windowed frames ``first``, ``first + 1``, ..., padded with zeros, and their energies."""
    for row in range(frames.shape[0]):
        frame, samples = frames[row, : window.size], extended[first + row : first + row + window.size]
        frames[row, window.size :] = 0.0
        for i in range(window.size):
            frame[i] = samples[i] * window[i]
        total = 0.0
        for i in range(window.size):
            total += frame[i] * frame[i]
        energy[row] = total


@compiled
def _add_power(spectra: NDArray[np.complex128], energy: NDArray[np.float64], power: NDArray[np.float64]) -> None:
    """Add the power spectra, each divided by the energy of its frame; frames without energy add nothing."""
    for row in range(spectra.shape[0]):
        if energy[row] > 0.0:
            spectrum, scale = spectra[row], 1.0 / energy[row]
            for k in range(power.size):
                power[k] += scale * (spectrum[k].real * spectrum[k].real + spectrum[k].imag * spectrum[k].imag)
