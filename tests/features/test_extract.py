from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numba
import numpy as np
import pytest
from feature_signals import RATE, music

from genre.errors import DataError
from genre.features.compiled import compiled
from genre.features.extract import extract, warm_up
from genre.features.handcrafted import handcrafted
from genre.features.spectrogram import FrontEnd, LogMel, Stft512

FRONTENDS = [LogMel(), LogMel(ref="max"), LogMel(n_mels=64, top_db=None), LogMel(n_fft=1024), Stft512()]


@pytest.mark.parametrize("frontend", FRONTENDS, ids=lambda frontend: frontend.name)
def test_one_pass_gives_the_values_of_two(frontend: FrontEnd) -> None:
    clips = np.stack([music(seed=seed) for seed in range(3)])
    spectrograms, features = extract(clips, RATE, frontend)
    assert spectrograms.dtype == frontend.dtype
    np.testing.assert_array_equal(spectrograms, frontend.compute(clips, RATE))
    np.testing.assert_array_equal(features, handcrafted(clips))


def test_clips_at_another_rate_are_resampled_for_the_features_too() -> None:
    clips = np.stack([music(48000, seed) for seed in range(2)])
    spectrograms, features = extract(clips, 16000, LogMel())
    np.testing.assert_array_equal(spectrograms, LogMel().compute(clips, 16000))
    assert features.shape == (2, 57)
    assert not np.array_equal(features, handcrafted(clips))


def test_no_clips() -> None:
    spectrograms, features = extract(np.empty((0, 66150), np.float32), RATE, Stft512())
    assert spectrograms.shape == (0, 512, 512)
    assert features.shape == (0, 57)


def test_clips_that_are_not_finite_are_refused() -> None:
    with pytest.raises(DataError):
        extract(np.full((1, 5000), np.nan, np.float32), RATE, LogMel())


def test_after_the_warm_up_nothing_is_compiled() -> None:
    program = """
import numpy as np
from numba.core import event
from genre.features.extract import extract, warm_up
from genre.features.spectrogram import LogMel, Stft512
warm_up()
clips = np.random.default_rng(0).normal(0, 0.1, (2, 66150)).astype(np.float32)
with event.install_recorder("numba:compile") as recorder:
    extract(clips, 22050, LogMel())
    extract(clips, 22050, Stft512())
print(len(recorder.buffer))
"""
    assert _run(program).strip() == "0"


@pytest.mark.slow
def test_processes_that_compile_at_once_agree(tmp_path: Path) -> None:
    program = """
import numpy as np
from genre.features.handcrafted import handcrafted
print(handcrafted(np.random.default_rng(0).normal(0, 0.1, (1, 30000)).astype(np.float32)).tobytes().hex())
"""
    processes = [_start(program, NUMBA_CACHE_DIR=str(tmp_path)) for _ in range(2)]
    outputs = {process.communicate(timeout=300)[0] for process in processes}
    assert all(process.returncode == 0 for process in processes)
    assert outputs == {_run(program)}


def test_where_no_cache_can_be_written_code_is_compiled_anyway(monkeypatch: pytest.MonkeyPatch) -> None:
    njit = numba.njit

    def no_cache(**options: object) -> object:
        if options.get("cache"):
            raise RuntimeError("cannot cache function: no locator available")
        return njit(**options)

    monkeypatch.setattr(numba, "njit", no_cache)

    @compiled
    def twice(x: float) -> float:
        return 2 * x

    assert twice(2.5) == 5.0


def test_warm_up_takes_any_front_end() -> None:
    warm_up()
    warm_up(Stft512())


def _start(program: str, **environment: str) -> subprocess.Popen[str]:
    root = str(Path(__file__).parent.parent.parent)
    return subprocess.Popen(
        [sys.executable, "-W", "error", "-c", program],
        stdout=subprocess.PIPE,
        text=True,
        env=os.environ | environment | {"PYTHONPATH": root},
    )


def _run(program: str) -> str:
    process = _start(program)
    output, _ = process.communicate(timeout=300)
    assert process.returncode == 0
    return output
