from __future__ import annotations

import multiprocessing
import warnings
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor

import numpy as np
import pytest
from feature_signals import AWKWARD, RATE, music
from hypothesis import given, settings
from hypothesis import strategies as st
from librosa_reference import SPREAD, librosa_features

from genre.errors import DataError
from genre.features.handcrafted import FEATURE_NAMES, handcrafted

TEMPO = FEATURE_NAMES.index("tempo")


def _assert_equals_librosa(clip: np.ndarray) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        (got,) = handcrafted(clip[np.newaxis])
    expected = librosa_features(clip)
    assert np.isfinite(got).all()
    error = np.abs(got - expected) / SPREAD
    assert error.max() < 1e-4, f"{FEATURE_NAMES[error.argmax()]} is off by {error.max():.1e} of its spread"
    assert got[TEMPO] == np.float32(expected[TEMPO])


def test_names_are_those_of_the_published_table() -> None:
    assert len(FEATURE_NAMES) == len(set(FEATURE_NAMES)) == len(SPREAD) == 57
    assert FEATURE_NAMES[:4] == ("chroma_stft_mean", "chroma_stft_var", "rms_mean", "rms_var")
    assert FEATURE_NAMES[12:18] == (
        "harmony_mean",
        "harmony_var",
        "perceptr_mean",
        "perceptr_var",
        "tempo",
        "mfcc1_mean",
    )
    assert FEATURE_NAMES[-1] == "mfcc20_var"


@pytest.mark.parametrize("seconds", [0.5, 3.0])
@pytest.mark.parametrize("sound", AWKWARD)
def test_equals_librosa_on_awkward_sounds(sound: str, seconds: float) -> None:
    _assert_equals_librosa(AWKWARD[sound](int(seconds * RATE)))


@pytest.mark.parametrize("seed", range(6))
def test_equals_librosa_on_music(seed: int) -> None:
    _assert_equals_librosa(music(seed=seed))


@settings(max_examples=12, deadline=None)
@given(n_samples=st.integers(RATE // 2, 4 * RATE), seed=st.integers(0, 99))
def test_equals_librosa_at_any_length(n_samples: int, seed: int) -> None:
    _assert_equals_librosa(music(n_samples, seed))


@pytest.mark.slow
@pytest.mark.parametrize(("sound", "seconds"), [("music", 30), *((sound, 12) for sound in AWKWARD)])
def test_equals_librosa_beyond_the_window_of_tempo(sound: str, seconds: int) -> None:
    _assert_equals_librosa((AWKWARD | {"music": music})[sound](seconds * RATE))


@pytest.mark.parametrize("n_samples", [1, 2, 511, 512, 1500, 3000])
def test_the_shortest_clips_have_features(n_samples: int) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert np.isfinite(handcrafted(music(n_samples)[np.newaxis])).all()


def test_an_item_of_a_batch_equals_the_single_item() -> None:
    clips = np.stack([music(50000, seed) for seed in range(4)])
    together = handcrafted(clips)
    assert together.dtype == np.float32
    assert together.shape == (4, 57)
    for i, clip in enumerate(clips):
        np.testing.assert_array_equal(handcrafted(clip[np.newaxis])[0], together[i])


def test_a_batch_is_not_changed() -> None:
    clips = np.stack([music(30000, seed) for seed in range(2)])
    before = clips.copy()
    handcrafted(clips)
    np.testing.assert_array_equal(clips, before)


def test_no_clips_have_no_features() -> None:
    assert handcrafted(np.empty((0, 66150), np.float32)).shape == (0, 57)


def test_threads_and_processes_change_nothing() -> None:
    batches = [music(30000 + 1000 * seed, seed)[np.newaxis] for seed in range(6)]
    expected = [handcrafted(batch) for batch in batches]
    with ThreadPoolExecutor(4) as threads:
        for got, want in zip(threads.map(handcrafted, batches * 5), expected * 5, strict=True):
            np.testing.assert_array_equal(got, want)
    with ProcessPoolExecutor(2, mp_context=multiprocessing.get_context("spawn")) as processes:
        for got, want in zip(processes.map(handcrafted, batches), expected, strict=True):
            np.testing.assert_array_equal(got, want)


@pytest.mark.parametrize(
    "clips", [np.zeros(66150), np.zeros((2, 0)), np.full((1, 10), np.nan), np.full((1, 10), np.inf)]
)
def test_clips_that_cannot_be_used_are_refused(clips: np.ndarray) -> None:
    with pytest.raises(DataError):
        handcrafted(clips.astype(np.float32))


def test_a_feature_hears_what_its_name_says() -> None:
    low, high = (np.sin(2 * np.pi * f * np.arange(66150) / RATE).astype(np.float32) for f in (200.0, 4000.0))
    features = dict(zip(FEATURE_NAMES, handcrafted(np.stack([low, high])).T, strict=True))
    np.testing.assert_allclose(features["zero_crossing_rate_mean"], [2 * 200 / RATE, 2 * 4000 / RATE], rtol=0.03)
    np.testing.assert_allclose(features["rms_mean"], np.sqrt(0.5), rtol=0.02)
    assert (features["harmony_var"] > 50 * features["perceptr_var"]).all()
    for name in ("spectral_centroid_mean", "rolloff_mean"):
        np.testing.assert_allclose(features[name], [200, 4000], rtol=0.15)
