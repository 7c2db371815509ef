from __future__ import annotations

import csv
import itertools
import json
import math
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from matplotlib.figure import Figure
from scipy import stats

from genre.errors import DataError, GenreError
from genre.evaluation import leaderboard_plot
from genre.evaluation.comparison import can_tell_apart
from genre.evaluation.failed import FailedRun
from genre.evaluation.leaderboard import (
    compare_standings,
    leaderboard,
    main,
    markdown,
    read_runs,
    write_leaderboard,
)
from genre.evaluation.leaderboard_plot import Table
from genre.evaluation.metrics import LEAK_WARNING, Metrics, evaluate
from genre.evaluation.predictions import Predictions
from genre.evaluation.report import RunInfo, RunReport, read_run
from genre.evaluation.resampling import ON_RESAMPLES, write_artists

METRICS = Metrics(0.5, 0.6, (0.52, 0.68), 0.45, 0.1, 1000, 100)


def run_of(
    name: str, *, accuracy: float | None = 0.6, model: str = "mini_vgg", seed: int = 0, **info: object
) -> RunReport:
    facts = {"protocol": "artist", "leaky": False, "dataset": "gtzan", "parameters": 1234, **info}
    run_info = RunInfo(model=model, seed=seed, train_seconds=90.0, config_hash=name, version="0.1.0", **facts)
    test = None if accuracy is None else replace(METRICS, track_accuracy=accuracy, clip_accuracy=accuracy - 0.1)
    return RunReport(folder=Path(name), info=run_info, val=METRICS, test=test)


def tried(folder: Path, run: RunReport, clips, settings: dict[str, object] | None = None) -> RunReport:
    """A run as it is on disk, with metrics and predictions of these clips."""
    place = folder / run.folder
    if run.test is None:
        raise AssertionError
    place.mkdir(parents=True)
    clips.write_csv(place / "predictions.csv")
    values = run.as_dict()
    values["test"] = evaluate(clips, n_bootstrap=100).as_dict()
    (place / "metrics.json").write_text(json.dumps(values))
    if settings is not None:
        (place / "settings.json").write_text(json.dumps(settings))
    return read_run(place / "metrics.json")


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


def test_what_the_intervals_do_not_know_is_said_beside_them():
    assert ON_RESAMPLES in " ".join(markdown(leaderboard([run_of("a")])).split())


def side_of(folder: Path, name: str, right, tracks: str, **info: object) -> RunReport:
    """A run as it is on disk, with which of the tracks of its test side it got right."""
    clips = Predictions(
        track=tuple(f"{tracks}{number}" for number in range(len(right))),
        start_sec=np.zeros(len(right)),
        label=np.zeros(len(right), int),
        probabilities=np.where(np.asarray(right)[:, None], [0.9, 0.1], [0.1, 0.9]),
        labels=("a", "b"),
    )
    return tried(folder, run_of(name, **info), clips)


def test_seeds_of_a_fold_are_one_value_of_the_interval_over_folds(tmp_path):
    shares = {0: (5, 6, 7), 1: (7, 7, 7), 2: (9, 8, 7), 3: (4, 4, 4)}
    runs = [
        side_of(tmp_path, f"f{fold}s{seed}", np.arange(10) < right, f"fold{fold}/", seed=seed)
        for fold, members in shares.items()
        for seed, right in enumerate(members)
    ]
    [standing] = leaderboard(runs)
    low, high, over = standing.interval
    means = [np.mean(members) / 10 for members in shares.values()]
    assert (low, high) == pytest.approx(stats.t.interval(0.95, 3, loc=np.mean(means), scale=stats.sem(means)))
    assert over == "test sides"
    assert "(test sides)" in markdown([standing])
    (runs[0].folder / "predictions.csv").unlink()
    [standing] = leaderboard(runs)
    assert standing.interval.over == "runs"
    assert standing.interval.high - standing.interval.low < high - low


def test_the_mean_is_of_the_same_as_its_interval_however_many_seeds_a_fold_has(tmp_path):
    shares = {0: [5] * 12, 1: [9], 2: [9], 3: [9], 4: [8]}
    runs = [
        side_of(tmp_path, f"f{fold}s{seed}", np.arange(10) < right, f"fold{fold}/", seed=seed)
        for fold, members in shares.items()
        for seed, right in enumerate(members)
    ]
    even = [side_of(tmp_path, f"other{fold}", np.arange(10) < 7, f"fold{fold}/", model="other") for fold in range(5)]
    first, second = leaderboard([*runs, *even])  # the mean over runs, 0.594, would come after 0.7
    assert (first.model, second.model) == ("mini_vgg", "other")
    assert first.track_accuracy.mean == pytest.approx(0.8)
    assert first.interval.low < first.track_accuracy.mean < first.interval.high
    assert first.track_accuracy.sd == pytest.approx(np.std([*shares[0], 9, 9, 9, 8], ddof=1) / 10)
    assert "0.800 ± 0.169" in markdown([first])
    write_leaderboard(tmp_path / "out", [first])
    assert rows_of(tmp_path / "out" / "leaderboard.csv")[0]["track_accuracy"] == "0.800000"


def test_the_mean_over_deals_counts_every_track_once(tmp_path):
    right = np.arange(10) < 8
    often = [deal_of(tmp_path, f"d{deal}", right, np.array([deal, 8, 9])) for deal in range(8)]
    [standing] = leaderboard(often)
    assert standing.track_accuracy.mean == pytest.approx(0.8)  # over runs it would be 1 / 3
    assert standing.interval.low < 0.8 < standing.interval.high


def deal_of(folder: Path, name: str, right: np.ndarray, chosen: np.ndarray, artist=None, **info: object) -> RunReport:
    """A run that was tested on some of the tracks of a collection, of which it names the same ones right every time."""
    clips = Predictions(
        track=tuple(f"{number:03}" for number in chosen),
        start_sec=np.zeros(len(chosen)),
        label=np.zeros(len(chosen), int),
        probabilities=np.where(right[chosen, None], [0.9, 0.1], [0.1, 0.9]),
        labels=("a", "b"),
    )
    run = tried(folder, run_of(name, **info), clips)
    write_artists(run.folder / "artists.csv", {"test": clips.track}, artist or {})
    return run


def test_a_track_of_several_deals_is_evidence_once(tmp_path):
    rng = np.random.default_rng(0)
    right = rng.random(60) < 0.6
    runs = [deal_of(tmp_path, f"d{deal}", right, rng.permutation(60)[:20]) for deal in range(40)]
    [standing] = leaderboard(runs)
    low, high, over = standing.interval
    assert over == "tracks"
    assert low < right.mean() < high
    assert high - low == pytest.approx(2 * 1.96 * np.sqrt(0.6 * 0.4 / 60), rel=0.15)  # of all 60 tracks, and no more
    assert "sides that overlap" in " ".join(markdown([standing]).split())


def test_folds_without_a_mistake_are_no_single_point(tmp_path):
    runs = [side_of(tmp_path, f"f{fold}", np.ones(10, bool), f"fold{fold}/", seed=0) for fold in range(3)]
    [standing] = leaderboard(runs)
    assert standing.interval == (pytest.approx(0.025 ** (1 / 30)), 1.0, "tracks")


def test_artists_of_several_deals_into_folds_are_evidence_once(tmp_path):
    rng = np.random.default_rng(0)
    right = np.repeat(rng.random(15) < 0.6, 4)
    artist = {f"{number:03}": f"artist {number // 4}" for number in range(60)}
    runs = []
    for deal in range(2):
        for fold, artists in enumerate(np.array_split(rng.permutation(15), 5)):
            chosen = np.concatenate([np.arange(4) + 4 * number for number in artists])
            runs.append(deal_of(tmp_path, f"d{deal}f{fold}", right, chosen, artist))
    [first] = leaderboard(runs[:5])
    assert first.interval.over == "test sides"
    [both] = leaderboard(runs)
    assert both.interval.over == "artists"
    assert both.interval.high - both.interval.low == pytest.approx(2 * 1.96 * np.sqrt(0.6 * 0.4 / 15), rel=0.2)


def test_the_interval_over_deals_holds_the_true_accuracy_as_often_as_it_says(tmp_path):
    rng = np.random.default_rng(0)
    hits = 0
    for trial in range(50):
        right = rng.random(60) < 0.6
        runs = [deal_of(tmp_path, f"{trial}/{deal}", right, rng.permutation(60)[:15]) for deal in range(10)]
        [standing] = leaderboard(runs)
        hits += standing.interval.low <= 0.6 <= standing.interval.high
    assert hits / 50 > 0.87


def test_seeds_of_one_test_side_have_the_interval_over_its_tracks(tmp_path):
    rng = np.random.default_rng(0)
    hard = rng.random(100) < 0.4
    runs = [side_of(tmp_path, f"s{seed}", ~hard ^ (rng.random(100) < 0.05), "", seed=seed) for seed in range(3)]
    [standing] = leaderboard(runs)
    low, high, over = standing.interval
    assert over == "tracks"
    assert low < standing.track_accuracy.mean < high
    assert 0.12 < high - low < 0.22  # of 100 tracks, about 2 * 1.96 * 0.049


def test_where_artists_are_known_intervals_and_differences_are_over_them(tmp_path):
    right = np.repeat([1, 1, 1, 0, 0, 1], 10).astype(bool)
    artist = {str(number): f"artist {number // 10}" for number in range(60)}
    runs = []
    for name, model, hits in (("a0", "one", right), ("a1", "one", right), ("b0", "two", ~right)):
        run = side_of(tmp_path, name, hits, "", model=model, seed=int(name[1]))
        write_artists(run.folder / "artists.csv", {"test": artist}, artist)
        runs.append(read_run(run.folder / "metrics.json"))
    standings = leaderboard(runs)
    assert [standing.interval.over for standing in standings] == ["artists", "artists"]
    assert standings[0].interval.high - standings[0].interval.low > 0.5  # six artists; of 60 tracks it would be 0.24
    [pair] = compare_standings(standings).pairs
    assert pair.result.difference.over == "artists"
    assert not pair.result.beyond_noise
    write_leaderboard(tmp_path, standings, differences=compare_standings(standings))
    assert [row["ci95_over"] for row in rows_of(tmp_path / "leaderboard.csv")] == ["artists", "artists"]
    assert [row["ci95_over"] for row in rows_of(tmp_path / "differences.csv")] == ["artists"]
    for run in runs:
        (run.folder / "artists.csv").unlink()
    [pair] = compare_standings(leaderboard([read_run(run.folder / "metrics.json") for run in runs])).pairs
    assert pair.result.beyond_noise


def test_the_interval_over_folds_holds_the_true_accuracy_as_often_as_it_says(tmp_path):
    rng = np.random.default_rng(0)
    hits = 0
    for trial in range(50):
        runs = []
        for fold in range(5):
            hard = rng.random(40) < 0.4
            runs += [
                side_of(tmp_path, f"{trial}/{fold}{seed}", ~hard ^ (rng.random(40) < 0.05), f"{fold}/", seed=seed)
                for seed in range(3)
            ]
        [standing] = leaderboard(runs)
        hits += standing.interval.low <= 0.6 * 0.95 + 0.4 * 0.05 <= standing.interval.high
    assert hits / 50 > 0.87


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
    assert all("-" in cell for cell in table[1].strip("|").split("|"))


def test_a_column_of_single_characters_is_still_one_of_a_table():
    run = run_of("a")
    quick = replace(run, info=replace(run.info, train_seconds=0.1))
    rule = markdown(leaderboard([quick])).splitlines()[5]
    assert all("-" in cell for cell in rule.strip("|").split("|"))


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
def test_what_the_user_must_fix_is_one_sentence(arguments, words, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(GenreError, match=words) as raised:
        main(arguments)
    assert len(str(raised.value).splitlines()) == 1
    assert capsys.readouterr() == ("", "")
    assert list(tmp_path.iterdir()) == []


def test_the_module_runs_as_a_command_without_heavy_imports(tmp_path):
    saved(tmp_path / "runs", run_of("a"))
    code = (
        "import runpy, sys; sys.argv = ['leaderboard', 'runs']\n"
        "try:\n    runpy.run_module('genre.evaluation.leaderboard', run_name='__main__')\n"
        "except SystemExit as end:\n    status = end.code\n"
        "heavy = {'torch', 'matplotlib.pyplot', 'sklearn', 'pandas', 'librosa'} & set(sys.modules)\n"
        "others = {name for name in sys.modules if name.startswith('genre.')} \n"
        "others -= {'genre.checks', 'genre.errors', 'genre.plain', 'genre.terminal', 'genre.evaluation'}\n"
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


def test_runs_of_one_model_with_other_settings_are_no_repeats(tmp_path, make_predictions):
    clips = make_predictions(20, 1)
    plain = {"optimizer.lr": 0.001, "model.widths": "[2, 2]", "frontend.n_mels": 64}
    runs = [
        tried(tmp_path, run_of("a"), clips, plain),
        tried(tmp_path, run_of("b", seed=1), clips, plain),
        tried(tmp_path, run_of("c"), clips, {**plain, "optimizer.lr": 0.01, "model.widths": "[4, 4]"}),
        tried(tmp_path, run_of("d"), clips),
        tried(tmp_path, run_of("e", model="knn"), clips, {"classifier.lr": 1}),
    ]
    standings = leaderboard(runs)
    assert {standing.name: len(standing.runs) for standing in standings} == {
        "mini_vgg (widths=[2, 2], lr=0.001)": 2,
        "mini_vgg (widths=[4, 4], lr=0.01)": 1,
        "mini_vgg (unknown settings)": 1,
        "knn": 1,
    }
    write_leaderboard(tmp_path, standings)
    rows = rows_of(tmp_path / "leaderboard.csv")
    assert {(row["model"], row["settings"]) for row in rows} >= {("mini_vgg", "widths=[4, 4], lr=0.01"), ("knn", "")}


def test_runs_on_other_tracks_are_no_repeats(tmp_path, make_predictions):
    clips = make_predictions(20, 1)
    one, other = ({"lr": 1, "data.tracks": text} for text in ("20 in 2 classes #a1b2c3", "20 in 2 classes #d4e5f6"))
    runs = [
        *(tried(tmp_path, run_of(f"one{seed}", seed=seed), clips, one) for seed in (0, 1)),
        *(tried(tmp_path, run_of(f"other{seed}", seed=seed), clips, other) for seed in (0, 1, 2)),
    ]
    assert {standing.name: len(standing.runs) for standing in leaderboard(runs)} == {
        "mini_vgg (tracks=20 in 2 classes #a1b2c3)": 2,
        "mini_vgg (tracks=20 in 2 classes #d4e5f6)": 3,
    }
    assert [standing.name for standing in leaderboard(runs[:2])] == ["mini_vgg"]
    earlier = [tried(tmp_path, run_of(f"earlier{seed}", seed=seed), clips, {"lr": 1}) for seed in range(4)]
    assert [(standing.name, len(standing.runs)) for standing in leaderboard(earlier)] == [("mini_vgg", 4)]
    assert {standing.name: len(standing.runs) for standing in leaderboard([*runs, *earlier])} == {
        "mini_vgg (tracks=20 in 2 classes #a1b2c3)": 2,
        "mini_vgg (tracks=20 in 2 classes #d4e5f6)": 3,
        "mini_vgg (tracks=unknown)": 4,
    }


def test_settings_of_the_same_last_name_are_told_apart():
    runs = [
        replace(run_of(f"r{a}{b}"), settings={"model.depth": a, "augment.depth": b})
        for a, b in ((1, 1), (2, 1), (2, 2))
    ]
    assert [standing.variant for standing in leaderboard(runs)] == [
        "augment.depth=1, model.depth=1",
        "augment.depth=1, model.depth=2",
        "augment.depth=2, model.depth=2",
    ]


def test_what_most_variants_share_is_told_once(tmp_path, make_predictions):
    usual = {"augment.mixup": 0.3, "data.hop_sec": None, "model.widths": [2, 2]}
    changes = ({}, {"augment.mixup": 0.0}, {"data.hop_sec": 1.0}, {"augment.mixup": 0, "model.widths": [4, 4]})
    clips = make_predictions(20, 1)
    runs = [tried(tmp_path, run_of(str(i)), clips, {**usual, **change}) for i, change in enumerate(changes)]
    runs.append(tried(tmp_path, run_of("again", seed=1), clips, {**usual, "augment.mixup": 0}))
    runs.append(tried(tmp_path, run_of("stranger"), clips))
    standings = leaderboard(runs)
    assert {standing.name: len(standing.runs) for standing in standings} == {
        "mini_vgg (mixup=0.3)": 1,
        "mini_vgg (mixup=0.0)": 2,
        "mini_vgg (mixup=0.3, hop_sec=1.0)": 1,
        "mini_vgg (mixup=0, widths=[4, 4])": 1,
        "mini_vgg (unknown settings)": 1,
    }
    assert "\n\nWhere mini_vgg does not say otherwise: hop_sec=null, widths=[2, 2]." in markdown(standings)
    write_leaderboard(tmp_path, standings)
    assert {row["settings"] for row in rows_of(tmp_path / "leaderboard.csv")} == {
        "mixup=0.3, hop_sec=null, widths=[2, 2]",
        "mixup=0.0, hop_sec=null, widths=[2, 2]",
        "mixup=0.3, hop_sec=1.0, widths=[2, 2]",
        "mixup=0, hop_sec=null, widths=[4, 4]",
        "unknown settings",
    }


def test_settings_are_told_as_a_command_has_them():
    runs = [replace(run_of(f"r{i}"), settings={"cache": value}) for i, value in enumerate((True, False, None, "x", 1))]
    told = {standing.variant for standing in leaderboard(runs)}
    assert told == {"cache=true", "cache=false", "cache=null", "cache=x", "cache=1"}


def test_where_half_the_variants_share_a_value_every_line_tells_its_own():
    runs = [
        replace(run_of(f"r{rate}{size}"), settings={"rate": rate, "size": size})
        for rate, size in itertools.product((0.1, 0.2), (1, 2, 3))
    ]
    standings = leaderboard(runs)
    assert len({standing.name for standing in standings}) == 6
    assert all("rate=" in standing.name and "size=" in standing.name for standing in standings)
    assert "does not say otherwise" not in markdown(standings)


def test_a_setting_that_some_variants_do_not_have_is_told_wherever_it_is():
    runs = [replace(run_of(f"r{i}"), settings={"copies": i, **({"room": 0.5} if i else {})}) for i in range(4)]
    assert {standing.name for standing in leaderboard(runs)} == {
        "mini_vgg (copies=0)",
        *(f"mini_vgg (copies={i}, room=0.5)" for i in (1, 2, 3)),
    }


@pytest.fixture
def compared(tmp_path, make_predictions) -> list[RunReport]:
    """Two good models that cannot be told apart, one that guesses, each with two seeds; and a leaked pair."""
    runs = []
    for model, signal, number in (("good", 3.0, 0), ("also", 2.9, 10), ("guess", 0.0, 20)):
        for seed in (0, 1):
            noise = make_predictions(60, 2, signal=signal, seed=number + seed)
            clips = replace(noise, label=np.repeat(np.arange(60) % 3, 2), probabilities=_towards(noise))
            runs.append(tried(tmp_path, run_of(f"{model}{seed}", model=model, seed=seed), clips))
    for model in ("good", "guess"):
        leaked = run_of(f"leaked_{model}", model=model, protocol="clip_random", leaky=True)
        runs.append(tried(tmp_path, leaked, make_predictions(60, 2, signal=3.0, seed=5)))
    return runs


def _towards(clips) -> np.ndarray:
    """The probabilities of a table, turned so that its labels become 0, 1, 2, 0, ... over tracks."""
    shift = (np.repeat(np.arange(60) % 3, 2) - clips.label) % 3
    columns = (np.arange(3)[None] - shift[:, None]) % 3
    return np.take_along_axis(clips.probabilities, columns, axis=1)


def test_differences_beyond_noise_are_told_from_noise(compared, tmp_path):
    standings = leaderboard(compared)
    differences = compare_standings(standings)
    assert differences.notices == ()
    paths = write_leaderboard(tmp_path / "out", standings, differences=differences)
    assert [path.name for path in paths] == ["leaderboard.md", "leaderboard.csv", "differences.csv", "leaderboard.png"]
    rows = rows_of(tmp_path / "out" / "leaderboard.csv")
    honest, leaked = rows[:3], rows[3:]
    assert [row["beside_best"] for row in honest] == ["best", "not told apart", "worse"]
    assert {row["model"] for row in honest[:2]} == {"good", "also"}
    assert (float(honest[1]["beside_best_p"]) > 0.05, float(honest[2]["beside_best_p"]) < 0.01) == (True, True)
    assert [row["beside_best"] for row in leaked] == ["best", "not told apart"]  # the same predictions
    pairs = rows_of(tmp_path / "out" / "differences.csv")
    assert len(pairs) == 3 + 1  # never across protocols
    for pair in pairs:
        assert float(pair["ci95_low"]) <= float(pair["difference"]) <= float(pair["ci95_high"])
        assert float(pair["p"]) <= float(pair["p_holm"])
        assert (pair["n_tracks"], pair["beyond_noise"]) == ("60", str(float(pair["p_holm"]) < 0.05).lower())
        assert float(pair["accuracy_a"]) - float(pair["accuracy_b"]) == pytest.approx(
            float(pair["difference"]), abs=2e-6
        )
    assert (pairs[-1]["difference"], pairs[-1]["p"], pairs[-1]["leaky"]) == ("0.000000", "1", "true")
    text = (tmp_path / "out" / "leaderboard.md").read_text()
    assert "beside the best" in text
    assert "Holm" in text
    assert "worse (p < 0.001)" in text
    assert len({line.count("|") for line in text.splitlines() if line.startswith("|")}) == 1


def test_what_is_better_than_the_best_mean_is_never_shown_as_worse(tmp_path, monkeypatch):
    sizes = {0: (10, 10, 5), 1: (100, 40, 70)}  # tracks of a fold, and how many of them each model names right
    runs = [
        side_of(tmp_path, f"{model}{fold}", np.arange(n) < right, f"fold{fold}/", model=model)
        for fold, (n, *members) in sizes.items()
        for model, right in zip(("mean", "pooled"), members, strict=True)
    ]
    standings = leaderboard(runs)
    differences = compare_standings(standings)
    assert [standing.model for standing in standings] == ["mean", "pooled"]
    drawn: list[Table] = []
    monkeypatch.setattr(leaderboard_plot, "leaderboard_figure", lambda tables: drawn.extend(tables) or Figure())
    write_leaderboard(tmp_path, standings, differences=differences)
    assert [row["beside_best"] for row in rows_of(tmp_path / "leaderboard.csv")] == ["best", "better"]
    assert [row.worse for row in drawn[0].rows] == [False, False]
    text = " ".join((tmp_path / "leaderboard.md").read_text().split())
    assert "pools the tracks of all test sides" in text


def test_what_is_worse_beyond_noise_is_drawn_so(compared, tmp_path, monkeypatch):
    drawn: list[Table] = []
    monkeypatch.setattr(leaderboard_plot, "leaderboard_figure", lambda tables: drawn.extend(tables) or Figure())
    standings = leaderboard(compared)
    write_leaderboard(tmp_path, standings, differences=compare_standings(standings))
    assert [[row.worse for row in table.rows] for table in drawn] == [[False, False, True], [False, False]]


def test_a_line_without_predictions_is_compared_with_none(compared, tmp_path, capsys):
    for run in compared[:6]:
        if run.info.model == "good":
            (run.folder / "predictions.csv").unlink()
    differences = compare_standings(leaderboard(compared))
    assert len(differences.notices) == 1
    assert "good is compared with no other: cannot read" in differences.notices[0]
    assert {(pair.a.model, pair.b.model) for pair in differences.pairs} == {("also", "guess"), ("good", "guess")}
    assert main([str(tmp_path), "--out", str(tmp_path)]) == 0
    printed = capsys.readouterr()
    assert "good is compared with no other" in printed.err
    assert {path.name for path in tmp_path.glob("*.*")} >= {"leaderboard.png", "differences.csv"}


def test_it_is_told_where_there_are_too_many_lines_to_tell_any_two_apart(compared, monkeypatch):
    assert [can_tell_apart(math.comb(n_lines, 2)) for n_lines in (2, 158, 159)] == [True, True, False]
    monkeypatch.setattr("genre.evaluation.leaderboard.can_tell_apart", lambda n_pairs: n_pairs < 3)
    [notice] = compare_standings(leaderboard(compared)).notices  # the leaked pair can be told apart
    assert notice.startswith(
        "none of the 3 models of gtzan, protocol artist, can be told from another: of 3 pairs some"
    )


def test_a_table_of_one_line_compares_nothing(tmp_path):
    standings = leaderboard([run_of("a")])
    differences = compare_standings(standings)
    assert (differences.pairs, differences.notices) == ((), ())
    write_leaderboard(tmp_path, standings, differences=differences)
    assert rows_of(tmp_path / "leaderboard.csv")[0]["beside_best"] == ""
    assert rows_of(tmp_path / "differences.csv") == []
    assert "beside the best" not in (tmp_path / "leaderboard.md").read_text()


def test_untested_models_give_no_picture(tmp_path):
    paths = write_leaderboard(tmp_path, leaderboard([run_of("a", accuracy=None)]))
    assert not (tmp_path / "leaderboard.png").exists()
    assert [path.name for path in paths] == ["leaderboard.md", "leaderboard.csv", "differences.csv"]
