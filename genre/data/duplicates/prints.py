"""Fingerprints of audio files, computed once and kept beside the prepared clips.

``<store_dir>/.fingerprints/<version>/<first two digits>/<hash of the file's bytes>`` holds the hash of the decoded
samples, 32 characters, and then the words of the fingerprint, 32 bits each.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from genre.audio.decode import Resampler
from genre.audio.files import shown
from genre.data.disk import replacing
from genre.data.listening import CheckedBlocks
from genre.errors import AudioError
from genre.features.subfingerprints import SAMPLE_RATE, VERSION, SubfingerprintStream, Words

FOLDER = ".fingerprints"
HASH_BYTES = 32

Progress = Callable[[int, int], None]
"""Called with (files done, files in all): once when work begins, then after every file."""


@dataclass(frozen=True, slots=True)
class AudioFile:
    """An audio file: its name in the catalogue, where it is, and the hash of its bytes."""

    file: str
    path: Path
    bytes_hash: str


@dataclass(frozen=True, slots=True, eq=False)
class Fingerprint:
    """What is known of the sound of a file.

    Parameters
    ----------
    content
        Hash of the decoded samples.
    words
        Sub-fingerprints (:func:`genre.features.subfingerprints.subfingerprints`).
    """

    content: str
    words: Words


class FingerprintFolder:
    """Fingerprints on disk, by the hash of the bytes of their file. Any number of processes may use it at once.

    Parameters
    ----------
    store_dir
        The folder of all stores.
    """

    def __init__(self, store_dir: Path) -> None:
        self.path = store_dir / FOLDER / f"v{VERSION}"

    def read(self, bytes_hash: str) -> Fingerprint | None:
        """Return a fingerprint that is kept, or None."""
        with suppress(OSError, UnicodeDecodeError):
            held = self._file(bytes_hash).read_bytes()
            if len(held) >= HASH_BYTES and len(held) % 4 == 0:
                content = held[:HASH_BYTES].decode("ascii")
                return Fingerprint(content, np.frombuffer(held, "<u4", offset=HASH_BYTES).astype(np.uint32))
        return None

    def holds(self, bytes_hash: str) -> bool:
        """Return whether there is a fingerprint, by the length of its file alone."""
        with suppress(OSError):
            size = self._file(bytes_hash).stat().st_size
            return size >= HASH_BYTES and size % 4 == 0
        return False

    def write(self, bytes_hash: str, fingerprint: Fingerprint) -> None:
        """Keep a fingerprint.

        Raises
        ------
        OSError
            If it cannot be written.
        """
        file = self._file(bytes_hash)
        file.parent.mkdir(parents=True, exist_ok=True)
        with replacing(file) as stream:
            stream.write(fingerprint.content.encode("ascii") + fingerprint.words.astype("<u4").tobytes())

    def _file(self, bytes_hash: str) -> Path:
        return self.path / bytes_hash[:2] / bytes_hash


def fingerprint(path: Path, *, name: str) -> Fingerprint:
    """Decode one file, piece by piece, and return its fingerprint.

    Raises
    ------
    AudioError
        When the file cannot be used, with the reason; the sentence calls it ``name``.
    """
    blocks = CheckedBlocks(path, name=name)
    resampler, words = Resampler(blocks.sample_rate, SAMPLE_RATE), SubfingerprintStream()
    for block in blocks:
        words.push(resampler.push(block))
    words.push(resampler.finish())
    return Fingerprint(blocks.content, words.finish())


def fingerprints(
    files: Sequence[AudioFile], kept: FingerprintFolder, *, jobs: int | None = None, progress: Progress | None = None
) -> Iterator[Fingerprint | AudioError]:
    """Yield the fingerprint of every file, after computing those that are not kept yet, in threads.

    They are read one by one where they are kept: those of a large collection take more memory than there is.

    Parameters
    ----------
    files
        The audio files.
    kept
        Where fingerprints are kept.
    jobs
        Threads; ``None`` is one a core.
    progress
        Not called if there is nothing to compute.

    Yields
    ------
    One item a file: its fingerprint, or why it has none.

    Raises
    ------
    OSError
        If a fingerprint cannot be written; finished ones are kept.
    """
    todo = {file.bytes_hash: file for file in files if not kept.holds(file.bytes_hash)}
    faults = _compute(list(todo.values()), kept, jobs, progress or (lambda _done, _total: None)) if todo else {}
    for file in files:
        fault = faults.get(file.bytes_hash)
        yield _kept_or_made(file, kept) if fault is None else _named(fault, todo[file.bytes_hash], file)


def _compute(
    files: Sequence[AudioFile], kept: FingerprintFolder, jobs: int | None, progress: Progress
) -> dict[str, AudioError]:
    """Compute and keep fingerprints, in threads, and return why those of some files cannot be, by their hash."""
    import joblib

    faults = {}
    progress(0, len(files))
    with ThreadPoolExecutor(jobs or joblib.cpu_count()) as threads:
        work = {threads.submit(_fault, file, kept): file for file in files}
        try:
            for done, future in enumerate(as_completed(work), start=1):
                if (fault := future.result()) is not None:
                    faults[work[future].bytes_hash] = fault
                progress(done, len(files))
        except BaseException:
            threads.shutdown(cancel_futures=True)
            raise
    return faults


def _fault(file: AudioFile, kept: FingerprintFolder) -> AudioError | None:
    """Compute and keep a fingerprint, and return why there is none."""
    made = _kept_or_made(file, kept)
    return made if isinstance(made, AudioError) else None


def _named(fault: AudioError, source: AudioFile, file: AudioFile) -> AudioError:
    """Return what is wrong with ``source`` for a file of the same bytes: it names that one."""
    if file == source:
        return fault
    return AudioError(str(fault).replace(shown(source.file), shown(file.file)), reason=fault.reason)


def _kept_or_made(file: AudioFile, kept: FingerprintFolder) -> Fingerprint | AudioError:
    if (held := kept.read(file.bytes_hash)) is not None:
        return held
    try:
        made = fingerprint(file.path, name=file.file)
    except AudioError as error:
        return error
    kept.write(file.bytes_hash, made)
    return made
