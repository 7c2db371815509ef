"""Health check: which recordings can be used, and in plain words why another cannot."""

from __future__ import annotations

import math
import os
import stat
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import numpy as np
from numpy.typing import NDArray

from genre.audio.files import shown
from genre.errors import AudioError

if TYPE_CHECKING:
    from genre.audio.decode import Recording

MIN_SEC = 0.5
"""Shortest recording that can be used, in seconds."""

SILENCE_AMPLITUDE = 1e-4
"""Half the distance between the largest and the smallest sample below which a recording counts as silent: -80 dB."""

LOUDEST = 100.0
"""Largest sample of sound, 40 dB above full scale: overs of loud music stay far below it, integers that were written as
they are into a file of floating-point numbers far above, whose levels would hide those of all other recordings."""

LARGEST_INTEGER = 2.0**31
"""Largest sample of integers: what is beyond it was never sound."""


class Reason(StrEnum):
    """Why a file cannot be used: the short stable codes of ``quarantine.csv``."""

    MISSING = "missing"
    NOT_A_FILE = "not_a_file"
    UNREADABLE = "unreadable"
    EMPTY = "empty"
    UNDECODABLE = "undecodable"
    NON_FINITE = "non_finite"
    SILENT = "silent"
    TOO_LOUD = "too_loud"
    TOO_SHORT = "too_short"


def check_file(path: str | os.PathLike[str], *, name: str | os.PathLike[str] | None = None) -> None:
    """Check that ``path`` leads to a regular file that may be read and is not empty.

    Only the file system is asked; the file's contents are not looked at.

    Parameters
    ----------
    path
        The file.
    name
        How the error sentence shall call it; by default its path.

    Raises
    ------
    AudioError
        With the reason ``MISSING`` (nothing there, or a link that leads nowhere), ``NOT_A_FILE`` (a folder, a pipe or a
        device), ``UNREADABLE`` (no permission, or a failing disk) or ``EMPTY`` (zero bytes).
    """
    path = Path(path)
    called = shown(path if name is None else name)
    try:
        status = path.stat()
        if stat.S_ISREG(status.st_mode) and status.st_size > 0:
            with path.open("rb"):
                return
    except OSError as error:
        raise _file_error(path, called, error) from error
    if stat.S_ISDIR(status.st_mode):
        raise AudioError(f"{called} is a folder, not an audio file: rename or remove it.", reason=Reason.NOT_A_FILE)
    if not stat.S_ISREG(status.st_mode):
        raise AudioError(f"{called} is not an ordinary file: put an audio file there.", reason=Reason.NOT_A_FILE)
    raise AudioError(f"{called} is empty (zero bytes): copy it again from its source.", reason=Reason.EMPTY)


def _file_error(path: Path, called: str, error: OSError) -> AudioError:
    """Return the error of a file that the system would not open."""
    if isinstance(error, PermissionError):
        return AudioError(f"{called} may not be read by this user: change its permissions.", reason=Reason.UNREADABLE)
    if path.is_symlink() and not os.path.exists(path):
        return AudioError(f"{called} is a link that leads nowhere: mend or remove it.", reason=Reason.MISSING)
    if isinstance(error, FileNotFoundError | NotADirectoryError):
        return AudioError(f"{called} does not exist: check the file name.", reason=Reason.MISSING)
    return AudioError(f"{called} cannot be read ({error.strerror}): copy it again.", reason=Reason.UNREADABLE)


def check(recording: Recording, *, name: str | os.PathLike[str], min_sec: float = MIN_SEC) -> None:
    """Check that a decoded recording holds sound that can be used.

    Parameters
    ----------
    recording
        What :func:`genre.audio.decode.decode` returned.
    name
        The file, as the error sentence shall name it.
    min_sec
        Shortest usable length in seconds.

    Raises
    ------
    AudioError
        With the reason ``EMPTY`` (no samples at all), ``NON_FINITE`` (any NaN or infinite sample), ``TOO_LOUD`` (any
        sample beyond ``LOUDEST``, 100 times full scale), ``TOO_SHORT`` (less than ``min_sec``) or ``SILENT`` (apart
        from a constant offset, nothing reaches ``SILENCE_AMPLITUDE``, which is -80 dB relative to full scale).
    """
    check_extent(Extent().with_block(recording.samples), recording, name=name, min_sec=min_sec)


class Source(Protocol):
    """Where samples come from: a decoded recording, or a file that is being decoded."""

    @property
    def sample_rate(self) -> int:
        """In Hz."""

    @property
    def channels(self) -> int:
        """Number of channels in the file."""


@dataclass(frozen=True, slots=True)
class Extent:
    """Length and range of the samples of a recording, which may be gathered block by block."""

    n_samples: int = 0
    lowest: float = math.inf
    highest: float = -math.inf

    def with_block(self, samples: NDArray[np.float32]) -> Extent:
        """Return the extent of all samples so far and these; a NaN stays for good."""
        if samples.size == 0:
            return self
        return Extent(
            self.n_samples + samples.size,
            float(np.minimum(self.lowest, samples.min())),
            float(np.maximum(self.highest, samples.max())),
        )

    @property
    def amplitude(self) -> float:
        """Half the distance between the largest and the smallest sample; not finite if one of them is not."""
        return (self.highest - self.lowest) / 2

    @property
    def peak(self) -> float:
        """Distance from 0 of the sample that is farthest from it."""
        return max(self.highest, -self.lowest)

    @property
    def in_range(self) -> bool:
        """Whether all samples are finite and none is beyond ``LOUDEST``; see :func:`check_range`."""
        return self.n_samples == 0 or (math.isfinite(self.amplitude) and self.peak <= LOUDEST)


def check_extent(extent: Extent, source: Source, *, name: str | os.PathLike[str], min_sec: float = MIN_SEC) -> None:
    """Check the extent of a whole recording as :func:`check` does; raises the same errors."""
    called = shown(name)
    if extent.n_samples == 0:
        raise AudioError(f"{called} holds no sound (no samples): copy it again from its source.", reason=Reason.EMPTY)
    check_range(extent, name=name)
    seconds = extent.n_samples / source.sample_rate
    if seconds < min_sec:
        raise AudioError(
            f"{called} is too short ({seconds:.3g} s): at least {min_sec:g} s are needed.", reason=Reason.TOO_SHORT
        )
    if extent.amplitude < SILENCE_AMPLITUDE:
        mixed = " when its channels are mixed" if source.channels > 1 else ""
        raise AudioError(f"{called} is silent from start to end{mixed}: replace or remove it.", reason=Reason.SILENT)


def check_range(extent: Extent, *, name: str | os.PathLike[str]) -> None:
    """Check the range of the samples so far.

    Raises
    ------
    AudioError
        With the reason ``NON_FINITE`` (any NaN or infinite sample) or ``TOO_LOUD`` (any sample beyond ``LOUDEST``).
    """
    if extent.n_samples and not np.isfinite(extent.amplitude):
        raise AudioError(
            f"{shown(name)} holds samples that are not numbers (NaN or infinite): export it again.",
            reason=Reason.NON_FINITE,
        )
    if extent.peak > LOUDEST:
        remedy = ": export it again"
        if extent.peak <= LARGEST_INTEGER:
            remedy = (
                ", probably integers in a file of floats: divide them by their full scale (32768 if they had 16 bits), "
                "or convert the file anew"
            )
        raise AudioError(
            f"{shown(name)} holds samples far beyond full scale ({extent.peak:.6g} times){remedy}.",
            reason=Reason.TOO_LOUD,
        )
