"""Rows of which neighbours are mostly the same, each kept once."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

_ROWS_AT_ONCE = 8192


@dataclass(frozen=True)
class RepeatedRows:
    """Rows such as those of the passages of clips: a passage is that of all clips that begin in it.

    Parameters
    ----------
    distinct : shape=(n_distinct, n_columns)
        Each row once.
    number : shape=(n,)
        Which of them each row is.
    """

    distinct: NDArray[np.float32]
    number: NDArray[np.int32]

    @classmethod
    def of(cls, rows: NDArray[np.float32]) -> Self:
        """Return rows, shape (n, n_columns), perhaps a memory map, of which no more than the distinct ones are held."""
        blocks, number = [rows[:0]], np.zeros(len(rows), np.int32)
        n_distinct = 0
        for first, is_new in _new_rows(rows):
            blocks.append(rows[first : first + len(is_new)][is_new])
            number[first : first + len(is_new)] = n_distinct - 1 + np.cumsum(is_new)
            n_distinct += int(is_new.sum())
        return cls(np.concatenate(blocks), number)

    def __getitem__(self, rows: NDArray[np.int64] | slice) -> NDArray[np.float32]:
        """Return these rows, shape (n, n_columns)."""
        chosen: NDArray[np.float32] = self.distinct[self.number[rows]]
        return chosen


def _new_rows(rows: NDArray[np.float32]) -> Iterator[tuple[int, NDArray[np.bool_]]]:
    """Yield the first row of each block of rows, and which of the block differ from the row before them."""
    before = None
    for first in range(0, len(rows), _ROWS_AT_ONCE):
        block = rows[first : first + _ROWS_AT_ONCE]
        is_new = np.ones(len(block), dtype=np.bool_)
        is_new[1:] = (block[1:] != block[:-1]).any(axis=1)
        if before is not None:
            is_new[0] = bool((block[0] != before).any())
        before = block[-1]
        yield first, is_new
