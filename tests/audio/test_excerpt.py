"""A stretch of a file."""

from __future__ import annotations

import tracemalloc
from pathlib import Path

import numpy as np
import pytest
import soundfile

from genre.audio.decode import resample
from genre.audio.excerpt import excerpt
from genre.errors import AudioError


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "ramp.wav"
    soundfile.write(path, np.linspace(0, 0.9, 40_000 * 2, dtype=np.float32).reshape(-1, 2), 8000, subtype="FLOAT")
    return path


def test_a_stretch_is_that_part_of_the_whole(file: Path) -> None:
    whole = np.linspace(0, 0.9, 80_000, dtype=np.float32).reshape(-1, 2).mean(axis=1)
    assert np.allclose(excerpt(file, 1.5, 2.0, 8000), whole[12_000:28_000], atol=1e-6)
    assert np.allclose(excerpt(file, 0.0, 1.0, 16000), resample(whole[:8000], 8000, 16000), atol=1e-6)


def test_it_ends_where_the_file_ends(file: Path) -> None:
    assert len(excerpt(file, 4.5, 3.0, 8000)) == 4000


def test_a_stretch_beyond_the_end_is_an_error_that_names_the_file(file: Path) -> None:
    with pytest.raises(AudioError, match=r"my ramp ends before 5 s"):
        excerpt(file, 5.0, 1.0, 8000, name="my ramp")
    with pytest.raises(AudioError, match=r"gone\.wav"):
        excerpt(file.with_name("gone.wav"), 0.0, 1.0, 8000)


def test_no_more_is_held_than_the_stretch_and_a_block(tmp_path: Path) -> None:
    path = tmp_path / "long.wav"
    samples = np.zeros(4_000_000, np.int16)
    soundfile.write(path, samples, 8000)
    excerpt(path, 0.0, 1.0, 8000)
    tracemalloc.start()
    assert len(excerpt(path, 499.0, 1.0, 8000)) == 8000
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 4 * samples.size / 2  # as float32; blocks are of a fifteenth
