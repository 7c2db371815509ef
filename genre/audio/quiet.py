"""Silence for C libraries that print on standard error, such as the MP3 decoder when a file is damaged."""

from __future__ import annotations

import ctypes
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache

_FIRST_USE = threading.Lock()


@contextmanager
def quiet_c_libraries() -> Iterator[None]:
    """Keep C libraries from printing on standard error inside the ``with`` block.

    Python's own messages still arrive, from any thread. Safe with threads and forks.
    Systems without glibc are left as they are.
    """
    with _FIRST_USE:
        stream = _c_standard_error()
    if stream is None:
        yield
        return
    stream.hush()
    try:
        yield
    finally:
        stream.resume()


@cache
def _c_standard_error() -> _CStandardError | None:
    """Return the handle, or None where the variable is not known to be writable (anything but glibc)."""
    if os.name != "posix":
        return None
    libc = ctypes.CDLL(None)
    return _CStandardError(libc) if hasattr(libc, "gnu_get_libc_version") else None


class _CStandardError:
    """The C library's ``stderr`` variable, pointed at the null device while anybody asks for quiet.

    Only C code that prints through stdio looks at that variable: file descriptor 2, which Python writes to, stays.
    """

    def __init__(self, libc: ctypes.CDLL) -> None:
        libc.fopen.restype = ctypes.c_void_p
        self._stream = ctypes.c_void_p.in_dll(libc, "stderr")
        self._original = self._stream.value
        self._null = libc.fopen(os.devnull.encode(), b"w") or self._original
        self._start()
        os.register_at_fork(after_in_child=self._start)

    def _start(self) -> None:
        self._lock = threading.Lock()
        self._n_quiet = 0
        self._stream.value = self._original

    def hush(self) -> None:
        with self._lock:
            self._n_quiet += 1
            self._stream.value = self._null

    def resume(self) -> None:
        with self._lock:
            self._n_quiet -= 1
            if self._n_quiet == 0:
                self._stream.value = self._original
