from __future__ import annotations

import csv
import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from genre.errors import DataError
from genre.evaluation.leaderboard import FailedRun, leaderboard, main, markdown, read_runs, write_leaderboard
from genre.evaluation.metrics import LEAK_WARNING, Metrics
from genre.evaluation.report import RunInfo, RunReport

METRICS = Metrics(0.5, 0.6, (0.52, 0.68), 0.45, 0.1, 1000, 100)


def run_of(
    name: str, *, accuracy: float | None = 0.6, model: str = "mini_vgg", seed: int = 0, **info: object
) -> RunReport:
    facts = {"protocol": "artist", "leaky": False, "dataset": "gtzan", "parameters": 1234, **info}
    run_info = RunInfo(model=model, seed=seed, train_seconds=90.0, config_hash=name, version="0.1.0", **facts)
    test = None if accuracy is None else replace(METRICS, track_accuracy=accuracy, clip_accuracy=accuracy - 0.1)
    return RunReport(folder=Path(name), info=run_info, val=METRICS, test=test)


def saved(folder: Path, run: RunReport) -> Path:
    path = folder / run.folder / "metrics.json"
    path.parent.mkdir(parents=True)
    path.write_text(json.dumps(run.as_dict()))
    return path


def rows_of(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def test_seeds_become_mean_deviation_and_student_interval():
    values = [0.50, 0.56, 0.62]
    [standing] = leaderboard([run_of(f"r{seed}", accuracy=value, seed=seed) for seed, value in enumerate(values)])
    assert standing.track_accuracy.mean == pytest.approx(0.56)
    assert standing.track_accuracy.sd == pytest.approx(np.std(values, ddof=1))
    low, high, over = standing.interval
    assert (low, high) == pytest.approx(stats.t.interval(0.95, 2, loc=0.56, scale=stats.sem(values)))
    assert over == "runs"


def test_the_interval_stays_within_0_and_1():
    [standing] = leaderboard([run_of("a", accuracy=0.99), run_of("b", accuracy=0.90, seed=1)])
    assert standing.interval[1] == 1.0


def test_a_single_run_has_no_deviation_and_its_own_interval_over_tracks():
    [standing] = leaderboard([run_of("a")])
    assert standing.track_accuracy.sd is None
    assert standing.interval == (0.52, 0.68, "tracks")


def test_data_protocol_and_model_are_never_mixed():
    runs = [
        run_of("a"),
        run_of("b", model="resnet34"),
        run_of("c", protocol="track"),
        run_of("d", dataset="emotify"),
        run_of("e", protocol="clip_random", leaky=True),
        run_of("f", seed=1),
    ]
    assert [len(standing.runs) for standing in leaderboard(runs)] == [1, 2, 1, 1, 1]


def test_leaked_runs_come_last_however_high_and_the_best_model_comes_first():
    runs = [
        run_of("a", model="low", accuracy=0.3),
        run_of("b", model="leaked", accuracy=0.95, protocol="clip_random", leaky=True),
        run_of("c", model="untested", accuracy=None),
        run_of("d", model="high", accuracy=0.5),
    ]
    standings = leaderboard(runs)
    assert [standing.model for standing in standings] == ["high", "low", "untested", "leaked"]
    assert leaderboard(reversed(runs)) == standings
    text = markdown(standings)
    honest, leaked = text.split("## gtzan, protocol clip_random (LEAKED)")
    assert "leaked" not in honest
    assert LEAK_WARNING.capitalize() in leaked
    assert "0.950" in leaked


def test_untested_runs_count_for_no_test_figure():
    [standing] = leaderboard([run_of("a", accuracy=0.4), run_of("b", accuracy=None, seed=1)])
    assert standing.track_accuracy.mean == pytest.approx(0.4)
    assert standing.interval[2] == "tracks"
    [untested] = leaderboard([run_of("b", accuracy=None)])
    assert untested.interval is None
    assert "| - |" in markdown([untested]).replace("  ", "")


def test_the_csv_holds_the_same_figures(tmp_path):
    repeats = [run_of("a", accuracy=0.5), run_of("b", accuracy=0.6, seed=1, parameters=1300)]
    runs = [*repeats, run_of("c", model="x,y", accuracy=None)]
    write_leaderboard(tmp_path, leaderboard(runs))
    first, second = rows_of(tmp_path / "leaderboard.csv")
    assert (first["model"], first["runs"], first["seeds"], first["leaky"]) == ("mini_vgg", "2", "0 1", "false")
    assert float(first["track_accuracy"]) == pytest.approx(0.55)
    assert float(first["track_accuracy_sd"]) == pytest.approx(np.std([0.5, 0.6], ddof=1), abs=1e-6)
    assert float(first["clip_accuracy"]) == pytest.approx(0.45)
    assert (first["parameters"], first["n_tracks"], first["ci95_over"]) == ("1234-1300", "100", "runs")
    assert (second["model"], second["track_accuracy"], second["n_tracks"]) == ("x,y", "", "")
    assert float(second["val_track_accuracy"]) == pytest.approx(0.6)


def test_the_markdown_is_a_table_whatever_the_name(tmp_path):
    text = markdown(leaderboard([run_of("a", model="pca | svm"), run_of("b", model="knn", accuracy=0.2)]))
    table = [line for line in text.splitlines() if line.startswith("|")]
    assert len({len(line) for line in table}) == 1
    assert len({line.replace(r"\|", "").count("|") for line in table}) == 1
    assert "0.520 to 0.680 (tracks)" in text


def test_runs_are_found_at_any_depth_once_and_in_order(tmp_path):
    for name in ("b/deep/er", "a", "c"):
        saved(tmp_path, run_of(name))
    found = read_runs([tmp_path, tmp_path / "a", tmp_path / "a" / "metrics.json"])
    assert [run.info.config_hash for run in found.runs] == ["a", "b/deep/er", "c"]
    assert found.notices == ()


def test_what_cannot_be_read_is_left_out_with_a_notice(tmp_path):
    saved(tmp_path, run_of("good"))
    saved(tmp_path, run_of("half")).write_text('{"protocol": ')
    found = read_runs([tmp_path])
    assert len(found.runs) == 1
    [notice] = found.notices
    assert str(tmp_path / "half") in notice


def test_the_same_run_counts_once_and_the_newest_counts(tmp_path):
    older, newer = (saved(tmp_path, replace(run_of("same"), folder=Path(name))) for name in ("z", "a"))
    os.utime(older, (1000, 1000))
    for path, accuracy in ((older, 0.1), (newer, 0.7)):
        values = json.loads(path.read_text())
        values["test"]["track_accuracy"] = accuracy
        stamp = path.stat().st_mtime
        path.write_text(json.dumps(values))
        os.utime(path, (stamp, stamp))
    found = read_runs([tmp_path])
    assert [run.test.track_accuracy for run in found.runs] == [0.7]
    [notice] = found.notices
    assert f"{older.parent} is the same run as {newer.parent}" in notice


def test_runs_without_a_hash_are_all_counted(tmp_path):
    for name in ("a", "b"):
        run = run_of(name)
        saved(tmp_path, replace(run, info=replace(run.info, config_hash="")))
    assert len(read_runs([tmp_path]).runs) == 2


def test_a_missing_folder_is_an_error(tmp_path):
    with pytest.raises(DataError, match=r"there is no folder .*nowhere"):
        read_runs([tmp_path / "nowhere"])


def test_the_command_writes_both_files_and_prints_the_table(tmp_path, capsys):
    saved(tmp_path / "runs", run_of("a"))
    saved(tmp_path / "runs", run_of("broken")).write_text("")
    assert main([str(tmp_path / "runs"), "--out", str(tmp_path / "out")]) == 0
    printed = capsys.readouterr()
    assert printed.out.strip() == (tmp_path / "out" / "leaderboard.md").read_text(encoding="utf-8").strip()
    assert "left out" in printed.err
    assert len(rows_of(tmp_path / "out" / "leaderboard.csv")) == 1


@pytest.mark.parametrize(
    ("arguments", "words"),
    [([], "RUNS"), (["nowhere"], "there is no folder nowhere"), ([".", "--ouf", "x"], "--ouf"), (["."], "train first")],
)
def test_what_the_user_must_fix_is_one_sentence_and_status_1(arguments, words, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(arguments) == 1
    printed = capsys.readouterr()
    assert printed.out == ""
    assert words in printed.err
    assert len(printed.err.splitlines()) == 1
    assert list(tmp_path.iterdir()) == []


def test_the_module_runs_as_a_command_without_heavy_imports(tmp_path):
    saved(tmp_path / "runs", run_of("a"))
    code = (
        "import runpy, sys; sys.argv = ['leaderboard', 'runs']\n"
        "try:\n    runpy.run_module('genre.evaluation.leaderboard', run_name='__main__')\n"
        "except SystemExit as end:\n    status = end.code\n"
        "heavy = {'torch', 'matplotlib', 'sklearn', 'pandas', 'librosa'} & set(sys.modules)\n"
        "others = {name for name in sys.modules if name.startswith('genre.')} - {'genre.errors', 'genre.evaluation'}\n"
        "others = {name for name in others if not name.startswith('genre.evaluation.')}\n"
        "sys.exit(f'{status} {heavy} {others}' if status or heavy or others else 0)"
    )
    root = Path(__file__).parents[2]
    environment = {**os.environ, "PYTHONPATH": str(root)}
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "leaderboard.csv").exists()
    assert "mini_vgg" in done.stdout


def test_what_tuning_chose_is_in_both_tables(tmp_path):
    runs = [
        replace(run_of(f"r{fold}", model="pca_svm"), chosen={"C": value, "kernel": "rbf|linear"})
        for fold, value in enumerate((1, 10, 1))
    ]
    write_leaderboard(tmp_path, leaderboard([*runs, run_of("deep")]))
    rows = {row["model"]: row for row in rows_of(tmp_path / "leaderboard.csv")}
    assert rows["pca_svm"]["chosen"] == "C=1, kernel=rbf|linear; C=10, kernel=rbf|linear"
    assert rows["mini_vgg"]["chosen"] == ""
    text = (tmp_path / "leaderboard.md").read_text()
    assert "C=1, kernel=rbf\\|linear; C=10" in text
    assert len({line.replace("\\|", "").count("|") for line in text.splitlines() if line.startswith("|")}) == 1


def test_without_tuning_there_is_no_such_column(tmp_path):
    assert "chosen" not in markdown(leaderboard([run_of("a")]))


def test_chosen_settings_are_read_beside_the_metrics(tmp_path):
    path = saved(tmp_path, run_of("a"))
    (path.parent / "chosen.json").write_text('{"C": 10}')
    assert read_runs([tmp_path]).runs[0].chosen == {"C": 10}
    (path.parent / "chosen.json").write_text("[]")
    assert "does not hold one JSON object" in read_runs([tmp_path]).notices[0]


def test_failed_runs_stand_at_the_end_with_the_reason(tmp_path):
    failed = [FailedRun("none_knn", "no | tracks")]
    write_leaderboard(tmp_path, leaderboard([run_of("a")]), failed)
    rows = rows_of(tmp_path / "leaderboard.csv")
    assert [(row["model"], row["failed"]) for row in rows] == [("mini_vgg", ""), ("none_knn", "no | tracks")]
    text = (tmp_path / "leaderboard.md").read_text()
    assert "## Failed" in text
    assert "| none_knn | no \\| tracks |" in text
    assert "Failed" not in markdown(leaderboard([run_of("a")]))
