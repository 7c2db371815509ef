"""Spectrogram and features of the same clips in one pass."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from genre.features.clips import as_clips, at_rate
from genre.features.handcrafted import FEATURE_NAMES, HOP_LENGTH, N_FFT, SAMPLE_RATE, describe, handcrafted
from genre.features.spectrogram import FrontEnd, LogMel
from genre.features.stft import spectra


def extract(
    clips: NDArray[np.float32], sample_rate: int, frontend: FrontEnd
) -> tuple[NDArray[Any], NDArray[np.float32]]:
    """Compute the spectrogram and the 57 features of every clip.

    Where front end and features start from the same Fourier transform, it is computed once; the values are those of
    ``frontend.compute`` and :func:`genre.features.handcrafted.handcrafted`, bit for bit.

    Parameters
    ----------
    clips
        shape (n_clips, n_samples).
    sample_rate
        Of the clips, in Hz.

    Returns
    -------
    spectrograms
        shape (n_clips, bins, frames) of ``frontend.dtype``.
    features
        float32, shape (n_clips, 57).

    Raises
    ------
    DataError
        When clips are not two-dimensional, have no samples, or are not finite.
    """
    clips = as_clips(clips)
    at_22050 = at_rate(clips, sample_rate, SAMPLE_RATE)
    if (frontend.sample_rate, frontend.n_fft, frontend.hop_length) != (SAMPLE_RATE, N_FFT, HOP_LENGTH):
        return frontend.compute(clips, sample_rate), handcrafted(at_22050)
    spectrograms = np.empty((len(clips), *frontend.shape(at_22050.shape[1], SAMPLE_RATE)), dtype=frontend.dtype)
    features = np.empty((len(clips), len(FEATURE_NAMES)), dtype=np.float32)
    same_mel = frontend.stored_settings() == LogMel().settings()
    for clip, spectrogram, row in zip(at_22050, spectrograms, features, strict=True):
        analysed = spectra(clip, N_FFT, HOP_LENGTH)
        spectrogram[:] = frontend.picture(analysed.by_bin, analysed.n_frames)
        row[:] = describe(clip, analysed, spectrogram if same_mel else None)
    return spectrograms, features


def warm_up(frontend: FrontEnd | None = None) -> None:
    """Compile, or load from disk, all machine code that extraction needs, so that no later call waits for it."""
    noise = np.random.default_rng(0).normal(0.0, 0.1, (1, SAMPLE_RATE)).astype(np.float32)
    extract(noise, SAMPLE_RATE, frontend or LogMel())
