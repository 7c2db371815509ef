"""The library's gate in blocks."""

from __future__ import annotations

import numpy as np
import pytest
from listening import music, pieces

from genre.errors import ConfigError
from genre.inference.gating import NoiseReduce

RATE = 8000


def through(denoiser: NoiseReduce, parts) -> np.ndarray:
    return np.concatenate([*(denoiser.process(part) for part in parts), denoiser.flush()])


def noisy(seconds: float = 2.0) -> tuple[np.ndarray, np.ndarray]:
    noise = 0.05 * np.random.default_rng(0).standard_normal(round(seconds * RATE)).astype(np.float32)
    sound = music(seconds, RATE)
    sound[: RATE // 2 + 200] = 0
    return sound, noise


@pytest.mark.parametrize("source", [{"noise_sec": 0.6}, {}, {"noise": noisy()[1]}], ids=["lead-in", "itself", "file"])
def test_pieces_give_what_the_whole_gives(source: dict) -> None:
    sound, noise = noisy()
    whole = through(NoiseReduce(RATE, **source), [sound + noise])
    assert len(whole) == len(sound)
    assert np.isfinite(whole).all()
    np.testing.assert_array_equal(through(NoiseReduce(RATE, **source), pieces(sound + noise, 3)), whole)


def test_noise_of_the_lead_in_is_taken_out_of_the_gaps_and_loud_sound_is_left() -> None:
    random = np.random.default_rng(1)
    noise = 0.02 * random.standard_normal(4 * RATE).astype(np.float32)
    time = np.arange(4 * RATE) / RATE
    loud = (time > 1) & (time % 1 < 0.5)  # half a second of every second, after a lead-in of noise alone
    sound = np.where(loud, 0.3 * random.standard_normal(4 * RATE), 0).astype(np.float32)
    left = through(NoiseReduce(RATE, noise_sec=0.5), [sound + noise])
    gap = (time > 1.6) & (time % 1 > 0.6) & (time % 1 < 0.9)
    inside = loud & (time % 1 > 0.1) & (time % 1 < 0.4)
    assert np.square(left[gap]).mean() < 0.1 * np.square(noise[gap]).mean()
    assert np.square((left - sound)[inside]).mean() < 0.02 * np.square(sound[inside]).mean()


@pytest.mark.parametrize("rate", [8000, 22050])
@pytest.mark.parametrize("level", [0.3, 1.0])
def test_quiet_tones_are_closer_to_the_sound_without_noise(rate: int, level: float) -> None:
    noise = 0.05 * np.random.default_rng(0).standard_normal(4 * rate).astype(np.float32)
    sound = level * music(4.0, rate)
    sound[: rate // 2] = 0
    left = through(NoiseReduce(rate, noise_sec=0.45), [sound + noise])
    heard = slice(round(0.6 * rate), round(3.8 * rate))
    assert np.square((left - sound)[heard]).mean() < 0.5 * np.square(noise[heard]).mean()


def test_silence_and_short_sound() -> None:
    assert not through(NoiseReduce(RATE), [np.zeros(RATE, np.float32)]).any()
    assert through(NoiseReduce(RATE), []).shape == (0,)
    assert len(through(NoiseReduce(RATE, noise_sec=0.6), [music(0.1, RATE)])) == RATE // 10


@pytest.mark.parametrize("wrong", [{"strength": 2}, {"block_sec": 0}, {"context_sec": "long"}, {"noise_sec": 0.01}])
def test_wrong_settings(wrong: dict) -> None:
    with pytest.raises(ConfigError, match=f"denoise.{next(iter(wrong))}="):
        NoiseReduce(RATE, **wrong)
