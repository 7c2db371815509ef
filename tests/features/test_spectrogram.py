from __future__ import annotations

import inspect
import warnings

import librosa
import numpy as np
import pytest
import soxr
import torch
from feature_signals import AWKWARD, RATE, music
from hypothesis import given, settings
from hypothesis import strategies as st
from librosa_reference import librosa_logmel

from genre.errors import ConfigError, DataError
from genre.features.spectrogram import FRONT_ENDS, FrontEnd, LogMel, Stft512, build_frontend

VARIANTS = [
    LogMel(),
    LogMel(n_fft=1024, hop_length=300, n_mels=40, fmin=50.0, fmax=8000.0, ref="max", top_db=None),
    LogMel(sample_rate=16000, ref=0.5),
    Stft512(),
    Stft512(sample_rate=22050, n_fft=510, hop_length=700, bins=200, pad=0, top_db=None),
]


@pytest.mark.parametrize("seconds", [0.5, 3.0])
@pytest.mark.parametrize("sound", AWKWARD)
def test_logmel_equals_librosa_on_awkward_sounds(sound: str, seconds: float) -> None:
    clip = AWKWARD[sound](int(seconds * RATE))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        (got,) = LogMel().compute(clip[np.newaxis], RATE)
    np.testing.assert_allclose(got, librosa_logmel(clip), rtol=0, atol=1e-3)


@pytest.mark.parametrize("n_samples", [1, 700, 5000, 66150, 30 * RATE])
def test_logmel_equals_librosa_at_any_length(n_samples: int) -> None:
    clip = music(n_samples)
    frontend = LogMel()
    (got,) = frontend.compute(clip[np.newaxis], RATE)
    np.testing.assert_allclose(got, librosa_logmel(clip), rtol=0, atol=1e-3)
    assert got.shape == frontend.shape(n_samples, RATE)


def test_logmel_settings_mean_what_they_mean_to_librosa() -> None:
    clip = music()
    frontend = LogMel(n_fft=1024, hop_length=300, n_mels=40, fmin=50.0, fmax=8000.0, ref="max", amin=1e-6, top_db=None)
    power = librosa.feature.melspectrogram(
        y=clip, sr=RATE, n_fft=1024, hop_length=300, n_mels=40, fmin=50.0, fmax=8000.0
    )
    stored = frontend.compute(clip[np.newaxis], RATE)
    expected = librosa.power_to_db(power, amin=1e-6, top_db=None)
    np.testing.assert_allclose(stored[0], expected, rtol=0, atol=1e-3)
    (got,) = frontend.to_float(torch.from_numpy(stored)).numpy()
    expected = librosa.power_to_db(power, ref=np.max, amin=1e-6, top_db=None)
    np.testing.assert_allclose(got, expected, rtol=0, atol=1e-3)


def test_logmel_at_its_own_rate_resamples_first() -> None:
    clip = music()
    resampled = soxr.resample(clip, RATE, 16000, quality="HQ")
    power = librosa.feature.melspectrogram(y=resampled, sr=16000)
    (got,) = LogMel(sample_rate=16000).compute(clip[np.newaxis], RATE)
    np.testing.assert_allclose(got, librosa.power_to_db(power), rtol=0, atol=1e-3)


def test_stft512_is_the_picture_of_the_definition() -> None:
    clip = music()
    resampled = soxr.resample(clip, RATE, 12000, quality="HQ")
    assert resampled.size == 36000
    spectrum = librosa.stft(resampled, n_fft=1024, hop_length=71)
    level = librosa.amplitude_to_db(np.abs(spectrum), ref=np.max)[:512]
    scaled = 255 * (level - level.min()) / (level.max() - level.min())
    (got,) = Stft512().compute(clip[np.newaxis], RATE)
    assert got.dtype == np.uint8
    assert got.shape == (512, 512) == Stft512().shape(clip.size, RATE)
    assert not got[:, :2].any()
    assert not got[:, -2:].any()
    assert (got.min(), got.max()) == (0, 255)
    assert np.abs(got[:, 2:-2] - scaled).max() <= 0.5 + 1e-4


def test_stft512_of_silence_is_black() -> None:
    assert not Stft512().compute(np.zeros((1, 66150), np.float32), RATE).any()


def test_stft512_goes_to_the_network_between_minus_one_and_one() -> None:
    stored = torch.tensor([[[0, 51, 255]]], dtype=torch.uint8)
    scaled = Stft512().to_float(stored)
    assert scaled.dtype == torch.float32
    np.testing.assert_allclose(scaled.numpy(), [[[-1.0, -0.6, 1.0]]], atol=1e-6)


def test_logmel_goes_to_the_network_as_it_is() -> None:
    stored = torch.from_numpy(LogMel().compute(music()[np.newaxis], RATE))
    assert torch.equal(LogMel().to_float(stored), stored)


def test_levels_from_the_loudest_do_not_depend_on_how_loud_a_clip_is() -> None:
    clips = np.stack([music(), music(seed=1), music() / 16, np.zeros(3 * RATE, np.float32)])
    stored = torch.from_numpy(LogMel(ref="max").compute(clips, RATE))
    levels = LogMel(ref="max").to_float(stored)
    assert torch.equal(levels.amax(dim=(1, 2)), torch.zeros(4))  # each from its own loudest
    torch.testing.assert_close(levels[2], levels[0], rtol=0, atol=1e-3)
    torch.testing.assert_close(stored[2] + 20 * np.log10(16), stored[0], rtol=0, atol=1e-3)
    assert levels[0].min() >= -80.001
    assert not levels[3].any()


def test_front_ends_that_store_the_same_say_so() -> None:
    relative = LogMel(ref="max", n_mels=40)
    assert relative.settings() != LogMel(n_mels=40).settings()
    assert relative.stored_settings() == LogMel(n_mels=40).stored_settings() == LogMel(n_mels=40).settings()
    assert LogMel(ref=0.5).stored_settings() == LogMel(ref=0.5).settings()
    clips = music()[np.newaxis]
    np.testing.assert_array_equal(relative.compute(clips, RATE), LogMel(n_mels=40).compute(clips, RATE))
    assert Stft512(bins=200).stored_settings() == Stft512(bins=200).settings()


@pytest.mark.parametrize("frontend", VARIANTS, ids=lambda frontend: frontend.name)
def test_an_item_of_a_batch_equals_the_single_item(frontend: FrontEnd) -> None:
    clips = np.stack([music(40000, seed) for seed in range(3)])
    together = frontend.compute(clips, RATE)
    assert together.dtype == frontend.dtype
    for i, clip in enumerate(clips):
        np.testing.assert_array_equal(frontend.compute(clip[np.newaxis], RATE)[0], together[i])


@settings(max_examples=25, deadline=None)
@given(
    frontend=st.sampled_from(VARIANTS),
    n_samples=st.integers(1, 20000),
    sample_rate=st.sampled_from([8000, 12000, 16000, 22050, 44100]),
)
def test_shape_foretells_what_compute_returns(frontend: FrontEnd, n_samples: int, sample_rate: int) -> None:
    clip = np.random.default_rng(n_samples).normal(0, 0.1, (1, n_samples)).astype(np.float32)
    assert frontend.compute(clip, sample_rate).shape[1:] == frontend.shape(n_samples, sample_rate)


@pytest.mark.parametrize("frontend", VARIANTS, ids=lambda frontend: frontend.name)
def test_settings_build_the_same_front_end(frontend: FrontEnd) -> None:
    values = frontend.settings()
    assert all(isinstance(value, str | int | float | None) for value in values.values())
    clip = music(20000)[np.newaxis]
    rebuilt = build_frontend(values)
    assert rebuilt.settings() == values
    np.testing.assert_array_equal(rebuilt.compute(clip, RATE), frontend.compute(clip, RATE))


@pytest.mark.parametrize("kind", FRONT_ENDS.values(), ids=FRONT_ENDS)
def test_every_setting_is_a_constructor_argument_with_a_default(kind: type[FrontEnd]) -> None:
    assert set(kind().settings()) == {"name", *inspect.signature(kind).parameters}


def test_no_clips_make_no_spectrograms() -> None:
    assert LogMel().compute(np.empty((0, 66150), np.float32), RATE).shape == (0, 128, 130)


@pytest.mark.parametrize(
    ("settings_", "words"),
    [
        ({"name": "log_mel"}, "did you mean logmel"),
        ({"name": "logmel", "n_mel": 64}, "did you mean n_mels"),
        ({"name": "logmel", "n_mels": 0}, "frontend.n_mels=0"),
        (
            {"name": "logmel", "n_mels": 1026},
            r"frontend\.n_mels=1026 must be from 1 to frontend\.n_fft / 2 \+ 1 = 1025\.$",
        ),
        ({"name": "logmel", "n_mels": 100, "n_fft": 128}, "frontend.n_mels=100 must be from 1 to frontend.n_fft"),
        ({"name": "logmel", "hop_length": -1}, "frontend.hop_length=-1"),
        ({"name": "logmel", "n_fft": 1001}, "frontend.n_fft=1001"),
        ({"name": "logmel", "sample_rate": 0}, "frontend.sample_rate=0"),
        ({"name": "logmel", "fmax": 12000.0}, "frontend.fmax=12000"),
        ({"name": "logmel", "fmin": -1.0}, "frontend.fmin=-1"),
        ({"name": "logmel", "ref": "maximum"}, "frontend.ref=maximum"),
        ({"name": "logmel", "amin": 0.0}, "frontend.amin=0"),
        ({"name": "logmel", "top_db": -3.0}, "frontend.top_db=-3"),
        ({"name": "stft512", "bins": 514}, "frontend.bins=514"),
        ({"name": "stft512", "pad": -1}, "frontend.pad=-1"),
    ],
)
def test_a_wrong_setting_is_named(settings_: dict[str, object], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        build_frontend(settings_)


@pytest.mark.parametrize(
    "clips", [np.zeros(66150), np.zeros((2, 0)), np.full((1, 10), np.nan), np.full((1, 10), np.inf)]
)
def test_clips_that_cannot_be_used_are_refused(clips: np.ndarray) -> None:
    with pytest.raises(DataError):
        LogMel().compute(clips.astype(np.float32), RATE)
