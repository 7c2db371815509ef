"""Memory over hours of sound."""

from __future__ import annotations

import ctypes
import functools
import sys
from collections.abc import Callable


def return_freed_memory() -> None:
    """Give memory that was freed but is kept for later back to the system, where the C library can do that.

    glibc keeps freed blocks between those in use. As arrays of ever other sizes come and go, these remains add up:
    about 50 MB an hour of sound.
    """
    _trim()(0)


@functools.cache
def _trim() -> Callable[[int], object]:
    if sys.platform != "linux":
        return lambda _: None
    trim: Callable[[int], object] = getattr(ctypes.CDLL(None), "malloc_trim", lambda _: None)
    return trim
