"""What a fitted model listens to, and what the space of its features looks like."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from genre.classical.model import ClassicalModel

MOST_ROWS = 8_000
"""Shuffled clips of all features together that are classified, where not so many features ask for more."""

FEWEST_ROWS = 100
"""Shuffled clips of each feature, as far as there are so many."""

LEAST_REPEATS, MOST_REPEATS = 2, 5


@dataclass(frozen=True, eq=False)
class Importance:
    """Loss of clip accuracy when a feature is shuffled.

    Parameters
    ----------
    drop, spread : shape=(n_features,)
        Mean and standard deviation over repeats.
    n_clips
        Clips that were looked at.
    repeats
        How often each feature was shuffled.
    """

    drop: NDArray[np.float64]
    spread: NDArray[np.float64]
    n_clips: int
    repeats: int


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
    track: NDArray[np.int64],
    *,
    seed: int = 0,
    progress: Callable[[int, int], None] = lambda _done, _total: None,
) -> Importance:
    """Measure the permutation importance of every feature on clips the model was not fitted on.

    A support vector machine takes as long for a few clips as for many in training, so not all clips are looked at:
    about :data:`MOST_ROWS` shuffled clips are classified in all, at least :data:`FEWEST_ROWS` a feature.

    Parameters
    ----------
    model
        The fitted model.
    features, label, track
        Shape (n, n_features), (n,) and (n,): the clips, their classes, and the track each is of.
    seed
        Of the choice of clips and of the shuffling.
    progress
        Called with (features done, in all).

    References
    ----------
    Breiman, L. (2001). Random forests. Machine Learning 45(1).
    """
    n_features = features.shape[1]
    n_rows = max(FEWEST_ROWS, MOST_ROWS // n_features)
    chosen = draw_over_tracks(track, n_rows // LEAST_REPEATS, seed=seed)
    repeats = int(np.clip(n_rows // len(chosen), LEAST_REPEATS, MOST_REPEATS))
    rows, truth = features[chosen], label[chosen]
    rng = np.random.default_rng(seed)
    whole = float((model.logits(rows).argmax(axis=1) == truth).mean())
    drops = np.empty((repeats, n_features))
    for column in range(n_features):
        progress(column, n_features)
        stacked = np.tile(rows, (repeats, 1))
        stacked[:, column] = np.concatenate([rng.permutation(rows[:, column]) for _ in range(repeats)])
        right = model.logits(stacked).argmax(axis=1).reshape(repeats, -1) == truth
        drops[:, column] = whole - right.mean(axis=1)
    progress(n_features, n_features)
    return Importance(drops.mean(axis=0), drops.std(axis=0), len(chosen), repeats)


def draw_over_tracks(track: NDArray[np.int64], n_clips: int, *, seed: int) -> NDArray[np.int64]:
    """Return the places of ``n_clips`` clips, in order: one of every track, then a second one, until there are enough.

    Parameters
    ----------
    track
        The track of each clip, shape (n,); all clips are returned if they are no more than ``n_clips``.
    n_clips
        How many to draw.
    seed
        Of the draw.
    """
    shuffled = np.random.default_rng(seed).permutation(len(track))
    by_track = shuffled[np.argsort(track[shuffled], kind="stable")]
    _, begin, size = np.unique(track[by_track], return_index=True, return_counts=True)
    turn = np.empty(len(track), dtype=np.int64)
    turn[by_track] = np.arange(len(track)) - np.repeat(begin, size)
    return np.sort(shuffled[np.argsort(turn[shuffled], kind="stable")][:n_clips])


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
