"""What a fitted model is made of: how many numbers it keeps, and whether its decision trees are sound."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray


def count_values(model: Any) -> int:
    """Return how many numbers a fitted estimator has learnt: all floating-point arrays of its parts, and its trees."""
    from sklearn.ensemble._hist_gradient_boosting.predictor import TreePredictor
    from sklearn.tree._tree import Tree

    count = 0
    for part in _parts(model, seen=set()):
        if isinstance(part, np.ndarray) and part.dtype.kind == "f":
            count += part.size
        elif isinstance(part, Tree):
            count += part.threshold.size + part.value.size
        elif isinstance(part, TreePredictor):
            count += 2 * len(part.nodes)  # a threshold and a value
    return count


def check_trees(model: Any) -> None:
    """Look at every tree inside a fitted estimator: it may lead to later nodes only, and ask for features there are.

    Compiled code follows a tree without looking, so a damaged or forged one could read anywhere in memory or go in
    circles.

    Raises
    ------
    ValueError
        If a tree leads outside itself or asks for a feature that the model does not have.
    """
    from sklearn.base import BaseEstimator
    from sklearn.ensemble._hist_gradient_boosting.predictor import TreePredictor
    from sklearn.tree._tree import Tree

    for part in _parts(model, seen=set()):
        if isinstance(part, Tree):
            _check_tree(part)
        elif isinstance(part, TreePredictor):
            _check_predictor(part)
        elif isinstance(part, BaseEstimator):
            _check_features(part)


def _parts(value: Any, seen: set[int]) -> Iterator[Any]:
    """Yield everything that an estimator holds, itself first, each once."""
    from sklearn.base import BaseEstimator

    if id(value) in seen:
        return
    seen.add(id(value))
    yield value
    inside: Any = ()
    if isinstance(value, BaseEstimator):
        inside = vars(value).values()
    elif isinstance(value, dict):
        inside = value.values()
    elif isinstance(value, list | tuple):
        inside = value
    elif isinstance(value, np.ndarray) and value.dtype == object:
        inside = value.ravel()
    for part in inside:
        yield from _parts(part, seen)


def _check_features(estimator: Any) -> None:
    """Check that the trees an estimator holds itself ask for features that it is given."""
    tree = getattr(estimator, "tree_", None)
    if tree is not None:
        _require(tree.n_features == estimator.n_features_in_)
        _require_within(tree.feature[tree.children_left != -1], tree.n_features)
    for iteration in getattr(estimator, "_predictors", ()):
        for predictor in iteration:
            asked = predictor.nodes["feature_idx"][predictor.nodes["is_leaf"] == 0]
            _require_within(asked, estimator.n_features_in_)


def _check_tree(tree: Any) -> None:
    """Check a tree of a single decision tree or a forest; a leaf has -1 for both children."""
    nodes = np.arange(tree.node_count)
    left, right = tree.children_left, tree.children_right
    inner = left != -1
    _require(tree.node_count > 0 and np.array_equal(inner, right != -1))
    _require_later(nodes[inner], left[inner], right[inner], tree.node_count)


def _check_predictor(predictor: Any) -> None:
    """Check a tree of gradient boosting; children of a leaf mean nothing, and there are no categories here."""
    nodes = predictor.nodes
    inner = nodes["is_leaf"] == 0
    _require(len(nodes) > 0 and not nodes["is_categorical"].any())
    left, right = (nodes[side][inner].astype(np.int64) for side in ("left", "right"))
    _require_later(np.flatnonzero(inner), left, right, len(nodes))


def _require_later(nodes: NDArray[Any], left: NDArray[Any], right: NDArray[Any], count: int) -> None:
    for child in (left, right):
        _require(bool(np.all((child > nodes) & (child < count))))


def _require_within(feature: NDArray[Any], n_features: int) -> None:
    _require(bool(np.all((feature >= 0) & (feature < n_features))))


def _require(sound: bool) -> None:
    if not sound:
        raise ValueError("a decision tree in it is damaged")
