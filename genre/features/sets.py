"""The sets of features a classical model can be given, each by its name."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from genre.errors import ConfigError, DataError, near_names
from genre.features.dynamics import DYNAMICS_NAMES, DYNAMICS_VERSION, dynamics
from genre.features.extract import extract
from genre.features.handcrafted import FEATURE_NAMES, FEATURES_VERSION
from genre.features.passage import PASSAGE_NAMES, PASSAGE_VERSION
from genre.features.spectrogram import LogMel

HANDCRAFTED, DYNAMICS, PASSAGES = "handcrafted", "dynamics", "passages"


@dataclass(frozen=True)
class FeatureKind:
    """Names of the features of a set, in order, the version of the code that computes them, and what it hears."""

    names: tuple[str, ...]
    version: int
    of_passages: bool = False
    """Whether some are of the passage of a clip rather than of the clip."""


_DYNAMICS = FeatureKind((*FEATURE_NAMES, *DYNAMICS_NAMES), 1000 * DYNAMICS_VERSION + FEATURES_VERSION)


FEATURE_SETS: Mapping[str, FeatureKind] = {
    HANDCRAFTED: FeatureKind(FEATURE_NAMES, FEATURES_VERSION),
    DYNAMICS: _DYNAMICS,
    PASSAGES: FeatureKind(
        (*_DYNAMICS.names, *PASSAGE_NAMES), 1_000_000 * PASSAGE_VERSION + _DYNAMICS.version, of_passages=True
    ),
}


def check_feature_set(name: str) -> str:
    """Return the name of a set.

    Raises
    ------
    ConfigError
        If there is no such set.
    """
    if name not in FEATURE_SETS:
        raise ConfigError(f"feature_set={name} is unknown; {near_names(str(name), FEATURE_SETS)}")
    return name


def compute_features(
    name: str, clips: NDArray[np.float32], sample_rate: int, passages: NDArray[np.float32] | None = None
) -> NDArray[np.float32]:
    """Compute the features of every clip.

    Parameters
    ----------
    name
        One of :data:`FEATURE_SETS`.
    clips
        shape (n_clips, n_samples).
    sample_rate
        Of the clips, in Hz.
    passages
        Shape (n_clips, len(PASSAGE_NAMES)): the features of the passage of each clip, for a set that has them.

    Returns
    -------
    features
        shape (n_clips, n_features).

    Raises
    ------
    ConfigError
        If there is no such set.
    DataError
        When clips are not two-dimensional, have no samples, or are not finite, or the features of passages are missing.
    """
    check_feature_set(name)
    if FEATURE_SETS[name].of_passages and (passages is None or passages.shape != (len(clips), len(PASSAGE_NAMES))):
        raise DataError(
            f"feature_set={name} needs {len(PASSAGE_NAMES)} features of the passage of each of {len(clips)} clips"
        )
    levels, features = extract(clips, sample_rate, LogMel())
    return joined(name, levels, features, passages)


def joined(
    name: str,
    levels: NDArray[np.floating],
    features: NDArray[np.float32],
    passages: NDArray[np.float32] | None,
) -> NDArray[np.float32]:
    """Return a set of clips whose log-mel spectrograms, 57 features and features of passages are known, row by row."""
    if name == HANDCRAFTED:
        return features
    return np.hstack([features, dynamics(levels), *([passages] if name == PASSAGES and passages is not None else [])])
