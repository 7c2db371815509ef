"""Files of classical models: what goes in comes out, and what could do harm does not get in."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import sklearn
import skops.io
from classical_models import FEATURES, LABELS, blobs, fitted
from sklearn.ensemble import (
    ExtraTreesClassifier,
    HistGradientBoostingClassifier,
    RandomForestClassifier,
    VotingClassifier,
)
from sklearn.linear_model import LogisticRegression, RidgeClassifier
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import FunctionTransformer
from sklearn.svm import SVC
from sklearn.tree import DecisionTreeClassifier

from genre.classical.classifiers import stacking
from genre.classical.model import ClassicalModel, class_logits, load_classical
from genre.classical.neural_net import NeuralNet
from genre.classical.transforms import RadialBasis
from genre.data.clips import ClipSpec
from genre.errors import CheckpointError, DataError

CLASSIFIERS = [
    LogisticRegression(),
    SVC(kernel="linear"),
    RidgeClassifier(),
    DecisionTreeClassifier(max_depth=4),
    RandomForestClassifier(5),
    ExtraTreesClassifier(5),
    KNeighborsClassifier(3, algorithm="brute"),
    HistGradientBoostingClassifier(max_iter=3),
    NeuralNet((8, 4), (0.1, 0.1), epochs=2),
]


@pytest.mark.parametrize("classifier", CLASSIFIERS, ids=lambda classifier: type(classifier).__name__)
def test_file_gives_back_the_model(classifier, tmp_path: Path) -> None:
    model = fitted(classifier, transform=RadialBasis(5))
    model.save(tmp_path / "model.skops")
    again = load_classical(tmp_path / "model.skops")
    rows, _ = blobs(20, seed=1)
    assert np.array_equal(again.predict_proba(rows), model.predict_proba(rows))
    assert (again.labels, again.feature_names, again.features_version) == (LABELS, FEATURES, 3)
    assert again.clips == ClipSpec(1.5)
    assert again.sample_rate == 22050
    assert again.temperature == 2.0
    assert again.provenance == {"model": "test", "seed": 7}
    assert [path.name for path in tmp_path.iterdir()] == ["model.skops"]


@pytest.mark.parametrize("classifier", CLASSIFIERS, ids=lambda classifier: type(classifier).__name__)
def test_probabilities_sum_to_one_and_say_what_the_logits_say(classifier) -> None:
    model = fitted(classifier)
    rows, _ = blobs(30, seed=2)
    probabilities = model.predict_proba(rows)
    assert probabilities.shape == (30, 3)
    assert np.allclose(probabilities.sum(axis=1), 1)
    assert np.array_equal(probabilities.argmax(axis=1), model.logits(rows).argmax(axis=1))
    assert model.predict_proba(rows[:0]).shape == (0, 3)


def test_two_classes_have_the_probabilities_of_scikit_learn() -> None:
    rows, label = blobs(40)
    classifier = LogisticRegression().fit(rows, label == 1)
    logits = class_logits(classifier, rows, 2)
    expected = classifier.predict_proba(rows)
    assert np.allclose(np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True), expected)


def test_a_class_that_was_not_learnt_is_never_predicted() -> None:
    rows, label = blobs(60)
    known = label != 1
    for classifier in (LogisticRegression(), KNeighborsClassifier(3)):
        logits = class_logits(classifier.fit(rows[known], label[known]), rows, 3)
        assert logits.shape == (60, 3)
        assert np.isfinite(logits).all()
        assert (logits.argmax(axis=1) != 1).all()


def test_a_single_known_class_is_always_predicted() -> None:
    rows, label = blobs(30)
    known = label == 2
    logits = class_logits(RidgeClassifier().fit(rows[known], label[known]), rows, 3)
    assert (logits.argmax(axis=1) == 2).all()


@pytest.mark.parametrize("rows", [np.zeros((2, 3)), np.zeros(4), np.full((1, 4), np.nan)], ids=["wide", "flat", "nan"])
def test_unusable_features_are_refused(rows) -> None:
    with pytest.raises(DataError, match="features"):
        fitted(LogisticRegression()).predict_proba(rows)


def test_untrusted_types_are_refused_by_name(tmp_path: Path) -> None:
    import os

    harmful = Pipeline([("harm", FunctionTransformer(os.system)), ("classifier", LogisticRegression())])
    path = tmp_path / "stranger.skops"
    skops.io.dump({"format": 1, "pipeline": harmful}, path)
    with pytest.raises(CheckpointError, match=r"asks for posix\.system"):
        load_classical(path)


@pytest.mark.parametrize("algorithm", ["kd_tree", "ball_tree"])
def test_what_could_not_be_loaded_is_not_written(algorithm: str, tmp_path: Path) -> None:
    model = fitted(KNeighborsClassifier(3, algorithm=algorithm))
    with pytest.raises(CheckpointError, match=r"model\.skops: it is made of .*_tree\..*Tree, which no model file may"):
        model.save(tmp_path / "model.skops")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("content", [b"", b"not a model", b"PK\x05\x06" + bytes(18)], ids=["empty", "text", "zip"])
def test_other_files_are_told_apart(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "other.skops"
    path.write_bytes(content)
    with pytest.raises(CheckpointError, match="is not a model"):
        load_classical(path)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"there is no file .*gone\.skops"):
        load_classical(tmp_path / "gone.skops")


@pytest.mark.parametrize(
    "change",
    [{"format": 99}, {"temperature": 0.0}, {"pipeline": LogisticRegression()}, {"clips": {"clip_sec": -1}}, "labels"],
    ids=str,
)
def test_a_file_with_other_content_is_refused(change, tmp_path: Path) -> None:
    path = tmp_path / "model.skops"
    fitted(LogisticRegression()).save(path)
    content = skops.io.load(path)
    if isinstance(change, dict):
        content.update(change)
    else:
        del content[change]
    skops.io.dump(content, path)
    with pytest.raises(CheckpointError, match="is not a model"):
        load_classical(path)


@pytest.mark.parametrize("fault", ["circle", "outside", "feature"])
@pytest.mark.parametrize("kind", ["forest", "boosting"])
def test_forged_trees_are_refused(kind: str, fault: str, tmp_path: Path) -> None:
    boosting = HistGradientBoostingClassifier(max_iter=2, min_samples_leaf=2)
    model = fitted(RandomForestClassifier(2) if kind == "forest" else boosting)
    classifier = model.pipeline[-1]
    if kind == "forest":
        tree = classifier.estimators_[1].tree_
        state = tree.__getstate__()
        nodes, left, feature = state["nodes"], "left_child", "feature"
    else:
        nodes, left, feature = classifier._predictors[1][0].nodes, "left", "feature_idx"
    name, value = {"circle": (left, 0), "outside": (left, 10**6), "feature": (feature, 10**6)}[fault]
    nodes[name][0] = value
    if kind == "forest":
        tree.__setstate__(state)
    path = tmp_path / "forged.skops"
    model.save(path)
    with pytest.raises(CheckpointError, match="tree in it is damaged"):
        load_classical(path)


def cut(name: str, *where: slice) -> Callable[[Any], None]:
    return lambda part: setattr(part, name, np.ascontiguousarray(getattr(part, name)[where]))


def put(name: str, value: object) -> Callable[[Any], None]:
    return lambda part: setattr(part, name, value)


def spoilt(name: str) -> Callable[[Any], None]:
    return lambda part: put(name, np.full_like(getattr(part, name), np.nan))(part)


FORGED_SVM = {
    "coefficients of fewer classes": cut("_dual_coef_", slice(1)),
    "fewer coefficients": cut("_dual_coef_", slice(None), slice(2)),
    "fewer intercepts": cut("_intercept_", slice(1)),
    "fewer vectors": cut("support_vectors_", slice(2)),
    "narrow vectors": cut("support_vectors_", slice(None), slice(2)),
    "fewer places": cut("support_", slice(2)),
    "more of a class": lambda part: put("_n_support", part._n_support + np.int32(1000))(part),
    "less than none": lambda part: put("_n_support", part._n_support + np.array([-1000, 1000, 0], np.int32))(part),
    "more classes": lambda part: put("_n_support", np.append(part._n_support, np.int32(0)))(part),
    "other numbers": lambda part: put("support_", part.support_.astype(float))(part),
    "not finite coefficients": spoilt("_dual_coef_"),
    "not finite intercepts": spoilt("_intercept_"),
    "one chance": put("_probA", np.zeros(1)),
    "another kind": put("_impl", "epsilon_svr"),
    "kernel computed before": put("kernel", "precomputed"),
    "sparse": put("_sparse", True),
    "nothing": put("support_vectors_", None),
}
FORGED_NEIGHBOURS = {
    "narrow rows": cut("_fit_X", slice(None), slice(2)),
    "fewer classes": cut("_y", slice(2)),
    "class there is not": lambda part: put("_y", part._y + 10**6)(part),
    "more neighbours than rows": put("n_neighbors", 10**6),
    "not finite": spoilt("_fit_X"),
}


@pytest.mark.parametrize("inside", ["alone", "voting", "stacking"])
@pytest.mark.parametrize("fault", FORGED_SVM)
def test_forged_support_vector_machines_are_refused(fault: str, inside: str, tmp_path: Path) -> None:
    ensemble = {"alone": lambda part: part, "voting": voting_with, "stacking": stacking_with}[inside]
    model = fitted(ensemble(SVC()))
    classifier = model.pipeline[-1]
    FORGED_SVM[fault](classifier if inside == "alone" else classifier.estimators_[0])
    with pytest.raises(CheckpointError, match="a support vector machine in it is damaged"):
        load_classical(written(model, tmp_path))


@pytest.mark.parametrize("fault", FORGED_NEIGHBOURS)
def test_forged_neighbours_are_refused(fault: str, tmp_path: Path) -> None:
    model = fitted(KNeighborsClassifier(3, algorithm="brute"))
    FORGED_NEIGHBOURS[fault](model.pipeline[-1])
    with pytest.raises(CheckpointError, match="nearest neighbours in it is damaged"):
        load_classical(written(model, tmp_path))


def test_a_forest_whose_trees_ask_for_more_features_than_it_is_given_is_refused(tmp_path: Path) -> None:
    model = fitted(RandomForestClassifier(2))
    model.pipeline[-1].n_features_in_ = 2
    with pytest.raises(CheckpointError, match="a decision tree in it is damaged"):
        load_classical(written(model, tmp_path))


@pytest.mark.parametrize("kernel", ["linear", "rbf", "poly", "sigmoid"])
@pytest.mark.parametrize("probability", [False, True])
@pytest.mark.parametrize("n_classes", [2, 3])
def test_honest_support_vector_machines_are_taken(kernel, probability, n_classes, tmp_path: Path) -> None:
    model = fitted(voting_with(SVC(kernel=kernel, probability=probability)))
    rows, label = blobs(60)
    some = label < n_classes
    model.pipeline.set_params(classifier__voting="soft" if probability else "hard").fit(rows[some], label[some])
    again = load_classical(written(model, tmp_path))
    assert np.array_equal(again.pipeline.predict(rows), model.pipeline.predict(rows))


def test_another_version_of_scikit_learn_is_told_and_not_refused(tmp_path: Path) -> None:
    path = written(fitted(LogisticRegression()), tmp_path)
    notices: list[str] = []
    load_classical(path, tell=notices.append)
    assert notices == []
    content = skops.io.load(path)
    skops.io.dump({**content, "scikit_learn": "1.6.0"}, path)
    assert load_classical(path, tell=notices.append).labels == LABELS
    [notice] = notices
    assert notice.startswith(f"{path} was written with scikit-learn 1.6.0 and {sklearn.__version__} is installed, ")
    assert "train the model again" in notice


def test_a_stacking_saved_before_it_had_a_seed_is_read(tmp_path: Path) -> None:
    model = fitted(stacking_with(KNeighborsClassifier(3, algorithm="brute")))
    del model.pipeline[-1].random_state
    again = load_classical(written(model, tmp_path))
    assert again.pipeline[-1].get_params()["random_state"] == 0
    assert np.array_equal(again.predict_proba(blobs(9)[0]), model.predict_proba(blobs(9)[0]))


def test_scores_that_are_no_numbers_are_refused() -> None:
    model = fitted(LogisticRegression())
    model.pipeline[-1].coef_[0, 0] = np.nan
    with pytest.raises(CheckpointError, match=r"scores that are not finite numbers.* train it again"):
        model.predict_proba(blobs(5)[0])


def voting_with(member: Any) -> VotingClassifier:
    return VotingClassifier([("member", member), ("other", LogisticRegression())])


def stacking_with(member: Any) -> Any:
    return stacking({"member": member, "other": LogisticRegression()}, n_folds=2)


def written(model: ClassicalModel, folder: Path) -> Path:
    model.save(folder / "model.skops")
    return folder / "model.skops"


def test_a_folder_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(CheckpointError, match="cannot write the model"):
        fitted(LogisticRegression()).save(tmp_path / "file" / "model.skops")
