from __future__ import annotations

import warnings

import librosa
import numpy as np
import pytest
from feature_signals import music

from genre.features.stft import magnitudes, spectra


@pytest.mark.parametrize("n_samples", [1, 500, 2047, 2048, 11025, 66149, 66150])
@pytest.mark.parametrize(("n_fft", "hop_length"), [(2048, 512), (1024, 71), (400, 160)])
def test_equals_librosa(n_samples: int, n_fft: int, hop_length: int) -> None:
    clip = music(n_samples, seed=n_samples)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        expected = librosa.stft(clip, n_fft=n_fft, hop_length=hop_length)
    got = spectra(clip, n_fft, hop_length)
    scale = np.abs(expected).max()
    assert got.stft.T.shape == expected.shape
    np.testing.assert_allclose(got.stft.T, expected, rtol=0, atol=1e-7 * scale)
    bins, frames = expected.shape
    np.testing.assert_array_equal(got.by_frame[:, :bins].T, got.by_bin[:, :frames])
    np.testing.assert_allclose(got.by_bin[:, :frames], np.abs(expected), rtol=0, atol=2e-7 * scale)
    np.testing.assert_array_equal(got.by_bin.copy(), magnitudes(clip, n_fft, hop_length))
    assert not got.by_frame[:, bins:].any()
    assert not got.by_bin[:, frames:].any()


def test_a_long_clip_before_leaves_nothing_behind() -> None:
    clip = music(5000)
    alone = spectra(clip, 2048, 512).by_bin.copy()
    spectra(music(66150), 2048, 512)
    np.testing.assert_array_equal(spectra(clip, 2048, 512).by_bin, alone)
