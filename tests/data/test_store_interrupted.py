"""Preparation that is killed, crowded, interrupted or out of disk space."""

from __future__ import annotations

import errno
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from small_audio import contents, make, tracks, unfinished

import genre
from genre.data import building, disk, parts
from genre.data.clips import ClipSpec
from genre.data.store import SourceFile
from genre.errors import StoreError

MANY = 25
CLIPS = {"clip_sec": 1.0, "hop_sec": 0.25}

PREPARE = f"""
import json, signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)  # which background jobs of a shell ignore
from pathlib import Path
from genre.data.clips import ClipSpec
from genre.data.store import SourceFile, prepare
from genre.features.spectrogram import LogMel
def tell(*what):
    print(json.dumps(what), flush=True)
if __name__ == "__main__":
    root, stores = map(Path, sys.argv[1:3])
    files = [SourceFile(path.name, path) for path in sorted(root.iterdir())]
    tell("ready")
    clips, frontend = ClipSpec(**{CLIPS}), LogMel(n_mels=8).settings()
    store = prepare(files, clips, frontend, store_dir=stores, jobs=int(sys.argv[3]), progress=tell, say=tell)
    tell("done", store.folder.name)
"""

KILL_AT = """
import os, signal, sys
from pathlib import Path
from small_audio import make
from genre.data.store import SourceFile
from genre.features.extract import warm_up
FILE_EVENTS = {"open", "os.mkdir", "os.rename", "os.remove", "os.rmdir", "os.link", "shutil.copyfile"}
root, stores = map(Path, sys.argv[1:])
files = [SourceFile(path.name, path) for path in sorted(root.iterdir())]
make(files[:1], stores / "warm")
for moment in range(1, 1000):
    pid = os.fork()
    if pid == 0:
        seen = 0
        def die(event, arguments):
            global seen
            if event in FILE_EVENTS and str(stores / str(moment)) in str(arguments[0]):
                seen += 1
                if seen == moment:
                    os.kill(os.getpid(), signal.SIGKILL)
        sys.addaudithook(die)
        make(files, stores / str(moment))
        os._exit(0)
    if os.waitpid(pid, 0)[1] == 0:
        print(moment)
        break
"""


def environment() -> dict[str, str]:
    places = [Path(genre.__file__).parent.parent, Path(__file__).parent]
    return {**os.environ, "PYTHONPATH": os.pathsep.join(map(str, places)), "OMP_NUM_THREADS": "1"}


class Run:
    """A process, in a group of its own, that prepares a folder and tells how far it is."""

    def __init__(self, root: Path, stores: Path, jobs: int = 2) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", PREPARE, root, stores, str(jobs)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=environment(),
            start_new_session=True,
        )
        self.told: list[list] = []

    def until(self, enough) -> None:
        """Listen until ``enough`` of what was told last."""
        for line in self.process.stdout:
            self.told.append(json.loads(line))
            if enough(self.told[-1]):
                return
        raise AssertionError(self.process.stderr.read())

    def end(self) -> tuple[int, str]:
        """Listen to the end; return exit status and errors."""
        out, err = self.process.communicate(timeout=60)
        self.told += [json.loads(line) for line in out.splitlines()]
        return self.process.returncode, err

    @property
    def progress(self) -> list[list]:
        return [told for told in self.told if isinstance(told[0], int)]

    def workers(self) -> list[int]:
        path = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children")
        return [int(pid) for pid in path.read_text().split()] if path.exists() else []


def some(count: int):
    return lambda told: isinstance(told[0], int) and told[0] >= count


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tracks")
    tracks(folder, MANY, seconds=3.0)
    return folder


class Again:
    """The same work in this process, whose workers need not be started anew."""

    def __init__(self, root: Path, stores: Path, watch=lambda *_: None) -> None:
        self.told: list[str] = []
        self.progress: list[tuple[int, int, int]] = []

        def tell(*numbers: int) -> None:
            self.progress.append(numbers)
            watch(*numbers)

        files = [SourceFile(path.name, path) for path in sorted(root.iterdir())]
        make(files, stores, ClipSpec(**CLIPS), jobs=2, progress=tell, say=self.told.append)


@pytest.fixture(scope="module")
def undisturbed(root, tmp_path_factory):
    """Return the files of a store that was prepared without trouble."""
    stores = tmp_path_factory.mktemp("undisturbed")
    Again(root, stores)
    return the_store(stores)


@pytest.fixture
def stores(tmp_path):
    return tmp_path / "stores"


def the_store(stores: Path) -> dict[str, bytes]:
    (folder,) = (path for path in stores.iterdir() if path.is_dir() and path.name != ".work")
    return contents(folder)


def test_after_kill_9_of_all_processes_finished_tracks_are_not_computed_again(root, stores, undisturbed):
    first = Run(root, stores)
    first.until(some(4))
    os.killpg(first.process.pid, signal.SIGKILL)
    first.end()
    finished = {path: path.stat().st_mtime_ns for path in stores.glob(".work/*/*.part")}
    assert 4 <= len(finished) < MANY
    assert not list(stores.glob("*/store.json"))

    written = []
    second = Again(root, stores, lambda *_: written.append({path: path.stat().st_mtime_ns for path in finished}))
    assert [done for done, _, _ in second.progress] == list(range(len(finished), MANY + 1))
    assert all(times == finished for times in written)
    assert the_store(stores) == undisturbed
    assert unfinished(stores) == []


@pytest.mark.skipif(not Path("/proc/self/task").is_dir(), reason="finds the workers through /proc")
def test_workers_that_outlive_a_killed_process_do_no_harm(root, stores, undisturbed):
    first = Run(root, stores)
    first.until(some(3))
    orphans = first.workers()
    first.process.kill()
    first.process.wait()
    second = Again(root, stores)
    for pid in orphans:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    first.end()
    assert second.progress[0][0] >= 3
    assert second.told == []  # it did not wait
    assert the_store(stores) == undisturbed
    assert unfinished(stores) == []


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_killed_at_any_file_operation_the_next_run_ends_alike_and_leaves_nothing(tmp_path):
    files = tracks(tmp_path / "audio", 3, seconds=1.2)
    whole = contents(make(files, tmp_path / "whole").folder)
    stores = tmp_path / "stores"
    command = [sys.executable, "-c", KILL_AT, tmp_path / "audio", stores]
    done = subprocess.run(command, env=environment(), capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    moments = int(done.stdout)
    assert moments > 30
    for moment in range(1, moments):
        store_dir = stores / str(moment)
        parts_left = len(list(store_dir.glob(".work/*/*.part")))
        told = []
        store = make(files, store_dir, progress=lambda *numbers, told=told: told.append(numbers))
        assert contents(store.folder) == whole
        assert unfinished(store_dir) == []
        assert {path.name for path in store_dir.iterdir()} - {".work", store.folder.name} <= {"content.json"}
        if told:
            assert told[0][0] == parts_left


def test_two_processes_share_the_work_of_one(root, stores, undisturbed):
    runs = [Run(root, stores, jobs=1), Run(root, stores, jobs=1)]
    for run in runs:
        status, errors = run.end()
        assert status == 0, errors
    waited = [run for run in runs if ["another run is preparing the same clips: waiting for it"] in run.told]
    computed = [run for run in runs if run.progress]
    assert len(computed) == 1
    assert len(computed[0].progress) == MANY + 1
    assert len(waited) == 1
    assert waited != computed
    assert runs[0].told[-1] == runs[1].told[-1]
    assert the_store(stores) == undisturbed


def test_ctrl_c_ends_quickly_and_keeps_what_is_finished(root, stores, undisturbed):
    run = Run(root, stores)
    run.until(some(4))
    began = time.monotonic()
    os.killpg(run.process.pid, signal.SIGINT)  # as a terminal does: to all processes of the run
    status, errors = run.end()
    assert time.monotonic() - began < 10
    assert status != 0
    assert errors.count("Traceback") <= 1, errors  # Python's own, of the process that nobody guards here
    assert "KeyboardInterrupt" in errors
    finished = len(list(stores.glob(".work/*/*.part")))
    assert finished >= 4
    assert unfinished(stores) == sorted(path.name for path in stores.glob(".work/**/*") if path.suffix != ".lock")
    assert not [name for name in unfinished(stores) if name.startswith(".")]
    assert Again(root, stores).progress[0][0] == finished
    assert the_store(stores) == undisturbed


@pytest.mark.skipif(not Path("/proc/self/task").is_dir(), reason="finds the workers through /proc")
def test_workers_leave_ctrl_c_to_the_process_that_started_them(root, stores, undisturbed):
    run = Run(root, stores)
    run.until(some(4))
    workers = run.workers()
    assert len(workers) >= 2
    for pid in workers:
        os.kill(pid, signal.SIGINT)
    status, errors = run.end()
    assert (status, errors) == (0, "")
    assert the_store(stores) == undisturbed


class Disk:
    """A disk with room for so many bytes; everything written through ``Path.open`` below its folder counts."""

    def __init__(self, folder: Path, room: int) -> None:
        self.folder = folder
        self.room = room
        self._open = Path.open

    def open(self, path: Path, mode: str = "r", *args, **options):
        stream = self._open(path, mode, *args, **options)
        if self.folder in path.parents and mode[0] in "wxa":
            write = stream.write
            return Writer(stream, lambda data: self.take(data) and write(data))
        return stream

    def take(self, data) -> bool:
        self.room -= memoryview(data).nbytes if not isinstance(data, str) else len(data.encode())
        if self.room < 0:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return True


class Writer:
    """A stream with another ``write``."""

    def __init__(self, stream, write) -> None:
        self._stream = stream
        self.write = write

    def __getattr__(self, name):
        return getattr(self._stream, name)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._stream.close()


@pytest.fixture(scope="module")
def few(tmp_path_factory):
    files = tracks(tmp_path_factory.mktemp("few"), 3, seconds=1.2)
    return files, contents(make(files, tmp_path_factory.mktemp("whole")).folder)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(room=st.integers(0, 40_000))
def test_a_full_disk_is_one_sentence_and_no_half_store(few, tmp_path, room):
    files, whole = few
    stores = tmp_path / f"room {room}"
    shutil.rmtree(stores, ignore_errors=True)
    disk = Disk(stores, room)
    sentence = None
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Path, "open", lambda path, *args, **options: disk.open(path, *args, **options))  # noqa: PLW0108
        try:
            make(files, stores)
        except StoreError as error:
            sentence = str(error)
    kept = len(list(stores.glob(".work/*/*.part")))
    if sentence is not None:
        assert sentence == (
            f"the disk of {stores} is full; free some space or set data.store_dir to a folder on another disk, "
            "and run again: finished tracks are kept"
        )
        assert {path.name for path in stores.iterdir()} <= {".work", "content.json"}
        assert [path.suffix for path in stores.glob(".work/*/*")] == [".part"] * kept
    told = []
    assert contents(make(files, stores, progress=lambda *numbers: told.append(numbers)).folder) == whole
    assert (not told) == (sentence is None)
    assert sentence is None or told[0][0] == kept


def test_copies_on_a_full_disk_are_removed_too(few, tmp_path, monkeypatch):
    files, _ = few

    def full(*_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(shutil, "copyfile", full)
    with pytest.raises(StoreError, match="is full"):
        make(files, tmp_path)
    assert [path.suffix for path in tmp_path.glob(".work/*/*")] == [".part"] * 3


@pytest.fixture
def small_disk(tmp_path):
    """A real file system of 300 kB."""
    if sys.platform != "linux" or os.geteuid() != 0:
        pytest.skip("only root on Linux may mount a small disk")
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=300k", "tmpfs", str(folder)]
    if subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("a small disk cannot be mounted here")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def test_a_real_full_disk_while_workers_write(root, small_disk, undisturbed):
    with pytest.raises(StoreError, match="is full"):
        Again(root, small_disk / "stores")
    left = [path for path in small_disk.rglob("*") if path.is_file() and path.suffix != ".lock"]
    assert {path.suffix for path in left if path.name != "content.json"} == {".part"}
    subprocess.run(["mount", "-o", "remount,size=20m", str(small_disk)], check=True)
    kept = len(list(small_disk.glob("stores/.work/*/*.part")))
    assert Again(root, small_disk / "stores").progress[0][0] == kept > 0
    assert the_store(small_disk / "stores") == undisturbed


def test_a_folder_that_cannot_be_written_to_is_named(few, tmp_path, monkeypatch):
    files, _ = few
    (tmp_path / "file").touch()
    with pytest.raises(StoreError, match=r"cannot be written to .*file"):
        make(files, tmp_path / "file")
    with pytest.raises(StoreError, match=r"cannot be written to .*stores"):
        make(files, tmp_path / "file" / "stores")

    def closed(*_, **__):
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(disk.os, "replace", closed)
    with pytest.raises(StoreError, match=r"\(Permission denied\); set data.store_dir"):
        make(files, tmp_path / "closed")


def test_a_disk_without_locks_is_explained(few, tmp_path, monkeypatch):
    files, _ = few

    def refuse(*_, **__):
        raise NotImplementedError("FileSystem does not appear to support flock")

    monkeypatch.setattr("filelock.FileLock.acquire", refuse)
    with pytest.raises(StoreError, match=r"\(files cannot be locked there\); set data.store_dir"):
        make(files, tmp_path)


def test_a_store_is_read_from_a_folder_that_cannot_be_written_to(few, tmp_path, monkeypatch):
    files, whole = few
    folder = make(files, tmp_path).folder
    (tmp_path / "content.json").unlink(missing_ok=True)

    def closed(*_, **__):
        raise OSError(errno.EROFS, "Read-only file system")

    for name in ("replace", "rename", "mkdir", "unlink"):
        monkeypatch.setattr(os, name, closed)
    assert make(files, tmp_path).folder == folder
    assert contents(folder) == whole


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("act", [Path.unlink, lambda path: path.write_bytes(path.read_bytes() + b"more")])
def test_a_file_that_changes_meanwhile_is_not_taken_for_what_it_was(tmp_path, monkeypatch, act, when):
    files = tracks(tmp_path / "audio", 2, seconds=1.2)
    prepare_track = parts.prepare_track

    def disturbed(job):
        if job.file == "t01.wav" and when == "before":
            act(job.path)
        result = prepare_track(job)
        if job.file == "t01.wav" and when == "after":
            act(job.path)
        return result

    monkeypatch.setattr(parts, "prepare_track", disturbed)
    with pytest.raises(StoreError, match=r"t01\.wav changed while it was prepared; run again"):
        make(files, tmp_path / "stores")
    monkeypatch.undo()
    assert len(list(tmp_path.glob("stores/.work/*/*.part"))) <= 1
    usable = {track.file for track in make(files, tmp_path / "stores").tracks if track.usable}
    assert usable == {source.file for source in files if source.path.exists()}


def test_damaged_parts_are_computed_again(few, tmp_path, monkeypatch):
    files, whole = few
    with monkeypatch.context() as patch:
        patch.setattr(building, "_assemble", lambda *_: (_ for _ in ()).throw(OSError(errno.EIO, "broken")))
        with pytest.raises(StoreError, match="broken"):
            make(files, tmp_path)
    first, second, _ = sorted(tmp_path.glob(".work/*/*.part"))
    first.write_bytes(first.read_bytes()[:-1])
    second.write_bytes(b"")
    told = []
    store = make(files, tmp_path, progress=lambda *numbers: told.append(numbers))
    assert told[0][0] == 1
    assert contents(store.folder) == whole
