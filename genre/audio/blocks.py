"""Decode block by block: the mono mix of a file of any length, of which never more than one block is held."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from genre.audio.files import shown
from genre.audio.health import Reason, check_file
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


class AudioBlocks:
    """The mono mix of an audio file in blocks, once from start to end.

    Any format that libsndfile reads (WAV, FLAC, Ogg, MP3, AU, AIFF, ...). Where a file breaks, the blocks up to the
    break are given.

    Parameters
    ----------
    path
        The file.
    name
        How an error sentence shall call it; by default its path.

    Attributes
    ----------
    sample_rate : int
        In Hz.
    channels : int
        Of the file.
    truncated : bool
        Whether the file ends or breaks before its own header says, or is a chained Ogg file, of which only the first
        stream is read; known once all blocks were given.

    Raises
    ------
    AudioError
        When the file is not there or not readable (see :func:`genre.audio.health.check_file`), or, with the reason
        ``UNDECODABLE``, when it is no audio.

    Notes
    -----
    libsndfile only estimates the length of an MP3 of variable bit rate without a Xing header, and reads no further than
    that: the end of such a file can be lost. Of several MP3s written one after the other, the first of which has a Xing
    header, it reads the first, and nothing says that there is more.
    """

    def __init__(self, path: str | os.PathLike[str], *, name: str | os.PathLike[str] | None = None) -> None:
        self.path = Path(path)
        self.name = self.path if name is None else name
        self.truncated = False
        check_file(self.path, name=self.name)
        with quiet_c_libraries():
            self._file = _open(self.path, self.name)
        self.sample_rate = int(self._file.samplerate)
        self.channels = int(self._file.channels)

    def __iter__(self) -> Iterator[NDArray[np.float32]]:
        """Give blocks of float32, shape (n_samples,), full scale 1.

        Raises
        ------
        AudioError
            With the reason ``UNDECODABLE``, when nothing in the file can be decoded.
        """
        given = 0
        reader = _Reader(self.path, self._file, max(BLOCK_VALUES // self.channels, 1))
        for block in reader:
            given += block.size
            yield block
        if reader.broken:
            with quiet_c_libraries():
                file = _open(self.path, self.name)
            passed = 0
            for block in _Reader(self.path, file, RESCUE_FRAMES):
                new = block[max(0, given - passed) :]
                passed += block.size
                if new.size:
                    given += new.size
                    yield new
        self.truncated = reader.broken or reader.ends_early
        if self.truncated and given == 0:
            raise _undecodable(self.path, self.name)


class _Reader:
    """Mono blocks of an open file up to its end or the first error; the file is closed afterwards."""

    def __init__(self, path: Path, file: SoundFile, block_frames: int) -> None:
        self.broken = False
        self.ends_early = False
        self._path = path
        self._file = file
        self._buffer = np.empty((block_frames, file.channels), np.float32)

    def __iter__(self) -> Iterator[NDArray[np.float32]]:
        given = 0
        with self._file:
            while (block := self._next()) is not None:
                given += block.size
                yield block
            with quiet_c_libraries():
                self.ends_early = ends_early(self._path, self._file, given)

    def _next(self) -> NDArray[np.float32] | None:
        import soundfile

        try:
            with quiet_c_libraries():
                block = self._file.read(out=self._buffer)
        except soundfile.LibsndfileError:
            self.broken = True
            return None
        return _mix(block) if len(block) else None


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
