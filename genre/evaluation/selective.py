"""Answers that are given only where the model is sure: how many are left, and how many of these are right.

``python -m genre.evaluation.selective runs/a/predictions_val.csv --accuracy 0.8`` chooses the thresholds of "unsure" on
the tracks of a validation table: of all that reach the accuracy, those that leave the most answers. Where none reach
it, it says so and ends with status 1.

El-Yaniv, R., Wiener, Y. (2010), "On the foundations of noise-free selective classification", JMLR 11: coverage, and
risk of what is covered.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from genre.errors import ConfigError, DataError, OneSentenceParser
from genre.evaluation.predictions import Predictions, track_level
from genre.terminal import run_tool

GRID = np.round(np.arange(0.0, 0.96, 0.05), 2)
MARGINS = np.round(np.arange(0.0, 0.51, 0.05), 2)


@dataclass(frozen=True, slots=True)
class Selection:
    """What a pair of thresholds does.

    Parameters
    ----------
    probability, margin
        An answer needs at least this probability, and to be ahead of the second by this much.
    coverage
        Share of rows that have a sure answer.
    accuracy
        Share of these that are right; NaN if there are none.
    """

    probability: float
    margin: float
    coverage: float
    accuracy: float


def select(predictions: Predictions, probability: float, margin: float) -> Selection:
    """Return what a pair of thresholds does to the rows of a table."""
    sure = (predictions.confidence >= probability) & (_margin(predictions) >= margin)
    accuracy = float(predictions.correct[sure].mean()) if sure.any() else float("nan")
    return Selection(float(probability), float(margin), float(sure.mean()) if len(sure) else 0.0, accuracy)


def choose(predictions: Predictions, accuracy: float) -> Selection:
    """Return the thresholds that leave the most sure answers of which at least ``accuracy`` are right.

    In a tie the lower thresholds are taken. If none reach it, those of the best accuracy among pairs that leave at
    least a tenth of the answers.
    """
    pairs = [select(predictions, probability, margin) for probability in GRID for margin in MARGINS]
    good = [pair for pair in pairs if pair.accuracy >= accuracy]
    if good:
        return max(good, key=lambda pair: (pair.coverage, -pair.probability, -pair.margin))
    enough = [pair for pair in pairs if pair.coverage >= 0.1]
    return max(enough or pairs, key=lambda pair: (np.nan_to_num(pair.accuracy), pair.coverage, -pair.probability))


def _margin(predictions: Predictions) -> NDArray[np.float64]:
    if predictions.probabilities.shape[1] < 2:
        return predictions.confidence
    two = np.partition(predictions.probabilities, -2, axis=1)[:, -2:]
    margin: NDArray[np.float64] = two[:, 1] - two[:, 0]
    return margin


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the thresholds for a table, and what they do to its tracks; return the exit status.

    Raises
    ------
    GenreError
        For what the user must fix: arguments, the table, or an accuracy that no thresholds reach.
    """
    given = _parser().parse_args(arguments)
    if not 0 < given.accuracy <= 1:
        raise ConfigError(f"--accuracy is a share above 0 and up to 1, such as 0.8, not {given.accuracy:g}")
    tracks = track_level(Predictions.read_csv(given.table))
    if not len(tracks):
        raise DataError(
            f"{given.table} has no tracks: give the predictions_val.csv of a run that has a validation side"
        )
    chosen, everything = choose(tracks, given.accuracy), select(tracks, 0.0, 0.0)
    print(f"all answers:  {len(tracks)} tracks, accuracy {everything.accuracy:.3f}")
    if not chosen.accuracy >= given.accuracy:
        raise DataError(
            f"none reaches {given.accuracy:g}: the best thresholds have accuracy {chosen.accuracy:.3f} on "
            f"{100 * chosen.coverage:.0f} % of the tracks ({_settings(chosen)}); ask for less"
        )
    print(
        f"sure answers: {100 * chosen.coverage:.0f} % of the tracks, accuracy {chosen.accuracy:.3f} with "
        f"{_settings(chosen)}"
    )
    return 0


def _settings(chosen: Selection) -> str:
    return f"unsure.probability={chosen.probability:g} unsure.margin={chosen.margin:g}"


def _parser() -> argparse.ArgumentParser:
    parser = OneSentenceParser(prog="python -m genre.evaluation.selective", description="thresholds of unsure")
    parser.add_argument("table", type=Path, help="predictions_val.csv of a run")
    parser.add_argument("--accuracy", type=float, default=0.8, help="wanted of sure answers (default: %(default)s)")
    return parser


if __name__ == "__main__":
    run_tool(main)
