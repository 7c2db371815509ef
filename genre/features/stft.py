"""Short-time Fourier transform of one clip, with the values of :func:`librosa.stft` for float32 samples.

Frames are centred on multiples of the hop, the clip is padded with zeros, the window is periodic Hann. Frames are
windowed and transformed in double precision and rounded to single precision afterwards.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from genre.features.compiled import LANES, compiled, round_up
from genre.features.scratch import scratch

# Frames transformed together: few enough for the second-level cache, enough to make calls cheap; a multiple of LANES.
FRAMES_AT_ONCE = 32


@dataclass(frozen=True, slots=True, eq=False)
class Spectra:
    """The short-time spectra of one clip.

    Attributes
    ----------
    stft
        complex64, shape (n_frames, n_fft // 2 + 1).
    by_frame
        Magnitudes, float32, shape (n_frames, bins rounded up to whole vectors); the padding is zero.
    by_bin
        The same magnitudes transposed, shape (bins, n_frames rounded up to whole vectors); the padding is zero.
    """

    stft: NDArray[np.complex64]
    by_frame: NDArray[np.float32]
    by_bin: NDArray[np.float32]

    @property
    def n_frames(self) -> int:
        """Number of frames, without the padding."""
        return len(self.stft)

    @property
    def n_bins(self) -> int:
        """Number of frequency bins, without the padding."""
        return len(self.by_bin)


def count_frames(n_samples: int, hop_length: int) -> int:
    """Return how many centred frames a clip of ``n_samples`` has."""
    return 1 + n_samples // hop_length


@lru_cache(maxsize=16)
def hann(size: int) -> NDArray[np.float64]:
    """Return the periodic Hann window of ``size`` samples: 0.5 - 0.5 cos(2 pi n / size)."""
    window: NDArray[np.float64] = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(size) / size)
    window.flags.writeable = False
    return window


def spectra(clip: NDArray[np.float32], n_fft: int, hop_length: int) -> Spectra:
    """Transform one clip, shape (n_samples,).

    Returns
    -------
    Spectra
        1 + n_samples // hop_length frames of n_fft // 2 + 1 bins, in memory that the next call in this thread
        overwrites.
    """
    frames, bins = count_frames(clip.size, hop_length), n_fft // 2 + 1
    stft = scratch("stft", (frames, bins), np.complex64)
    by_frame = scratch("by_frame", (frames, round_up(bins, LANES)), np.float32)
    by_bin = _by_bin(bins, frames)
    by_frame[:, bins:] = 0.0
    for first, transformed in _transformed(clip, n_fft, hop_length):
        some = slice(first, first + len(transformed))
        stft[some] = transformed
        np.abs(stft[some], out=by_frame[some, :bins])
        _transpose_into(by_frame[some], by_bin, first)
    return Spectra(stft, by_frame, by_bin)


def magnitudes(clip: NDArray[np.float32], n_fft: int, hop_length: int) -> NDArray[np.float32]:
    """Return :attr:`Spectra.by_bin` of one clip, in memory that the next call in this thread overwrites."""
    bins = n_fft // 2 + 1
    single = scratch("single", (FRAMES_AT_ONCE, bins), np.complex64)
    rows = scratch("rows", (FRAMES_AT_ONCE, bins), np.float32)
    by_bin = _by_bin(bins, count_frames(clip.size, hop_length))
    for first, transformed in _transformed(clip, n_fft, hop_length):
        n = len(transformed)
        single[:n] = transformed
        np.abs(single[:n], out=rows[:n])
        _transpose_into(rows[:n], by_bin, first)
    return by_bin


def _by_bin(bins: int, frames: int) -> NDArray[np.float32]:
    by_bin: NDArray[np.float32] = scratch("by_bin", (bins, round_up(frames, LANES)), np.float32)
    by_bin[:, frames:] = 0.0
    return by_bin


def _transformed(
    clip: NDArray[np.float32], n_fft: int, hop_length: int
) -> Iterator[tuple[int, NDArray[np.complex128]]]:
    """Yield the number of a frame, and the transforms of this and some following frames."""
    frames, window = count_frames(clip.size, hop_length), hann(n_fft)
    windowed = scratch("windowed", (FRAMES_AT_ONCE, n_fft), np.float64)
    transformed = scratch("transformed", (FRAMES_AT_ONCE, n_fft // 2 + 1), np.complex128)
    for first in range(0, frames, FRAMES_AT_ONCE):
        n = min(FRAMES_AT_ONCE, frames - first)
        _window_frames(clip, window, hop_length, first, windowed[:n])
        yield first, np.fft.rfft(windowed[:n], axis=-1, out=transformed[:n])


@compiled
def _window_frames(
    clip: NDArray[np.float32],
    window: NDArray[np.float64],
    hop_length: int,
    first: int,
    out: NDArray[np.float64],
) -> None:
    """Write the windowed frames ``first``, ``first + 1``, ... of the zero-padded clip to the rows of ``out``."""
    for row in range(out.shape[0]):
        start = (first + row) * hop_length - window.size // 2
        low = min(max(0, -start), window.size)
        high = max(low, min(window.size, clip.size - start))
        frame = out[row]
        frame[:low] = 0.0
        frame[high:] = 0.0
        inside, samples, weights = frame[low:high], clip[start + low : start + high], window[low:high]
        for i in range(inside.size):
            inside[i] = samples[i] * weights[i]


@compiled
def _transpose_into(rows: NDArray[np.float32], out: NDArray[np.float32], first: int) -> None:
    """Write ``rows`` (frames, bins) to the columns ``first``, ``first + 1``, ... of ``out`` (bins, frames)."""
    frames, bins = rows.shape[0], out.shape[0]
    for start in range(0, frames, 8):
        if frames - start >= 8:
            for k in range(bins):
                column = out[k, first + start : first + start + 8]
                for t in range(8):
                    column[t] = rows[start + t, k]
        else:
            for k in range(bins):
                for t in range(start, frames):
                    out[k, first + t] = rows[t, k]
