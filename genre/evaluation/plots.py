"""Pictures of an evaluation.

Each ``*_figure`` returns a matplotlib :class:`~matplotlib.figure.Figure`: TensorBoard takes it as it is, and
:func:`genre.evaluation.canvas.save_png` writes it to a file. No pyplot, no global state, so threads may draw at once.
Each picture names its data set and protocol, and a leaked protocol stands over it in red.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullLocator
from numpy.typing import NDArray

from genre.evaluation.calibration import Reliability
from genre.evaluation.canvas import (
    ACCENT,
    DARK,
    FAINT,
    INK,
    LIGHT,
    WARNING,
    Heading,
    canvas,
    class_name,
    plain,
    quiet,
)
from genre.evaluation.metrics import ClassScores

History = Mapping[str, Sequence[tuple[float, float]]]
"""Name of a curve (``"train/loss"``, ``"val/track_accuracy"``, ``"learning_rate"``) -> its (epoch, value) points."""

SIDE_COLOURS = {"train": FAINT, "val": DARK, "test": ACCENT}

MOST_INCHES = 20.0
"""Width of the confusion matrices together, however many classes there are."""

MOST_COUNTED = 30
"""Classes that a confusion matrix has counts in its cells with."""

NAME_POINTS = 9.0
SMALLEST_NAME_POINTS = 6.0
"""Names of classes are no smaller: where there is no room for all, only some stand at the axes."""


@dataclass(frozen=True, slots=True)
class Bar:
    """One bar of :func:`leakage_bars_figure`.

    Parameters
    ----------
    name
        What the bar is of: the protocol, and the model if there are several.
    accuracy
        Its height, in [0, 1].
    ci95
        Ends of its interval.
    leaky
        Whether its protocol leaks.
    """

    name: str
    accuracy: float
    ci95: tuple[float, float]
    leaky: bool


def confusion_matrix_figure(
    matrices: Mapping[str, NDArray[np.int64]], labels: Sequence[str], heading: Heading
) -> Figure:
    """Draw confusion matrices side by side: counts in the cells, colour by the share of the true class.

    However many classes there are, the picture has at most :data:`MOST_INCHES`. Cells of more than
    :data:`MOST_COUNTED` classes have a colour only, and of very many classes some have no name at the axes.

    Parameters
    ----------
    matrices
        Title (``"tracks"``, ``"clips"``) -> counts, shape (n_classes, n_classes), true class first.
    labels
        Names of the classes.
    heading
        What the picture is of.
    """
    names = [class_name(label) for label in labels]
    n_classes = len(names)
    margin = 0.45 + 0.08 * max(map(len, names))
    most = (MOST_INCHES - 0.9) / len(matrices) - margin
    cell = min(float(np.clip(5.2 / n_classes, 0.36, 0.62)), most / n_classes)
    side = n_classes * cell
    figure, body = canvas(
        len(matrices) * (side + margin) + 0.9, side + 0.7 * margin + 0.75, "Confusion matrix", heading
    )
    panels = body.subplots(1, len(matrices), squeeze=False)[0]
    for axes, (title, matrix) in zip(panels, matrices.items(), strict=True):
        _draw_matrix(axes, matrix, names, cell)
        accuracy = np.trace(matrix) / max(matrix.sum(), 1)
        axes.set_title(
            f"{plain(title)}: {np.trace(matrix)} of {matrix.sum()} right ({100 * accuracy:.1f} %)", fontsize=11
        )
    colours = ScalarMappable(norm=matplotlib.colors.Normalize(0, 1), cmap="Blues")
    bar = body.colorbar(colours, ax=list(panels), shrink=0.8, aspect=35, pad=0.01)
    bar.set_label("share of the true class", fontsize=9)
    bar.ax.tick_params(labelsize=8)
    return figure


def _draw_matrix(axes: Axes, matrix: NDArray[np.int64], names: Sequence[str], cell: float) -> None:
    """Fill one panel; ``cell`` is the width of a cell in inches."""
    share = matrix / np.maximum(matrix.sum(axis=1, keepdims=True), 1)
    axes.imshow(share, cmap="Blues", vmin=0, vmax=1, aspect="auto")
    if len(names) <= MOST_COUNTED:
        _write_counts(axes, matrix, share, cell)
        between = np.arange(0.5, len(names) - 1)
        axes.hlines(between, -0.5, len(names) - 0.5, color="#dddddd", linewidth=0.6)
        axes.vlines(between, -0.5, len(names) - 0.5, color="#dddddd", linewidth=0.6)
    line = 1.3 / 72  # height of a line of text in inches, for each point of its size
    step = math.ceil(SMALLEST_NAME_POINTS * line / cell)
    size = min(NAME_POINTS, step * cell / line)
    ticks, named = range(0, len(names), step), names[::step]
    axes.set_yticks(ticks, named)
    axes.set_xticks(ticks, named)
    if max(map(len, names)) * size * 0.65 > 72 * step * cell:  # names wider than their place
        upright = len(names) > 12
        for label in axes.get_xticklabels():
            label.set(rotation=90 if upright else 45, ha="center" if upright else "right")
            label.set_rotation_mode("default" if upright else "anchor")
    axes.tick_params(length=0 if step == 1 else 2, labelsize=size)
    note = "" if step == 1 else f" ({len(named)} of the {len(names)} classes are named)"
    axes.set_xlabel(f"predicted{note}", fontsize=10)
    axes.set_ylabel(f"true{note}", fontsize=10)


def _write_counts(axes: Axes, matrix: NDArray[np.int64], share: NDArray[np.float64], cell: float) -> None:
    """Write what is not 0 into the cells, which are ``cell`` inches wide."""
    digits = max(2, len(str(matrix.max(initial=0))))
    size = min(12.0, 72 * cell * 0.82 / (0.64 * digits))
    for row, column in zip(*np.nonzero(matrix), strict=True):
        ink = "white" if share[row, column] > 0.55 else INK
        weight = "bold" if row == column else "normal"
        count = str(matrix[row, column])
        axes.text(
            column, row, count, ha="center", va="center", color=ink, fontsize=size, fontweight=weight, in_layout=False
        )


def curves_figure(history: History, heading: Heading, *, best_epoch: float | None = None) -> Figure:
    """Draw what was logged over the epochs: a panel for losses, one for scores in [0, 1], one for the learning rate.

    Parameters
    ----------
    history
        Name of a curve -> its (epoch, value) points. A name with ``loss`` in it goes to the first panel, one with
        ``learning_rate`` or beginning with ``lr`` to the last, any other to the middle. A name that begins with
        ``train``, ``val`` or ``test`` has the colour of that side.
    heading
        What the picture is of.
    best_epoch
        Marked, as the epoch the checkpoint was taken from.
    """
    panels: dict[str, list[str]] = {"loss": [], "score": [], "learning rate": []}
    for name in history:
        if len(history[name]):
            panels[_panel_of(name)].append(name)
    panels = {title: names for title, names in panels.items() if names}
    n_panels = max(1, len(panels))
    figure, body = canvas(max(5.4 * n_panels, 6.5), 4.1, "Training curves", heading)
    for axes, (title, names) in zip(body.subplots(1, n_panels, squeeze=False)[0], panels.items(), strict=False):
        for name in names:
            _draw_curve(axes, name, history[name])
        if best_epoch is not None:
            axes.axvline(best_epoch, color=ACCENT, linestyle=":", linewidth=1.6, label=f"kept: epoch {best_epoch:g}")
        _finish_curves(axes, title, np.array([value for name in names for _, value in history[name]]))
    return figure


def _panel_of(name: str) -> str:
    if "loss" in name:
        return "loss"
    return "learning rate" if "learning_rate" in name or name.startswith("lr") else "score"


def _draw_curve(axes: Axes, name: str, points: Sequence[tuple[float, float]]) -> None:
    epochs, values = np.array(sorted(points), dtype=np.float64).T
    side = next((side for side in SIDE_COLOURS if name.startswith(side)), "")
    axes.plot(
        epochs,
        values,
        color=SIDE_COLOURS.get(side, DARK),
        linestyle="--" if "clip" in name else "-",
        linewidth=1.8,
        marker="o" if len(points) <= 30 else None,
        markersize=3.5,
        clip_on=False,
        label=plain(name.replace("/", " ").replace("_", " "), 30),
    )


def _learning_rate_scale(axes: Axes, values: NDArray[np.float64]) -> None:
    """Take a logarithmic scale where the rate falls by much and never to zero."""
    if values.min() > 0 and values.max() > 3 * values.min():
        axes.set_yscale("log")
        axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 3, 5)))
        axes.yaxis.set_minor_locator(NullLocator())
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:.3g}"))


def _finish_curves(axes: Axes, title: str, values: NDArray[np.float64]) -> None:
    axes.set_title(title, fontsize=11)
    axes.set_xlabel("epoch", fontsize=10)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=8, min_n_ticks=1))
    left, right = axes.get_xlim()
    if right - left < 1:  # a single epoch
        axes.set_xlim((left + right) / 2 - 0.5, (left + right) / 2 + 0.5)
    if title == "score":
        axes.set_ylim(0, 1)
    if title == "learning rate":
        _learning_rate_scale(axes, values)
    quiet(axes)
    axes.grid(color="#e6e6e6", linewidth=0.8)
    axes.legend(fontsize=9, frameon=True, framealpha=0.85, edgecolor="none")


def per_class_figure(levels: Mapping[str, Sequence[ClassScores]], heading: Heading) -> Figure:
    """Draw F1 of every class as bars, best class of the first panel on top, with precision and recall as marks.

    Parameters
    ----------
    levels
        Title (``"tracks"``, ``"clips"``) -> scores of all classes, in the same order in each.
    heading
        What the picture is of.
    """
    first = next(iter(levels.values()))
    order = sorted(range(len(first)), key=lambda k: (first[k].f1, -k))
    longest = max(len(class_name(scores.label)) for scores in first)
    width = len(levels) * (4.4 + 0.085 * (longest + 8))
    figure, body = canvas(width, 0.30 * len(order) + 1.35, "Scores by class", heading)
    panels = body.subplots(1, len(levels), squeeze=False)[0]
    for axes, (title, of_level) in zip(panels, levels.items(), strict=True):
        _draw_class_bars(axes, [of_level[k] for k in order])
        axes.set_title(plain(title), fontsize=11)
    handles, names = panels[0].get_legend_handles_labels()
    body.legend(handles[::-1], names[::-1], loc="outside lower center", ncols=3, fontsize=9, frameon=False)
    return figure


def _draw_class_bars(axes: Axes, scores: Sequence[ClassScores]) -> None:
    rows = np.arange(len(scores))
    axes.barh(rows, [score.f1 for score in scores], height=0.68, color=LIGHT, label="F1")
    known = [row for row, score in enumerate(scores) if score.support]
    recall, precision = [scores[row].recall for row in known], [scores[row].precision for row in known]
    axes.scatter(precision, known, marker=">", s=24, color=DARK, label="precision", zorder=3, clip_on=False)
    rings = axes.scatter(
        recall, known, marker="o", s=52, facecolors="none", edgecolors=ACCENT, label="recall", zorder=4
    )
    rings.set(linewidths=1.8, clip_on=False)
    for row, score in enumerate(scores):
        text = f"{score.f1:.2f}" if score.support else "none here"
        axes.text(1.04, row, text, va="center", fontsize=9, color=INK if score.support else FAINT)
    axes.text(1.04, len(scores) - 0.35, "F1", va="bottom", fontsize=9, fontweight="bold", color=INK)
    axes.set_yticks(rows, [f"{class_name(score.label)}  ({score.support})" for score in scores], fontsize=9)
    axes.set_xlim(0, 1)
    axes.set_ylim(-0.6, len(scores) - 0.4)
    axes.tick_params(axis="y", length=0)
    axes.grid(axis="x", color="#e6e6e6", linewidth=0.8)
    quiet(axes)


def reliability_figure(curve: Reliability, heading: Heading) -> Figure:
    """Draw accuracy against confidence, bin by bin, with the number of clips in each bin below.

    Parameters
    ----------
    curve
        What :func:`~genre.evaluation.calibration.reliability` returns.
    heading
        What the picture is of.
    """
    figure, body = canvas(7.0, 6.1, "Calibration of the clips", heading)
    top, bottom = body.subplots(2, 1, sharex=True, gridspec_kw={"height_ratios": (3.4, 1)})
    used = curve.count > 0
    left, width = curve.edges[:-1][used], np.diff(curve.edges)[used]
    accuracy, confidence = curve.accuracy[used], curve.confidence[used]
    top.bar(left, accuracy, width, align="edge", color=LIGHT, edgecolor="white", label="accuracy")
    gap = confidence - accuracy
    top.bar(
        left,
        gap,
        width,
        bottom=accuracy,
        align="edge",
        fill=False,
        edgecolor=WARNING,
        hatch="////",
        linewidth=0,
        label="gap to the confidence",
    )
    top.plot([0, 1], [0, 1], color=INK, linestyle="--", linewidth=1.2, label="perfectly calibrated")
    top.set_title(f"calibration error (ECE) {curve.error:.3f}", fontsize=11)
    top.set_ylabel("share of clips predicted right", fontsize=10)
    top.set_ylim(0, 1)
    top.legend(loc="upper left", fontsize=9, frameon=True, framealpha=0.85, edgecolor="none")
    bottom.bar(left, curve.count[used], width, align="edge", color=DARK, edgecolor="white")
    bottom.set_ylabel("clips", fontsize=10)
    bottom.yaxis.set_major_locator(MaxNLocator(integer=True, nbins=4))
    bottom.set_xlabel("confidence: probability of the predicted class", fontsize=10)
    bottom.set_xlim(0, 1)
    for axes in (top, bottom):
        quiet(axes)
        axes.grid(color="#e6e6e6", linewidth=0.8)
    return figure


def leakage_bars_figure(rows: Sequence[Bar], *, dataset: str, subject: str = "Test accuracy by protocol") -> Figure:
    """Draw one bar a protocol with its 95 % interval; the leaked ones are hatched, red and say so.

    Parameters
    ----------
    rows
        The bars, from top to bottom.
    dataset
        Stands in the heading.
    subject
        What the figures are (``"Track accuracy of mini_vgg by protocol"``).
    """
    names = [plain(row.name, 34) + ("\nLEAKED" if row.leaky else "") for row in rows]
    width = 6.6 + 0.085 * max((len(line) for name in names for line in name.split("\n")), default=0)
    figure, body = canvas(width, 0.62 * len(rows) + 0.95, subject, Heading(dataset, "", leaky=False), line=dataset)
    axes = body.subplots()
    for at, row in enumerate(rows):
        face, edge, hatch = ("#f3c9ce", WARNING, "////") if row.leaky else (DARK, DARK, None)
        axes.barh(at, row.accuracy, height=0.62, linewidth=0, facecolor=face, edgecolor=edge, hatch=hatch)
        (line,) = axes.plot(row.ci95, [at, at], color=INK, linewidth=1.8, marker="|", markersize=9, markeredgewidth=1.8)
        line.set_clip_on(False)
        text = f"{row.accuracy:.3f}  [{row.ci95[0]:.3f}, {row.ci95[1]:.3f}]"
        axes.text(1.03, at, text, va="center", fontsize=10, color=WARNING if row.leaky else INK)
    axes.set_yticks(range(len(rows)), names, fontsize=10)
    for label, row in zip(axes.get_yticklabels(), rows, strict=True):
        label.set_color(WARNING if row.leaky else INK)
    axes.set_xlim(0, 1)
    axes.set_ylim(len(rows) - 0.45, -0.55)
    axes.set_xlabel("accuracy, with 95 % interval", fontsize=10)
    axes.tick_params(axis="y", length=0)
    axes.grid(axis="x", color="#e6e6e6", linewidth=0.8)
    quiet(axes)
    return figure
