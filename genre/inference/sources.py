"""Where live sound comes from."""

from __future__ import annotations

import os
import threading
import time
from abc import ABC, abstractmethod
from types import TracebackType
from typing import Self

import numpy as np
from numpy.typing import NDArray

from genre.audio.blocks import AudioBlocks
from genre.errors import AudioError
from genre.inference.ring import RingBuffer

BUFFER_SEC = 30.0
"""Sound that waits at most until it is looked at: it may come while a model is still being loaded."""

LARGEST_PASSED_ON = 1e5
"""Largest sample that is passed on, 100 dB above full scale: what a model computes of it stays finite."""


class Source(ABC):
    """Sound that comes by itself, from a thread that writes into a ring buffer.

    It begins to come where the ``with`` block begins.

    Attributes
    ----------
    sample_rate : int
        In Hz.
    failure : str
        Why it ended before its time, as one sentence; else empty.
    truncated : bool
        Whether it ended before its own header says; known at its end.
    real_time : bool
        Whether a second of it takes a second.
    n_overflows : int
        How often the system had lost sound before it came here.
    """

    sample_rate: int
    failure: str = ""
    truncated: bool = False
    real_time: bool = True
    n_overflows: int = 0

    def __init__(self, sample_rate: int) -> None:
        self.sample_rate = sample_rate
        self.ring = RingBuffer(round(BUFFER_SEC * sample_rate))

    @abstractmethod
    def start(self) -> None:
        """Begin."""

    @abstractmethod
    def stop(self) -> None:
        """End; what has come can still be read."""

    def read(self, timeout: float = 0.1) -> NDArray[np.float32] | None:
        """Return the sound that has come, perhaps none yet, shape (n,); ``None`` when there will be no more.

        It is :func:`believable`, whatever came.
        """
        ended = self.ring.closed
        samples = self.ring.read(timeout)
        return None if ended and not len(samples) else believable(samples)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.stop()


class FileSource(Source):
    """An audio file that is played into the ring buffer as a microphone would, or as fast as it is listened to.

    Parameters
    ----------
    path
        The file.
    real_time
        Whether a second of it takes a second. Then what comes too fast is lost, as with a microphone; else nothing is.
    block_sec
        Seconds that are written at a time.

    Raises
    ------
    AudioError
        When the file cannot be used.
    """

    def __init__(self, path: str | os.PathLike[str], *, real_time: bool, block_sec: float = 0.01) -> None:
        self._blocks = AudioBlocks(path)
        super().__init__(self._blocks.sample_rate)
        self.real_time = real_time
        self._block = max(1, round(block_sec * self.sample_rate))
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._play, name="file source", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """End."""
        self._stopped.set()
        self._thread.join()

    def _play(self) -> None:
        try:
            began, played = time.perf_counter(), 0
            for decoded in self._blocks:
                for first in range(0, len(decoded), self._block):
                    block = decoded[first : first + self._block]
                    played += len(block)
                    if not self._write(block, began + played / self.sample_rate):
                        return
            self.truncated = self._blocks.truncated
        except AudioError as error:
            self.failure = str(error)
        finally:
            self.ring.close()

    def _write(self, block: NDArray[np.float32], due: float) -> bool:
        """Write a block when it is due, or when there is room; return whether to go on."""
        if self.real_time:
            self._stopped.wait(max(0.0, due - time.perf_counter()))
        else:
            while not self.ring.wait_for_room(len(block), timeout=0.1) and not self._stopped.is_set():
                pass
        if not self._stopped.is_set():
            self.ring.write(block)
        return not self._stopped.is_set()


def believable(samples: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return samples with silence in place of what is no number, and none above :data:`LARGEST_PASSED_ON`.

    >>> believable(np.array([0.5, np.nan, -np.inf, 1e30], np.float32)).tolist()
    [0.5, 0.0, 0.0, 100000.0]
    """
    finite = np.nan_to_num(samples, nan=0.0, posinf=0.0, neginf=0.0)
    return np.clip(finite, -LARGEST_PASSED_ON, LARGEST_PASSED_ON, out=finite)
