"""Cutting tracks into clips."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from genre.data.clips import ClipSpec
from genre.errors import ConfigError

RATE = 1000  # keeps the arrays of the property tests small

seconds = st.floats(1.0, 30.0).map(lambda value: round(value, 3))
specs = st.builds(
    ClipSpec,
    clip_sec=seconds,
    hop_sec=st.none() | st.floats(0.2, 30.0),
    short=st.sampled_from(["pad", "repeat", "drop"]),
    sample_rate=st.just(RATE),
)


@settings(max_examples=150, deadline=None)
@given(spec=specs, n_samples=st.integers(0, 70 * RATE))
def test_clips_are_the_samples_of_the_track_at_their_start(spec, n_samples):
    track = np.arange(1, n_samples + 1, dtype=np.float32)
    clips, starts = spec.cut(track)
    assert clips.shape == (len(starts), spec.length)
    assert clips.dtype == np.float32
    assert starts.dtype == np.int64
    np.testing.assert_array_equal(starts, spec.starts(n_samples))
    if n_samples >= spec.length:
        for clip, start in zip(clips, starts, strict=True):
            np.testing.assert_array_equal(clip, track[start : start + spec.length])
    else:
        assert len(clips) == (0 if spec.short == "drop" or n_samples == 0 else 1)


@settings(max_examples=150, deadline=None)
@given(spec=specs, n_samples=st.integers(0, 70 * RATE))
def test_starts_are_a_hop_apart_within_the_track_and_as_many_as_fit(spec, n_samples):
    starts = spec.starts(n_samples)
    assert (np.diff(starts) == spec.hop).all()
    if n_samples >= spec.length:
        assert starts[0] == 0
        assert starts[-1] + spec.length <= n_samples < starts[-1] + spec.hop + spec.length
        assert len(starts) == 1 + (n_samples - spec.length) // spec.hop


@settings(max_examples=60, deadline=None)
@given(n_samples=st.integers(1, 2999))
def test_a_short_track_is_padded_repeated_or_dropped(n_samples):
    track = np.random.default_rng(n_samples).standard_normal(n_samples).astype(np.float32)
    ((padded,), (at,)) = ClipSpec(3.0, short="pad", sample_rate=RATE).cut(track)
    np.testing.assert_array_equal(padded[:n_samples], track)
    assert not padded[n_samples:].any()
    assert at == 0
    ((repeated,), (at,)) = ClipSpec(3.0, short="repeat", sample_rate=RATE).cut(track)
    np.testing.assert_array_equal(repeated, track[np.arange(3000) % n_samples])
    assert at == 0
    dropped, starts = ClipSpec(3.0, short="drop", sample_rate=RATE).cut(track)
    assert dropped.shape == (0, 3000)
    assert len(starts) == 0


def test_thirty_seconds_are_ten_clips_of_three_seconds_that_share_the_memory_of_the_track():
    track = np.zeros(30 * 22050, dtype=np.float32)
    clips, starts = ClipSpec().cut(track)
    assert clips.shape == (10, 66150)
    np.testing.assert_array_equal(starts, np.arange(10) * 66150)
    assert np.shares_memory(clips, track)


def test_overlapping_clips_need_no_memory():
    clips, _ = ClipSpec(30.0, hop_sec=0.01).cut(np.zeros(600 * 22050, dtype=np.float32))  # 150 GB if copied
    assert len(clips) > 50_000


@pytest.mark.parametrize(
    ("setting", "values"),
    [
        ("clip_sec", [0, -3, 0.4, 601, float("nan"), float("inf"), None, "three", True]),
        ("hop_sec", [0, -1, 0.001, float("nan"), float("inf"), "auto", False]),
        ("short", ["", "padd", None, 3]),
        ("sample_rate", [0, -22050, 999, 10**7, 22050.0, None, "22050", True]),
    ],
)
def test_a_setting_out_of_range_is_named_in_one_sentence(setting, values):
    for value in values:
        with pytest.raises(ConfigError, match=f"data.{setting}=") as caught:
            ClipSpec(**{setting: value})
        assert "\n" not in str(caught.value)


def test_a_misspelt_rule_is_corrected():
    with pytest.raises(ConfigError, match="did you mean pad"):
        ClipSpec(short="padd")


@pytest.mark.parametrize("clip_sec", range(1, 31))
def test_every_whole_length_from_1_to_30_seconds_can_be_cut(clip_sec):
    clips, _ = ClipSpec(clip_sec).cut(np.zeros(30 * 22050, dtype=np.float32))
    assert clips.shape == (30 // clip_sec, clip_sec * 22050)


def test_settings_rebuild_the_object():
    spec = ClipSpec(5.0, 2.5, "pad", 16000)
    assert ClipSpec(**spec.settings()) == spec


def test_settings_that_cut_alike_are_alike_in_samples():
    assert ClipSpec(3).in_samples() == ClipSpec(3.0, hop_sec=3).in_samples()
    different = [ClipSpec(), ClipSpec(4), ClipSpec(hop_sec=1), ClipSpec(short="pad"), ClipSpec(sample_rate=16000)]
    assert len({str(spec.in_samples()) for spec in different}) == len(different)
