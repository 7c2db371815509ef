"""A stretch of a file, of which no more is decoded than up to its end."""

from __future__ import annotations

import os

import numpy as np
from numpy.typing import NDArray

from genre.audio.blocks import AudioBlocks
from genre.audio.decode import resample
from genre.audio.files import shown
from genre.audio.health import Reason
from genre.errors import AudioError


def excerpt(
    path: str | os.PathLike[str],
    start_sec: float,
    seconds: float,
    sample_rate: int,
    *,
    name: str | os.PathLike[str] | None = None,
) -> NDArray[np.float32]:
    """Return a stretch of a file: mono float32, shorter than asked for where the file ends earlier.

    Parameters
    ----------
    path
        The file.
    start_sec, seconds
        Where the stretch begins, and how long it is.
    sample_rate
        Of the result, in Hz.
    name
        How an error sentence shall call the file; by default its path.

    Raises
    ------
    AudioError
        When the file cannot be decoded, or ends before the stretch begins.
    """
    blocks = AudioBlocks(path, name=name)
    first, end = round(start_sec * blocks.sample_rate), round((start_sec + seconds) * blocks.sample_rate)
    parts: list[NDArray[np.float32]] = [np.zeros(0, np.float32)]
    at = 0
    for block in blocks:
        part = block[max(0, first - at) : max(0, end - at)]
        if part.size:
            parts.append(part.copy())  # a slice keeps the whole block
        at += block.size
        if at >= end:
            break
    samples = np.concatenate(parts)
    if not samples.size:
        raise AudioError(f"{shown(blocks.name)} ends before {start_sec:g} s: was it replaced?", reason=Reason.TOO_SHORT)
    return resample(samples, blocks.sample_rate, sample_rate)
