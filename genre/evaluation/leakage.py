"""What the protocol alone does to a figure: one picture for every model that was tested under several."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from genre.evaluation.files import file_name
from genre.evaluation.leaderboard import Standing

if TYPE_CHECKING:
    from genre.evaluation.plots import Bar


def write_protocol_pictures(folder: Path, standings: Sequence[Standing]) -> list[Path]:
    """Draw the test track accuracy of every model by protocol, where one data set was tested under at least two.

    Parameters
    ----------
    folder
        Where ``protocols_<model>_<dataset>.png`` goes, named by :func:`~genre.evaluation.files.file_name`.
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
    paths = []
    tested = sorted((standing for standing in standings if standing.interval is not None), key=_same)
    for (model, dataset), members in itertools.groupby(tested, key=_same):
        protocols = list(members)
        if len(protocols) < 2:
            continue
        from genre.evaluation.plots import leakage_bars_png

        bars = sorted(map(_bar, protocols), key=lambda bar: (not bar.leaky, -bar.accuracy))
        path = folder / f"{file_name('protocols', model, dataset)}.png"
        leakage_bars_png(path, bars, dataset=dataset, subject=f"Track accuracy of {model} by protocol")
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
