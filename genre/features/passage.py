"""Features of a passage of music of some 3 to 45 s: how its melody, its partials and its level move.

The 57 and the 326 features describe clips frame by frame; these need a passage that is long enough for tones to be
held, to swing and to follow one another.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from genre.audio.decode import resample
from genre.errors import DataError
from genre.features.crest import CREST_NAMES, crest
from genre.features.melody import MELODY_NAMES, melody
from genre.features.partials import PARTIALS_NAMES, partials

PASSAGE_VERSION = 1  # raise it whenever a value changes

SAMPLE_RATE = 22050
LOWEST_SAMPLE_RATE = 16000
SHORTEST_SEC = 0.5

PASSAGE_NAMES: tuple[str, ...] = (*MELODY_NAMES, *PARTIALS_NAMES, *CREST_NAMES)


def passage_features(samples: NDArray[np.float32], sample_rate: int) -> NDArray[np.float32]:
    """Compute the features of a passage: how its melody moves, how its partials move and rub, how its level moves.

    The passage is resampled to 22 050 Hz and divided by its largest sample, so that its level does not matter.

    Parameters
    ----------
    samples
        Mono, shape (n_samples,), at least 0.5 s.
    sample_rate
        In Hz, at least 16 000.

    Returns
    -------
    features
        shape (len(PASSAGE_NAMES),), in the order of :data:`PASSAGE_NAMES`; always finite. Silence has a vector of its
        own, the same whatever its length.

    Raises
    ------
    DataError
        When the samples are not one-dimensional, too few, or not finite, or the sample rate is too low.
    """
    passage = _prepared(samples, sample_rate)
    return np.concatenate([melody(passage), partials(passage), crest(passage)]).astype(np.float32)


def _prepared(samples: NDArray[np.float32], sample_rate: int) -> NDArray[np.float32]:
    """Return a passage at 22 050 Hz whose largest sample is 1, or all zeros."""
    samples = np.ascontiguousarray(samples, dtype=np.float32)
    if sample_rate < LOWEST_SAMPLE_RATE:
        raise DataError(f"these features need a sample rate of at least {LOWEST_SAMPLE_RATE} Hz, not {sample_rate}.")
    if samples.ndim != 1 or samples.size < SHORTEST_SEC * sample_rate:
        raise DataError(
            f"these features need one channel of at least {SHORTEST_SEC} s, "
            f"not an array of shape {samples.shape} at {sample_rate} Hz."
        )
    if not np.isfinite(samples).all():
        raise DataError("a passage holds samples that are not finite numbers: leave its track out.")
    largest = np.abs(samples).max()
    audible = largest >= np.finfo(np.float32).tiny
    samples = samples / largest if audible else np.zeros_like(samples)
    if sample_rate != SAMPLE_RATE:
        samples = np.ascontiguousarray(resample(samples, sample_rate, SAMPLE_RATE), dtype=np.float32)
        samples = samples / max(np.abs(samples).max(), np.finfo(np.float32).tiny)
    return samples
