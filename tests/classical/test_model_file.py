"""Files of classical models: what goes in comes out, and what could do harm does not get in."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import skops.io
from classical_models import FEATURES, LABELS, blobs, fitted
from sklearn.ensemble import ExtraTreesClassifier, HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.linear_model import LogisticRegression, RidgeClassifier
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import FunctionTransformer
from sklearn.svm import SVC
from sklearn.tree import DecisionTreeClassifier

from genre.classical.model import class_logits, load_classical
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


def test_a_folder_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(CheckpointError, match="cannot write the model"):
        fitted(LogisticRegression()).save(tmp_path / "file" / "model.skops")
