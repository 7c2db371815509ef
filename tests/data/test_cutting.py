"""Clips of sound in pieces are the clips of the whole."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from genre.data.clips import ClipSpec
from genre.data.cutting import ClipCutter


@given(
    n_samples=st.integers(0, 30_000),
    hop_sec=st.sampled_from([None, 0.05, 0.3, 0.5, 1.7]),
    short=st.sampled_from(["pad", "repeat", "drop"]),
    sizes=st.lists(st.integers(150, 9000), min_size=1, max_size=8),
)
@settings(max_examples=60, deadline=None)
def test_clips_of_pieces_are_those_of_the_whole(n_samples: int, hop_sec: float | None, short: str, sizes) -> None:
    spec = ClipSpec(clip_sec=0.5, hop_sec=hop_sec, short=short, sample_rate=8000)
    samples = np.arange(n_samples, dtype=np.float32)
    cutter = ClipCutter(spec)
    cut, at, turn = [], 0, 0
    while at < n_samples:
        size = sizes[turn % len(sizes)]
        cut.append(cutter.push(samples[at : at + size]))
        at, turn = at + size, turn + 1
    cut.append(cutter.finish())
    clips, starts = spec.cut(samples)
    np.testing.assert_array_equal(np.concatenate([clips for clips, _ in cut]), clips)
    np.testing.assert_array_equal(np.concatenate([starts for _, starts in cut]), starts)


@pytest.mark.parametrize("hop_sec", [0.1, 1.0, 5.0])
def test_less_than_a_clip_is_held(hop_sec: float) -> None:
    spec = ClipSpec(clip_sec=1.0, hop_sec=hop_sec, sample_rate=8000)
    cutter = ClipCutter(spec)
    for _ in range(200):
        cutter.push(np.zeros(777, np.float32))
        assert len(cutter._held) < spec.length
