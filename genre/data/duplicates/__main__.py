"""Copies in a folder of audio: ``python -m genre.data.duplicates FOLDER [--out DIR]``.

Lists all pairs of files that hold one recording: identical, encoded again, at another level or sample rate, or excerpts
that overlap. The folder may be a data set of this package or any folder of audio.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table
from rich.text import Text

from genre.audio.files import shown
from genre.data.disk import writing_to
from genre.data.duplicates.among import duplicates_among
from genre.data.duplicates.pairs import FILE_NAME, IDENTICAL, Duplicate, by_name, write_duplicates
from genre.data.duplicates.prints import AudioFile, FingerprintFolder, fingerprints
from genre.data.protocols import TrackTable
from genre.data.store import CONTENT_INDEX, SourceFile, look_at
from genre.data.tracks import Track, audio_below
from genre.errors import AudioError, ConfigError, DataError, OneSentenceParser, counted
from genre.terminal import run_tool

MOST_SHOWN = 40
"""Pairs shown in the terminal; the table on disk has all."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; return its exit status."""
    notes = Console(stderr=True, soft_wrap=True, highlight=False)
    options = _parser().parse_args(arguments)
    if options.jobs is not None and options.jobs < 1:
        raise ConfigError(f"--jobs {options.jobs} is not a number of threads; give 1 or more")
    started = time.perf_counter()
    tracks, notices = audio_of(options.folder)
    with _bar(notes) as progress:
        files, faults = _usable(tracks, options.store, options.jobs, progress)
        pairs = duplicates_among(files, options.store)
    by_file = {track.file: track for track in tracks}
    table = _table([by_file[file.file] for file in files])
    path = options.out / FILE_NAME
    try:
        options.out.mkdir(parents=True, exist_ok=True)
        write_duplicates(path, pairs, table)
    except OSError as error:
        raise DataError(f"cannot write {path} ({error.strerror}): choose another folder with --out") from error
    for notice in notices:
        notes.print(f"note: {notice}", markup=False)
    for fault in faults:
        notes.print(f"left out: {fault}", markup=False)
    if pairs:
        Console(width=None if sys.stdout.isatty() else 200, highlight=False).print(_shown(pairs, table))
    print(_summary(pairs, table, time.perf_counter() - started))
    notes.print(f"written to {path}", markup=False)
    return 0


def audio_of(root: Path) -> tuple[list[Track], list[str]]:
    """Return the audio below a folder, and sentences to show on what is left out of it.

    See :func:`genre.data.tracks.audio_below`: labels are those of a training.

    Raises
    ------
    DataError
        When there is no such folder, no audio in it, or its table has a fault.
    """
    folder = root.expanduser()
    if not folder.is_dir():
        raise DataError(f"there is no folder {shown(root)}: name a folder of audio")
    tracks, notices = audio_below(folder)
    if not tracks:
        aside = f" ({notices[0].rstrip('.')})" if notices else ""
        raise DataError(f"there is no audio in {shown(folder)}{aside}: name a folder of audio")
    return tracks, notices


def _usable(
    tracks: Sequence[Track], store_dir: Path, jobs: int | None, progress: Callable[[int, int], None]
) -> tuple[list[AudioFile], list[str]]:
    """Return the files whose fingerprints are known now, and what is wrong with the others."""
    with writing_to(store_dir):
        store_dir.mkdir(parents=True, exist_ok=True)
        found, left_out = look_at([SourceFile(track.file, track.path) for track in tracks], store_dir / CONTENT_INDEX)
        files = [AudioFile(one.file, one.path, one.bytes_hash) for one in found]
        usable, faults = [], [track.detail for track in left_out]
        made = fingerprints(files, FingerprintFolder(store_dir), jobs=jobs, progress=progress)
        for file, one in zip(files, made, strict=True):
            if isinstance(one, AudioError):
                faults.append(str(one))
            else:
                usable.append(file)
    return usable, sorted(faults)


def _table(tracks: Sequence[Track]) -> TrackTable:
    labels = tuple(sorted({track.label for track in tracks}))
    return TrackTable(
        names=tuple(track.file for track in tracks),
        label=np.array([labels.index(track.label) for track in tracks], dtype=np.int64),
        labels=labels,
        artist=tuple(track.artist for track in tracks),
        content=tuple(track.file for track in tracks),
        split=tuple(track.split for track in tracks),
        n_clips=np.ones(len(tracks), dtype=np.int64),
    )


def _shown(pairs: Sequence[Duplicate], table: TrackTable) -> Table:
    """Return the first pairs as a table for the terminal."""
    listing = Table(show_edge=False, pad_edge=False)
    for column in ("file", "other"):
        listing.add_column(column, overflow="fold")
    listing.add_column("kind", no_wrap=True)
    for column in ("offset", "overlap", "score"):
        listing.add_column(column, justify="right", no_wrap=True)
    for pair in by_name(pairs, table)[:MOST_SHOWN]:
        figures = (f"{pair.offset_sec:+.2f} s", f"{pair.overlap_sec:.1f} s", f"{pair.score:.3f}")
        ends = [Text(_described(table, end)) for end in (pair.one, pair.other)]
        listing.add_row(*ends, pair.kind, *figures)
    return listing


def _described(table: TrackTable, number: int) -> str:
    facts = filter(None, (table.labels[table.label[number]], table.artist[number]))
    return f"{table.names[number]} ({', '.join(facts)})"


def _summary(pairs: Sequence[Duplicate], table: TrackTable, seconds: float) -> str:
    same = sum(pair.kind == IDENTICAL for pair in pairs)
    clash = sum(_labels_differ(pair, table) for pair in pairs)
    more = f" ({len(pairs) - MOST_SHOWN} not shown)" if len(pairs) > MOST_SHOWN else ""
    labels = f"; {clash} of them with different labels" if clash else ""
    kinds = f"identical {same}, same recording {len(pairs) - same}"
    return f"{counted(len(table.names), 'file')}, {counted(len(pairs), 'pair')}{more}: {kinds}{labels}; {seconds:.1f} s"


def _labels_differ(pair: Duplicate, table: TrackTable) -> bool:
    one, other = (table.labels[table.label[end]] for end in (pair.one, pair.other))
    return one != other and bool(one and other)


@contextmanager
def _bar(console: Console) -> Iterator[Callable[[int, int], None]]:
    """Show how many files were listened to; yields what to call with (files done, files in all)."""
    bar = Progress(
        TextColumn("listening"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        console=console,
        transient=True,
    )
    task = bar.add_task("", total=None)
    with bar:
        yield lambda done, total: bar.update(task, completed=done, total=total)


def _parser() -> argparse.ArgumentParser:
    parser = OneSentenceParser(
        prog="python -m genre.data.duplicates",
        description="All pairs of files that hold one recording, with time offset and score.",
    )
    parser.add_argument("folder", type=Path, metavar="FOLDER", help="a data set, or any folder of audio")
    parser.add_argument(
        "--out", type=Path, default=Path(), metavar="DIR", help=f"where {FILE_NAME} goes (default: here)"
    )
    stores = Path(os.environ.get("GENRE_STORES", "stores"))
    parser.add_argument(
        "--store", type=Path, default=stores, metavar="DIR", help=f"where fingerprints are kept (default: {stores})"
    )
    parser.add_argument("--jobs", type=int, metavar="N", help="threads (default: one a core)")
    return parser


if __name__ == "__main__":
    run_tool(main)
