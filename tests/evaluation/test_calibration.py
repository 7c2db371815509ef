from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from genre.errors import DataError
from genre.evaluation.calibration import fit_temperature, reliability


def softmax(logits: np.ndarray) -> np.ndarray:
    weights = np.exp(logits - logits.max(axis=1, keepdims=True))
    return weights / weights.sum(axis=1, keepdims=True)


def drawn(scale: float, n: int = 20_000, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Logits, and labels drawn from softmax(logits / scale)."""
    rng = np.random.default_rng(seed)
    logits = rng.normal(size=(n, 5)) * 2 * scale
    labels = (softmax(logits / scale).cumsum(axis=1) > rng.random((n, 1))).argmax(axis=1)
    return logits, labels


def test_a_perfectly_calibrated_table_has_no_error():
    confidence = np.repeat([0.25, 0.5, 0.75], 100)
    correct = np.concatenate([np.arange(100) < share for share in (25, 50, 75)])
    curve = reliability(confidence, correct)
    assert curve.error == pytest.approx(0, abs=1e-12)
    assert curve.count.sum() == 300


def test_the_error_is_the_weighted_gap():
    confidence = np.array([0.9, 0.9, 0.9, 0.9, 0.6, 0.6])
    correct = np.array([True, True, True, False, False, False])
    assert reliability(confidence, correct).error == pytest.approx((4 * 0.15 + 2 * 0.6) / 6)


def test_gaps_of_two_clips_in_one_bin_cancel_and_in_two_bins_do_not():
    confidence, correct = np.array([0.5, 0.501]), np.array([True, False])
    assert reliability(confidence, correct, n_bins=1).error == pytest.approx(abs(0.5 - 0.5005))
    assert reliability(confidence, correct, n_bins=2).error == pytest.approx((0.5 + 0.501) / 2)


def test_a_confidence_on_an_edge_belongs_to_the_bin_below_it():
    curve = reliability(np.array([0.0, 0.5, 1.0, 1.0 + 1e-7]), np.ones(4, bool), n_bins=2)
    assert curve.count.tolist() == [2, 2]


def test_empty_bins_are_not_numbers_and_no_rows_no_error():
    curve = reliability(np.array([0.95]), np.array([True]))
    assert np.isnan(curve.accuracy[0])
    assert curve.error == pytest.approx(0.05)
    assert math.isnan(reliability(np.empty(0), np.empty(0, bool)).error)


def test_error_agrees_with_a_plain_loop():
    rng = np.random.default_rng(0)
    confidence = rng.uniform(0.1, 1, 500)
    correct = rng.random(500) < 0.6
    total = 0.0
    for k in range(15):
        inside = (confidence > k / 15) & (confidence <= (k + 1) / 15)
        if inside.any():
            total += inside.sum() * abs(correct[inside].mean() - confidence[inside].mean())
    assert reliability(confidence, correct).error == pytest.approx(total / 500, abs=1e-12)


@pytest.mark.parametrize("scale", [0.2, 0.7, 1.0, 3.0, 10.0])
def test_a_known_scale_is_recovered(scale):
    assert fit_temperature(*drawn(scale)) == pytest.approx(scale, rel=0.03)


def test_the_temperature_calibrates_and_changes_no_prediction():
    logits, labels = drawn(4.0)
    before, after = softmax(logits), softmax(logits / fit_temperature(logits, labels))
    np.testing.assert_array_equal(before.argmax(axis=1), after.argmax(axis=1))
    correct = before.argmax(axis=1) == labels
    assert reliability(before.max(axis=1), correct).error > 0.15
    assert reliability(after.max(axis=1), correct).error < 0.02


@given(st.sampled_from([1e-6, 0.01, 0.3, 3, 1e4]), st.integers(0, 1000), st.floats(-50, 50))
@settings(max_examples=15, deadline=None)
def test_scaled_logits_scale_the_temperature_and_a_shift_does_nothing(factor, seed, shift):
    logits, labels = drawn(1.0, n=300, seed=seed)
    temperature = fit_temperature(logits, labels)
    assert fit_temperature((logits + shift) * factor, labels) == pytest.approx(temperature * factor, rel=1e-3)


def test_it_is_the_lowest_point_of_the_likelihood_with_one_more_mistake():
    logits, labels = drawn(2.0, n=200)
    others = logits.copy()
    others[np.arange(200), labels] = -np.inf
    target = np.zeros_like(logits)
    target[np.arange(200), labels] = 201 / 202
    target[np.arange(200), others.argmax(axis=1)] = 1 / 202

    def loss(temperature: float) -> float:
        return -np.sum(target * np.log(softmax(logits / temperature)))

    best = fit_temperature(logits, labels)
    assert all(loss(best) <= loss(other) for other in np.geomspace(0.05, 20, 400))


def test_a_table_of_many_right_and_wrong_rows_has_the_temperature_of_plain_likelihood():
    logits, labels = drawn(2.0, n=200)
    temperatures = np.geomspace(1, 4, 2000)
    losses = [-np.log(softmax(logits / one)[np.arange(200), labels]).mean() for one in temperatures]
    assert fit_temperature(logits, labels) == pytest.approx(temperatures[np.argmin(losses)], rel=0.03)


@pytest.mark.parametrize("scale", [1e-3, 1.0, 1e3])
def test_where_all_are_right_confidence_stays_short_of_certain_on_any_scale(scale):
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 10, 200)
    logits = rng.normal(size=(200, 10))
    logits[np.arange(200), labels] += 8
    temperatures = []
    for n_wrong in (0, 1, 2):
        truth = np.where(np.arange(200) < n_wrong, (labels + 1) % 10, labels)
        temperatures.append(fit_temperature(logits * scale, truth))
        chosen = softmax(logits * scale / temperatures[-1])
        assert reliability(chosen.max(axis=1), chosen.argmax(axis=1) == truth).error < 0.02
    assert temperatures == sorted(temperatures)
    assert temperatures[1] < 2 * temperatures[0]  # one clip decides nothing


def test_what_tells_no_temperature_gives_one():
    assert fit_temperature(np.empty((0, 4)), np.empty(0, int)) == 1.0
    assert fit_temperature(np.ones((5, 1)), np.zeros(5, int)) == 1.0
    assert fit_temperature(np.full((5, 3), 7.0), np.array([0, 1, 2, 0, 1])) == 1.0


def test_always_wrong_is_as_flat_as_it_gets_and_huge_scores_stay_finite():
    flat = softmax(np.eye(3) / fit_temperature(np.eye(3), np.array([1, 2, 0])))
    np.testing.assert_allclose(flat, 1 / 3, atol=0.01)
    scores = np.array([[1e8, 0.0], [0.0, 1e8], [0.0, 1e8]])
    temperature = fit_temperature(scores, np.array([0, 1, 0]))
    assert softmax(scores / temperature)[0, 0] == pytest.approx((2 * 4 / 5 + 1 / 5) / 3, abs=1e-3)  # Platt's targets


@pytest.mark.parametrize(
    ("logits", "labels", "words"),
    [
        (np.zeros((3, 2)), np.zeros(2, int), "n labels"),
        (np.zeros(3), np.zeros(3, int), "shape"),
        (np.array([[0.0, np.nan]]), np.zeros(1, int), "not finite"),
        (np.zeros((2, 2)), np.array([0, 2]), "from 0 to 1"),
        (np.zeros((2, 2)), np.array([0.0, 1.0]), "integers"),
    ],
)
def test_wrong_input_is_said(logits, labels, words):
    with pytest.raises(DataError, match=words):
        fit_temperature(logits, labels)
