"""Measures what the duplicate finder finds of copies made of real recordings, and what it finds that is none.

    python benchmarks/duplicates.py /path/to/music

Of a sample of the recordings of at least 12 s it makes copies: encoded again, at another level or sample rate,
excerpts that begin anywhere. A copy counts as found when it is matched with its original. A false alarm is a match of a
copy, or of one of many excerpts of 2.1 s, with another recording, unless the two recordings match as a whole too:
those are listed, for they are most likely copies that the collection itself holds.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
from numpy.typing import NDArray

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from genre.audio.decode import Recording, decode, resample
from genre.audio.files import list_audio
from genre.data.duplicates.search import find_matches
from genre.features.subfingerprints import FRAME, HOP, SAMPLE_RATE, Words, seconds, subfingerprints

SHORTEST_SEC = 12.0
MP3_LOW: dict[str, Any] = {"format": "MP3", "bitrate_mode": "CONSTANT", "compression_level": 0.9}
MP3_HIGH: dict[str, Any] = {**MP3_LOW, "compression_level": 0.3}
OGG_LOW: dict[str, Any] = {"format": "OGG", "subtype": "VORBIS", "compression_level": 0.9}
WAV: dict[str, Any] = {"format": "WAV", "subtype": "PCM_16"}

Samples = NDArray[np.float32]


@dataclass(frozen=True)
class Copy:
    """A way to copy: how it is written, seconds kept (None: all), factor on the level, sample rate (None: its own)."""

    name: str
    form: dict[str, Any]
    seconds: float | None = None
    level: float = 1.0
    rate: int | None = None

    def made(self, samples: Samples, rate: int, start_sec: float, folder: Path) -> Words:
        """Return the fingerprint of a copy of a recording."""
        if self.seconds is not None:
            samples = samples[round(start_sec * rate) : round((start_sec + self.seconds) * rate)]
        to_rate = self.rate or rate
        path = folder / f"copy.{self.form['format'].lower()}"
        soundfile.write(path, self.level * resample(samples, rate, to_rate), to_rate, **self.form)
        recording = decode(path)
        return subfingerprints(recording.samples, recording.sample_rate)


COPIES = (
    Copy("MP3, high rate", MP3_HIGH),
    Copy("MP3, lowest rates", MP3_LOW),
    Copy("Ogg, lowest quality", OGG_LOW),
    Copy("16 bit at -20 dB", WAV, level=0.1),
    Copy("16 kHz", WAV, rate=16000),
    Copy("16 kHz, -20 dB, MP3 of lowest rates", MP3_LOW, level=0.1, rate=16000),
    Copy("10 s, MP3 of lowest rates", MP3_LOW, seconds=10.0),
    Copy("3 s, 16 kHz, MP3 of lowest rates", MP3_LOW, seconds=3.0, rate=16000),
    Copy("2.5 s, Ogg of lowest quality", OGG_LOW, seconds=2.5),
    Copy("2.2 s, 16 kHz, -20 dB, MP3 of lowest rates", MP3_LOW, seconds=2.2, level=0.1, rate=16000),
    Copy("2.0 s, 16 kHz, -20 dB, MP3 of lowest rates", MP3_LOW, seconds=2.0, level=0.1, rate=16000),
)


@dataclass(frozen=True)
class Collection:
    """Decoded recordings with their names and fingerprints, and the pairs of them that match as a whole."""

    names: list[str]
    recordings: list[Recording]
    prints: list[Words]
    known: set[frozenset[int]]

    def differ(self, one: int, other: int) -> bool:
        """Say whether a match of these two recordings is a false alarm."""
        return one != other and frozenset((one, other)) not in self.known

    @property
    def long(self) -> list[int]:
        """Numbers of the recordings that are long enough to cut excerpts of."""
        rates = [recording.sample_rate for recording in self.recordings]
        return [i for i, one in enumerate(self.recordings) if len(one.samples) >= SHORTEST_SEC * rates[i]]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--tracks", type=int, default=80, help="recordings that copies are made of")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    rng = np.random.default_rng(options.seed)
    collection = read(options.folder)
    chosen = sorted(rng.choice(collection.long, min(options.tracks, len(collection.long)), replace=False).tolist())
    print(f"\n{f'copies of {len(chosen)} recordings':46} found  bit errors: median, 95 %, largest  offset off  false")
    for way in COPIES:
        try_copies(way, collection, chosen, rng.uniform(0, SHORTEST_SEC - 10.0, len(chosen)))
    try_excerpts(collection)


def read(folder: Path) -> Collection:
    """Read a collection, compare all its recordings, and say how long that took and what matches."""
    paths = list_audio(folder).audio
    find_matches([np.arange(200, dtype=np.uint32)] * 2)  # compiles
    began = time.process_time()
    recordings = [decode(path) for path in paths]
    prints = [subfingerprints(recording.samples, recording.sample_rate) for recording in recordings]
    listened = time.process_time()
    matches = find_matches(prints)
    searched = time.process_time()
    minutes = sum(len(recording.samples) / recording.sample_rate for recording in recordings) / 60
    print(f"{len(paths)} recordings, {minutes:.0f} min; seconds of one processor: ", end="")
    print(f"decoding and fingerprints {listened - began:.1f}, search {searched - listened:.2f}")
    names = [path.name for path in paths]
    for match in matches:
        print(f"  in it: {names[match.one]} and {names[match.other]}, bit errors {match.bit_errors:.3f}")
    return Collection(names, recordings, prints, {frozenset((match.one, match.other)) for match in matches})


def try_copies(way: Copy, collection: Collection, chosen: list[int], starts: NDArray[np.float64]) -> None:
    """Copy the chosen recordings in one way, and print how many are found."""
    copies = []
    with tempfile.TemporaryDirectory() as folder:
        for i, start in zip(chosen, starts, strict=True):
            recording = collection.recordings[i]
            copies.append(way.made(recording.samples, recording.sample_rate, start, Path(folder)))
    n = len(collection.prints)
    source_of = [*range(n), *chosen]
    matches = [match for match in find_matches([*collection.prints, *copies]) if match.other >= n]
    found = [match for match in matches if match.one < n and match.one == source_of[match.other]]
    errors = [match.bit_errors for match in found]
    begins = starts if way.seconds else np.zeros(len(chosen))
    off = max(abs(seconds(match.offset) - begins[match.other - n]) for match in found)
    false = sum(collection.differ(source_of[match.one], source_of[match.other]) for match in matches)
    spread = f"{np.median(errors):.3f}  {np.quantile(errors, 0.95):.3f}  {max(errors):.3f}"
    print(f"{way.name:46} {len(found):2}/{len(chosen)}  {spread:>31}  {off:8.3f} s  {false:5}", flush=True)


def try_excerpts(collection: Collection) -> None:
    """Cut all recordings into excerpts of 2.1 s, and print which of them match another recording."""
    n_words = round((2.1 * SAMPLE_RATE - FRAME) / HOP)
    cut = [(i, at) for i in collection.long for at in range(0, len(collection.prints[i]) - n_words, 300)]
    source_of = [*range(len(collection.prints)), *(i for i, _ in cut)]
    matches = find_matches([*collection.prints, *(collection.prints[i][at : at + n_words] for i, at in cut)])
    alarms = [match for match in matches if collection.differ(source_of[match.one], source_of[match.other])]
    print(f"\n{len(cut)} excerpts of 2.1 s among {len(collection.prints)} recordings: {len(alarms)} false alarms")
    for match in alarms:
        one, other = (collection.names[source_of[end]] for end in (match.one, match.other))
        print(f"  {one} and {other}, bit errors {match.bit_errors:.3f} of {match.overlap} words")


if __name__ == "__main__":
    main()
