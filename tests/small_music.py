"""Easy music of a few seconds, written by the tests for themselves."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import soundfile


def tone(frequency: float, seconds: float, sample_rate: int = 22050, *, seed: int = 0) -> np.ndarray:
    """A pulsing tone with three harmonics and a little noise."""
    time = np.arange(round(seconds * sample_rate)) / sample_rate
    wave = sum(np.sin(2 * np.pi * k * frequency * time) / k for k in (1, 2, 3))
    pulse = 0.6 + 0.4 * np.cos(2 * np.pi * 2 * time)
    noise = np.random.default_rng(seed).normal(0, 0.02, len(time))
    return (0.2 * wave * pulse + noise).astype(np.float32)


def write_music(
    root: Path,
    *,
    genres: tuple[str, ...] = ("high", "low", "middle"),
    artists: int = 4,
    tracks: int = 1,
    seconds: float = 2.2,
    table: bool = True,
    splits: tuple[str, ...] = (),
) -> Path:
    """Write a folder of easy music: a genre is a register, an artist a key; with ``table`` also tracks.csv."""
    rows = []
    for number, genre in enumerate(genres):
        for artist in range(artists):
            for track in range(tracks):
                file = f"{genre}/{genre}.{artist}.{track}.wav"
                path = root / file
                path.parent.mkdir(parents=True, exist_ok=True)
                frequency = 150 * 3**number * (1 + 0.05 * artist)
                samples = tone(frequency, seconds, seed=100 * number + 10 * artist + track)
                soundfile.write(path, samples, 22050)
                row = {"file": file, "label": genre, "artist": f"{genre} artist {artist}"}
                if splits:
                    row["split"] = splits[artist % len(splits)]
                rows.append(row)
    if table:
        with (root / "tracks.csv").open("w", newline="", encoding="utf-8") as stream:
            writer = csv.DictWriter(stream, rows[0].keys())
            writer.writeheader()
            writer.writerows(rows)
    return root
