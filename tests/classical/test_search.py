"""Tuning: what is tried, what it is judged by, and what it may not see."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import Any

import numpy as np
import pytest
from classical_models import blobs
from scipy.special import softmax
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.dummy import DummyClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import KNeighborsClassifier
from sklearn.neural_network import MLPClassifier
from sklearn.preprocessing import MinMaxScaler, PolynomialFeatures
from threadpoolctl import threadpool_limits

from genre.classical import search as search_module
from genre.classical.classifiers import soft_voting, stacking
from genre.classical.model import ClassicalModel
from genre.classical.search import (
    Rows,
    build_pipeline,
    check_grid,
    check_storable,
    fit,
    inner_folds,
    share_cores,
    tracks_of,
    tune,
)
from genre.classical.transforms import RadialBasis
from genre.data.protocols import TrackTable
from genre.errors import ConfigError
from genre.evaluation.calibration import fit_temperature

GRID = {"transform.gamma": [0.1, 1.0], "classifier.n_neighbors": [1, 3, 5]}


def rows_of(n: int = 90, *, clips: int = 3, spread: float = 1.0) -> Rows:
    features, label = blobs(n // clips, spread=0.2)
    rng = np.random.default_rng(1)
    features = np.repeat(features, clips, axis=0) + rng.normal(0, spread, (n, 4))
    track = np.repeat(np.arange(n // clips), clips)
    return Rows(features, np.repeat(label, clips), track, track // 2, 3)


def halves(rows: Rows) -> list[tuple[np.ndarray, np.ndarray]]:
    first = np.flatnonzero(rows.track < rows.track.max() // 2)
    return [(first, np.setdiff1d(np.arange(len(rows.label)), first))]


def pipeline(transform=None, classifier=None):
    return build_pipeline(MinMaxScaler(), transform, classifier or KNeighborsClassifier(), seed=3)


def test_every_combination_is_a_trial_and_the_best_is_kept() -> None:
    rows = rows_of()
    search = tune(pipeline(RadialBasis(10)), GRID, rows, halves(rows), jobs=1)
    assert [trial.number for trial in search.trials] == list(range(1, 7))
    assert search.trials[4].parameters == {"transform.gamma": 1.0, "classifier.n_neighbors": 3}
    assert search.best.score == max(trial.score for trial in search.trials)
    parameters = search.pipeline.get_params()
    assert parameters["transform__gamma"] == search.best.parameters["transform.gamma"]
    assert parameters["classifier__n_neighbors"] == search.best.parameters["classifier.n_neighbors"]


def test_score_is_that_of_a_pipeline_fitted_by_hand() -> None:
    rows = rows_of()
    train, judge = halves(rows)[0]
    search = tune(pipeline(RadialBasis(10)), GRID, rows, [(train, judge)], jobs=1, score="clip_accuracy")
    by_hand = pipeline(RadialBasis(10, gamma=1.0), KNeighborsClassifier(3))
    by_hand.fit(rows.features[train], rows.label[train])
    assert search.trials[4].score == pytest.approx(by_hand.score(rows.features[judge], rows.label[judge]))


def test_result_does_not_depend_on_the_number_of_processes() -> None:
    rows = rows_of()
    splits = [*halves(rows), halves(rows)[0][::-1]]
    searches = [tune(pipeline(RadialBasis(10)), GRID, rows, splits, jobs=jobs) for jobs in (1, 2)]
    scores = [[(trial.score, trial.clip_accuracy) for trial in search.trials] for search in searches]
    assert scores[0] == scores[1]
    assert searches[0].best.parameters == searches[1].best.parameters


def test_rows_outside_the_splits_are_not_looked_at() -> None:
    rows = rows_of()
    train, judge = halves(rows)[0]
    seen = np.concatenate([train, judge[: len(judge) // 2]])
    splits = [(train, judge[: len(judge) // 2])]
    spoilt = Rows(rows.features.copy(), rows.label, rows.track, rows.group, 3)
    unseen = np.setdiff1d(np.arange(len(rows.label)), seen)
    spoilt.features[unseen] = np.nan
    plain, blind = (tune(pipeline(), {}, given, splits, jobs=1) for given in (rows, spoilt))
    assert plain.best.score == blind.best.score
    fitted = [fit(search.pipeline, given, train) for search, given in ((plain, rows), (blind, spoilt))]
    assert np.array_equal(*(model.predict(rows.features) for model in fitted))


def test_equal_scores_are_decided_by_clips_then_by_the_order_of_the_grid() -> None:
    rows = rows_of(spread=0.01)
    search = tune(pipeline(), {"classifier.n_neighbors": [5, 3, 1]}, rows, halves(rows), jobs=1)
    assert {trial.score for trial in search.trials} == {1.0}
    assert search.best.number == 1


def test_a_failing_trial_is_kept_with_its_reason_and_does_not_stop_the_others() -> None:
    rows = rows_of()
    search = tune(pipeline(), {"classifier.n_neighbors": [3, 10**6]}, rows, halves(rows), jobs=1)
    assert search.best.number == 1
    assert "n_neighbors" in search.trials[1].fault
    assert np.isnan(search.trials[1].score)


def test_when_all_trials_fail_the_reason_is_told() -> None:
    rows = rows_of()
    with pytest.raises(ConfigError, match=r"no setting of KNeighborsClassifier.* can be fitted: ValueError"):
        tune(pipeline(), {"classifier.n_neighbors": [10**6]}, rows, halves(rows), jobs=1)


def test_a_transform_that_cannot_be_fitted_is_a_failed_trial() -> None:
    rows = rows_of()
    search = tune(pipeline(RadialBasis(5)), {"transform.n_centres": [-1, 5]}, rows, halves(rows), jobs=1)
    assert [bool(trial.fault) for trial in search.trials] == [True, False]


@pytest.mark.parametrize(
    ("grid", "sentence"),
    [
        ({"classifier.neighbours": [1]}, r"did you mean classifier\.n_neighbors"),
        ({"transform.gamma": [1]}, "no setting of the transform"),
        ({"classifier.n_neighbors": []}, "no values for classifier"),
        ({"classifier.weights": "uniform"}, "give a list"),
    ],
)
def test_unusable_grids_are_told(grid: dict, sentence: str) -> None:
    with pytest.raises(ConfigError, match=sentence):
        check_grid(pipeline(), grid)


@pytest.mark.parametrize(
    ("classifier", "grid", "sentence"),
    [
        (KNeighborsClassifier(), {}, r"classifier\.estimator gives a KNeighborsClassifier made of .*KDTree"),
        (soft_voting({"knn": KNeighborsClassifier(algorithm="ball_tree")}), {}, "made of .*BallTree.* algorithm=brute"),
        (MLPClassifier(max_iter=2), {}, "made of .*AdamOptimizer, .*; choose other settings"),
        (
            KNeighborsClassifier(algorithm="brute"),
            {"classifier.algorithm": ["brute", "kd_tree"]},
            r"classifier\.grid\.algorithm=kd_tree gives .* need algorithm=brute",
        ),
    ],
    ids=["auto", "member", "mlp", "grid"],
)
def test_what_could_not_be_kept_in_a_model_file_is_told_before_the_search(classifier, grid, sentence: str) -> None:
    with pytest.raises(ConfigError, match=sentence):
        check_storable(pipeline(classifier=classifier), grid)


def test_what_can_be_kept_or_cannot_be_fitted_passes() -> None:
    brute = KNeighborsClassifier(algorithm="brute")
    check_storable(pipeline(RadialBasis(5), brute), {"classifier.weights": ["uniform", "distance", "nearness"]})
    check_storable(pipeline(RadialBasis(-1), stacking({"knn": brute})), {"classifier.final_estimator.C": [1.0]})


def test_unknown_scores_and_jobs_are_told() -> None:
    rows = rows_of()
    with pytest.raises(ConfigError, match="did you mean track_accuracy"):
        tune(pipeline(), {}, rows, halves(rows), jobs=1, score="track_acuracy")
    with pytest.raises(ConfigError, match=r"search\.jobs=0"):
        share_cores(0)


def test_processes_times_threads_is_not_more_than_the_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("joblib.cpu_count", lambda: 6)
    for jobs in (None, 1, 2, 4, 6, 100):
        processes, threads = share_cores(jobs)
        assert 1 <= processes * threads <= 6
    monkeypatch.setattr("multiprocessing.parent_process", object)
    assert share_cores(None) == (1, 1)


def test_threads_are_not_more_than_pools_are_limited_to(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("joblib.cpu_count", lambda: 6)
    np.ones((9, 9)) @ np.ones((9, 9))
    for limit in (1, 2):
        with threadpool_limits(limit):
            assert share_cores(1) == (1, limit)
            assert share_cores(None) == (6, 1)


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="the system ties no process to cores")
def test_cores_are_those_the_process_may_use() -> None:
    code = "import os; os.sched_setaffinity(0, list(os.sched_getaffinity(0))[:1]); " + (
        "from genre.classical.search import share_cores; print(*share_cores(None), *share_cores(2))"
    )
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ended.stdout.split() == ["1"] * 4


def test_a_transform_that_does_not_fit_into_memory_is_told_before_the_search(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = rows_of()
    train, judge = halves(rows)[0]
    of_one = 8 * 14 * (2 * len(train) + len(judge))  # 4 features, 4 squares, 6 products of two
    poly = pipeline(PolynomialFeatures(2, include_bias=False))
    monkeypatch.setattr("genre.classical.search.fit", None)
    monkeypatch.setattr("genre.classical.search.free_memory", lambda: of_one - 1)
    with pytest.raises(ConfigError, match=r"^90 clips of 14 columns.* are free; choose transform=none"):
        tune(poly, {"classifier.n_neighbors": [1, 3]}, rows, [(train, judge)], jobs=1)


def test_no_more_processes_than_fit_into_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("joblib.cpu_count", lambda: 6)
    rows = rows_of()
    [(train, judge)] = halves(rows)
    of_one = 8 * 34 * (2 * len(train) + len(judge))  # with the 20 products of three
    poly = pipeline(PolynomialFeatures(include_bias=False))
    used: list[int] = []
    run = search_module._run

    def running(calls: Any, jobs: int, threads: int) -> Any:
        used.append(jobs)
        return run(calls, 1, threads)

    monkeypatch.setattr(search_module, "_run", running)
    grid = {"transform.degree": [2, 3], "classifier.n_neighbors": [1, 3]}
    for free, jobs in ((of_one * 2.5, 2), (of_one * 4, 4), (None, 4)):
        monkeypatch.setattr(search_module, "free_memory", lambda free=free: free and int(free))
        notices: list[str] = []
        tune(poly, grid, rows, [(train, judge)], jobs=4, tell=notices.append)
        assert used.pop() == jobs
        assert [notice.partition(":")[0] for notice in notices] == ["search.jobs is lowered from 4 to 2"] * (jobs == 2)


def test_the_seed_reaches_every_step() -> None:
    built = build_pipeline(None, RadialBasis(3), stacking({"a": LogisticRegression()}), seed=11)
    seeds = {name: value for name, value in built.get_params().items() if name.endswith("random_state")}
    assert len(seeds) >= 3
    assert set(seeds.values()) == {11}
    assert built["scaler"] == "passthrough"


def test_track_scores_are_of_mean_probabilities() -> None:
    probability = np.array([[0.9, 0.1], [0.2, 0.8], [0.3, 0.7]])
    by_track, label = tracks_of(probability, np.array([0, 0, 1]), np.array([7, 7, 2]))
    assert np.allclose(by_track, [[0.3, 0.7], [0.55, 0.45]])
    assert label.tolist() == [1, 0]


class Scaled(ClassifierMixin, BaseEstimator):
    """Says of each class what one feature says, on any scale."""

    def __init__(self, scale: float = 1.0) -> None:
        self.scale = scale

    def fit(self, X: np.ndarray, y: np.ndarray) -> Scaled:
        self.classes_ = np.unique(y)
        return self

    def decision_function(self, X: np.ndarray) -> np.ndarray:
        return self.scale * X[:, : len(self.classes_)]


@pytest.mark.parametrize("n_splits", [1, 2])
def test_trials_are_judged_by_the_probabilities_of_the_finished_model(n_splits: int) -> None:
    rng = np.random.default_rng(5)
    track = np.repeat(np.arange(60), 5)
    label = track % 3
    features = rng.standard_t(1.5, size=(300, 3)) + 0.7 * np.eye(3)[label]
    rows = Rows(features, label, track, track, 3)
    every = np.arange(300)
    splits = [(every, judge) for judge in np.split(every, n_splits)]
    scales = [0.01, 1.0, 100.0]
    plain = build_pipeline(None, None, Scaled(), seed=0)
    search = tune(plain, {"classifier.scale": scales}, rows, splits, jobs=1)
    raw = {np.mean(of_tracks(softmax(scale * features, axis=1), label, track)) for scale in scales}
    assert len(raw) > 1  # without calibration the scale would be tuned
    names = ("a", "b", "c")
    for trial, scale in zip(search.trials, scales, strict=True):
        fitted = fit(plain.set_params(classifier__scale=scale), rows, every)
        model = ClassicalModel(fitted, names, names, 0, None)
        model = model.with_temperature(fit_temperature(model.logits(features), label))
        assert trial.score == pytest.approx(np.mean(of_tracks(model.predict_proba(features), label, track)))


def of_tracks(probability: np.ndarray, label: np.ndarray, track: np.ndarray) -> np.ndarray:
    by_track, truth = tracks_of(probability, label, track)
    return by_track.argmax(axis=1) == truth


def test_a_trial_whose_scores_are_no_numbers_has_failed() -> None:
    rows = rows_of()
    scaled = build_pipeline(None, None, Scaled(), seed=0)
    search = tune(scaled, {"classifier.scale": [float("inf"), 1.0]}, rows, halves(rows), jobs=1)
    assert "not finite numbers" in search.trials[0].fault
    assert np.isnan(search.trials[0].score)
    assert search.best.number == 2


def test_chance_is_chance() -> None:
    rows = rows_of()
    search = tune(pipeline(classifier=DummyClassifier()), {}, rows, halves(rows), jobs=1, score="macro_recall")
    assert search.best.score == pytest.approx(1 / 3)


def table(n_tracks: int = 24) -> TrackTable:
    return TrackTable(
        names=tuple(f"{i:02}.wav" for i in range(n_tracks)),
        label=np.arange(n_tracks) % 2,
        labels=("a", "b"),
        artist=tuple(f"artist {i // 4 * 2 + i % 2}" for i in range(n_tracks)),
        content=tuple("same" if i in (0, 5) else str(i) for i in range(n_tracks)),
        split=(None,) * n_tracks,
        n_clips=np.full(n_tracks, 3),
    )


def test_inner_folds_keep_artists_and_recordings_together() -> None:
    tracks = table()
    rows = np.arange(6, 72)
    folds, group = inner_folds(tracks, rows, n_folds=3, seed=0, leaky=False)
    assert len(folds) == 3
    assert group[0] == group[5 * 3]
    judged = np.sort(np.concatenate([judge for _, judge in folds]))
    assert np.array_equal(judged, rows)
    artist = np.array(tracks.artist)[tracks.clip_track]
    for train, judge in folds:
        assert not set(artist[train]) & set(artist[judge])
        assert not set(group[train]) & set(group[judge])
        assert set(train) | set(judge) == set(rows)


def test_inner_folds_of_a_leaky_protocol_leak_too() -> None:
    folds, _ = inner_folds(table(), np.arange(72), n_folds=3, seed=0, leaky=True)
    tracks = table().clip_track
    assert set(tracks[folds[0][0]]) & set(tracks[folds[0][1]])


@pytest.mark.parametrize("n_folds", ["abc", None, 2.5, True, 1, -1])
def test_what_is_no_number_of_inner_folds(n_folds) -> None:
    with pytest.raises(ConfigError, match=rf"search\.inner_folds={n_folds} is not a number of folds"):
        inner_folds(table(), np.arange(72), n_folds=n_folds, seed=0, leaky=False)


def test_no_inner_folds_without_two_groups() -> None:
    assert inner_folds(table(), np.arange(6), n_folds=0, seed=0, leaky=False)[0] == []
    with pytest.raises(ConfigError, match=r"search\.inner_folds=0"):
        inner_folds(table(), np.arange(3), n_folds=5, seed=0, leaky=False)


def table_of(sizes: list[int], classes: list[int], *, n_clips: int = 1) -> TrackTable:
    """A table of artists with so many tracks each, all of an artist's of one class."""
    label = np.repeat(classes, sizes)
    return TrackTable(
        names=tuple(f"{i:03}.wav" for i in range(len(label))),
        label=label,
        labels=tuple("abc"[: max(classes) + 1]),
        artist=tuple(f"artist {i}" for i in np.repeat(np.arange(len(sizes)), sizes)),
        content=tuple(map(str, range(len(label)))),
        split=(None,) * len(label),
        n_clips=np.full(len(label), n_clips),
    )


@pytest.mark.parametrize(
    ("sizes", "classes", "n_folds"),
    [
        ([15, 18, 6, 11, 21], [1, 0, 1, 0, 0], 5),  # more folds than the class of most artists has
        ([10, 10, 10, 10, 10], [0, 0, 0, 1, 1], 5),  # a class of two artists
        ([1, 1, 1, 1], [0, 0, 1, 1], 4),  # more folds than members of a class
        ([1, 1, 1, 40, 1, 1], [0, 0, 0, 1, 1, 1], 3),  # one artist has nearly all
    ],
)
def test_inner_folds_of_few_artists_are_of_use_or_refused_in_a_sentence(sizes, classes, n_folds) -> None:
    tracks = table_of(sizes, classes)
    rows = np.arange(len(tracks.names))
    for seed in range(5):
        notices: list[str] = []
        folds, _ = inner_folds(tracks, rows, n_folds=n_folds, seed=seed, leaky=False, tell=notices.append)
        assert len(folds) >= 2
        assert len(notices) == (len(folds) < n_folds)
        for train, judge in folds:
            assert len(judge)
            assert len(np.unique(tracks.label[train])) == 2
    assert all(notice.startswith(f"search.inner_folds={n_folds}: there are only ") for notice in notices)


@pytest.mark.parametrize(
    ("sizes", "classes"),
    [([5, 5, 5], [0, 1, 2]), ([5, 5], [0, 1]), ([5, 5, 5], [0, 0, 0]), ([9, 9, 9, 9], [0, 0, 0, 1])],
    ids=["an artist a class", "two", "one class", "a single class can be judged"],
)
def test_folds_that_cannot_be_are_refused_in_one_sentence(sizes, classes) -> None:
    tracks = table_of(sizes, classes)
    rows = np.arange(len(tracks.names))
    with pytest.raises(ConfigError, match=r"search\.inner_folds=5 is not possible: .*; set search\.inner_folds=0"):
        inner_folds(tracks, rows, n_folds=5, seed=0, leaky=False)
    features = np.random.default_rng(0).normal(size=(len(rows), 4))
    _, group = inner_folds(tracks, rows, n_folds=0, seed=0, leaky=False)
    ensemble = pipeline(classifier=stacking({"a": LogisticRegression()}))
    given = Rows(features, tracks.label, rows, group, 3)
    with pytest.raises(ConfigError, match=r"^classifier\.estimator\.n_folds=5 is not possible: .*soft_voting"):
        tune(ensemble, {}, given, [(rows, rows)], jobs=1)


def test_stacking_of_few_artists_has_fewer_folds_and_says_so() -> None:
    tracks = table_of([4, 4, 4, 4, 4], [0, 0, 1, 1, 2])
    rows = np.arange(20)
    features = np.random.default_rng(0).normal(size=(20, 4)) + tracks.label[:, None]
    _, group = inner_folds(tracks, rows, n_folds=0, seed=0, leaky=False)
    notices: list[str] = []
    ensemble = pipeline(classifier=stacking({"a": LogisticRegression(), "b": KNeighborsClassifier(1)}))
    search = tune(
        ensemble, {}, Rows(features, tracks.label, rows, group, 3), [(rows, rows)] * 2, jobs=1, tell=notices.append
    )
    assert not search.best.fault
    [notice] = notices
    assert notice.startswith("classifier.estimator.n_folds=5: there are only 2 folds")


@pytest.mark.parametrize("n_folds", [1, 0, "many", 2.5])
def test_what_is_no_number_of_folds_of_stacking(n_folds) -> None:
    rows = rows_of()
    ensemble = pipeline(classifier=stacking({"a": LogisticRegression()}, n_folds=n_folds))
    with pytest.raises(ConfigError, match=rf"classifier\.estimator\.n_folds={n_folds} is not a number of folds"):
        tune(ensemble, {}, rows, halves(rows), jobs=1)


def test_stacking_deals_by_the_seed() -> None:
    rows = rows_of()
    dealt = []
    for seed in (0, 0, 1):
        built = build_pipeline(None, None, stacking({"a": LogisticRegression()}), seed=seed)
        dealt.append([judge.tolist() for _, judge in built[-1].folds(rows.label, rows.group)])
    assert dealt[0] == dealt[1] != dealt[2]


def test_stacking_gets_the_groups() -> None:
    rows = rows_of()
    ensemble = pipeline(classifier=stacking({"a": LogisticRegression(), "b": KNeighborsClassifier(3)}, n_folds=3))
    search = tune(ensemble, {"classifier.final_estimator.C": [0.1, 1.0]}, rows, halves(rows), jobs=1)
    assert not any(trial.fault for trial in search.trials)
    assert fit(search.pipeline, rows, halves(rows)[0][0]).predict(rows.features).shape == (90,)


def test_rows_count_by_their_weight_in_trials_and_in_the_last_fit() -> None:
    rows = rows_of(spread=2.0)
    heavy = np.where(rows.label == 0, 30.0, 1.0)
    weighted = Rows(rows.features, rows.label, rows.track, rows.group, 3, heavy)
    model = pipeline(classifier=LogisticRegression())
    everything = np.arange(len(rows.label))
    by_hand = MinMaxScaler().fit_transform(rows.features)
    expected = LogisticRegression().fit(by_hand, rows.label, sample_weight=heavy).coef_
    np.testing.assert_allclose(fit(model, weighted, everything)[-1].coef_, expected, rtol=1e-6)
    grid = {"classifier.C": [1.0]}
    alike, uneven = (tune(model, grid, some, halves(rows), jobs=1).best.clip_accuracy for some in (rows, weighted))
    assert alike != uneven


def test_classifiers_that_take_no_weights_are_fitted_without() -> None:
    rows = rows_of()
    weighted = Rows(rows.features, rows.label, rows.track, rows.group, 3, np.linspace(1, 2, len(rows.label)))
    grid = {"classifier.n_neighbors": [3]}
    scores = [tune(pipeline(), grid, some, halves(rows), jobs=1).best.score for some in (rows, weighted)]
    assert scores[0] == scores[1]
    stack = stacking({"a": LogisticRegression(), "b": KNeighborsClassifier()}, n_folds=2)
    fit(build_pipeline(MinMaxScaler(), None, stack, seed=0), weighted, np.arange(len(rows.label)))
