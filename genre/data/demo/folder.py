"""The demo data set on disk: made whole or not at all, and reused."""

from __future__ import annotations

import csv
import errno
import io
import json
import os
import shutil
import wave
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from genre.data.demo.artists import draw_artist
from genre.data.demo.composer import compose
from genre.data.demo.render import render
from genre.data.demo.styles import STYLES
from genre.errors import ConfigError, DataError

DEMO_VERSION = 2
_SETTINGS_FILE = "demo.json"


@dataclass(frozen=True, slots=True)
class _Settings:
    seed: int
    artists: int
    tracks_per_artist: int
    seconds: float
    sample_rate: int
    version: int = DEMO_VERSION

    def check(self) -> None:
        """Refuse what cannot be composed."""
        limits = {
            "seed": (self.seed, 0, 2**32 - 1),
            "artists": (self.artists, 1, 100),
            "tracks_per_artist": (self.tracks_per_artist, 1, 100),
            "seconds": (self.seconds, 0.5, 600),
            "sample_rate": (self.sample_rate, 8000, 96000),
        }
        for name, (value, low, high) in limits.items():
            if not low <= value <= high:
                raise ConfigError(f"demo music: {name}={value} is out of range, choose {low} to {high}.")


def make_demo(
    root: Path,
    *,
    seed: int = 0,
    artists: int = 8,
    tracks_per_artist: int = 2,
    seconds: float = 10.0,
    sample_rate: int = 22050,
    progress: Callable[[int, int], None] | None = None,
) -> None:
    """Compose the demo music into ``root``, or keep it if it is already there.

    Writes ``<genre>/<genre>.<artist>.<nn>.wav`` (16-bit mono), ``tracks.csv`` (``file,label,artist``) and, as the seal
    of a complete folder, ``demo.json``. The same arguments give the same bytes. The folder appears at once when all is
    done; an interrupted call leaves at most hidden files beside it (``.<name>.partial`` and ``.<name>.lock``), which
    the next call clears away. Several processes may call at the same time.

    Parameters
    ----------
    root
        Folder to make.
    seed
        Another seed invents other artists and other music.
    artists
        Number of artists of each genre.
    tracks_per_artist
        Number of tracks of each artist.
    seconds
        Length of a track, seconds.
    sample_rate
        Hz.
    progress
        Called with (tracks done, tracks in all) after each track.

    Raises
    ------
    ConfigError
        If a setting is out of range.
    DataError
        If ``root`` holds anything else, which is never overwritten, or cannot be written.
    """
    root = Path(root)
    settings = _Settings(int(seed), int(artists), int(tracks_per_artist), float(seconds), int(sample_rate))
    settings.check()
    try:
        if not _is_ready(root, settings):
            _make_once(root, settings, progress)
    except OSError as error:
        raise DataError(_explain(error, root)) from error


def _explain(error: OSError, root: Path) -> str:
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return f"The disk is full: the demo music for {root} needs more room, so free some or choose another folder."
    return f"The demo music cannot be written to {root} ({error.strerror or error}): choose a folder you may write to."


def _is_ready(root: Path, settings: _Settings) -> bool:
    """Return whether ``root`` already holds this music; False if there is nothing yet."""
    if not root.exists() or (root.is_dir() and not any(root.iterdir())):
        return False
    try:
        found = json.loads((root / _SETTINGS_FILE).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        raise DataError(
            f"{root} already holds something that is not demo music: choose another folder for it."
        ) from None
    if found != asdict(settings):
        raise DataError(f"{root} holds demo music made with other settings: remove it or choose another folder.")
    missing = [file for file, _, _ in _rows(settings) if not (root / file).is_file()]
    if missing or not (root / "tracks.csv").is_file():
        raise DataError(f"{root} has lost {(missing or ['tracks.csv'])[0]}: remove the folder and it is made again.")
    return True


def _make_once(root: Path, settings: _Settings, progress: Callable[[int, int], None] | None) -> None:
    """Compose beside ``root`` and rename, one process at a time."""
    from filelock import FileLock

    root.parent.mkdir(parents=True, exist_ok=True)
    partial = root.with_name(f".{root.name}.partial")
    lock = root.with_name(f".{root.name}.lock")
    with FileLock(lock):
        if not _is_ready(root, settings):
            shutil.rmtree(partial, ignore_errors=True)
            try:
                _write(partial, settings, progress)
                if root.exists():
                    root.rmdir()
                os.rename(partial, root)
            finally:
                shutil.rmtree(partial, ignore_errors=True)
    with suppress(OSError):  # whoever still waits for it finds the folder ready, writes nothing and comes here too
        lock.unlink()


def _write(folder: Path, settings: _Settings, progress: Callable[[int, int], None] | None) -> None:
    folder.mkdir()
    rows = _rows(settings)
    for done, (row, recording) in enumerate(zip(rows, _recordings(settings), strict=True), start=1):
        path = folder / row[0]
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(_wav(recording, settings.sample_rate))
        if progress is not None:
            progress(done, len(rows))
    with (folder / "tracks.csv").open("w", encoding="utf-8", newline="") as file:
        csv.writer(file, lineterminator="\n").writerows([("file", "label", "artist"), *rows])
    (folder / _SETTINGS_FILE).write_text(json.dumps(asdict(settings), indent=1) + "\n", encoding="utf-8")


def _rows(settings: _Settings) -> list[tuple[str, str, str]]:
    """File, label and artist of every track, in the order of :func:`_recordings`."""
    return [
        (f"{genre}/{genre}.{artist:02d}.{track:02d}.wav", genre, f"{genre}-{artist:02d}")
        for genre in STYLES
        for artist in range(settings.artists)
        for track in range(settings.tracks_per_artist)
    ]


def _recordings(settings: _Settings) -> Iterator[NDArray[np.int16]]:
    """Yield the samples of every track; each depends on its own seed alone."""
    n_samples = int(settings.seconds * settings.sample_rate)
    for index, genre in enumerate(STYLES):
        for number in range(settings.artists):
            artist = draw_artist(genre, np.random.default_rng([settings.seed, index, number, 0]))
            for track in range(settings.tracks_per_artist):
                rng = np.random.default_rng([settings.seed, index, number, track + 1])
                yield render(compose(artist, settings.seconds, rng), artist, n_samples, settings.sample_rate, rng)


def _wav(samples: NDArray[np.int16], sample_rate: int) -> bytes:
    buffer = io.BytesIO()
    with wave.open(buffer, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(sample_rate)
        file.writeframes(samples.astype("<i2").tobytes())
    return buffer.getvalue()
