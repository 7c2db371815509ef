"""Memory that was freed: kept where it is needed again at once, given back where it would add up."""

from __future__ import annotations

import ctypes
import functools
import sys
from collections.abc import Callable

_M_TRIM_THRESHOLD = -1
_M_MMAP_MAX = -4
_KEPT_BYTES = 2**31 - 1


def keep_freed_memory() -> None:
    """Keep memory that was freed for what is allocated next, where the C library would give it back at once.

    glibc asks the system for every block of 32 MB and more, and gives it back when it is freed. A training step frees
    and allocates hundreds of megabytes in such blocks, each page of which the system fills with zeros anew: a quarter
    of the time of a step. What is kept goes back with :func:`return_freed_memory`.
    """
    mallopt = _c_function("mallopt")
    mallopt(_M_MMAP_MAX, 0)  # no block of its own for anything
    mallopt(_M_TRIM_THRESHOLD, _KEPT_BYTES)


def return_freed_memory() -> None:
    """Give memory that was freed but is kept for later back to the system, where the C library can do that.

    glibc keeps freed blocks between those in use. As arrays of ever other sizes come and go, these remains add up:
    about 50 MB an hour of sound.
    """
    _c_function("malloc_trim")(0)


@functools.cache
def _c_function(name: str) -> Callable[..., object]:
    """Return a function of the C library that takes whole numbers; one that does nothing where there is none."""
    if sys.platform != "linux":
        return lambda *_: None
    function: Callable[..., object] = getattr(ctypes.CDLL(None), name, lambda *_: None)
    return function
