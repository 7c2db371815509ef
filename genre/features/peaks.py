"""Spectral peaks of a passage of music, frame by frame: what melodies and partials are found from."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import scipy.fft
from numpy.typing import NDArray

from genre.features.compiled import compiled
from genre.features.stft import hann

FRAMES_AT_ONCE = 64  # few enough for the second-level cache
DROP = 0.01  # a peak 40 dB below the strongest of its frame is left out
SILENCE = 1e-6  # of the magnitude of a tone of full scale: below it a frame has no peaks


@dataclass(frozen=True, slots=True, eq=False)
class Peaks:
    """The peaks of each frame, from low to high.

    Attributes
    ----------
    frequency
        In Hz, float32, shape (n_frames, most peaks a frame may have).
    amplitude
        float32, same shape: magnitude at the top of the peak.
    count
        How many peaks each frame has, shape (n_frames,).
    """

    frequency: NDArray[np.float32]
    amplitude: NDArray[np.float32]
    count: NDArray[np.int64]


def magnitudes(
    samples: NDArray[np.float32], window_length: int, n_fft: int, hop_length: int, n_bins: int
) -> NDArray[np.float32]:
    """Return the magnitudes of the lowest bins of a zero-padded Fourier transform, in single precision.

    Parameters
    ----------
    samples
        shape (n_samples,).
    window_length
        Samples of the Hann window, centred on multiples of the hop; silence is supposed beyond both ends.
    n_fft
        Length of the transform, at least ``window_length``.
    hop_length
        Samples between frames.
    n_bins
        How many bins are wanted.

    Returns
    -------
    magnitudes
        shape (1 + n_samples // hop_length, n_bins); a tone of full scale has ``window_length`` / 4.
    """
    window = hann(window_length).astype(np.float32)
    padded = np.pad(samples, window_length // 2)
    frames = np.lib.stride_tricks.sliding_window_view(padded, window_length)[::hop_length]
    result = np.empty((len(frames), n_bins), np.float32)
    for first in range(0, len(frames), FRAMES_AT_ONCE):
        some = slice(first, first + FRAMES_AT_ONCE)
        _absolute(scipy.fft.rfft(frames[some] * window, n=n_fft, axis=1, workers=1), result[some])
    return result


def find_peaks(
    spectrum: NDArray[np.float32], spacing: float, lowest: float, highest: float, *, most: int, full_scale: float
) -> Peaks:
    """Find the peaks of magnitude spectra and refine them by a parabola through three logarithms.

    Parameters
    ----------
    spectrum
        Magnitudes, shape (n_frames, n_bins).
    spacing
        Hz from bin to bin.
    lowest, highest
        Where to look, in Hz.
    most
        How many peaks to keep of each frame, the lowest first.
    full_scale
        Magnitude of a tone of full scale.

    References
    ----------
    Smith, J. O. Spectral audio signal processing: quadratic interpolation of spectral peaks.
    """
    shape = len(spectrum), most
    peaks = Peaks(np.zeros(shape, np.float32), np.zeros(shape, np.float32), np.zeros(len(spectrum), np.int64))
    low, high = max(2, int(lowest / spacing)), min(spectrum.shape[1] - 2, int(highest / spacing))
    _find_peaks(spectrum, spacing, low, high, SILENCE * full_scale, peaks.frequency, peaks.amplitude, peaks.count)
    return peaks


@compiled
def _absolute(spectrum: NDArray[np.complex64], out: NDArray[np.float32]) -> None:
    for t in range(out.shape[0]):
        row, target = spectrum[t, : out.shape[1]], out[t]
        for k in range(target.size):
            target[k] = math.sqrt(row[k].real * row[k].real + row[k].imag * row[k].imag)


@compiled
def _find_peaks(  # noqa: PLR0917  numba passes by position
    spectrum: NDArray[np.float32],
    spacing: float,
    low: int,
    high: int,
    silence: float,
    frequency: NDArray[np.float32],
    amplitude: NDArray[np.float32],
    count: NDArray[np.int64],
) -> None:
    for t in range(spectrum.shape[0]):
        magnitude = spectrum[t]
        top = np.float32(0.0)
        for k in range(low, high):
            top = max(top, magnitude[k])
        threshold, n = top * np.float32(DROP), 0
        if top <= silence:
            continue
        for k in range(low, high):
            here = magnitude[k]
            if here > threshold and here > magnitude[k - 1] and here >= magnitude[k + 1] and n < frequency.shape[1]:
                before, middle = math.log(magnitude[k - 1] + 1e-12), math.log(here)
                after = math.log(magnitude[k + 1] + 1e-12)
                curvature = before - 2 * middle + after
                offset = 0.5 * (before - after) / curvature if curvature < -1e-9 else 0.0
                frequency[t, n] = (k + offset) * spacing
                amplitude[t, n] = math.exp(middle - 0.25 * (before - after) * offset)
                n += 1
        count[t] = n
