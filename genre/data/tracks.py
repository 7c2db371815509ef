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

from genre.audio.files import FOREIGN_SUFFIXES, is_audio, is_hidden, list_audio, shown
from genre.data.tracks_csv import FILE_NAME, Row, read_tracks_csv
from genre.errors import DataError, near_names

REMEDY = "set data.root to a folder with one sub-folder of audio a genre, or with a tracks.csv"
"""What to do about a folder that is not there."""

MAX_NOTICES = 5
"""Sentences of one kind that are shown before the rest is counted."""

_FOREIGN = "the format cannot be read, so convert it to FLAC or WAV"
_CLOSED = "it may not be listed, so check its permissions"


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


def audio_below(folder: Path) -> tuple[list[Track], list[str]]:
    """Return all audio below a folder, labelled as by :func:`catalogue`, and sentences on it to show to the user.

    The folder need not hold labelled music: without a ``tracks.csv``, files in no genre folder are among the tracks,
    with an empty label. So are all files if there are no two genre folders to tell apart.

    Raises
    ------
    DataError
        When the table is wrong, or the folder cannot be listed.
    """
    has_table = os.path.lexists(folder / FILE_NAME)
    tracks, notices = _from_table(folder) if has_table else _from_any_folder(folder)
    tracks.sort(key=lambda track: (track.label, track.file))
    return tracks, [*notices, *_same_files(tracks)]


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
        does = "does" if len(missing) == 2 else "do"
        more = f", nor {does} {len(missing) - 1} more of the files listed" if len(missing) > 1 else ""
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


@dataclass(frozen=True, slots=True)
class _Content:
    """What lies in a folder without a table.

    Parameters
    ----------
    genres
        Its sub-folders.
    labelled
        (path, label) of the audio files in them.
    loose
        Audio files beside them.
    foreign, loose_foreign
        Audio in formats that cannot be decoded, in genre folders and beside them.
    barren
        Genre folders without any audio.
    closed
        Folders that may not be listed.
    """

    genres: list[Path]
    labelled: list[tuple[Path, str]]
    loose: list[Path]
    foreign: list[Path]
    loose_foreign: list[Path]
    barren: list[Path]
    closed: list[Path]


def _content(root: Path) -> _Content:
    genres, files = _top_level(root)
    listings = {genre: list_audio(genre, within=root) for genre in genres}
    return _Content(
        genres=genres,
        labelled=[(path, _text(genre.name)) for genre, listing in listings.items() for path in listing.audio],
        loose=[path for path in files if is_audio(path.name)],
        foreign=[path for listing in listings.values() for path in listing.foreign],
        loose_foreign=[path for path in files if path.suffix.lower() in FOREIGN_SUFFIXES],
        barren=[genre for genre, listing in listings.items() if listing.is_empty],
        closed=[path for listing in listings.values() for path in listing.closed],
    )


def _top_level(root: Path) -> tuple[list[Path], list[Path]]:
    """Return the genre folders in ``root``, and the files that lie beside them."""
    try:
        visible = sorted(entry for entry in os.listdir(root) if not is_hidden(entry))
    except OSError as error:
        raise DataError(f"{shown(root)} cannot be listed ({error.strerror}): check its permissions.") from error
    genres = [root / entry for entry in visible if os.path.isdir(root / entry)]
    return genres, [root / entry for entry in visible if not os.path.isdir(root / entry)]


def _from_folders(root: Path) -> tuple[list[Track], list[str]]:
    content = _content(root)
    if not content.labelled:
        raise DataError(_no_audio(root, content))
    left_out = (
        _left_out(content.loose, "audio file", root, "a file in no genre folder has no label"),
        _left_out(content.foreign, "audio file", root, _FOREIGN),
        _left_out(content.barren, "folder", root, "there are no audio files in it"),
        _left_out(content.closed, "folder", root, _CLOSED),
    )
    return _tracks(content.labelled, root), list(filter(None, left_out))


def _from_any_folder(root: Path) -> tuple[list[Track], list[str]]:
    content = _content(root)
    tell_apart = len({label for _, label in content.labelled}) > 1
    found = [(path, label if tell_apart else "") for path, label in content.labelled]
    left_out = (
        _left_out([*content.foreign, *content.loose_foreign], "audio file", root, _FOREIGN),
        _left_out(content.closed, "folder", root, _CLOSED),
    )
    return _tracks([*found, *((path, "") for path in content.loose)], root), list(filter(None, left_out))


def _tracks(found: Sequence[tuple[Path, str]], root: Path) -> list[Track]:
    names = _unique_names([path for path, _ in found], root)
    return [Track(name, path, label, None, None) for name, (path, label) in zip(names, found, strict=True)]


def _left_out(paths: Sequence[Path], noun: str, root: Path, reason: str) -> str:
    return f"Left out {_count(paths, noun, root)}: {reason}." if paths else ""


def _no_audio(root: Path, content: _Content) -> str:
    """Return the sentence about a folder without a single track."""
    where, layout = shown(root), f"put the audio into one sub-folder a genre, or list it in {FILE_NAME}"
    if content.closed:
        closed = _count(content.closed, "folder", root)
        return f"{where} has no audio that may be read: check the permissions of {closed}."
    if content.foreign:
        foreign = _count(content.foreign, "file", root)
        return f"{where} has only audio that cannot be read, {foreign}: convert it to FLAC or WAV."
    if content.loose:
        return f"{where} has audio files but no genre folders, and so no labels: {layout}."
    if content.genres:
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
    if more <= 0:
        return notices
    count = "1 more file is" if more == 1 else f"{more} more files are"
    return [*notices[:MAX_NOTICES], f"{count} there under several names."]


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
