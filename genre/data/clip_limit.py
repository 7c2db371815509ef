"""At most so many clips of a track in training, so that long tracks do not count more than others."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from genre.checks import is_whole
from genre.errors import ConfigError


def check_max_clips(most: object) -> int | None:
    """Return a largest number of clips; ``None`` is no limit.

    Raises
    ------
    ConfigError
        If it is not 1 or more.
    """
    if most is None or is_whole(most, 1):
        return most
    raise ConfigError(f"data.max_clips={most} is not a number of clips; give 1 or more, or null for all")


def spread_clips(rows: NDArray[np.int64], track: NDArray[np.int64], most: int | None) -> NDArray[np.int64]:
    """Return at most so many clips of each track, spread evenly over those that there are.

    Parameters
    ----------
    rows : shape=(n,)
        Clips, those of a track in their order.
    track : shape=(n,)
        Track of each.
    most
        Clips of a track; ``None`` is no limit.

    Returns
    -------
    rows : shape=(m,)
        In their order: of ten clips the third and the eighth are two, and the sixth is one.
    """
    if most is None:
        return rows
    order = np.argsort(track, kind="stable")
    _, first, size = np.unique(track[order], return_index=True, return_counts=True)
    count = np.minimum(size, most)
    of = np.repeat(np.arange(len(count)), count)
    number = np.arange(len(of)) - (np.cumsum(count) - count)[of]
    middle = first[of] + (2 * number + 1) * size[of] // (2 * count[of])  # of each of so many equal parts
    kept: NDArray[np.int64] = rows[np.sort(order[middle])]
    return kept
