"""Memory that a thread uses again from clip to clip: fresh pages cost more time than the arithmetic done in them."""

from __future__ import annotations

import math
import threading
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

_KEPT_BYTES = 1 << 24  # larger arrays are not kept

_kept = threading.local()


def scratch(name: str, shape: tuple[int, ...], dtype: DTypeLike) -> NDArray[Any]:
    """Return an uninitialised C-contiguous array; it is valid until the same thread asks for ``name`` again."""
    dtype = np.dtype(dtype)
    size = math.prod(shape) * dtype.itemsize
    memory: NDArray[np.uint8] | None = getattr(_kept, name, None)
    if memory is None or memory.size < size:
        memory = np.empty(size, dtype=np.uint8)
        if size <= _KEPT_BYTES:
            setattr(_kept, name, memory)
    return memory[:size].view(dtype).reshape(shape)
