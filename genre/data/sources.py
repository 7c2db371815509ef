"""The data sets a configuration can name: functions that return a catalogue, each with its own checks."""

from __future__ import annotations

from pathlib import Path

from genre.audio.files import shown
from genre.data.tracks import Catalogue, catalogue
from genre.errors import ConfigError


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


def demo(
    root: str | None = None,
    *,
    composed_in: str,
    seed: int = 0,
    artists: int = 8,
    tracks_per_artist: int = 2,
    seconds: float = 10.0,
) -> Catalogue:
    """Return synthetic music in ten genres, composing it first if it is not there yet.

    Parameters
    ----------
    root
        Must be ``None``: whoever gives a folder means music of their own.
    composed_in
        Folder of all demo music; every choice of the settings below has a folder of its own in it.
    seed
        The same seed gives the same bytes.
    artists
        Invented artists a genre.
    tracks_per_artist
        Tracks of each.
    seconds
        Length of a track.

    Raises
    ------
    ConfigError
        If ``root`` is given, or a setting is out of range.
    """
    from genre.data.demo import DEMO_VERSION, make_demo

    if root is not None:
        raise ConfigError(f"data.root={shown(root)} is not read by data=demo, which composes its own: add data=folder")
    folder = Path(composed_in) / f"v{DEMO_VERSION}_seed{seed}_{artists}x{tracks_per_artist}x{seconds:g}s"
    make_demo(folder, seed=seed, artists=artists, tracks_per_artist=tracks_per_artist, seconds=seconds)
    return catalogue(folder, name="demo")
