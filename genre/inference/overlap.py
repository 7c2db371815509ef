"""Changing sound frame by frame in the frequency domain, as it comes in: windowed overlap-add."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from genre.checks import is_whole
from genre.errors import ConfigError
from genre.features.stft import hann

Spectrum = NDArray[np.complex128]


class OverlapAdd:
    """Applies a function to the spectrum of every frame and adds the frames up again.

    A frame is weighted with the square root of the periodic Hann window before its transform and after it, so that
    spectra that are left alone give the sound that came in (error below 1e-12). The first frame ends ``hop_length``
    samples after the start: every sample lies in ``n_fft / hop_length`` frames, and there is no fading in.

    What comes out has the same time as what went in, and comes later by at most :attr:`delay` samples. It does not
    depend on the pieces in which the sound came.

    Parameters
    ----------
    n_fft
        Samples of a frame.
    hop_length
        Samples from frame to frame; a divisor of ``n_fft``, at most half of it.
    change
        Called with the spectrum of each frame in turn, shape (n_fft // 2 + 1,); returns the one to put in its place.

    Raises
    ------
    ConfigError
        If frame and hop do not go together.
    """

    def __init__(self, n_fft: int, hop_length: int, change: Callable[[Spectrum], Spectrum]) -> None:
        check_frames(n_fft, hop_length)
        self.n_fft = n_fft
        self.hop_length = hop_length
        self._change = change
        self._window = np.sqrt(hann(n_fft))
        self._synthesis = self._window * (2 * hop_length / n_fft)  # the Hann windows add up to n_fft / (2 hop)
        self._input = np.zeros(n_fft - hop_length)
        self._sum = np.zeros(n_fft)
        self._n_in = 0
        self._n_out = -(n_fft - hop_length)

    @property
    def delay(self) -> int:
        """Samples by which the output may lag behind the input."""
        return self.n_fft - 1

    def process(self, samples: NDArray[np.float32]) -> NDArray[np.float32]:
        """Take some more samples, shape (n,), and return those that are finished."""
        self._n_in += len(samples)
        self._input = np.concatenate([self._input, samples])
        n_frames = max(0, (len(self._input) - self.n_fft) // self.hop_length + 1)
        finished = np.concatenate([np.zeros(0), *(self._frame(number) for number in range(n_frames))])
        self._input = self._input[n_frames * self.hop_length :]
        early = min(max(0, -self._n_out), len(finished))  # before the first sample: what the first frames reach back to
        self._n_out += len(finished)
        return finished[early:].astype(np.float32)

    def flush(self) -> NDArray[np.float32]:
        """Return the rest, as if silence followed; nothing may be processed afterwards."""
        missing = self._n_in - max(0, self._n_out)
        n_in, rest = self._n_in, self.process(np.zeros(self.n_fft, np.float32))
        self._n_in = n_in
        return rest[:missing]

    def _frame(self, number: int) -> NDArray[np.float64]:
        """Change one frame of the input and return the samples it finishes."""
        first = number * self.hop_length
        spectrum: Spectrum = np.fft.rfft(self._input[first : first + self.n_fft] * self._window)
        self._sum += np.fft.irfft(self._change(spectrum), self.n_fft) * self._synthesis
        finished = self._sum[: self.hop_length].copy()
        self._sum = np.concatenate([self._sum[self.hop_length :], np.zeros(self.hop_length)])
        return finished


def check_frames(n_fft: int, hop_length: int) -> None:
    """Raise ConfigError if frame and hop do not go together."""
    whole = is_whole(n_fft, 4) and is_whole(hop_length, 1)
    if not whole or n_fft % hop_length or n_fft < 2 * hop_length or n_fft % 2:
        raise ConfigError(
            f"denoise.n_fft={n_fft} and denoise.hop_length={hop_length} do not go together; choose an even n_fft that "
            "is a multiple of hop_length and at least twice as long, such as 768 and 192"
        )


def mean_magnitude(samples: NDArray[np.float32], n_fft: int, hop_length: int) -> NDArray[np.float64]:
    """Return the mean magnitude of the frames that :class:`OverlapAdd` makes, shape (n_fft // 2 + 1,).

    Parameters
    ----------
    samples : shape=(n,)
        Sound; only frames that lie wholly in it count, so it has to be as long as one.
    """
    frames = np.lib.stride_tricks.sliding_window_view(samples.astype(np.float64), n_fft)[::hop_length]
    window = np.sqrt(hann(n_fft))
    total = sum(np.abs(np.fft.rfft(frame * window)) for frame in frames)
    return np.asarray(total) / len(frames)
