"""Artists that count alike in training, however many clips there are of each."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from genre.checks import check_number
from genre.data.protocols.table import TrackTable


def check_artist_balance(balance: float) -> float:
    """Return a balance.

    Raises
    ------
    ConfigError
        If it is not between 0 and 1.
    """
    check_number("data.artist_balance", balance, 0, 1)
    return float(balance)


def artist_weights(table: TrackTable, n_clips: NDArray[np.integer], balance: float) -> NDArray[np.float32]:
    """Return the weight in training of the clips of each track.

    A class is learnt from its artists, and of one with many clips more is learnt about the artist than about the class.
    So a clip counts by the number of training clips of its artist in its class to the power of ``-balance``. The mean
    over the training clips of each class is 1: classes keep their weights.

    Parameters
    ----------
    table
        The tracks; one without an artist is its own.
    n_clips : shape=(n_tracks,)
        Training clips of each track.
    balance
        0: every clip counts alike; 1: every artist of a class does.

    Returns
    -------
    weights : shape=(n_tracks,)
        0 for tracks without training clips.
    """
    names = [f"track {track}" if artist is None else f"artist {artist}" for track, artist in enumerate(table.artist)]
    keys = [f"{label} {name}" for label, name in zip(table.label, names, strict=True)]
    artist = np.unique(keys, return_inverse=True)[1]
    training = n_clips > 0
    weights = np.zeros(len(keys))
    weights[training] = np.bincount(artist, weights=n_clips)[artist[training]] ** -balance
    total = np.bincount(table.label, weights=n_clips, minlength=len(table.labels))
    weighted = np.bincount(table.label, weights=n_clips * weights, minlength=len(table.labels))
    factor = np.divide(total, weighted, out=np.zeros_like(total), where=weighted > 0)
    return (weights * factor[table.label]).astype(np.float32)
