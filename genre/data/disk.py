"""Files and folders that are written whole or not at all, one process at a time, with plain words when it fails."""

from __future__ import annotations

import errno
import os
import shutil
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from genre.errors import FULL, StoreError


@contextmanager
def replacing(path: Path) -> Iterator[BinaryIO]:
    """Open a new file that takes the place of ``path`` when the ``with`` block ends, and is removed if it fails.

    Any number of processes may do so at once: the last one wins. What a killed process leaves is found by
    :func:`remove_unfinished`.
    """
    temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex}")
    try:
        with temporary.open("xb") as stream:
            yield stream
        os.replace(temporary, path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def remove_unfinished(folder: Path, name: str = "*") -> None:
    """Remove what :func:`replacing` had not finished of files called ``name`` when its process was killed."""
    for temporary in folder.glob(f".{name}.*"):
        temporary.unlink(missing_ok=True)


def discard(folder: Path) -> None:
    """Remove a folder if it is there, and what an earlier call had not removed when its process was killed.

    It is renamed first: a process that still writes into it can then not hinder its removal.
    """
    with suppress(OSError):
        folder.rename(folder.with_name(f"{folder.name}.gone.{uuid.uuid4().hex}"))
    for gone in folder.parent.glob(f"{folder.name}.gone.*"):
        shutil.rmtree(gone, ignore_errors=True)


@contextmanager
def locked(path: Path, waiting: Callable[[], None]) -> Iterator[None]:
    """Let one process at a time into the ``with`` block; ``waiting`` is called once if another one is in it.

    The lock ends with its process, however that ends.

    Raises
    ------
    OSError
        If the file system cannot lock files.
    """
    from filelock import FileLock, Timeout

    path.parent.mkdir(exist_ok=True)
    lock = FileLock(path)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        waiting()
        lock.acquire()
    except NotImplementedError as error:
        raise OSError(errno.ENOLCK, "files cannot be locked there") from error
    try:
        yield
    finally:
        lock.release()  # the file stays: removing it would let two later processes hold two locks


@contextmanager
def writing_to(store_dir: Path) -> Iterator[None]:
    """Turn what the system says about a write that fails into a :class:`StoreError`."""
    try:
        yield
    except OSError as error:
        if error.errno in FULL:
            raise StoreError(
                f"the disk of {store_dir} is full; free some space or set data.store_dir to a folder on another disk, "
                "and run again: finished tracks are kept"
            ) from error
        raise StoreError(
            f"prepared clips cannot be written to {store_dir} ({error.strerror or error}); set data.store_dir to a "
            "folder that can be written to"
        ) from error
