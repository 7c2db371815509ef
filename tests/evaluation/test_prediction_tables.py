from __future__ import annotations

import csv
import errno
import os
import tracemalloc
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from genre.errors import DataError
from genre.evaluation.metrics import evaluate
from genre.evaluation.predictions import Predictions, read_tracks, track_level

GOOD = {
    "track": ("a.wav", "a.wav", "b.wav"),
    "start_sec": np.array([0.0, 3.0, 0.0]),
    "label": np.array([0, 0, 1]),
    "probabilities": np.array([[0.9, 0.1], [0.4, 0.6], [0.2, 0.8]]),
    "labels": ("jazz", "rock"),
}

names = st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=12)
odd_names = st.one_of(
    names,
    st.sampled_from(
        ['say "hi", now', "a=b;c\td", "line\nbreak", "carriage\rreturn", " spaced ", "ünï/çødé 音楽", "\udcff.wav"]
    ),
)


@st.composite
def tables(draw: st.DrawFn) -> Predictions:
    labels = draw(
        st.lists(st.one_of(odd_names, st.just("track"), st.just("predicted")), min_size=1, max_size=5, unique=True)
    )
    tracks = draw(st.lists(odd_names, min_size=0, max_size=5, unique=True))
    rows = [
        (track, start) for track in tracks for start in draw(st.sets(st.integers(0, 10**9), min_size=1, max_size=3))
    ]
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    raw = rng.random((len(rows), len(labels))) ** draw(st.sampled_from([1, 8, 60])) + 1e-30
    return Predictions(
        track=tuple(track for track, _ in rows),
        start_sec=np.array([start / 44_100 for _, start in rows]),
        label=rng.integers(0, len(labels), len(rows)),
        probabilities=raw / raw.sum(axis=1, keepdims=True),
        labels=tuple(labels),
    )


@given(table=tables())
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_table_read_back_is_equal_bit_for_bit(table, tmp_path):
    path = tmp_path / "predictions.csv"
    table.write_csv(path)
    again = Predictions.read_csv(path)
    assert again.track == table.track
    assert again.labels == table.labels
    np.testing.assert_array_equal(again.start_sec, table.start_sec)
    np.testing.assert_array_equal(again.label, table.label)
    np.testing.assert_array_equal(again.probabilities, table.probabilities)
    np.testing.assert_array_equal(again.predicted, table.predicted)


def test_metrics_of_a_table_read_back_are_identical(make_predictions, tmp_path):
    table = make_predictions(50, 5)
    table.write_csv(tmp_path / "predictions.csv")
    assert evaluate(Predictions.read_csv(tmp_path / "predictions.csv")) == evaluate(table)


def test_the_file_is_what_other_tools_rely_on(tmp_path):
    path = tmp_path / "new folder" / "predictions.csv"
    Predictions(**{**GOOD, "start_sec": np.array([0.0, 4 / 3, 0.0])}).write_csv(path)
    assert path.read_bytes() == (
        b"track,start_sec,label,predicted,jazz,rock\n"
        b"a.wav,0.000,jazz,jazz,0.899999976,0.100000001\n"
        b"a.wav,1.333333,jazz,rock,0.400000006,0.600000024\n"
        b"b.wav,0.000,rock,rock,0.200000003,0.800000012\n"
    )


def test_rows_are_rounded_to_what_the_file_keeps_and_cannot_be_changed():
    table = Predictions(**GOOD)
    np.testing.assert_array_equal(table.probabilities, np.float32(GOOD["probabilities"]))
    assert table.probabilities.dtype == np.float64
    with pytest.raises(ValueError, match="read-only"):
        table.label[0] = 1
    GOOD["label"][0] = GOOD["label"][0]  # the caller's own arrays stay writable


def test_the_first_class_wins_a_tie():
    table = replace(Predictions(**GOOD), probabilities=np.full((3, 2), 0.5))
    assert table.predicted.tolist() == [0, 0, 0]
    assert table.correct.tolist() == [True, True, False]
    assert table.confidence.tolist() == [0.5, 0.5, 0.5]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"label": np.array([0, 0, 2])}, "row 3 .*'b.wav'.* a label outside 0 to 1"),
        ({"label": np.array([0, -1, 1])}, "row 2 .* a label outside"),
        ({"label": np.array([0.0, 0.0, 1.0])}, "integers"),
        ({"label": np.array([0, 0])}, r"label of shape \(3,\)"),
        ({"start_sec": np.array([0.0, np.nan, 0.0])}, "row 2 .* a start that is negative or not a number"),
        ({"start_sec": np.array([-1.0, 3.0, 0.0])}, "row 1 .* a start that is negative"),
        ({"start_sec": np.array([3.0, 3.0000001, 0.0])}, "'a.wav' at 3 s twice"),
        ({"probabilities": np.array([[0.9, 0.1], [0.4, np.nan], [0.2, 0.8]])}, "row 2 .* not finite"),
        ({"probabilities": np.array([[0.9, 0.1], [1e60, 0], [0.2, 0.8]])}, "row 2 .* not finite"),
        ({"probabilities": np.array([[0.9, 0.1], [1.1, -0.1], [0.2, 0.8]])}, "row 2 .* negative probability"),
        ({"probabilities": np.array([[0.9, 0.1], [0.4, 0.6], [0.2, 0.798]])}, "row 3 .* do not sum to 1"),
        ({"probabilities": np.full((3, 3), 1 / 3)}, r"probabilities of shape \(3, 2\)"),
        ({"labels": ("jazz", "jazz")}, "class names"),
        ({"labels": ("jazz", "")}, "class names"),
        ({"labels": ()}, "class names"),
    ],
)
def test_a_wrong_column_is_named(change, words):
    with pytest.raises(DataError, match=words):
        Predictions(**{**GOOD, **change})


def test_sums_within_a_thousandth_are_accepted():
    Predictions(**{**GOOD, "probabilities": np.array([[0.9, 0.1], [0.4, 0.6], [0.2, 0.7991]])})


HEADER = "track,start_sec,label,predicted,jazz,rock\n"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "its first line is not track,start_sec,label,predicted and one column a class"),
        ("track,start_sec,label,predicted\n", "its first line"),
        ("file,start_sec,label,predicted,jazz,rock\n", "its first line"),
        ("track,start_sec,label,predicted,jazz,jazz\n", "class names"),
        (HEADER + "a.wav,0,jazz,jazz,1\n", "line 2 has 5 columns where the first line has 6"),
        (HEADER + "a.wav,zero,jazz,jazz,1,0\n", "line 2 holds a text where a number belongs .*'zero'"),
        (HEADER + "a.wav,0,jazz,jazz,1,none\n", "line 2 holds a text where a number belongs .*'none'"),
        (HEADER + "a.wav,0,jazz,jazz,1,0\na.wav,3,polka,jazz,1,0\n", "line 3 has the label 'polka'"),
        (HEADER + "a.wav,0,jazz,rock,1,0\n", "line 2 says 'rock' was predicted, but its probabilities say 'jazz'"),
        (HEADER + "a.wav,0,jazz,jazz,1,1\n", "do not sum to 1"),
        (HEADER + '"a\nb.wav",0,jazz,jazz,1,0\na.wav,0,polka,jazz,1,0\n', "line 4 has the label 'polka'"),
        (HEADER + '"a.wav,0,jazz,jazz,1,0\n', "it is not CSV"),
    ],
)
def test_a_file_that_is_no_prediction_table_is_refused_in_one_sentence(text, words, tmp_path):
    path = tmp_path / "predictions.csv"
    path.write_text(text)
    with pytest.raises(DataError, match=words) as error:
        Predictions.read_csv(path)
    assert str(path) in str(error.value)
    assert "\n" not in str(error.value)


def test_reading_needs_little_more_than_the_numbers(make_predictions, tmp_path):
    table = make_predictions(400, 10, labels=[f"genre {number}" for number in range(20)])
    path = tmp_path / "predictions.csv"
    table.write_csv(path)
    peaks = {}
    for read in (read_tracks, Predictions.read_csv):
        read(path)  # what a first time keeps for good
        tracemalloc.start()
        read(path)
        peaks[read] = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    assert peaks[read_tracks] < 300_000
    assert peaks[Predictions.read_csv] < 4 * table.probabilities.nbytes
    assert read_tracks(path) == set(table.track)


def test_of_clips_that_are_there_twice_the_first_repeat_is_named():
    rows = {"start_sec": np.zeros(5), "label": np.zeros(5, np.int64), "probabilities": np.ones((5, 1))}
    with pytest.raises(DataError, match=r"'b' at 0 s twice"):
        Predictions(track=("a", "b", "b", "a", "b"), labels=("jazz",), **rows)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(DataError, match=r"cannot read the predictions .*nothing\.csv .*No such file"):
        Predictions.read_csv(tmp_path / "nothing.csv")


def test_a_byte_order_mark_is_no_part_of_the_first_column(tmp_path):
    path = tmp_path / "predictions.csv"
    Predictions(**GOOD).write_csv(path)
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes())
    assert Predictions.read_csv(path).track == GOOD["track"]


def test_a_class_may_have_the_name_of_a_column(tmp_path):
    table = Predictions(**{**GOOD, "labels": ("track", "label")})
    table.write_csv(tmp_path / "predictions.csv")
    with (tmp_path / "predictions.csv").open(newline="") as file:
        assert next(csv.reader(file)) == ["track", "start_sec", "label", "predicted", "track", "label"]
    assert Predictions.read_csv(tmp_path / "predictions.csv").labels == ("track", "label")


def test_a_full_disk_leaves_the_older_file_and_nothing_else(tmp_path, monkeypatch):
    path = tmp_path / "predictions.csv"
    path.write_text("older")

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(
        DataError, match=r"cannot write .*predictions\.csv \(No space left on device\): free some space"
    ):
        Predictions(**GOOD).write_csv(path)
    assert [file.name for file in tmp_path.iterdir()] == ["predictions.csv"]
    assert path.read_text() == "older"


def test_a_file_in_the_way_of_a_folder_is_one_sentence(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(DataError, match="cannot write"):
        Predictions(**GOOD).write_csv(tmp_path / "file" / "predictions.csv")


def test_track_level_is_the_mean_over_clips():
    tracks = track_level(Predictions(**GOOD))
    assert tracks.track == ("a.wav", "b.wav")
    assert tracks.label.tolist() == [0, 1]
    assert tracks.start_sec.tolist() == [0, 0]
    np.testing.assert_allclose(tracks.probabilities, [[0.65, 0.35], [0.2, 0.8]], atol=1e-7)
    assert tracks.correct.all()


def test_track_level_does_not_depend_on_the_order_of_rows(make_predictions, shuffled):
    table = make_predictions(40, 7)
    tracks, again = track_level(table), track_level(shuffled(table, 3))
    assert tracks.track == again.track == tuple(sorted(set(table.track)))
    np.testing.assert_array_equal(tracks.probabilities, again.probabilities)
    np.testing.assert_array_equal(tracks.label, again.label)
    np.testing.assert_array_equal(tracks.start_sec, np.zeros(40))
    np.testing.assert_array_equal(again.start_sec, np.zeros(40))


def test_track_level_of_a_track_level_table_is_itself(make_predictions):
    tracks = track_level(make_predictions())
    np.testing.assert_array_equal(track_level(tracks).probabilities, tracks.probabilities)


def test_a_track_with_two_labels_is_refused():
    table = Predictions(**{**GOOD, "label": np.array([0, 1, 1])})
    with pytest.raises(DataError, match=r"clips of track 'a\.wav' have two labels, jazz and rock"):
        track_level(table)


def test_a_table_without_rows_is_a_table(tmp_path: Path):
    empty = Predictions((), np.empty(0), np.empty(0), np.empty((0, 2)), ("jazz", "rock"))
    empty.write_csv(tmp_path / "empty.csv")
    assert len(Predictions.read_csv(tmp_path / "empty.csv")) == 0
    assert len(track_level(empty)) == 0
