"""Cutting a track into clips."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from genre.audio.health import SILENCE_AMPLITUDE
from genre.checks import is_number, is_whole
from genre.errors import ConfigError, near_names

SHORT_RULES = ("pad", "repeat", "drop")
SHORTEST_SEC = 0.5
LONGEST_SEC = 600.0
SHORTEST_PASSAGE_SEC, LONGEST_PASSAGE_SEC = 3.0, 120.0
SHORTEST_HOP_SEC = 0.01
LOWEST_RATE = 1_000
HIGHEST_RATE = 384_000


@dataclass(frozen=True)
class ClipSpec:
    """How a track becomes clips.

    Parameters
    ----------
    clip_sec
        Length of a clip in seconds.
    hop_sec
        Seconds from the start of one clip to the start of the next; ``None`` is ``clip_sec``.
    short
        What becomes of a track shorter than a clip: ``"pad"`` appends silence, ``"repeat"`` starts it again until
        the clip is full, ``"drop"`` leaves the track out.
    sample_rate
        Rate in Hz to which every track is resampled before it is cut.
    passage_sec
        Length in seconds of the passages of which features are computed beside those of the clips, see
        :mod:`genre.data.passages`; ``None``: of none.

    Raises
    ------
    ConfigError
        If a value is out of range; the sentence names the setting.
    """

    clip_sec: float = 3.0
    hop_sec: float | None = None
    short: str = "repeat"
    sample_rate: int = 22050
    passage_sec: float | None = None

    def __post_init__(self) -> None:
        if not is_number(self.clip_sec, SHORTEST_SEC, LONGEST_SEC):
            raise ConfigError(
                f"data.clip_sec={self.clip_sec} is not a usable clip length; choose between {SHORTEST_SEC:g} and "
                f"{LONGEST_SEC:g} seconds, 3 is usual"
            )
        if self.hop_sec is not None and not is_number(self.hop_sec, SHORTEST_HOP_SEC, LONGEST_SEC):
            raise ConfigError(
                f"data.hop_sec={self.hop_sec} is not a usable distance between clips; choose between "
                f"{SHORTEST_HOP_SEC:g} and {LONGEST_SEC:g} seconds, or null for clips end to end"
            )
        if self.short not in SHORT_RULES:
            raise ConfigError(f"data.short={self.short} is unknown; {near_names(str(self.short), SHORT_RULES)}")
        if not is_whole(self.sample_rate, LOWEST_RATE, HIGHEST_RATE):
            raise ConfigError(
                f"data.sample_rate={self.sample_rate} is not a usable rate; choose between {LOWEST_RATE} and "
                f"{HIGHEST_RATE} Hz, 22050 is usual"
            )
        if self.passage_sec is not None and not (
            is_number(self.passage_sec) and SHORTEST_PASSAGE_SEC <= self.passage_sec <= LONGEST_PASSAGE_SEC
        ):
            raise ConfigError(
                f"data.passage_sec={self.passage_sec} is not a usable length of passages; choose between "
                f"{SHORTEST_PASSAGE_SEC:g} and {LONGEST_PASSAGE_SEC:g} seconds, 30 is usual, or null for none"
            )

    @property
    def length(self) -> int:
        """Length of a clip in samples."""
        return round(self.clip_sec * self.sample_rate)

    @property
    def hop(self) -> int:
        """Distance between the starts of neighbouring clips in samples."""
        return self.length if self.hop_sec is None else round(self.hop_sec * self.sample_rate)

    @property
    def passage_length(self) -> int | None:
        """Length of a passage in samples; ``None`` if none are asked for."""
        return None if self.passage_sec is None else round(self.passage_sec * self.sample_rate)

    def settings(self) -> dict[str, Any]:
        """Return the plain values that rebuild this object."""
        return asdict(self)

    def in_samples(self) -> dict[str, Any]:
        """Return what shapes the clips: equal for settings that cut alike, such as a hop of none or ``clip_sec``."""
        return {"sample_rate": self.sample_rate, "length": self.length, "hop": self.hop, "short": self.short}

    def starts(self, n_samples: int) -> NDArray[np.int64]:
        """Return the first sample of every clip of a track of ``n_samples`` samples.

        A rest at the end that does not fill a clip is left out. A track shorter than a clip has one clip, at 0,
        or none if ``short="drop"``.
        """
        if n_samples < self.length:
            return np.zeros(0 if self.short == "drop" or n_samples == 0 else 1, dtype=np.int64)
        return np.arange(0, n_samples - self.length + 1, self.hop, dtype=np.int64)

    def sound(self, samples: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the sound of which the clips of a track are, shape (n,): its samples as they are."""
        return samples

    def cut(self, samples: NDArray[np.float32]) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        """Cut a track into clips.

        Parameters
        ----------
        samples : shape=(n,)
            The track at ``sample_rate``.

        Returns
        -------
        clips : shape=(n_clips, length)
            A read-only view of the samples, so that overlapping clips need no more memory than the track.
        starts : shape=(n_clips,)
            First sample of each clip in the track.
        """
        starts = self.starts(len(samples))
        if len(starts) == 0:
            return np.empty((0, self.length), dtype=samples.dtype), starts
        if len(samples) < self.length:
            samples = self._lengthened(samples)
        return np.lib.stride_tricks.sliding_window_view(samples, self.length)[:: self.hop], starts

    def with_sound(self, samples: NDArray[np.float32]) -> NDArray[np.bool_]:
        """Say which clips of a track have sound, shape (n_clips,): silence has no genre, see :func:`with_sound`."""
        return with_sound(ClipSpec.cut(self, samples)[0])

    def _lengthened(self, samples: NDArray[np.float32]) -> NDArray[np.float32]:
        if self.short == "pad":
            return np.pad(samples, (0, self.length - len(samples)))
        return np.resize(samples, self.length)


def with_sound(clips: NDArray[np.float32]) -> NDArray[np.bool_]:
    """Say which clips, shape (n_clips, length), are not silent by the measure of :mod:`genre.audio.health`."""
    heard = np.zeros(len(clips), dtype=np.bool_)
    for number, clip in enumerate(clips):
        heard[number] = (clip.max() - clip.min()) / 2 >= SILENCE_AMPLITUDE
    return heard
