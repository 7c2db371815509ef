"""The stages of live classification, each a function of the samples so far.

Samples (at the model's rate, without noise) go to a listener, which says from time to time what it hears; what it says
is smoothed and decided upon. Nothing here knows where the samples come from or when: a file, pushed through in pieces
of any size, gives the same verdicts as a microphone.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field, replace

import numpy as np
import torch
from numpy.typing import NDArray

from genre.checks import check_number
from genre.data.clips import ClipSpec
from genre.data.cutting import ClipCutter
from genre.data.passages import described_passage
from genre.errors import ConfigError
from genre.features.spectrogram import LogMel
from genre.inference.decision import Decision, Thresholds, decide
from genre.inference.frames import ClipLevels, FrameStream
from genre.inference.predictor import DeepPredictor, Predictor
from genre.models.cnn_gru import CNNGRU

SILENCE_DB = -60.0
"""Level, in dB of full scale, below which there is nothing to classify."""

NO_SOUND_DB = -200.0
"""Level of digital silence, in dB of full scale."""

PASSAGE_EVERY_SEC = 3.0
"""So often a model that hears passages, too, is given the features of the last one anew."""

SILENCE_SEC = 1.0
"""After so much silence something new begins, and what was heard before it is forgotten."""


WINDOWS_AT_ONCE = 8
"""Windows given to a model at once, where many have come: memory then does not depend on how many.

One that hears passages is given one at a time: what an answer makes the one who listens forget is in no passage of the
next.
"""


@dataclass(frozen=True, eq=False)
class Heard:
    """What a listener says.

    Parameters
    ----------
    end
        Number of samples it has heard.
    probabilities : shape=(classes,)
        Of the genres.
    level_db
        Root mean square of the samples since it spoke last (or of the first window), in dB of full scale.
    is_new
        Whether it rests on nothing that was to be forgotten.
    """

    end: int
    probabilities: NDArray[np.float64]
    level_db: float
    is_new: bool = True


class Listener(ABC):
    """Takes samples as they come and speaks after the first window and after every hop from there on.

    Parameters
    ----------
    window, hop
        In samples.
    """

    def __init__(self, window: int, hop: int) -> None:
        self.window = window
        self.hop = hop

    @abstractmethod
    def push(self, samples: NDArray[np.float32]) -> Iterator[Heard]:
        """Take some more samples, shape (n,), and say what there is to say after them, one thing after the other.

        The one who listens may call :meth:`forget` in between, and has to take everything.
        """

    @abstractmethod
    def forget(self) -> None:
        """Let go of what was heard up to the answer that was given last."""


class WindowListener(Listener):
    """Classifies the last window, each by itself.

    Parameters
    ----------
    predictor
        The model; a window is one of its clips.
    hop_sec
        Seconds from window to window.
    """

    def __init__(self, predictor: Predictor, hop_sec: float) -> None:
        spec = replace(predictor.clips, hop_sec=hop_sec)
        super().__init__(spec.length, spec.hop)
        self._predictor = predictor
        self._cutter = ClipCutter(spec)
        sec = predictor.needs.passage_sec
        self._passage = None if sec is None else LastPassage(replace(spec, passage_sec=sec))
        self._end = 0
        self._forgotten = 0

    def push(self, samples: NDArray[np.float32]) -> Iterator[Heard]:
        """Take some more samples and give one answer for every window that is whole now."""
        windows, starts = self._cutter.push(samples)
        if self._passage is not None:
            self._passage.push(samples)
        at_once = WINDOWS_AT_ONCE if self._passage is None else 1
        for first in range(0, len(windows), at_once):
            some = np.ascontiguousarray(windows[first : first + at_once])
            passages = None
            if self._passage is not None:
                passages = self._passage.of_window(int(starts[first]), since=self._forgotten)[None]
            answers = self._predictor.probabilities(some, passages)
            for window, start, answer in zip(some, starts[first:], answers, strict=False):
                self._end = int(start) + self.window
                level = level_db(window if start == 0 else window[-self.hop :])
                yield Heard(self._end, answer, level, is_new=int(start) >= self._forgotten)

    def forget(self) -> None:
        """Let go of what was heard: windows that begin before now are no longer new."""
        self._forgotten = self._end


class LastPassage:
    """The last passage of sound that goes on and on, described as by :func:`described_passage`.

    It is described anew at the end of the first window, every :data:`PASSAGE_EVERY_SEC` from there on, and at the end
    of the first window after something was forgotten, so that it does not depend on the pieces in which sound comes.

    Parameters
    ----------
    clips
        The windows: their length, hop and rate, and ``passage_sec``.
    """

    def __init__(self, clips: ClipSpec) -> None:
        assert clips.passage_length is not None
        self._window, self._length, self._rate = clips.length, clips.passage_length, clips.sample_rate
        self._every = max(1, round(PASSAGE_EVERY_SEC * clips.sample_rate / clips.hop)) * clips.hop
        self._held = np.zeros(0, np.float32)
        self._held_from = 0
        self._described = np.zeros(0, np.float32)
        self._described_at = -1
        self._done = 0

    def push(self, samples: NDArray[np.float32]) -> None:
        """Take some more samples, shape (n,)."""
        spare = max(0, self._done - self._length - self._held_from)
        self._held = np.concatenate([self._held[spare:], samples])
        self._held_from += spare

    def of_window(self, start: int, *, since: int) -> NDArray[np.float32]:
        """Return what is known of the passage of the next window, shape (n_columns,), of sound from ``since`` on.

        A window that begins before that still has the passage of before.
        """
        self._done = start + self._window
        if start >= since and (start % self._every == 0 or self._described_at < since):
            first = max(self._done - self._length, since, 0)
            heard = self._held[first - self._held_from : self._done - self._held_from]
            self._described, self._described_at = described_passage(heard, self._rate), start
        return self._described


class CarriedListener(Listener):
    """Lets a recurrent network listen on: its answer rests on all it remembers, at the same cost a second.

    What :meth:`CNNGRU.forward` would say of all frames so far; with ``memory_sec``, of what has not faded yet.
    Levels that go by the loudest of a clip go by the loudest of the last clip's length, see :class:`ClipLevels`.

    Parameters
    ----------
    predictor
        A :class:`CNNGRU` that :func:`can_carry`.
    hop_sec
        Seconds from answer to answer.
    memory_sec
        Time over which what was heard fades; infinite for never.
    """

    def __init__(self, predictor: DeepPredictor, hop_sec: float, memory_sec: float) -> None:
        spec = predictor.clips
        super().__init__(spec.length, replace(spec, hop_sec=hop_sec).hop)
        assert isinstance(predictor.model, CNNGRU)
        assert isinstance(predictor.frontend, LogMel)
        self._model = predictor.model
        self._frontend = predictor.frontend
        steps = memory_sec * self._frontend.sample_rate / self._frontend.hop_length / self._model.frames_per_step
        self._most_steps = max(1, round(steps)) if np.isfinite(steps) else None
        self._waiting = np.zeros(0, np.float32)
        self._end = 0
        self._wanted = self.window
        self.forget()

    def forget(self) -> None:
        """Let go of what was heard."""
        self._frames = FrameStream(self._frontend)
        self._levels = ClipLevels(self._frontend, self._model.input_shape[1])
        self._state = self._model.initial_state()

    def push(self, samples: NDArray[np.float32]) -> Iterator[Heard]:
        """Take some more samples and give the answers that are due."""
        self._waiting = np.concatenate([self._waiting, samples])
        while len(self._waiting) >= self._wanted:
            now, self._waiting = self._waiting[: self._wanted], self._waiting[self._wanted :]
            self._end += len(now)
            self._wanted = self.hop
            yield Heard(self._end, self._answer(now), level_db(now))

    def _answer(self, samples: NDArray[np.float32]) -> NDArray[np.float64]:
        frames = torch.from_numpy(self._levels(self._frames.push(samples)))[None, None]
        with torch.inference_mode():
            logits, self._state = self._model.step(frames, self._state)
            if self._most_steps is not None:
                self._state = self._state._replace(steps=self._state.steps.clamp(max=self._most_steps))
            probabilities: NDArray[np.float64] = self._model.probabilities(logits.double()).numpy()[0]
        return probabilities


def can_carry(predictor: Predictor) -> bool:
    """Return whether a model can listen on: a recurrent network on log-mel frames, without features."""
    return (
        isinstance(predictor, DeepPredictor)
        and isinstance(predictor.model, CNNGRU)
        and not predictor.model.uses_features
        and isinstance(predictor.frontend, LogMel)
        and predictor.frontend.sample_rate == predictor.clips.sample_rate
    )


class Smoothing:
    """The mean of the last answers.

    Parameters
    ----------
    n_answers
        How many.
    """

    def __init__(self, n_answers: int) -> None:
        self._answers: deque[NDArray[np.float64]] = deque(maxlen=max(1, n_answers))

    def __call__(self, probabilities: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the mean of the last answers and this one, shape (classes,)."""
        self._answers.append(probabilities)
        mean: NDArray[np.float64] = np.mean(self._answers, axis=0)
        return mean

    def forget(self) -> None:
        """Begin anew."""
        self._answers.clear()


@dataclass(frozen=True, eq=False)
class Verdict:
    """What there is to show at a moment.

    Parameters
    ----------
    end
        Number of samples that have been heard.
    seconds
        The same in seconds.
    window : shape=(classes,)
        What the listener said.
    probabilities : shape=(classes,)
        The same after smoothing; before the first sound, those of no knowledge at all.
    decision
        What that amounts to; ``None`` while it is silent.
    level_db
        Of the last hop.
    """

    end: int
    seconds: float
    window: NDArray[np.float64]
    probabilities: NDArray[np.float64]
    decision: Decision | None
    level_db: float

    @property
    def state(self) -> str:
        """``"silence"``, ``"unsure"`` or ``"sure"``."""
        if self.decision is None:
            return "silence"
        return "unsure" if self.decision.unsure else "sure"


@dataclass(frozen=True)
class LiveSettings:
    """How to listen.

    Parameters
    ----------
    hop_sec
        Seconds from verdict to verdict.
    memory_sec
        Seconds of sound a verdict rests on.
    carry
        Whether a recurrent network listens on instead of hearing each window by itself; ``None``: if it can.
    silence_db
        Level, in dB of full scale, below which nothing is said.
    thresholds
        When a verdict is unsure.

    Raises
    ------
    ConfigError
        If a setting is out of range.
    """

    hop_sec: float = 0.5
    memory_sec: float = 15.0
    carry: bool | None = None
    silence_db: float = SILENCE_DB
    thresholds: Thresholds = field(default_factory=Thresholds)

    def __post_init__(self) -> None:
        for name, low, high in (
            ("hop_sec", 0.05, 60.0),
            ("memory_sec", 0.05, 3600.0),
            ("silence_db", NO_SOUND_DB, 0.0),
        ):
            check_number(f"live.{name}", getattr(self, name), low, high)


class LiveClassifier:
    """Listener, smoothing and decision, one after the other.

    Parameters
    ----------
    predictor
        The model.
    settings
        How to listen.

    Attributes
    ----------
    carried : bool
        Whether a recurrent network listens on.

    Raises
    ------
    ConfigError
        If the model is to listen on and cannot.
    """

    def __init__(self, predictor: Predictor, settings: LiveSettings) -> None:
        if settings.carry and not can_carry(predictor):
            raise ConfigError(
                f"live.carry=true needs a cnn_gru without features, and {predictor.name} is none; leave it at null"
            )
        self.labels = predictor.labels
        self.clips: ClipSpec = predictor.clips
        self.carried = can_carry(predictor) if settings.carry is None else settings.carry
        self._settings = settings
        self._listener: Listener
        if self.carried:
            assert isinstance(predictor, DeepPredictor)
            self._listener = CarriedListener(predictor, settings.hop_sec, settings.memory_sec)
            self._smoothing = Smoothing(1)
        else:
            self._listener = WindowListener(predictor, settings.hop_sec)
            self._smoothing = Smoothing(round(settings.memory_sec / settings.hop_sec))
        self._unknown = np.full(len(self.labels), 1 / len(self.labels))
        self._smoothed = self._unknown
        self._silent_samples = 0

    @property
    def window(self) -> int:
        """Samples before the first verdict."""
        return self._listener.window

    def push(self, samples: NDArray[np.float32]) -> list[Verdict]:
        """Take some more samples, shape (n,), and return the verdicts that are due."""
        verdicts = (self._verdict(heard) for heard in self._listener.push(samples))
        return [verdict for verdict in verdicts if verdict is not None]

    def _verdict(self, heard: Heard) -> Verdict | None:
        """Return what there is to show; ``None`` where the model has no answer to sound, or none to new sound alone."""
        decision, window = None, heard.probabilities
        if not np.isfinite(window).all():
            self._forget()
            window = self._unknown
        if heard.level_db < self._settings.silence_db:
            self._silent_samples += self._listener.hop
            if self._silent_samples >= SILENCE_SEC * self.clips.sample_rate:
                self._forget()
        else:
            self._silent_samples = 0
            if window is self._unknown or not heard.is_new:
                return None
            self._smoothed = self._smoothing(window)
            decision = decide(self._smoothed, self.labels, self._settings.thresholds)
        seconds = heard.end / self.clips.sample_rate
        return Verdict(heard.end, seconds, window, self._smoothed, decision, heard.level_db)

    def _forget(self) -> None:
        self._smoothing.forget()
        self._listener.forget()
        self._smoothed = self._unknown


def level_db(samples: NDArray[np.float32]) -> float:
    """Return the root mean square of samples in dB of full scale; :data:`NO_SOUND_DB` for digital silence."""
    power = float(np.mean(np.square(samples, dtype=np.float64))) if len(samples) else 0.0
    return 10 * float(np.log10(max(power, 10 ** (NO_SOUND_DB / 10))))
