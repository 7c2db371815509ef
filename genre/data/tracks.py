"""Catalogue: a folder of labelled audio becomes an ordered table of tracks.

Either one sub-folder a genre (``root/<genre>/**``), or a table ``tracks.csv`` in the root.
The order never depends on the file system, and nothing is decoded here: a file that cannot be used is still a track.
"""

from __future__ import annotations

import os
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from genre.audio.files import is_audio, is_hidden, list_audio, shown
from genre.data.tracks_csv import FILE_NAME, Row, read_tracks_csv
from genre.errors import DataError, near_names

REMEDY = "set data.root to a folder with one sub-folder of audio a genre, or with a tracks.csv"
"""What to do about a folder that is not there."""

MAX_NOTICES = 5
"""Sentences of one kind that are shown before the rest is counted."""


@dataclass(frozen=True, slots=True)
class Track:
    """One audio file with one label.

    Parameters
    ----------
    file
        The track's name everywhere: its path relative to the root, with forward slashes, in composed Unicode (NFC).
    path
        What to open. Its spelling may differ from ``file`` in Unicode composition.
    label
        Name of the class.
    artist
        None when not known.
    split
        ``"train"``, ``"val"``, ``"test"``, or None.
    """

    file: str
    path: Path
    label: str
    artist: str | None
    split: str | None


@dataclass(frozen=True)
class Catalogue:
    """The tracks of one folder.

    Parameters
    ----------
    name
        Of the data set, for reports.
    root
        The folder that :attr:`Track.file` is relative to.
    tracks
        Sorted by label, then file, by code points.
    labels
        Names of the classes, in the order of their numbers.
    notices
        Sentences to show to the user.
    """

    name: str
    root: Path
    tracks: tuple[Track, ...]
    labels: tuple[str, ...]
    notices: tuple[str, ...]


def catalogue(
    root: str | os.PathLike[str], *, name: str | None = None, labels: Sequence[str] | None = None
) -> Catalogue:
    """Read the catalogue of a folder: from its ``tracks.csv`` if there is one, else from one sub-folder a genre.

    Parameters
    ----------
    root
        The folder; ``~`` is the home folder.
    name
        Of the data set; by default the name of the folder.
    labels
        The known class names, in order; by default the labels that occur, sorted.

    Raises
    ------
    DataError
        When the folder is missing or empty, holds no audio or a single class, its table is wrong, or a label is not
        among ``labels``.
    """
    folder = existing_folder(root)
    has_table = os.path.lexists(folder / FILE_NAME)
    tracks, notices = _from_table(folder) if has_table else _from_folders(folder)
    tracks.sort(key=lambda track: (track.label, track.file))
    found = sorted({track.label for track in tracks})
    if labels is not None:
        _check_known(tracks, labels)
    if len(found) < 2:
        aside = f" ({notices[0].rstrip('.')})" if notices else ""
        raise DataError(f"{shown(folder)} has a single class, {shown(found[0])}{aside}: at least two are needed.")
    return Catalogue(
        name=name or folder.resolve().name or "root",
        root=folder,
        tracks=tuple(tracks),
        labels=tuple(labels if labels is not None else found),
        notices=(*notices, *_similar_labels(found), *_same_files(tracks)),
    )


def conflicting_labels(files: Sequence[str], labels: Sequence[str], content: Sequence[str]) -> tuple[str, ...]:
    """Return one sentence for each recording that occurs under more than one label.

    Parameters
    ----------
    files, labels, content
        One item a track: its name, its label, and a hash of what it holds.
    """
    groups: defaultdict[str, list[int]] = defaultdict(list)
    for i, key in enumerate(content):
        groups[key].append(i)
    return tuple(
        f"The same recording has different labels: {_and([f'{shown(files[i])} ({labels[i]})' for i in group])}."
        for group in groups.values()
        if len({labels[i] for i in group}) > 1
    )


def existing_folder(root: str | os.PathLike[str], *, remedy: str = REMEDY) -> Path:
    """Return ``root`` as a path to a folder that is there; ``~`` is the home folder.

    Raises
    ------
    DataError
        When it is not set, does not exist or is not a folder; the sentence ends with ``remedy``.
    """
    if not os.fspath(root).strip():
        raise DataError(f"data.root is not set: {remedy}.")
    folder = Path(os.path.expanduser(root))
    if os.path.isdir(folder):
        return folder
    fault = "is not a folder" if os.path.lexists(folder) else "does not exist"
    raise DataError(f"data.root={shown(folder)} {fault}: {remedy}.")


def _from_table(root: Path) -> tuple[list[Track], list[str]]:
    table = root / FILE_NAME
    tracks: list[Track] = []
    line_of: dict[str, int] = {}
    missing: list[Row] = []
    for row in read_tracks_csv(table):
        path = _find(root, row.file)
        if path is None:
            missing.append(row)
            continue
        file = _name(path, root)
        if file in line_of:
            raise DataError(
                f"{shown(table)}, line {row.line}: {shown(file)} is listed already on line {line_of[file]}: "
                "remove one of the two."
            )
        line_of[file] = row.line
        tracks.append(Track(file, path, row.label, row.artist, row.split))
    if missing:
        more = f", nor do {len(missing) - 1} more of the files listed" if len(missing) > 1 else ""
        raise DataError(
            f"{shown(table)}, line {missing[0].line}: the file {shown(missing[0].file)} does not exist below "
            f"{shown(root)}{more}: correct the table or add the files."
        )
    return tracks, []


def _find(root: Path, file: str) -> Path | None:
    """Return the path of a listed file, also when its name is composed or separated as on another system."""
    spellings = (
        file,
        file.strip(),
        unicodedata.normalize("NFC", file),
        unicodedata.normalize("NFD", file),
        file.replace("\\", "/"),
    )
    paths = (root / spelling for spelling in spellings if not spelling.startswith(("/", "../")))
    return next((path for path in paths if os.path.lexists(path)), None)


def _from_folders(root: Path) -> tuple[list[Track], list[str]]:
    genres, loose = _top_level(root)
    listings = {genre: list_audio(genre, within=root) for genre in genres}
    found = [(path, _text(genre.name)) for genre, listing in listings.items() for path in listing.audio]
    foreign = [path for listing in listings.values() for path in listing.foreign]
    closed = [path for listing in listings.values() for path in listing.closed]
    barren = [genre for genre, listing in listings.items() if listing.is_empty]
    if not found:
        raise DataError(_no_audio(root, genres, loose, foreign, closed))
    names = _unique_names([path for path, _ in found], root)
    tracks = [Track(name, path, label, None, None) for name, (path, label) in zip(names, found, strict=True)]
    reasons = (
        (loose, "audio file", "a file in no genre folder has no label"),
        (foreign, "audio file", "the format cannot be read, so convert it to FLAC or WAV"),
        (barren, "folder", "there are no audio files in it"),
        (closed, "folder", "it may not be listed, so check its permissions"),
    )
    return tracks, [f"Left out {_count(paths, noun, root)}: {reason}." for paths, noun, reason in reasons if paths]


def _top_level(root: Path) -> tuple[list[Path], list[Path]]:
    """Return the genre folders in ``root``, and the audio files that lie beside them."""
    try:
        visible = sorted(entry for entry in os.listdir(root) if not is_hidden(entry))
    except OSError as error:
        raise DataError(f"{shown(root)} cannot be listed ({error.strerror}): check its permissions.") from error
    genres = [root / entry for entry in visible if os.path.isdir(root / entry)]
    loose = [root / entry for entry in visible if is_audio(entry) and not os.path.isdir(root / entry)]
    return genres, loose


def _no_audio(root: Path, genres: list[Path], loose: list[Path], foreign: list[Path], closed: list[Path]) -> str:
    """Return the sentence about a folder without a single track."""
    where, layout = shown(root), f"put the audio into one sub-folder a genre, or list it in {FILE_NAME}"
    if closed:
        return f"{where} has no audio that may be read: check the permissions of {_count(closed, 'folder', root)}."
    if foreign:
        return (
            f"{where} has only audio that cannot be read, {_count(foreign, 'file', root)}: convert it to FLAC or WAV."
        )
    if loose:
        return f"{where} has audio files but no genre folders, and so no labels: {layout}."
    if genres:
        return f"no sub-folder of {where} has audio files in it: {layout}."
    return f"{where} is empty, or has no audio files in it: {layout}."


def _check_known(tracks: Iterable[Track], labels: Sequence[str]) -> None:
    for track in tracks:
        if track.label not in labels:
            raise DataError(
                f"the label {shown(track.label)} of {shown(track.file)} is not one of this data set: "
                f"{near_names(track.label, labels)}."
            )


def _similar_labels(labels: Iterable[str]) -> list[str]:
    """Return a sentence for each group of labels that read alike."""
    alike: defaultdict[str, list[str]] = defaultdict(list)
    for label in labels:
        alike["".join(filter(str.isalnum, label.casefold())) or label].append(label)
    return [
        f"The labels {_and([shown(label) for label in group])} are taken for different classes."
        for group in alike.values()
        if len(group) > 1
    ]


def _same_files(tracks: Iterable[Track]) -> list[str]:
    """Return a sentence for each file on disk that several tracks lead to."""
    groups: defaultdict[tuple[int, int], list[Track]] = defaultdict(list)
    for track in tracks:
        try:
            status = track.path.stat()
        except OSError:
            continue
        groups[status.st_dev, status.st_ino].append(track)
    notices = []
    for group in groups.values():
        if len(group) > 1:
            labels = sorted({shown(track.label) for track in group})
            under = f"under {len(labels)} labels, {_and(labels)}" if len(labels) > 1 else f"under {len(group)} names"
            notices.append(f"One file is there {under}: {_and([shown(track.file) for track in group])}.")
    more = len(notices) - MAX_NOTICES
    return notices if more <= 0 else [*notices[:MAX_NOTICES], f"{more} more files are there under several names."]


def _name(path: Path, root: Path) -> str:
    return _text(path.relative_to(root).as_posix())


def _text(name: str) -> str:
    """Return a file name in composed Unicode; bytes that are not text are escaped."""
    return unicodedata.normalize("NFC", name.encode("utf-8", "backslashreplace").decode())


def _unique_names(paths: Sequence[Path], root: Path) -> list[str]:
    """Return the names of the tracks; those that differ only in Unicode composition keep their own spelling."""
    names = [_name(path, root) for path in paths]
    count = Counter(names)
    return [
        name if count[name] == 1 else path.relative_to(root).as_posix() for name, path in zip(names, paths, strict=True)
    ]


def _count(paths: Sequence[Path], noun: str, root: Path) -> str:
    """Return such as ``3 folders, such as a/b``."""
    first = shown(_name(paths[0], root))
    return f"the {noun} {first}" if len(paths) == 1 else f"{len(paths)} {noun}s such as {first}"


def _and(items: Sequence[str]) -> str:
    """Return such as ``a, b and c``."""
    return f"{', '.join(items[:-1])} and {items[-1]}"
