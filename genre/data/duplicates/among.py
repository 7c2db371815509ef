"""The duplicates among some audio files, found once and kept beside the prepared clips."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import astuple
from pathlib import Path

import numpy as np

from genre.data.disk import locked, replacing, writing_to
from genre.data.duplicates.pairs import IDENTICAL, Duplicate, find_duplicates
from genre.data.duplicates.prints import AudioFile, Fingerprint, FingerprintFolder, Progress, fingerprints
from genre.data.duplicates.search import VERSION
from genre.data.fingerprint import digest
from genre.features.subfingerprints import seconds


def duplicates_among(
    files: Sequence[AudioFile],
    store_dir: Path,
    *,
    jobs: int | None = None,
    progress: Progress | None = None,
    say: Callable[[str], None] = lambda _: None,
) -> tuple[Duplicate, ...]:
    """Return the pairs of files that hold one recording; what is not known yet is computed, by one process at a time.

    Parameters
    ----------
    files
        The audio files; those that cannot be decoded are passed over.
    store_dir
        Folder of all stores.
    jobs, progress
        See :func:`genre.data.duplicates.prints.fingerprints`.
    say
        Called with a sentence worth telling, such as that another process is at work on the same files.

    Raises
    ------
    StoreError
        If something cannot be written.
    """
    kept = FingerprintFolder(store_dir)
    different = sorted({file.bytes_hash: file for file in reversed(files)}.values(), key=lambda file: file.bytes_hash)
    found = kept.path / "pairs" / digest([VERSION, *(file.bytes_hash for file in different)])[:16]
    pairs = _read(found)
    if pairs is None:
        with writing_to(store_dir):
            found.parent.mkdir(parents=True, exist_ok=True)
            with locked(found.with_suffix(".lock"), lambda: say("another run is looking for copies: waiting for it")):
                pairs = _read(found)
                if pairs is None:
                    pairs = _find(different, kept, jobs, progress)
                    with replacing(found) as stream:
                        stream.write(json.dumps([astuple(pair) for pair in pairs]).encode())
    return _of_files(pairs, [file.bytes_hash for file in different], [file.bytes_hash for file in files], kept)


def identical(content: Sequence[str]) -> tuple[Duplicate, ...]:
    """Return the pairs of tracks whose decoded samples have the same hash."""
    return find_duplicates([Fingerprint(one, np.zeros(0, np.uint32)) for one in content])


def _find(
    files: Sequence[AudioFile], kept: FingerprintFolder, jobs: int | None, progress: Progress | None
) -> tuple[Duplicate, ...]:
    made = fingerprints(files, kept, jobs=jobs, progress=progress)
    empty = np.zeros(0, np.uint32)
    prints = (one if isinstance(one, Fingerprint) else Fingerprint(f"none {i}", empty) for i, one in enumerate(made))
    return find_duplicates(prints, scratch=kept.path)


def _read(path: Path) -> tuple[Duplicate, ...] | None:
    with suppress(OSError, ValueError, TypeError):
        return tuple(Duplicate(*values) for values in json.loads(path.read_bytes()))
    return None


def _of_files(
    pairs: Sequence[Duplicate], different: Sequence[str], files: Sequence[str], kept: FingerprintFolder
) -> tuple[Duplicate, ...]:
    """Return pairs of ``different`` byte hashes as pairs of ``files``, with those of files that are the same."""
    first: dict[str, int] = {}
    found = []
    for number, bytes_hash in enumerate(files):
        if (one := first.setdefault(bytes_hash, number)) != number:
            made = kept.read(bytes_hash)
            length = seconds(len(made.words)) if made else 0.0
            found.append(Duplicate(one, number, IDENTICAL, 0.0, round(length, 2), 1.0))
    for pair in pairs:
        one, other = first[different[pair.one]], first[different[pair.other]]
        offset = pair.offset_sec if one < other else -pair.offset_sec
        ends = min(one, other), max(one, other)
        found.append(Duplicate(*ends, pair.kind, offset + 0.0, pair.overlap_sec, pair.score))
    return tuple(sorted(found, key=lambda pair: (pair.one, pair.other)))
