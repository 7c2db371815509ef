"""What a command says while it works: lines, progress bars, and a copy of the lines in the run's log."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, ProgressColumn, Task, TextColumn, TimeRemainingColumn
from rich.text import Text

from genre.data.preparation import Progress as PreparationProgress
from genre.errors import counted

log = logging.getLogger("genre")
console = Console(soft_wrap=True, highlight=False)


notes = Console(stderr=True, soft_wrap=True, highlight=False)
"""For everything that is not the result of a command whose result may be read by a program."""


def note(text: str, *, style: str | None = None) -> None:
    """Print a line on standard error."""
    notes.print(text, style=style, markup=False)


def say(text: str, *, style: str | None = None) -> None:
    """Print a line and keep it in the run's log."""
    console.print(text, style=style, markup=False)
    console.file.flush()  # a log file that is followed shows the line now
    log.info(text)


def fall_silent() -> None:
    """Say nothing from now on: another process of the same run speaks for all."""
    console.quiet = True
    log.disabled = True


class ClipRate(ProgressColumn):
    """Clips a second so far."""

    def render(self, task: Task) -> Text:
        """Return the column's text."""
        clips, elapsed = task.fields.get("clips", 0), task.elapsed or 0.0
        return Text(f"{clips / elapsed:.0f} clips/s" if clips and elapsed else "", style="progress.data.speed")


@dataclass(frozen=True)
class PreparationBar:
    """What to call while data are prepared.

    Parameters
    ----------
    prepared
        After every track whose clips are prepared.
    listened
        After every track whose fingerprint is taken, with (tracks done, tracks in all).
    """

    prepared: PreparationProgress
    listened: Callable[[int, int], None]


@contextmanager
def preparation_bar() -> Iterator[PreparationBar]:
    """Show how far the preparation of data is, with rate and time left; yields what to call after every track."""
    bar = Progress(
        TextColumn("[progress.description]{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("tracks"),
        ClipRate(),
        TimeRemainingColumn(),
        console=console,
        transient=True,
    )
    task = bar.add_task("preparing clips", total=None, clips=0, visible=False)
    listening = bar.add_task("listening for copies", total=None, clips=0, visible=False)
    started = time.perf_counter()
    first: int | None = None
    last = before = (0, 0)

    def prepared(done: int, total: int, clips: int) -> None:
        nonlocal last, first, before
        if first is None or done < last[0]:  # the first store, or another one
            first = clips
            before = (before[0] + last[0], before[1] + last[1])
            bar.reset(task, clips=0)
        last = (done, clips)
        bar.start()  # only now, so that nothing is drawn where all is prepared already
        bar.update(task, completed=done, total=total, clips=clips - first, visible=True)

    def listened(done: int, total: int) -> None:
        if done == 0:
            bar.reset(listening)
        bar.start()
        bar.update(listening, completed=done, total=total, visible=True)

    try:
        yield PreparationBar(prepared, listened)
    finally:
        if bar.live.is_started:  # stopping a bar that was never shown prints an empty line
            bar.stop()
    if last != (0, 0):
        seconds = time.perf_counter() - started
        n_tracks, n_clips = before[0] + last[0], before[1] + last[1]
        say(f"prepared {counted(n_clips, 'clip')} of {counted(n_tracks, 'track')} in {seconds:.1f} s")


@contextmanager
def work_bar(what: str) -> Iterator[Callable[[int, int], None]]:
    """Show how far a piece of work is, with the time left; yields what to call with (pieces done, pieces in all)."""
    bar = Progress(
        TextColumn("[progress.description]{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        console=console,
        transient=True,
    )
    task = bar.add_task(what, total=None)
    with bar:
        yield lambda done, total: bar.update(task, completed=done, total=total)
