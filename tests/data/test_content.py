"""Hashes of files, remembered between runs."""

from __future__ import annotations

import hashlib
import json
import os
from concurrent.futures import ThreadPoolExecutor

import pytest
from small_audio import Counter

from genre.data import content
from genre.data.content import ContentIndex, file_digest, stamp


@pytest.fixture
def hashed(monkeypatch):
    """Count the files that are read."""
    counter = Counter(file_digest)
    monkeypatch.setattr(content, "file_digest", counter)
    monkeypatch.setattr(content, "SETTLED_SEC", -1.0)  # believe in files as young as those of a test
    return counter.calls


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "a.wav"
    path.write_bytes(b"one")
    return path


def look(index_file, *files):
    with ContentIndex(index_file) as index:
        return [index.hash(path)[0] for path in files]


def test_the_hash_is_of_the_bytes(file):
    assert file_digest(file) == hashlib.sha256(b"one").hexdigest()[:32]


def test_a_file_that_stayed_is_not_read_again(file, tmp_path, hashed):
    first = look(tmp_path / "index", file)
    assert look(tmp_path / "index", file) == first
    assert len(hashed) == 1


def test_a_file_that_changed_is_read_again(file, tmp_path, hashed):
    first = look(tmp_path / "index", file)
    file.write_bytes(b"two")
    assert look(tmp_path / "index", file) != first
    assert len(hashed) == 2


def test_another_file_of_the_same_size_and_age_in_its_place_is_noticed(file, tmp_path, hashed):
    first = look(tmp_path / "index", file)
    times = file.stat().st_atime_ns, file.stat().st_mtime_ns
    other = tmp_path / "b.wav"
    other.write_bytes(b"two")
    os.utime(other, ns=times)
    os.replace(other, file)
    assert look(tmp_path / "index", file) != first
    file.write_bytes(b"six")
    os.utime(file, ns=times)  # the same place on the disk as well
    assert look(tmp_path / "index", file) == [file_digest(file)]


def test_a_file_that_changed_just_now_is_not_believed_to_have_settled(file, tmp_path, hashed, monkeypatch):
    monkeypatch.setattr(content, "SETTLED_SEC", 3600.0)
    look(tmp_path / "index", file)
    look(tmp_path / "index", file)
    assert len(hashed) == 2
    assert not (tmp_path / "index").exists()


@pytest.mark.parametrize("damage", [b"", b"{", b"[]", b"7", b'{"a": 7}', b"\xff\xfe"])
def test_a_damaged_index_counts_as_empty_and_is_mended(file, tmp_path, hashed, damage):
    (tmp_path / "index").write_bytes(damage)
    assert look(tmp_path / "index", file) == [file_digest(file)]
    look(tmp_path / "index", file)
    assert len(hashed) == 1
    assert list(json.loads((tmp_path / "index").read_bytes())) == [str(file.resolve())]


def test_files_that_are_gone_are_forgotten(file, tmp_path, hashed):
    gone = tmp_path / "gone.wav"
    gone.write_bytes(b"gone")
    look(tmp_path / "index", file, gone)
    gone.unlink()
    new = tmp_path / "new.wav"
    new.write_bytes(b"new")
    look(tmp_path / "index", new)
    assert set(json.loads((tmp_path / "index").read_bytes())) == {str(file.resolve()), str(new.resolve())}


def test_two_processes_do_not_lose_what_the_other_learnt(file, tmp_path, hashed):
    other = tmp_path / "b.wav"
    other.write_bytes(b"two")
    with ContentIndex(tmp_path / "index") as one, ContentIndex(tmp_path / "index") as two:
        one.hash(file)
        two.hash(other)
    look(tmp_path / "index", file, other)
    assert len(hashed) == 2


def test_it_serves_several_threads(tmp_path, hashed):
    files = [tmp_path / f"{n}.wav" for n in range(50)]
    for n, path in enumerate(files):
        path.write_bytes(b"%d" % n)
    with ContentIndex(tmp_path / "index") as index, ThreadPoolExecutor(8) as threads:
        hashes = [found for found, _ in threads.map(index.hash, files)]
    assert hashes == [file_digest(path) for path in files]
    assert look(tmp_path / "index", *files) == hashes


def test_an_index_that_cannot_be_written_is_done_without(file, tmp_path, hashed):
    assert look(tmp_path / "no folder" / "index", file) == [file_digest(file)]


def test_nothing_half_written_is_left(file, tmp_path, hashed):
    (tmp_path / ".index.0123").write_bytes(b"half")
    look(tmp_path / "index", file)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.wav", "index"]


def test_a_missing_file_is_for_the_caller_to_explain(tmp_path):
    with pytest.raises(FileNotFoundError):
        look(tmp_path / "index", tmp_path / "missing.wav")


def test_a_link_is_the_file_it_leads_to(file, tmp_path, hashed):
    link = tmp_path / "link.wav"
    link.symlink_to(file)
    assert look(tmp_path / "index", file) == look(tmp_path / "index", link)
    assert len(hashed) == 1
    assert stamp(link) == stamp(file)
