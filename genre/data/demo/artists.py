"""Invented artists: habits of playing and of recording that stay the same over an artist's tracks.

Everything about the sound of a recording is drawn from the same distributions for all genres, so that an artist can be
known by the sound, but a genre only by what is played.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from genre.data.demo.drums import Kit
from genre.data.demo.styles import STYLES

BORROWING = 0.08  # probability that an artist plays one role as a neighbouring genre does
ROLES = ("bass", "comp", "lead", "extra")


@dataclass(frozen=True, slots=True)
class Player:
    """Who plays one role for an artist.

    Parameters
    ----------
    style
        Genre whose part it plays, mostly the artist's own.
    instrument
        Name in :data:`genre.data.demo.instruments.INSTRUMENTS`.
    pattern
        Index of the favourite pattern of the part.
    level
        Loudness in the mix, dB.
    """

    style: str
    instrument: str
    pattern: int
    level: float


@dataclass(frozen=True, slots=True)
class Sound:
    """How an artist's records sound.

    Parameters
    ----------
    brightness
        Change of the slope of all harmonics; positive is darker.
    tilt
        Slope of the equaliser, dB an octave about 700 Hz.
    low_cut, high_cut
        Edges of the recorded band, Hz.
    resonance_hz, resonance_db
        A peak or a dip of the room.
    reverb, reverb_sec
        Level against the dry sound, and time to fall by 60 dB.
    noise_db
        Noise floor against the music, dB.
    squeeze
        Gain into the limiter of the master; more is denser.
    peak
        Highest sample, 0 to 1.
    tuning
        Distance from concert pitch, half-tones.
    """

    brightness: float
    tilt: float
    low_cut: float
    high_cut: float
    resonance_hz: float
    resonance_db: float
    reverb: float
    reverb_sec: float
    noise_db: float
    squeeze: float
    peak: float
    tuning: float


@dataclass(frozen=True, slots=True)
class Artist:
    """An invented artist of one genre.

    Parameters
    ----------
    genre
        Name in :data:`genre.data.demo.styles.STYLES`.
    players
        By role.
    drum_style, drum_pattern
        Genre whose drums are played, and the index of the favourite pattern.
    drums_level
        Loudness of the drums in the mix, dB.
    kit
        The drums.
    sound
        The recording.
    tempo
        About which the tracks lie, beats a minute.
    swing
        Place of the off-beat inside its beat.
    keys
        Favourite keys, pitch classes 0 to 11.
    looseness
        Standard deviation of the timing, seconds.
    """

    genre: str
    players: Mapping[str, Player]
    drum_style: str
    drum_pattern: int
    drums_level: float
    kit: Kit
    sound: Sound
    tempo: float
    swing: float
    keys: tuple[int, ...]
    looseness: float


def draw_artist(genre: str, rng: np.random.Generator) -> Artist:
    """Invent an artist who plays ``genre``; the same state of ``rng`` gives the same one."""
    style = STYLES[genre]
    lender = str(rng.choice(style.neighbours)) if rng.random() < BORROWING else genre
    lent = str(rng.choice(("drums", "bass", "comp", "lead")))
    players = {}
    for role in ROLES:
        source = lender if role == lent and role in STYLES[lender].parts else genre
        if role in STYLES[source].parts:
            players[role] = _draw_player(source, role, rng)
    drum_style = lender if lent == "drums" else genre
    low, high = style.tempo
    return Artist(
        genre=genre,
        players=players,
        drum_style=drum_style,
        drum_pattern=int(rng.integers(max(1, len(STYLES[drum_style].drums)))),
        drums_level=STYLES[drum_style].drums_level + 1.5 * rng.standard_normal(),
        kit=_draw_kit(rng),
        sound=_draw_sound(rng),
        tempo=low + (high - low) * rng.beta(2, 2),
        swing=rng.uniform(*style.swing),
        keys=tuple(rng.choice(12, 3, replace=False).tolist()),
        looseness=rng.uniform(0.001, 0.010),
    )


def _draw_player(source: str, role: str, rng: np.random.Generator) -> Player:
    part = STYLES[source].parts[role]
    return Player(
        style=source,
        instrument=str(rng.choice(part.instruments)),
        pattern=int(rng.integers(len(part.patterns))),
        level=part.level + 1.5 * rng.standard_normal(),
    )


def _draw_kit(rng: np.random.Generator) -> Kit:
    return Kit(
        kick_hz=rng.uniform(42, 68),
        kick_decay=rng.uniform(0.06, 0.16),
        kick_click=rng.uniform(0.0, 0.8),
        snare_hz=rng.uniform(150, 260),
        snare_decay=rng.uniform(0.05, 0.12),
        snare_noise=rng.uniform(0.4, 0.9),
        metal_hz=rng.uniform(330, 620),
        cymbal_decay=rng.uniform(0.6, 1.5),
        bright=rng.uniform(0.6, 0.95),
    )


def _draw_sound(rng: np.random.Generator) -> Sound:
    return Sound(
        brightness=0.2 * rng.standard_normal(),
        tilt=0.8 * rng.standard_normal(),
        low_cut=float(np.exp(rng.uniform(np.log(25), np.log(90)))),
        high_cut=float(np.exp(rng.uniform(np.log(6000), np.log(11000)))),
        resonance_hz=float(np.exp(rng.uniform(np.log(200), np.log(4000)))),
        resonance_db=3 * rng.standard_normal(),
        reverb=float(np.exp(rng.uniform(np.log(0.04), np.log(0.4)))),
        reverb_sec=rng.uniform(0.3, 1.8),
        noise_db=rng.uniform(-65, -38),
        squeeze=rng.uniform(0.5, 2.5),
        peak=rng.uniform(0.5, 0.97),
        tuning=rng.uniform(-0.35, 0.35),
    )
