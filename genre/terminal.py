"""How every command ends: one plain sentence on standard error, and nothing of a reader that went away."""

from __future__ import annotations

import io
import os
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

from genre.errors import FULL, GenreError


@contextmanager
def one_sentence(explain: Callable[[Exception], str | None]) -> Iterator[None]:
    """Run a command in the ``with`` block: an error becomes one sentence and exit status 1.

    Letters that the terminal does not know are shown as escapes. A closed pipe ends the command in silence, and of a
    thread that finds the disk full nothing is shown: the command finds it full too and says so.

    Parameters
    ----------
    explain
        Returns the sentence for an error, or ``None`` to let it through with its traceback.
    """
    _take_any_letter()
    of_threads = threading.excepthook
    threading.excepthook = _without_full_disks(of_threads)
    try:
        try:
            yield
        finally:
            if sys.stdout is not None:
                sys.stdout.flush()
    except BrokenPipeError:  # the reader of our output went away, as in --help | head
        sys.exit(1)
    except Exception as error:
        sentence = explain(error)
        if sentence is None:
            raise
        with suppress(OSError):
            print(f"error: {sentence.rstrip('.')}", file=sys.stderr)
        sys.exit(1)
    finally:
        threading.excepthook = of_threads
        _drop_unwritten()


def run_tool(main: Callable[[], int]) -> None:
    """Run the ``main`` of a ``python -m`` tool and exit with its status: see :func:`one_sentence`."""
    with one_sentence(_sentence):
        sys.exit(main())


def _sentence(error: Exception) -> str | None:
    if isinstance(error, GenreError):
        return str(error)
    if not isinstance(error, OSError):
        return None
    if error.filename is not None:
        return f"{error.filename} cannot be used ({error.strerror}); choose another place for it"
    if error.errno in FULL:
        return f"the output cannot be written ({error.strerror}); free some space, or write to another disk"
    return None


def _take_any_letter() -> None:
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def _drop_unwritten() -> None:
    """Let Python not complain at its end of output that nobody takes."""
    for stream in (sys.stdout, sys.stderr):
        if stream is None:
            continue
        try:
            stream.flush()
        except OSError:
            with suppress(OSError):
                os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def _without_full_disks(
    hook: Callable[[threading.ExceptHookArgs], object],
) -> Callable[[threading.ExceptHookArgs], object]:
    def tell(thread: threading.ExceptHookArgs) -> object:
        if isinstance(thread.exc_value, OSError) and thread.exc_value.errno in FULL:
            return None
        return hook(thread)

    return tell
