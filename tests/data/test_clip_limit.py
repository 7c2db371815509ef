"""At most so many clips of a track."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from genre.data.clip_limit import check_max_clips, spread_clips
from genre.errors import ConfigError


def test_clips_are_spread_over_the_track() -> None:
    rows = np.arange(100, 110)
    track = np.zeros(10, dtype=np.int64)
    assert spread_clips(rows, track, 1).tolist() == [105]
    assert spread_clips(rows, track, 2).tolist() == [102, 107]
    assert spread_clips(rows, track, 5).tolist() == [101, 103, 105, 107, 109]
    assert spread_clips(rows, track, 10).tolist() == rows.tolist()


@given(sizes=st.lists(st.integers(0, 9), max_size=6), most=st.integers(1, 11), seed=st.integers(0, 9))
def test_every_track_has_as_many_as_it_may(sizes: list[int], most: int, seed: int) -> None:
    track = np.repeat(np.random.default_rng(seed).permutation(len(sizes)), sizes)
    rows = np.arange(len(track)) * 3
    kept = spread_clips(rows, track, most)
    assert kept.tolist() == sorted(set(kept.tolist()))
    assert set(kept) <= set(rows)
    of_kept = np.bincount(track[kept // 3], minlength=len(sizes))
    assert np.array_equal(of_kept, np.minimum(np.bincount(track, minlength=len(sizes)), most))


def test_no_limit_is_all() -> None:
    rows = np.array([4, 6, 9])
    assert spread_clips(rows, np.array([0, 0, 1]), check_max_clips(None)).tolist() == [4, 6, 9]


@pytest.mark.parametrize("most", [0, -1, 1.5, True, "two"])
def test_what_is_no_number_of_clips_is_told(most: object) -> None:
    with pytest.raises(ConfigError, match=r"data\.max_clips=.* is not a number of clips; give 1 or more"):
        check_max_clips(most)
