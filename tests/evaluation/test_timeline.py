"""Pictures of what was heard when."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
import pytest
from matplotlib.figure import Figure
from matplotlib.image import imread

from genre.evaluation.canvas import save_png
from genre.evaluation.timeline import Spectrogram, Timeline, denoise_figure, timeline_figure


def spectrogram(seconds: float = 12.0, columns: int = 200, seed: int = 0) -> Spectrogram:
    levels = np.random.default_rng(seed).normal(-30, 10, (32, columns))
    return Spectrogram(levels, seconds, np.geomspace(60, 10500, 32))


def timeline(n: int = 4, classes: int = 10, step: float = 3.0) -> Timeline:
    shares = np.random.default_rng(0).dirichlet(np.ones(classes), n)
    return Timeline(np.arange(n + 1) * step, shares, [f"genre {k}" for k in range(classes)])


def png(figure: Figure, path: Path) -> np.ndarray:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        save_png(figure, path)
    return imread(path)


def test_timeline_names_the_largest_genres_and_stacks_all_to_one(tmp_path: Path) -> None:
    shown = timeline()
    figure = timeline_figure(shown, spectrogram(), title="a $ong.mp3", subtitle="genre 1 80 %")
    shares, picture = figure.axes
    legend = shares.get_legend()
    assert legend is not None
    names = [text.get_text() for text in legend.get_texts()]
    assert names[0] == "all others"
    order = np.argsort(-shown.probabilities.mean(axis=0))
    assert names[::-1][:6] == [f"genre {k}" for k in order[:6]]
    tops = [collection.get_paths()[0].vertices[:, 1].max() for collection in shares.collections]
    assert max(tops) == pytest.approx(1)
    assert picture.get_xlim() == (0, 12)
    assert png(figure, tmp_path / "a.png").std() > 0.05


def test_where_nothing_is_known_nothing_is_drawn(tmp_path: Path) -> None:
    whole = timeline()
    shares = np.insert(whole.probabilities, 2, np.nan, axis=0)
    edges = np.array([0.0, 3.0, 6.0, 20.0, 23.0, 26.0])
    figure = timeline_figure(Timeline(edges, shares, whole.labels), spectrogram(26.0), title="a")
    for collection in figure.axes[0].collections:
        pieces = [path.vertices[:, 0] for path in collection.get_paths()]
        assert [(piece.min(), piece.max()) for piece in pieces] == [(0, 6), (20, 26)]
    assert png(figure, tmp_path / "a.png").std() > 0.05


def test_few_genres_have_no_rest() -> None:
    figure = timeline_figure(timeline(classes=3), spectrogram(), title="a")
    legend = figure.axes[0].get_legend()
    assert legend is not None
    assert len(legend.get_texts()) == 3


@pytest.mark.parametrize("classes", [10, 23])
def test_genres_that_are_named_have_a_colour_each(classes: int) -> None:
    shares = np.full((1, classes), 0.001)
    shares[0, ::10] = shares[0, 3:7] = 0.1  # the first ones and those that are ten or twenty further on
    shown = Timeline(np.arange(2.0), shares / shares.sum(), [f"genre {k}" for k in range(classes)])
    drawn = timeline_figure(shown, spectrogram(), title="a").axes[0].collections
    assert len({tuple(area.get_facecolor()[0]) for area in drawn}) == 7


@pytest.mark.parametrize(("seconds", "first", "last"), [(12.0, "0 s", "12 s"), (7200.0, "0 s", "2:00:00")])
def test_time_is_written_as_a_clock(seconds: float, first: str, last: str) -> None:
    figure = timeline_figure(timeline(step=seconds / 4), spectrogram(seconds), title="a")
    axis = figure.axes[1].xaxis
    formatter = axis.get_major_formatter()
    assert (formatter(0), formatter(seconds)) == (first, last)


def test_denoising_has_three_panels_on_one_scale(tmp_path: Path) -> None:
    figure = denoise_figure(*(spectrogram(seed=seed) for seed in range(3)), title="a.wav")
    panels = figure.axes[:3]
    assert [axes.get_title(loc="left").split(":")[0] for axes in panels] == ["noisy", "noise estimate", "denoised"]
    assert len({axes.images[0].get_clim() for axes in panels}) == 1
    assert png(figure, tmp_path / "a.png").std() > 0.05


def test_sound_of_no_length_can_be_drawn(tmp_path: Path) -> None:
    nothing = Spectrogram(np.zeros((32, 0)), 0.0, np.geomspace(60, 10500, 32))
    png(denoise_figure(nothing, nothing, nothing, title="a"), tmp_path / "a.png")
