"""Harmonic and percussive parts of a clip by median filtering of its spectra."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from genre.features.compiled import LANES, compiled, round_up
from genre.features.median import GROUP, running_median
from genre.features.scratch import scratch
from genre.features.stft import FRAMES_AT_ONCE, Spectra, hann

_TINY = np.float32(np.finfo(np.float32).tiny)  # where both medians are below it, the parts share equally
_HALF, _ONE = np.float32(0.5), np.float32(1.0)


def harmonic(spectra: Spectra, n_samples: int, hop_length: int) -> NDArray[np.float32]:
    """Return the harmonic part of a clip; the percussive part is what is left of the clip.

    Steady sounds are lines along time: a median over 31 frames keeps them (H). Beats are lines along frequency: a
    median over 31 bins keeps those (P). Each bin is multiplied by H^2 / (H^2 + P^2), and the spectra are turned back
    into sound. Because the two masks sum to one, the percussive part is the clip minus the harmonic part.

    Parameters
    ----------
    spectra
        The spectra of the clip.
    n_samples
        Length of the clip.
    hop_length
        Samples between its frames.

    Returns
    -------
    harmonic
        shape (n_samples,), in memory that the next call in this thread overwrites.

    References
    ----------
    Fitzgerald, D. (2010). Harmonic/percussive separation using median filtering. DAFx-10.
    """
    n_fft = 2 * (spectra.n_bins - 1)
    window = hann(n_fft).astype(np.float32)
    padded = scratch("overlapped", (n_samples + 2 * n_fft,), np.float32)
    padded[:] = 0.0
    sound = scratch("sound", (FRAMES_AT_ONCE, n_fft), np.float32)
    for first in range(0, spectra.n_frames, FRAMES_AT_ONCE):
        masked = _masked(spectra, first, min(first + FRAMES_AT_ONCE, spectra.n_frames))
        frames = sound[: len(masked)]
        np.fft.irfft(masked, n=n_fft, axis=-1, out=frames)
        _overlap_add(frames, window, first * hop_length, hop_length, padded)
    part = padded[n_fft // 2 : n_fft // 2 + n_samples]
    part /= _window_power(n_fft, hop_length, n_samples)
    return part


def _masked(spectra: Spectra, first: int, stop: int) -> NDArray[np.complex64]:
    """Return the harmonic spectra of some frames, shape (stop - first, bins)."""
    n, width = stop - first, spectra.by_frame.shape[1]
    steady = scratch("steady", (round_up(n, GROUP), width), np.float32)
    beats = scratch("beats", (round_up(spectra.n_bins, GROUP), round_up(n, LANES)), np.float32)
    tile = scratch("tile", (LANES, spectra.n_bins), np.float32)
    masked: NDArray[np.complex64] = scratch("masked", (n, spectra.n_bins), np.complex64)
    running_median(spectra.by_frame, first, 0, steady)
    running_median(spectra.by_bin, 0, first, beats)
    _mask(spectra.stft[first:stop], steady, beats, tile, masked)
    return masked


@lru_cache(maxsize=4)
def _window_power(n_fft: int, hop_length: int, n_samples: int) -> NDArray[np.float32]:
    """Return the summed squares of all windows that cover each sample; 1 where none does."""
    total = np.zeros(n_samples + 2 * n_fft, dtype=np.float32)
    frames = np.ones((1 + n_samples // hop_length, n_fft), dtype=np.float32)
    _overlap_add(frames, (hann(n_fft) ** 2).astype(np.float32), 0, hop_length, total)
    total = total[n_fft // 2 : n_fft // 2 + n_samples]
    return np.where(total > _TINY, total, _ONE)


@compiled
def _mask(
    stft: NDArray[np.complex64],
    steady: NDArray[np.float32],
    beats: NDArray[np.float32],
    tile: NDArray[np.float32],
    out: NDArray[np.complex64],
) -> None:
    """Multiply spectra by the harmonic mask; all are (frames, bins) but ``beats``, which is (bins, frames)."""
    frames, bins = out.shape
    for start in range(0, frames, 8):
        for k in range(bins):
            for t in range(8):
                tile[t, k] = beats[k, start + t]
        for t in range(min(8, frames - start)):
            for k in range(bins):
                h, p = steady[start + t, k], tile[t, k]
                largest = h if h > p else p
                audible = largest >= _TINY
                divisor = largest if audible else _ONE
                h, p = h / divisor, p / divisor
                h, p = h * h, p * p
                out[start + t, k] = (h / (h + p) if audible else _HALF) * stft[start + t, k]


@compiled
def _overlap_add(
    frames: NDArray[np.float32],
    window: NDArray[np.float32],
    start: int,
    hop_length: int,
    out: NDArray[np.float32],
) -> None:
    for t in range(frames.shape[0]):
        frame = frames[t]
        target = out[start + t * hop_length : start + t * hop_length + window.size]
        for i in range(window.size):
            target[i] += window[i] * frame[i]
