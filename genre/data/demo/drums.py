"""Drum sounds from sines and shaped noise."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.signal import lfilter

Samples = NDArray[np.float32]
_METAL_RATIOS = (1.0, 1.342, 1.2312, 1.6532, 1.9523, 2.1523)


@dataclass(frozen=True, slots=True)
class Kit:
    """One drummer's kit.

    Parameters
    ----------
    kick_hz
        Pitch at which the kick drum settles.
    kick_decay
        Time for the kick to fall to 1/e, seconds.
    kick_click
        Strength of the beater, 0 to 1.
    snare_hz
        Pitch of the snare drum.
    snare_decay
        Time for the snares to fall to 1/e, seconds.
    snare_noise
        Share of snares against drum head, 0 to 1.
    metal_hz
        Pitch of cymbals.
    cymbal_decay
        Factor on the length of all cymbals.
    bright
        How much of the low end the cymbals lack, 0 (dull) to 0.95 (bright).
    """

    kick_hz: float
    kick_decay: float
    kick_click: float
    snare_hz: float
    snare_decay: float
    snare_noise: float
    metal_hz: float
    cymbal_decay: float
    bright: float


def hit(drum: str, kit: Kit, sample_rate: int, rng: np.random.Generator) -> Samples:
    """Return one hit of a drum, float32 with a peak of 1, shape=(n_samples,).

    Parameters
    ----------
    drum
        ``kick snare rim clap brush hat open_hat ride crash shaker``.
    kit
        The drummer's kit.
    sample_rate
        Hz.
    rng
        Source of the noise.
    """
    match drum:
        case "kick":
            sound = _kick(kit, sample_rate, rng)
        case "snare":
            sound = _snare(kit, sample_rate, rng)
        case "rim":
            rim = replace(kit, snare_noise=0.15, snare_decay=0.02, snare_hz=4 * kit.snare_hz)
            sound = _snare(rim, sample_rate, rng)
        case "clap":
            sound = _clap(kit, sample_rate, rng)
        case "brush":
            sound = _noise(0.3, 0.08, 0.4, sample_rate, rng) * _rise(0.3, 0.03, sample_rate)
        case "shaker":
            sound = _noise(0.12, 0.03, kit.bright, sample_rate, rng) * _rise(0.12, 0.015, sample_rate)
        case "hat":
            sound = _cymbal(kit, 0.035, 0.2, sample_rate, rng)
        case "open_hat":
            sound = _cymbal(kit, 0.16, 0.25, sample_rate, rng)
        case "ride":
            sound = _cymbal(kit, 0.3, 0.6, sample_rate, rng)
        case "crash":
            sound = _cymbal(kit, 0.6, 0.3, sample_rate, rng)
        case _:
            raise ValueError(f"no such drum: {drum}")
    return sound / np.float32(np.abs(sound).max())


def _clock(length: float, sample_rate: int) -> Samples:
    return np.arange(int(length * sample_rate), dtype=np.float32) / np.float32(sample_rate)


def _rise(length: float, attack: float, sample_rate: int) -> Samples:
    rise: Samples = np.minimum(_clock(length, sample_rate) / np.float32(attack), np.float32(1))
    return rise


def _noise(length: float, decay: float, bright: float, sample_rate: int, rng: np.random.Generator) -> Samples:
    seconds = _clock(length, sample_rate)
    white = rng.standard_normal(len(seconds), dtype=np.float32)
    shaped: Samples = lfilter(np.array([1, -bright], dtype=np.float32), np.ones(1, dtype=np.float32), white)
    shaped *= np.exp(seconds * np.float32(-1 / decay))
    return shaped


def _kick(kit: Kit, sample_rate: int, rng: np.random.Generator) -> Samples:
    seconds = _clock(6 * kit.kick_decay, sample_rate)
    sweep = 0.03  # the pitch falls from four times its end in about this time, seconds
    cycles = kit.kick_hz * (seconds + 3 * sweep * (1 - np.exp(-seconds / np.float32(sweep))))
    sound: Samples = np.sin(np.float32(2 * np.pi) * cycles.astype(np.float32))
    sound *= np.exp(seconds * np.float32(-1 / kit.kick_decay))
    click = _noise(0.02, 0.004, 0.5, sample_rate, rng)[: len(sound)]
    sound[: len(click)] += np.float32(kit.kick_click) * click
    return sound


def _snare(kit: Kit, sample_rate: int, rng: np.random.Generator) -> Samples:
    decay, noise = kit.snare_decay, kit.snare_noise
    seconds = _clock(5 * decay, sample_rate)
    phase = np.float32(2 * np.pi * kit.snare_hz) * seconds
    head = np.sin(phase) + np.float32(0.6) * np.sin(np.float32(1.78) * phase)
    sound: Samples = np.float32(1 - noise) * head * np.exp(seconds * np.float32(-1.6 / decay))
    sound += np.float32(noise) * _noise(5 * decay, decay, 0.3, sample_rate, rng)
    return sound


def _clap(kit: Kit, sample_rate: int, rng: np.random.Generator) -> Samples:
    sound = _noise(0.3, kit.snare_decay * 0.7, 0.5, sample_rate, rng)
    for delay in (0.011, 0.023):
        start = int(delay * sample_rate)
        sound[start:] += _noise(0.3, 0.01, 0.5, sample_rate, rng)[: len(sound) - start] * np.float32(1.5)
    return sound


def _cymbal(kit: Kit, decay: float, tone: float, sample_rate: int, rng: np.random.Generator) -> Samples:
    decay *= kit.cymbal_decay
    length = 4 * decay
    seconds = _clock(length, sample_rate)
    partials = np.zeros_like(seconds)
    for ratio in _METAL_RATIOS:
        partials += np.sign(np.sin(np.float32(2 * np.pi * kit.metal_hz * ratio) * seconds))
    hiss = _noise(length, decay, kit.bright, sample_rate, rng)
    metal: Samples = lfilter(np.array([1, -kit.bright], dtype=np.float32), np.ones(1, dtype=np.float32), partials)
    metal *= np.float32(tone / 3) * np.exp(seconds * np.float32(-1 / decay))
    return metal + np.float32(1 - tone) * hiss
