"""Ensembles of classifiers: soft voting, and stacking that keeps artists apart inside too."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator
from sklearn.ensemble import StackingClassifier, VotingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.utils.validation import has_fit_parameter

from genre.classical.folds import Split, deal_folds


class GroupedStacking(StackingClassifier):  # type: ignore[misc]  # scikit-learn has no types
    """Stacking whose inner folds keep groups together.

    The last classifier learns from what the members say of rows they were not fitted on. If clips of one artist were on
    both sides there, it would learn to trust whichever member remembers best.
    """

    random_state: int | None = 0  # of models that were saved before they had one

    def __init__(
        self,
        estimators: Sequence[tuple[str, BaseEstimator]],
        final_estimator: BaseEstimator | None = None,
        *,
        cv: int = 5,
        stack_method: str = "auto",
        n_jobs: int | None = None,
        passthrough: bool = False,
        verbose: int = 0,
        random_state: int | None = 0,
    ) -> None:
        super().__init__(
            estimators,
            final_estimator,
            cv=cv,
            stack_method=stack_method,
            n_jobs=n_jobs,
            passthrough=passthrough,
            verbose=verbose,
        )
        self.random_state = random_state

    def fit(self, X: ArrayLike, y: ArrayLike, groups: ArrayLike | None = None) -> Self:
        """Fit on rows ``X`` (n, n_features) with classes ``y`` (n,) and their ``groups`` (n,), by default all apart.

        Raises
        ------
        ConfigError
            If there are too few groups for two folds.
        """
        rows = np.asarray(X)
        groups = np.arange(len(rows)) if groups is None else np.asarray(groups)
        n_folds: Any = self.cv
        self.cv: Any = self.folds(np.asarray(y), groups)
        try:
            super().fit(rows, y)
        finally:
            self.cv = n_folds
        return self

    def folds(
        self, y: NDArray[Any], groups: NDArray[Any], *, tell: Callable[[str], None] = lambda _notice: None
    ) -> list[Split]:
        """Return the inner folds of rows with classes ``y`` (n,) and their ``groups`` (n,): see :func:`deal_folds`."""
        return deal_folds(
            y,
            groups,
            self.cv,
            seed=self.random_state,
            setting="classifier.estimator.n_folds",
            otherwise="choose classifier=soft_voting, which has no folds, or add artists",
            whole=True,
            tell=tell,
        )


def soft_voting(members: Mapping[str, BaseEstimator]) -> VotingClassifier:
    """Return an ensemble that says the mean of its members' probabilities."""
    return VotingClassifier(list(members.items()), voting="soft")


def stacking(members: Mapping[str, BaseEstimator], *, n_folds: int = 5, C: float = 0.1) -> GroupedStacking:
    """Return an ensemble in which a logistic regression learns how far to trust each member.

    Parameters
    ----------
    members
        Name -> classifier.
    n_folds
        Inner folds.
    C
        Inverse strength of the regularisation of the logistic regression.
    """
    final = LogisticRegression(C=C, max_iter=1000)
    return GroupedStacking(list(members.items()), final_estimator=final, cv=n_folds)


def takes_groups(estimator: Any) -> bool:
    """Say whether a classifier wants to know which rows belong together."""
    return isinstance(estimator, GroupedStacking)


def takes_weights(estimator: Any) -> bool:
    """Say whether a classifier can be told how much each row counts."""
    return bool(has_fit_parameter(estimator, "sample_weight"))
