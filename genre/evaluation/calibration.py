"""Calibration: does a model that says 80 % hit 80 % of the time, and the one number that helps when it does not.

Guo, C., Pleiss, G., Sun, Y., Weinberger, K. (2017), "On calibration of modern neural networks", ICML: the reliability
diagram and the expected calibration error (their equations 2 to 5) and temperature scaling (equation 9).
Platt, J. (1999), "Probabilistic outputs for support vector machines", section 2.2: targets short of 1 and 0.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from genre.errors import DataError

N_BINS = 15
DIVERGED = "the model's scores are not finite numbers: its training diverged; try a lower learning rate"
LOWEST_TEMPERATURE, HIGHEST_TEMPERATURE = 1e-3, 1e2
"""Of scores whose median distance from that of the true class is 1."""


@dataclass(frozen=True, eq=False, slots=True)
class Reliability:
    """Rows dealt to equal-width bins of their confidence; bin ``k`` holds ``edges[k] < confidence <= edges[k + 1]``.

    Parameters
    ----------
    edges
        Shape (n_bins + 1,), from 0 to 1.
    count
        Rows in each bin, shape (n_bins,).
    confidence, accuracy
        Mean confidence and share of right rows of each bin, shape (n_bins,); NaN in an empty bin.
    """

    edges: NDArray[np.float64]
    count: NDArray[np.int64]
    confidence: NDArray[np.float64]
    accuracy: NDArray[np.float64]

    @property
    def error(self) -> float:
        """Expected calibration error: gap between accuracy and confidence, mean over all rows; NaN without rows."""
        used = self.count > 0
        if not used.any():
            return float("nan")
        return float(np.average(np.abs(self.accuracy - self.confidence)[used], weights=self.count[used]))


def reliability(confidence: NDArray[np.float64], correct: NDArray[np.bool_], *, n_bins: int = N_BINS) -> Reliability:
    """Compare confidence and accuracy bin by bin.

    Parameters
    ----------
    confidence
        Probability of the predicted class, shape (n,).
    correct
        Whether the predicted class is the true one, shape (n,).
    n_bins
        Number of bins of equal width.

    Returns
    -------
    Reliability
        The data of the reliability diagram.
    """
    edges = np.linspace(0, 1, n_bins + 1)
    index = np.clip(np.searchsorted(edges, confidence, side="left") - 1, 0, n_bins - 1)
    count = np.bincount(index, minlength=n_bins)
    with np.errstate(invalid="ignore"):
        mean_confidence = np.bincount(index, weights=confidence, minlength=n_bins) / count
        accuracy = np.bincount(index, weights=correct, minlength=n_bins) / count
    return Reliability(edges=edges, count=count, confidence=mean_confidence, accuracy=accuracy)


def fit_temperature(logits: NDArray[np.floating], labels: NDArray[np.integer]) -> float:
    """Find the temperature T for which ``softmax(logits / T)`` has the smallest negative log-likelihood.

    After Platt, a row does not ask for all of the probability for its class, but for (n + 1) / (n + 2) of it; the rest
    goes to the highest other class. All rows together so hold one mistake that was not made, and T is finite and not 0
    even where all rows are right. Among many rows, some of them wrong, it changes little.

    Parameters
    ----------
    logits
        Scores before the softmax, shape (n, n_classes), of rows the model was not trained on; on any scale.
    labels
        True classes, shape (n,), integers in ``range(n_classes)``.

    Returns
    -------
    float
        T > 0; dividing by it changes no clip's prediction, but how much each clip of a track counts for the mean of
        their probabilities. It lies between 1/1000 and 100 times the median distance of the
        scores from that of the true class, so that T times a factor belongs to scores times that factor. 1 where the
        rows cannot tell it: no rows, fewer than two classes, or rows of equal scores.

    Raises
    ------
    DataError
        When shapes or labels do not fit, or a score is not a finite number.
    """
    from scipy.optimize import minimize_scalar
    from scipy.special import logsumexp

    scores: NDArray[np.float64] = np.asarray(logits, dtype=np.float64)
    labels = np.asarray(labels)
    _check_logits(scores, labels)
    if len(scores) == 0 or scores.shape[1] < 2:
        return 1.0
    own = np.arange(len(scores)), labels
    margin = scores - scores[own][:, None]
    if not margin.any():
        return 1.0
    scale = float(np.median(np.abs(margin[margin != 0])))
    margin /= scale
    others = margin.copy()
    others[own] = -np.inf
    made_up = float(np.mean(others.max(axis=1))) / (len(scores) + 2)  # margin of the mistakes that were not made

    def negative_log_likelihood(log_temperature: float) -> float:
        temperature = np.exp(log_temperature)
        return float(np.mean(logsumexp(margin / temperature, axis=1)) - made_up / temperature)

    bounds = float(np.log(LOWEST_TEMPERATURE)), float(np.log(HIGHEST_TEMPERATURE))
    best = minimize_scalar(negative_log_likelihood, bounds=bounds, method="bounded", options={"xatol": 1e-6})
    return scale * float(np.clip(np.exp(best.x), LOWEST_TEMPERATURE, HIGHEST_TEMPERATURE))


def _check_logits(logits: NDArray[np.float64], labels: NDArray[np.integer]) -> None:
    if logits.ndim != 2 or labels.shape != logits.shape[:1]:
        raise DataError(
            f"the temperature needs scores of shape (n, n_classes) and n labels, not {logits.shape} and {labels.shape}"
        )
    if not np.isfinite(logits).all():
        raise DataError(DIVERGED)
    if len(labels) and not (labels.dtype.kind in "iu" and labels.min() >= 0 and labels.max() < logits.shape[1]):
        raise DataError(f"the temperature needs labels that are integers from 0 to {logits.shape[1] - 1}")
