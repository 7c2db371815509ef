"""Importance and pictures of the feature space."""

from __future__ import annotations

import numpy as np
import pytest
from classical_models import blobs, fitted
from hypothesis import given
from hypothesis import strategies as st
from sklearn.linear_model import LogisticRegression

from genre.classical.explain import draw_over_tracks, feature_space, importance
from genre.classical.parts import count_values


def test_a_feature_that_tells_nothing_has_no_importance() -> None:
    rows, label = blobs(300, seed=1)
    model = fitted(LogisticRegression(C=10))
    model.pipeline[-1].coef_[:, 3] = 0.0
    weight = importance(model, rows, label, np.arange(300), seed=0)
    assert weight.drop.shape == weight.spread.shape == (4,)
    assert weight.drop[3] == weight.spread[3] == 0
    assert weight.drop[:2].min() > 0.1
    again = importance(model, rows, label, np.arange(300), seed=0)
    assert np.array_equal(weight.drop, again.drop)


@pytest.mark.parametrize(("n_features", "n_clips"), [(57, 70), (383, 50), (699, 50)])
def test_importance_classifies_a_bounded_number_of_clips(n_features: int, n_clips: int) -> None:
    asked: list[int] = []

    class Counting:
        def logits(self, rows: np.ndarray) -> np.ndarray:
            asked.append(len(rows))
            return np.stack([rows[:, 0], -rows[:, 0]], axis=1)

    rows = np.random.default_rng(0).normal(size=(3000, n_features))
    track = np.arange(3000) // 20
    done: list[tuple[int, int]] = []
    weight = importance(Counting(), rows, (rows[:, 0] < 0).astype(int), track, progress=lambda *at: done.append(at))
    assert (weight.n_clips, weight.repeats) == (n_clips, 2)
    assert sum(asked) == n_clips + n_features * n_clips * 2
    assert done[-1] == (n_features, n_features)
    assert weight.drop[0] > 0.3
    assert not weight.drop[1:].any()


def test_few_clips_are_shuffled_more_often() -> None:
    rows, label = blobs(12)
    weight = importance(fitted(LogisticRegression()), rows, label, np.arange(12))
    assert (weight.n_clips, weight.repeats) == (12, 5)


@given(
    sizes=st.lists(st.integers(1, 9), min_size=1, max_size=12),
    n_clips=st.integers(1, 60),
    seed=st.integers(0, 99),
)
def test_clips_are_drawn_evenly_over_tracks(sizes: list[int], n_clips: int, seed: int) -> None:
    track = np.random.default_rng(seed).permutation(np.repeat(np.arange(len(sizes)), sizes))
    chosen = draw_over_tracks(track, n_clips, seed=seed)
    assert len(set(chosen)) == len(chosen) == min(n_clips, len(track))
    taken = np.bincount(track[chosen], minlength=len(sizes))
    most = taken.max()
    assert all(count >= min(size, most - 1) for count, size in zip(taken, sizes, strict=True))
    assert np.array_equal(chosen, draw_over_tracks(track, n_clips, seed=seed))


def test_well_parted_genres_are_clusters() -> None:
    rows, label = blobs(150, spread=0.05)
    space = feature_space(rows, label)
    assert space.points.shape == (150, 2)
    assert space.agreement == 1.0
    assert 0.9 < sum(space.explained) <= 1.0
    shuffled = feature_space(rows, np.random.default_rng(0).permutation(label))
    assert abs(shuffled.agreement) < 0.1


def test_one_feature_has_one_component() -> None:
    rows, label = blobs(60)
    space = feature_space(rows[:, :1], label)
    assert space.points.shape == (60, 2)
    assert not space.points[:, 1].any()
    assert space.explained == (1.0, 0.0)


def test_features_that_are_all_the_same_explain_nothing() -> None:
    space = feature_space(np.ones((9, 3)), np.arange(9) % 3)
    assert space.explained == (0.0, 0.0)


def test_values_of_a_linear_model_are_counted() -> None:
    model = fitted(LogisticRegression())
    scaler, classifier = model.pipeline["scaler"], model.pipeline["classifier"]
    learnt = [scaler.min_, scaler.scale_, scaler.data_min_, scaler.data_max_, scaler.data_range_]
    assert count_values(model.pipeline) == sum(a.size for a in learnt) + classifier.coef_.size + 3
