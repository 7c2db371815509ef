"""What a fitted model listens to, and what the space of its features looks like."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from genre.classical.model import ClassicalModel


@dataclass(frozen=True, eq=False)
class Importance:
    """Loss of clip accuracy when a feature is shuffled: mean and deviation over repeats, shape (n_features,) each."""

    drop: NDArray[np.float64]
    spread: NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class FeatureSpace:
    """Two views of the features of clips that know nothing of genres.

    Parameters
    ----------
    points : shape=(n, 2)
        First two principal components of the standardised features; the second is 0 where there is one feature only.
    explained
        Share of the variance that each of them explains.
    cluster : shape=(n,)
        k-means cluster of each clip.
    agreement
        Adjusted Rand index of clusters and genres.
    """

    points: NDArray[np.float64]
    explained: tuple[float, float]
    cluster: NDArray[np.int64]
    agreement: float


def importance(
    model: ClassicalModel,
    features: NDArray[np.floating],
    label: NDArray[np.int64],
    *,
    repeats: int = 5,
    seed: int = 0,
) -> Importance:
    """Measure the permutation importance of every feature on clips the model was not fitted on.

    Parameters
    ----------
    model
        The fitted model.
    features, label
        Shape (n, n_features) and (n,).
    repeats
        How often each feature is shuffled.
    seed
        Of the shuffling.

    References
    ----------
    Breiman, L. (2001). Random forests. Machine Learning 45(1).
    """
    rng = np.random.default_rng(seed)
    whole = _accuracy(model, features, label)
    drops = np.empty((repeats, features.shape[1]))
    for column in range(features.shape[1]):
        stacked = np.tile(features, (repeats, 1))
        stacked[:, column] = np.concatenate([rng.permutation(features[:, column]) for _ in range(repeats)])
        right = model.logits(stacked).argmax(axis=1).reshape(repeats, -1) == label
        drops[:, column] = whole - right.mean(axis=1)
    return Importance(drops.mean(axis=0), drops.std(axis=0))


def feature_space(features: NDArray[np.floating], label: NDArray[np.int64], *, seed: int = 0) -> FeatureSpace:
    """Find principal components and as many k-means clusters as there are genres, in standardised features.

    Parameters
    ----------
    features, label
        Shape (n, n_features) and (n,); the label is only compared with.
    seed
        Of the clustering.
    """
    from sklearn.cluster import KMeans
    from sklearn.decomposition import PCA
    from sklearn.metrics import adjusted_rand_score
    from sklearn.preprocessing import StandardScaler

    standard = StandardScaler().fit_transform(np.asarray(features, dtype=np.float64))
    with np.errstate(invalid="ignore"):  # features that are all constant have no variance to share
        components = PCA(min(2, *standard.shape), random_state=seed).fit(standard)
    missing = 2 - components.n_components_
    n_clusters = min(len(np.unique(label)), len(standard))
    cluster = KMeans(n_clusters, n_init=5, random_state=seed).fit_predict(standard).astype(np.int64)
    first, second = np.pad(np.nan_to_num(components.explained_variance_ratio_), (0, missing))
    return FeatureSpace(
        points=np.pad(components.transform(standard), ((0, 0), (0, missing))),
        explained=(float(first), float(second)),
        cluster=cluster,
        agreement=float(adjusted_rand_score(label, cluster)),
    )


def _accuracy(model: ClassicalModel, features: NDArray[np.floating], label: NDArray[np.int64]) -> float:
    return float((model.logits(features).argmax(axis=1) == label).mean())
