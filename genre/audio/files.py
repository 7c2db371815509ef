"""Audio files below a folder, in an order that does not depend on the file system."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

# fmt: off
AUDIO_SUFFIXES = frozenset((
    ".aif", ".aifc", ".aiff", ".au", ".bwf", ".caf", ".flac", ".mp2", ".mp3",
    ".oga", ".ogg", ".opus", ".rf64", ".snd", ".sph", ".voc", ".w64", ".wav", ".wave",
))
"""Suffixes (lower case) of the formats that libsndfile decodes."""

FOREIGN_SUFFIXES = frozenset((
    ".3gp", ".aac", ".ac3", ".alac", ".ape", ".dff", ".dsf", ".m4a", ".m4b",
    ".m4p", ".mka", ".mp4", ".mpc", ".ra", ".tta", ".webm", ".wma", ".wv",
))
"""Suffixes (lower case) of audio formats that libsndfile does not decode."""
# fmt: on

SYSTEM_FOLDERS = frozenset({"$RECYCLE.BIN", "@eaDir", "System Volume Information", "__MACOSX", "lost+found"})
"""Folders that operating systems and network drives leave among a user's files."""


def is_hidden(name: str) -> bool:
    """Return whether a file or folder name is one that a user does not mean: ``.git``, ``._song.wav``, ``__MACOSX``."""
    return name.startswith(".") or name in SYSTEM_FOLDERS


def is_audio(name: str) -> bool:
    """Return whether a file name has the suffix of a format that can be decoded, in upper or lower case.

    >>> is_audio("Song.MP3"), is_audio("cover.jpg"), is_audio(".wav")
    (True, False, False)
    """
    return os.path.splitext(name)[1].lower() in AUDIO_SUFFIXES


def shown(name: str | os.PathLike[str]) -> str:
    r"""Return a file name as one printable line, for sentences: what cannot be printed is escaped.

    >>> shown("two\nlines.wav")
    'two\\nlines.wav'
    """
    text = os.fspath(name).encode("utf-8", "backslashreplace").decode()
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


@dataclass(slots=True)
class Listing:
    """What lies below a folder.

    Parameters
    ----------
    audio
        Everything that is named like audio that can be decoded, sorted by code points: also links that lead nowhere and
        folders named like a file, so that the health check can report them.
    foreign
        Audio in formats that cannot be decoded.
    closed
        Folders that may not be listed.
    """

    audio: list[Path] = field(default_factory=list)
    foreign: list[Path] = field(default_factory=list)
    closed: list[Path] = field(default_factory=list)

    @property
    def is_empty(self) -> bool:
        """Whether nothing at all was found."""
        return not (self.audio or self.foreign or self.closed)


def list_audio(folder: str | os.PathLike[str], *, within: str | os.PathLike[str] | None = None) -> Listing:
    """List the audio files below ``folder``, at any depth.

    Hidden files and folders are passed over. Links are followed, but no real folder is entered twice, so loops end.

    Parameters
    ----------
    folder
        Where to look.
    within
        A folder above it that shall not be entered through a link either.
    """
    listing = Listing()
    entered = {_identity(within)} if within is not None else set()
    for path in _walk(Path(folder), entered, listing.closed):
        suffix = path.suffix.lower()
        if suffix in AUDIO_SUFFIXES:
            listing.audio.append(path)
        elif suffix in FOREIGN_SUFFIXES:
            listing.foreign.append(path)
    for found in (listing.audio, listing.foreign, listing.closed):
        found.sort(key=lambda path: path.as_posix())
    return listing


def _identity(path: str | os.PathLike[str]) -> tuple[int, int]:
    status = os.stat(path)
    return status.st_dev, status.st_ino


def _walk(folder: Path, entered: set[tuple[int, int]], closed: list[Path]) -> Iterator[Path]:
    """Yield all that is not a folder below ``folder``, and folders that are named like audio."""
    pending = [folder]
    while pending:
        current = pending.pop()
        try:
            identity = _identity(current)
            if identity in entered:
                continue
            entered.add(identity)
            visible = sorted(name for name in os.listdir(current) if not is_hidden(name))
        except OSError:
            closed.append(current)
            continue
        subfolders = []
        for name in visible:
            path = current / name
            if not is_audio(name) and os.path.isdir(path):
                subfolders.append(path)
            else:
                yield path
        pending.extend(reversed(subfolders))
