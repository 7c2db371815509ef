"""Audio fingerprints: one 32-bit word every 12 ms, nearly the same for every copy of a recording.

A word holds the signs of how the differences between the energies of neighbouring bands change from frame to frame.
These hardly depend on level, codec, sample rate or where an excerpt begins. Two recordings are compared by their bit
error rate: about one half for different music, and far below for copies.

References
----------
Haitsma, J., Kalker, T. (2002). A highly robust audio fingerprinting system. ISMIR, sections 4.2 and 4.3.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from genre.audio.decode import resample
from genre.features.stft import hann

SAMPLE_RATE = 5512
"""In Hz; the bands end well below its half."""

VERSION = 1
"""To be raised when a word can come out otherwise: fingerprints are kept on disk."""

FRAME = 2048
"""Samples a frame, 0.37 s: long beside the hop, so that it does not matter where between two hops an excerpt begins."""

HOP = 64
"""Samples from frame to frame, 11.6 ms."""

N_BANDS = 33
LOWEST_HZ, HIGHEST_HZ = 300.0, 2000.0

SILENT_DB = 60.0
"""A frame this far below the loudest one of its recording is silence: a codec leaves nothing of its signs."""

SILENCE = np.uint32(0)
"""The word of a silent frame, which is compared with nothing."""

FRAMES_AT_ONCE = 256
"""Frames transformed together."""

Words = NDArray[np.uint32]


def subfingerprints(samples: NDArray[np.float32], sample_rate: int) -> Words:
    """Return the sub-fingerprints of a recording.

    With E(n, m) the energy of band m in frame n, bit m of word n is set where
    (E(n, m) - E(n, m + 1)) - (E(n - 1, m) - E(n - 1, m + 1)) > 0; bands lie evenly in the logarithm of frequency.

    Parameters
    ----------
    samples
        Mono, shape (n_samples,).
    sample_rate
        In Hz.

    Returns
    -------
    words
        uint32, shape (n,): one for each ``HOP`` samples at ``SAMPLE_RATE`` after the first whole frame; none of a
        recording shorter than two frames.
    """
    stream = SubfingerprintStream()
    with np.errstate(over="ignore", invalid="ignore"):
        at_rate = resample(samples, sample_rate, SAMPLE_RATE)
    stream.push(at_rate)
    return stream.finish()


class SubfingerprintStream:
    """The sub-fingerprints of sound that comes in pieces, of which no more than ``FRAMES_AT_ONCE`` frames are held.

    The words are those of :func:`subfingerprints`, however the sound is divided.
    """

    def __init__(self) -> None:
        self._held = np.zeros(0, np.float32)
        self._last = np.zeros((0, N_BANDS), np.float32)
        self._words = [np.zeros(0, np.uint32)]
        self._levels = [np.zeros(0, np.float32)]

    def push(self, samples: NDArray[np.float32]) -> None:
        """Take some more samples at ``SAMPLE_RATE``, shape (n_samples,)."""
        held = np.concatenate([self._held, samples]) if self._held.size else samples
        at = 0
        while len(held) - at >= FRAME + (FRAMES_AT_ONCE - 1) * HOP:
            self._hear(held[at : at + FRAME + (FRAMES_AT_ONCE - 1) * HOP])
            at += FRAMES_AT_ONCE * HOP
        self._held = held[at:].copy()

    def finish(self) -> Words:
        """Return the words, uint32, shape (n,); nothing may be pushed afterwards."""
        self._hear(self._held)
        words: Words = np.concatenate(self._words)
        level = np.concatenate(self._levels)
        if len(words):
            loud = level > level.max() * 10 ** (-SILENT_DB / 10)
            words[~(loud[1:] & loud[:-1])] = SILENCE
        return words

    def _hear(self, samples: NDArray[np.float32]) -> None:
        """Take samples of whole frames that follow those heard before; at the end also a rest."""
        with np.errstate(over="ignore", invalid="ignore"):  # samples far beyond full scale: their words say nothing
            energy = _band_energies(samples)
            joined = np.concatenate([self._last, energy])
            change = np.diff(joined[:, :-1] - joined[:, 1:], axis=0)
            self._levels.append(energy.sum(axis=1))
        if len(change):
            words = np.packbits(change > 0, axis=1, bitorder="little").view("<u4")[:, 0]
            self._words.append(words.astype(np.uint32))
        self._last = joined[-1:]


def seconds(n_words: int) -> float:
    """Return how far apart in time two words are that lie ``n_words`` apart."""
    return n_words * HOP / SAMPLE_RATE


def _band_energies(samples: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the energy of each band in each of some frames, shape (n_frames, N_BANDS)."""
    from scipy.fft import rfft

    if len(samples) < FRAME:
        return np.zeros((0, N_BANDS), np.float32)
    frames = np.lib.stride_tricks.sliding_window_view(samples, FRAME)[::HOP]
    window = hann(FRAME).astype(np.float32)
    edges_hz = np.geomspace(LOWEST_HZ, HIGHEST_HZ, N_BANDS + 1)
    edges = np.round(edges_hz * FRAME / SAMPLE_RATE).astype(np.int64)
    spectrum = rfft(frames * window, axis=1)[:, edges[0] : edges[-1]]
    power = spectrum.real**2 + spectrum.imag**2
    energy: NDArray[np.float32] = np.add.reduceat(power, edges[:-1] - edges[0], axis=1)
    return energy
