"""Decoding a file once from start to end, and what is found out about it on the way: its content and its health."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from genre.audio.blocks import AudioBlocks
from genre.audio.health import Extent, check_extent

HASH_HEX = 32
"""Hexadecimal digits (128 bits) kept of the hash of the samples."""


class CheckedBlocks:
    """The mono mix of an audio file in blocks, once from start to end, of which never more than one is held.

    Parameters
    ----------
    path
        The file.
    name
        How an error sentence shall call it.

    Attributes
    ----------
    sample_rate, channels, truncated
        See :class:`genre.audio.blocks.AudioBlocks`.
    extent : Extent
        Of the samples decoded so far.
    content : str
        Hash of the decoded samples; known once all blocks were given.

    Raises
    ------
    AudioError
        See :class:`genre.audio.blocks.AudioBlocks`.
    """

    def __init__(self, path: str | os.PathLike[str], *, name: str | os.PathLike[str]) -> None:
        self._blocks = AudioBlocks(path, name=name)
        self._name = name
        self.sample_rate = self._blocks.sample_rate
        self.channels = self._blocks.channels
        self.truncated = False
        self.extent = Extent()
        self.content = ""

    def __iter__(self) -> Iterator[NDArray[np.float32]]:
        """Give blocks of float32, shape (n_samples,), full scale 1: finite numbers in the range of sound.

        Raises
        ------
        AudioError
            At the end, when the file cannot be used (see :func:`genre.audio.health.check`) or nothing in it can be
            decoded. What follows a sample out of range is decoded, since the sentence tells the largest, but not given.
        """
        digest = hashlib.sha256()
        for block in self._blocks:
            digest.update(np.ascontiguousarray(block).data)
            self.extent = self.extent.with_block(block)
            if self.extent.in_range:
                yield block
        check_extent(self.extent, self._blocks, name=self._name)
        self.truncated = self._blocks.truncated
        self.content = digest.hexdigest()[:HASH_HEX]

    @property
    def seconds(self) -> float:
        """Length of what was decoded so far."""
        return self.extent.n_samples / self.sample_rate


def content_hash(samples: NDArray[np.float32]) -> str:
    """Return the hash of decoded samples."""
    return hashlib.sha256(np.ascontiguousarray(samples).data).hexdigest()[:HASH_HEX]
