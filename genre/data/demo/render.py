"""From the notes of a track to its samples."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from scipy.fft import irfft, next_fast_len, rfft
from scipy.signal import lfilter

from genre.data.demo.artists import Artist, Sound
from genre.data.demo.composer import Hit, Note, Score
from genre.data.demo.drums import Kit, hit
from genre.data.demo.instruments import INSTRUMENTS, Instrument, note

Samples = NDArray[np.float32]
_LENGTH_STEP = 0.02  # notes whose lengths differ by less share one rendering, seconds


def render(
    score: Score, artist: Artist, n_samples: int, sample_rate: int, rng: np.random.Generator
) -> NDArray[np.int16]:
    """Play a score as an artist does.

    Returns
    -------
    NDArray[np.int16]
        The recording, mono, peak below 0.99 of full scale, shape=(n_samples,).
    """
    mix = np.zeros(n_samples, dtype=np.float32)
    for role, player in artist.players.items():
        instrument = INSTRUMENTS[player.instrument]
        instrument = replace(instrument, slope=max(0.1, instrument.slope + artist.sound.brightness))
        bus = _play(score.notes[role], instrument, n_samples, sample_rate, rng, tuning=artist.sound.tuning)
        _add(mix, bus, player.level)
    _add(mix, _drum(score.hits, artist.kit, n_samples, sample_rate, rng), artist.drums_level)
    return _master(mix, artist.sound, sample_rate, rng)


def _add(mix: Samples, bus: Samples, level: float) -> None:
    """Add a bus at ``level`` dB over a common loudness, measured where it sounds."""
    power = bus[bus != 0] ** 2
    if power.size:
        mix += bus * np.float32(0.1 * 10 ** (level / 20) / np.sqrt(power.mean() + 1e-12))


def _play(
    notes: tuple[Note, ...],
    instrument: Instrument,
    n_samples: int,
    sample_rate: int,
    rng: np.random.Generator,
    *,
    tuning: float,
) -> Samples:
    bus = np.zeros(n_samples, dtype=np.float32)
    rendered: dict[tuple[int, int], Samples] = {}
    for event in notes:
        key = (event.midi, max(1, round(event.length / _LENGTH_STEP)))
        if key not in rendered:
            held = int(key[1] * _LENGTH_STEP * sample_rate)
            rendered[key] = note(instrument, event.midi + tuning, held, sample_rate, rng)
        _place(bus, rendered[key], event.start, event.velocity, sample_rate)
    if instrument.drive:
        bus = _amplifier(bus, instrument, sample_rate)
    return bus


def _drum(hits: tuple[Hit, ...], kit: Kit, n_samples: int, sample_rate: int, rng: np.random.Generator) -> Samples:
    bus = np.zeros(n_samples, dtype=np.float32)
    gains = {"kick": 1.0, "snare": 0.8, "clap": 0.7, "rim": 0.5, "crash": 0.45, "open_hat": 0.4, "brush": 0.35}
    rendered: dict[str, Samples] = {}
    for event in hits:
        if event.drum not in rendered:
            rendered[event.drum] = hit(event.drum, kit, sample_rate, rng) * np.float32(gains.get(event.drum, 0.28))
        _place(bus, rendered[event.drum], event.start, event.velocity, sample_rate)
    return bus


def _place(bus: Samples, sound: Samples, start_sec: float, velocity: float, sample_rate: int) -> None:
    start = int(start_sec * sample_rate)
    room = len(bus) - start
    if room > 0:
        bus[start : start + len(sound)] += np.float32(velocity) * sound[:room]


def _amplifier(bus: Samples, instrument: Instrument, sample_rate: int) -> Samples:
    """Overdrive and the dull loudspeaker behind it."""
    driven = np.tanh(np.float32(instrument.drive) * bus)
    pole = np.float32(np.exp(-2 * np.pi * instrument.cabinet / sample_rate))
    once = lfilter(np.array([1 - pole], dtype=np.float32), np.array([1, -pole], dtype=np.float32), driven)
    twice: Samples = lfilter(np.array([1 - pole], dtype=np.float32), np.array([1, -pole], dtype=np.float32), once)
    return twice


def _master(mix: Samples, sound: Sound, sample_rate: int, rng: np.random.Generator) -> NDArray[np.int16]:
    """Room, equaliser, noise floor, limiter and level."""
    room = _room(sound, sample_rate, rng)
    n_fft = next_fast_len(len(mix) + len(room), real=True)
    spectrum = rfft(mix, n_fft) * (1 + rfft(room, n_fft)) * _equaliser(sound, n_fft, sample_rate)
    wet: Samples = irfft(spectrum, n_fft)[: len(mix)]
    loudness = np.sqrt(np.mean(wet**2)) + np.float32(1e-9)
    wet += rng.standard_normal(len(wet), dtype=np.float32) * loudness * np.float32(10 ** (sound.noise_db / 20))
    squeezed = np.tanh(wet * np.float32(0.4 * sound.squeeze / (loudness * 2)))
    squeezed *= np.float32(sound.peak) / np.abs(squeezed).max()
    recording: NDArray[np.int16] = np.round(squeezed * np.float32(32767)).astype(np.int16)
    return recording


def _room(sound: Sound, sample_rate: int, rng: np.random.Generator) -> Samples:
    """Impulse response of the room: decaying noise (Moorer 1979)."""
    seconds = np.arange(int(sound.reverb_sec * sample_rate), dtype=np.float32) / np.float32(sample_rate)
    tail: Samples = rng.standard_normal(len(seconds), dtype=np.float32)
    tail *= np.exp(seconds * np.float32(-6.9 / sound.reverb_sec))
    tail *= np.float32(sound.reverb / np.sqrt(np.sum(tail**2)))
    return tail


def _equaliser(sound: Sound, n_fft: int, sample_rate: int) -> Samples:
    """Return the gain at each frequency of a real transform, worked out on a coarse grid."""
    hertz = np.geomspace(1, sample_rate / 2, 1024)
    octave = np.log2(hertz)
    gain_db = sound.tilt * np.clip(octave - np.log2(700), -4, 4)
    gain_db += sound.resonance_db * np.exp(-0.5 * ((octave - np.log2(sound.resonance_hz)) / 0.4) ** 2)
    gain_db -= 10 * np.log10(1 + (sound.low_cut / hertz) ** 4) + 10 * np.log10(1 + (hertz / sound.high_cut) ** 8)
    gain = np.interp(np.linspace(0, sample_rate / 2, n_fft // 2 + 1), hertz, 10 ** (gain_db / 20))
    rounded: Samples = gain.astype(np.float32)
    return rounded
