"""Small sounds and stores for the tests of prepared clips."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import soundfile

from genre.data.clips import ClipSpec
from genre.data.datamodule import DataSettings, GenreDataModule
from genre.data.protocols import ArtistProtocol
from genre.data.sources import folder as catalogue_of
from genre.data.store import SourceFile, Store, prepare
from genre.features.spectrogram import FrontEnd, LogMel

RATE = 22050
ONE_SECOND = ClipSpec(clip_sec=1.0)
SMALL = LogMel(n_mels=8)


def noise(seconds: float, seed: int = 0, rate: int = RATE) -> np.ndarray:
    """Return noise that rises and falls, as 16-bit samples."""
    rng = np.random.default_rng(seed)
    n_samples = round(seconds * rate)
    swell = 1.0 + np.sin(np.arange(n_samples) * (2 * np.pi * (2 + seed % 5) / rate))
    return (rng.standard_normal(n_samples) * swell * 2000).astype(np.int16)


def write(path: Path, samples: np.ndarray, rate: int = RATE) -> SourceFile:
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, samples, rate)
    return SourceFile(path.name, path)


def tracks(folder: Path, count: int, seconds: float = 2.5) -> list[SourceFile]:
    """Write ``count`` different tracks, each a little longer than the one before."""
    return [write(folder / f"t{n:02d}.wav", noise(seconds + 0.1 * n, n)) for n in range(count)]


def make(files: list[SourceFile], store_dir: Path, clips: ClipSpec = ONE_SECOND, frontend=SMALL, **options) -> Store:
    return prepare(files, clips, frontend.settings(), store_dir=store_dir, **options)


def contents(folder: Path) -> dict[str, bytes]:
    """Return every file below a folder."""
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def unfinished(store_dir: Path) -> list[str]:
    """Return what is left of unfinished work, locks aside."""
    return sorted(p.name for p in (store_dir / ".work").rglob("*") if p.suffix != ".lock")


class Counter:
    """Stands in for a function, counts its calls and passes them on."""

    def __init__(self, function: Callable) -> None:
        self.function = function
        self.calls: list[tuple] = []

    def __call__(self, *args, **options):
        self.calls.append(args)
        return self.function(*args, **options)


def module(folder: Path, store_dir: Path, frontend: FrontEnd = SMALL, **options) -> GenreDataModule:
    """A data module of the music in a folder, dealt by artists."""
    made = GenreDataModule(
        catalogue_of(str(folder)),
        ArtistProtocol(val=0.3, test=0.3),
        frontend,
        ONE_SECOND,
        DataSettings(store_dir, batch_size=4, **options),
    )
    made.prepare_data()
    made.setup()
    return made
