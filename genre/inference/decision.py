"""From probabilities to an answer, or to the admission that there is none."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from genre.checks import is_number
from genre.errors import ConfigError


@dataclass(frozen=True, slots=True)
class Thresholds:
    """When an answer counts as unsure.

    Parameters
    ----------
    probability
        The first genre needs at least this much.
    margin
        It has to be ahead of the second by at least this much.

    Raises
    ------
    ConfigError
        If a threshold is not within [0, 1].
    """

    probability: float = 0.0
    margin: float = 0.0

    def __post_init__(self) -> None:
        for name in ("probability", "margin"):
            value = getattr(self, name)
            if not is_number(value, 0, 1):
                raise ConfigError(f"unsure.{name}={value} is not a share; choose between 0 (never unsure) and 1")


@dataclass(frozen=True, slots=True)
class Decision:
    """An answer.

    Parameters
    ----------
    ranking
        All genres with their probabilities, the most probable first; equal ones in the order of the labels.
    unsure
        Whether the first is too improbable, or too little ahead of the second, to be believed.
    """

    ranking: tuple[tuple[str, float], ...]
    unsure: bool

    @property
    def label(self) -> str:
        """The most probable genre."""
        return self.ranking[0][0]

    @property
    def probability(self) -> float:
        """Its probability."""
        return self.ranking[0][1]


def decide(probabilities: NDArray[np.float64], labels: Sequence[str], thresholds: Thresholds) -> Decision:
    """Return the answer that probabilities, shape (classes,), amount to."""
    order = np.argsort(-probabilities, kind="stable")
    ranking = tuple((labels[k], float(probabilities[k])) for k in order)
    margin = ranking[0][1] - (ranking[1][1] if len(ranking) > 1 else 0.0)
    return Decision(ranking, unsure=ranking[0][1] < thresholds.probability or margin < thresholds.margin)
