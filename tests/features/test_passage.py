"""How the melody, the partials and the level of a passage move."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from feature_signals import AWKWARD, RATE, Samples, music
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.signal import butter, sosfilt

from genre.errors import DataError
from genre.features.contours import FIRST_BIN, LAST_BIN, _add_salience, _harmonic_weights, find_contours
from genre.features.crest import BANDS, CREST_NAMES, _band_filter, _filtered, crest
from genre.features.dynamics import DYNAMICS_NAMES
from genre.features.handcrafted import FEATURE_NAMES
from genre.features.melody import FRAMES_PER_SEC, MELODY_NAMES, _of_notes, a_weighting, melody, melody_peaks
from genre.features.partials import PARTIALS_NAMES, _rubbing, partials, roughness
from genre.features.passage import PASSAGE_NAMES, passage_features
from genre.features.peaks import Peaks, find_peaks, magnitudes


def features(samples: Samples, sample_rate: int = RATE) -> dict[str, float]:
    return dict(zip(PASSAGE_NAMES, passage_features(samples, sample_rate).tolist(), strict=True))


def tone(pitch_hz: float, seconds: float = 4.0, *, rate: float = 6.0, extent: float = 0.0, sr: int = RATE) -> Samples:
    """A tone with ten harmonics whose pitch swings by ``extent`` cents from the lowest to the highest."""
    time = np.arange(int(seconds * sr)) / sr
    frequency = pitch_hz * 2 ** (extent / 2400 * np.sin(2 * np.pi * rate * time))
    phase = 2 * np.pi * np.cumsum(frequency) / sr
    return (0.2 * sum(np.sin(h * phase) / h for h in range(1, 11))).astype(np.float32)


def peaks(*tones: tuple[float, float]) -> Peaks:
    """One frame with peaks of given frequencies in Hz and amplitudes."""
    frequency, amplitude = np.array(tones, np.float32).T
    return Peaks(frequency[None], amplitude[None], np.array([len(tones)]))


def test_every_value_has_a_name_of_its_own() -> None:
    assert len(set(PASSAGE_NAMES)) == len(PASSAGE_NAMES) == passage_features(music(), RATE).size
    assert all(name == name.lower() and name.isidentifier() for name in PASSAGE_NAMES)
    assert not set(PASSAGE_NAMES) & {*FEATURE_NAMES, *DYNAMICS_NAMES}


@pytest.mark.parametrize(
    ("family", "names"), [(melody, MELODY_NAMES), (partials, PARTIALS_NAMES), (crest, CREST_NAMES)]
)
def test_each_family_has_as_many_values_as_names(
    family: Callable[[Samples], np.ndarray], names: tuple[str, ...]
) -> None:
    assert family(music()).shape == (len(names),)


@pytest.mark.parametrize("rate", [5.0, 6.0, 7.0])
@pytest.mark.parametrize("extent", [50.0, 100.0])
def test_vibrato_has_its_rate_and_extent(rate: float, extent: float) -> None:
    sung = features(tone(330, rate=rate, extent=extent))
    assert sung["melody_vibrato_rate_long_mean"] == pytest.approx(rate, abs=0.4)
    assert sung["melody_vibrato_extent_long_mean"] == pytest.approx(extent, rel=0.2)
    assert sung["melody_vibrato_coverage_long_mean"] > 0.8


def test_a_steady_tone_has_no_vibrato_and_the_height_of_its_pitch() -> None:
    steady = features(tone(220))
    assert steady["melody_vibrato_share"] == steady["melody_vibrato_rate_mean"] == 0
    assert steady["melody_pitch_p50"] == pytest.approx(2400, abs=5)
    assert steady["melody_jitter_long_mean"] < 5
    assert steady["melody_voiced"] > 0.95


def test_notes_have_their_rate_and_intervals() -> None:
    line, height = np.array([-1, 0, 0, 1, 1, -1, 2, 2, 2, 2]), np.array([2400.0, 2800.0, 1600.0])
    values = dict(zip(MELODY_NAMES[-38:-15], _of_notes(line, height, 2.0), strict=True))
    assert values["melody_notes_per_sec"] == 1.5  # three in two seconds
    assert values["melody_interval_mean"] == 8
    assert values["melody_interval_std"] == 8
    ranges = [values[f"melody_interval_range{i}"] for i in range(1, 9)]
    assert ranges == [0, 0, 0, 0.5, 0, 0, 0.5, 0]  # a third, an octave
    assert values["melody_interval_class4"] == values["melody_interval_class0"] == 0.5


def test_the_predominant_melody_is_the_most_salient_contour() -> None:
    drone = 0.3 * tone(110)
    both = features(tone(440, extent=100) + drone)
    assert both["melody_pitch_p50"] == pytest.approx(3600, abs=60)
    assert both["melody_voiced"] > 0.9


def test_rates_do_not_depend_on_the_length_of_the_passage() -> None:
    notes = np.concatenate([tone(220 * 2 ** (i / 12), 0.4) for i in (0, 4, 7, 4, 0, 7, 4, 0, 7, 4)])
    once, thrice = features(notes), features(np.tile(notes, 3))
    for name in ("melody_contours_per_sec", "melody_notes_per_sec", "melody_pitch_p50"):
        assert once[name] == pytest.approx(thrice[name], rel=0.1)


def test_a_contour_lies_on_the_tone() -> None:
    found = find_contours(melody_peaks(tone(330, 2.0)), FRAMES_PER_SEC)
    longest = int(found.length.argmax())
    first = found.position[longest]
    cents = found.cents[first : first + found.length[longest]]
    assert np.allclose(cents, 1200 * np.log2(330 / 55), atol=5)
    assert found.length[longest] == pytest.approx(2.0 * FRAMES_PER_SEC, abs=6)


def test_salience_is_that_of_its_formula() -> None:
    tones = [(200.0, 1.0), (411.0, 0.5), (1003.0, 0.8), (5000.0, 0.2)]
    salience = np.zeros((1, LAST_BIN), np.float32)
    one = peaks(*tones)
    octaves_up = np.log2(np.arange(1, 21))
    _add_salience(one.frequency, one.amplitude, one.count, octaves_up, _harmonic_weights(), salience)
    pitch = 55 * 2 ** (np.arange(FIRST_BIN, LAST_BIN) / 120)
    expected = np.zeros(pitch.size)
    for frequency, amplitude in tones:
        for harmonic in range(1, 21):
            distance = np.abs(12 * np.log2(frequency / harmonic / pitch))
            weight = 0.8 ** (harmonic - 1) * np.cos(np.pi / 2 * np.minimum(distance, 1)) ** 2
            expected += amplitude * weight
    assert np.allclose(salience[0, FIRST_BIN:], expected, atol=0.01)


def test_a_weighting_is_one_at_1000_hz_and_19_db_less_at_100_hz() -> None:
    decibels = 20 * np.log10(a_weighting(np.array([1000.0, 100.0])))
    assert decibels == pytest.approx([0.0, -19.1], abs=0.1)
    assert a_weighting(np.zeros(1))[0] == 0


def test_a_peak_is_found_between_bins() -> None:
    samples = np.sin(2 * np.pi * 1234.5 * np.arange(RATE) / RATE).astype(np.float32)
    spectrum = magnitudes(samples, 2048, 4096, 256, 1000)
    found = find_peaks(spectrum, RATE / 4096, 80.0, 5000.0, most=20, full_scale=512)
    middle = len(found.count) // 2
    strongest = found.amplitude[middle].argmax()
    assert found.frequency[middle, strongest] == pytest.approx(1234.5, abs=0.1)
    assert found.amplitude[middle, strongest] == pytest.approx(512, rel=0.01)


def test_magnitudes_are_those_of_numpy() -> None:
    samples = music(RATE)
    frame = np.pad(samples, 512)[10 * 256 : 10 * 256 + 1024] * np.hanning(1025)[:-1]
    expected = np.abs(np.fft.rfft(frame, 2048))[:600]
    assert np.allclose(magnitudes(samples, 1024, 2048, 256, 600)[10], expected, atol=1e-4 * expected.max())


def test_roughness_is_that_of_its_formula() -> None:
    f, g, a, b = 500.0, 540.0, 1.0, 0.6
    s = 0.24 / (0.0207 * f + 18.96)
    beating = np.exp(-3.5 * s * (g - f)) - np.exp(-5.75 * s * (g - f))
    expected = 0.5 * a * b * (2 * b / (a + b)) ** 3.11 * beating / (a**2 + b**2)
    assert roughness(peaks((f, a), (g, b)))[0] == pytest.approx(expected, rel=2e-3)


def test_close_partials_are_rougher_than_distant_ones() -> None:
    close, distant = peaks((440, 1), (470, 1)), peaks((440, 1), (740, 1))
    assert roughness(close)[0] > 5 * roughness(distant)[0]
    assert [_rubbing(close)[0, 1], _rubbing(distant)[0, 1]] == [1, 0]
    time = np.arange(2 * RATE) / RATE
    beats, fifth = (np.sin(2 * np.pi * 440 * time) + np.sin(2 * np.pi * (440 + d) * time) for d in (30, 300))
    assert (
        features(beats.astype(np.float32))["partials_roughness_p50"]
        > 1 + (features(fifth.astype(np.float32))["partials_roughness_p50"])
    )


def test_partials_of_a_steady_tone_stay_and_those_of_vibrato_move_together() -> None:
    steady, sung = features(tone(300)), features(tone(300, extent=150))
    assert steady["partials_steady_energy_band2"] > 0.95
    assert sung["partials_moving_energy_band2"] > 0.3 > 10 * steady["partials_moving_energy_band2"]
    assert sung["partials_joint_movement"] > 0.5 > 10 * steady["partials_joint_movement"]


def test_noise_fills_the_valleys_between_partials() -> None:
    noisy = tone(300) + np.random.default_rng(0).normal(0, 0.05, 4 * RATE).astype(np.float32)
    assert features(noisy)["partials_valley_p50_band3"] > features(tone(300))["partials_valley_p50_band3"] + 6


def test_a_clipped_signal_has_a_smaller_crest_factor_and_comes_often_near_its_peak() -> None:
    whole = np.random.default_rng(0).normal(0, 0.2, 4 * RATE).astype(np.float32)
    before, clipped = features(whole), features(np.clip(whole, -0.2, 0.2))
    for ms in (20, 200, 3000):
        assert clipped[f"level_crest_{ms}ms_mean_full"] < before[f"level_crest_{ms}ms_mean_full"] - 3
    assert clipped["level_within_0_5db"] > before["level_within_0_5db"] + 1
    assert clipped["level_peaks_p99_p50"] < 0.01


def test_the_crest_factor_of_a_sine_is_three_decibels() -> None:
    sine = features(np.sin(2 * np.pi * 1000 * np.arange(3 * RATE) / RATE).astype(np.float32))
    for ms in (20, 200, 3000):
        assert sine[f"level_crest_{ms}ms_mean_full"] == pytest.approx(3.01, abs=0.02)
    assert sine["level_crest_200ms_mean_mid"] == pytest.approx(3.01, abs=0.2)  # which starts with a transient


@pytest.mark.parametrize(("rate", "name"), [(8, "4_16hz"), (25, "16_40hz"), (70, "40_100hz"), (150, "100_250hz")])
def test_a_tremolo_shows_at_its_rate(rate: float, name: str) -> None:
    time = np.arange(3 * RATE) / RATE
    carrier = np.sin(2 * np.pi * 900 * time)
    swinging = features(((1 + 0.5 * np.sin(2 * np.pi * rate * time)) * carrier).astype(np.float32))
    values = {key: value for key, value in swinging.items() if key.endswith("hz_mid")}
    assert max(values, key=values.__getitem__) == f"level_modulation_{name}_mid"


@pytest.mark.parametrize("band", BANDS)
def test_filters_are_those_of_scipy(band: str) -> None:
    samples = music()
    low, high = BANDS[band]
    sections = butter(4, high if low == 0 else (low, high), "low" if low == 0 else "band", fs=RATE, output="sos")
    assert np.allclose(_filtered(samples, _band_filter(band)), sosfilt(sections, samples), atol=1e-6)


@pytest.mark.parametrize("gain", [0.01, 0.37, 3.0])
def test_level_does_not_matter(gain: float) -> None:
    samples = music(5 * RATE, seed=1)
    expected = passage_features(samples, RATE)
    assert np.allclose(passage_features(samples * np.float32(gain), RATE), expected, rtol=1e-4, atol=1e-4)


def test_it_is_the_same_each_time_and_leaves_the_samples_alone() -> None:
    samples = music()
    kept = samples.copy()
    assert np.array_equal(passage_features(samples, RATE), passage_features(samples, RATE))
    assert np.array_equal(samples, kept)


@pytest.mark.parametrize("name", AWKWARD)
@pytest.mark.parametrize("seconds", [0.5, 3.0])
def test_awkward_sounds_are_finite(name: str, seconds: float) -> None:
    assert np.isfinite(passage_features(AWKWARD[name](int(seconds * RATE)), RATE)).all()


def test_silence_is_the_same_whatever_its_length() -> None:
    short, long = (passage_features(np.zeros(n, np.float32), RATE) for n in (RATE // 2, 5 * RATE))
    assert np.allclose(short, long, atol=1e-6)
    assert np.isfinite(short).all()


def test_a_minute_is_finite() -> None:
    assert np.isfinite(passage_features(music(60 * RATE), RATE)).all()


@pytest.mark.parametrize("sample_rate", [16000, 32000, 44100, 48000])
def test_other_sample_rates_hear_the_same(sample_rate: int) -> None:
    expected = features(tone(330, extent=100))
    found = features(tone(330, extent=100, sr=sample_rate), sample_rate)
    for name in (
        "melody_pitch_p50",
        "melody_vibrato_rate_mean",
        "melody_vibrato_extent_mean",
        "level_range_20ms_p95_p5_mid",
    ):
        assert found[name] == pytest.approx(expected[name], rel=0.02, abs=0.05)


@settings(max_examples=15, deadline=None)
@given(st.integers(RATE // 2 + 1, 10 * RATE), st.integers(0, 2**32 - 1))
def test_noise_of_any_length_is_finite(n_samples: int, seed: int) -> None:
    noise = np.random.default_rng(seed).normal(0, 0.3, n_samples).astype(np.float32)
    assert np.isfinite(passage_features(noise, RATE)).all()


@pytest.mark.parametrize(
    ("samples", "sample_rate", "message"),
    [
        (np.zeros(RATE // 2 - 100, np.float32), RATE, "at least 0.5 s"),
        (np.zeros(0, np.float32), RATE, "at least 0.5 s"),
        (np.zeros((2, RATE), np.float32), RATE, "one channel"),
        (np.full(RATE, np.nan, np.float32), RATE, "not finite"),
        (np.zeros(RATE, np.float32), 8000, "at least 16000 Hz"),
    ],
)
def test_bad_input_is_told(samples: Samples, sample_rate: int, message: str) -> None:
    with pytest.raises(DataError, match=message):
        passage_features(samples, sample_rate)
