"""Damage: in time with the recording, as loud, the same for the same seed; and each kind does what it is named for."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.signal import butter, sosfilt, welch

from genre.audio.damage import (
    CODEC_RATES,
    CODECS,
    NOISES,
    Damage,
    at_lower_rate,
    band_limited,
    coded,
    in_a_room,
    level,
    noise_of,
    noisy,
    room_response,
)
from genre.errors import ConfigError

RATE = 22050
ALL = Damage(room=1.0, band=1.0, noise=1.0, rate=1.0, codec=1.0)
KINDS = ("room", "band", "noise", "rate", "codec")


def music(seconds: float = 1.0, rate: int = RATE, seed: int = 0, loudest: float = 0.5) -> np.ndarray:
    """Noise as dark as music, swelling and fading."""
    white = np.random.default_rng(seed).standard_normal(round(seconds * rate) + 500)
    dark = sosfilt(butter(2, 0.1, output="sos"), white)[500:]
    swelling = dark * (1.0 + 0.8 * np.sin(2 * np.pi * 1.5 * np.arange(dark.size) / rate))
    return (loudest * swelling / np.abs(swelling).max()).astype(np.float32)


def delay(original: np.ndarray, damaged: np.ndarray) -> int:
    """The shift in samples at which both are most alike."""
    size = 2 * len(original)
    correlation = np.fft.irfft(np.fft.rfft(damaged, size) * np.conj(np.fft.rfft(original, size)), size)
    shift = int(np.argmax(correlation))
    return shift if shift < len(original) else shift - size


def decibels(ratio: float) -> float:
    return 20 * float(np.log10(ratio))


def only(kind: str, **ranges: object) -> Damage:
    return Damage(**{kind: 1.0, **ranges})


# Any damage


@settings(max_examples=25, deadline=None)
@given(
    n_samples=st.integers(0, 9000),
    rate=st.sampled_from([1000, 8000, 22050, 30001, 96000]),
    loudest=st.sampled_from([1e-4, 0.3, 1.0, 7.0]),
    seed=st.integers(0, 2**130),
)
def test_a_damaged_recording_is_as_long_finite_and_within_full_scale(n_samples, rate, loudest, seed):
    samples = music(n_samples / rate, rate, loudest=loudest) if n_samples else np.zeros(0, np.float32)
    damaged = ALL.apply(samples, rate, seed)
    assert damaged.shape == samples.shape
    assert damaged.dtype == np.float32
    assert np.isfinite(damaged).all()
    assert not (np.abs(damaged) > 1.0).any()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("seed", range(4))
def test_it_is_about_as_loud_and_in_time(kind, seed):
    samples = music(2.0, seed=seed)
    damaged = only(kind).apply(samples, RATE, seed)
    assert abs(decibels(level(damaged) / level(samples))) < 0.1
    assert abs(delay(samples, damaged)) <= (2 if kind == "band" else 0)  # a filter delays what it lets pass a little
    assert not np.array_equal(damaged, samples)


def test_a_loud_recording_is_turned_down_rather_than_clipped():
    square = np.sign(music(1.0)) * np.float32(0.999)
    damaged = only("noise", noise_snr_db=(0.0, 0.0)).apply(square, RATE, 1)
    assert np.abs(damaged).max() == pytest.approx(1.0, abs=1e-6)
    assert (np.abs(damaged) > 0.999).sum() < 5


def test_the_same_seed_gives_the_same_and_another_seed_something_else():
    samples = music()
    first = ALL.apply(samples, RATE, (5, 1))
    np.random.seed(3)  # noqa: NPY002
    np.testing.assert_array_equal(ALL.apply(samples, RATE, (5, 1)), first)
    assert not np.array_equal(ALL.apply(samples, RATE, (5, 2)), first)
    assert not np.array_equal(ALL.apply(samples, RATE, (6, 1)), first)


def test_the_recording_itself_is_not_changed():
    samples = music()
    before = samples.copy()
    for damage in (ALL, Damage()):
        assert not np.shares_memory(damage.apply(samples, RATE, 0), samples)
    np.testing.assert_array_equal(samples, before)


def test_what_is_spared_stays_as_it_is():
    loud = music(loudest=1.7)
    np.testing.assert_array_equal(Damage().apply(loud, RATE, 0), loud)
    beyond = music(loudest=1e20)  # bytes that are not sound: left for the health check to find
    np.testing.assert_array_equal(ALL.apply(beyond, RATE, 0), beyond)
    silence = np.zeros(1000, np.float32)
    np.testing.assert_array_equal(ALL.apply(silence, RATE, 0), silence)


def test_kinds_come_as_often_as_their_probability_says_and_each_by_itself():
    samples = music(0.02)
    hit = [not np.array_equal(Damage(noise=0.3).apply(samples, RATE, seed), samples) for seed in range(400)]
    assert 0.22 < np.mean(hit) < 0.38
    both = Damage(noise=0.3, band=1.0)
    for seed in range(40):
        banded = only("band").apply(samples, RATE, seed)
        assert np.array_equal(both.apply(samples, RATE, seed), banded) is not hit[seed]


def test_sound_outside_the_band_is_not_blown_up():
    rumble = (0.5 * np.sin(2 * np.pi * 2 * np.arange(4 * RATE) / RATE)).astype(np.float32)
    damaged = only("band", band_low_hz=(2000.0, 2000.0)).apply(rumble, RATE, 0)
    assert level(damaged[RATE:]) < 1e-3 * level(rumble)


def test_settings_rebuild_it():
    assert Damage(**ALL.settings()) == ALL
    assert all(isinstance(value, float | list) for value in ALL.settings().values())


@pytest.mark.parametrize(
    ("setting", "values"),
    [
        ("noise", [-0.1, 1.1, float("nan"), "often", None, True]),
        ("room_rt60_sec", [0.5, "0.5", None, [], [0.5], [0.6, 0.5], [0.1, 99], [0.01, 0.5], [0.1, float("nan")]]),
        ("noise_snr_db", [[10, 200], ["a", "b"], [1, 2, 3]]),
        ("rate", [-0.1, 2]),
        ("rate_hz", [[500, 9000], [16000, 8000], 8000]),
        ("codec_compression", [[0, 1], [-0.1, 0.5]]),
        ("band_low_hz", [[100, 3000], [0, 100]]),
        ("band_high_hz", [[100, 8000]]),
    ],
)
def test_a_setting_out_of_range_is_named_in_one_sentence(setting, values):
    for value in values:
        with pytest.raises(ConfigError, match=rf"damage\.{setting}=") as caught:
            Damage(**{setting: value})
        assert "\n" not in str(caught.value)


def test_edges_of_a_band_may_not_cross():
    with pytest.raises(ConfigError, match="keep the lower edge of the band below the upper"):
        Damage(band_low_hz=(100.0, 900.0), band_high_hz=(800.0, 900.0))


# Room


@pytest.mark.parametrize("rt60_sec", [0.1, 0.3, 1.0])
def test_reverberation_falls_by_60_db_within_its_time(rt60_sec):
    response = room_response(RATE, rt60_sec, 0.0, np.random.default_rng(0)).astype(np.float64)
    left = 10 * np.log10(np.cumsum(np.square(response[::-1]))[::-1])  # Schroeder's integral of the decay
    fall, rise = int(0.2 * rt60_sec * RATE), int(0.6 * rt60_sec * RATE)
    assert (left[fall] - left[rise]) / 0.4 == pytest.approx(60.0, abs=4.0)


@pytest.mark.parametrize("direct_db", [-6.0, 0.0, 12.0])
def test_the_direct_path_comes_first_and_is_as_strong_as_asked(direct_db):
    response = room_response(RATE, 0.4, direct_db, np.random.default_rng(0)).astype(np.float64)
    assert response[0] == 1.0
    assert not response[1 : RATE // 200].any()
    assert -10 * np.log10(np.square(response[1:]).sum()) == pytest.approx(direct_db, abs=0.01)


def test_a_click_becomes_the_response_and_length_is_kept():
    click = np.zeros(3000, np.float32)
    click[1000] = 1.0
    response = room_response(RATE, 0.3, 3.0, np.random.default_rng(0))
    heard = in_a_room(click, response)
    assert heard.shape == click.shape
    np.testing.assert_allclose(heard[:1000], 0.0, atol=1e-6)
    np.testing.assert_allclose(heard[1000:], response[:2000], atol=1e-6)


# Band


def gain(frequency: float, low_hz: float, high_hz: float) -> float:
    """What a tone is multiplied by, in dB, once the filter has settled."""
    tone = np.sin(2 * np.pi * frequency * np.arange(2 * RATE) / RATE).astype(np.float32)
    return decibels(level(band_limited(tone, RATE, low_hz, high_hz)[RATE:]) / level(tone[RATE:]))


def test_the_band_passes_and_the_rest_falls_smoothly():
    assert gain(1000, 100, 5000) == pytest.approx(0.0, abs=0.2)
    assert gain(100, 100, 5000) == pytest.approx(-3.0, abs=0.2)
    assert gain(5000, 100, 5000) == pytest.approx(-3.0, abs=0.2)
    assert gain(25, 100, 5000) == pytest.approx(-24.1, abs=1.0)  # 12 dB an octave
    falling = [gain(frequency, 100, 2000) for frequency in (1000, 2000, 3000, 4000, 6000, 8000)]
    assert all(before > after for before, after in itertools.pairwise(falling))


def test_edges_beyond_what_the_rate_can_hold_change_nothing():
    samples = music(rate=8000)
    np.testing.assert_array_equal(band_limited(samples, 8000, 3900.0, 9000.0), samples)


# Noise


@pytest.mark.parametrize("kind", NOISES)
@pytest.mark.parametrize("snr_db", [0.0, 20.0])
def test_noise_is_as_far_below_the_sound_as_asked(kind, snr_db):
    samples = music(2.0)
    noise = noisy(samples, noise_of(kind, len(samples), RATE, np.random.default_rng(0)), snr_db) - samples
    assert decibels(level(samples) / level(noise)) == pytest.approx(snr_db, abs=0.02)


def octaves(noise: np.ndarray) -> np.ndarray:
    """Mean power density, in dB, of the octaves from 100 to 6400 Hz."""
    frequency, power = welch(noise, RATE, nperseg=4096)
    edges = 100 * 2.0 ** np.arange(7)
    inside = [(frequency >= low) & (frequency < high) for low, high in itertools.pairwise(edges)]
    return 10 * np.log10([power[octave].mean() for octave in inside])


def test_white_noise_is_level_and_pink_noise_falls_by_3_db_an_octave():
    white, pink = (octaves(noise_of(kind, 20 * RATE, RATE, np.random.default_rng(0))) for kind in ("white", "pink"))
    np.testing.assert_allclose(np.diff(white), 0.0, atol=0.5)
    np.testing.assert_allclose(np.diff(pink), -3.0, atol=0.6)


@pytest.mark.parametrize("seed", range(3))
def test_hum_is_that_of_the_mains(seed):
    hum = noise_of("hum", 4 * RATE, RATE, np.random.default_rng(seed))
    power = np.square(np.abs(np.fft.rfft(hum)))
    loudest = float(np.fft.rfftfreq(len(hum), 1 / RATE)[np.argmax(power)])
    assert any(loudest % mains == 0 and loudest <= 3 * mains for mains in (50, 60))
    assert power[len(power) // 4 :].sum() < 0.1 * power.sum()


# Sample rate


@pytest.mark.parametrize("rate", [8000, 11025, 12345])
def test_at_a_lower_rate_nothing_is_left_above_half_of_it_and_all_below(rate):
    hiss = (0.1 * np.random.default_rng(0).standard_normal(2 * RATE)).astype(np.float32)
    left = at_lower_rate(hiss, RATE, rate)
    assert left.shape == hiss.shape
    assert delay(hiss, left) == 0
    frequency = np.fft.rfftfreq(len(hiss), 1 / RATE)
    change = np.abs(np.fft.rfft(left)) / np.abs(np.fft.rfft(hiss))
    assert np.median(change[frequency < 0.45 * rate]) == pytest.approx(1.0, abs=0.01)
    assert cut_at(left, 0.52 * rate) < 1e-4 < cut_at(hiss, 0.52 * rate)


def test_a_higher_rate_keeps_all():
    samples = music()
    np.testing.assert_array_equal(at_lower_rate(samples, RATE, RATE), samples)
    np.testing.assert_array_equal(only("rate", rate_hz=(30_000, 40_000)).apply(samples, RATE, 0), samples)


def test_the_rate_is_drawn_from_its_range():
    hiss = (0.1 * np.random.default_rng(0).standard_normal(RATE)).astype(np.float32)
    edges = []
    for seed in range(40):
        damaged = only("rate", rate_hz=(7000, 20_000)).apply(hiss, RATE, seed)
        power = np.cumsum(np.square(np.abs(np.fft.rfft(damaged))))
        edges.append(2 * float(np.fft.rfftfreq(RATE, 1 / RATE)[np.searchsorted(power, 0.999 * power[-1])]))
    assert 6800 < min(edges) < 8500
    assert 16_000 < max(edges) < 20_200


# Codec


def cut_at(samples: np.ndarray, edge: float) -> float:
    """Share of the energy above a frequency."""
    power = np.square(np.abs(np.fft.rfft(samples)))
    return float(power[np.fft.rfftfreq(len(samples), 1 / RATE) > edge].sum() / power.sum())


@pytest.mark.parametrize("codec", CODECS)
@pytest.mark.parametrize("compression", [0.0, 0.5, 0.8, 0.99])
@pytest.mark.parametrize("rate", [8000, 22050, 44100])
def test_coded_sound_is_in_time_to_the_sample(codec, compression, rate):
    samples = music(1.3, rate)
    decoded = coded(samples, rate, codec, compression)
    assert decoded.shape == samples.shape
    assert delay(samples, decoded) == 0
    assert np.corrcoef(samples, decoded)[0, 1] > (0.9 if compression < 0.9 else 0.7)


@pytest.mark.parametrize("codec", CODECS)
def test_harder_compression_loses_more(codec):
    samples = music(1.0)
    lost = [level(coded(samples, RATE, codec, compression) - samples) for compression in (0.0, 0.5, 0.9)]
    assert 0 < lost[0] < lost[1] < lost[2]


def test_a_low_bit_rate_takes_the_highs():
    hiss = (0.1 * np.random.default_rng(0).standard_normal(RATE)).astype(np.float32)
    assert cut_at(coded(hiss, RATE, "mp3", 0.9), 8000) < 0.05 < cut_at(hiss, 8000)


@pytest.mark.parametrize("codec", CODECS)
@pytest.mark.parametrize("rate", [1000, 10000, 30001, 96000, 384000])
def test_rates_that_no_codec_knows_go_there_and_back(codec, rate):
    assert rate not in CODEC_RATES
    samples = music(0.5, rate)
    decoded = coded(samples, rate, codec, 0.5)
    assert decoded.shape == samples.shape
    assert abs(delay(samples, decoded)) <= 1


@pytest.mark.parametrize("codec", CODECS)
@pytest.mark.parametrize("n_samples", [1, 10, 575, 577])
def test_a_few_samples_can_be_coded(codec, n_samples):
    assert coded(music(0.1)[:n_samples], RATE, codec, 0.9).shape == (n_samples,)


@pytest.mark.parametrize("codec", CODECS)
def test_sound_beyond_full_scale_is_not_clipped_by_the_codec(codec):
    loud = music(1.0, loudest=3.0)
    assert np.abs(coded(loud, RATE, codec, 0.3)).max() > 2.5
