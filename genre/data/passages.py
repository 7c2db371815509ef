"""Passages: the longer stretches of a track in which its clips lie, for what takes more than a clip to hear."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from genre.audio.decode import resample
from genre.data.clips import ClipSpec
from genre.features.passage import PASSAGE_NAMES, SAMPLE_RATE, SHORTEST_SEC, passage_features

PASSAGE_COLUMNS: tuple[str, ...] = ("seconds", *PASSAGE_NAMES)
"""What is known of a passage: how long it is, by which one may judge how much the features say, and these."""


class PassageCutter:
    """Cuts sound that comes in pieces into passages end to end, each given out as soon as it is whole.

    A rest of less than half a passage at the end goes with the passage before it, so that none but that of a short
    track is shorter than half of the length, and none longer than one and a half. No more than that is held.

    Parameters
    ----------
    length
        Of a passage, in samples.
    """

    def __init__(self, length: int) -> None:
        self.length = length
        self._held = np.zeros(0, np.float32)

    def push(self, samples: NDArray[np.float32]) -> list[NDArray[np.float32]]:
        """Take some more samples, shape (n,), and return the passages that are whole now."""
        held = np.concatenate([self._held, samples])
        n_whole = max(0, (len(held) - self.length - (self.length + 1) // 2) // self.length + 1)
        whole = [held[number * self.length : (number + 1) * self.length] for number in range(n_whole)]
        self._held = held[n_whole * self.length :].copy()
        return whole

    def finish(self) -> list[NDArray[np.float32]]:
        """Return the last passage; none of no sound at all."""
        rest, self._held = self._held, np.zeros(0, np.float32)
        return [rest] if len(rest) else []


class PassageRows:
    """The passages of one track, described as by :func:`described_passage`, and which of them are those of a clip.

    Parameters
    ----------
    clips
        How the track is cut; ``passage_sec`` is the length of a passage.
    """

    def __init__(self, clips: ClipSpec) -> None:
        assert clips.passage_length is not None
        self._cutter = PassageCutter(clips.passage_length)
        self._sample_rate = clips.sample_rate
        self._rows: list[NDArray[np.float32]] = []
        self._finished = False

    def push(self, samples: NDArray[np.float32]) -> None:
        """Take some more samples of the track, shape (n,), at the rate of the clips."""
        self._add(self._cutter.push(samples))

    def finish(self) -> None:
        """Take the end of the track."""
        self._add(self._cutter.finish())
        self._finished = True

    def _add(self, passages: list[NDArray[np.float32]]) -> None:
        self._rows += [described_passage(passage, self._sample_rate) for passage in passages]

    def known(self, starts: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Return for which clips, shape (n_clips,) of first samples, the passage has been heard to its end."""
        known: NDArray[np.bool_] = (starts // self._cutter.length < len(self._rows)) | self._finished
        return known

    def of_clips(self, starts: NDArray[np.int64]) -> NDArray[np.float32]:
        """Return the passage in which each clip begins, shape (n_clips, len(PASSAGE_COLUMNS))."""
        rows = np.stack(self._rows) if self._rows else np.zeros((1, len(PASSAGE_COLUMNS)), np.float32)
        of_clips: NDArray[np.float32] = rows[np.minimum(starts // self._cutter.length, len(rows) - 1)]
        return of_clips


def described_passage(samples: NDArray[np.float32], sample_rate: int) -> NDArray[np.float32]:
    """Return :data:`PASSAGE_COLUMNS` of one passage, shape (len(PASSAGE_COLUMNS),), at whatever rate it is.

    What is shorter than half a second is repeated to it for the features.
    """
    at_rate = resample(samples, sample_rate, SAMPLE_RATE)
    shortest = math.ceil(SHORTEST_SEC * SAMPLE_RATE)
    features = passage_features(np.resize(at_rate, shortest) if len(at_rate) < shortest else at_rate, SAMPLE_RATE)
    return np.concatenate([np.array([len(samples) / sample_rate], np.float32), features])
