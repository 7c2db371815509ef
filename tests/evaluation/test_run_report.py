from __future__ import annotations

import csv
import errno
import io
import json
import os
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console

from genre.errors import DataError
from genre.evaluation import report
from genre.evaluation.metrics import LEAK_WARNING, evaluate
from genre.evaluation.predictions import Predictions
from genre.evaluation.report import RunInfo, RunReport, read_run, summary, write_run
from genre.evaluation.resampling import read_artists

INFO = RunInfo(
    protocol="artist",
    leaky=False,
    model="mini_vgg",
    seed=3,
    parameters=123_456,
    train_seconds=200.25,
    dataset="gtzän",
    config_hash="0123abcd",
    version="0.1.0",
)
HISTORY = {"train/loss": [(1, 2.0), (2, 1.5)], "val/track_accuracy": [(1, 0.3), (2, 0.5)]}
PICTURES = {"confusion_matrix.png", "per_class.png", "reliability.png"}


def rows_of(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def printed(run: RunReport, **facts: str) -> str:
    console = Console(file=io.StringIO(), width=100, color_system=None)
    console.print(summary(run, facts=facts))
    return console.file.getvalue()


@pytest.fixture(scope="module")
def written(make_predictions, tmp_path_factory) -> tuple[RunReport, Predictions, Predictions]:
    val, test = make_predictions(20, 3, seed=1), make_predictions(30, 3, seed=2)
    folder = tmp_path_factory.mktemp("runs") / "new" / "run"
    return write_run(folder, info=INFO, val=val, test=test, history=HISTORY, best_epoch=2), val, test


def test_metrics_json_has_exactly_the_keys_of_the_contract(written):
    run, val, test = written
    values = json.loads((run.folder / "metrics.json").read_text(encoding="utf-8"))
    assert list(values) == [
        "protocol",
        "leaky",
        "model",
        "seed",
        "parameters",
        "train_seconds",
        "val",
        "test",
        "dataset",
        "config_hash",
        "version",
    ]
    assert values["leaky"] is False
    assert values["test"] == evaluate(test).as_dict()
    assert values["val"] == evaluate(val).as_dict()
    assert {key: values[key] for key in ("model", "seed", "dataset")} == {
        "model": "mini_vgg",
        "seed": 3,
        "dataset": "gtzän",
    }


def test_a_run_leaves_its_files_and_no_others(written):
    run, _, _ = written
    assert {path.name for path in run.folder.iterdir()} == PICTURES | {
        "metrics.json",
        "predictions.csv",
        "predictions_val.csv",
        "per_class.csv",
        "curves.png",
        "history.csv",
    }


def test_the_figures_follow_from_the_tables_alone(written):
    run, _, _ = written
    assert evaluate(Predictions.read_csv(run.folder / "predictions.csv")) == run.test
    assert evaluate(Predictions.read_csv(run.folder / "predictions_val.csv")) == run.val


def test_who_plays_is_kept_beside_the_tables_and_read_back(make_predictions, tmp_path):
    val, test = make_predictions(20, 2, seed=1), make_predictions(30, 2, seed=2)
    artist = {track: track[-6] for track in test.track[:40]}  # "track 012.wav" is by "1", and is of both sides
    run = write_run(tmp_path, info=INFO, val=val, test=test, artist=artist, n_bootstrap=100)
    assert run.test == evaluate(test, artist=artist, n_bootstrap=100)
    assert (run.test.track_accuracy_ci95_over, run.val.track_accuracy_ci95_over) == ("artists", "artists")
    assert read_run(tmp_path / "metrics.json") == run
    kept = read_artists(tmp_path / "artists.csv")
    assert kept["test"] == {track: artist.get(track, "") for track in sorted(set(test.track))}
    shown = Console(width=100, file=io.StringIO())
    shown.print(summary(run))
    assert "interval over" in shown.file.getvalue()
    unknown = write_run(tmp_path, info=INFO, val=val, test=test, n_bootstrap=100)
    assert unknown.test.track_accuracy_ci95_over == "tracks"
    assert not (tmp_path / "artists.csv").exists()


def test_a_run_read_back_is_equal(written):
    run, _, _ = written
    assert read_run(run.folder / "metrics.json") == run


def test_metrics_json_is_the_last_thing_that_is_written(make_predictions, tmp_path):
    some = make_predictions(6, 1)
    seen = []
    settings = {"model.widths": "[2, 2]", "optimizer.learning_rate": 0.001}
    run = write_run(
        tmp_path,
        info=INFO,
        val=some,
        test=some,
        settings=settings,
        also=lambda report: seen.append((report, {path.name for path in tmp_path.iterdir()})),
    )
    [(report_then, files_then)] = seen
    assert report_then == run
    assert {path.name for path in tmp_path.iterdir()} - files_then == {"metrics.json"}
    again = read_run(tmp_path / "metrics.json")
    assert again == run
    assert again.settings == settings
    (tmp_path / "settings.json").write_text("3")
    with pytest.raises(DataError, match=r"settings\.json does not hold one JSON object"):
        read_run(tmp_path / "metrics.json")
    (tmp_path / "settings.json").write_text("")
    with pytest.raises(DataError, match=r"^cannot read \S+settings\.json \(.*\): evaluate the run again$"):
        read_run(tmp_path / "metrics.json")
    (tmp_path / "artists.csv").write_text("")
    with pytest.raises(DataError, match=r"^cannot read \S+artists\.csv \(.*\): evaluate the run again$"):
        read_run(tmp_path / "metrics.json")


def test_a_run_evaluated_again_and_interrupted_has_no_metrics_json_of_before(make_predictions, tmp_path):
    def interrupted(report: RunReport) -> None:
        raise KeyboardInterrupt

    write_run(tmp_path, info=INFO, val=None, test=make_predictions(6, 1, seed=1))
    with pytest.raises(KeyboardInterrupt):
        write_run(tmp_path, info=INFO, val=None, test=make_predictions(6, 1, seed=2), also=interrupted)
    assert not (tmp_path / "metrics.json").exists()


def test_scores_by_class_stand_in_a_table(written):
    rows = rows_of(written[0].folder / "per_class.csv")
    assert list(rows[0]) == ["side", "level", "class", "precision", "recall", "f1", "support", "protocol", "leaky"]
    assert len(rows) == 2 * 2 * 3
    test_tracks = [row for row in rows if (row["side"], row["level"]) == ("test", "track")]
    assert sum(int(row["support"]) for row in test_tracks) == 30
    assert {(row["protocol"], row["leaky"]) for row in rows} == {("artist", "false")}
    clips = [row for row in rows if (row["side"], row["level"]) == ("test", "clip")]
    assert sum(float(row["f1"]) for row in clips) / 3 == pytest.approx(written[0].test.macro_f1, abs=1e-6)


def test_the_history_is_kept_as_numbers(written):
    rows = rows_of(written[0].folder / "history.csv")
    assert [(row["curve"], float(row["epoch"]), float(row["value"])) for row in rows] == [
        ("train/loss", 1, 2.0),
        ("train/loss", 2, 1.5),
        ("val/track_accuracy", 1, 0.3),
        ("val/track_accuracy", 2, 0.5),
    ]


def test_without_a_test_side_it_is_null_and_an_older_table_goes(make_predictions, tmp_path):
    both = make_predictions(5, 2)
    both.write_csv(tmp_path / "predictions.csv")
    run = write_run(tmp_path, info=INFO, val=both, test=None)
    values = json.loads((tmp_path / "metrics.json").read_text())
    assert values["test"] is None
    assert values["val"]["n_tracks"] == 5
    assert {path.name for path in tmp_path.iterdir()} == PICTURES | {
        "metrics.json",
        "predictions_val.csv",
        "per_class.csv",
    }
    assert read_run(tmp_path / "metrics.json") == run
    assert run.test is None


def test_no_side_or_an_empty_one_is_an_error(make_predictions, tmp_path):
    with pytest.raises(DataError, match="nothing to evaluate"):
        write_run(tmp_path / "run", info=INFO, val=None, test=None)
    some = make_predictions(5, 2)
    none = Predictions((), some.start_sec[:0], some.label[:0], some.probabilities[:0], some.labels)
    with pytest.raises(DataError, match="no clips"):
        write_run(tmp_path / "run", info=INFO, val=some, test=none)
    assert not (tmp_path / "run").exists()


def test_a_disk_that_fills_up_leaves_no_metrics_json_and_no_half_file(make_predictions, tmp_path, monkeypatch):
    replace_file, moved = os.replace, []

    def full_after_two(source: str, target: str) -> None:
        if len(moved) == 2:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        moved.append(target)
        replace_file(source, target)

    monkeypatch.setattr(os, "replace", full_after_two)
    some = make_predictions(5, 2)
    with pytest.raises(DataError, match="No space left on device"):
        write_run(tmp_path, info=INFO, val=some, test=some)
    assert {path.name for path in tmp_path.iterdir()} == {"predictions.csv", "predictions_val.csv"}


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ("{", "is not the metrics.json of a run"),
        ("[1]", "one JSON object"),
        ({"leaky": "no"}, "its 'leaky' is 'no'"),
        ({"seed": True}, "its 'seed' is True"),
        ({"model": None}, "its 'model' is None"),
        ({"test": 0.5}, "its 'test' is not an object"),
        ({"test": {"ece": 1}}, "track_accuracy_ci95"),
        ("without protocol", "it has no 'protocol'"),
        ("without val", "it has no 'val'"),
    ],
)
def test_a_file_that_is_no_metrics_json_is_named_with_its_fault(written, tmp_path, change, words):
    values = written[0].as_dict()
    if isinstance(change, dict):
        text = json.dumps({**values, **change})
    elif change.startswith("without "):
        text = json.dumps({key: value for key, value in values.items() if key != change.removeprefix("without ")})
    else:
        text = change
    path = tmp_path / "metrics.json"
    path.write_text(text)
    with pytest.raises(DataError, match=words) as error:
        read_run(path)
    assert str(path) in str(error.value)
    assert "\n" not in str(error.value)


def test_a_missing_metrics_json_is_named(tmp_path):
    with pytest.raises(DataError, match=r"cannot read .*metrics\.json"):
        read_run(tmp_path / "metrics.json")


def test_keys_of_a_later_version_do_not_matter(written, tmp_path):
    path = tmp_path / "metrics.json"
    values = written[0].as_dict()
    path.write_text(json.dumps({**values, "new": 1, "test": {**values["test"], "auc": 0.5}}))
    assert replace(read_run(path), folder=written[0].folder) == written[0]


def test_the_summary_says_what_matters(written):
    run, _, _ = written
    text = printed(run, quarantine="1 file left out")
    low, high = run.test.track_accuracy_ci95
    assert "mini_vgg on gtzän, protocol artist, seed 3" in text
    assert f"{run.test.track_accuracy:.3f}  [{low:.3f}, {high:.3f}]" in text
    assert f"{run.val.clip_accuracy:.3f}" in text
    assert "30 / 90" in text
    assert "parameters: 123,456" in text
    assert "training: 3 min 20 s" in text
    assert "quarantine: 1 file left out" in text
    assert "leak" not in text.lower()


def test_the_summary_warns_of_a_leak_and_does_without_a_side(written):
    run = written[0]
    text = printed(replace(run, info=replace(INFO, leaky=True, protocol="clip_random"), test=None))
    assert LEAK_WARNING.upper() in text
    assert "validation" in text
    assert "test" not in text.replace("TESTED", "").replace(str(run.folder), "")


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.04, "0.0 s"), (59.94, "59.9 s"), (60, "1 min 0 s"), (3599.7, "1 h 0 min"), (7500, "2 h 5 min")],
)
def test_a_duration_as_a_person_says_it(seconds, text):
    assert report.duration(seconds) == text
