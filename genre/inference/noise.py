"""What the noise of a recording looks like: magnitude by frequency, learnt from the recording or from another one.

A profile is asked once a frame, in order. It sees the magnitude of the frame, shape (bins,), and says the magnitude of
the noise in it, from this frame and earlier ones only: what is subtracted never depends on how the sound was cut into
pieces, or on what comes later.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import deque

import numpy as np
from numpy.typing import NDArray

Magnitude = NDArray[np.float64]


class NoiseProfile(ABC):
    """Magnitude of the noise."""

    @abstractmethod
    def __call__(self, magnitude: Magnitude) -> Magnitude:
        """Return the magnitude of the noise in the next frame, whose own magnitude is given."""


class FixedNoise(NoiseProfile):
    """A profile that is known beforehand.

    Parameters
    ----------
    noise : shape=(bins,)
        Its magnitude.
    """

    def __init__(self, noise: Magnitude) -> None:
        self._noise = noise

    def __call__(self, magnitude: Magnitude) -> Magnitude:
        """Return the profile."""
        return self._noise


class LeadIn(NoiseProfile):
    """The mean magnitude of the first frames, which hold nothing but noise.

    Within the lead-in it is the mean so far. The frames before it, which begin before the sound does, count as all
    noise.

    Parameters
    ----------
    n_before
        Frames that begin before the sound.
    n_frames
        Frames of the lead-in that follow.
    """

    def __init__(self, n_before: int, n_frames: int) -> None:
        self._first, self._last = n_before, n_before + n_frames
        self._number = 0
        self._noise: Magnitude = np.zeros(0)

    def __call__(self, magnitude: Magnitude) -> Magnitude:
        """Return the mean of the lead-in."""
        number, self._number = self._number, self._number + 1
        if number <= self._first:
            self._noise = magnitude
        elif number < self._last:
            n_heard = number - self._first + 1
            self._noise = self._noise + (magnitude - self._noise) / n_heard
        return self._noise


class RunningMinimum(NoiseProfile):
    """The smallest smoothed magnitude of the last while: music comes and goes, stationary noise stays.

    After Martin, R. (2001), "Noise power spectral density estimation based on optimal smoothing and minimum
    statistics", IEEE Trans. Speech and Audio Processing 9(5), with a fixed smoothing and a fixed correction of the
    bias. Until as much sound has been heard as is looked back on, it says that there is no noise.

    Parameters
    ----------
    n_frames
        How many frames are looked back on; a multiple of 8 is used.
    smoothing
        Weight of the past in the recursive mean of the magnitudes, in [0, 1).
    bias
        By how much the mean of noise is above the minimum of its smoothed magnitude.
    """

    PARTS = 8

    def __init__(self, n_frames: int, smoothing: float = 0.95, bias: float = 1.35) -> None:
        self._per_part = max(1, round(n_frames / self.PARTS))
        self._smoothing = smoothing
        self._bias = bias
        self._smooth: Magnitude | None = None
        self._parts: deque[Magnitude] = deque(maxlen=self.PARTS)
        self._lowest: Magnitude | None = None
        self._n_in_part = 0

    def __call__(self, magnitude: Magnitude) -> Magnitude:
        """Return the minimum, corrected for its bias."""
        if self._smooth is None:
            self._smooth = magnitude
        else:
            self._smooth = self._smoothing * self._smooth + (1 - self._smoothing) * magnitude
        lowest = self._smooth if self._lowest is None else np.minimum(self._lowest, self._smooth)
        self._n_in_part += 1
        full = len(self._parts) == self.PARTS
        noise = self._bias * np.min([*self._parts, lowest], axis=0) if full else np.zeros_like(magnitude)
        self._lowest = lowest
        if self._n_in_part == self._per_part:
            self._parts.append(lowest)
            self._lowest, self._n_in_part = None, 0
        return noise
