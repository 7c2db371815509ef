"""The 57 hand-crafted features of a clip, in the order of the published GTZAN table.

The values are those of librosa 0.11 with its defaults at 22 050 Hz; ``docs/FEATURES.md`` explains each of them. All but
root mean square and zero crossings start from one short-time Fourier transform.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from genre.features.chroma import chroma
from genre.features.clips import as_clips
from genre.features.filters import mel_bands
from genre.features.hpss import harmonic
from genre.features.mel import cepstrum, decibels, mel_power
from genre.features.shape import spectral_shape
from genre.features.stft import Spectra, spectra
from genre.features.tempo import onset_strength, tempo
from genre.features.waveform import moments_of_parts, rms_and_crossings

SAMPLE_RATE = 22050
FEATURES_VERSION = 1  # raise it whenever a value changes: prepared clips are then computed anew

N_FFT = 2048
HOP_LENGTH = 512
N_MELS = 128
N_MFCC = 20

_SUMMARISED = (
    "chroma_stft",
    "rms",
    "spectral_centroid",
    "spectral_bandwidth",
    "rolloff",
    "zero_crossing_rate",
    "harmony",
    "perceptr",
)
FEATURE_NAMES: tuple[str, ...] = (
    *(f"{name}_{statistic}" for name in _SUMMARISED for statistic in ("mean", "var")),
    "tempo",
    *(f"mfcc{i}_{statistic}" for i in range(1, N_MFCC + 1) for statistic in ("mean", "var")),
)


def handcrafted(clips: NDArray[np.float32]) -> NDArray[np.float32]:
    """Compute the 57 features of every clip.

    Parameters
    ----------
    clips
        shape (n_clips, n_samples), at 22 050 Hz.

    Returns
    -------
    features
        shape (n_clips, 57), in the order of :data:`FEATURE_NAMES`; a row depends on its own clip only.

    Raises
    ------
    DataError
        When clips are not two-dimensional, have no samples, or are not finite.
    """
    clips = as_clips(clips)
    features = np.empty((len(clips), len(FEATURE_NAMES)), dtype=np.float32)
    for clip, row in zip(clips, features, strict=True):
        row[:] = describe(clip, spectra(clip, N_FFT, HOP_LENGTH))
    return features


def describe(
    clip: NDArray[np.float32], analysed: Spectra, level: NDArray[np.float32] | None = None
) -> NDArray[np.float64]:
    """Compute the 57 features of one clip from its spectra.

    Parameters
    ----------
    clip
        shape (n_samples,), at 22 050 Hz.
    analysed
        Its spectra, from 2048 samples every 512.
    level
        Its mel levels in dB, shape (128, n_frames), if they are known already: those of ``LogMel()``.

    Returns
    -------
    features
        shape (57,).
    """
    frames = analysed.n_frames
    if level is None:
        bands = mel_bands(SAMPLE_RATE, N_FFT, N_MELS, 0.0, SAMPLE_RATE / 2)
        level = decibels(mel_power(analysed.by_bin, bands)[:, :frames])
    pitch_classes = chroma(analysed.by_bin, frames, SAMPLE_RATE)
    rms, crossings = rms_and_crossings(clip, N_FFT, HOP_LENGTH)
    shape = spectral_shape(analysed.by_bin, SAMPLE_RATE / N_FFT)[:, :frames]
    series = np.vstack([rms, shape, crossings, cepstrum(level, N_MFCC)])
    statistics = np.stack([series.mean(axis=1), series.var(axis=1)], axis=1)
    n_plain = len(series) - N_MFCC
    parts = moments_of_parts(harmonic(analysed, clip.size, HOP_LENGTH), clip)
    beat = tempo(onset_strength(level, N_FFT // (2 * HOP_LENGTH)), SAMPLE_RATE, HOP_LENGTH)
    return np.concatenate(
        [
            [pitch_classes.mean(dtype=np.float64), pitch_classes.var(dtype=np.float64)],
            statistics[:n_plain].ravel(),
            parts,
            [beat],
            statistics[n_plain:].ravel(),
        ]
    )
