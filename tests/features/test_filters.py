from __future__ import annotations

import librosa
import numpy as np
import pytest
import scipy.fft

from genre.features.filters import chroma_filters, dct_matrix, hz_to_mel, mel_bands, mel_filters, mel_to_hz


@pytest.mark.parametrize(
    ("sample_rate", "n_fft", "n_mels", "fmin", "fmax"),
    [(22050, 2048, 128, 0.0, 11025.0), (16000, 1024, 40, 60.0, 7600.0), (12000, 512, 20, 0.0, 6000.0)],
)
def test_mel_filters_equal_librosas(sample_rate: int, n_fft: int, n_mels: int, fmin: float, fmax: float) -> None:
    expected = librosa.filters.mel(sr=sample_rate, n_fft=n_fft, n_mels=n_mels, fmin=fmin, fmax=fmax)
    filters = mel_filters(sample_rate, n_fft, n_mels, fmin, fmax)
    np.testing.assert_allclose(filters, expected, rtol=1e-6, atol=1e-9)
    bands = mel_bands(sample_rate, n_fft, n_mels, fmin, fmax)
    rebuilt = np.zeros_like(filters)
    stops = np.cumsum(bands.count)
    for row, first, count, stop in zip(rebuilt, bands.first, bands.count, stops, strict=True):
        row[first : first + count] = bands.weights[stop - count : stop]
    np.testing.assert_array_equal(rebuilt, filters)


def test_the_mel_scale_goes_there_and_back() -> None:
    frequency = np.array([0.0, 20.0, 999.9, 1000.0, 1000.1, 11025.0])
    np.testing.assert_allclose(mel_to_hz(hz_to_mel(frequency)), frequency, rtol=1e-12)
    np.testing.assert_allclose(hz_to_mel(frequency), librosa.hz_to_mel(frequency), rtol=1e-12)


@pytest.mark.parametrize("tuning", [0.0, -0.5, 0.13, 0.49])
def test_chroma_filters_equal_librosas(tuning: float) -> None:
    expected = librosa.filters.chroma(sr=22050, n_fft=2048, tuning=tuning)
    np.testing.assert_allclose(chroma_filters(22050, 2048, tuning), expected, rtol=1e-6, atol=1e-9)


def test_the_cosine_transform_is_orthonormal_and_scipys() -> None:
    matrix = dct_matrix(128, 128)
    np.testing.assert_allclose(matrix @ matrix.T, np.eye(128), atol=1e-12)
    levels = np.random.default_rng(0).random((128, 3))
    np.testing.assert_allclose(
        dct_matrix(20, 128) @ levels, scipy.fft.dct(levels, axis=0, norm="ortho")[:20], atol=1e-12
    )
