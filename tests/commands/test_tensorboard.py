"""The sound of single clips in TensorBoard."""

from __future__ import annotations

import tracemalloc
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import soundfile

from genre.audio.decode import load
from genre.commands.tensorboard import _samples
from genre.data.clips import ClipSpec


def module(path: Path, starts: np.ndarray, clips: ClipSpec) -> SimpleNamespace:
    arrays = SimpleNamespace(track=np.zeros(len(starts), int), start=starts)
    return SimpleNamespace(tracks=[SimpleNamespace(path=path)], arrays=arrays, clips=clips)


@pytest.mark.parametrize(("sample_rate", "seconds"), [(22050, 9.3), (44100, 9.3), (48000, 9.3), (44100, 1.2)])
@pytest.mark.parametrize("hop_sec", [None, 0.7321])
def test_the_sound_of_a_clip_is_that_it_was_prepared_from(
    tmp_path: Path, sample_rate: int, seconds: float, hop_sec: float | None
) -> None:
    path = tmp_path / "noise.wav"
    noise = np.random.default_rng(0).normal(0, 0.2, (int(seconds * sample_rate), 2))
    soundfile.write(path, noise, sample_rate, subtype="FLOAT")
    spec = ClipSpec(hop_sec=hop_sec)
    clips, starts = spec.cut(load(path, spec.sample_rate))
    for row, clip in enumerate(clips):
        found = _samples(module(path, starts, spec), row)
        assert found is not None
        np.testing.assert_allclose(found.numpy(), np.clip(clip, -1, 1)[None], atol=1e-5)


def test_a_file_that_has_become_another_has_no_sound(tmp_path: Path) -> None:
    path, spec = tmp_path / "short.wav", ClipSpec(sample_rate=8000)
    data = module(path, np.array([0, 24_000, 240_000]), spec)
    assert _samples(data, 0) is None  # not there
    noise = np.random.default_rng(0).normal(0, 0.2, 40_000)
    for samples, sounding in ((noise, [True, False, False]), (0 * noise, [False] * 3), (np.nan * noise, [False] * 3)):
        soundfile.write(path, samples, 8000, subtype="FLOAT")
        assert [_samples(data, row) is not None for row in range(3)] == sounding


def test_of_a_long_track_no_more_is_held_than_the_clip_and_a_block(tmp_path: Path) -> None:
    path, spec = tmp_path / "long.wav", ClipSpec(sample_rate=8000)
    samples = np.random.default_rng(0).integers(-9000, 9000, 4_000_000).astype(np.int16)
    soundfile.write(path, samples, 16000)
    data = module(path, np.array([0, 1_920_000]), spec)
    assert _samples(data, 0) is not None
    tracemalloc.start()
    assert _samples(data, 1) is not None
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 4 * samples.size / 2  # as float32
