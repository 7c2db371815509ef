"""Listening to a source until it or its listener ends: the loop around the stages, its clock and its books."""

from __future__ import annotations

import time
from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from genre.inference.intake import Intake
from genre.inference.sources import Source
from genre.inference.stream import NO_SOUND_DB, LiveClassifier, Verdict, level_db

_REMEMBERED_LATENCIES = 10_000


@dataclass
class Books:
    """What is known of a session so far.

    Parameters
    ----------
    seconds
        Sound heard.
    loudest_db
        Level of the loudest block of it; ``NO_SOUND_DB`` for none or for digital silence.
    n_verdicts
        How many there were.
    n_silent, n_unsure
        How many of them said so.
    by_label
        Number of sure verdicts by genre.
    sum_probabilities
        Sum over the windows that were not silent, shape (classes,).
    latencies
        Of the last verdicts, in seconds: from the arrival of a window's last sample to the verdict. Of windows that
        had come before anybody listened there is none.
    busy_seconds
        Time spent computing.
    lost_seconds
        Sound that came while the buffer was full.
    n_overflows
        How often the system had lost sound already.
    """

    seconds: float = 0.0
    loudest_db: float = NO_SOUND_DB
    n_verdicts: int = 0
    n_silent: int = 0
    n_unsure: int = 0
    by_label: Counter[str] = field(default_factory=Counter)
    sum_probabilities: NDArray[np.float64] = field(default_factory=lambda: np.zeros(()))
    latencies: deque[float] = field(default_factory=lambda: deque(maxlen=_REMEMBERED_LATENCIES))
    busy_seconds: float = 0.0
    lost_seconds: float = 0.0
    n_overflows: int = 0

    def enter(self, verdict: Verdict) -> None:
        """Count a verdict."""
        self.n_verdicts += 1
        if verdict.decision is None:
            self.n_silent += 1
            return
        self.sum_probabilities = self.sum_probabilities + verdict.window
        if verdict.decision.unsure:
            self.n_unsure += 1
        else:
            self.by_label[verdict.decision.label] += 1

    @property
    def probabilities(self) -> NDArray[np.float64] | None:
        """Mean over the windows that were not silent, shape (classes,)."""
        n_heard = self.n_verdicts - self.n_silent
        return self.sum_probabilities / n_heard if n_heard else None

    @property
    def real_time_factor(self) -> float:
        """Time spent computing for a second of sound."""
        return self.busy_seconds / self.seconds if self.seconds else 0.0

    @property
    def has_losses(self) -> bool:
        """Whether any sound was lost, here or before it came here."""
        return self.lost_seconds > 0 or self.n_overflows > 0

    def latency(self, percentile: float = 95.0) -> float | None:
        """Return a percentile of the latencies in seconds."""
        return float(np.percentile(self.latencies, percentile)) if self.latencies else None


@dataclass(frozen=True)
class Moment:
    """What a screen shows.

    Parameters
    ----------
    seconds
        Sound heard so far.
    level_db
        Of the sound that came last.
    verdict
        The last; ``None`` before the first.
    in_lead_in
        Whether the room's noise is still being measured.
    books
        All that is known.
    """

    seconds: float
    level_db: float
    verdict: Verdict | None
    in_lead_in: bool
    books: Books


class Session:
    """Takes what a source gives through the stages, one after the other, in the thread that calls :meth:`run`.

    Parameters
    ----------
    source
        Where sound comes from.
    intake
        Makes it fit the model.
    classifier
        Listens.
    on_verdict
        Called with every verdict, its time counted from the first sample of the source.
    on_moment
        Called whenever sound has come, and at least ten times a second.
    max_seconds
        Sound after which it ends; ``None`` for never.
    """

    def __init__(
        self,
        source: Source,
        intake: Intake,
        classifier: LiveClassifier,
        *,
        on_verdict: Callable[[Verdict], None],
        on_moment: Callable[[Moment], None] = lambda moment: None,
        max_seconds: float | None = None,
    ) -> None:
        self.books = Books()
        self._source = source
        self._intake = intake
        self._classifier = classifier
        self._on_verdict = on_verdict
        self._on_moment = on_moment
        self._most = None if max_seconds is None else round(max_seconds * source.sample_rate)
        self._n_in = 0
        self._level = NO_SOUND_DB
        self._last: Verdict | None = None
        self._began = time.perf_counter()
        self._stopped = False

    def run(self) -> Books:
        """Listen until the source ends, the time is over, or somebody calls :meth:`stop`."""
        while not self._stopped and (samples := self._source.read()) is not None:
            if self._most is not None:
                samples = samples[: self._most - self._n_in]
            self._take(samples)
            if self._n_in == self._most:
                break
        self._listen(self._intake.finish)  # what is still inside the stages
        self._show()
        return self.books

    def stop(self) -> None:
        """Let :meth:`run` end after the block it is at; may be called from a signal handler."""
        self._stopped = True

    def _take(self, samples: NDArray[np.float32]) -> None:
        if len(samples):
            self._n_in += len(samples)
            self._level = level_db(samples)
            self.books.loudest_db = max(self.books.loudest_db, self._level)
            self.books.seconds = self._n_in / self._source.sample_rate
            self._listen(lambda: self._intake.push(samples))
        self._show()

    def _listen(self, intake: Callable[[], NDArray[np.float32]]) -> None:
        began = time.perf_counter()
        verdicts = self._classifier.push(intake())
        now = time.perf_counter()
        self.books.busy_seconds += now - began
        for verdict in verdicts:
            self._note(verdict, now)

    def _note(self, verdict: Verdict, now: float) -> None:
        lead_in = self._intake.lead_in
        rate = self._classifier.clips.sample_rate
        end = verdict.end + lead_in
        arrived = self._source.ring.arrival(round(end / rate * self._source.sample_rate))
        if arrived is not None and arrived >= self._began:
            self.books.latencies.append(now - arrived)
        self.books.enter(verdict)
        self._last = replace(verdict, end=end, seconds=end / rate)
        self._on_verdict(self._last)

    def _show(self) -> None:
        self.books.lost_seconds = self._source.ring.lost / self._source.sample_rate
        self.books.n_overflows = self._source.n_overflows
        measuring = self.books.seconds < self._intake.lead_in / self._classifier.clips.sample_rate
        self._on_moment(Moment(self.books.seconds, self._level, self._last, measuring, self.books))
