"""The sets of features a classical model can be given, each by its name."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from genre.errors import ConfigError, near_names
from genre.features.dynamics import DYNAMICS_NAMES, DYNAMICS_VERSION, dynamics
from genre.features.extract import extract
from genre.features.handcrafted import FEATURE_NAMES, FEATURES_VERSION
from genre.features.spectrogram import LogMel

HANDCRAFTED, DYNAMICS = "handcrafted", "dynamics"


@dataclass(frozen=True)
class FeatureKind:
    """Names of the features of a set, in order, and the version of the code that computes them."""

    names: tuple[str, ...]
    version: int


FEATURE_SETS: Mapping[str, FeatureKind] = {
    HANDCRAFTED: FeatureKind(FEATURE_NAMES, FEATURES_VERSION),
    DYNAMICS: FeatureKind((*FEATURE_NAMES, *DYNAMICS_NAMES), 1000 * DYNAMICS_VERSION + FEATURES_VERSION),
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


def compute_features(name: str, clips: NDArray[np.float32], sample_rate: int) -> NDArray[np.float32]:
    """Compute the features of every clip.

    Parameters
    ----------
    name
        One of :data:`FEATURE_SETS`.
    clips
        shape (n_clips, n_samples).
    sample_rate
        Of the clips, in Hz.

    Returns
    -------
    features
        shape (n_clips, n_features).

    Raises
    ------
    ConfigError
        If there is no such set.
    DataError
        When clips are not two-dimensional, have no samples, or are not finite.
    """
    check_feature_set(name)
    levels, features = extract(clips, sample_rate, LogMel())
    return features if name == HANDCRAFTED else joined(levels, features)


def joined(levels: NDArray[np.floating], features: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the set ``dynamics`` of clips whose log-mel spectrograms and 57 features are known, row by row."""
    return np.hstack([features, dynamics(levels)])
