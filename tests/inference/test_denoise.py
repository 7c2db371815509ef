"""Spectral subtraction: the four truths of it, and where the noise is learnt from."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from listening import music, pieces

from genre.errors import ConfigError
from genre.inference.denoise import (
    EPSILON,
    Denoiser,
    NoDenoising,
    SpectralSubtraction,
    subtract_magnitude,
    subtract_power,
)
from genre.inference.noise import LeadIn, RunningMinimum
from genre.inference.overlap import OverlapAdd, mean_magnitude

RATE = 8000
SMALL = {"n_fft": 256, "hop_length": 64}
RULES = ("magnitude", "power")


def white(seconds: float, level: float = 0.05, seed: int = 0) -> np.ndarray:
    return (level * np.random.default_rng(seed).standard_normal(round(seconds * RATE))).astype(np.float32)


def hum(seconds: float, level: float = 0.1) -> np.ndarray:
    time = np.arange(round(seconds * RATE)) / RATE
    return (level * sum(np.sin(2 * np.pi * 125 * k * time) / k for k in (1, 2, 3, 4))).astype(np.float32)


def through(denoiser: Denoiser, *parts: np.ndarray) -> np.ndarray:
    return np.concatenate([*(denoiser.process(part) for part in parts), denoiser.flush()])


def db(samples: np.ndarray) -> float:
    return 10 * float(np.log10(np.mean(np.square(samples, dtype=np.float64)) + 1e-30))


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize(("n_fft", "hop_length"), [(256, 64), (512, 256), (1024, 128)])
def test_without_noise_nothing_changes(rule: str, n_fft: int, hop_length: int) -> None:
    samples = music(1.234, RATE)
    silence = np.zeros(2 * n_fft, np.float32)
    denoiser = SpectralSubtraction(RATE, rule=rule, noise=silence, n_fft=n_fft, hop_length=hop_length)
    np.testing.assert_allclose(through(denoiser, samples), samples, atol=1e-6)


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("noise", [white, hum], ids=["white", "hum"])
def test_noise_alone_drops(rule: str, noise) -> None:
    samples = noise(4.0)
    denoiser = SpectralSubtraction(RATE, rule=rule, noise_sec=1.0, over_subtraction=4.0, **SMALL)
    left = through(denoiser, samples)[2 * RATE :]
    assert db(left) < db(samples) - (9 if noise is white else 14)


def test_noise_that_never_changes_drops_to_the_floor() -> None:
    tone = np.tile(np.sin(2 * np.pi * np.arange(64) * 8 / 64), 200).astype(np.float32)  # the same in every frame
    settings = {"noise": tone, "n_fft": 256, "hop_length": 64}
    assert np.abs(through(SpectralSubtraction(RATE, **settings), tone)[512:-512]).max() < 1e-6
    floored = SpectralSubtraction(RATE, rule="power", over_subtraction=4.0, floor=0.01, **settings)
    left = through(floored, tone)[512:-512]
    assert db(left) == pytest.approx(db(tone) - 20, abs=0.1)  # 0.01 of the power


@pytest.mark.parametrize("rule", RULES)
def test_a_tone_in_white_noise_gains_snr(rule: str) -> None:
    tone = 0.1 * np.sin(2 * np.pi * 1000 * np.arange(4 * RATE) / RATE)
    tone[: 1 * RATE] = 0
    noise = white(4.0, level=0.1)
    denoiser = SpectralSubtraction(RATE, rule=rule, noise_sec=1.0, over_subtraction=4.0, n_fft=512, hop_length=128)
    left = through(denoiser, (tone + noise).astype(np.float32))
    heard = slice(RATE + RATE // 2, -RATE // 2)
    assert db(tone[heard]) - db(left[heard] - tone[heard]) > db(tone[heard]) - db(noise[heard]) + 6


@given(seed=st.integers(0, 1000), source=st.sampled_from(["lead-in", "file", "minimum"]), rule=st.sampled_from(RULES))
@settings(max_examples=20, deadline=None)
def test_pieces_give_what_the_whole_gives(seed: int, source: str, rule: str) -> None:
    samples = music(1.5, RATE, seed) + white(1.5, seed=seed)
    noise = {"lead-in": {"noise_sec": 0.3}, "file": {"noise": white(1.0, seed=7)}, "minimum": {}}[source]
    whole = through(SpectralSubtraction(RATE, rule=rule, **noise, **SMALL), samples)
    parts = through(SpectralSubtraction(RATE, rule=rule, **noise, **SMALL), *pieces(samples, seed, largest=700))
    assert len(whole) == len(samples)
    np.testing.assert_array_equal(parts, whole)


@given(
    kind=st.sampled_from(["silence", "impulse", "square", "loud noise", "constant"]),
    rule=st.sampled_from(RULES),
    source=st.sampled_from([{"noise_sec": 0.1}, {"noise": white(0.2)}, {}]),
)
@settings(max_examples=30, deadline=None)
def test_never_nan_and_never_louder_than_full_scale(kind: str, rule: str, source: dict) -> None:
    samples = {
        "silence": np.zeros(4000),
        "impulse": np.eye(1, 4000, 2000)[0],
        "square": np.sign(np.sin(np.arange(4000) / 10)),
        "loud noise": np.clip(np.random.default_rng(0).normal(0, 0.5, 4000), -1, 1),
        "constant": np.ones(4000),
    }[kind].astype(np.float32)
    left = through(SpectralSubtraction(RATE, rule=rule, **source, **SMALL), samples)
    assert len(left) == len(samples)
    assert np.isfinite(left).all()
    assert np.abs(left).max() < 1.5
    if kind == "silence":
        assert not left.any()  # no floor where there is no phase to give it


def test_output_has_the_time_of_the_input_and_is_late_by_no_more_than_the_delay() -> None:
    denoiser = SpectralSubtraction(RATE, noise=np.zeros(512, np.float32), **SMALL)
    n_in = n_out = 0
    for _ in range(500):
        n_in += 7
        n_out += len(denoiser.process(np.zeros(7, np.float32)))
        assert n_in - n_out <= denoiser.delay


def test_formulas_at_a_frame() -> None:
    spectrum = np.array([3 + 4j, 1j, -2.0, 0.0])
    noise = np.array([1.0, 2.0, 0.5, 1.0])
    left = subtract_magnitude(spectrum, noise)
    np.testing.assert_allclose(left, [(3 + 4j) * 4 / 5, EPSILON * 1j, -1.5, 0])
    snr = 10 * np.log10((25 + 1 + 4) / (1 + 4 + 0.25 + 1))
    factor = 4 - 3 / 20 * snr
    power = np.maximum(np.array([25, 1, 4, 0]) - factor * noise**2, 0.02 * noise**2)
    left = subtract_power(spectrum, noise, over_subtraction=4.0, floor=0.02)
    np.testing.assert_allclose(np.abs(left)[:3], np.sqrt(power)[:3])
    np.testing.assert_allclose(np.angle(left)[:3], np.angle(spectrum)[:3])


@pytest.mark.parametrize(("snr", "factor"), [(-20, 4.75), (-5, 4.75), (0, 4.0), (20, 1.0), (40, 1.0)])
def test_over_subtraction_follows_the_snr_within_its_range(snr: float, factor: float) -> None:
    magnitude = np.full(8, 10 ** (snr / 20))
    left = subtract_power(magnitude.astype(complex), np.ones(8), over_subtraction=4.0, floor=0.0)
    np.testing.assert_allclose(np.abs(left) ** 2, np.maximum(magnitude**2 - factor, 0), atol=1e-9)


def test_lead_in_is_the_mean_of_its_frames_and_then_stays() -> None:
    profile = LeadIn(n_before=2, n_frames=3)
    frames = [np.full(4, float(value)) for value in (9, 9, 1, 2, 3, 50)]
    noise = [profile(frame)[0] for frame in frames]
    assert noise == [9, 9, 1, 1.5, 2, 2]


def test_lead_in_counts_only_frames_that_lie_in_it() -> None:
    noise, loud = white(0.5), white(0.5, level=0.9)
    denoiser = SpectralSubtraction(RATE, noise_sec=0.5, **SMALL)
    denoiser.process(np.concatenate([noise, loud]))
    assert denoiser.noise is not None
    np.testing.assert_allclose(denoiser.noise, mean_magnitude(noise, 256, 64), rtol=0.05)
    assert denoiser.lead_in == 4000


def test_running_minimum_finds_noise_under_music_that_comes_and_goes() -> None:
    noise = white(12.0, level=0.02)
    bursts = music(12.0, RATE) * (np.arange(12 * RATE) // (RATE // 2) % 2 == 0)
    denoiser = SpectralSubtraction(RATE, **SMALL)
    denoiser.process((noise + bursts).astype(np.float32))
    assert denoiser.noise is not None
    ratio = denoiser.noise[3:-3] / mean_magnitude(noise, 256, 64)[3:-3]
    assert 0.7 < np.median(ratio) < 1.4


def test_running_minimum_says_nothing_until_it_has_looked_back() -> None:
    profile = RunningMinimum(16)
    noise = [profile(np.ones(3))[0] for _ in range(20)]
    assert noise[:16] == [0] * 16
    assert noise[16] > 0


def test_running_minimum_forgets() -> None:
    profile = RunningMinimum(16, smoothing=0.0, bias=1.0)
    for _ in range(20):
        quiet = profile(np.ones(2))
    for _ in range(20):
        loud = profile(np.full(2, 5.0))
    assert (quiet[0], loud[0]) == (1, 5)


def test_no_denoising_passes_sound_on() -> None:
    samples = music(0.3, RATE)
    denoiser = NoDenoising(RATE)
    np.testing.assert_array_equal(through(denoiser, samples), samples)
    assert (denoiser.delay, denoiser.lead_in) == (0, 0)


def test_overlap_add_of_less_than_a_frame() -> None:
    frames = OverlapAdd(256, 64, lambda spectrum: spectrum)
    samples = music(0.01, RATE)
    np.testing.assert_allclose(np.concatenate([frames.process(samples), frames.flush()]), samples, atol=1e-7)


@pytest.mark.parametrize(
    ("wrong", "hint"),
    [
        ({"rule": "powr"}, "did you mean power?"),
        ({"n_fft": 1000, "hop_length": 256}, "do not go together"),
        ({"n_fft": 256, "hop_length": 256}, "do not go together"),
        ({"floor": -1}, "denoise.floor=-1"),
        ({"over_subtraction": "much"}, "denoise.over_subtraction=much"),
        ({"noise_sec": 0.001}, "denoise.noise_sec=0.001"),
        ({"noise_sec": 1.0, "noise": white(1.0)}, "give one of them"),
        ({"noise": white(0.01)}, "denoise.noise_file is too short"),
    ],
)
def test_wrong_settings(wrong: dict, hint: str) -> None:
    with pytest.raises(ConfigError, match=hint.replace("?", r"\?")):
        SpectralSubtraction(RATE, **wrong)
