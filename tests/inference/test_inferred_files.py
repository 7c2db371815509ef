"""Files of every length and kind, block by block."""

from __future__ import annotations

import os
import tracemalloc
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile
from listening import RATE, cnn_gru, mini_vgg, music

from genre.audio.decode import load
from genre.errors import AudioError, DataError
from genre.inference.denoise import NoDenoising, SpectralSubtraction
from genre.inference.files import FilePrediction, files_of, predict_file


def write(path: Path, samples: np.ndarray, rate: int = RATE, **options: str) -> Path:
    soundfile.write(path, samples, rate, **options)
    return path


def predicted(path: Path, predictor=None, **options) -> FilePrediction:
    return predict_file(path, predictor or mini_vgg(), NoDenoising(RATE), **options)


@pytest.mark.parametrize("rate", [RATE, 44100, 11025])
@pytest.mark.parametrize("hop_sec", [None, 0.3])
def test_a_file_has_the_clips_and_probabilities_of_its_samples(tmp_path: Path, rate: int, hop_sec) -> None:
    path = write(tmp_path / "a.wav", music(40.3, rate), rate)  # more than one block
    predictor = mini_vgg()
    spec = replace(predictor.clips, hop_sec=hop_sec)
    clips, starts = spec.cut(load(path, RATE))
    prediction = predicted(path, predictor, clips=spec)
    np.testing.assert_array_equal(prediction.start_sec, starts / RATE)
    np.testing.assert_allclose(prediction.clip_probabilities, predictor.probabilities(clips), atol=1e-6)
    np.testing.assert_allclose(prediction.probabilities, prediction.clip_probabilities.mean(axis=0))
    assert prediction.seconds == pytest.approx(40.3, abs=1e-3)


@pytest.mark.parametrize("short", ["pad", "repeat"])
def test_a_file_shorter_than_a_clip(tmp_path: Path, short: str) -> None:
    path = write(tmp_path / "a.wav", music(0.6))
    predictor = mini_vgg()
    spec = replace(predictor.clips, short=short)
    prediction = predicted(path, predictor, clips=spec)
    clips, _ = spec.cut(load(path, RATE))
    np.testing.assert_allclose(prediction.clip_probabilities, predictor.probabilities(clips), atol=1e-9)


def test_a_file_shorter_than_a_clip_where_such_are_left_out(tmp_path: Path) -> None:
    path = write(tmp_path / "a.wav", music(0.6))
    with pytest.raises(AudioError, match=r"lasts 0.60 s, which is less than one clip of 1 s"):
        predicted(path, clips=replace(mini_vgg().clips, short="drop"))


def test_silence_has_no_say(tmp_path: Path) -> None:
    sound = music(3.0)
    silence = np.zeros(12 * RATE)
    path = write(tmp_path / "a.wav", np.concatenate([silence, sound, silence[:RATE], sound]))
    prediction, alone = predicted(path), predicted(write(tmp_path / "b.wav", np.concatenate([sound, sound])))
    assert prediction.start_sec.tolist() == [12, 13, 14, 16, 17, 18]
    np.testing.assert_allclose(prediction.clip_probabilities, alone.clip_probabilities, atol=1e-6)
    np.testing.assert_allclose(prediction.probabilities, alone.probabilities, atol=1e-6)


def test_a_file_whose_clips_are_all_silent_is_one_sentence(tmp_path: Path) -> None:
    path = write(tmp_path / "a.wav", np.concatenate([np.zeros(3 * RATE), music(0.6)]))
    with pytest.raises(AudioError, match=r"a\.wav cannot be classified \(all its clips of 1 s are silent\)"):
        predicted(path)


def test_stereo_flac_at_another_rate(tmp_path: Path) -> None:
    left, right = music(3.0, 44100, seed=1), music(3.0, 44100, seed=2)
    path = write(tmp_path / "a.flac", np.column_stack([left, right]), 44100)
    clips, _ = mini_vgg().clips.cut(load(path, RATE))
    np.testing.assert_allclose(predicted(path).clip_probabilities, mini_vgg().probabilities(clips), atol=1e-6)


@pytest.mark.parametrize(
    ("samples", "hint"),
    [
        (np.zeros(RATE), "silent"),
        (music(0.1), "too short"),
        (np.full(2 * RATE, np.nan), "not numbers"),
        (np.full(2 * RATE, 1e30) * np.resize([1, -1], 2 * RATE), "far beyond full scale"),
        (np.round(32768 * music(2.0)), "probably integers"),
        (np.zeros(0), "no sound"),
    ],
    ids=["silent", "short", "nan", "huge", "integers", "none"],
)
def test_sound_that_cannot_be_used(tmp_path: Path, samples: np.ndarray, hint: str) -> None:
    path = write(tmp_path / "a.wav", samples.astype(np.float32), subtype="FLOAT")
    with pytest.raises(AudioError, match=hint):
        predicted(path)


def test_a_file_that_is_no_audio(tmp_path: Path) -> None:
    (tmp_path / "a.mp3").write_text("not music\n" * 100)
    with pytest.raises(AudioError, match="it looks like text"):
        predicted(tmp_path / "a.mp3")
    with pytest.raises(AudioError, match="does not exist"):
        predicted(tmp_path / "b.mp3")


def test_a_model_that_refuses_a_clip_says_of_which_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    predictor = mini_vgg()

    def refuse(clips: np.ndarray, passages: None) -> np.ndarray:
        raise DataError("features must be finite numbers")

    monkeypatch.setattr(predictor, "probabilities", refuse)
    with pytest.raises(AudioError, match=r"a\.wav cannot be classified \(features must be finite numbers\)"):
        predicted(write(tmp_path / "a.wav", music(2.0)), predictor)


def test_a_file_that_ends_early_is_used_as_far_as_it_goes(tmp_path: Path) -> None:
    path = write(tmp_path / "a.wav", music(5.0))
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    prediction = predicted(path)
    assert prediction.truncated
    assert len(prediction.start_sec) == 2


def test_no_clip_begins_in_a_lead_in(tmp_path: Path) -> None:
    noise = 0.02 * np.random.default_rng(0).standard_normal(4 * RATE).astype(np.float32)
    sound = np.concatenate([np.zeros(RATE, np.float32), music(3.0)]) + noise
    path = write(tmp_path / "a.wav", sound)
    heard: dict[str, list[np.ndarray]] = {"raw": [], "clean": []}
    denoiser = SpectralSubtraction(RATE, noise_sec=1.0, n_fft=256, hop_length=64)
    prediction = predict_file(path, mini_vgg(), denoiser, raw=heard["raw"].append, clean=heard["clean"].append)
    np.testing.assert_array_equal(prediction.start_sec, [1, 2, 3])
    raw, clean = (np.concatenate(heard[name]) for name in ("raw", "clean"))
    np.testing.assert_array_equal(raw, load(path, RATE))
    assert len(clean) == len(raw)
    clips = mini_vgg().clips.cut(clean[RATE:])[0]
    np.testing.assert_allclose(prediction.clip_probabilities, mini_vgg().probabilities(clips), atol=1e-6)


@pytest.mark.parametrize("noise_sec", [3.999, 3.6, 5.0])
def test_a_crumb_after_a_lead_in_is_no_recording(tmp_path: Path, noise_sec: float) -> None:
    path = write(tmp_path / "a.wav", music(4.0))
    predictor = mini_vgg()
    for short in ("pad", "drop"):
        denoiser = SpectralSubtraction(RATE, noise_sec=noise_sec, n_fft=256, hop_length=64)
        with pytest.raises(AudioError, match=rf"a\.wav lasts 4\.00 s, which after {noise_sec:g} s of noise is less"):
            predict_file(path, predictor, denoiser, clips=replace(predictor.clips, short=short))


def test_memory_does_not_grow_with_the_length_of_a_file(tmp_path: Path) -> None:
    block = music(60.0)
    path = tmp_path / "long.wav"
    with soundfile.SoundFile(path, "w", RATE, 1) as file:
        for _ in range(20):
            file.write(block)
    predictor = cnn_gru()
    predicted(write(tmp_path / "short.wav", block), predictor)  # what is loaded once
    tracemalloc.start()
    prediction = predicted(path, predictor)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert len(prediction.start_sec) == 1200
    assert peak < 16e6  # the samples alone are 38 MB


def test_files_of_a_folder(tmp_path: Path) -> None:
    for name in ("b.wav", "sub/a.flac", ".hidden.wav", "cover.jpg"):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.touch()
    assert [os.path.relpath(path, tmp_path) for path in files_of(tmp_path).audio] == ["b.wav", "sub/a.flac"]
    assert files_of(tmp_path / "b.wav").audio == [tmp_path / "b.wav"]
    assert files_of(tmp_path / "nowhere").audio == [tmp_path / "nowhere"]


def test_folder_without_audio(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="there is no audio in it"):
        files_of(tmp_path)
    (tmp_path / "a.m4a").touch()
    with pytest.raises(DataError, match="formats that cannot be decoded"):
        files_of(tmp_path)
