"""The spectral gate of the library noisereduce, for sound that comes in pieces."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from genre.checks import check_number
from genre.inference.denoise import Denoiser, lead_in_samples

N_FFT = 1024
"""Samples of the library's transform."""


class NoiseReduce(Denoiser):
    """``noisereduce.reduce_noise`` in its stationary mode, block by block.

    The library wants the whole sound at once. Here it gets blocks of ``block_sec`` on a grid of their own, with
    ``context_sec`` of the sound before and after, so the result does not depend on the pieces in which the sound came.
    Without a lead-in or a recording of the noise it takes, as the library does by itself, what it is to clean for the
    noise: bins count as noise that are not clearly above their own mean.

    Parameters
    ----------
    sample_rate
        Of the sound, in Hz.
    noise_sec, noise
        See :class:`genre.inference.denoise.SpectralSubtraction`.
    strength
        Share of the noise that is taken out, in [0, 1].
    smoothing_hz
        Width over which the gate is smoothed along frequency. The library's own 500 Hz suits speech; the partials of
        music are narrower, and most of quiet tones would go with the noise between them.
    block_sec, context_sec
        Seconds of a block, and of the sound around it that is looked at too.

    Raises
    ------
    ConfigError
        If a setting is out of range.
    """

    def __init__(
        self,
        sample_rate: int,
        *,
        noise_sec: float | None = None,
        noise: NDArray[np.float32] | None = None,
        strength: float = 1.0,
        smoothing_hz: float = 60.0,
        block_sec: float = 0.5,
        context_sec: float = 0.5,
    ) -> None:
        for name, value, least, most in (
            ("strength", strength, 0.0, 1.0),
            ("smoothing_hz", smoothing_hz, 1.0, sample_rate / 4),
            ("block_sec", block_sec, 0.1, 60.0),
            ("context_sec", context_sec, 0.1, 60.0),
        ):
            check_number(f"denoise.{name}", value, least, most)
        self.lead_in = lead_in_samples(noise_sec, sample_rate, noise, shortest=2048)
        self._sample_rate = sample_rate
        self._strength = strength
        self._smoothing_hz = max(float(smoothing_hz), sample_rate / N_FFT)  # not less than a bin, says the library
        self._block = round(block_sec * sample_rate)
        self._context = round(context_sec * sample_rate)
        self.delay = max(self._block + self._context, self.lead_in)
        self._noise = noise
        self._held = np.zeros(self._context, np.float32)  # silence before the sound
        self._n_in = 0
        self._n_out = 0

    def process(self, samples: NDArray[np.float32]) -> NDArray[np.float32]:
        """Take some more samples, shape (n,), and return the blocks that are finished."""
        self._n_in += len(samples)
        self._held = np.concatenate([self._held, samples])
        if self._noise is None and self.lead_in:
            if self._n_in < self.lead_in:
                return np.zeros(0, np.float32)
            self._noise = self._held[self._context : self._context + self.lead_in].copy()
        blocks = [np.zeros(0, np.float32)]
        while len(self._held) >= self._block + 2 * self._context:
            blocks.append(self._cleaned(self._held[: self._block + 2 * self._context]))
            self._held = self._held[self._block :]
        self._n_out += sum(map(len, blocks))
        return np.concatenate(blocks)

    def flush(self) -> NDArray[np.float32]:
        """Return the rest, as if silence followed; nothing may be processed afterwards."""
        missing = self._n_in - self._n_out
        silence = np.zeros(max(self._block + self._context, self.lead_in), np.float32)
        return self.process(silence)[:missing] if missing else silence[:0]

    def _cleaned(self, around: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the block in the middle of a stretch of sound without its noise."""
        import noisereduce

        if not around.any():
            return around[self._context : self._context + self._block]
        cleaned: NDArray[np.float32] = noisereduce.reduce_noise(
            y=around,
            sr=self._sample_rate,
            y_noise=self._noise,
            stationary=True,
            prop_decrease=self._strength,
            padding=0,
            n_fft=N_FFT,
            freq_mask_smooth_hz=self._smoothing_hz,
        )
        return cleaned[self._context : self._context + self._block].astype(np.float32)
