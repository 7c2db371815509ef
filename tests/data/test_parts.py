"""Preparing tracks in several processes."""

from __future__ import annotations

import json
import os
import signal
import sys
from pathlib import Path

import joblib
import numpy as np
import pytest
from small_audio import SMALL, tracks

from genre.data import parts
from genre.data.clips import ClipSpec
from genre.data.content import file_digest, stamp
from genre.data.preparation import KINDS, Job, PreparedTrack, prepare_track
from genre.errors import StoreError


@pytest.fixture
def todo(tmp_path):
    files = tracks(tmp_path / "audio", 6, seconds=1.2)
    return [
        Job(
            source.file,
            source.path,
            file_digest(source.path),
            stamp(source.path),
            ClipSpec(1.0),
            SMALL.settings(),
            KINDS,
        )
        for source in files
    ]


def tell_threads(job: Job, folder: Path) -> PreparedTrack:
    """Stand in for the preparation of a track: say what threads there are while it goes on."""
    import numba
    import threadpoolctl

    with parts._one_thread():
        pools = [pool["num_threads"] for pool in threadpoolctl.threadpool_info() if pool["user_api"] == "blas"]
    numba_threads = numba.get_num_threads()  # loads OpenMP
    facts = {
        "pid": os.getpid(),
        "pools": pools,
        "numba": numba_threads,
        "omp": os.environ.get("OMP_NUM_THREADS"),
    }
    return PreparedTrack(job.file, bytes_hash=job.bytes_hash, detail=json.dumps(facts))


def test_every_process_works_in_one_thread(todo, tmp_path, monkeypatch):
    monkeypatch.setattr(parts, "prepare_part", tell_threads)
    told = [json.loads(track.detail) for track in parts.prepare_parts(todo, tmp_path, jobs=2).values()]
    assert os.getpid() not in {facts["pid"] for facts in told}
    for facts in told:
        assert facts["pools"]
        assert set(facts["pools"]) == {1}
        assert (facts["numba"], facts["omp"]) == (1, "1")


@pytest.mark.parametrize("jobs", [1, None])
def test_little_audio_or_one_job_is_prepared_here(todo, tmp_path, monkeypatch, jobs):
    monkeypatch.setattr(parts, "prepare_part", tell_threads)
    told = [json.loads(track.detail) for track in parts.prepare_parts(todo, tmp_path, jobs=jobs).values()]
    assert {facts["pid"] for facts in told} == {os.getpid()}
    assert {threads for facts in told for threads in facts["pools"]} == {1}


def test_much_audio_is_prepared_by_one_process_a_core(todo, tmp_path, monkeypatch):
    monkeypatch.setattr(parts, "prepare_part", tell_threads)
    monkeypatch.setattr(parts, "LITTLE_BYTES", 1000)
    monkeypatch.setattr(joblib, "cpu_count", lambda: 2)
    told = [json.loads(track.detail) for track in parts.prepare_parts(todo, tmp_path).values()]
    assert os.getpid() not in {facts["pid"] for facts in told}
    assert len({facts["pid"] for facts in told}) <= 2


def test_a_back_end_chosen_outside_is_used(todo, tmp_path, monkeypatch):
    monkeypatch.setattr(parts, "prepare_part", tell_threads)
    with joblib.parallel_config("threading"):
        told = [json.loads(track.detail) for track in parts.prepare_parts(todo, tmp_path, jobs=2).values()]
    assert {facts["pid"] for facts in told} == {os.getpid()}


def test_threads_give_the_same_parts_as_processes(todo, tmp_path):
    for backend in ("threading", "loky"):
        (tmp_path / backend).mkdir()
        with joblib.parallel_config(backend):
            parts.prepare_parts(todo, tmp_path / backend, jobs=2)
    for part in (tmp_path / "threading").iterdir():
        assert part.read_bytes() == (tmp_path / "loky" / part.name).read_bytes()


def die(job: Job, folder: Path) -> PreparedTrack:
    os.kill(os.getpid(), signal.SIGKILL)
    raise AssertionError


@pytest.mark.skipif(sys.platform == "win32", reason="needs signals")
def test_a_process_that_is_killed_is_explained(todo, tmp_path, monkeypatch):
    monkeypatch.setattr(parts, "prepare_part", die)
    with pytest.raises(StoreError, match=r"most likely because memory ran out; run again with fewer processes"):
        parts.prepare_parts(todo, tmp_path, jobs=2)


def test_a_part_holds_the_track_and_its_arrays(todo, tmp_path):
    track = parts.prepare_part(todo[0], tmp_path)
    expected, arrays = prepare_track(todo[0])
    assert track == expected
    for kind in KINDS:
        start, rows = parts.read_part(parts.part_of(tmp_path, track.bytes_hash), kind)
        np.testing.assert_array_equal(start, arrays["start"])
        np.testing.assert_array_equal(rows, arrays[kind])
        assert rows.dtype == arrays[kind].dtype


def test_a_part_without_the_array_that_is_asked_for_is_not_finished(todo, tmp_path):
    from dataclasses import replace

    parts.prepare_part(replace(todo[0], kinds=("features",)), tmp_path)
    told = []
    parts.prepare_parts(todo[:1], tmp_path, progress=lambda *numbers: told.append(numbers))
    assert told[0][0] == 0
    told.clear()
    parts.prepare_parts([replace(todo[0], kinds=("spectrogram",))], tmp_path, progress=lambda *n: told.append(n))
    assert told == [(1, 1, 1)]


def test_what_killed_processes_were_writing_is_removed(todo, tmp_path):
    (tmp_path / ".0123.part.4567").write_bytes(b"half")
    parts.prepare_parts(todo[:1], tmp_path)
    assert [path.suffix for path in tmp_path.iterdir() if path.is_file()] == [".part"]
