"""Pitched instruments: additive cycles, frequency modulation and plucked strings."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.signal import lfilter

Samples = NDArray[np.float32]
_TABLE = 8192
_MOST_HARMONICS = 48
_HALF_TONE = 0.0578  # relative change of frequency
_VIBRATO_HZ = 5.3
_SLIDE_SEC = 0.04  # time in which two thirds of a slide are done


@dataclass(frozen=True, slots=True)
class Instrument:
    """How one instrument sounds.

    Parameters
    ----------
    slope
        Harmonic ``k`` of a cycle is as strong as ``k ** -slope``: small is bright.
    kind
        ``"cycle"`` (a sum of harmonics), ``"fm"`` (two sines) or ``"pluck"`` (a string).
    even
        Strength of the even harmonics: 0 sounds hollow as a clarinet.
    formant
        Centre of a resonance, Hz; 0 for none.
    attack, decay, release
        Rise time, time to fall to 1/e (0 holds the level), and fall time after the note, seconds.
    damping
        Time in which the upper harmonics die, seconds; 0 for never.
    vibrato
        Depth, half-tones.
    detune
        Spread of three voices that play together, half-tones; 0 for one voice.
    slide
        Half-tones below the note from which it is approached.
    noise
        Breath, bow or consonants, as a share of the tone.
    ratio, index
        Frequency ratio and depth of the modulator (``"fm"`` only).
    drive
        Gain into the amplifier, 0 for clean.
    cabinet
        Cut-off of the loudspeaker, Hz (driven instruments only).
    """

    slope: float = 1.0
    kind: str = "cycle"
    even: float = 1.0
    formant: float = 0.0
    attack: float = 0.005
    decay: float = 0.0
    release: float = 0.04
    damping: float = 0.0
    vibrato: float = 0.0
    detune: float = 0.0
    slide: float = 0.0
    noise: float = 0.0
    ratio: float = 1.0
    index: float = 1.0
    drive: float = 0.0
    cabinet: float = 4500.0


_GUITAR = Instrument(slope=1.0, decay=1.2, damping=0.5, release=0.03)
INSTRUMENTS: Mapping[str, Instrument] = {
    "banjo": Instrument(kind="pluck", slope=0.3, decay=0.09, release=0.02),
    "bell": Instrument(kind="fm", decay=0.5, ratio=3.0, index=1.6, release=0.2),
    "blues_guitar": replace(_GUITAR, drive=2.0, vibrato=0.4, slide=1.2, release=0.06),
    "brass": Instrument(slope=0.9, attack=0.03, formant=1200, vibrato=0.1, noise=0.02, release=0.06),
    "cello": Instrument(slope=1.3, attack=0.07, formant=500, vibrato=0.15, detune=0.04, noise=0.02, release=0.15),
    "clean_guitar": Instrument(kind="pluck", slope=0.8, decay=0.18, release=0.02),
    "crunch_guitar": replace(_GUITAR, drive=3.0, detune=0.06),
    "drive_bass": Instrument(slope=1.0, decay=0.8, damping=0.3, drive=3.0, cabinet=2500),
    "dub_bass": Instrument(slope=2.4, decay=0.9, release=0.05),
    "electric_piano": Instrument(kind="fm", decay=0.8, ratio=1.0, index=1.2, release=0.1),
    "fiddle": Instrument(slope=0.9, attack=0.04, formant=1500, vibrato=0.2, slide=0.6, noise=0.04),
    "finger_bass": Instrument(slope=1.5, decay=0.7, damping=0.2),
    "flute": Instrument(slope=2.2, attack=0.05, vibrato=0.15, noise=0.08, release=0.08),
    "growl": Instrument(slope=0.6, formant=700, attack=0.02, noise=0.7, vibrato=0.3, drive=4.0, cabinet=3500),
    "harmonica": Instrument(slope=0.7, attack=0.03, formant=1800, vibrato=0.3, detune=0.05, slide=0.7, noise=0.03),
    "harp": Instrument(kind="pluck", slope=1.0, decay=0.35, release=0.3),
    "lead_guitar": Instrument(slope=0.9, drive=5.0, vibrato=0.25, slide=0.4, release=0.05),
    "melodica": Instrument(slope=0.9, even=0.4, attack=0.03, vibrato=0.1, noise=0.03),
    "metal_guitar": Instrument(slope=0.7, decay=1.5, detune=0.08, drive=14.0, cabinet=5500, release=0.015),
    "nylon_guitar": Instrument(kind="pluck", slope=1.3, decay=0.25, release=0.05),
    "oboe": Instrument(slope=0.6, attack=0.03, formant=1100, vibrato=0.12, release=0.06),
    "organ": Instrument(slope=1.2, even=0.9, attack=0.008, vibrato=0.08, detune=0.03, release=0.02),
    "pad": Instrument(slope=1.4, attack=0.25, detune=0.12, release=0.3),
    "pedal_steel": Instrument(slope=1.2, decay=1.5, vibrato=0.2, slide=1.5, attack=0.02, release=0.1),
    "piano": Instrument(slope=1.4, decay=0.8, damping=0.35, release=0.12),
    "rap": Instrument(slope=0.9, formant=800, attack=0.015, slide=1.5, noise=0.25, decay=0.25),
    "saxophone": Instrument(slope=0.9, formant=900, attack=0.03, vibrato=0.25, slide=0.3, noise=0.05),
    "steel_guitar": Instrument(kind="pluck", slope=0.5, decay=0.25, release=0.03),
    "strings": Instrument(slope=1.1, attack=0.12, detune=0.12, vibrato=0.1, release=0.2),
    "sub_bass": Instrument(slope=3.5, decay=1.2, release=0.05),
    "synth_bass": Instrument(slope=1.1, even=0.7, decay=0.5, damping=0.15),
    "synth_lead": Instrument(slope=0.9, even=0.3, detune=0.1, attack=0.01, release=0.08),
    "upright_bass": Instrument(slope=1.9, decay=0.45, damping=0.12, noise=0.02),
    "vibraphone": Instrument(kind="fm", decay=0.7, ratio=4.0, index=0.5, release=0.2),
    "violin": Instrument(slope=0.9, attack=0.07, formant=1300, vibrato=0.22, noise=0.03, release=0.12),
    "voice": Instrument(slope=1.1, formant=900, attack=0.04, vibrato=0.25, slide=0.8, noise=0.06, release=0.08),
}


def note(instrument: Instrument, midi: float, n_samples: int, sample_rate: int, rng: np.random.Generator) -> Samples:
    """Return one note with its release, peak about 1, shape=(n_samples + release,), float32.

    Parameters
    ----------
    instrument
        What plays.
    midi
        Pitch as a MIDI number, fractions allowed; 69 is 440 Hz.
    n_samples
        How long the note is held.
    sample_rate
        Hz.
    rng
        Source of the pluck and of breath noise.
    """
    n_release = max(1, int(instrument.release * sample_rate))
    seconds = np.arange(n_samples + n_release, dtype=np.float32) / np.float32(sample_rate)
    frequency = 440.0 * 2.0 ** ((midi - 69.0) / 12.0)
    match instrument.kind:
        case "pluck":
            tone = _pluck(instrument, frequency, len(seconds), sample_rate, rng)
        case "fm":
            tone = _fm(instrument, frequency, seconds)
        case _:
            tone = _cycle(instrument, frequency, seconds, sample_rate)
    if instrument.noise:
        tone += np.float32(instrument.noise) * rng.standard_normal(len(seconds), dtype=np.float32)
    return tone * _envelope(instrument, seconds, n_samples, n_release, sample_rate)


def _envelope(instrument: Instrument, seconds: Samples, n_samples: int, n_release: int, sample_rate: int) -> Samples:
    dying = instrument.decay and instrument.kind != "pluck"  # a string dies by itself
    level = np.exp(seconds * np.float32(-1 / instrument.decay)) if dying else np.ones_like(seconds)
    n_attack = min(n_samples, max(1, int(instrument.attack * sample_rate)))
    level[:n_attack] *= np.linspace(0, 1, n_attack, dtype=np.float32)
    level[n_samples:] *= np.linspace(1, 0, n_release, dtype=np.float32) ** 2
    return level


def _cycle(instrument: Instrument, frequency: float, seconds: Samples, sample_rate: int) -> Samples:
    """Read one period of the tone over and over, as the phase says."""
    cycles = _phase(instrument, frequency, seconds)
    table = _harmonics(instrument, frequency, sample_rate, 0.0)
    tone = _read(table, cycles)
    if instrument.detune:
        drift = np.float32(instrument.detune * _HALF_TONE * frequency) * seconds
        tone += _read(table, cycles + drift + np.float32(0.31)) + _read(table, cycles - drift + np.float32(0.67))
        tone *= np.float32(0.5)
    if instrument.damping:
        dark = _read(_harmonics(instrument, frequency, sample_rate, 1.5), cycles)
        tone = dark + (tone - dark) * np.exp(seconds * np.float32(-1 / instrument.damping))
    return tone


def _phase(instrument: Instrument, frequency: float, seconds: Samples) -> Samples:
    """Return the integral of the frequency over time, cycles."""
    cycles = np.float32(frequency) * seconds
    if instrument.vibrato:  # it sets in during the first quarter of a second
        swing = instrument.vibrato * _HALF_TONE * frequency / (2 * np.pi * _VIBRATO_HZ)
        turns = np.sin(seconds * np.float32(2 * np.pi * _VIBRATO_HZ))
        cycles += np.float32(swing) * turns * np.minimum(seconds * np.float32(4), np.float32(1))
    if instrument.slide:
        start = instrument.slide * _HALF_TONE * frequency
        cycles += np.float32(start * _SLIDE_SEC) * np.exp(seconds * np.float32(-1 / _SLIDE_SEC))
    return cycles


def _harmonics(instrument: Instrument, frequency: float, sample_rate: int, darker: float) -> Samples:
    """One period of the tone, band-limited, shape=(8192,)."""
    k = np.arange(1, max(2, min(_MOST_HARMONICS, int(0.45 * sample_rate / frequency))))
    strength = k ** -(instrument.slope + darker)
    strength[1::2] *= instrument.even
    if instrument.formant:
        strength *= 0.25 + np.exp(-0.5 * (np.log2(k * frequency / instrument.formant) / 0.7) ** 2)
    spectrum = np.zeros(_TABLE // 2 + 1, dtype=np.complex64)
    spectrum[k] = strength * np.exp(1j * 2.4 * k**2)  # scattered phases keep the peak low
    table: Samples = np.fft.irfft(spectrum, _TABLE).astype(np.float32)
    table /= np.abs(table).max()
    return table


def _read(table: Samples, cycles: Samples) -> Samples:
    read: Samples = table[(cycles * np.float32(_TABLE)).astype(np.int32) & (_TABLE - 1)]
    return read


def _fm(instrument: Instrument, frequency: float, seconds: Samples) -> Samples:
    """Frequency modulation whose depth dies away (Chowning 1973)."""
    phase = np.float32(2 * np.pi * frequency) * seconds
    depth = np.float32(instrument.index) * np.exp(seconds * np.float32(-3))
    tone: Samples = np.sin(phase + depth * np.sin(np.float32(instrument.ratio) * phase))
    return tone


def _pluck(
    instrument: Instrument, frequency: float, n_samples: int, sample_rate: int, rng: np.random.Generator
) -> Samples:
    """Pluck a string: a burst of noise in a loop that smooths it a little each turn (Karplus and Strong 1983)."""
    period = sample_rate / frequency - 0.5  # the smoothing itself delays by half a sample
    whole = int(period)
    part = period - whole
    loss = np.exp(-1 / (frequency * instrument.decay))  # of one turn
    loop = loss * np.array([0.5 * (1 - part), 0.5, 0.5 * part])
    burst = np.zeros(n_samples, dtype=np.float32)
    n_burst = min(whole + 1, n_samples)
    burst[:n_burst] = lfilter(
        [1.0], [1.0, -min(0.9, 0.45 * instrument.slope)], rng.uniform(-1, 1, n_burst).astype(np.float32)
    )
    denominator = np.zeros(whole + 3, dtype=np.float32)
    denominator[0] = 1.0
    denominator[whole : whole + 3] -= loop.astype(np.float32)
    tone: Samples = lfilter(np.ones(1, dtype=np.float32), denominator, burst)
    return tone / np.float32(np.abs(tone).max() + 1e-9)
