"""What the live screen shows."""

from __future__ import annotations

import io
from dataclasses import replace

import numpy as np
import pytest
from rich.console import Console

from genre.commands.pictures import VerdictHistory
from genre.commands.screen import Screen, bar, clock, meter
from genre.inference.decision import Thresholds, decide
from genre.inference.session import Books, Moment
from genre.inference.stream import Verdict

LABELS = ("blues", "jazz", "metal")


def verdict(shares: tuple[float, float, float], *, silent: bool = False) -> Verdict:
    probabilities = np.array(shares)
    decision = None if silent else decide(probabilities, LABELS, Thresholds(0.5, 0.1))
    return Verdict(66150, 3.0, probabilities, probabilities, decision, -20.0)


def shown(moment: Moment, *, total_sec: float | None = None, title: str = "a song") -> str:
    console = Console(file=io.StringIO(), width=100, force_terminal=True, color_system=None)
    console.print(Screen(console, LABELS, title=title, window_sec=3.0, total_sec=total_sec).drawn(moment))
    return console.file.getvalue()  # type: ignore[attr-defined]


def moment(of: Verdict | None, **changes: object) -> Moment:
    return replace(Moment(12.0, -20.0, of, False, Books(latencies=[0.05])), **changes)  # type: ignore[arg-type]


def test_bars_and_the_genre_that_leads() -> None:
    text = shown(moment(verdict((0.1, 0.7, 0.2))))
    assert "jazz 70 %" in text
    for label, blocks in (("blues", 4), ("metal", 8)):
        (row,) = (line for line in text.splitlines() if f" {label} " in line)
        assert row.count("█") == blocks
    assert "level" in text
    assert "-20 dB" in text
    assert "latency 50 ms" in text
    assert "overflows 0" in text
    assert "0:12" in text


@pytest.mark.parametrize(
    ("now", "hint"),
    [
        (moment(None), "the first verdict comes after 3 s"),
        (moment(None, in_lead_in=True), "quiet, please"),
        (moment(verdict((0.4, 0.35, 0.25))), "unsure: perhaps blues 40 %"),
        (moment(verdict((1 / 3, 1 / 3, 1 / 3), silent=True)), "silence"),
        (moment(verdict((0.9, 0.1, 0.0)), books=Books(lost_seconds=1.5, n_overflows=2)), "overflows 2, 1.5 s lost"),
    ],
)
def test_states(now: Moment, hint: str) -> None:
    assert hint in shown(now)


@pytest.mark.parametrize(
    ("books", "style"),
    [(Books(), "dim"), (Books(lost_seconds=0.5), "yellow"), (Books(n_overflows=1), "yellow")],
)
def test_the_footer_is_yellow_when_sound_was_lost_anywhere(books: Books, style: str) -> None:
    drawn = Screen(Console(), LABELS, title="", window_sec=3.0, total_sec=None).drawn(moment(None, books=books))
    assert drawn.renderable.renderables[-1].style == style  # type: ignore[union-attr]


def test_a_title_is_shown_as_it_is() -> None:
    assert "song [bold] [live].wav [/x]" in shown(moment(None), title="song [bold] [live].wav [/x]")


def test_time_that_is_left() -> None:
    assert "8 s left" in shown(moment(None), total_sec=20.0)


def test_the_screen_is_drawn_and_taken_away() -> None:
    console = Console(file=io.StringIO(), width=80, force_terminal=True)
    with Screen(console, LABELS, title="a song", window_sec=3.0, total_sec=None) as screen:
        screen.show(moment(verdict((0.9, 0.1, 0.0))))
    assert "blues" in console.file.getvalue()  # type: ignore[attr-defined]


def test_bars_meters_and_clocks() -> None:
    assert (bar(0.0, 8), bar(1.0, 8), bar(0.5, 8)) == ("", "█" * 8, "█" * 4)
    assert meter(-200.0).plain == "▯" * 30 + "    - dB"
    assert meter(0.0).plain.count("▮") == 30
    assert meter(-30.0).plain.count("▮") == 15
    assert clock(3725) == "62:05"


def test_verdicts_that_were_left_out_leave_no_hole_in_the_timeline() -> None:
    history = VerdictHistory(2, hop_sec=0.5, window_sec=1.0)
    for seconds, share in ((1.0, 0.2), (1.5, 0.4), (3.0, 0.6)):
        history.add(seconds, np.array([share, 1 - share]))
    np.testing.assert_allclose(history.edges, [0, 1, 1.5, 2, 2.5, 3])
    np.testing.assert_allclose(history.probabilities[:, 0], [0.2, 0.4, 0.4, 0.4, 0.6], atol=1e-6)
