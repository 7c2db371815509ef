from __future__ import annotations

import json
import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from sklearn.metrics import (
    accuracy_score,
    f1_score,
    precision_recall_fscore_support,
)
from sklearn.metrics import (
    confusion_matrix as sklearn_confusion,
)

from genre.errors import DataError
from genre.evaluation.comparison import compare, track_scores
from genre.evaluation.metrics import Difference, Metrics, class_scores, confusion_matrix, evaluate, macro_f1
from genre.evaluation.predictions import Predictions, track_level


def one_clip_a_track(right: np.ndarray) -> Predictions:
    """Two classes, one clip a track, right or wrong as told."""
    probabilities = np.where(right[:, None], [0.8, 0.2], [0.2, 0.8])
    track = tuple(f"{number:06}.wav" for number in range(len(right)))
    return Predictions(track, np.zeros(len(right)), np.zeros(len(right), int), probabilities, ("a", "b"))


def test_perfect_predictions(make_predictions):
    table = make_predictions()
    exact = evaluate(replace(table, probabilities=np.eye(3)[table.label]))
    assert exact == Metrics(1.0, 1.0, (0.025 ** (1 / 30), 1.0), 1.0, 0.0, len(table), 30)


def test_always_wrong_and_always_sure(make_predictions):
    table = make_predictions()
    wrong = evaluate(replace(table, probabilities=np.eye(3)[(table.label + 1) % 3]))
    assert wrong == Metrics(0.0, 0.0, (0.0, 1 - 0.025 ** (1 / 30)), 0.0, 1.0, len(table), 30)


def test_guessing_is_near_chance(make_predictions):
    metrics = evaluate(make_predictions(3000, 2, signal=0.0))
    assert metrics.clip_accuracy == pytest.approx(1 / 3, abs=0.03)
    assert metrics.track_accuracy_ci95[0] < 1 / 3 < metrics.track_accuracy_ci95[1]


def test_tracks_beat_clips_where_clips_err_on_their_own(make_predictions):
    metrics = evaluate(make_predictions(300, 10, signal=1.0))
    assert metrics.track_accuracy > metrics.clip_accuracy + 0.1


@pytest.mark.parametrize("seed", range(3))
def test_the_order_of_rows_changes_nothing(make_predictions, shuffled, seed):
    table = make_predictions(80, 3)
    metrics, again = evaluate(table), evaluate(shuffled(table, seed))
    assert again.ece == pytest.approx(metrics.ece, abs=1e-12)
    assert replace(again, ece=metrics.ece) == metrics


@pytest.mark.parametrize("n_tracks", [1, 10, 300])
def test_without_a_mistake_or_without_a_hit_the_interval_is_the_exact_one(n_tracks):
    exact = stats.binomtest(n_tracks, n_tracks).proportion_ci(0.95, method="exact")
    low, high = evaluate(one_clip_a_track(np.ones(n_tracks, bool))).track_accuracy_ci95
    assert (low, high) == pytest.approx((exact.low, 1.0))
    worst = evaluate(one_clip_a_track(np.zeros(n_tracks, bool))).track_accuracy_ci95
    assert worst == pytest.approx((0.0, 1 - exact.low))


def test_without_a_mistake_artists_count_as_one_trial_each():
    table = one_clip_a_track(np.ones(30, bool))
    artist = {track: f"artist {number % 3}" for number, track in enumerate(table.track)}
    assert evaluate(table, artist=artist).track_accuracy_ci95 == pytest.approx((0.025 ** (1 / 3), 1.0))


def test_no_clips_is_an_error():
    with pytest.raises(DataError, match="no clips to evaluate"):
        evaluate(one_clip_a_track(np.empty(0, bool)))


def test_the_interval_is_near_the_normal_one():
    # 290 tracks at 80 %: 4.6 points either way
    metrics = evaluate(one_clip_a_track(np.arange(290) < 232))
    reach = 1.96 * math.sqrt(0.8 * 0.2 / 290)
    assert metrics.track_accuracy == pytest.approx(0.8)
    assert metrics.track_accuracy_ci95[0] == pytest.approx(0.8 - reach, abs=0.005)
    assert metrics.track_accuracy_ci95[1] == pytest.approx(0.8 + reach, abs=0.005)


def test_the_interval_is_that_of_rows_drawn_one_by_one():
    right = np.arange(60) < 41
    rows = np.random.default_rng(5).integers(0, 60, size=(20_000, 60))
    drawn = np.percentile(right[rows].mean(axis=1), [2.5, 97.5])
    np.testing.assert_allclose(evaluate(one_clip_a_track(right)).track_accuracy_ci95, drawn, atol=1 / 60 + 1e-9)


def test_the_interval_covers_the_truth_about_95_times_in_100():
    rng = np.random.default_rng(1)
    samples = rng.random((300, 200)) < 0.6
    intervals = [evaluate(one_clip_a_track(right), n_bootstrap=1000).track_accuracy_ci95 for right in samples]
    covered = np.mean([low <= 0.6 <= high for low, high in intervals])
    assert 0.90 <= covered <= 0.985


def test_same_seed_same_interval(make_predictions):
    table = make_predictions(37, 2)
    assert evaluate(table, n_bootstrap=7, seed=4) == evaluate(table, n_bootstrap=7, seed=4)
    few = {evaluate(table, n_bootstrap=7, seed=seed).track_accuracy_ci95 for seed in range(8)}
    assert len(few) > 1


def test_no_resamples_is_an_error(make_predictions):
    with pytest.raises(DataError, match="at least 1 resample"):
        evaluate(make_predictions(), n_bootstrap=0)


@given(data=st.data(), n_classes=st.integers(1, 6), n=st.integers(1, 40))
@settings(max_examples=60, deadline=None)
@pytest.mark.filterwarnings("ignore:A single label was found")  # scikit-learn's; a table of one class is meant
def test_figures_equal_those_of_scikit_learn(data, n_classes, n):
    classes = st.lists(st.integers(0, n_classes - 1), min_size=n, max_size=n)
    label, predicted = np.array(data.draw(classes)), np.array(data.draw(classes))
    names = tuple(f"class {k}" for k in range(n_classes))
    table = Predictions(tuple(map(str, range(n))), np.zeros(n), label, np.eye(n_classes)[predicted], names)
    metrics = evaluate(table, n_bootstrap=10)
    assert metrics.clip_accuracy == pytest.approx(accuracy_score(label, predicted), abs=1e-12)
    assert metrics.macro_f1 == pytest.approx(f1_score(label, predicted, average="macro", zero_division=0), abs=1e-12)
    every = range(n_classes)
    np.testing.assert_array_equal(confusion_matrix(table), sklearn_confusion(label, predicted, labels=list(every)))
    ours = [(s.precision, s.recall, s.f1, s.support) for s in class_scores(table)]
    theirs = precision_recall_fscore_support(label, predicted, labels=list(every), zero_division=0)
    np.testing.assert_allclose(ours, np.transpose(theirs), atol=1e-12)


def test_a_class_nobody_has_or_predicts_does_not_lower_macro_f1():
    matrix = np.array([[3, 1, 0], [0, 4, 0], [0, 0, 0]])
    assert macro_f1(matrix) == pytest.approx((6 / 7 + 8 / 9) / 2)


def test_a_class_that_is_only_predicted_lowers_macro_f1():
    assert macro_f1(np.array([[3, 1], [0, 0]])) == pytest.approx((6 / 7 + 0) / 2)


def test_class_scores_at_track_level_count_tracks(make_predictions):
    table = make_predictions(30, 4)
    assert sum(scores.support for scores in class_scores(table)) == 120
    assert sum(scores.support for scores in class_scores(track_level(table))) == 30
    assert [scores.label for scores in class_scores(table)] == list(table.labels)


def test_the_dictionary_has_exactly_the_keys_of_the_contract_and_is_json(make_predictions):
    metrics = evaluate(make_predictions())
    values = json.loads(json.dumps(metrics.as_dict(), allow_nan=False))
    assert list(values) == [
        "clip_accuracy",
        "track_accuracy",
        "track_accuracy_ci95",
        "macro_f1",
        "ece",
        "n_clips",
        "n_tracks",
    ]
    assert Metrics.from_dict(values) == metrics


@pytest.mark.parametrize(
    "change",
    [{"ece": None}, {"ece": float("nan")}, {"n_clips": "120"}, {"macro_f1": True}, {"track_accuracy_ci95": [0.1]}],
)
def test_values_that_are_not_figures_are_refused(change, make_predictions):
    values = {**evaluate(make_predictions()).as_dict(), **change}
    with pytest.raises(DataError, match=next(iter(change))):
        Metrics.from_dict(values)


def difference(a: Predictions, b: Predictions) -> Difference:
    [found] = compare([track_scores([a]), track_scores([b])])
    return found.difference


def test_a_model_is_no_better_than_itself(make_predictions):
    table = make_predictions()
    found = difference(table, table)
    assert (found.difference, found.ci95, found.beyond_noise) == (0.0, (0.0, 0.0), False)


def test_the_paired_interval_is_near_the_normal_one_and_antisymmetric():
    rng = np.random.default_rng(0)
    right_a = rng.random(400) < 0.8
    right_b = np.where(rng.random(400) < 0.85, right_a, rng.random(400) < 0.5)
    a, b = one_clip_a_track(right_a), one_clip_a_track(right_b)
    gain = right_a.astype(float) - right_b
    reach = 1.96 * gain.std() / 20
    there, back = difference(a, b), difference(b, a)
    assert there.difference == pytest.approx(gain.mean())
    assert there.ci95 == pytest.approx((gain.mean() - reach, gain.mean() + reach), abs=0.006)
    assert there.n_tracks == 400
    assert back.difference == -there.difference
    assert back.ci95 == pytest.approx((-there.ci95[1], -there.ci95[0]), abs=0.006)


def test_pairing_sees_what_two_separate_intervals_hide():
    right = np.arange(300) < 180
    better = right | (np.arange(300) >= 288)  # twelve tracks more, none lost
    a, b = one_clip_a_track(better), one_clip_a_track(right)
    assert evaluate(a).track_accuracy_ci95[0] < evaluate(b).track_accuracy_ci95[1]
    assert difference(a, b).beyond_noise


def test_clips_and_the_order_of_classes_may_differ_between_the_two(make_predictions):
    a = make_predictions(20, 4, seed=2)
    turned = Predictions(a.track, a.start_sec + 0.5, 2 - a.label, a.probabilities[:, ::-1], a.labels[::-1])
    assert difference(a, turned).difference == 0
