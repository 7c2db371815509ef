"""Writing result files so that a reader sees the old file or the new one, never half of one."""

from __future__ import annotations

import contextlib
import csv
import hashlib
import io
import os
import re
import uuid
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TextIO

from genre.errors import DataError

LONGEST = 150
"""Bytes of a name without what is added to it; file systems take 255."""


@contextlib.contextmanager
def atomic(path: Path) -> Iterator[Path]:
    """Give a temporary path to write to, and move it to ``path`` when the block ends well.

    The folder is made if it is not there; after an error nothing is left behind and an older ``path`` stays as it was.

    Raises
    ------
    DataError
        When the operating system refuses: no permission, a full disk, a file where a folder should be.
    """
    temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex[:12]}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield temporary
        os.replace(temporary, path)
    except OSError as error:
        raise DataError(
            f"cannot write {path} ({error.strerror or error}): free some space or choose another output folder"
        ) from error
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink()


def write_text(path: Path, text: str) -> None:
    """Write ``text`` to ``path`` atomically, as UTF-8."""
    with atomic(path) as temporary:
        temporary.write_text(text, encoding="utf-8", errors="surrogateescape", newline="\n")


def write_csv(path: Path, rows: Iterable[Sequence[object]]) -> None:
    """Write rows to ``path`` atomically, as CSV in UTF-8 with plain line ends; any text survives in a cell.

    Undecodable bytes of a file name, which Python keeps as lone surrogates, are written as the bytes they were.
    """
    with (
        atomic(path) as temporary,
        temporary.open("w", encoding="utf-8", errors="surrogateescape", newline="") as file,
    ):
        for row in rows:
            write_row(file, row)


def write_row(stream: TextIO, cells: Iterable[object]) -> None:
    r"""Write a row of CSV with the line end ``\n``: told to do so itself, csv may leave a ``\r`` in a cell unquoted.

    >>> import sys
    >>> write_row(sys.stdout, ["a", "b,c"])
    a,"b,c"
    """
    row = io.StringIO()
    csv.writer(row).writerow(cells)
    stream.write(row.getvalue().removesuffix("\r\n") + "\n")


def file_name(*parts: object) -> str:
    """Join parts to a name that may stand in a path and in a command: what ``${file_name:part,part}`` means.

    What may not is replaced by hyphens, and empty parts are left out. So that two different names stay different, a
    check sum is added where more than the brackets and spaces of a list was replaced, or the name is longer than 150
    bytes. Parts with underscores may join to the name of others: :func:`file_names` tells several things apart.

    >>> file_name("mini_vgg", "widths[16, 32]", "seed0")
    'mini_vgg_widths16-32_seed0'
    """
    text = "_".join(filter(None, map(str, parts)))
    plain = re.sub(r"[\[\]{}'\"]", "", text).replace(", ", "-").replace(": ", "-")
    safe = re.sub(r"[^\w.+-]+", "-", plain).strip("-.")
    if safe != plain or len(safe.encode()) > LONGEST:
        short = safe.encode()[:LONGEST].decode(errors="ignore")
        safe = f"{short}-{_check_sum(text)}"
    return safe


def file_names(things: Iterable[Sequence[object]]) -> list[str]:
    """Return the :func:`file_name` of each of several things that lie in one folder, no two of them alike.

    Where different parts join to one name, each of those names gets a check sum of its parts.

    >>> file_names([("mini", "vgg_demo"), ("mini_vgg", "demo"), ("mini_vgg", "gtzan")])
    ['mini_vgg_demo-125fb1', 'mini_vgg_demo-4fd52a', 'mini_vgg_gtzan']
    """
    texts = [tuple(map(str, parts)) for parts in things]
    names = [file_name(*parts) for parts in texts]
    count = Counter(names)
    return [
        f"{name}-{_check_sum(chr(0).join(parts))}" if count[name] > 1 else name
        for name, parts in zip(names, texts, strict=True)
    ]


def _check_sum(text: str) -> str:
    return hashlib.sha256(text.encode(errors="surrogatepass")).hexdigest()[:6]
