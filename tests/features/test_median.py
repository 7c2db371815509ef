from __future__ import annotations

import itertools

import numpy as np
import pytest
import scipy.ndimage
from hypothesis import given, settings
from hypothesis import strategies as st

from genre.features.compiled import round_up
from genre.features.median import GROUP, TAPS, Network, median_network, running_median


def _medians(values: np.ndarray, first_row: int = 0, first_column: int = 0) -> np.ndarray:
    rows, columns = values.shape[0] - first_row, values.shape[1] - first_column
    out = np.full((round_up(rows, GROUP), columns), np.nan, np.float32)
    running_median(values, first_row, first_column, out)
    return out[:rows]


@settings(max_examples=30, deadline=None)
@given(n=st.integers(3, 90), seed=st.integers(0, 99), distinct=st.sampled_from([2, 5, 10**6]))
def test_equals_scipys_median_filter(n: int, seed: int, distinct: int) -> None:
    values = np.random.default_rng(seed).integers(0, distinct, (n, 16)).astype(np.float32)
    expected = scipy.ndimage.median_filter(values, (TAPS, 1), mode="reflect")
    np.testing.assert_array_equal(_medians(values), expected)


def test_a_part_equals_the_part_of_the_whole() -> None:
    values = np.random.default_rng(0).random((130, 40), dtype=np.float32)
    np.testing.assert_array_equal(_medians(values, 32, 16), _medians(values)[32:, 16:])


@pytest.mark.parametrize(("a", "b"), [(1, 1), (2, 1), (4, 2), (8, 4), (16, 8), (3, 5), (1, 7)])
def test_merging_sorts_all_pairs_of_sorted_zeros_and_ones(a: int, b: int) -> None:
    """A network that merges all lists of zeros and ones merges everything (the 0-1 principle)."""
    network = Network(a + b)
    merged = network.merge(list(range(a)), list(range(a, a + b)))
    for ones_a, ones_b in itertools.product(range(a + 1), range(b + 1)):
        values = dict(enumerate([0] * (a - ones_a) + [1] * ones_a + [0] * (b - ones_b) + [1] * ones_b))
        for step in network.steps:
            values[step.low], values[step.high] = sorted((values[step.a], values[step.b]))
        assert [values[i] for i in merged] == [0] * (a + b - ones_a - ones_b) + [1] * (ones_a + ones_b)


def test_the_network_is_as_small_as_its_description_says() -> None:
    steps, medians = median_network()
    operations = sum((step.low >= 0) + (step.high >= 0) for step in steps)
    assert len(medians) == GROUP
    assert operations / GROUP < 33
