"""The live screen: bars by genre, a level meter, and how listening goes."""

from __future__ import annotations

import math
from collections.abc import Sequence
from types import TracebackType
from typing import Self

import numpy as np
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from genre.inference.session import Moment
from genre.inference.stream import Verdict

BAR = 40
METER_LOWEST_DB = -60.0
EIGHTHS = " ▏▎▍▌▋▊▉█"
STATE_STYLES = {"sure": "bold green", "unsure": "bold yellow", "silence": "dim"}


class Screen:
    """Shows moments of a session on a terminal.

    Parameters
    ----------
    console
        The terminal.
    labels
        Names of the genres.
    title
        What is listened to, and with what.
    window_sec
        Seconds before the first verdict.
    total_sec
        Seconds after which it ends by itself; ``None`` for never.
    """

    def __init__(
        self, console: Console, labels: Sequence[str], *, title: str, window_sec: float, total_sec: float | None
    ) -> None:
        self._labels = labels
        self._title = title
        self._window_sec = window_sec
        self._total_sec = total_sec
        self._live = Live(console=console, auto_refresh=False, transient=True)

    def __enter__(self) -> Self:
        self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._live.stop()

    def show(self, moment: Moment) -> None:
        """Draw a moment."""
        self._live.update(self.drawn(moment), refresh=True)

    def drawn(self, moment: Moment) -> RenderableType:
        """Return the picture of a moment."""
        bars = Table.grid(padding=(0, 1))
        bars.add_column(justify="right")
        bars.add_column(width=BAR)
        bars.add_column(justify="right", width=5)
        verdict = moment.verdict
        shares = np.zeros(len(self._labels)) if verdict is None else verdict.probabilities
        best = -1 if verdict is None or verdict.decision is None else int(np.argmax(shares))
        for number, (label, share) in enumerate(zip(self._labels, shares, strict=True)):
            style = STATE_STYLES[verdict.state] if verdict is not None and number == best else "cyan"
            if verdict is None or verdict.decision is None:
                style = "dim"
            bars.add_row(Text(label, style=style), Text(bar(share), style=style), Text(f"{100 * share:.0f} %"))
        head = self._headline(moment)
        level = Text.assemble(("level ", "dim"), meter(moment.level_db))
        return Panel(
            Group(head, Text(), bars, Text(), level, self._footer(moment)),
            title=Text(self._title),
            title_align="left",
            width=64,
        )

    def _headline(self, moment: Moment) -> Text:
        verdict = moment.verdict
        if moment.in_lead_in:
            return Text("quiet, please: measuring the noise of the room", style="bold cyan")
        if verdict is None:
            return Text(f"listening: the first verdict comes after {self._window_sec:g} s", style="cyan")
        return Text(headline(verdict), style=STATE_STYLES[verdict.state])

    def _footer(self, moment: Moment) -> Text:
        books = moment.books
        latency = books.latency(50)
        parts = [
            clock(moment.seconds)
            if self._total_sec is None
            else f"{max(0.0, self._total_sec - moment.seconds):.0f} s left",
            "latency -" if latency is None else f"latency {1000 * latency:.0f} ms",
            f"overflows {books.n_overflows}" + (f", {books.lost_seconds:.1f} s lost" if books.lost_seconds else ""),
        ]
        parts.append("Ctrl-C ends" if self._total_sec is None else "Ctrl-C ends now")
        return Text("   ".join(parts), style="yellow" if books.has_losses else "dim")


def headline(verdict: Verdict) -> str:
    """Return a verdict in words."""
    if verdict.decision is None:
        return "silence"
    decision = verdict.decision
    said = f"{decision.label} {100 * decision.probability:.0f} %"
    return f"unsure: perhaps {said}" if decision.unsure else said


def bar(share: float, width: int = BAR) -> str:
    """Return a bar of a share in [0, 1], to an eighth of a character.

    >>> bar(0.5, 4), bar(0.53, 4)
    ('██', '██▏')
    """
    eighths = round(share * width * 8)
    return "█" * (eighths // 8) + EIGHTHS[eighths % 8].strip()


def meter(level_db: float, width: int = 30) -> Text:
    """Return a level in dB of full scale as a meter that turns yellow and red towards full scale."""
    share = min(1.0, max(0.0, 1 - level_db / METER_LOWEST_DB))
    filled = round(share * width)
    text = Text()
    for position in range(width):
        db = METER_LOWEST_DB * (1 - (position + 0.5) / width)
        colour = "red" if db > -6 else "yellow" if db > -15 else "green"
        text.append("▮" if position < filled else "▯", style=colour if position < filled else "dim")
    value = f"{level_db:4.0f} dB" if level_db > -120 and math.isfinite(level_db) else "   - dB"
    return text.append(f" {value}", style="dim")


def clock(seconds: float) -> str:
    """Write a time as ``m:ss``.

    >>> clock(75)
    '1:15'
    """
    minutes, rest = divmod(int(seconds), 60)
    return f"{minutes}:{rest:02d}"
