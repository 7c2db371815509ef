"""Importance and pictures of the feature space."""

from __future__ import annotations

import numpy as np
from classical_models import blobs, fitted
from sklearn.linear_model import LogisticRegression

from genre.classical.explain import feature_space, importance
from genre.classical.parts import count_values


def test_a_feature_that_tells_nothing_has_no_importance() -> None:
    rows, label = blobs(300, seed=1)
    model = fitted(LogisticRegression(C=10))
    model.pipeline[-1].coef_[:, 3] = 0.0
    weight = importance(model, rows, label, repeats=3, seed=0)
    assert weight.drop.shape == weight.spread.shape == (4,)
    assert weight.drop[3] == weight.spread[3] == 0
    assert weight.drop[:2].min() > 0.1
    again = importance(model, rows, label, repeats=3, seed=0)
    assert np.array_equal(weight.drop, again.drop)


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
