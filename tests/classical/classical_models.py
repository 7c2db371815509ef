"""Small classical models and what they learn from."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import MinMaxScaler

from genre.classical.model import ClassicalModel
from genre.data.clips import ClipSpec

LABELS = ("blues", "jazz", "rock")
FEATURES = ("one", "two", "three", "four")


def blobs(n: int, *, seed: int = 0, spread: float = 0.5) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Return ``n`` rows of four features around one centre a class, and their classes."""
    rng = np.random.default_rng(seed)
    label = np.arange(n) % len(LABELS)
    centres = np.array([[0, 0, 1, 0], [2, 0, 0, 1], [0, 2, 1, 1]])
    return centres[label] + rng.normal(0, spread, (n, 4)), label


def fitted(classifier: Any, *, transform: Any = "passthrough") -> ClassicalModel:
    """Return a model fitted on blobs."""
    pipeline = Pipeline([("scaler", MinMaxScaler()), ("transform", transform), ("classifier", classifier)])
    pipeline.fit(*blobs(60))
    return ClassicalModel(pipeline, LABELS, FEATURES, 3, ClipSpec(1.5), 2.0, {"model": "test", "seed": 7})
