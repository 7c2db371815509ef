"""Prediction tables made to order."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import pytest

from genre.evaluation.predictions import Predictions

MakePredictions = Callable[..., Predictions]


def _make(
    n_tracks: int = 30,
    clips_per_track: int = 4,
    labels: Sequence[str] = ("blues", "jazz", "metal"),
    *,
    signal: float = 1.0,
    seed: int = 0,
) -> Predictions:
    """Softmax scores around the truth: ``signal`` 0 is guessing, a large one is always right."""
    rng = np.random.default_rng(seed)
    label = np.repeat(rng.integers(0, len(labels), n_tracks), clips_per_track)
    logits = rng.normal(size=(len(label), len(labels)))
    logits[np.arange(len(label)), label] += signal
    probabilities = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    return Predictions(
        track=tuple(f"folder/track {row // clips_per_track:03}.wav" for row in range(len(label))),
        start_sec=np.tile(np.arange(clips_per_track) * 4 / 3, n_tracks),
        label=label,
        probabilities=probabilities,
        labels=tuple(labels),
    )


@pytest.fixture(scope="session")
def make_predictions() -> MakePredictions:
    return _make


@pytest.fixture(scope="session")
def shuffled() -> Callable[[Predictions, int], Predictions]:
    def shuffle(predictions: Predictions, seed: int) -> Predictions:
        order = np.random.default_rng(seed).permutation(len(predictions))
        return Predictions(
            track=tuple(predictions.track[row] for row in order),
            start_sec=predictions.start_sec[order],
            label=predictions.label[order],
            probabilities=predictions.probabilities[order],
            labels=predictions.labels,
        )

    return shuffle
