"""Pictures of a sweep over classical models and of the features they learn from.

As in :mod:`genre.evaluation.plots`, ``*_figure`` returns a figure; :func:`genre.evaluation.canvas.save_png` writes it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from genre.errors import counted
from genre.evaluation.canvas import ACCENT, DARK, FAINT, INK, LIGHT, WARNING, Heading, canvas, class_name, plain, quiet

TOP_FEATURES = 20
NO_IMPORTANCE = "no feature changes the accuracy on validation when shuffled"
_MARKERS = "osD^v<>PX*"


def accuracy_table_figure(
    accuracy: NDArray[np.float64], transforms: Sequence[str], classifiers: Sequence[str], heading: Heading
) -> Figure:
    """Draw accuracies as a table: a row a classifier, a column a transform, the best of all in bold.

    Parameters
    ----------
    accuracy
        Shape (n_classifiers, n_transforms); NaN where there is none, as for a run that failed.
    transforms, classifiers
        Names of the columns and rows.
    heading
        What the picture is of.
    """
    rows, columns = accuracy.shape
    names = [plain(name.replace("_", " "), 28) for name in classifiers]
    width = 0.95 * columns + 0.09 * max(map(len, names)) + 1.4
    figure, body = canvas(width, 0.42 * rows + 1.1, "Track accuracy by transform and classifier", heading)
    axes = body.subplots()
    known = accuracy[np.isfinite(accuracy)]
    low, high = (float(known.min()), float(known.max())) if known.size else (0.0, 1.0)
    colours = matplotlib.colormaps["Blues"].with_extremes(bad="#eeeeee")
    shades = matplotlib.colors.Normalize(max(low - 0.02, 0.0), min(high + 0.02, 1.0))
    image = axes.imshow(np.ma.masked_invalid(accuracy), cmap=colours, norm=shades, aspect="auto")
    for row, column in np.ndindex(rows, columns):
        value = accuracy[row, column]
        text = f"{value:.3f}" if np.isfinite(value) else "none"
        dark = np.isfinite(value) and shades(value) > 0.55
        weight = "bold" if value == high else "normal"
        ink = "white" if dark else (INK if np.isfinite(value) else FAINT)
        axes.text(column, row, text, ha="center", va="center", fontsize=10, color=ink, fontweight=weight)
    axes.set_xticks(range(columns), [plain(name.replace("_", " "), 20) for name in transforms], fontsize=10)
    axes.set_yticks(range(rows), names, fontsize=10)
    axes.xaxis.tick_top()
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    body.colorbar(image, ax=axes, shrink=0.8, aspect=25, pad=0.02).ax.tick_params(labelsize=8)
    return figure


def trials_figure(
    scores: Sequence[float], best: int, heading: Heading, *, score: str = "track_accuracy", names: Sequence[str] = ()
) -> Figure:
    """Draw the score of every trial of a search, the best so far as a line, and the one that was kept.

    Parameters
    ----------
    scores
        One a trial; NaN for a trial that failed.
    best
        Index of the trial that was kept.
    heading
        What the picture is of.
    score
        What the scores are.
    names
        Settings of each trial, shown where there are few.
    """
    figure, body = canvas(max(6.5, min(14.0, 3.0 + 0.28 * len(scores))), 4.0, "Score of every trial", heading)
    axes = body.subplots()
    values = np.asarray(scores, dtype=np.float64)
    numbers = np.arange(1, len(values) + 1)
    running = np.maximum.accumulate(np.where(np.isfinite(values), values, -np.inf))
    begun = np.isfinite(running)
    axes.plot(numbers, values, color=DARK, marker="o", markersize=4, linewidth=1.0, label="trial", clip_on=False)
    axes.step(
        numbers[begun], running[begun], where="post", color=FAINT, linewidth=1.2, label="best so far", clip_on=False
    )
    failed = ~np.isfinite(values)
    if failed.any():
        floor = np.nanmin(values) if begun.any() else 0.0
        at = np.full(failed.sum(), floor)
        axes.scatter(numbers[failed], at, marker="x", color=WARNING, label="failed", clip_on=False)
    kept = f"kept: trial {best + 1}" + (f" ({plain(names[best], 48)})" if len(names) else "")
    ring = axes.scatter([best + 1], [values[best]], s=90, facecolors="none", edgecolors=ACCENT, label=kept, zorder=3)
    ring.set(linewidths=2.0, clip_on=False)
    axes.set_xlabel("trial", fontsize=10)
    axes.set_ylabel(plain(score.replace("_", " ")), fontsize=10)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=12, min_n_ticks=1))
    axes.margins(y=0.15)
    bottom, top = axes.get_ylim()
    axes.set_ylim(max(bottom, 0.0), min(top, 1.0))
    axes.grid(color="#e6e6e6", linewidth=0.8)
    axes.legend(fontsize=9, frameon=True, framealpha=0.85, edgecolor="none")
    quiet(axes)
    return figure


def importance_figure(
    names: Sequence[str],
    drop: NDArray[np.float64],
    spread: NDArray[np.float64],
    heading: Heading,
    *,
    n_clips: int,
    repeats: int,
) -> Figure:
    """Draw how much accuracy is lost when a feature is shuffled, for the 20 features that count most.

    Where none of them changes it, a sentence that says so takes the place of the bars.

    Parameters
    ----------
    names
        Of all features.
    drop, spread
        Mean and standard deviation over repeats of the loss of accuracy, shape (n_features,).
    heading
        What the picture is of.
    n_clips, repeats
        How many clips were looked at, and how often each feature was shuffled.

    References
    ----------
    Breiman, L. (2001). Random forests. Machine Learning 45(1): permutation importance.
    """
    subject = "Permutation importance of the features"
    if not (drop.any() or spread.any()):
        figure, body = canvas(7.4, 0.6, subject, heading)
        body.text(0.5, 0.5, NO_IMPORTANCE, ha="center", va="center", fontsize=11, color=INK)
        return figure
    order = np.argsort(-drop, kind="stable")[:TOP_FEATURES][::-1]
    figure, body = canvas(7.4, 0.27 * len(order) + 1.0, subject, heading)
    axes = body.subplots()
    axes.barh(range(len(order)), drop[order], xerr=spread[order], color=LIGHT, ecolor=FAINT, height=0.7)
    axes.set_yticks(range(len(order)), [plain(names[place], 30) for place in order], fontsize=9)
    measured = f"{counted(n_clips, 'clip')}, mean and deviation of {counted(repeats, 'shuffle')}"
    axes.set_xlabel(f"clip accuracy lost when the feature is shuffled ({measured})", fontsize=9)
    axes.axvline(0, color=INK, linewidth=0.8)
    axes.set_ylim(-0.6, len(order) - 0.4)
    axes.tick_params(axis="y", length=0)
    axes.grid(axis="x", color="#e6e6e6", linewidth=0.8)
    quiet(axes)
    return figure


def feature_space_figure(
    points: NDArray[np.float64],
    label: NDArray[np.int64],
    labels: Sequence[str],
    explained: Sequence[float],
    heading: Heading,
) -> Figure:
    """Draw clips on their first two principal components, coloured by genre, with the centre of each genre.

    Parameters
    ----------
    points
        Shape (n, 2).
    label
        Class number of each, shape (n,).
    labels
        Names of the classes.
    explained
        Share of the variance that each of the two components explains.
    heading
        What the picture is of.
    """
    figure, body = canvas(8.6, 6.2, "Principal components of the features", heading)
    axes = body.subplots()
    for number, (name, colour) in enumerate(zip(labels, class_colours(len(labels)), strict=True)):
        own = points[label == number]
        marker = _MARKERS[number % len(_MARKERS)]
        axes.scatter(own[:, 0], own[:, 1], s=9, color=colour, marker=marker, alpha=0.45, linewidths=0)
        if len(own):
            centre = np.median(own, axis=0)
            axes.scatter(
                centre[0],
                centre[1],
                s=110,
                color=colour,
                marker=marker,
                edgecolors=INK,
                zorder=3,
                label=class_name(name),
            )
    axes.set_xlabel(f"first component ({100 * explained[0]:.0f} % of the variance)", fontsize=10)
    axes.set_ylabel(f"second component ({100 * explained[1]:.0f} %)", fontsize=10)
    _keep_crowd(axes, points)
    axes.grid(color="#e6e6e6", linewidth=0.8)
    quiet(axes)
    body.legend(loc="outside right center", fontsize=9, frameon=False, title="median of")
    return figure


def clusters_figure(
    cluster: NDArray[np.int64], label: NDArray[np.int64], labels: Sequence[str], agreement: float, heading: Heading
) -> Figure:
    """Draw of which genres the clips of each k-means cluster are.

    Parameters
    ----------
    cluster, label
        Cluster and class number of each clip, shape (n,).
    labels
        Names of the classes.
    agreement
        Adjusted Rand index of clusters and classes: 1 if they are the same, 0 if they have nothing to do with each
        other.
    heading
        What the picture is of.
    """
    n_clusters = int(cluster.max(initial=0)) + 1
    counts = np.zeros((n_clusters, len(labels)), dtype=np.int64)
    np.add.at(counts, (cluster, label), 1)
    order = np.lexsort((-counts.max(axis=1), counts.argmax(axis=1)))
    figure, body = canvas(8.6, 0.42 * n_clusters + 1.4, "k-means clusters of the features", heading)
    axes = body.subplots()
    left = np.zeros(n_clusters)
    for number, (name, colour) in enumerate(zip(labels, class_colours(len(labels)), strict=True)):
        width = counts[order, number]
        axes.barh(range(n_clusters), width, left=left, color=colour, height=0.75, label=class_name(name))
        left = left + width
    axes.set_title(f"adjusted Rand index of clusters and genres {agreement:.2f} (1: the same)", fontsize=11)
    axes.set_yticks(range(n_clusters), [f"cluster {place + 1}" for place in range(n_clusters)], fontsize=9)
    axes.invert_yaxis()
    axes.set_xlabel("clips", fontsize=10)
    axes.tick_params(axis="y", length=0)
    quiet(axes)
    body.legend(loc="outside right center", fontsize=9, frameon=False)
    return figure


def class_colours(n_classes: int) -> list[tuple[float, float, float, float]]:
    """Return one colour a class, told apart as well as may be."""
    if n_classes <= 10:
        return [matplotlib.colormaps["tab10"](number) for number in range(n_classes)]
    return [matplotlib.colormaps["gist_rainbow"](number / n_classes) for number in range(n_classes)]


def tables_by_comparison(
    standings: Sequence[tuple[str, str, float]],
) -> tuple[NDArray[np.float64], tuple[str, ...], tuple[str, ...]]:
    """Return what :func:`accuracy_table_figure` draws, of (transform, classifier, accuracy) in the order of appearance.

    The mean where a pair occurs several times.
    """
    transforms = tuple(dict.fromkeys(transform for transform, _, _ in standings))
    classifiers = tuple(dict.fromkeys(classifier for _, classifier, _ in standings))
    cells: Mapping[tuple[str, str], list[float]] = {(c, t): [] for c in classifiers for t in transforms}
    for transform, classifier, accuracy in standings:
        cells[classifier, transform].append(accuracy)
    means = [[float(np.mean(cells[c, t])) if cells[c, t] else float("nan") for t in transforms] for c in classifiers]
    return np.array(means).reshape(len(classifiers), len(transforms)), transforms, classifiers


def _keep_crowd(axes: Axes, points: NDArray[np.float64]) -> None:
    """Leave the farthest half percent of the points out of the picture, so that the others fill it."""
    if len(points) < 2:
        return
    low, high = np.percentile(points, [0.5, 99.5], axis=0)
    reach = np.maximum(high - low, 1e-9) * 0.06
    axes.set_xlim(low[0] - reach[0], high[0] + reach[0])
    axes.set_ylim(low[1] - reach[1], high[1] + reach[1])
