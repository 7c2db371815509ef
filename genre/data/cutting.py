"""Cutting sound that comes in pieces into the same clips as the whole of it."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from genre.data.clips import ClipSpec


class ClipCutter:
    """The streaming form of :meth:`genre.data.clips.ClipSpec.cut`: the same clips, each as soon as it is whole.

    It holds less than a clip, however long the sound is.

    Parameters
    ----------
    clips
        How to cut.
    """

    def __init__(self, clips: ClipSpec) -> None:
        self.clips = clips
        self._held = np.zeros(0, np.float32)
        self._held_from = 0
        self._next_start = 0

    def push(self, samples: NDArray[np.float32]) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        """Take some more samples, shape (n,), and return the clips that are whole now.

        Returns
        -------
        clips : shape=(n_clips, length)
            A read-only view.
        starts : shape=(n_clips,)
            First sample of each clip, counted from the first sample pushed.
        """
        length, hop = self.clips.length, self.clips.hop
        held = np.concatenate([self._held, samples])
        skipped = self._next_start - self._held_from
        n_clips = max(0, (len(held) - skipped - length) // hop + 1)
        starts = self._next_start + hop * np.arange(n_clips, dtype=np.int64)
        clips = np.empty((0, length), np.float32)
        if n_clips:
            clips = np.lib.stride_tricks.sliding_window_view(held[skipped:], length)[::hop][:n_clips]
        self._next_start += hop * n_clips
        done = min(self._next_start - self._held_from, len(held))
        self._held = held[done:].copy()
        self._held_from += done
        return clips, starts

    def finish(self) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        """Return the one clip of sound that was shorter than a clip, if that is how it is cut; else nothing."""
        if self._next_start > 0:
            return np.empty((0, self.clips.length), np.float32), np.zeros(0, np.int64)
        return self.clips.cut(self._held)
