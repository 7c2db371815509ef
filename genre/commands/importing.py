"""Imports that take less time, and let the command end sooner."""

from __future__ import annotations

import contextlib
import gc
import sys
from collections.abc import Iterator


@contextlib.contextmanager
def importing() -> Iterator[None]:
    """Import, within this context, what a command needs.

    PyTorch, Lightning and scikit-learn leave half a million objects that stay to the end, and Python looks through them
    for garbage again and again: while they are imported, whenever a library collects garbage, and as the process ends.
    So no garbage is collected here, and what is there after the imports is set aside for good (:func:`gc.freeze`).
    """
    known, collects = len(sys.modules), gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if len(sys.modules) > known:  # or garbage of a command before this one would be set aside
            gc.freeze()
        if collects:
            gc.enable()
