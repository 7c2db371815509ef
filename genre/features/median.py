"""Running median over 31 values, for whole vectors of neighbouring columns at once.

Sixteen neighbouring medians share most of their windows. A network of minima and maxima without branches finds all
sixteen: the 16 values common to all windows are sorted once; then, halving the group of windows each time, the values
that only this half shares are merged in, and whatever can no longer be a median is dropped. What nobody needs is never
computed, which leaves 32 minima or maxima a median. The network is emitted as vector instructions, eight columns wide.

The network is Batcher's odd-even merge sort [1]_; sharing between neighbouring windows follows Adams [2]_.

.. [1] Batcher, K. E. (1968). Sorting networks and their applications. AFIPS Spring Joint Computer Conference.
.. [2] Adams, A. (2021). Fast median filters using separable sorting networks. ACM Trans. Graphics 40(4).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
from llvmlite import ir  # type: ignore[import-untyped]
from numba.core import types
from numba.extending import intrinsic
from numpy.typing import NDArray

from genre.features.compiled import LANES, compiled, round_up

TAPS = 31
GROUP = (TAPS + 1) // 2  # medians found together


class Exchange(NamedTuple):
    """One step of a network: ``low = min(a, b)`` and ``high = max(a, b)``; -1 where a result is not needed."""

    a: int
    b: int
    low: int
    high: int


@dataclass
class Network:
    """Builds a sorting network; values are numbered, the inputs first, and never change."""

    n_inputs: int
    steps: list[Exchange] = field(default_factory=list)
    _known: dict[tuple[int, int], tuple[int, int]] = field(default_factory=dict)

    def exchange(self, a: int, b: int) -> tuple[int, int]:
        """Return the smaller and the larger of two values; asked again, the same answer costs nothing."""
        if (a, b) not in self._known:
            low = self.n_inputs + 2 * len(self.steps)
            self.steps.append(Exchange(a, b, low, low + 1))
            self._known[a, b] = low, low + 1
        return self._known[a, b]

    def sort(self, values: Sequence[int]) -> list[int]:
        """Sort values by merging sorted halves."""
        if len(values) <= 1:
            return list(values)
        half = len(values) // 2
        return self.merge(self.sort(values[:half]), self.sort(values[half:]))

    def merge(self, a: list[int], b: list[int]) -> list[int]:
        """Merge two sorted lists by Batcher's odd-even merge."""
        if not a or not b:
            return a or b
        if len(a) == len(b) == 1:
            return list(self.exchange(a[0], b[0]))
        even, odd = self.merge(a[::2], b[::2]), self.merge(a[1::2], b[1::2])
        merged = [even[0]]
        for o, e in zip(odd, even[1:], strict=False):
            merged.extend(self.exchange(o, e))
        pairs = min(len(odd), len(even) - 1)
        return merged + odd[pairs:] + even[1 + pairs :]

    def needed(self, results: Sequence[int]) -> list[Exchange]:
        """Return the steps that ``results`` depend on."""
        wanted, kept = set(results), []
        for a, b, low, high in reversed(self.steps):
            if low in wanted or high in wanted:
                kept.append(Exchange(a, b, low if low in wanted else -1, high if high in wanted else -1))
                wanted |= {a, b}
        return kept[::-1]


@lru_cache(maxsize=1)
def median_network() -> tuple[tuple[Exchange, ...], tuple[int, ...]]:
    """Return the network from 46 neighbouring values to the medians of the 16 windows of 31 they hold."""
    network = Network(TAPS + GROUP - 1)
    medians: dict[int, int] = {}

    def split(first: int, windows: int, common: list[int], start: int, stop: int) -> None:
        """Find ``windows`` medians; ``common``: what may be a median of the values start..stop-1 that all share."""
        if windows == 1:
            (medians[first],) = common
            return
        half = windows // 2
        for side, added in ((first, range(start - half, start)), (first + half, range(stop, stop + half))):
            merged = network.merge(common, network.sort(added))
            drop = (len(merged) - half) // 2
            split(side, half, merged[drop : drop + half], min(start, added.start), max(stop, added.stop))

    split(0, GROUP, network.sort(range(GROUP - 1, TAPS)), GROUP - 1, TAPS)
    results = tuple(medians[i] for i in range(GROUP))
    return tuple(network.needed(results)), results


def running_median(values: NDArray[np.float32], first_row: int, first_column: int, out: NDArray[np.float32]) -> None:
    """Find the medians of 31 neighbours along the first axis, mirrored at both ends (d c b a | a b c d | d c b a).

    Parameters
    ----------
    values
        Finite, C-contiguous, shape (n, width).
    first_row, first_column
        Where in ``values`` to begin.
    out
        Filled with the medians, which equal the same part of
        ``scipy.ndimage.median_filter(values, (31, 1), mode="reflect")``. C-contiguous, of as many rows as a multiple of
        16, where only those that ``values`` has are meant, and as many columns as a multiple of 8.
    """
    _running_median(values, _mirrored(values.shape[0])[first_row:], first_column, out)


@lru_cache(maxsize=64)
def _mirrored(n: int) -> NDArray[np.intp]:
    """Return which of ``n`` rows stands at each place from 15 before the first to well behind the last."""
    place = np.arange(-(TAPS // 2), round_up(n, GROUP) + GROUP + TAPS // 2) % (2 * n)
    return np.where(place < n, place, 2 * n - 1 - place).astype(np.intp)


def _emit_sixteen_medians(  # noqa: PLR0917  numba passes by position
    typing_context: Any, values: Any, rows: Any, out: Any, row: Any, column: Any, from_column: Any
) -> Any:
    """Write the medians of values[rows[row :], from_column :] to out[row : row + 16, column : column + 8]."""
    signature = types.void(values, rows, out, row, column, from_column)

    def emit(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        source, index, target = (
            context.make_array(kind)(context, builder, value=value)
            for kind, value in zip(signature.args[:3], arguments[:3], strict=True)
        )
        first, out_column, value_column = arguments[3:]
        vector = ir.VectorType(ir.FloatType(), LANES)

        def place(array: Any, at: Any, column: Any) -> Any:
            row_bytes = builder.mul(at, builder.extract_value(array.strides, 0))
            offset = builder.add(row_bytes, builder.mul(column, ir.Constant(column.type, 4)))
            start = builder.ptrtoint(array.data, offset.type)
            return builder.inttoptr(builder.add(start, offset), vector.as_pointer())

        def below(i: int) -> Any:
            return builder.add(first, ir.Constant(first.type, i))

        steps, results = median_network()
        known = {}
        for i in range(TAPS + GROUP - 1):
            at = builder.load(builder.gep(index.data, [below(i)]))
            known[i] = builder.load(place(source, at, value_column), align=4)
        for a, b, low, high in steps:
            less = builder.fcmp_ordered("<", known[a], known[b])
            if low >= 0:
                known[low] = builder.select(less, known[a], known[b])
            if high >= 0:
                known[high] = builder.select(less, known[b], known[a])
        for i, result in enumerate(results):
            builder.store(known[result], place(target, below(i), out_column), align=4)
        return context.get_dummy_value()

    return signature, emit


_sixteen_medians: Any = intrinsic(_emit_sixteen_medians)


@compiled
def _running_median(
    values: NDArray[np.float32], rows: NDArray[np.intp], first_column: int, out: NDArray[np.float32]
) -> None:
    for row in range(0, out.shape[0], 16):
        for column in range(0, out.shape[1], 8):
            _sixteen_medians(values, rows, out, row, column, first_column + column)
