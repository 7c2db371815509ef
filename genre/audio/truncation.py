"""Whether an audio file holds less than it promises, for each kind of file in its own way."""

from __future__ import annotations

import mmap
import re
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from soundfile import SoundFile

UNKNOWN_LENGTH = (1 << 31) - (1 << 16)
"""Bytes; programs that write to a pipe put a number from here on into the header."""

MP3_TOLERANCE = 4 * 1152
"""Samples by which the length of an MP3 may be off: four MPEG frames."""

_LARGEST_OGG_PAGE = 27 + 255 + 255 * 255
_OGG_STREAM_BEGINS = b"OggS\0\2"
_DATA_LENGTHS = re.compile(r"^ *(?:data|SSND|Data Size|riff|Riff size) *: (\d+) \(should be (\d+)\)", re.MULTILINE)


def ends_early(path: Path, file: SoundFile, n_samples: int) -> bool:
    """Return whether a file that was read to its end without an error is shorter than it says.

    A chained Ogg file counts as such: libsndfile reads the first of its streams and nothing of those that follow.

    Parameters
    ----------
    path
        The file.
    file
        The same file, open.
    n_samples
        Samples (a channel) that could be read.
    """
    promised = int(file.frames)
    if file.format == "OGG":
        return n_samples < promised or not _ogg_has_its_end(path) or _ogg_is_chained(path)
    if file.format == "MP3":
        # Where no header tells the length, libsndfile estimates it.
        return n_samples < promised - max(MP3_TOLERANCE, promised // 100)
    return n_samples < promised or _data_is_cut(file.extra_info)


def _data_is_cut(log: str) -> bool:
    """Return whether libsndfile's log says that it corrected the length of the data in the header downwards.

    WAV, AIFF, AU, W64 and RF64 files are read up to the corrected length, so the number of frames tells nothing.
    """
    return any(int(held) < int(promised) < UNKNOWN_LENGTH for promised, held in _DATA_LENGTHS.findall(log))


def _ogg_has_its_end(path: Path) -> bool:
    """Return whether the last page of an Ogg file is whole and flagged as the last (RFC 3533, section 6)."""
    with path.open("rb") as stream:
        stream.seek(max(0, path.stat().st_size - 2 * _LARGEST_OGG_PAGE))
        tail = stream.read()
    page = tail[max(0, tail.rfind(b"OggS")) :]
    if len(page) < 27:
        return False
    return bool(page[5] & 4) and len(page) >= _ogg_page_length(page)


def _ogg_is_chained(path: Path) -> bool:
    """Return whether a stream begins in an Ogg file after the first page with data (RFC 3533, section 4).

    Streams that are multiplexed begin side by side. The serial numbers do not tell: those of a file that follows itself
    are equal.
    """
    with path.open("rb") as stream, mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as pages:
        last_begin = pages.rfind(_OGG_STREAM_BEGINS)
        at = max(0, pages.find(b"OggS"))
        while at < last_begin and pages[at + 5] & 2:
            at += _ogg_page_length(pages[at : at + _LARGEST_OGG_PAGE])
        return at < last_begin


def _ogg_page_length(page: bytes) -> int:
    """Return the bytes of a page by its header, of which all must be there."""
    n_segments = page[26]
    return 27 + n_segments + sum(page[27 : 27 + n_segments])
