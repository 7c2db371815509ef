"""Sounds for the tests of features: awkward ones, and something like music."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

RATE = 22050
Samples = NDArray[np.float32]


def music(n_samples: int = 3 * RATE, seed: int = 0) -> Samples:
    """Chords with overtones that change every other beat, eighths on a drum, and a little noise."""
    random = np.random.default_rng(seed)
    time = np.arange(n_samples) / RATE
    beat = 60 / random.uniform(70, 170)
    roots = 110 * 2 ** (random.integers(0, 12, 8) / 12 + random.uniform(-0.04, 0.04))
    phase = 2 * np.pi * np.cumsum(roots[(time / (2 * beat)).astype(int) % 8]) / RATE
    chord = sum(np.sin(k * ratio * phase) / k for ratio in (1, 2 ** (4 / 12), 2 ** (7 / 12)) for k in range(1, 6))
    drum = np.exp(-np.mod(time, beat / 2) * 35) * random.normal(0, 1, n_samples)
    return (0.1 * chord + 0.15 * drum + random.normal(0, 0.002, n_samples)).astype(np.float32)


def _silence(n: int) -> Samples:
    return np.zeros(n, np.float32)


def _click(n: int) -> Samples:
    samples = _silence(n)
    samples[n // 2] = 1.0
    return samples


def _tone(n: int) -> Samples:
    return (0.5 * np.sin(2 * np.pi * 440 * np.arange(n) / RATE)).astype(np.float32)


def _noise(n: int) -> Samples:
    return np.random.default_rng(3).normal(0, 0.2, n).astype(np.float32)


def _dc(n: int) -> Samples:
    return np.full(n, 0.5, np.float32)


def _clipped_square(n: int) -> Samples:
    return np.clip(4 * np.sin(2 * np.pi * 110 * np.arange(n) / RATE), -1, 1).astype(np.float32)


def _half_silent(n: int) -> Samples:
    samples = _noise(n)
    samples[: n // 2] = 0
    return samples


def _dither(n: int) -> Samples:
    return (np.round(np.random.default_rng(4).normal(0, 0.6, n)) / 32768).astype(np.float32)


def _below_single_precision(n: int) -> Samples:
    return np.random.default_rng(5).normal(0, 1e-40, n).astype(np.float32)


AWKWARD: dict[str, Callable[[int], Samples]] = {
    "silence": _silence,
    "click": _click,
    "tone": _tone,
    "noise": _noise,
    "dc": _dc,
    "clipped square": _clipped_square,
    "half silent": _half_silent,
    "dither": _dither,
    "below single precision": _below_single_precision,
}
