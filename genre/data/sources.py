"""The data sets a configuration can name: functions that return a catalogue, each with its own checks."""

from __future__ import annotations

from pathlib import Path

from genre.data.tracks import Catalogue, catalogue


def folder(root: str) -> Catalogue:
    """Return the tracks below ``root``: one sub-folder a genre, or a ``tracks.csv``.

    Raises
    ------
    DataError
        If there is nothing to classify, or ``tracks.csv`` has a fault.
    """
    return catalogue(root)


def gtzan(root: str) -> Catalogue:
    """Return the tracks of GTZAN in any of its usual layouts.

    Raises
    ------
    DataError
        If a genre is missing.
    """
    from genre.data.gtzan import gtzan_catalogue

    return gtzan_catalogue(root)


def demo(root: str, *, seed: int = 0, artists: int = 8, tracks_per_artist: int = 2, seconds: float = 10.0) -> Catalogue:
    """Return synthetic music in ten genres, composing it first if it is not there yet.

    Parameters
    ----------
    root
        Folder of all demo music; every choice of the settings below has a folder of its own in it.
    seed
        The same seed gives the same bytes.
    artists
        Invented artists a genre.
    tracks_per_artist
        Tracks of each.
    seconds
        Length of a track.
    """
    from genre.data.demo import DEMO_VERSION, make_demo

    folder = Path(root) / f"v{DEMO_VERSION}_seed{seed}_{artists}x{tracks_per_artist}x{seconds:g}s"
    make_demo(folder, seed=seed, artists=artists, tracks_per_artist=tracks_per_artist, seconds=seconds)
    return catalogue(folder, name="demo")
