"""Taking stationary noise out of sound, as it comes in.

Boll, S. (1979), "Suppression of acoustic noise in speech using spectral subtraction", IEEE Trans. ASSP 27(2).
Berouti, M., Schwartz, R., Makhoul, J. (1979), "Enhancement of speech corrupted by acoustic noise", ICASSP.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from functools import partial

import numpy as np
from numpy.typing import NDArray

from genre.checks import check_number, is_number
from genre.errors import ConfigError, near_names
from genre.inference.noise import FixedNoise, LeadIn, Magnitude, NoiseProfile, RunningMinimum
from genre.inference.overlap import OverlapAdd, Spectrum, check_frames, mean_magnitude

EPSILON = 1e-10
"""Smallest magnitude that spectral subtraction leaves."""

MEMORY_SEC = 4.0
"""Time that the running minimum looks back on."""

LONGEST_LEAD_IN_SEC = 60.0


class Denoiser(ABC):
    """Takes noise out of one sound; for the next sound make another.

    Output has the same time as input and does not depend on the pieces in which the sound comes.

    Attributes
    ----------
    lead_in : int
        Samples at the start that are noise by agreement.
    delay : int
        Samples by which the output may lag behind the input.
    noise : ndarray of shape (bins,) or None
        Magnitude of the noise in the last frame, where there is such a thing.
    """

    lead_in: int = 0
    delay: int = 0
    noise: Magnitude | None = None

    @abstractmethod
    def process(self, samples: NDArray[np.float32]) -> NDArray[np.float32]:
        """Take some more samples, shape (n,), and return those that are finished."""

    @abstractmethod
    def flush(self) -> NDArray[np.float32]:
        """Return the rest; nothing may be processed afterwards."""


class NoDenoising(Denoiser):
    """Leaves the sound as it is.

    Parameters
    ----------
    sample_rate
        Of the sound, in Hz; it does not matter.
    """

    def __init__(self, sample_rate: int) -> None:
        self.sample_rate = sample_rate

    def process(self, samples: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the samples."""
        return samples

    def flush(self) -> NDArray[np.float32]:
        """Return nothing."""
        return np.zeros(0, np.float32)


def subtract_magnitude(spectrum: Spectrum, noise: Magnitude) -> Spectrum:
    """Subtract magnitudes and keep the phase: ``|X| = max(|Y| - |N|, eps)``, ``X = |X| exp(j arg Y)`` (Boll 1979).

    Parameters
    ----------
    spectrum : shape=(bins,)
        Y.
    noise : shape=(bins,)
        ``|N|``.
    """
    magnitude = np.abs(spectrum)
    return _with_phase(np.maximum(magnitude - noise, EPSILON), spectrum, magnitude)


def subtract_power(spectrum: Spectrum, noise: Magnitude, *, over_subtraction: float, floor: float) -> Spectrum:
    """Subtract more power than the noise has where there is much noise, and leave a floor of it (Berouti et al. 1979).

    ``|X|^2 = max(|Y|^2 - a |N|^2, b |N|^2)`` with ``a = a0 - 3/20 SNR`` for an SNR of the frame in [-5, 20] dB, and its
    value at the end of that range beyond it; ``a`` is never below 0.

    Parameters
    ----------
    spectrum : shape=(bins,)
        Y.
    noise : shape=(bins,)
        ``|N|``.
    over_subtraction
        a0: 4 is usual; with less, nothing is subtracted from frames of a good SNR.
    floor
        b: 0.005 to 0.1. What is left of the noise covers up single bins that would otherwise tinkle ("musical noise").
    """
    magnitude = np.abs(spectrum)
    power, noise_power = magnitude**2, noise**2
    snr = 10 * np.log10(max(power.sum(), EPSILON**2) / max(noise_power.sum(), EPSILON**2))
    factor = max(0.0, over_subtraction - 3 / 20 * float(np.clip(snr, -5, 20)))
    left = np.maximum(power - factor * noise_power, floor * noise_power)
    return _with_phase(np.sqrt(left), spectrum, magnitude)


def _with_phase(magnitude: Magnitude, spectrum: Spectrum, old_magnitude: Magnitude) -> Spectrum:
    """Give a spectrum new magnitudes; where it is 0, which has no phase, it stays 0."""
    return spectrum * np.divide(magnitude, old_magnitude, out=np.zeros_like(magnitude), where=old_magnitude > 0)


RULES = ("magnitude", "power")


class SpectralSubtraction(Denoiser):
    """Spectral subtraction in overlapping frames.

    The noise is learnt from a lead-in of ``noise_sec``, or taken from a recording ``noise``, or else it is the running
    minimum of the sound (:class:`genre.inference.noise.RunningMinimum`).

    Parameters
    ----------
    sample_rate
        Of the sound, in Hz.
    rule
        ``"magnitude"``: :func:`subtract_magnitude`; ``"power"``: :func:`subtract_power`.
    noise_sec
        Seconds at the start that hold nothing but noise.
    noise : shape=(n,)
        A recording of the noise alone.
    over_subtraction, floor
        Of the rule ``"power"``.
    n_fft, hop_length
        Samples of a frame and from frame to frame.

    Raises
    ------
    ConfigError
        If a setting is out of range, or there are two sources of the noise.
    """

    def __init__(
        self,
        sample_rate: int,
        *,
        rule: str = "magnitude",
        noise_sec: float | None = None,
        noise: NDArray[np.float32] | None = None,
        over_subtraction: float = 4.0,
        floor: float = 0.02,
        n_fft: int = 768,
        hop_length: int = 192,
    ) -> None:
        check_frames(n_fft, hop_length)
        if rule not in RULES:
            raise ConfigError(f"denoise.rule={rule} is unknown; {near_names(str(rule), RULES)}")
        check_number("denoise.over_subtraction", over_subtraction, 0.0, 10.0)
        check_number("denoise.floor", floor, 0.0, 1.0)
        self.lead_in = lead_in_samples(noise_sec, sample_rate, noise, shortest=2 * n_fft)
        subtract: Callable[[Spectrum, Magnitude], Spectrum] = subtract_magnitude
        if rule == "power":
            subtract = partial(subtract_power, over_subtraction=over_subtraction, floor=floor)
        self._profile = self._noise_profile(sample_rate, noise, n_fft, hop_length)
        self._subtract = subtract
        self._frames = OverlapAdd(n_fft, hop_length, self._change)
        self.delay = self._frames.delay

    def _noise_profile(
        self, sample_rate: int, noise: NDArray[np.float32] | None, n_fft: int, hop_length: int
    ) -> NoiseProfile:
        if noise is not None:
            return FixedNoise(mean_magnitude(noise, n_fft, hop_length))
        if self.lead_in:
            n_before = n_fft // hop_length - 1
            return LeadIn(n_before, self.lead_in // hop_length - n_before)
        return RunningMinimum(round(MEMORY_SEC * sample_rate / hop_length))

    def process(self, samples: NDArray[np.float32]) -> NDArray[np.float32]:
        """Take some more samples, shape (n,), and return those that are finished."""
        return self._frames.process(samples)

    def flush(self) -> NDArray[np.float32]:
        """Return the rest; nothing may be processed afterwards."""
        return self._frames.flush()

    def _change(self, spectrum: Spectrum) -> Spectrum:
        self.noise = self._profile(np.abs(spectrum))
        return self._subtract(spectrum, self.noise)


def lead_in_samples(
    noise_sec: float | None, sample_rate: int, noise: NDArray[np.float32] | None, *, shortest: int
) -> int:
    """Return the length of the lead-in in samples, after checking where the noise comes from; 0 without a lead-in.

    Raises
    ------
    ConfigError
        If lead-in or recording are shorter than ``shortest`` samples, or both are given.
    """
    if noise_sec is not None and noise is not None:
        raise ConfigError("denoise.noise_sec and denoise.noise_file both say what the noise is; give one of them")
    least = shortest / sample_rate
    if noise is not None and len(noise) < shortest:
        seconds = len(noise) / sample_rate
        raise ConfigError(f"denoise.noise_file is too short ({seconds:.3g} s); at least {least:.2g} s are needed")
    if noise_sec is None:
        return 0
    if not is_number(noise_sec, least, LONGEST_LEAD_IN_SEC):
        raise ConfigError(
            f"denoise.noise_sec={noise_sec} is out of range; choose between {least:.2g} and {LONGEST_LEAD_IN_SEC:g}"
        )
    return round(noise_sec * sample_rate)
