"""What a fitted model is made of: how many numbers it keeps, and whether what compiled code reads is sound."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

KERNELS = ("linear", "poly", "rbf", "sigmoid")
"""Of support vector machines that a model file may hold; rows of a kernel that was computed before are not features."""


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


def check_parts(model: Any) -> None:
    """Look at whatever inside a fitted estimator is read by compiled code, which does not look where it goes.

    A damaged or forged part could read or write anywhere in memory, or go in circles. A tree may lead to later nodes
    only and ask for features there are; a support vector machine and nearest neighbours must have as many numbers of
    everything as their classes, features and rows make.

    Raises
    ------
    ValueError
        Naming the kind of part that is damaged.
    """
    from sklearn.base import BaseEstimator
    from sklearn.ensemble._hist_gradient_boosting.predictor import TreePredictor
    from sklearn.neighbors._base import NeighborsBase
    from sklearn.svm._base import BaseLibSVM
    from sklearn.tree._tree import Tree

    checks = (
        (Tree, "a decision tree", _check_tree),
        (TreePredictor, "a decision tree", _check_predictor),
        (BaseLibSVM, "a support vector machine", _check_support_vectors),
        (NeighborsBase, "a classifier by nearest neighbours", _check_neighbours),
        (BaseEstimator, "a decision tree", _check_features),
    )
    for part in _parts(model, seen=set()):
        for kind, name, check in checks:
            if not isinstance(part, kind):
                continue
            try:
                check(part)
            except (_DamagedError, AttributeError, TypeError, ValueError, IndexError, KeyError) as error:
                raise ValueError(f"{name} in it is damaged") from error


class _DamagedError(Exception):
    """A part is not what an honest fit leaves."""


def _parts(value: Any, seen: set[int]) -> Iterator[Any]:
    """Yield everything that an estimator holds, itself first, each once."""
    from sklearn.base import BaseEstimator

    if id(value) in seen:
        return
    seen.add(id(value))
    yield value
    inside: Any = ()
    if isinstance(value, BaseEstimator) or (
        type(value).__module__.startswith("sklearn.") and hasattr(value, "__dict__")
    ):
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
    """Check that the trees an estimator holds ask for features that it is given."""
    from sklearn.ensemble._forest import BaseForest
    from sklearn.ensemble._gb import BaseGradientBoosting

    if isinstance(estimator, BaseForest | BaseGradientBoosting):
        members = np.ravel(getattr(estimator, "estimators_", ()))
        _require(all(member.n_features_in_ == estimator.n_features_in_ for member in members))
    if isinstance(estimator, BaseGradientBoosting) and hasattr(estimator, "estimators_"):
        _require(estimator.estimators_.shape[1] == estimator.n_trees_per_iteration_)
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


def _check_support_vectors(machine: Any) -> None:
    """Check that the arrays of a fitted support vector machine are as long as libsvm takes them to be."""
    if not hasattr(machine, "support_vectors_"):  # not fitted, as what an ensemble keeps to make its members from
        return
    _require(machine._impl == type(machine)._impl and not machine._sparse and machine.kernel in KERNELS)
    vectors = _array(machine.support_vectors_, np.float64, n_dims=2)
    n_vectors = len(vectors)
    _require(vectors.shape[1] == machine.n_features_in_)
    _require(_array(machine.support_, np.int32).shape == (n_vectors,))
    own = _array(machine._n_support, np.int32)
    coefficients = _array(machine._dual_coef_, np.float64, n_dims=2)
    intercept = _array(machine._intercept_, np.float64)
    n_classes = len(machine.classes_) if machine._impl in ("c_svc", "nu_svc") else 2  # of others: above and below
    n_pairs = n_classes * (n_classes - 1) // 2
    _require(n_classes > 1 and coefficients.shape == (n_classes - 1, n_vectors) and intercept.shape == (n_pairs,))
    if machine._impl in ("c_svc", "nu_svc"):
        _require(own.shape == (n_classes,))
        _require(bool(np.all(own >= 0)) and int(own.sum(dtype=np.int64)) == n_vectors)
    of_pairs = [_array(values, np.float64).shape for values in (machine._probA, machine._probB)]
    _require(of_pairs in ([(0,)] * 2, [(n_pairs,)] * 2))


def _check_neighbours(neighbours: Any) -> None:
    """Check that fitted nearest neighbours are looked for one by one, among rows that all have a class there is."""
    if not hasattr(neighbours, "_fit_X"):
        return
    rows = neighbours._fit_X
    _require(
        isinstance(rows, np.ndarray) and rows.dtype.kind == "f" and rows.ndim == 2 and bool(np.isfinite(rows).all())
    )
    _require(rows.shape == (neighbours.n_samples_fit_, neighbours.n_features_in_))
    _require(neighbours._fit_method == "brute" and neighbours.metric != "precomputed")
    n_neighbors = neighbours.n_neighbors
    _require(n_neighbors is None or 1 <= n_neighbors <= len(rows))
    if hasattr(neighbours, "_y"):
        classes = _array(neighbours._y, np.intp)
        _require(classes.shape == (len(rows),))
        _require_within(classes, len(neighbours.classes_))


def _array(values: Any, dtype: type, *, n_dims: int = 1) -> NDArray[Any]:
    """Return an array if it is one of these numbers, all of them finite."""
    _require(isinstance(values, np.ndarray) and values.dtype == dtype and values.ndim == n_dims)
    _require(bool(np.isfinite(values).all()))
    return np.asarray(values)


def _require_later(nodes: NDArray[Any], left: NDArray[Any], right: NDArray[Any], count: int) -> None:
    for child in (left, right):
        _require(bool(np.all((child > nodes) & (child < count))))


def _require_within(feature: NDArray[Any], n_features: int) -> None:
    _require(bool(np.all((feature >= 0) & (feature < n_features))))


def _require(sound: bool) -> None:
    if not sound:
        raise _DamagedError
