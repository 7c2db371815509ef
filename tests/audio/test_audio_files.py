"""Listing audio files: what counts, what is hidden, and that links end."""

import os

import pytest

from genre.audio.files import Listing, is_audio, is_hidden, list_audio, shown


def touch(root, *files):
    for file in files:
        path = root / file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()


def names(paths, root):
    return [path.relative_to(root).as_posix() for path in paths]


def test_any_depth_sorted_by_code_points(tmp_path):
    touch(tmp_path, "b/x.wav", "a.mp3", "B/x.FLAC", "b/c/d/y.ogg", "é.au", "a (2).opus", "a.txt")
    listing = list_audio(tmp_path)
    assert names(listing.audio, tmp_path) == ["B/x.FLAC", "a (2).opus", "a.mp3", "b/c/d/y.ogg", "b/x.wav", "é.au"]


def test_hidden_files_and_system_folders_are_passed_over(tmp_path):
    touch(tmp_path, "._x.wav", ".cache/x.wav", "__MACOSX/x.wav", "@eaDir/x.mp3/cover.jpg", "a/.hidden.wav")
    assert list_audio(tmp_path) == Listing()
    assert list_audio(tmp_path).is_empty
    assert is_hidden("._x.wav")
    assert not is_hidden("x.wav")


def test_audio_that_cannot_be_decoded_is_told_apart(tmp_path):
    touch(tmp_path, "a.m4a", "b.WMA", "c.wav", "notes.pdf")
    listing = list_audio(tmp_path)
    assert names(listing.foreign, tmp_path) == ["a.m4a", "b.WMA"]
    assert names(listing.audio, tmp_path) == ["c.wav"]


def test_folders_and_dangling_links_named_like_audio_are_listed(tmp_path):
    touch(tmp_path, "x.wav/inside.wav")
    (tmp_path / "gone.mp3").symlink_to(tmp_path / "nowhere.mp3")
    assert names(list_audio(tmp_path).audio, tmp_path) == ["gone.mp3", "x.wav"]


def test_links_to_folders_are_followed_once_and_loops_end(tmp_path):
    touch(tmp_path, "root/genre/a.wav", "elsewhere/b.wav")
    genre = tmp_path / "root/genre"
    (genre / "self").symlink_to(genre)
    (genre / "up").symlink_to(tmp_path / "root")
    (genre / "far").symlink_to(tmp_path / "elsewhere")
    (genre / "far_again").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "elsewhere/back").symlink_to(genre)
    assert names(list_audio(genre, within=tmp_path / "root").audio, genre) == ["a.wav", "far/b.wav"]


def test_folder_that_may_not_be_listed(tmp_path, monkeypatch):
    touch(tmp_path, "closed/x.wav", "open/y.wav")
    listdir = os.listdir

    def refuse(path):
        if os.fspath(path).endswith("closed"):
            raise PermissionError(13, "Permission denied")
        return listdir(path)

    monkeypatch.setattr(os, "listdir", refuse)
    listing = list_audio(tmp_path)
    assert names(listing.closed, tmp_path) == ["closed"]
    assert names(listing.audio, tmp_path) == ["open/y.wav"]


@pytest.mark.parametrize("name", ["x.wav", "x.WAV", "a.b.mp3", "x.AiFf", " .ogg"])
def test_audio_names(name):
    assert is_audio(name)


@pytest.mark.parametrize("name", ["wav", ".wav", "x.wav.txt", "x.m4a", "x"])
def test_other_names(name):
    assert not is_audio(name)


def test_names_are_shown_on_one_line():
    assert shown("söng, (live) [1].wav") == "söng, (live) [1].wav"
    assert shown("a\nb\tc\x1b[0m") == r"a\nb\tc\x1b[0m"
    assert shown(os.fsdecode(b"caf\xe9")).isascii()
