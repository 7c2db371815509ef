"""Thresholds of unsure."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from genre.errors import DataError, GenreError
from genre.evaluation.predictions import Predictions
from genre.evaluation.selective import choose, main, select


def table(rows: list[tuple[float, float, float, int]]) -> Predictions:
    shares = np.array([row[:3] for row in rows])
    return Predictions(
        track=tuple(f"{number}.wav" for number in range(len(rows))),
        start_sec=np.zeros(len(rows)),
        label=np.array([row[3] for row in rows]),
        probabilities=shares,
        labels=("a", "b", "c"),
    )


ROWS = [
    (0.9, 0.05, 0.05, 0),  # sure and right
    (0.7, 0.2, 0.1, 0),  # sure and right
    (0.5, 0.45, 0.05, 1),  # close and wrong
    (0.4, 0.3, 0.3, 2),  # low and wrong
]


def test_coverage_and_accuracy_at_thresholds() -> None:
    predictions = table(ROWS)
    assert select(predictions, 0, 0).accuracy == 0.5
    by_margin = select(predictions, 0, 0.2)
    assert (by_margin.coverage, by_margin.accuracy) == (0.5, 1.0)
    by_probability = select(predictions, 0.45, 0)
    assert (by_probability.coverage, by_probability.accuracy) == (0.75, pytest.approx(2 / 3))
    nothing = select(predictions, 0.95, 0)
    assert nothing.coverage == 0
    assert np.isnan(nothing.accuracy)


def test_chosen_thresholds_leave_the_most_answers_of_those_that_are_good_enough() -> None:
    assert choose(table(ROWS), 0.5).coverage == 1
    chosen = choose(table(ROWS), 0.9)
    assert (chosen.coverage, chosen.accuracy) == (0.5, 1.0)
    assert (chosen.probability, chosen.margin) == (0.0, 0.1)


def test_where_no_thresholds_are_good_enough_the_best_are_taken() -> None:
    wrong = [(0.6, 0.3, 0.1, 1)] * 5 + [(0.5, 0.3, 0.2, 0)]
    assert choose(table(wrong), 0.9).coverage == 1


def test_a_better_model_keeps_more(make_predictions) -> None:
    weak, strong = (choose(make_predictions(200, signal=signal), 0.9).coverage for signal in (1.5, 4.0))
    assert strong > weak


def test_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    table(ROWS).write_csv(tmp_path / "predictions_val.csv")
    assert main([str(tmp_path / "predictions_val.csv"), "--accuracy", "0.9"]) == 0
    assert "50 % of the tracks, accuracy 1.000 with unsure.probability=" in capsys.readouterr().out


def test_an_accuracy_that_none_reaches_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    wrong = [(0.6, 0.3, 0.1, 1), (0.6, 0.3, 0.1, 2), (0.6, 0.3, 0.1, 0)]
    table(wrong).write_csv(tmp_path / "predictions_val.csv")
    with pytest.raises(DataError, match=r"^none reaches 0.8: the best thresholds have accuracy 0.333 on 100 %"):
        main([str(tmp_path / "predictions_val.csv"), "--accuracy", "0.8"])
    assert "sure answers" not in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["nowhere.csv"], "nowhere.csv"),
        (["table.csv", "--accuracy", "80"], "not 80"),
        (["table.csv", "--accuracy", "0"], "not 0"),
        (["table.csv", "--accuracy", "nan"], "not nan"),
        (["table.csv", "--accuracy", "much"], "--accuracy"),
        (["empty.csv"], "empty.csv has no tracks"),
        ([], "table"),
    ],
)
def test_what_the_user_must_fix_is_one_sentence(
    arguments: list[str],
    words: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    table(ROWS).write_csv(tmp_path / "table.csv")
    lines = (tmp_path / "table.csv").read_text().splitlines()
    (tmp_path / "empty.csv").write_text(f"{lines[0]}\n")
    with pytest.raises(GenreError, match=words) as raised:
        main(arguments)
    assert len(str(raised.value).splitlines()) == 1
    assert capsys.readouterr() == ("", "")
