"""One live session: what is shown and written of it."""

from __future__ import annotations

import json
import signal
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, TextIO

import numpy as np
from numpy.typing import NDArray
from omegaconf import DictConfig

from genre.commands.console import console, note
from genre.commands.listing import resolved_format, take_any_text
from genre.commands.pictures import Pictures, VerdictHistory
from genre.commands.screen import Screen, clock, headline
from genre.commands.settings import listed, results_folder, thresholds
from genre.errors import DataError
from genre.evaluation.files import write_row
from genre.evaluation.timeline import Timeline
from genre.inference.decision import decide
from genre.inference.denoise import Denoiser
from genre.inference.intake import Intake, Sink
from genre.inference.session import Books, Moment, Session
from genre.inference.sources import Source
from genre.inference.stream import NO_SOUND_DB, LiveClassifier, Verdict

SCREEN_SEC = 0.05

LARGEST_WAV = (1 << 32) - (1 << 12)
"""Bytes of samples that a WAV holds, whose header counts them in 32 bits; the rest is for the header."""


class LiveRun:
    """One session with all that is written and shown of it.

    Parameters
    ----------
    cfg
        The configuration.
    source, denoiser, classifier
        The stages; sound comes already.
    title
        What is listened to.
    """

    def __init__(
        self, cfg: DictConfig, source: Source, denoiser: Denoiser, classifier: LiveClassifier, *, title: str
    ) -> None:
        self._seconds: float | None = cfg.live.seconds
        self._thresholds = thresholds(cfg)
        self._form = resolved_format(cfg.format)
        take_any_text(self._form)
        self._title = title
        self._source = source
        self._classifier = classifier
        self._rate = classifier.clips.sample_rate
        self._folder = results_folder()
        plots = {"timeline", *listed(cfg, "plot")} | ({"denoise"} if self._seconds is not None else set())
        self._plots = plots
        self._pictures = Pictures(self._rate, tuple(plots))
        self._history = VerdictHistory(
            len(classifier.labels), cfg.live.hop_sec, classifier.window / classifier.clips.sample_rate
        )
        self._denoiser = denoiser
        self._last_shown = 0.0
        self._last_said = ""
        self._screen: Screen | None = None

    def run(self) -> None:
        """Listen, show, and at the end write and tell what was heard.

        Raises
        ------
        DataError
            If a file cannot be written further; at the end, if the source failed or there was no sound.
        """
        with ExitStack() as stack:
            self._table = stack.enter_context(_VerdictTable(self._folder / "verdicts.csv", self._classifier.labels))
            raw: Sink = self._pictures.raw
            clean: Sink = self._pictures.clean
            if self._seconds is not None:
                most = round(self._seconds * self._rate)
                raw = _both(raw, stack.enter_context(_Recording(self._folder / "raw.wav", self._rate, most)).write)
                clean = _both(
                    clean, stack.enter_context(_Recording(self._folder / "denoised.wav", self._rate, most)).write
                )
            intake = Intake(self._source.sample_rate, self._rate, self._denoiser, raw=raw, clean=clean)
            session = Session(
                self._source,
                intake,
                self._classifier,
                on_verdict=self._on_verdict,
                on_moment=self._on_moment,
                max_seconds=self._seconds,
            )
            self._listen(session, stack)
        self._tell(session.books)
        self._check(session.books)

    def _listen(self, session: Session, stack: ExitStack) -> None:
        if self._form == "table" and console.is_terminal:
            window_sec = self._classifier.window / self._rate
            self._screen = stack.enter_context(
                Screen(
                    console, self._classifier.labels, title=self._title, window_sec=window_sec, total_sec=self._seconds
                )
            )
        with _stopped_by_interrupt(session):
            session.run()

    def _on_verdict(self, verdict: Verdict) -> None:
        self._table.add(verdict)
        self._history.add(verdict.seconds, verdict.probabilities)
        if self._form == "json":
            print(json.dumps(_as_row(verdict, self._classifier.labels)), flush=True)
        elif self._form == "csv":
            self._table.print(verdict)
        elif self._screen is None:
            self._say(verdict)

    def _say(self, verdict: Verdict) -> None:
        """Print a line when the answer changes, where there is no terminal to draw on."""
        said = verdict.state if verdict.decision is None else f"{verdict.state} {verdict.decision.label}"
        if said != self._last_said:
            self._last_said = said
            print(f"{clock(verdict.seconds)}  {headline(verdict)}", flush=True)

    def _on_moment(self, moment: Moment) -> None:
        now = time.perf_counter()
        if self._screen is not None and now - self._last_shown >= SCREEN_SEC:
            self._last_shown = now
            self._screen.show(moment)

    def _tell(self, books: Books) -> None:
        """Write the pictures and print the summary."""
        probabilities = books.probabilities
        if not books.n_verdicts:
            note(self._no_verdict(books.seconds), style="yellow")
        else:
            self._pictures.timeline(
                self._folder / "timeline.png",
                Timeline(self._history.edges, self._history.probabilities, self._classifier.labels),
                title=self._title,
                subtitle=self._in_words(probabilities),
            )
        if "denoise" in self._plots:
            self._pictures.denoising(self._folder / "denoise.png", self._title)
        if self._source.truncated:
            note(f"{self._title} ends earlier than it says: what is there was heard", style="yellow")
        for line in self._summary(books):
            note(line)

    def _no_verdict(self, seconds: float) -> str:
        lead_in, window = self._denoiser.lead_in / self._rate, self._classifier.window / self._rate
        if seconds >= lead_in + window:
            return f"{seconds:.1f} s were heard, to which the model has no answer: there is no verdict"
        noise = f"{lead_in:g} s of noise and " if lead_in else ""
        return f"{seconds:.1f} s were heard, less than {noise}one clip of {window:g} s: there is no verdict"

    def _check(self, books: Books) -> None:
        failure = self._source.failure.rstrip(".")
        if failure:
            raise DataError(f"{failure}; what was heard until then is kept" if books.seconds else failure)
        if books.loudest_db <= NO_SOUND_DB:
            raise DataError(
                f"no sound came from {self._title}; give another file, or look whether the microphone is muted"
            )

    def _in_words(self, probabilities: NDArray[np.float64] | None) -> str:
        if probabilities is None:
            return "silence"
        decision = decide(probabilities, self._classifier.labels, self._thresholds)
        top = ", ".join(f"{label} {100 * share:.0f} %" for label, share in decision.ranking[:3])
        return f"unsure: {top}" if decision.unsure else top

    def _summary(self, books: Books) -> list[str]:
        lines = []
        if books.n_verdicts:
            lines.append(f"overall: {self._in_words(books.probabilities)}")
            counted = [f"{label} {count}" for label, count in books.by_label.most_common()]
            counted += [f"unsure {books.n_unsure}"] * bool(books.n_unsure)
            counted += [f"silence {books.n_silent}"] * bool(books.n_silent)
            lines.append(f"verdicts: {', '.join(counted)}")
        p95 = books.latency(95) if self._source.real_time else None
        latency = f", latency {1000 * p95:.0f} ms (p95)" if p95 is not None else ""
        heard = f"heard {books.seconds:.1f} s, {_losses(books)}"
        lines.append(f"{heard}{latency}, real-time factor {books.real_time_factor:.3f}")
        lines.append(f"kept in {self._folder}")
        return lines


@contextmanager
def _stopped_by_interrupt(session: Session) -> Iterator[None]:
    """Let Ctrl-C end the session between two blocks, so that nothing is half done; a second one interrupts at once."""
    before = signal.getsignal(signal.SIGINT)

    def stop(*_: object) -> None:
        signal.signal(signal.SIGINT, before)
        session.stop()

    signal.signal(signal.SIGINT, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def _losses(books: Books) -> str:
    """Say what sound was lost, and where."""
    if not books.has_losses:
        return "nothing lost"
    here = [f"{books.lost_seconds:.2f} s lost"] if books.lost_seconds else []
    times = f"{books.n_overflows} time{'s' * (books.n_overflows > 1)}"
    before = [f"the sound system lost sound {times}"] if books.n_overflows else []
    return ", ".join([*here, *before])


def _as_row(verdict: Verdict, labels: tuple[str, ...]) -> dict[str, Any]:
    return {
        "seconds": round(verdict.seconds, 3),
        "state": verdict.state,
        "predicted": None if verdict.decision is None else verdict.decision.label,
        "level_db": round(verdict.level_db, 1),
        "probabilities": dict(zip(labels, map(float, verdict.probabilities), strict=True)),
        "window": dict(zip(labels, map(float, verdict.window), strict=True)),
    }


class _VerdictTable:
    """``verdicts.csv``, on the disk as the verdicts come."""

    def __init__(self, path: Path, labels: tuple[str, ...]) -> None:
        self._path = path
        self._columns = ("seconds", "state", "predicted", "level_db", *labels)
        self._printed_columns = False

    def __enter__(self) -> _VerdictTable:
        with _writing(self._path):
            self._path.parent.mkdir(parents=True, exist_ok=True)
            self._stream: TextIO = self._path.open("w", encoding="utf-8", newline="")
        self._write(self._columns)
        return self

    def __exit__(self, *_: object) -> None:
        with _writing(self._path):
            self._stream.close()

    def add(self, verdict: Verdict) -> None:
        """Write a verdict."""
        self._write(self._cells(verdict))

    def _write(self, cells: Sequence[str]) -> None:
        with _writing(self._path):
            write_row(self._stream, cells)
            self._stream.flush()

    def print(self, verdict: Verdict) -> None:
        """Print a verdict on standard output."""
        if not self._printed_columns:
            write_row(sys.stdout, self._columns)
            self._printed_columns = True
        write_row(sys.stdout, self._cells(verdict))
        sys.stdout.flush()

    def _cells(self, verdict: Verdict) -> list[str]:
        label = "" if verdict.decision is None else verdict.decision.label
        shares = (f"{share:.9g}" for share in verdict.probabilities)
        return [f"{verdict.seconds:.3f}", verdict.state, label, f"{verdict.level_db:.1f}", *shares]


class _Recording:
    """A WAV file that is written as the sound comes, in the values the model hears (32-bit floating point).

    It is RF64, the WAV of more than 4 GiB, if ``most`` samples are more than a plain one holds.
    """

    def __init__(self, path: Path, sample_rate: int, most: int) -> None:
        self._path = path
        self._rate = sample_rate
        self._format = "WAV" if 4 * most <= LARGEST_WAV else "RF64"

    def __enter__(self) -> _Recording:
        import soundfile

        with _writing(self._path):
            self._file = soundfile.SoundFile(
                self._path, "w", self._rate, channels=1, subtype="FLOAT", format=self._format
            )
        return self

    def __exit__(self, *_: object) -> None:
        with _writing(self._path):
            self._file.close()

    def write(self, samples: NDArray[np.float32]) -> None:
        """Write some more samples."""
        with _writing(self._path):
            self._file.write(samples)


@contextmanager
def _writing(path: Path) -> Iterator[None]:
    """Make one sentence of what the system or libsndfile says against writing a file."""
    import soundfile

    try:
        yield
    except (OSError, soundfile.LibsndfileError) as error:
        reason = getattr(error, "strerror", None) or str(error).rstrip(".")
        raise DataError(f"cannot write {path} ({reason}); free some space, or choose another hydra.run.dir") from error


def _both(first: Sink, second: Sink) -> Sink:
    def sink(samples: NDArray[np.float32]) -> None:
        first(samples)
        second(samples)

    return sink
