"""Music of random notes, which the tests write for themselves: every seed another recording."""

from __future__ import annotations

import numpy as np


def tune(seconds: float, seed: int, sample_rate: int = 22050) -> np.ndarray:
    """Return notes of random pitch, length and colour over soft noise, two voices."""
    rng = np.random.default_rng(seed)
    samples = rng.normal(0, 0.003, round(seconds * sample_rate))
    for _voice in range(2):
        at = 0
        while at < len(samples):
            n_samples = min(int(rng.uniform(0.1, 0.4) * sample_rate), len(samples) - at)
            time = np.arange(n_samples) / sample_rate
            pitch = 110 * 2 ** (rng.integers(0, 37) / 12)
            note = sum(rng.uniform(0.2, 1) * np.sin(2 * np.pi * k * pitch * time) / k for k in range(1, 8))
            samples[at : at + n_samples] += 0.15 * note * np.exp(-4 * time)
            at += n_samples
    return samples.astype(np.float32)
