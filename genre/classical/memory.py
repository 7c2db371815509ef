"""How much memory a search takes, and how much there is."""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np
from sklearn.base import clone
from sklearn.pipeline import Pipeline

_BYTES = 8  # of a number
_CONTROL_GROUPS = (
    ("memory.max", "memory.current", "inactive_file"),
    ("memory/memory.limit_in_bytes", "memory/memory.usage_in_bytes", "total_inactive_file"),
)
"""Files below /sys/fs/cgroup of the second and the first version: limit, use, and what of the use is only a cache."""


def free_memory(root: Path = Path("/")) -> int | None:
    """Return how many bytes this process and those it starts may still take, as far as the system tells.

    That is what the machine has, or what the control group of a container leaves of it.

    Parameters
    ----------
    root
        Where ``proc`` and ``sys`` are.
    """
    free = [_of_machine(root), *(_of_group(root / "sys/fs/cgroup", *names) for names in _CONTROL_GROUPS)]
    return min((value for value in free if value is not None), default=None)


def bytes_of_split(n_columns: int, n_train: int, n_judge: int) -> int:
    """Return about how many bytes it takes to fit on transformed rows, of which a classifier has a copy, and to judge.

    Parameters
    ----------
    n_columns
        Of the transformed rows (:func:`columns_after`).
    n_train, n_judge
        Rows to fit on and to judge by.
    """
    return _BYTES * n_columns * (2 * n_train + n_judge)


def columns_after(head: Pipeline, n_features: int) -> int:
    """Return how many columns come out of a scaler and a transform that ``n_features`` go into.

    Where this depends on the number of rows it is less than it will be, as of centres of a clustering: no more than
    settings say, so that it does not matter.
    """
    n_columns = n_features
    for _, step in head.steps:
        if step == "passthrough":
            continue
        rows = np.random.default_rng(0).normal(size=(2, n_columns))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                fitted = clone(step).fit(rows, np.arange(2))
                of_products = getattr(fitted, "n_output_features_", None)  # which may be too many to make them
                n_columns = of_products or fitted.transform(rows).shape[1]
            except Exception:  # what scikit-learn says of two rows; the search tells if it can be fitted at all
                continue
    return int(n_columns)


def most_columns(heads: Iterable[Pipeline], n_features: int) -> int:
    """Return the most columns that come out of any of these."""
    return max((columns_after(head, n_features) for head in heads), default=n_features)


def _of_machine(root: Path) -> int | None:
    facts = _facts(root / "proc/meminfo")
    if "MemAvailable:" in facts:
        return 1024 * facts["MemAvailable:"]
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, OSError, ValueError):  # a system that does not tell
        return None


def _of_group(folder: Path, limit: str, use: str, cache: str) -> int | None:
    try:
        most, used = (int((folder / name).read_text()) for name in (limit, use))
    except (OSError, ValueError):  # no such group, or no limit ("max")
        return None
    return max(0, most - used + _facts((folder / limit).with_name("memory.stat")).get(cache, 0))


def _facts(file: Path) -> Mapping[str, int]:
    """Return the numbers of a file of lines that are a name, a number and perhaps a unit."""
    try:
        lines = [line.split() for line in file.read_text().splitlines()]
    except OSError:
        return {}
    return {words[0]: int(words[1]) for words in lines if len(words) > 1 and words[1].isdigit()}
