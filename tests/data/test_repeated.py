"""Rows that repeat: each is kept once, and all are there."""

from __future__ import annotations

import numpy as np
import pytest

from genre.data import repeated
from genre.data.repeated import RepeatedRows


@pytest.mark.parametrize("at_once", [1, 3, 7, 1000])
@pytest.mark.parametrize("times", [[1], [4, 1, 9, 2], [3, 3, 3, 3, 3]])
def test_rows_are_those_that_were_given_and_held_once(times: list[int], at_once: int, monkeypatch) -> None:
    monkeypatch.setattr(repeated, "_ROWS_AT_ONCE", at_once)
    distinct = np.random.default_rng(0).standard_normal((len(times), 5)).astype(np.float32)
    rows = np.repeat(distinct, times, axis=0)
    kept = RepeatedRows.of(rows)
    np.testing.assert_array_equal(kept.distinct, distinct)
    np.testing.assert_array_equal(kept[:], rows)
    chosen = np.array([len(rows) - 1, 0, 0])
    np.testing.assert_array_equal(kept[chosen], rows[chosen])


def test_there_may_be_no_rows() -> None:
    kept = RepeatedRows.of(np.zeros((0, 5), np.float32))
    assert kept[:].shape == (0, 5)
