"""What audio files hold: hashes of their bytes, remembered between runs."""

from __future__ import annotations

import hashlib
import json
import os
import time
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from genre.data.disk import remove_unfinished, replacing
from genre.data.fingerprint import HASH_HEX

SETTLED_SEC = 2.0
"""A file changed less than this ago may change again without showing it: some file systems count in steps of 2 s."""

Stamp = tuple[int, ...]


def file_digest(path: Path) -> str:
    """Return the hash of a file's bytes."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()[:HASH_HEX]


def stamp(path: Path) -> Stamp:
    """Return numbers that change when a file's content does: its size first, then times of change and which file it is.

    Raises
    ------
    OSError
        If there is no such file.
    """
    state = path.stat()
    return state.st_size, state.st_mtime_ns, state.st_ctime_ns, state.st_ino


class ContentIndex:
    """Hashes of file contents, remembered between runs for files that have not changed.

    A context manager: what it learnt is written when it closes, beside what other processes wrote meanwhile. Files that
    are gone are forgotten. May be used from several threads.

    Parameters
    ----------
    path
        The file it keeps; one that is missing or damaged counts as empty.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._known: dict[str, list[Any]] = {}
        self._learnt: dict[str, list[Any]] = {}

    def __enter__(self) -> Self:
        self._known = self._read()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if not self._learnt:
            return
        kept = {**self._read(), **self._learnt}
        kept = {name: entry for name, entry in kept.items() if os.path.exists(name)}
        with suppress(OSError):  # only a memory aid: the next run hashes again
            remove_unfinished(self._path.parent, self._path.name)
            with replacing(self._path) as stream:
                stream.write(json.dumps(kept).encode())

    def _read(self) -> dict[str, list[Any]]:
        with suppress(OSError, ValueError):
            entries = json.loads(self._path.read_bytes())
            if isinstance(entries, dict):
                return {name: entry for name, entry in entries.items() if isinstance(entry, list)}
        return {}

    def hash(self, path: Path) -> tuple[str, Stamp]:
        """Return the hash of a file's content, and the stamp of the file that has it.

        Raises
        ------
        OSError
            If the file cannot be read.
        """
        name = os.path.realpath(path)
        now = stamp(path)
        known = self._known.get(name)
        if known is not None and known[:-1] == list(now):
            return str(known[-1]), now
        content = file_digest(path)
        if time.time() - max(now[1], now[2]) / 1e9 > SETTLED_SEC:
            self._learnt[name] = [*now, content]
        return content, now
