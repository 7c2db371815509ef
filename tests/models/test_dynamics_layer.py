"""The dynamics of a batch are those of the feature set, and hold for any length, rate and number of bins."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from genre.features.dynamics import DYNAMICS_NAMES, dynamics
from genre.features.spectrogram import LogMel
from genre.models.dynamics import Dynamics

RATE = 22050 / 512


def levels(n_clips: int = 3, seconds: float = 3.0, n_mels: int = 128) -> torch.Tensor:
    """Log-mel levels of noise whose loudness and colour change."""
    random = np.random.default_rng(0)
    n = round(22050 * seconds)
    time = np.arange(n) / 22050
    clips = [
        random.normal(size=n) * (1.1 + np.sin(2 * np.pi * rate * time)) + np.sin(2 * np.pi * 440 * rate * time)
        for rate in range(1, n_clips + 1)
    ]
    spectrograms = LogMel(n_mels=n_mels).compute(np.array(clips, dtype=np.float32) * 0.1, 22050)
    return torch.from_numpy(spectrograms)[:, None]


def test_values_are_those_of_the_feature_set() -> None:
    clips = levels()
    statistics = Dynamics(128, clips.shape[-1], RATE)(clips).numpy()
    expected = dynamics(clips[:, 0].numpy())
    deviations = [i for i, name in enumerate(DYNAMICS_NAMES) if name.endswith("_std")]
    shared = statistics[:, : len(DYNAMICS_NAMES)].copy()
    shared[:, deviations] = np.exp(shared[:, deviations])
    np.testing.assert_allclose(shared, expected, rtol=2e-3, atol=2e-3)


def test_cepstral_means_and_deviations_follow() -> None:
    from genre.features.mel import cepstrum

    clips = levels(1)
    module = Dynamics(128, clips.shape[-1], RATE)
    tail = module(clips)[0, len(DYNAMICS_NAMES) :].numpy()
    coefficients = cepstrum(clips[0, 0].numpy(), 20)
    assert module.size == len(DYNAMICS_NAMES) + 40 + 32
    np.testing.assert_allclose(tail[:20], coefficients.mean(axis=1), rtol=1e-3, atol=1e-3)
    np.testing.assert_allclose(np.exp(tail[20:40]), coefficients.std(axis=1), rtol=1e-3)


def test_contrast_is_peaks_above_valleys() -> None:
    clips = torch.full((1, 1, 128, 40), -60.0)
    clips[0, 0, 3] = -20.0  # one tone in the first group of eight bins: of two peaks it is one
    clips[0, 0, 8:16, ::2] = torch.arange(8.0)[:, None]  # 6.5 above 1.5 in every other frame
    tail = Dynamics(128, 40, RATE)(clips)[0, -32:]
    torch.testing.assert_close(tail[:3], torch.tensor([20.0, 2.5, 0.0]))
    assert tail[17].exp() == pytest.approx(2.5)
    assert torch.all(tail[[16, 18]] == np.float32(np.log(1e-3)))


def test_tones_have_more_contrast_than_noise() -> None:
    random = np.random.default_rng(0)
    time = np.arange(66150) / 22050
    tones = sum(np.sin(2 * np.pi * 220 * 2 ** (i / 4) * time) for i in range(20)) * 0.02
    sounds = np.stack([tones, random.normal(size=66150) * 0.1]).astype(np.float32)
    clips = torch.from_numpy(LogMel().compute(sounds, 22050))[:, None]
    tonal, noisy = Dynamics(128, clips.shape[-1], RATE)(clips)[:, -32:-16]
    assert tonal[6:12].min() > noisy[6:12].max() + 3


def test_a_clip_does_not_depend_on_its_batch() -> None:
    clips = levels()
    module = Dynamics(128, clips.shape[-1], RATE)
    torch.testing.assert_close(module(clips)[1:2], module(clips[1:2]), rtol=1e-5, atol=1e-5)


def test_a_long_clip_is_the_mean_of_its_windows() -> None:
    clips = levels(2, seconds=4.0)
    module = Dynamics(128, 50, RATE)
    windows = torch.stack([module(clips[..., first : first + 50]) for first in (0, 50, 100)])
    assert clips.shape[-1] < 200
    torch.testing.assert_close(module(clips), windows.mean(dim=0), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("bins", [4, 30, 64, 100, 128, 513])
@pytest.mark.parametrize("frames", [3, 7, 130])
def test_any_size_gives_finite_statistics(bins: int, frames: int) -> None:
    module = Dynamics(bins, 130, RATE)
    noise = torch.randn(2, 1, bins, frames, generator=torch.Generator().manual_seed(0))
    for clips in (noise, torch.full_like(noise, -80.0)):
        statistics = module(clips)
        assert statistics.shape == (2, module.size)
        assert torch.isfinite(statistics).all()


def test_low_frame_rates_have_no_empty_band() -> None:
    clips = torch.randn(1, 1, 16, 24, generator=torch.Generator().manual_seed(0))
    slow = Dynamics(16, 24, 8.0)  # 4 Hz is the fastest swing it can hold: bands above are empty and 0
    assert torch.isfinite(slow(clips)).all()


def test_computes_in_float32_under_autocast() -> None:
    clips = levels(1)
    module = Dynamics(128, clips.shape[-1], RATE)
    with torch.autocast("cpu", torch.bfloat16):
        inside = module(clips)
    assert inside.dtype == torch.float32
    assert torch.equal(inside, module(clips))
