"""Damage: what a room, a microphone and a codec do to a recording, at random and yet the same for the same seed.

Sound reaches a microphone through a room, the microphone lets a band of it pass and adds noise, the recording is kept
at a lower sample rate, and a codec keeps what fits into its bit rate; in this order.
"""

from __future__ import annotations

import io
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from genre.audio.decode import resample
from genre.audio.health import LOUDEST
from genre.checks import checked_range, is_number
from genre.errors import ConfigError

Range = tuple[float, float]
"""Lowest and highest value that can be drawn."""

Samples = NDArray[np.float32]

NOISES = ("white", "pink", "hum")
CODECS = ("mp3", "ogg")

CODEC_RATES = (8000, 11025, 12000, 16000, 22050, 24000, 32000, 44100, 48000)
"""Sample rates of MPEG audio in Hz; other sound is taken there and back."""

MP3_DELAY = 576 + 528 + 1
"""Samples by which encoder and decoder delay an MP3 (LAME Technical FAQ, lame.sourceforge.io/tech-FAQ.txt)."""

FIRST_REFLECTION_SEC = 0.005
"""Time from the direct sound to the first that comes back from a wall: a detour of 1.7 m."""

BUTTERWORTH_ORDER = 2
HIGHEST_CUT = 0.9
"""Share of half the sample rate from where on a cut changes nothing and is left out."""

LARGEST_GAIN = 10.0
"""Lost level is made up for by this factor at most: what is left of a sound outside the band is not blown up."""

_BLOCK = 1 << 16  # samples encoded at a time: libsndfile's encoders put what they are given on the stack

_LIMITS: dict[str, Range] = {
    "room_rt60_sec": (0.05, 5.0),
    "room_direct_db": (-20.0, 40.0),
    "band_low_hz": (1.0, 2000.0),
    "band_high_hz": (500.0, 200_000.0),
    "noise_snr_db": (-10.0, 100.0),
    "rate_hz": (1000.0, 200_000.0),
    "codec_compression": (0.0, 0.99),
}


@dataclass(frozen=True)
class Damage:
    """How a recording is damaged: of each kind its probability, and the ranges its settings are drawn from.

    Parameters
    ----------
    room
        Probability that the sound comes through a room (:func:`in_a_room`).
    room_rt60_sec, room_direct_db
        Its reverberation time in s, and the energy of the direct sound relative to all the rest in dB.
    band
        Probability that the band is limited (:func:`band_limited`).
    band_low_hz, band_high_hz
        Its edges in Hz.
    noise
        Probability of noise (:func:`noise_of`), which is white, pink or hum, each equally often.
    noise_snr_db
        Level of the sound above that of the noise in dB.
    rate
        Probability of a lower sample rate (:func:`at_lower_rate`).
    rate_hz
        That rate in Hz.
    codec
        Probability of a lossy codec (:func:`coded`), which is MP3 or Ogg Vorbis, equally often.
    codec_compression
        From 0, the best quality, to 0.99, the smallest file; at 22050 Hz an MP3 has about 80 kbit/s at 0.5 and
        40 kbit/s at 0.8.

    Raises
    ------
    ConfigError
        If a setting is out of range.
    """

    room: float = 0.0
    room_rt60_sec: Range = (0.15, 0.6)
    room_direct_db: Range = (0.0, 12.0)
    band: float = 0.0
    band_low_hz: Range = (40.0, 250.0)
    band_high_hz: Range = (4000.0, 9000.0)
    noise: float = 0.0
    noise_snr_db: Range = (12.0, 40.0)
    rate: float = 0.0
    rate_hz: Range = (7000.0, 20_000.0)
    codec: float = 0.0
    codec_compression: Range = (0.5, 0.9)

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if field.name in _LIMITS:
                object.__setattr__(self, field.name, checked_range(f"damage.{field.name}", value, *_LIMITS[field.name]))
            elif not is_number(value, 0, 1):
                raise ConfigError(f"damage.{field.name}={value} is not a probability; choose between 0 and 1")
        if self.band_low_hz[1] >= self.band_high_hz[0]:
            raise ConfigError(
                f"damage.band_low_hz={list(self.band_low_hz)} reaches into damage.band_high_hz="
                f"{list(self.band_high_hz)}; keep the lower edge of the band below the upper"
            )

    def settings(self) -> dict[str, Any]:
        """Return the plain values that rebuild this object."""
        return {name: list(value) if name in _LIMITS else value for name, value in asdict(self).items()}

    def apply(self, samples: Samples, sample_rate: int, seed: int | Sequence[int]) -> Samples:
        """Return a damaged copy of a recording.

        Parameters
        ----------
        samples : shape=(n,)
            The recording; it is not changed.
        sample_rate
            In Hz.
        seed
            Whole numbers from 0 on. What is drawn depends on nothing else, and what is drawn for one kind of damage not
            on the settings of another.

        Returns
        -------
        damaged : shape=(n,)
            Sample for sample in time with the recording, about as loud (lost level is made up for, by 20 dB at most),
            and nowhere beyond full scale. A recording that is spared all kinds, or too loud for sound (``LOUDEST``), is
            returned as it is.
        """
        if samples.size == 0 or not float(np.abs(samples).max()) <= LOUDEST:
            return samples.copy()
        damaged = samples
        kinds = (self._in_a_room, self._band_limited, self._noisy, self._at_lower_rate, self._coded)
        probabilities = (self.room, self.band, self.noise, self.rate, self.codec)
        streams = np.random.SeedSequence(seed).spawn(len(kinds))
        for kind, probability, stream in zip(kinds, probabilities, streams, strict=True):
            random = np.random.default_rng(stream)
            if random.random() < probability:
                damaged = kind(damaged, sample_rate, random)
        return samples.copy() if damaged is samples else _as_loud_as(damaged, samples)

    def _in_a_room(self, samples: Samples, sample_rate: int, random: np.random.Generator) -> Samples:
        rt60_sec, direct_db = _log_uniform(random, self.room_rt60_sec), random.uniform(*self.room_direct_db)
        return in_a_room(samples, room_response(sample_rate, rt60_sec, direct_db, random))

    def _band_limited(self, samples: Samples, sample_rate: int, random: np.random.Generator) -> Samples:
        low_hz, high_hz = _log_uniform(random, self.band_low_hz), _log_uniform(random, self.band_high_hz)
        return band_limited(samples, sample_rate, low_hz, high_hz)

    def _noisy(self, samples: Samples, sample_rate: int, random: np.random.Generator) -> Samples:
        kind, snr_db = NOISES[random.integers(len(NOISES))], random.uniform(*self.noise_snr_db)
        return noisy(samples, noise_of(kind, len(samples), sample_rate, random), snr_db)

    def _at_lower_rate(self, samples: Samples, sample_rate: int, random: np.random.Generator) -> Samples:
        return at_lower_rate(samples, sample_rate, round(_log_uniform(random, self.rate_hz)))

    def _coded(self, samples: Samples, sample_rate: int, random: np.random.Generator) -> Samples:
        codec, compression = CODECS[random.integers(len(CODECS))], random.uniform(*self.codec_compression)
        return coded(samples, sample_rate, codec, compression)


def room_response(sample_rate: int, rt60_sec: float, direct_db: float, random: np.random.Generator) -> Samples:
    """Return the impulse response of a room: the direct sound, 1, and noise that dies away.

    The energy of the reverberation falls by 60 dB within ``rt60_sec``, its amplitude thus as
    ``10 ** (-3 t / rt60_sec)``; that such noise sounds like a room was found by Moorer ("About this reverberation
    business", Computer Music Journal 3(2), 1979).

    Parameters
    ----------
    sample_rate
        In Hz.
    rt60_sec
        Reverberation time in s, and length of the response.
    direct_db
        Energy of the direct sound relative to that of all the rest in dB.
    """
    response = random.standard_normal(math.ceil(rt60_sec * sample_rate), dtype=np.float32)
    response *= np.power(10.0, -3.0 * np.arange(len(response)) / (sample_rate * rt60_sec)).astype(np.float32)
    response[: math.ceil(FIRST_REFLECTION_SEC * sample_rate)] = 0.0
    response *= 10 ** (-direct_db / 20) / math.sqrt(np.square(response, dtype=np.float64).sum())
    response[0] = 1.0
    return response


def in_a_room(samples: Samples, response: Samples) -> Samples:
    """Return samples convolved with an impulse response, cut to their length."""
    from scipy.signal import oaconvolve

    convolved: Samples = oaconvolve(samples, response)[: len(samples)].astype(np.float32)
    return convolved


def band_limited(samples: Samples, sample_rate: int, low_hz: float, high_hz: float) -> Samples:
    """Return samples without what lies far outside a band, whose edges are 3 dB down.

    A Butterworth filter of second order on each side ("On the theory of filter amplifiers", Wireless Engineer 7, 1930):
    12 dB an octave. Edges near half the sample rate or above change nothing.
    """
    from scipy.signal import butter, sosfilt

    filtered: NDArray[Any] = samples
    for edge, kind in ((low_hz, "highpass"), (high_hz, "lowpass")):
        if edge < HIGHEST_CUT * sample_rate / 2:
            filtered = sosfilt(butter(BUTTERWORTH_ORDER, edge, kind, fs=sample_rate, output="sos"), filtered)
    return filtered.astype(np.float32)


def noise_of(kind: str, n_samples: int, sample_rate: int, random: np.random.Generator) -> Samples:
    """Return noise of one of :data:`NOISES`.

    ``"pink"`` falls by 3 dB an octave, by the filter in J. O. Smith, "Spectral Audio Signal Processing" (2011),
    "Example: Synthesis of 1/F Noise". ``"hum"`` is that of mains of 50 or 60 Hz, with harmonics and a little hiss.
    """
    from scipy.signal import lfilter

    white = random.standard_normal(n_samples, dtype=np.float32)
    if kind == "white":
        return white
    if kind == "pink":
        numerator = (0.049922035, -0.095993537, 0.050612699, -0.004408786)
        denominator = (1.0, -2.494956002, 2.017265875, -0.522189400)
        pink: Samples = lfilter(numerator, denominator, white).astype(np.float32)
        return pink
    mains = random.choice((50, 60))
    second = np.arange(sample_rate) / sample_rate
    hum = np.zeros(sample_rate)  # whole frequencies, and so the same every second
    for harmonic in range(1, 11):
        amplitude, phase = random.uniform(0.2, 1.0) / harmonic, random.uniform(0.0, 2 * np.pi)
        if harmonic * mains < sample_rate / 2:
            hum += amplitude * np.sin(2 * np.pi * harmonic * mains * second + phase)
    return np.resize(hum.astype(np.float32), n_samples) + np.float32(0.05) * white


def noisy(samples: Samples, noise: Samples, snr_db: float) -> Samples:
    """Return samples with noise of the same length, ``snr_db`` below their level."""
    loudness = level(noise)
    if loudness == 0:
        return samples.copy()
    return samples + np.float32(level(samples) / loudness * 10 ** (-snr_db / 20)) * noise


def at_lower_rate(samples: Samples, sample_rate: int, rate: int) -> Samples:
    """Return what is left of samples kept at a lower rate in Hz: nothing above half of it. A higher rate keeps all."""
    if rate >= sample_rate:
        return samples.copy()
    kept = resample(resample(samples, sample_rate, rate), rate, sample_rate)[: len(samples)]
    return np.pad(kept, (0, len(samples) - len(kept)))


def coded(samples: Samples, sample_rate: int, codec: str, compression: float) -> Samples:
    """Return what a lossy codec leaves of samples, in time with them.

    Parameters
    ----------
    codec
        One of :data:`CODECS`.
    compression
        From 0, the best quality, to 0.99, the smallest file.
    """
    if not samples.any():
        return samples.copy()
    rate = next((known for known in CODEC_RATES if known >= sample_rate), CODEC_RATES[-1])
    at_rate = resample(samples, sample_rate, rate)
    loudest = np.float32(max(1.0, float(np.abs(at_rate).max())))  # encoders know no samples beyond full scale
    decoded = resample(_round_trip(at_rate / loudest, rate, codec, compression), rate, sample_rate)
    kept = decoded[: len(samples)] * loudest
    return np.pad(kept, (0, len(samples) - len(kept)))


def _round_trip(samples: Samples, rate: int, codec: str, compression: float) -> Samples:
    import soundfile

    subtype = {"mp3": "MPEG_LAYER_III", "ogg": "VORBIS"}[codec]
    stream = io.BytesIO()
    with soundfile.SoundFile(
        stream, "w", rate, 1, format=codec.upper(), subtype=subtype, compression_level=compression
    ) as file:
        for first in range(0, len(samples), _BLOCK):
            file.write(samples[first : first + _BLOCK])
    stream.seek(0)
    decoded: Samples = soundfile.read(stream, dtype="float32")[0]
    # Frames of low bit rate have no room for the tag by which the decoder knows what to leave out.
    skipped = MP3_DELAY if codec == "mp3" and len(decoded) > len(samples) else 0
    return decoded[skipped : skipped + len(samples)]


def level(samples: Samples) -> float:
    """Return the root mean square of samples, apart from a constant offset."""
    return float(np.std(samples, dtype=np.float64))


def _as_loud_as(damaged: Samples, original: Samples) -> Samples:
    before, after = level(original), level(damaged)
    gain = min(before / after, LARGEST_GAIN) if after > 0 else 1.0
    peak = gain * float(np.abs(damaged).max())
    return damaged * np.float32(gain / max(peak, 1.0))


def _log_uniform(random: np.random.Generator, limits: Range) -> float:
    return math.exp(random.uniform(math.log(limits[0]), math.log(limits[1])))
