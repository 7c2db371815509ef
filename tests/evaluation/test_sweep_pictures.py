"""Pictures and tables of a sweep."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest
from matplotlib.image import AxesImage
from matplotlib.text import Text

from genre.evaluation.canvas import INK, Heading, save_png
from genre.evaluation.metrics import LEAK_WARNING
from genre.evaluation.sweep_plots import (
    accuracy_table_figure,
    class_colours,
    clusters_figure,
    feature_space_figure,
    importance_figure,
    tables_by_comparison,
    trials_figure,
)
from genre.evaluation.trials import TrialRow, write_trials

ABOVE = Heading("gtzan", "artist", leaky=False, model="pca_svm")
LABELS = ("blues", "jazz", "rock")


def texts(figure) -> list[str]:
    """All texts of a figure, those of its axes and headings included."""
    import matplotlib.text

    return [text.get_text() for text in figure.findobj(matplotlib.text.Text) if text.get_text()]


def test_table_has_every_number_and_the_best_in_bold() -> None:
    import matplotlib.text

    accuracy = np.array([[0.5, 0.25], [np.nan, 0.75]])
    figure = accuracy_table_figure(accuracy, ["none", "pca"], ["svm", "decision_tree"], ABOVE)
    shown = texts(figure)
    assert {"0.500", "0.250", "0.750", "none", "decision tree"} <= set(shown)
    bold = [
        text.get_text()
        for text in figure.findobj(matplotlib.text.Text)
        if text.get_fontweight() == "bold" and text.get_text().startswith("0.")
    ]
    assert bold == ["0.750"]


def test_table_without_any_number_can_be_drawn() -> None:
    figure = accuracy_table_figure(np.full((1, 1), np.nan), ["none"], ["svm"], ABOVE)
    assert "0.000" not in texts(figure)


@pytest.mark.parametrize("accuracy", [0.0, 1.0])
def test_a_tie_of_all_stays_within_the_range_of_accuracies(accuracy: float) -> None:
    table = accuracy_table_figure(np.full((2, 2), accuracy), ["none", "pca"], ["svm", "knn"], ABOVE)
    for image in table.findobj(AxesImage):
        assert image.norm.vmin >= 0
        assert image.norm.vmax <= 1
    [axes] = trials_figure([accuracy, accuracy], 0, ABOVE).findobj(lambda part: type(part).__name__ == "Axes")
    bottom, top = axes.get_ylim()
    assert 0 <= bottom < top <= 1


def test_numbers_of_a_table_can_be_read_on_their_colours() -> None:
    figure = accuracy_table_figure(np.array([[1.0, 0.0]]), ["none", "pca"], ["svm"], ABOVE)
    ink = {text.get_text(): text.get_color() for text in figure.findobj(Text)}
    assert (ink["1.000"], ink["0.000"]) == ("white", INK)
    tied = accuracy_table_figure(np.ones((1, 1)), ["none"], ["svm"], ABOVE)
    assert {text.get_color() for text in tied.findobj(Text) if text.get_text() == "1.000"} >= {"white"}


def test_cells_are_means_in_order_of_appearance() -> None:
    cells = [("none", "svm", 0.4), ("none", "svm", 0.6), ("pca", "knn", 0.3)]
    accuracy, transforms, classifiers = tables_by_comparison(cells)
    assert (transforms, classifiers) == (("none", "pca"), ("svm", "knn"))
    assert np.allclose(accuracy, [[0.5, np.nan], [np.nan, 0.3]], equal_nan=True)


def test_trials_show_every_score_and_which_was_kept() -> None:
    figure = trials_figure([0.2, float("nan"), 0.6, 0.4], 2, ABOVE, names=["C=1", "C=2", "C=3", "C=4"])
    [axes] = figure.findobj(lambda part: type(part).__name__ == "Axes")
    curve = axes.get_lines()[0].get_xydata()
    assert np.allclose(curve, [[1, 0.2], [2, np.nan], [3, 0.6], [4, 0.4]], equal_nan=True)
    assert "kept: trial 3 (C=3)" in texts(figure)
    assert "failed" in texts(figure)


def test_importance_shows_the_twenty_that_count_most() -> None:
    names = [f"feature {i}" for i in range(30)]
    figure = importance_figure(names, np.arange(30) / 100, np.zeros(30), ABOVE, n_clips=80, repeats=3)
    shown = list(dict.fromkeys(text for text in texts(figure) if text.startswith("feature")))  # a tick has two labels
    assert shown == [f"feature {i}" for i in range(10, 30)]
    assert any("80 clips, mean and deviation of 3 shuffles" in text for text in texts(figure))


def test_importance_of_nothing_is_said_in_a_sentence() -> None:
    figure = importance_figure(["a", "b"], np.zeros(2), np.zeros(2), ABOVE, n_clips=80, repeats=3)
    assert "no feature changes the accuracy on validation when shuffled" in texts(figure)
    assert not figure.findobj(lambda part: type(part).__name__ == "Axes")
    assert "a" in texts(importance_figure(["a", "b"], np.zeros(2), np.full(2, 0.1), ABOVE, n_clips=80, repeats=3))


def test_feature_space_names_the_genres_and_the_variance() -> None:
    rng = np.random.default_rng(0)
    figure = feature_space_figure(rng.normal(size=(90, 2)), np.arange(90) % 3, LABELS, (0.3, 0.125), ABOVE)
    shown = texts(figure)
    assert set(LABELS) <= set(shown)
    assert "first component (30 % of the variance)" in shown


def test_clusters_count_every_clip() -> None:
    label = np.arange(60) % 3
    figure = clusters_figure(label, label, LABELS, 1.0, ABOVE)
    [axes] = figure.findobj(lambda part: type(part).__name__ == "Axes")
    assert sum(bar.get_width() for bar in axes.patches) == 60
    assert any("index of clusters and genres 1.00" in text for text in texts(figure))


def test_leaked_sweeps_say_so() -> None:
    leaked = Heading("gtzan", "clip_random", leaky=True)
    assert LEAK_WARNING in texts(trials_figure([0.9], 0, leaked))


@pytest.mark.parametrize("n_classes", [2, 10, 25])
def test_colours_are_all_different(n_classes: int) -> None:
    assert len(set(class_colours(n_classes))) == n_classes


def test_same_picture_same_bytes(tmp_path: Path) -> None:
    for name in ("a.png", "b.png"):
        save_png(trials_figure([0.2, 0.3], 1, ABOVE), tmp_path / name)
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()


def test_trials_are_written(tmp_path: Path) -> None:
    trials = [
        TrialRow({"classifier.C": 1, "transform.gamma": 0.1}, 0.5, 0.4, 1.25, ""),
        TrialRow({"classifier.C": 10, "transform.gamma": 0.1}, float("nan"), float("nan"), 0.5, "ValueError: no"),
    ]
    write_trials(tmp_path, trials, best=0, score="track_accuracy", heading=ABOVE)
    with (tmp_path / "trials.csv").open(newline="") as stream:
        first, second = csv.DictReader(stream)
    assert first == {
        "trial": "1",
        "classifier.C": "1",
        "transform.gamma": "0.1",
        "track_accuracy": "0.500000",
        "clip_accuracy": "0.400000",
        "seconds": "1.250",
        "kept": "true",
        "failed": "",
    }
    assert (second["track_accuracy"], second["failed"], second["kept"]) == ("", "ValueError: no", "false")
    assert (tmp_path / "trials.png").stat().st_size > 5000
    write_trials(tmp_path, trials[:1], best=0, score="clip_accuracy", heading=ABOVE)
    header = (tmp_path / "trials.csv").read_text().splitlines()[0]
    assert header.count("clip_accuracy") == 1
