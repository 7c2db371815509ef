"""Numba compilation as every kernel here wants it: lazy, cached on disk, without the interpreter lock."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ParamSpec, TypeVar

import numba

P = ParamSpec("P")
R = TypeVar("R")

# One AVX register of float32. Arrays that kernels walk in vectors have their last axis padded to a multiple of it.
LANES = 8


def compiled(function: Callable[P, R]) -> Callable[P, R]:
    """Compile ``function`` at its first call and keep the machine code for the next process.

    Numba keeps the code beside the source file or, where that is read-only, in the user's cache folder. Where neither
    can be written, the code is compiled anew in each process. Several processes may compile at once: the files are
    replaced atomically.

    A compiled function must call only compiled functions of its own file, because the cache is renewed file by file.
    """
    options: dict[str, Any] = {"nogil": True, "error_model": "numpy"}
    try:
        kernel: Callable[P, R] = numba.njit(cache=True, **options)(function)
    except RuntimeError:  # numba found no folder it may write to
        kernel = numba.njit(**options)(function)
    return kernel


def round_up(size: int, multiple: int) -> int:
    """Return the smallest multiple of ``multiple`` that is not below ``size``."""
    return -(-size // multiple) * multiple
