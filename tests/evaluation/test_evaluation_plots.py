from __future__ import annotations

import io
import itertools
import threading
import warnings
from collections.abc import Callable
from pathlib import Path

import matplotlib
import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.image import imread
from matplotlib.text import Text

from genre.errors import DataError
from genre.evaluation import plots
from genre.evaluation.calibration import reliability
from genre.evaluation.canvas import save_png
from genre.evaluation.metrics import LEAK_WARNING, class_scores, confusion_matrix
from genre.evaluation.plots import Bar, Heading
from genre.evaluation.predictions import track_level

HONEST = Heading("gtzan", "artist", leaky=False, model="mini_vgg")
LEAKY = Heading("gtzan", "clip_random", leaky=True, model="mini_vgg")
HISTORY = {
    "train/loss": [(1, 2.0), (2, 1.5), (3, 1.1)],
    "val/loss": [(1, 2.1), (2, 1.8), (3, 1.9)],
    "val/clip_accuracy": [(1, 0.3), (2, 0.4), (3, 0.45)],
    "val/track_accuracy": [(1, 0.35), (2, 0.5), (3, 0.52)],
    "learning_rate": [(1, 5e-4), (2, 5e-4), (3, 1.25e-4)],
}
LONG = "Electronic / Drum & Bass with a $ubtitle and_a $econd one"


def class_names(n: int) -> list[str]:
    return [f"{LONG} {k}" if k % 3 == 0 else f"genre {k}" for k in range(n)]


@pytest.fixture(scope="module")
def figures(make_predictions) -> Callable[[int, Heading], dict[str, Figure]]:
    def draw(n_classes: int, heading: Heading) -> dict[str, Figure]:
        names = class_names(n_classes)
        clips = make_predictions(8 * n_classes, 4, names)
        levels = {"tracks": track_level(clips), "clips": clips}
        return {
            "confusion": plots.confusion_matrix_figure(
                {title: confusion_matrix(table) for title, table in levels.items()}, names, heading
            ),
            "per class": plots.per_class_figure(
                {title: class_scores(table) for title, table in levels.items()}, heading
            ),
            "reliability": plots.reliability_figure(reliability(clips.confidence, clips.correct), heading),
            "curves": plots.curves_figure(HISTORY, heading, best_epoch=2),
        }

    return draw


def texts(figure: Figure) -> list[Text]:
    return [text for text in figure.findobj(Text) if text.get_visible() and text.get_text().strip()]


def words(figure: Figure) -> str:
    return "\n".join(text.get_text() for text in texts(figure))


def shown_ticks(axis: Axis) -> list[Text]:
    """Names of the ticks in view."""
    low, high = sorted(axis.get_view_interval())
    return [
        tick.label1 for tick in axis.get_major_ticks() if tick.label1.get_visible() and low <= tick.get_loc() <= high
    ]


def check_layout(figure: Figure) -> None:
    """Every text lies inside the picture; headings, titles, names and cells do not lie on each other."""
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    renderer = canvas.get_renderer()
    upright = [text for part in figure.subfigs for text in part.texts]
    turned = []  # the boxes of turned names overlap though they do not
    for axes in figure.findobj(Axes):
        upright += [axes.title, axes.xaxis.label, axes.yaxis.label, *axes.texts, *shown_ticks(axes.yaxis)]
        turned += shown_ticks(axes.xaxis)
    width, height = canvas.get_width_height()
    for text in filter(Text.get_text, upright + turned):
        box = text.get_window_extent(renderer)
        inside = box.x0 >= -1 and box.y0 >= -1 and box.x1 <= width + 1 and box.y1 <= height + 1
        assert inside, f"{text.get_text()!r} is cut off: {box} in {width} x {height}"
    boxes = [(text.get_text(), text.get_window_extent(renderer).padded(-1)) for text in filter(Text.get_text, upright)]
    for (text, box), (other, other_box) in itertools.combinations(boxes, 2):
        assert not box.overlaps(other_box), f"{text!r} and {other!r} lie on each other"


@pytest.mark.parametrize("n_classes", [2, 10, 25])
def test_nothing_is_cut_off_or_lies_on_another(figures, n_classes):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for figure in figures(n_classes, LEAKY).values():
            check_layout(figure)


def test_every_picture_names_data_and_protocol_and_warns_of_a_leak(figures):
    for name, figure in figures(3, LEAKY).items():
        assert "gtzan" in words(figure), name
        assert "protocol clip_random" in words(figure), name
        [warning] = [text for text in texts(figure) if text.get_text() == LEAK_WARNING]
        assert matplotlib.colors.same_color(warning.get_color(), plots.WARNING)
    for name, figure in figures(3, HONEST).items():
        assert "protocol artist" in words(figure), name
        assert "leak" not in words(figure).lower(), name


def test_the_cells_hold_the_counts(make_predictions):
    matrix = np.array([[7, 2], [0, 11]])
    figure = plots.confusion_matrix_figure({"tracks": matrix}, ["jazz", "rock"], HONEST)
    axes = figure.findobj(Axes)[0]
    cells = {tuple(map(int, text.get_position())): text.get_text() for text in axes.texts}
    assert cells == {(0, 0): "7", (1, 0): "2", (1, 1): "11"}  # x is predicted, y is true
    assert "tracks: 18 of 20 right (90.0 %)" in words(figure)
    np.testing.assert_allclose(axes.images[0].get_array(), [[7 / 9, 2 / 9], [0, 1]])


@pytest.mark.parametrize(("n_classes", "n_named", "with_counts"), [(30, 30, True), (60, 60, False), (400, 58, False)])
def test_a_confusion_matrix_does_not_grow_with_the_classes(n_classes: int, n_named: int, with_counts: bool):
    matrix = np.full((n_classes, n_classes), 3)
    figure = plots.confusion_matrix_figure({"tracks": matrix, "clips": matrix}, class_names(n_classes), HONEST)
    assert max(figure.get_size_inches()) <= plots.MOST_INCHES
    for axes in figure.findobj(Axes)[:2]:
        assert len(axes.texts) == (n_classes**2 if with_counts else 0)
        names = [*axes.get_xticklabels(), *axes.get_yticklabels()]
        assert len(names) == 2 * n_named
        assert all(name.get_fontsize() >= plots.SMALLEST_NAME_POINTS for name in names)
        assert (f"{n_named} of the {n_classes} classes are named" in axes.get_xlabel()) == (n_named < n_classes)
    if not with_counts:
        check_layout(figure)


def test_names_that_look_like_formulas_are_drawn_as_they_are(figures):
    figure = figures(4, HONEST)["confusion"]
    FigureCanvasAgg(figure).draw()
    shown = [text.get_text() for text in texts(figure) if "Electronic" in text.get_text()]
    assert shown
    assert all("$" not in text.replace(r"\$", "") for text in shown)


def test_long_names_stay_apart_by_their_ends(figures):
    figure = figures(10, HONEST)["per class"]
    rows = [text.get_text() for text in figure.findobj(Axes)[0].get_yticklabels()]
    assert len(set(rows)) == 10


def test_curves_go_to_their_panels_and_the_kept_epoch_is_marked(figures):
    panels = {axes.get_title(): axes for axes in figures(2, HONEST)["curves"].findobj(Axes)}
    labels = {title: [line.get_label() for line in axes.get_lines()] for title, axes in panels.items()}
    assert labels == {
        "loss": ["train loss", "val loss", "kept: epoch 2"],
        "score": ["val clip accuracy", "val track accuracy", "kept: epoch 2"],
        "learning rate": ["learning rate", "kept: epoch 2"],
    }
    np.testing.assert_array_equal(panels["loss"].get_lines()[0].get_xydata(), HISTORY["train/loss"])
    assert panels["learning rate"].get_yscale() == "log"


@pytest.mark.parametrize(
    "history",
    [
        {},
        {"val/loss": []},
        {"val/loss": [(0, 2.0)]},
        {"val/loss": [(0, float("nan")), (1, 1.0)], "learning_rate": [(0, 1e-3), (1, 0.0)]},
        {"train/loss": [(epoch / 10, 1.0) for epoch in range(200)]},
    ],
)
def test_short_and_odd_histories_are_drawn(history):
    check_layout(plots.curves_figure(history, HONEST))


def test_axes_of_shares_end_at_one(figures):
    drawn = figures(2, HONEST)
    bars = plots.leakage_bars_figure([Bar("artist", 1.0, (0.9, 1.0), leaky=False)], dataset="gtzan")
    curves = [axes for axes in drawn["curves"].findobj(Axes) if axes.get_title() == "score"]
    top = [axes for axes in drawn["reliability"].findobj(Axes) if axes.get_ylabel().startswith("share")]
    assert [axes.get_ylim() for axes in (*curves, *top)] == [(0, 1), (0, 1)]
    wide = [*drawn["per class"].findobj(Axes), *bars.findobj(Axes)]
    assert {axes.get_xlim() for axes in wide} == {(0, 1)}


def test_a_class_without_clips_is_said(make_predictions):
    clips = make_predictions(6, 2, ("jazz", "rock"))
    wider = type(clips)(
        clips.track,
        clips.start_sec,
        clips.label,
        np.pad(clips.probabilities, ((0, 0), (0, 1))),
        ("jazz", "rock", "pop"),
    )
    assert "none here" in words(plots.per_class_figure({"clips": class_scores(wider)}, HONEST))


def test_leaked_bars_are_hatched_and_say_so():
    rows = [Bar("clip_random", 0.92, (0.91, 0.93), leaky=True), Bar("artist", 0.41, (0.36, 0.46), leaky=False)]
    figure = plots.leakage_bars_figure(rows, dataset="gtzan_part", subject="Track accuracy of KNN")
    check_layout(figure)
    axes = figure.findobj(Axes)[0]
    assert [bool(bar.get_hatch()) for bar in axes.patches] == [True, False]
    assert [bar.get_width() for bar in axes.patches] == [0.92, 0.41]
    assert [text.get_text() for text in axes.get_yticklabels()] == ["clip_random\nLEAKED", "artist"]
    assert "0.410  [0.360, 0.460]" in words(figure)


def test_each_picture_is_written_to_a_png(make_predictions, tmp_path):
    clips = make_predictions()
    figures = {
        "a": plots.confusion_matrix_figure({"clips": confusion_matrix(clips)}, clips.labels, HONEST),
        "b": plots.per_class_figure({"clips": class_scores(clips)}, HONEST),
        "c": plots.reliability_figure(reliability(clips.confidence, clips.correct), HONEST),
        "d": plots.curves_figure(HISTORY, HONEST, best_epoch=2),
        "e": plots.leakage_bars_figure([Bar("artist", 0.4, (0.3, 0.5), leaky=False)], dataset="gtzan"),
    }
    for name, figure in figures.items():
        save_png(figure, tmp_path / f"{name}.png")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.png", "b.png", "c.png", "d.png", "e.png"]
    for path in tmp_path.iterdir():
        picture = imread(path)
        assert picture.shape[1] >= 600
        assert 0.001 < np.mean(picture[..., :3].min(axis=2) < 0.9) < 0.9  # neither blank nor black


def test_a_folder_in_the_way_is_one_sentence(tmp_path):
    (tmp_path / "curves.png").mkdir()
    with pytest.raises(DataError, match=r"cannot write .*curves\.png"):
        save_png(plots.curves_figure(HISTORY, HONEST), tmp_path / "curves.png")
    assert [path.name for path in tmp_path.iterdir()] == ["curves.png"]


def test_threads_draw_what_one_draws_alone(tmp_path: Path):
    def draw(name: str) -> None:
        save_png(plots.curves_figure(HISTORY, HONEST), tmp_path / name)

    draw("alone.png")
    threads = [threading.Thread(target=draw, args=(f"{number}.png",)) for number in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {path.read_bytes() for path in tmp_path.iterdir()} == {(tmp_path / "alone.png").read_bytes()}
    assert len(list(tmp_path.iterdir())) == 4


def test_a_figure_can_be_drawn_into_memory():
    canvas = FigureCanvasAgg(plots.curves_figure(HISTORY, HONEST))  # as TensorBoard's add_figure does
    canvas.draw()
    picture = np.asarray(canvas.buffer_rgba())
    assert picture.shape[2] == 4
    assert picture[..., :3].min() < 100 < picture.max()


def test_drawing_leaves_pyplot_and_settings_alone():
    before = dict(matplotlib.rcParams)
    figure = plots.curves_figure(HISTORY, HONEST)
    figure.savefig(io.BytesIO(), format="png")
    assert dict(matplotlib.rcParams) == before
