"""Decode and resample: an audio file becomes mono float32 samples at one rate."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from genre.audio.blocks import AudioBlocks
from genre.audio.health import check

SPARE = 8
"""An array that grows takes this part more than it needs at once."""


@dataclass(frozen=True, slots=True)
class Recording:
    """A decoded file.

    Parameters
    ----------
    samples
        Mean over the channels, shape (n_samples,); full scale is 1.
    sample_rate
        In Hz.
    channels
        Number of channels in the file.
    truncated
        Whether the file ends or breaks before its own header says; ``samples`` is then what could be decoded.
    """

    samples: NDArray[np.float32]
    sample_rate: int
    channels: int
    truncated: bool


def decode(path: str | os.PathLike[str], *, name: str | os.PathLike[str] | None = None) -> Recording:
    """Decode an audio file of any format that libsndfile reads (WAV, FLAC, Ogg, MP3, AU, AIFF, ...).

    Channels are mixed block by block: only the mono mix of a file is ever held whole, and that once.
    A file that breaks off is decoded up to the break; whether that is enough to use is for
    :func:`genre.audio.health.check` to say.

    Parameters
    ----------
    path
        The file.
    name
        How an error sentence shall call it; by default its path.

    Raises
    ------
    AudioError
        When the file is not there or not readable (see :func:`genre.audio.health.check_file`), or, with the reason
        ``UNDECODABLE``, when nothing in it can be decoded.

    Notes
    -----
    libsndfile only estimates the length of an MP3 of variable bit rate without a Xing header, and reads no further than
    that: the end of such a file can be lost.
    """
    blocks = AudioBlocks(path, name=name)
    return Recording(joined(blocks), blocks.sample_rate, blocks.channels, blocks.truncated)


def joined(pieces: Iterable[NDArray[np.float32]]) -> NDArray[np.float32]:
    """Return pieces of sound, shape (n,) each, in one array, which grows as they come: they are not held beside it."""
    samples, n_samples = np.empty(0, np.float32), 0
    for piece in pieces:
        needed = n_samples + piece.size
        if needed > samples.size:
            samples.resize(needed + needed // SPARE, refcheck=False)  # nobody else has seen the array yet
        samples[n_samples:needed] = piece
        n_samples = needed
    samples.resize(n_samples, refcheck=False)
    return samples


def resample(samples: NDArray[np.float32], sample_rate: int, target_rate: int) -> NDArray[np.float32]:
    """Change the sample rate with soxr (HQ); the same array when the rates are equal.

    Parameters
    ----------
    samples
        shape (n_samples,) or (n_samples, n_channels).
    sample_rate, target_rate
        In Hz.

    Returns
    -------
    resampled
        float32, ``n_samples * target_rate / sample_rate`` samples, rounded.
    """
    if sample_rate == target_rate:
        return samples
    import soxr

    resampled: NDArray[np.float32] = soxr.resample(samples, sample_rate, target_rate, quality="HQ")
    return resampled


class Resampler:
    """Changes the sample rate of sound that comes in pieces; the pieces together are what :func:`resample` returns.

    Parameters
    ----------
    sample_rate, target_rate
        In Hz.
    """

    def __init__(self, sample_rate: int, target_rate: int) -> None:
        import soxr

        self._stream: Any = None
        if sample_rate != target_rate:
            self._stream = soxr.ResampleStream(sample_rate, target_rate, 1, dtype="float32", quality="HQ")

    def push(self, samples: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return what can be said after some more samples, shape (n,)."""
        return self._resampled(samples, last=False)

    def finish(self) -> NDArray[np.float32]:
        """Return the rest; nothing may be pushed afterwards."""
        return self._resampled(np.zeros(0, np.float32), last=True)

    def _resampled(self, samples: NDArray[np.float32], *, last: bool) -> NDArray[np.float32]:
        if self._stream is None:
            return samples
        resampled: NDArray[np.float32] = self._stream.resample_chunk(samples, last=last)
        return resampled


def load(path: str | os.PathLike[str], sample_rate: int) -> NDArray[np.float32]:
    """Decode, check and resample one file.

    Parameters
    ----------
    path
        The file.
    sample_rate
        Of the result, in Hz.

    Returns
    -------
    samples
        Mono float32, shape (n_samples,).

    Raises
    ------
    AudioError
        When the file cannot be used, with the reason.
    """
    recording = decode(path)
    check(recording, name=path)
    return resample(recording.samples, recording.sample_rate, sample_rate)
