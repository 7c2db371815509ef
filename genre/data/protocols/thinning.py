"""Less to learn from: a training side without some of its artists, which shows whether more of them would help."""

from __future__ import annotations

import numpy as np

from genre.data.protocols.groups import Groups
from genre.data.protocols.table import LEFT_OUT, TRAIN, IntArray, TrackTable


def thin_training(table: TrackTable, sides: IntArray, share: float, seed: int) -> IntArray:
    """Leave out training clips of so many artists that each class keeps a share of its own.

    Artists leave whole (tracks without one: recordings), in an order drawn for each class, so that a smaller share is
    part of a larger one. Every class keeps at least one; an artist of several classes stays for all of them if it
    stays for one. The other sides are not touched.

    Parameters
    ----------
    table
        The tracks, in an order that does not depend on how they were listed.
    sides
        Side of each clip, shape=(n_clips,).
    share
        Above 0, and at most 1.
    seed
        Another seed leaves others out.

    Returns
    -------
    Side of each clip, shape=(n_clips,), those that left ``LEFT_OUT``.
    """
    group = Groups.of(table, by_artist=True).group
    trained = np.unique(table.clip_track[sides == TRAIN])
    stays = np.zeros(group.max(initial=-1) + 1, dtype=bool)
    for label in range(len(table.labels)):
        members = np.unique(group[trained[table.label[trained] == label]])
        order = np.random.default_rng([seed, label]).permutation(members)
        stays[order[: max(1, round(share * len(order)))]] = True
    return np.where((sides == TRAIN) & ~table.per_clip(stays[group]), LEFT_OUT, sides)
