"""Decode and resample: an audio file becomes mono float32 samples at one rate."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from genre.audio.files import shown
from genre.audio.health import MIN_SEC, Reason, check, check_file
from genre.audio.quiet import quiet_c_libraries
from genre.audio.truncation import ends_early
from genre.errors import AudioError

if TYPE_CHECKING:
    from soundfile import SoundFile

BLOCK_VALUES = 1 << 18
"""Values (frames times channels) decoded at a time."""

RESCUE_FRAMES = 256
"""Frames decoded at a time when a file breaks: fewer than this are lost before the break."""

SAMPLE_RATES = range(1_000, 1_000_001)
"""Sample rates, in Hz, that are believed."""

_SIGNATURES = (
    (4, b"ftyp", "it looks like MP4 or AAC"),
    (0, b"\x30\x26\xb2\x75", "it looks like WMA"),
    (0, b"MAC ", "it looks like Monkey's Audio"),
    (0, b"wvpk", "it looks like WavPack"),
    *((0, magic, "the file is damaged") for magic in (b"RIFF", b"fLaC", b"OggS", b"FORM", b".snd", b"ID3", b"caff")),
)


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

    Channels are mixed block by block: only the mono mix of a file is ever held whole.
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
    path = Path(path)
    name = path if name is None else name
    check_file(path, name=name)
    with quiet_c_libraries():
        with _open(path, name) as file:
            sample_rate, channels = file.samplerate, file.channels
            samples, broken = _read_mono(file, max(BLOCK_VALUES // channels, 1))
            truncated = broken or ends_early(path, file, samples.size)
        if broken:
            with _open(path, name) as file:
                samples, _ = _read_mono(file, RESCUE_FRAMES)
    if truncated and samples.size == 0:
        raise _undecodable(path, name)
    return Recording(samples, sample_rate, channels, truncated)


def _open(path: Path, name: str | os.PathLike[str]) -> SoundFile:
    """Open a file for reading strictly forward."""
    import soundfile

    try:
        # Bytes, because soundfile cannot encode POSIX names that are not valid text.
        file = soundfile.SoundFile(os.fsencode(path) if os.name == "posix" else str(path))
    except (soundfile.LibsndfileError, TypeError) as error:  # TypeError: the suffix .raw
        raise _undecodable(path, name) from error
    # By their suffix alone (.au, .gsm, .vox) libsndfile takes any bytes for headerless samples: format RAW.
    if file.format == "RAW" or file.samplerate not in SAMPLE_RATES:
        file.close()
        raise _undecodable(path, name)
    # soundfile seeks after each read of a seekable file, which past a damaged spot repeats samples.
    file.seekable = lambda: False
    return file


def _read_mono(file: SoundFile, block_frames: int) -> tuple[NDArray[np.float32], bool]:
    """Return the mono mix of all blocks before the end or the first error, and whether there was an error."""
    import soundfile

    buffer = np.empty((block_frames, file.channels), np.float32)
    blocks = [np.zeros(0, np.float32)]
    broken = False
    try:
        while len(block := file.read(out=buffer)) > 0:
            blocks.append(_mix(block))
    except soundfile.LibsndfileError:
        broken = True
    return np.concatenate(blocks), broken


def _mix(block: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the mean over the channels of ``block``, shape (n_frames, n_channels), as a new array."""
    mono = block[:, 0].copy()
    with np.errstate(invalid="ignore", over="ignore"):
        for channel in block.T[1:]:
            mono += channel
    mono /= block.shape[1]
    return mono


def _undecodable(path: Path, name: str | os.PathLike[str]) -> AudioError:
    message = f"{shown(name)} cannot be decoded as audio ({_impression(path)}): replace it or export it again as WAV."
    return AudioError(message, reason=Reason.UNDECODABLE)


def _impression(path: Path) -> str:
    """Say what a file that is not usable audio looks like from its first bytes."""
    try:
        with path.open("rb") as stream:
            head = stream.read(512)
    except OSError as error:
        return f"it cannot be read: {error.strerror}"
    for start, magic, impression in _SIGNATURES:
        if head.startswith(magic, start):
            return impression
    if all(byte >= 0x20 or byte in b"\t\n\r\f" for byte in head):
        return "it looks like text"
    return "its format is not known"


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


def load(
    path: str | os.PathLike[str],
    sample_rate: int,
    *,
    name: str | os.PathLike[str] | None = None,
    min_sec: float = MIN_SEC,
) -> NDArray[np.float32]:
    """Decode, check and resample one file.

    Parameters
    ----------
    path
        The file.
    sample_rate
        Of the result, in Hz.
    name
        How an error sentence shall call it; by default its path.
    min_sec
        Shortest usable length in seconds.

    Returns
    -------
    samples
        Mono float32, shape (n_samples,).

    Raises
    ------
    AudioError
        When the file cannot be used, with the reason.
    """
    name = path if name is None else name
    recording = decode(path, name=name)
    check(recording, name=name, min_sec=min_sec)
    return resample(recording.samples, recording.sample_rate, sample_rate)
