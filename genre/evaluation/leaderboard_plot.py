"""The leaderboard as a picture."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from genre.evaluation.canvas import DARK, FAINT, INK, LIGHT, WARNING, Heading, canvas, plain, quiet
from genre.evaluation.metrics import LEAK_WARNING

_ROW, _ABOUT, _WARNING = 0.27, 0.95, 0.2
"""Height of a row, of what a table has around its rows, and of a warning, in inches."""


@dataclass(frozen=True, slots=True)
class Row:
    """One bar.

    Parameters
    ----------
    name
        Of the model.
    accuracy
        Mean test track accuracy, in [0, 1].
    ci95
        Ends of its interval.
    worse
        Whether it is worse than the best of its table, beyond noise.
    """

    name: str
    accuracy: float
    ci95: tuple[float, float]
    worse: bool


@dataclass(frozen=True, slots=True)
class Table:
    """What may be compared: one data set under one protocol; its rows from top to bottom."""

    title: str
    leaky: bool
    rows: Sequence[Row]


def leaderboard_figure(tables: Sequence[Table]) -> Figure:
    """Draw a bar a model with its 95 % interval, one panel a table; leaked ones are hatched, red and say so.

    Dark bars are the best of their table and those that are not worse beyond noise; light ones are.

    Parameters
    ----------
    tables
        From top to bottom, each with at least one row.
    """
    longest = max(len(plain(row.name, 44)) for table in tables for row in table.rows)
    heights = [_ROW * len(table.rows) + _ABOUT + _WARNING * table.leaky for table in tables]
    line = "mean with its 95 % interval; dark: best or not worse beyond noise, light: worse"
    figure, body = canvas(
        6.4 + 0.075 * longest, sum(heights), "Track accuracy on test tracks", Heading("", "", leaky=False), line=line
    )
    panels = body.subplots(len(tables), 1, squeeze=False, sharex=True, gridspec_kw={"height_ratios": heights})
    for axes, table in zip(panels[:, 0], tables, strict=True):
        _draw_table(axes, table)
    panels[-1, 0].set_xlabel("track accuracy", fontsize=10)
    return figure


def _draw_table(axes: Axes, table: Table) -> None:
    ink = WARNING if table.leaky else INK
    title = f"{plain(table.title)}\n{LEAK_WARNING}" if table.leaky else plain(table.title)
    axes.set_title(title, fontsize=10.5, color=ink, loc="left", fontweight="bold" if table.leaky else "normal")
    for at, row in enumerate(table.rows):
        face = LIGHT if row.worse else DARK
        edge, hatch = face, None
        if table.leaky:
            face, edge, hatch = "#f3c9ce", WARNING, "////"
        axes.barh(at, row.accuracy, height=0.66, linewidth=0, facecolor=face, edgecolor=edge, hatch=hatch)
        for colour, width in (("white", 3.2), (INK, 1.4)):  # seen on dark bars too
            axes.plot(row.ci95, [at, at], color=colour, linewidth=width, marker="|", markersize=6)
        text = f"{row.accuracy:.3f}  [{row.ci95[0]:.3f}, {row.ci95[1]:.3f}]"
        axes.text(1.02, at, text, va="center", fontsize=9, color=FAINT if row.worse and not table.leaky else ink)
    axes.set_yticks(range(len(table.rows)), [plain(row.name, 44) for row in table.rows], fontsize=9)
    axes.set_xlim(0, 1.005)
    axes.set_ylim(len(table.rows) - 0.45, -0.55)
    axes.tick_params(axis="y", length=0)
    axes.tick_params(axis="x", labelbottom=True)
    axes.grid(axis="x", color="#e6e6e6", linewidth=0.8)
    quiet(axes)
    for label in axes.get_yticklabels():
        label.set_color(ink)
