"""Front ends: from the samples of a clip to the spectrogram a network sees."""

from __future__ import annotations

import inspect
from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from genre.errors import ConfigError, near_names
from genre.features.clips import as_clips, at_rate, resampled_length
from genre.features.filters import mel_bands
from genre.features.mel import decibels, mel_power
from genre.features.stft import count_frames, magnitudes

if TYPE_CHECKING:
    from torch import Tensor

_AMIN = np.float32(1e-10)  # in pictures of 8 bits smaller powers count as this one


class FrontEnd(ABC):
    """Turns clips into spectrograms by way of a short-time Fourier transform.

    The constructor of a front end takes plain numbers and strings and keeps each under its own name, so that
    :meth:`settings` says everything there is to know. A subclass adds :meth:`shape`, :meth:`picture` and
    :meth:`to_float`.

    Parameters
    ----------
    sample_rate
        In Hz; clips at another rate are resampled one by one.
    n_fft
        Samples of a frame.
    hop_length
        Samples from frame to frame.

    Attributes
    ----------
    name : str
        What :func:`build_frontend` knows it by.
    dtype : str
        Of the spectrograms as they are stored.
    in_decibels : bool
        Whether :meth:`to_float` returns levels in dB.
    """

    name: ClassVar[str]
    dtype: ClassVar[Literal["float32", "uint8"]]
    in_decibels: ClassVar[bool]

    def __init__(self, sample_rate: int, n_fft: int, hop_length: int) -> None:
        _require(sample_rate >= 1, "frontend.sample_rate", sample_rate, "at least 1")
        _require(n_fft >= 2 and n_fft % 2 == 0, "frontend.n_fft", n_fft, "even and at least 2")
        _require(hop_length >= 1, "frontend.hop_length", hop_length, "at least 1")
        self.sample_rate = sample_rate
        self.n_fft = n_fft
        self.hop_length = hop_length

    def settings(self) -> dict[str, Any]:
        """Return the name and every constructor argument; :func:`build_frontend` takes them back."""
        return {"name": self.name, **{key: getattr(self, key) for key in inspect.signature(type(self)).parameters}}

    def stored_settings(self) -> dict[str, Any]:
        """Return the :meth:`settings` of the front end that stores the same and adds nothing to it in :meth:`to_float`.

        Front ends of the same stored settings share their prepared clips.
        """
        return self.settings()

    @abstractmethod
    def shape(self, n_samples: int, sample_rate: int) -> tuple[int, int]:
        """Return (bins, frames) of the spectrogram of a clip of ``n_samples`` at ``sample_rate`` Hz."""

    @abstractmethod
    def picture(self, by_bin: NDArray[np.float32], n_frames: int) -> NDArray[Any]:
        """Return the spectrogram, shape (bins, frames), of one clip.

        Parameters
        ----------
        by_bin
            Magnitudes of its Fourier transform, shape (n_fft // 2 + 1, n_frames or more).
        n_frames
            How many of the columns are frames.
        """

    @abstractmethod
    def to_float(self, stored: Tensor) -> Tensor:
        """Turn spectrograms as they are stored into what a network takes: float32 of the same shape."""

    def compute(self, clips: NDArray[np.float32], sample_rate: int) -> NDArray[Any]:
        """Compute the spectrogram of every clip, as it is stored; :meth:`to_float` makes of it what a network takes.

        Parameters
        ----------
        clips
            shape (n_clips, n_samples).
        sample_rate
            Of the clips, in Hz.

        Returns
        -------
        spectrograms
            shape (n_clips, bins, frames) of :attr:`dtype`; each depends on its own clip only.

        Raises
        ------
        DataError
            When clips are not two-dimensional, have no samples, or are not finite.
        """
        clips = at_rate(as_clips(clips), sample_rate, self.sample_rate)
        spectrograms = np.empty((len(clips), *self.shape(clips.shape[1], self.sample_rate)), dtype=self.dtype)
        for clip, spectrogram in zip(clips, spectrograms, strict=True):
            n_frames = count_frames(clip.size, self.hop_length)
            spectrogram[:] = self.picture(magnitudes(clip, self.n_fft, self.hop_length), n_frames)
        return spectrograms

    def _count_frames(self, n_samples: int, sample_rate: int) -> int:
        return count_frames(resampled_length(n_samples, sample_rate, self.sample_rate), self.hop_length)


class LogMel(FrontEnd):
    """Mel power spectrum in dB, with the values of ``librosa.power_to_db(librosa.feature.melspectrogram(...))``.

    Levels are stored as they are, and :meth:`to_float` takes them from the loudest of the clip if ``ref`` says so. Thus
    clips prepared for the one serve the other too.

    Parameters
    ----------
    sample_rate, n_fft, hop_length
        See :class:`FrontEnd`.
    n_mels
        Bands, evenly spaced on Slaney's mel scale, each scaled to the same area; no more than there are bins.
    fmin, fmax
        Lower edge of the first and upper edge of the last band, in Hz; without ``fmax`` half the sample rate.
    ref
        The power that is 0 dB, or ``"max"`` for the largest of each clip (in :meth:`to_float`; stored is 1.0).
    amin
        Smaller powers count as this one.
    top_db
        Nothing is shown further than this below the largest level of a clip; ``None`` shows all.
    """

    name = "logmel"
    dtype = "float32"
    in_decibels = True

    def __init__(
        self,
        *,
        sample_rate: int = 22050,
        n_fft: int = 2048,
        hop_length: int = 512,
        n_mels: int = 128,
        fmin: float = 0.0,
        fmax: float | None = None,
        ref: float | str = 1.0,
        amin: float = 1e-10,
        top_db: float | None = 80.0,
    ) -> None:
        super().__init__(sample_rate, n_fft, hop_length)
        highest = sample_rate / 2
        most = n_fft // 2 + 1
        _require(1 <= n_mels <= most, "frontend.n_mels", n_mels, f"from 1 to frontend.n_fft / 2 + 1 = {most}")
        _require(0 <= fmin < highest, "frontend.fmin", fmin, f"at least 0 and below half the sample rate, {highest:g}")
        _require(
            fmax is None or fmin < fmax <= highest,
            "frontend.fmax",
            fmax,
            f"above fmin and at most {highest:g}, or null",
        )
        _require(
            ref == "max" or (not isinstance(ref, str) and ref > 0), "frontend.ref", ref, "a number above 0, or max"
        )
        _require(amin >= 1e-30, "frontend.amin", amin, "at least 1e-30")
        _require(top_db is None or top_db >= 0, "frontend.top_db", top_db, "at least 0, or null")
        self.n_mels = n_mels
        self.fmin = fmin
        self.fmax = fmax
        self.ref = ref
        self.amin = amin
        self.top_db = top_db

    def shape(self, n_samples: int, sample_rate: int) -> tuple[int, int]:
        """Return (n_mels, frames) of the spectrogram of a clip of ``n_samples`` at ``sample_rate`` Hz."""
        return self.n_mels, self._count_frames(n_samples, sample_rate)

    def stored_settings(self) -> dict[str, Any]:
        """Return the settings with a number for ``ref``."""
        return {**self.settings(), "ref": self._stored_ref}

    @property
    def _stored_ref(self) -> float:
        return 1.0 if isinstance(self.ref, str) else self.ref

    def picture(self, by_bin: NDArray[np.float32], n_frames: int) -> NDArray[np.float32]:
        """Return mel levels in dB as they are stored, float32, shape (n_mels, frames)."""
        fmax = self.sample_rate / 2 if self.fmax is None else self.fmax
        bands = mel_bands(self.sample_rate, self.n_fft, self.n_mels, self.fmin, fmax)
        power = mel_power(by_bin, bands)[:, :n_frames]
        return decibels(power, ref=self._stored_ref, amin=self.amin, top_db=self.top_db)

    def to_float(self, stored: Tensor) -> Tensor:
        """Return levels in dB, float32, below the loudest of each (bins, frames) for ``ref="max"``."""
        levels = stored.float()
        return levels - levels.amax(dim=(-2, -1), keepdim=True) if self.ref == "max" else levels


class Stft512(FrontEnd):
    """Picture of 8 bits with linear frequency; 512 x 512 for 3 s with the default settings.

    The amplitude is taken in dB relative to its maximum, the lowest ``bins`` bins are kept and scaled so that the
    smallest level is 0 and the largest 255, rounded, and framed by black columns. Row 0 is the lowest frequency.

    Parameters
    ----------
    sample_rate, n_fft, hop_length
        See :class:`FrontEnd`.
    bins
        Frequency bins kept, counted from 0 Hz.
    pad
        Black columns on each side.
    top_db
        Levels further than this below the maximum count as this far below; ``None`` keeps all.
    """

    name = "stft512"
    dtype = "uint8"
    in_decibels = False

    def __init__(
        self,
        *,
        sample_rate: int = 12000,
        n_fft: int = 1024,
        hop_length: int = 71,
        bins: int = 512,
        pad: int = 2,
        top_db: float | None = 80.0,
    ) -> None:
        super().__init__(sample_rate, n_fft, hop_length)
        _require(1 <= bins <= n_fft // 2 + 1, "frontend.bins", bins, f"from 1 to n_fft / 2 + 1 = {n_fft // 2 + 1}")
        _require(pad >= 0, "frontend.pad", pad, "at least 0")
        _require(top_db is None or top_db >= 0, "frontend.top_db", top_db, "at least 0, or null")
        self.bins = bins
        self.pad = pad
        self.top_db = top_db

    def shape(self, n_samples: int, sample_rate: int) -> tuple[int, int]:
        """Return (bins, frames + 2 pad) of the picture of a clip of ``n_samples`` at ``sample_rate`` Hz."""
        return self.bins, self._count_frames(n_samples, sample_rate) + 2 * self.pad

    def picture(self, by_bin: NDArray[np.float32], n_frames: int) -> NDArray[np.uint8]:
        """Return the picture, uint8, shape (bins, frames + 2 pad)."""
        power = np.square(by_bin[:, :n_frames])
        # log10, which is slower than the logarithm of decibels(), gives librosa's values to the last bit
        level = np.float32(10) * np.log10(np.maximum(power, _AMIN))
        level -= np.float32(10) * np.log10(np.maximum(power.max(), _AMIN))
        if self.top_db is not None:
            np.maximum(level, level.max() - np.float32(self.top_db), out=level)
        level = level[: self.bins]
        level -= level.min()
        largest = level.max()
        if largest > 0:
            level *= np.float32(255) / largest
        return np.pad(np.rint(level).astype(np.uint8), ((0, 0), (self.pad, self.pad)))

    def to_float(self, stored: Tensor) -> Tensor:
        """Scale 0 .. 255 to -1 .. 1."""
        return (stored / 255.0).sub_(0.5).div_(0.5)


FRONT_ENDS: dict[str, type[FrontEnd]] = {kind.name: kind for kind in (LogMel, Stft512)}


def build_frontend(settings: Mapping[str, Any]) -> FrontEnd:
    """Build a front end from its :meth:`FrontEnd.settings`.

    Raises
    ------
    ConfigError
        When the name or a setting is unknown, or a setting is out of range.
    """
    arguments = dict(settings)
    name = str(arguments.pop("name", ""))
    if name not in FRONT_ENDS:
        raise ConfigError(f"There is no front end called {name!r}: {near_names(name, FRONT_ENDS)}.")
    kind = FRONT_ENDS[name]
    known = inspect.signature(kind).parameters
    for key in arguments:
        if key not in known:
            raise ConfigError(f"The front end {name} has no setting {key!r}: {near_names(key, known)}.")
    return kind(**arguments)


def _require(condition: bool, setting: str, value: object, remedy: str) -> None:
    if not condition:
        raise ConfigError(f"{setting}={value} must be {remedy}.")
