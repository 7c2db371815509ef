"""The leaderboard as a picture: everything is there and nothing runs into anything else."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.colors import to_hex
from matplotlib.text import Text

from genre.evaluation.canvas import DARK, LIGHT, WARNING
from genre.evaluation.leaderboard_plot import Row, Table, leaderboard_figure
from genre.evaluation.metrics import LEAK_WARNING


def table(n_rows: int, *, leaky: bool = False) -> Table:
    values = enumerate(np.linspace(0.9, 0.1, n_rows))
    rows = [Row(f"model_{at} (lr=0.{at})", value, (value - 0.05, value + 0.05), at > 1) for at, value in values]
    return Table("gtzan, protocol clip_random" if leaky else "gtzan, protocol artist", leaky, rows)


def test_bars_are_dark_light_or_hatched_red() -> None:
    figure = leaderboard_figure([table(4), table(2, leaky=True)])
    honest, leaked = figure.findobj(Axes)
    assert [to_hex(bar.get_facecolor()) for bar in honest.patches] == [DARK, DARK, LIGHT, LIGHT]
    assert [bar.get_width() for bar in honest.patches] == pytest.approx([0.9, 0.9 - 0.8 / 3, 0.1 + 0.8 / 3, 0.1])
    assert [bar.get_hatch() for bar in leaked.patches] == ["////", "////"]
    assert LEAK_WARNING in leaked.get_title(loc="left")
    assert LEAK_WARNING not in honest.get_title(loc="left")
    assert {to_hex(label.get_color()) for label in leaked.get_yticklabels()} == {WARNING}
    assert "0.900  [0.850, 0.950]" in [text.get_text() for text in honest.texts]
    intervals = [line.get_xdata() for line in honest.lines]
    assert np.allclose(intervals[0], (0.85, 0.95))


@pytest.mark.parametrize("tables", [[table(40)], [table(1)], [table(1), table(25), table(3, leaky=True)]])
def test_forty_rows_can_be_read(tables: list[Table]) -> None:
    figure = leaderboard_figure(tables)
    figure.canvas.draw()
    width, height = figure.get_size_inches() * figure.dpi
    for axes in figure.findobj(Axes):
        names = [label.get_window_extent() for label in axes.get_yticklabels()]
        assert all(upper.y0 >= lower.y1 - 1 for upper, lower in itertools.pairwise(names))
        for box in (text.get_window_extent() for text in axes.findobj(Text) if text.get_text()):
            assert box.x0 >= 0
            assert box.x1 <= width
            assert box.y0 >= 0
            assert box.y1 <= height
        title = next(text for text in axes.findobj(Text) if "protocol" in text.get_text()).get_window_extent()
        assert title.y0 > max(box.y1 for box in names)
