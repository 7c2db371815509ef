"""Pictures of what was heard when: probabilities over time above the spectrogram, and sound before and after denoising.

Like those of :mod:`genre.evaluation.plots` they know arrays only, and use no pyplot and no global state.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator
from numpy.typing import NDArray

from genre.evaluation.canvas import DPI, FAINT, INK, plain

SHOWN_DB = 80.0
"""Range of levels that is told apart in a spectrogram."""

MOST_NAMED = 6
N_COLOURS = 10
TICKS_HZ = (100, 500, 1000, 2000, 5000, 10000)


@dataclass(frozen=True, eq=False, slots=True)
class Spectrogram:
    """A spectrogram to be drawn.

    Parameters
    ----------
    levels
        In dB, shape (bands, columns).
    seconds
        Time that the columns cover.
    band_hz
        Centre of each band in Hz, rising, shape (bands,).
    """

    levels: NDArray[np.floating]
    seconds: float
    band_hz: NDArray[np.floating]


@dataclass(frozen=True, eq=False, slots=True)
class Timeline:
    """Probabilities over time.

    Parameters
    ----------
    edges
        Where each stretch of time begins, and the end of the last, in seconds, shape (n + 1,).
    probabilities
        Of each stretch, shape (n, n_classes); NaN where there are none.
    labels
        Names of the classes.
    """

    edges: NDArray[np.floating]
    probabilities: NDArray[np.floating]
    labels: Sequence[str]


def timeline_figure(timeline: Timeline, spectrogram: Spectrogram, *, title: str, subtitle: str = "") -> Figure:
    """Draw the probabilities, stacked to 1, above the spectrogram of the same time.

    The genres with the largest share have a colour each; the rest together is grey.

    Parameters
    ----------
    timeline, spectrogram
        What to draw.
    title, subtitle
        Stand above: what was heard, and what is said of it.
    """
    figure = _figure(11.0, 5.6, title, subtitle)
    top, bottom = figure.subplots(2, 1, sharex=True, gridspec_kw={"height_ratios": (1.15, 1)})
    _draw_shares(top, timeline)
    _draw_spectrogram(bottom, spectrogram, peak=_peak(spectrogram))
    bottom.set_xlabel("time", fontsize=10)
    bottom.set_xlim(0, max(spectrogram.seconds, float(timeline.edges[-1]), 1e-3))
    return figure


def denoise_figure(noisy: Spectrogram, noise: Spectrogram, denoised: Spectrogram, *, title: str) -> Figure:
    """Draw the sound as it came, the noise estimate that was taken out of it, and what was left, on one scale.

    Parameters
    ----------
    noisy, noise, denoised
        Spectrograms of the same time.
    title
        Stands above.
    """
    figure = _figure(11.0, 7.2, title)
    panels = figure.subplots(3, 1, sharex=True)
    parts = (("noisy", noisy), ("noise estimate: what was taken out", noise), ("denoised", denoised))
    for axes, (name, spectrogram) in zip(panels, parts, strict=True):
        image = _draw_spectrogram(axes, spectrogram, peak=_peak(noisy))
        axes.set_title(name, fontsize=11, loc="left")
    panels[-1].set_xlabel("time", fontsize=10)
    panels[-1].set_xlim(0, max(noisy.seconds, 1e-3))
    bar = figure.colorbar(image, ax=list(panels), shrink=0.6, aspect=35, pad=0.01)
    bar.set_label("level in dB", fontsize=9)
    bar.ax.tick_params(labelsize=8)
    return figure


def _figure(width: float, height: float, title: str, subtitle: str = "") -> Figure:
    figure = Figure(figsize=(width, height), dpi=DPI, facecolor="white", layout="constrained")
    FigureCanvasAgg(figure)
    figure.suptitle(plain(title, 90), fontsize=14, fontweight="bold", color=INK, x=0.01, ha="left")
    if subtitle:
        figure.text(0.99, 0.985, plain(subtitle, 90), fontsize=10, color=INK, ha="right", va="top")
    return figure


def _draw_shares(axes: Axes, timeline: Timeline) -> None:
    mean = np.nanmean(timeline.probabilities, axis=0)
    named = [int(k) for k in np.argsort(-mean, kind="stable")[:MOST_NAMED]]
    shares = [timeline.probabilities[:, k] for k in named]
    names = [plain(timeline.labels[k], 24) for k in named]
    one_each = len(mean) <= N_COLOURS  # then a genre has the same colour in all pictures
    numbers = named if one_each else range(len(named))
    colours: list[Any] = [_colour(number) for number in numbers]
    if len(mean) > len(named):
        shares.append(1 - np.sum(shares, axis=0))
        names.append("all others")
        colours.append("#d0d0d0")
    ends = np.repeat(timeline.edges, 2)[1:-1]  # both ends of each stretch
    floor = np.zeros(len(ends))
    for share, name, colour in zip(shares, names, colours, strict=True):
        upper = floor + np.repeat(share, 2)
        axes.fill_between(ends, floor, upper, color=colour, linewidth=0, label=name)
        floor = upper
    axes.set_ylim(0, 1)
    axes.set_ylabel("probability", fontsize=10)
    handles, texts = axes.get_legend_handles_labels()
    axes.legend(handles[::-1], texts[::-1], loc="center left", bbox_to_anchor=(1.0, 0.5), fontsize=9, frameon=False)
    axes.spines[["top", "right"]].set_visible(False)
    axes.tick_params(labelsize=9)


def _colour(number: int) -> Any:
    """Return one of the ten colours; the grey among them is left to the rest."""
    return "#2f2f2f" if number == 7 else matplotlib.colormaps["tab10"](number)


def _draw_spectrogram(axes: Axes, spectrogram: Spectrogram, *, peak: float) -> Any:
    bands = len(spectrogram.band_hz)
    image = axes.imshow(
        spectrogram.levels,
        origin="lower",
        aspect="auto",
        cmap="magma",
        vmin=peak - SHOWN_DB,
        vmax=peak,
        extent=(0.0, max(spectrogram.seconds, 1e-3), -0.5, bands - 0.5),
        interpolation="nearest",
    )
    ticks = [hz for hz in TICKS_HZ if spectrogram.band_hz[0] <= hz <= spectrogram.band_hz[-1]]
    axes.set_yticks(
        np.interp(ticks, spectrogram.band_hz, np.arange(bands)), [f"{hz / 1000:g} kHz" for hz in ticks], fontsize=9
    )
    axes.xaxis.set_major_locator(MaxNLocator(nbins=10, steps=[1, 1.5, 2, 3, 5, 6, 10]))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda seconds, _: _clock(seconds)))
    axes.tick_params(axis="x", labelsize=9)
    axes.tick_params(color=FAINT)
    return image


def _peak(spectrogram: Spectrogram) -> float:
    return float(spectrogram.levels.max()) if spectrogram.levels.size else 0.0


def _clock(seconds: float) -> str:
    """Write a time: ``2.5 s`` below a minute, else ``1:02:03``.

    >>> _clock(2.5), _clock(62), _clock(3723)
    ('2.5 s', '1:02', '1:02:03')
    """
    if abs(seconds) < 60:
        return f"{seconds:g} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"
