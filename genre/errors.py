"""Errors a user can fix: every message is one sentence that names the cause and the remedy."""

from __future__ import annotations

import argparse
import difflib
import errno
from collections.abc import Iterable
from typing import NoReturn

FULL = (errno.ENOSPC, errno.EDQUOT)
"""What the system says of a disk that takes no more."""


class GenreError(Exception):
    """Base of all errors that the user can fix; its text is one plain sentence."""


class ConfigError(GenreError):
    """A setting is missing, misspelt or out of range."""


class DataError(GenreError):
    """A folder or table of tracks cannot be used as it is."""


class AudioError(GenreError):
    """One audio file cannot be used.

    Parameters
    ----------
    message
        The sentence for the user.
    reason
        A short stable code such as ``"undecodable"`` or ``"silent"`` (see :mod:`genre.audio.health`).
    """

    def __init__(self, message: str, *, reason: str = "undecodable") -> None:
        super().__init__(message)
        self.reason = reason


class ProtocolError(GenreError):
    """Tracks cannot be dealt to the sides as the protocol asks."""


class StoreError(GenreError):
    """Prepared clips cannot be written or read."""


class DeviceError(GenreError):
    """Sound cannot be recorded: no PortAudio, no input device, or a device that refuses."""


class CheckpointError(GenreError):
    """A file is not a checkpoint, does not fit the data, or cannot be written."""


class OneSentenceParser(argparse.ArgumentParser):
    """A parser of arguments whose errors are a :class:`ConfigError`; ``prog`` is the command as it is typed."""

    def error(self, message: str) -> NoReturn:
        """Raise the error that names the mistake, and where to read how the command is used."""
        raise ConfigError(f"{message}; {self.prog} --help shows how it is used")


def near_names(name: object, known: Iterable[str]) -> str:
    """Return the end of an error sentence that suggests names close to ``name``.

    >>> near_names("mini_vg", ["mini_vgg", "resnet34"])
    'did you mean mini_vgg? (known: mini_vgg, resnet34)'
    >>> near_names("xyz", ["mini_vgg", "resnet34"])
    'known are mini_vgg, resnet34'
    """
    known = sorted(known)
    close = difflib.get_close_matches(str(name), known, n=3, cutoff=0.5)
    listing = ", ".join(known)
    if close:
        return f"did you mean {' or '.join(close)}? (known: {listing})"
    return f"known {'are' if len(known) > 1 else 'is'} {listing}" if known else "none are known"


def counted(number: int, noun: str) -> str:
    """Return a number and what it counts.

    >>> counted(1, "track"), counted(20, "track")
    ('1 track', '20 tracks')
    """
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def missing_extra(setting: str, extra: str) -> ConfigError:
    """Return the error of a setting that needs packages which are not installed.

    >>> str(missing_extra("launcher=ray", "ray"))
    "launcher=ray needs packages that are not installed; run pip install -e '.[ray]' in the folder of train.py"
    """
    command = f"pip install -e '.[{extra}]'"
    return ConfigError(f"{setting} needs packages that are not installed; run {command} in the folder of train.py")
