"""Transforms of features that scikit-learn does not have."""

from __future__ import annotations

from typing import Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.cluster import KMeans
from sklearn.metrics.pairwise import euclidean_distances
from sklearn.utils.validation import check_is_fitted, validate_data


class RadialBasis(ClassNamePrefixFeaturesOutMixin, TransformerMixin, BaseEstimator):  # type: ignore[misc]  # no types
    """Nearness to the centres of a k-means clustering: exp(-gamma * squared distance) to each.

    Parameters
    ----------
    n_centres
        Number of centres; as many as there are training rows if these are fewer.
    gamma
        How fast nearness falls with the squared distance.
    random_state
        Seed of the clustering.

    Attributes
    ----------
    centres_ : shape=(n_centres, n_features)

    References
    ----------
    Moody, J., Darken, C. (1989). Fast learning in networks of locally-tuned processing units. Neural Computation 1(2).
    """

    def __init__(self, n_centres: int = 200, *, gamma: float = 0.025, random_state: int | None = 0) -> None:
        self.n_centres = n_centres
        self.gamma = gamma
        self.random_state = random_state

    def fit(self, X: ArrayLike, y: ArrayLike | None = None) -> Self:
        """Find the centres of rows ``X`` of shape (n, n_features); ``y`` is not used."""
        rows: NDArray[np.float64] = validate_data(self, X, dtype=np.float64)
        clustering = KMeans(min(self.n_centres, len(rows)), n_init=1, random_state=self.random_state)
        self.centres_ = clustering.fit(rows).cluster_centers_
        self._n_features_out = len(self.centres_)
        return self

    def transform(self, X: ArrayLike) -> NDArray[np.float64]:
        """Return the nearness of each row to each centre, shape (n, n_centres)."""
        check_is_fitted(self)
        X = validate_data(self, X, dtype=np.float64, reset=False)
        return np.asarray(np.exp(-self.gamma * euclidean_distances(X, self.centres_, squared=True)))
