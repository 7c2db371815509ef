"""How the sound moves."""

from __future__ import annotations

import librosa
import numpy as np
import pytest

from genre.errors import ConfigError, DataError
from genre.features.dynamics import (
    DYNAMICS_NAMES,
    FRAMES_PER_SEC,
    MODULATION_EDGES,
    correlation,
    delta_deviation,
    delta_pattern,
    dynamics,
    modulation_spectrum,
)
from genre.features.handcrafted import FEATURE_NAMES, handcrafted
from genre.features.sets import FEATURE_SETS, compute_features
from genre.features.spectrogram import LogMel


def levels(n_clips: int = 2, n_frames: int = 130, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(-30, 8, (n_clips, 128, n_frames)).astype(np.float32)


def test_every_value_has_a_name_of_its_own() -> None:
    assert len(set(DYNAMICS_NAMES)) == len(DYNAMICS_NAMES) == 326
    assert dynamics(levels()).shape == (2, 326)
    assert not set(DYNAMICS_NAMES) & set(FEATURE_NAMES)


def test_a_clip_depends_on_itself_only() -> None:
    both = dynamics(levels())
    assert np.array_equal(both[1], dynamics(levels()[1:])[0])


def test_delta_deviation_is_that_of_librosa() -> None:
    coefficients = np.random.default_rng(0).normal(size=(20, 130))
    expected = [librosa.feature.delta(coefficients, order=order, mode="nearest").std(axis=1) for order in (1, 2)]
    assert np.allclose(delta_deviation(coefficients), np.concatenate(expected))


def test_correlation_is_that_of_numpy() -> None:
    rows = np.random.default_rng(0).normal(size=(13, 50))
    assert np.allclose(correlation(rows), np.corrcoef(rows)[np.triu_indices(13, 1)])
    rows[4] = 2.0
    assert np.isfinite(correlation(rows)).all()
    assert correlation(rows)[3] == 0  # of the first and the fifth


def test_a_ramp_moves_by_its_slope() -> None:
    ramp = np.arange(128.0)[:, None] // 64 * np.arange(40.0)  # upper half rises by one a frame
    pattern = delta_pattern(ramp)
    assert np.allclose(pattern[:16], 0)
    assert np.allclose(pattern[16:32], 2)
    assert np.allclose(pattern[48:], 2)


@pytest.mark.parametrize("rate", [0.75, 1.4, 3.0, 6.0, 12.0, 18.0])
def test_a_tremolo_shows_at_its_rate_in_its_band(rate: float) -> None:
    level = np.full((128, 130), -30.0)
    level[40:48] += 5 * np.sin(2 * np.pi * rate * np.arange(130) / FRAMES_PER_SEC)
    pattern = modulation_spectrum(level).reshape(16, 9)
    band, place = np.unravel_index(pattern.argmax(), pattern.shape)
    assert band == 5
    assert MODULATION_EDGES[place] <= rate <= MODULATION_EDGES[place + 1]


@pytest.mark.parametrize("n_frames", [3, 22, 44, 431])
def test_clips_of_any_length_are_finite_and_so_is_silence(n_frames: int) -> None:
    assert np.isfinite(dynamics(levels(1, n_frames))).all()
    assert np.isfinite(dynamics(np.full((1, 128, n_frames), -80, np.float32))).all()


@pytest.mark.parametrize("shape", [(1, 64, 130), (128, 130), (1, 128, 2)])
def test_other_shapes_are_told(shape: tuple[int, ...]) -> None:
    with pytest.raises(DataError, match="mel levels of shape"):
        dynamics(np.zeros(shape, np.float32))


def test_the_sets_are_computed_from_the_same_clips() -> None:
    clips = np.random.default_rng(0).normal(0, 0.1, (2, 22050)).astype(np.float32)
    plain, all_of_them = (compute_features(name, clips, 22050) for name in ("handcrafted", "dynamics"))
    assert np.array_equal(plain, handcrafted(clips))
    assert np.array_equal(all_of_them[:, :57], plain)
    assert np.array_equal(all_of_them[:, 57:], dynamics(LogMel().compute(clips, 22050)))
    assert [len(kind.names) for kind in FEATURE_SETS.values()] == [57, 383, 699]


def test_features_of_passages_follow_those_of_the_clips() -> None:
    clips = np.random.default_rng(0).normal(0, 0.1, (2, 22050)).astype(np.float32)
    of_passages = np.arange(632, dtype=np.float32).reshape(2, 316)
    values = compute_features("passages", clips, 22050, of_passages)
    assert np.array_equal(values, np.hstack([compute_features("dynamics", clips, 22050), of_passages]))
    assert values.shape[1] == len(FEATURE_SETS["passages"].names)
    for missing in (None, of_passages[:1], of_passages[:, 1:]):
        with pytest.raises(DataError, match="needs 316 features of the passage of each of 2 clips"):
            compute_features("passages", clips, 22050, missing)


def test_an_unknown_set_is_told() -> None:
    with pytest.raises(ConfigError, match="did you mean dynamics"):
        compute_features("dynamic", np.zeros((1, 22050), np.float32), 22050)
