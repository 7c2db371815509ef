"""The log-mel front end for sound that comes in pieces, and a spectrogram of sound of any length that stays small."""

from __future__ import annotations

from collections import deque
from typing import Any

import numpy as np
from numpy.typing import NDArray

from genre.features.filters import hz_to_mel, mel_to_hz
from genre.features.spectrogram import LogMel

SAMPLES_AT_ONCE = 1 << 14


class FrameStream:
    """Frames of a log-mel spectrogram, each as soon as its last sample is there.

    All frames together are, bit for bit, those of :meth:`LogMel.compute` for the whole sound with ``top_db=None``.
    What ``top_db`` cuts off depends on the loudest frame of a clip, which here may not have come yet, so that is left
    to :class:`ClipLevels`.

    Parameters
    ----------
    frontend
        At the rate of the sound.
    """

    def __init__(self, frontend: LogMel) -> None:
        self.frontend = LogMel(**{**_arguments(frontend), "top_db": None})
        self._held = np.zeros(0, np.float32)
        self._held_from = 0
        self._next_frame = 0
        self._n_samples = 0

    def push(self, samples: NDArray[np.float32]) -> NDArray[np.float32]:
        """Take some more samples, shape (n,), and return the frames that are complete now, shape (bins, n_frames)."""
        self._held = np.concatenate([self._held, samples])
        self._n_samples += len(samples)
        half, hop = self.frontend.n_fft // 2, self.frontend.hop_length
        return self._frames(until=max(self._next_frame, (self._n_samples - half) // hop + 1))

    def finish(self) -> NDArray[np.float32]:
        """Return the frames that reach beyond the end of the sound."""
        return self._frames(until=self._n_samples // self.frontend.hop_length + 1)

    def _frames(self, until: int) -> NDArray[np.float32]:
        """Return the frames up to ``until``, and let go of the samples that no later frame needs."""
        if until == self._next_frame:
            return np.empty((self.frontend.n_mels, 0), np.float32)
        hop = self.frontend.hop_length
        before = (self._next_frame * hop - self._held_from) // hop
        frames: NDArray[np.float32] = self.frontend.compute(self._held[np.newaxis], self.frontend.sample_rate)[0]
        frames = frames[:, before : before + until - self._next_frame]
        self._next_frame = until
        reach = -(-self.frontend.n_fft // (2 * hop)) * hop  # whole hops, so that frames stay where they are
        done = min(max(0, until * hop - reach - self._held_from), len(self._held))
        self._held = self._held[done:].copy()
        self._held_from += done
        return frames


class ClipLevels:
    """Makes of frames that come in pieces what the front end makes of a clip: what depends on its loudest level.

    That is the floor, ``top_db`` below the loudest, and for ``ref="max"`` the level that is 0 dB. The clip is at each
    moment the last ``n_frames`` frames. A first piece of ``n_frames`` has exactly the levels that the front end gives.

    Parameters
    ----------
    frontend
        The front end.
    n_frames
        How many frames are looked back on: those of a clip.
    """

    def __init__(self, frontend: LogMel, n_frames: int) -> None:
        self._top_db = frontend.top_db
        self._relative = frontend.ref == "max"
        self._peaks: deque[np.float32] = deque(maxlen=n_frames)

    def __call__(self, frames: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the next levels, shape (bins, n), of the next frames of a :class:`FrameStream`."""
        self._peaks.extend(frames.max(axis=0, initial=-np.inf))
        loudest = max(self._peaks, default=np.float32(0.0))
        if self._top_db is not None:
            frames = np.maximum(frames, loudest - np.float32(self._top_db))
        return frames - loudest if self._relative else frames


class Overview:
    """Columns that come without end, as at most ``2 * n_columns`` means of neighbouring ones.

    Parameters
    ----------
    n_rows
        Values of a column.
    n_columns
        At least so many are kept, once there were as many.
    """

    def __init__(self, n_rows: int, n_columns: int = 1000) -> None:
        self.per_mean = 1
        self._means = np.zeros((n_rows, 2 * n_columns), np.float32)
        self._n_means = 0
        self._open = np.zeros(n_rows)
        self._n_open = 0

    def add(self, columns: NDArray[np.floating]) -> None:
        """Take some more columns, shape (n_rows, n)."""
        for column in columns.T:
            self._open += column
            self._n_open += 1
            if self._n_open == self.per_mean:
                self._close()

    def _close(self) -> None:
        self._means[:, self._n_means] = self._open / self._n_open
        self._n_means += 1
        self._open[:] = 0.0
        self._n_open = 0
        if self._n_means == self._means.shape[1]:
            self._n_means //= 2
            self._means[:, : self._n_means] = (self._means[:, 0::2] + self._means[:, 1::2]) / 2
            self.per_mean *= 2

    @property
    def columns(self) -> NDArray[np.float32]:
        """The means of :attr:`per_mean` columns each, the last of what is left, shape (n_rows, n_means)."""
        means = self._means[:, : self._n_means]
        if self._n_open == 0:
            return means.copy()
        return np.column_stack([means, self._open / self._n_open]).astype(np.float32)


class SpectrogramOverview:
    """A log-mel spectrogram of sound of any length, coarse enough to be drawn.

    Parameters
    ----------
    sample_rate
        In Hz.
    """

    def __init__(self, sample_rate: int) -> None:
        self._stream = FrameStream(LogMel(sample_rate=sample_rate, n_mels=96))
        self._overview = Overview(96)
        self._seconds_per_frame = self._stream.frontend.hop_length / sample_rate
        self._waiting: list[NDArray[np.float32]] = []

    def push(self, samples: NDArray[np.float32]) -> None:
        """Take some more samples, shape (n,)."""
        self._waiting.append(samples)
        if sum(map(len, self._waiting)) >= SAMPLES_AT_ONCE:
            self._look()

    def _look(self) -> None:
        """Add what has been gathered: many samples at once cost much less than a few at a time."""
        self._overview.add(self._stream.push(np.concatenate([np.zeros(0, np.float32), *self._waiting])))
        self._waiting.clear()

    @property
    def band_hz(self) -> NDArray[np.float64]:
        """Centre of each band in Hz, shape (bands,)."""
        highest = hz_to_mel(np.array(self._stream.frontend.sample_rate / 2))
        return mel_to_hz(np.linspace(0.0, float(highest), self._stream.frontend.n_mels + 2)[1:-1])

    @property
    def levels(self) -> NDArray[np.float32]:
        """Levels in dB, shape (bands, columns)."""
        self._look()
        return self._overview.columns

    @property
    def seconds(self) -> float:
        """Time that the columns cover."""
        self._look()
        return float(self._overview.columns.shape[1] * self._overview.per_mean * self._seconds_per_frame)


def _arguments(frontend: LogMel) -> dict[str, Any]:
    return {name: value for name, value in frontend.settings().items() if name != "name"}
