"""What the protocol alone does to a figure: one picture for every model that was tested under several."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from genre.evaluation.files import file_names
from genre.evaluation.leaderboard import Standing

if TYPE_CHECKING:
    from genre.evaluation.plots import Bar


def write_protocol_pictures(folder: Path, standings: Sequence[Standing]) -> list[Path]:
    """Draw the test track accuracy of every model by protocol, where one data set was tested under at least two.

    Parameters
    ----------
    folder
        Where ``protocols_<model>_<dataset>.png`` goes, named by :func:`~genre.evaluation.files.file_names`.
    standings
        Lines of a leaderboard.

    Returns
    -------
    paths
        The pictures, sorted by name.

    Raises
    ------
    DataError
        When a picture cannot be written.
    """
    tested = sorted((standing for standing in standings if standing.interval is not None), key=_same)
    groups = {key: list(members) for key, members in itertools.groupby(tested, key=_same)}
    drawn = {key: protocols for key, protocols in groups.items() if len(protocols) > 1}
    names = file_names(("protocols", *key) for key in drawn)
    paths = []
    for ((model, dataset), protocols), name in zip(drawn.items(), names, strict=True):
        from genre.evaluation.canvas import save_png
        from genre.evaluation.plots import leakage_bars_figure

        bars = sorted(map(_bar, protocols), key=lambda bar: (not bar.leaky, -bar.accuracy))
        path = folder / f"{name}.png"
        save_png(leakage_bars_figure(bars, dataset=dataset, subject=f"Track accuracy of {model} by protocol"), path)
        paths.append(path)
    return sorted(paths)


def _same(standing: Standing) -> tuple[str, str]:
    return standing.name, standing.dataset


def _bar(standing: Standing) -> Bar:
    from genre.evaluation.plots import Bar

    accuracy, interval = standing.track_accuracy, standing.interval
    assert accuracy is not None
    assert interval is not None
    return Bar(standing.protocol, accuracy.mean, interval[:2], leaky=standing.leaky)
