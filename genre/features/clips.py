"""What every extraction asks of the clips it is given."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from genre.audio.decode import resample
from genre.errors import DataError


def as_clips(clips: ArrayLike) -> NDArray[np.float32]:
    """Return clips as C-contiguous float32, shape (n_clips, n_samples).

    Raises
    ------
    DataError
        When the array has another number of dimensions, a clip has no samples, or a sample is NaN or infinite.
    """
    checked = np.ascontiguousarray(clips, dtype=np.float32)
    if checked.ndim != 2 or checked.shape[1] == 0:
        raise DataError(
            f"Clips must be an array (clips, samples) with at least one sample, not of shape {checked.shape}."
        )
    if not np.isfinite(checked).all():
        raise DataError("a clip holds samples that are not finite numbers: leave its track out.")
    return checked


def resampled_length(n_samples: int, sample_rate: int, target_rate: int) -> int:
    """Return how many samples ``n_samples`` become at ``target_rate``, halves rounded up."""
    return (2 * n_samples * target_rate + sample_rate) // (2 * sample_rate)


def at_rate(clips: NDArray[np.float32], sample_rate: int, target_rate: int) -> NDArray[np.float32]:
    """Resample clips, shape (n_clips, n_samples), one by one, to exactly :func:`resampled_length` samples."""
    if sample_rate == target_rate:
        return clips
    resampled = np.zeros((len(clips), max(1, resampled_length(clips.shape[1], sample_rate, target_rate))), np.float32)
    for clip, target in zip(clips, resampled, strict=True):
        samples = resample(clip, sample_rate, target_rate)[: target.size]
        target[: samples.size] = samples
    return resampled
