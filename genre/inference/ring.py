"""A ring buffer between a thread that must not wait and one that may."""

from __future__ import annotations

import threading
import time
from bisect import bisect_left
from collections import deque

import numpy as np
from numpy.typing import NDArray

_REMEMBERED_BLOCKS = 8192


class RingBuffer:
    """Samples on their way from one writer to one reader.

    Writing copies and never waits: what does not fit is lost and counted. Each end moves its own counter only, after
    the samples are in place, so no lock is held while they are copied.

    Parameters
    ----------
    capacity
        In samples.
    """

    def __init__(self, capacity: int) -> None:
        self._memory = np.zeros(capacity, np.float32)
        self._written = 0
        self._read = 0
        self._lost = 0
        self._closed = False
        self._news = threading.Event()
        self._room = threading.Event()
        self._arrivals: deque[tuple[int, float]] = deque(maxlen=_REMEMBERED_BLOCKS)

    @property
    def lost(self) -> int:
        """Samples that did not fit."""
        return self._lost

    @property
    def free(self) -> int:
        """Samples that fit now."""
        return len(self._memory) - (self._written - self._read)

    @property
    def closed(self) -> bool:
        """Whether no more samples will come."""
        return self._closed

    def write(self, samples: NDArray[np.float32]) -> None:
        """Copy samples, shape (n,), into the buffer; all of them, or none if they do not fit."""
        n = len(samples)
        if n > self.free:
            self._lost += n
            return
        capacity = len(self._memory)
        at = self._written % capacity
        first = min(n, capacity - at)
        self._memory[at : at + first] = samples[:first]
        self._memory[: n - first] = samples[first:]
        self._arrivals.append((self._written + n, time.perf_counter()))
        self._written += n
        self._news.set()

    def read(self, timeout: float) -> NDArray[np.float32]:
        """Return all samples that are there, shape (n,); wait for the first up to ``timeout`` seconds."""
        if self._written == self._read and not self._closed:
            self._news.wait(timeout)
        self._news.clear()
        capacity, n = len(self._memory), self._written - self._read
        at = self._read % capacity
        first = min(n, capacity - at)
        samples = np.concatenate([self._memory[at : at + first], self._memory[: n - first]])
        self._read += n
        self._room.set()
        return samples

    def wait_for_room(self, n: int, timeout: float) -> bool:
        """Wait up to ``timeout`` seconds until ``n`` samples fit, and return whether they do."""
        self._room.clear()
        if self.free < n:
            self._room.wait(timeout)
        return self.free >= n

    def close(self) -> None:
        """Say that no more samples will come."""
        self._closed = True
        self._news.set()

    def arrival(self, n_samples: int) -> float | None:
        """Return when (by ``time.perf_counter``) ``n_samples`` had arrived; ``None`` if that is long ago or not yet."""
        arrivals = list(self._arrivals)
        found = bisect_left(arrivals, n_samples, key=lambda arrival: arrival[0])
        return arrivals[found][1] if found < len(arrivals) else None
