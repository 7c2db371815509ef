"""Fingerprints of audio files, computed once and kept beside the prepared clips.

``<store_dir>/.fingerprints/<version>/<first two digits>/<hash of the file's bytes>`` holds the hash of the decoded
samples, 32 characters, and then the words of the fingerprint, 32 bits each.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from genre.audio.decode import decode
from genre.audio.files import shown
from genre.audio.health import check
from genre.data.disk import replacing
from genre.data.preparation import content_hash
from genre.errors import AudioError
from genre.features.subfingerprints import VERSION, Words, subfingerprints

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
    """Decode one file and return its fingerprint.

    Raises
    ------
    AudioError
        When the file cannot be used, with the reason; the sentence calls it ``name``.
    """
    recording = decode(path, name=name)
    check(recording, name=name)
    return Fingerprint(content_hash(recording.samples), subfingerprints(recording.samples, recording.sample_rate))


def fingerprints(
    files: Sequence[AudioFile], kept: FingerprintFolder, *, jobs: int | None = None, progress: Progress | None = None
) -> list[Fingerprint | AudioError]:
    """Return the fingerprint of every file, computing those that are not kept yet, in threads.

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

    Returns
    -------
    One item a file: its fingerprint, or why it has none.

    Raises
    ------
    OSError
        If a fingerprint cannot be written; finished ones are kept.
    """
    import joblib

    known: dict[str, Fingerprint | AudioError] = {}
    for file in files:
        if (held := kept.read(file.bytes_hash)) is not None:
            known[file.bytes_hash] = held
    todo = list({file.bytes_hash: file for file in files if file.bytes_hash not in known}.values())
    if todo:
        tell = progress or (lambda _done, _total: None)
        tell(0, len(todo))
        with ThreadPoolExecutor(jobs or joblib.cpu_count()) as threads:
            work = {threads.submit(_compute, file, kept): file for file in todo}
            try:
                for done, future in enumerate(as_completed(work), start=1):
                    known[work[future].bytes_hash] = future.result()
                    tell(done, len(todo))
            except BaseException:
                threads.shutdown(cancel_futures=True)
                raise
    computed = {file.bytes_hash: file for file in todo}
    return [_named(known[file.bytes_hash], computed.get(file.bytes_hash, file), file) for file in files]


def _named(made: Fingerprint | AudioError, source: AudioFile, file: AudioFile) -> Fingerprint | AudioError:
    """Return what was made of ``source`` for a file of the same bytes: an error names that one."""
    if isinstance(made, Fingerprint) or file == source:
        return made
    return AudioError(str(made).replace(shown(source.file), shown(file.file)), reason=made.reason)


def _compute(file: AudioFile, kept: FingerprintFolder) -> Fingerprint | AudioError:
    try:
        made = fingerprint(file.path, name=file.file)
    except AudioError as error:
        return error
    kept.write(file.bytes_hash, made)
    return made
