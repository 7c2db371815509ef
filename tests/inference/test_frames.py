"""Log-mel frames of sound in pieces, and pictures of sound of any length."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from listening import RATE, music, pieces

from genre.features.spectrogram import LogMel
from genre.inference.frames import ClipLevels, FrameStream, Overview, SpectrogramOverview


@pytest.mark.parametrize(("n_fft", "hop_length"), [(512, 128), (512, 200), (256, 300), (2048, 512)])
@pytest.mark.parametrize("seconds", [0.01, 0.3, 2.345])
def test_frames_of_pieces_are_those_of_the_whole(n_fft: int, hop_length: int, seconds: float) -> None:
    frontend = LogMel(sample_rate=RATE, n_fft=n_fft, hop_length=hop_length, n_mels=20)
    whole = LogMel(sample_rate=RATE, n_fft=n_fft, hop_length=hop_length, n_mels=20, top_db=None)
    samples = music(seconds)
    stream = FrameStream(frontend)
    frames = [stream.push(piece) for piece in pieces(samples, seed=1)]
    frames.append(stream.finish())
    np.testing.assert_array_equal(np.concatenate(frames, axis=1), whole.compute(samples[np.newaxis], RATE)[0])


def test_a_frame_comes_with_its_last_sample() -> None:
    stream = FrameStream(LogMel(sample_rate=RATE, n_fft=512, hop_length=128))
    assert stream.push(np.ones(255, np.float32)).shape == (128, 0)
    assert stream.push(np.ones(1, np.float32)).shape == (128, 1)
    assert stream.push(np.ones(127, np.float32)).shape == (128, 0)
    assert stream.push(np.ones(129, np.float32)).shape == (128, 2)


def test_levels_look_back_on_a_clip() -> None:
    frames = np.array([[0.0, -100.0, -100.0, -100.0], [-90.0, -95.0, -95.0, -95.0]], np.float32)
    levels = ClipLevels(LogMel(top_db=80.0), n_frames=2)
    np.testing.assert_array_equal(levels(frames[:, :2]), [[0, -80], [-80, -80]])
    assert levels(frames[:, :0]).shape == (2, 0)
    np.testing.assert_array_equal(levels(frames[:, 2:3])[:, 0], [-100, -95])  # the loud frame is too long ago
    levels = ClipLevels(LogMel(top_db=80.0, ref="max"), n_frames=2)
    np.testing.assert_array_equal(levels(frames[:, :2] - 30), [[0, -80], [-80, -80]])
    np.testing.assert_array_equal(levels(frames[:, 2:] - 30), [[-5, -5], [0, 0]])
    np.testing.assert_array_equal(ClipLevels(LogMel(top_db=None), 2)(frames), frames)
    assert ClipLevels(LogMel(ref="max"), 2)(frames[:, :0]).shape == (2, 0)  # nothing heard yet


@pytest.mark.parametrize("ref", [1.0, "max"])
@pytest.mark.parametrize("top_db", [None, 30.0])
def test_levels_of_a_first_clip_are_those_of_the_front_end(ref: float | str, top_db: float | None) -> None:
    frontend = LogMel(sample_rate=RATE, n_fft=512, hop_length=128, n_mels=20, ref=ref, top_db=top_db)
    samples = music(1.0)
    whole = frontend.to_float(torch.from_numpy(frontend.compute(samples[np.newaxis], RATE)))[0].numpy()
    stream, levels = FrameStream(frontend), ClipLevels(frontend, whole.shape[1])
    frames = np.concatenate([stream.push(samples), stream.finish()], axis=1)
    np.testing.assert_array_equal(levels(frames), whole)


@pytest.mark.parametrize("n_columns", [0, 1, 19, 20, 21, 1234])
def test_overview_keeps_means_of_equal_stretches(n_columns: int) -> None:
    columns = np.random.default_rng(0).random((3, n_columns))
    overview = Overview(3, n_columns=10)
    overview.add(columns[:, : n_columns // 3])
    overview.add(columns[:, n_columns // 3 :])
    kept = overview.columns
    assert kept.shape[1] <= 20
    assert n_columns < 20 or kept.shape[1] >= 10
    for number in range(kept.shape[1]):
        stretch = columns[:, number * overview.per_mean : (number + 1) * overview.per_mean]
        np.testing.assert_allclose(kept[:, number], stretch.mean(axis=1), rtol=1e-5)


def test_spectrogram_overview_shows_a_tone_where_it_is() -> None:
    tone = np.sin(2 * np.pi * 1000 * np.arange(10 * RATE) / RATE).astype(np.float32)
    view = SpectrogramOverview(RATE)
    for piece in pieces(tone, seed=0, largest=900):
        view.push(piece)
    assert view.band_hz[view.levels.mean(axis=1).argmax()] == pytest.approx(1000, rel=0.05)
    assert view.seconds == pytest.approx(10, abs=0.3)
    assert np.all(np.diff(view.band_hz) > 0)
