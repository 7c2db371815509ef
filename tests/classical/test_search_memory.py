"""How much memory a search takes, and how much the system says there is."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import MinMaxScaler, PolynomialFeatures, QuantileTransformer

from genre.classical.memory import bytes_of_split, columns_after, free_memory
from genre.classical.search import build_pipeline


@pytest.mark.parametrize(
    ("transform", "n_features", "n_columns"),
    [
        (None, 57, 57),
        (PCA(0.95), 57, 1),
        (PolynomialFeatures(2, include_bias=False), 57, 1710),
        (PolynomialFeatures(2, include_bias=False), 383, 73919),
        (PolynomialFeatures(4, include_bias=False), 699, math.comb(703, 4) - 1),
    ],
    ids=str,
)
@pytest.mark.parametrize("scaler", [None, MinMaxScaler(), QuantileTransformer()], ids=str)
def test_columns_are_known_before_they_are_made(scaler, transform, n_features: int, n_columns: int) -> None:
    assert columns_after(build_pipeline(scaler, transform, LogisticRegression(), seed=0)[:-1], n_features) == n_columns


def test_products_of_two_of_383_features_take_more_than_half_a_megabyte_a_clip() -> None:
    assert bytes_of_split(73919, 0, 1) == 591352
    assert bytes_of_split(73919, 1, 1) == 3 * 591352


def test_free_memory_is_what_the_machine_or_its_control_group_has(tmp_path: Path) -> None:
    def write(name: str, text: str) -> None:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)

    write("proc/meminfo", "MemTotal:       24684052 kB\nMemFree:  100 kB\nMemAvailable:   9000 kB\n")
    assert free_memory(tmp_path) == 9000 * 1024
    write("sys/fs/cgroup/memory.max", "max\n")
    write("sys/fs/cgroup/memory.current", "4000000\n")
    write("sys/fs/cgroup/memory.stat", "anon 1000000\ninactive_file 500000\n")
    assert free_memory(tmp_path) == 9000 * 1024
    write("sys/fs/cgroup/memory.max", "6000000\n")
    assert free_memory(tmp_path) == 2500000


def test_this_machine_has_memory() -> None:
    assert free_memory() > 10**6
