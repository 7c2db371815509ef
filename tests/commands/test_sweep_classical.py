"""Whole runs of sweep_classical.py, small."""

from __future__ import annotations

import csv
import json
import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf
from threadpoolctl import threadpool_limits

from genre.classical.model import ClassicalModel, load_classical
from genre.classical.search import Rows, fit, tune
from genre.commands import classical_sweeps
from genre.commands import features as loading
from genre.commands.build import build_search
from genre.data.features_csv import read_features_csv
from genre.errors import ConfigError
from genre.evaluation import sweep_plots
from genre.evaluation.report import read_run

CONF = Path(__file__).parents[2] / "conf"
ALL = {
    group: sorted(file.stem for file in (CONF / group).glob("[!_]*.yaml"))
    for group in ("transform", "classifier", "scaler")
}
ORIGINAL = {
    "logistic_regression": {"C": {0.01, 0.1, 1, 10, 100}},
    "svm": {"C": {0.01, 0.1, 1, 10, 100}},
    "perceptron": {"eta0": {0.0001, 0.001, 0.01, 0.1, 1}},
    "ridge": {"alpha": {0.01, 0.1, 1, 10, 100}},
    "decision_tree": {"max_depth": {1, 3, 5, 10, 20, None}},
    "random_forest": {"n_estimators": {10, 50, 100, 200}, "max_depth": {3, 5, 10, None}},
    "knn": {"n_neighbors": {1, 3, 5, 7, 10}, "weights": {"uniform", "distance"}},
    "neural_net": {},
}
OUTPUTS = {
    "metrics.json",
    "chosen.json",
    "artists.csv",
    "predictions.csv",
    "predictions_val.csv",
    "confusion_matrix.png",
    "per_class.png",
    "per_class.csv",
    "reliability.png",
    "trials.csv",
    "trials.png",
    "model.skops",
    "quarantine.csv",
    "duplicates.csv",
    "config.yaml",
    "settings.json",
    "run.log",
}
PICTURES = {
    "report.html",
    "command.txt",
    "feature_importance.png",
    "feature_importance.csv",
    "feature_space.png",
    "feature_clusters.png",
}
SMALL = {
    "rbf": ("transform.estimator.n_centres=5", "transform.grid.gamma=[0.1,1]"),
    "nystroem": ("transform.estimator.n_components=10", "transform.grid.gamma=[0.1]"),
    "rbf_sampler": ("transform.estimator.n_components=10", "transform.grid.gamma=[0.1]"),
    "random_forest": ("classifier.grid.n_estimators=[5]",),
    "extra_trees": ("classifier.estimator.n_estimators=5",),
    "gradient_boosting": ("classifier.grid.max_iter=[3]", "+classifier.estimator.min_samples_leaf=2"),
    "knn": ("classifier.grid.n_neighbors=[1,3]",),
    "neural_net": (
        "classifier.estimator.hidden=[8]",
        "classifier.estimator.dropout=[0.1]",
        "classifier.estimator.learning_rate=0.02",
    ),
    "quantile": ("scaler.estimator.n_quantiles=10",),
    "lda": ("classifier.grid.shrinkage=[0.9,auto]",),
}
SMALL_MEMBERS = (
    "classifier.estimator.members.extra_trees.n_estimators=5",
    "+classifier.estimator.members.neural_net.epochs=2",
)


def small(name: str) -> tuple[str, ...]:
    return SMALL_MEMBERS if name in ("soft_voting", "stacking") else SMALL.get(name, ())


def rows_of(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as stream:
        return list(csv.DictReader(stream))


@pytest.fixture
def data(music: Path) -> tuple[str, ...]:
    return ("data=folder", f"data.root={music}", "data.clip_sec=1", "logger=none")


@pytest.fixture
def table(tmp_path: Path) -> Path:
    """A table of 57 features of 24 tracks of three genres, in the published layout."""
    from genre.features.handcrafted import FEATURE_NAMES

    rng = np.random.default_rng(0)
    path = tmp_path / "table.csv"
    with path.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream)
        writer.writerow(["filename", "length", *FEATURE_NAMES, "label"])
        for number in range(24):
            genre = ("blues", "jazz", "rock")[number % 3]
            values = rng.normal(3.0 * (number % 3), 1.0, 57)
            writer.writerow([f"{genre}.{number:05}.wav", 661794, *values, genre])
    return path


def test_a_run_leaves_every_file(sweep, data, tmp_path: Path) -> None:
    run = tmp_path / "run"
    result = sweep(*data, "transform=pca", "classifier=svm", f"hydra.run.dir={run}", "report=true")
    assert result.status == 0, result.err
    names = {path.name for path in run.iterdir()}
    assert names >= OUTPUTS | PICTURES
    metrics = json.loads((run / "metrics.json").read_text())
    assert metrics["model"] == "pca_svm"
    assert metrics["protocol"] == "artist"
    assert metrics["test"]["n_tracks"] == 3
    assert metrics["parameters"] > 0
    trials = rows_of(run / "trials.csv")
    assert [float(row["classifier.C"]) for row in trials] == [0.01, 0.1, 1, 10, 100]
    [kept] = [row for row in trials if row["kept"] == "true"]
    assert json.loads((run / "chosen.json").read_text()) == {"C": float(kept["classifier.C"])}
    assert float(kept["track_accuracy"]) == max(float(row["track_accuracy"]) for row in trials)
    assert float(kept["track_accuracy"]) == pytest.approx(metrics["val"]["track_accuracy"], abs=1e-6)


def test_the_summary_comes_before_the_features_are_looked_at(sweep, data, monkeypatch, tmp_path: Path) -> None:
    def broken(*_: object, **__: object) -> None:
        raise ConfigError("the features are not looked at")

    monkeypatch.setattr("genre.commands.classical.write_space", broken)
    settings = (*data, "classifier=ridge", "classifier.grid={}")
    result = sweep(*settings, f"hydra.run.dir={tmp_path / 'run'}", "report=true")
    assert result.status == 1
    assert "track accuracy" in result.out
    assert "the features are not looked at" in result.err


def test_clips_and_sides_are_those_of_training(sweep, train, data, tmp_path: Path) -> None:
    deep, classical = tmp_path / "deep", tmp_path / "classical"
    network = ("model.widths=[2,2]", "model.hidden=4", "trainer.max_epochs=1")
    assert train(*data, *network, f"hydra.run.dir={deep}").status == 0
    assert sweep(*data, f"hydra.run.dir={classical}").status == 0
    for name in ("predictions.csv", "predictions_val.csv"):
        tables = [rows_of(run / name) for run in (deep, classical)]
        keys = [[(row["track"], row["start_sec"], row["label"]) for row in table] for table in tables]
        assert keys[0] == keys[1]


def test_saved_model_says_what_the_run_said(sweep, data, music: Path, tmp_path: Path) -> None:
    from genre.audio.decode import load

    run = tmp_path / "run"
    assert sweep(*data, "classifier=logistic_regression", "feature_set=dynamics", f"hydra.run.dir={run}").status == 0
    model = load_classical(run / "model.skops")
    assert model.labels == ("high", "low", "middle")
    assert model.clips.clip_sec == 1
    assert model.feature_set == "dynamics"
    assert model.provenance["model"] == "dynamics_none_logistic_regression"
    rows = rows_of(run / "predictions.csv")
    track = rows[0]["track"]
    clips, _ = model.clips.cut(load(music / track, model.sample_rate))
    probabilities = model.predict_proba(model.features_of(np.ascontiguousarray(clips), model.sample_rate))
    written = [[float(row[label]) for label in model.labels] for row in rows if row["track"] == track]
    assert np.allclose(probabilities, written, atol=1e-6)


def test_original_grid_is_tried() -> None:
    sweeper = OmegaConf.load(CONF / "sweep_classical.yaml").hydra.sweeper.params
    assert sweeper.transform.split(",") == ["none", "pca", "rbf", "poly"]
    assert set(sweeper.classifier.split(",")) == set(ORIGINAL)
    for name, grid in ORIGINAL.items():
        shipped = OmegaConf.to_container(OmegaConf.load(CONF / "classifier" / f"{name}.yaml").grid)
        assert {key: set(values) for key, values in shipped.items()} == grid
    assert 0.025 in OmegaConf.load(CONF / "transform" / "rbf.yaml").grid.gamma


@pytest.mark.parametrize(
    "choice",
    [f"classifier={name}" for name in ALL["classifier"]]
    + [f"transform={name}" for name in ALL["transform"]]
    + [f"scaler={name}" for name in ALL["scaler"]],
)
def test_every_choice_can_be_tuned_fitted_and_saved(choice: str, table: Path, tmp_path: Path) -> None:
    name = choice.partition("=")[2]
    plain = [] if choice.startswith("classifier") else ["classifier=ridge"]
    with initialize_config_dir(str(CONF), version_base="1.3"):
        cfg = compose("sweep_classical", [choice, *plain, *small(name)])
    pipeline, grid = build_search(cfg)
    features = read_features_csv(table)
    judge = np.arange(0, 24, 3)  # eight of each genre come one after the other
    train = np.setdiff1d(np.arange(24), judge)
    rows = Rows(features.values.astype(float), features.label, features.track, features.track, 3)
    with threadpool_limits(1):  # quicker for data as small as these, above all on a busy machine
        search = tune(pipeline, grid, rows, [(train, judge)], jobs=1)
        fitted = fit(search.pipeline, rows, train)
        model = ClassicalModel(fitted, features.labels, features.names, 0, None)
        model.save(tmp_path / "model.skops")
        again = load_classical(tmp_path / "model.skops")
        said = again.predict_proba(features.values)
        assert np.array_equal(said, model.predict_proba(features.values))
    assert not [trial.fault for trial in search.trials if trial.fault]
    assert again.clips is None
    assert (said[judge].argmax(axis=1) == features.label[judge]).mean() > 0.5


def test_what_is_not_as_usual_is_part_of_the_name(sweep, table: Path, tmp_path: Path) -> None:
    folder = tmp_path / "sweep"
    given = ("data=features_csv", f"data.csv={table}", "protocol=track", "logger=none")
    settings = ("transform=none", "classifier=ridge", "classifier.grid={}", "scaler=standard,minmax")
    result = sweep("-m", *given, *settings, f"hydra.sweep.dir={folder}", "report=true")
    assert result.status == 0, result.err
    names = {path.parent.name for path in folder.rglob("metrics.json")}
    assert names == {"none_ridge_standard", "none_ridge_minmax"}
    assert {row["model"] for row in rows_of(folder / "leaderboard.csv")} == {"standard_none_ridge", "none_ridge"}
    assert {path.name for path in folder.glob("accuracy_table*.png")} == {
        "accuracy_table_table_track_standard.png",
        "accuracy_table_table_track.png",
    }


def test_a_cell_is_a_mean_over_seeds_only(sweep, table: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    drawn: dict[str, tuple[list[float], tuple[str, ...]]] = {}
    draw = sweep_plots.accuracy_table_figure

    def figure(accuracy: np.ndarray, transforms: tuple[str, ...], classifiers: tuple[str, ...], above: Any) -> Any:
        drawn[above.model] = (accuracy[:, 0].tolist(), classifiers)
        return draw(accuracy, transforms, classifiers, above)

    monkeypatch.setattr(sweep_plots, "accuracy_table_figure", figure)
    folder = tmp_path / "sweep"
    given = ("data=features_csv", f"data.csv={table}", "protocol=track", "logger=none", "seed=0,1")
    settings = ("transform=none", "classifier=ridge", "classifier.grid={}", "+classifier.estimator.alpha=0.1,1e6")
    result = sweep("-m", *given, *settings, "protocol.train_share=0.5,1", f"hydra.sweep.dir={folder}")
    assert result.status == 0, result.err
    runs = [read_run(path) for path in folder.rglob("metrics.json")]
    assert len(runs) == 8
    classical_sweeps.write_accuracy_tables(folder, runs)
    assert {path.name for path in folder.glob("accuracy_table*.png")} == {
        "accuracy_table_table_track_train_share0.5.png",
        "accuracy_table_table_track_train_share1.png",
    }
    for share in ("0.5", "1"):
        accuracy, classifiers = drawn[f"train_share={share}"]
        assert set(classifiers) == {"ridge alpha=0.1", "ridge alpha=1000000.0"}
        for value, name in zip(accuracy, classifiers, strict=True):
            alpha = float(name.partition("=")[2])
            wanted = {"protocol.train_share": float(share), "classifier.estimator.alpha": alpha}
            cell = [run.test.track_accuracy for run in runs if run.test and wanted.items() <= run.settings.items()]
            assert len(cell) == 2
            assert value == pytest.approx(np.mean(cell))


def test_artists_count_alike_where_a_classifier_takes_weights(sweep, make_music, tmp_path: Path) -> None:
    music = make_music(artists=8)  # of which some are now one, with more tracks than the others
    listed = (music / "tracks.csv").read_text()
    (music / "tracks.csv").write_text(listed.replace("artist 1", "artist 0").replace("artist 2", "artist 0"))
    folder = tmp_path / "sweep"
    given = (
        "data=folder",
        f"data.root={music}",
        "data.clip_sec=1",
        "logger=none",
        "classifier.grid={}",
        "report=false",
    )
    result = sweep("-m", *given, "classifier=logistic_regression,knn", "data.artist_balance=0,1", "transform=none",
                   f"hydra.sweep.dir={folder}")  # fmt: skip
    assert result.status == 0, result.err
    assert (
        " ".join(result.out.split()).count("none_knn takes no weights, so data.artist_balance does not change it") == 1
    )
    same = {
        name: len({(run / "predictions.csv").read_text() for run in folder.glob(f"none_{name}_*") if run.is_dir()}) == 1
        for name in ("logistic_regression", "knn")
    }
    assert same == {"logistic_regression": False, "knn": True}


def write_table(path: Path, *, n_features: int = 4, pieces: int = 0, artists: int | None = None) -> Path:
    """A table of 24 tracks of three genres; of each genre all but the last of ``artists`` have one track."""
    rng = np.random.default_rng(0)
    with path.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream)
        names = [f"feature {number}" for number in range(n_features)]
        writer.writerow(["filename", *names, "label", *(["artist"] if artists else [])])
        for number in range(24):
            genre = ("blues", "jazz", "rock")[number % 3]
            artist = [f"{genre} {min(number // 3, artists - 1)}"] if artists else []
            for piece in range(pieces or 1):
                name = f"{genre}.{number:05}" + (f".{piece}" if pieces else "") + ".wav"
                writer.writerow([name, *rng.normal(number % 3, 1.0, n_features), genre, *artist])
    return path


def test_artists_of_a_table_count_alike_too(sweep, tmp_path: Path) -> None:
    table, folder = write_table(tmp_path / "table.csv", artists=5), tmp_path / "sweep"
    given = ("data=features_csv", f"data.csv={table}", "logger=none", "report=false", "classifier.grid={}")
    settings = ("classifier=logistic_regression", "transform=none", "data.artist_balance=0,1")
    result = sweep("-m", *given, *settings, f"hydra.sweep.dir={folder}")
    assert result.status == 0, result.err
    written = [path.read_text() for path in folder.glob("*/predictions.csv")]
    assert len(written) == 2
    assert written[0] != written[1]


def test_a_table_of_one_feature_ends_with_its_summary(sweep, tmp_path: Path) -> None:
    table, run = write_table(tmp_path / "table.csv", n_features=1), tmp_path / "run"
    given = ("data=features_csv", f"data.csv={table}", "protocol=track", "logger=none", "classifier=ridge")
    result = sweep(*given, "transform=none", f"hydra.run.dir={run}", "report=true")
    assert result.status == 0, result.err
    assert "track accuracy" in result.out
    assert {path.name for path in run.iterdir()} >= PICTURES


def test_a_model_is_fitted_on_no_more_clips_of_a_track_than_are_asked_for(sweep, tmp_path: Path) -> None:
    table, folder = write_table(tmp_path / "table.csv", pieces=5, artists=8), tmp_path / "sweep"
    given = ("data=features_csv", f"data.csv={table}", "logger=none", "report=false", "search.inner_folds=0,2")
    settings = ("classifier=knn", "classifier.grid={}", "transform=none", "data.max_clips=null,2")
    result = sweep("-m", *given, *settings, f"hydra.sweep.dir={folder}")
    assert result.status == 0, result.err
    fitted: dict[object, set[int]] = {None: set(), 2: set()}
    for run in folder.glob("*/model.skops"):
        most = OmegaConf.load(run.parent / "config.yaml").data.max_clips
        fitted[most].add(load_classical(run).pipeline[-1].n_samples_fit_)
        assert len(rows_of(run.parent / "predictions.csv")) % 5 == 0
    [of_all], [of_some] = fitted.values()
    assert 2 * of_all == 5 * of_some


def test_max_clips_counts_for_audio_too(sweep, data, tmp_path: Path) -> None:
    fitted = []
    for number, most in enumerate(("null", "1")):
        run = tmp_path / str(number)
        settings = ("classifier=knn", "classifier.grid={}", f"data.max_clips={most}", "report=false")
        result = sweep(*data, *settings, f"hydra.run.dir={run}")
        assert result.status == 0, result.err
        fitted.append(load_classical(run / "model.skops").pipeline[-1].n_samples_fit_)
    assert fitted[0] > fitted[1] == 6  # of each of the three genres two tracks are in training


def test_names_that_look_like_those_of_clips_are_told_of(sweep, tmp_path: Path) -> None:
    table, run = write_table(tmp_path / "table.csv", pieces=5), tmp_path / "run"
    table.write_text(re.sub(r"(\d{5})\.(\d)", r"\1_\2", table.read_text()))
    given = ("data=features_csv", f"data.csv={table}", "protocol=track", "logger=none", "report=false")
    result = sweep(*given, "classifier=ridge", "classifier.grid={}", f"hydra.run.dir={run}")
    assert result.status == 0, result.err
    told = " ".join(result.out.split())
    assert "note: 120 of 120 tracks have names like clips of one recording, such as blues.00000_0.wav and" in told
    assert "add a column track" in (run / "run.log").read_text()


SWEEP = ("-m", "transform=none,pca", "classifier=ridge,knn", "classifier.grid={}")


def test_a_sweep_leaves_one_table_and_pictures(sweep, data, tmp_path: Path) -> None:
    folder = tmp_path / "sweep"
    loading._read.clear()
    result = sweep(*SWEEP, *data, f"hydra.sweep.dir={folder}", "report=true")
    assert result.status == 0, result.err
    names = {f"{transform}_{classifier}" for transform in ("none", "pca") for classifier in ("ridge", "knn")}
    assert {path.name for path in folder.iterdir() if path.is_dir()} == names
    assert {path.name for path in folder.glob("*.*")} >= {
        "leaderboard.csv",
        "leaderboard.md",
        "accuracy_table.png",
        *PICTURES,
    }
    rows = rows_of(folder / "leaderboard.csv")
    assert {row["model"] for row in rows} == names
    accuracy = [float(row["track_accuracy"]) for row in rows]
    assert accuracy == sorted(accuracy, reverse=True)
    assert all(0 <= float(row["track_accuracy_ci95_low"]) <= value for row, value in zip(rows, accuracy, strict=True))
    assert len(loading._read) == 1


def test_a_sweep_says_how_many_runs_are_best() -> None:
    def run(model: str, accuracy: float) -> Any:
        info = SimpleNamespace(model=model, leaky=False)
        return SimpleNamespace(info=info, val=SimpleNamespace(track_accuracy=accuracy))

    runs = [run("none_knn", 0.5), run("pca_knn", 0.75), run("none_svm", 0.75)]
    assert classical_sweeps._said_of(runs[1], runs) == "2 of 3 runs were best on validation, pca_knn the first of them"
    assert classical_sweeps._said_of(runs[1], runs[:2]) == "pca_knn was best on validation"


def test_a_failed_combination_is_in_the_table_and_stops_nothing(sweep, data, tmp_path: Path) -> None:
    folder = tmp_path / "sweep"
    broken = ("-m", "transform=none", "classifier=knn,ridge", "+classifier.grid.alpha=[1]")
    result = sweep(*broken, *data, f"hydra.sweep.dir={folder}", "report=true")
    assert result.status == 1
    assert "1 of 2 runs failed (the first, none_knn: the grid tries classifier.alpha" in result.err
    assert "Traceback" not in result.err
    failed, done = sorted(rows_of(folder / "leaderboard.csv"), key=lambda row: row["model"])
    assert failed["model"] == "none_knn"
    assert "no setting of the classifier" in failed["failed"]
    assert done["model"] == "none_ridge"
    assert "## Failed" in (folder / "leaderboard.md").read_text()
    assert (folder / "accuracy_table.png").is_file()


def test_a_sweep_goes_on_where_it_stopped(sweep, table: Path, tmp_path: Path) -> None:
    folder = tmp_path / "sweep"
    data = ("data=features_csv", f"data.csv={table}", "protocol=track", "logger=none")
    common = (*data, f"hydra.sweep.dir={folder}", "classifier.grid={}")
    assert sweep("-m", "transform=none,pca", "classifier=ridge", *common).status == 0
    written = {path: path.stat().st_mtime_ns for path in folder.rglob("model.skops")}
    (folder / "pca_ridge" / "metrics.json").unlink()
    result = sweep("-m", "transform=none,pca", "classifier=ridge", *common)
    assert result.status == 0, result.err
    assert result.out.count("finished earlier with the same settings") == 1
    again = {path for path, time in written.items() if path.stat().st_mtime_ns != time}
    assert {path.parent.name for path in again} == {"pca_ridge"}
    assert len(rows_of(folder / "leaderboard.csv")) == 2
    changed = sweep("-m", "transform=none", "classifier=ridge", "seed=1", *common)
    assert changed.status == 0, changed.err
    assert "finished earlier" not in changed.out


def test_folds_of_a_sweep_have_folders_of_their_own_and_one_line(sweep, table: Path, tmp_path: Path) -> None:
    folder = tmp_path / "sweep"
    data = ("data=features_csv", f"data.csv={table}", "logger=none")
    folds = ("protocol=kfold", "protocol.n_folds=2", "protocol.fold=0,1", "search.inner_folds=2")
    result = sweep("-m", "transform=none", "classifier=ridge", *folds, *data, f"hydra.sweep.dir={folder}")
    assert result.status == 0, result.err
    assert {path.name for path in folder.iterdir() if path.is_dir()} == {"none_ridge_fold0", "none_ridge_fold1"}
    [row] = rows_of(folder / "leaderboard.csv")
    assert (row["runs"], row["ci95_over"]) == ("2", "test sides")
    assert row["chosen"].startswith("alpha=")


def test_tensorboard_has_trials_and_settings(sweep, data, tmp_path: Path) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    run = tmp_path / "run"
    settings = [setting for setting in data if setting != "logger=none"]
    settings += ["logger=tensorboard", "classifier=ridge", "classifier.grid.alpha=[1,10]"]
    result = sweep(*settings, f"hydra.run.dir={run}")
    assert result.status == 0, result.err
    events = EventAccumulator(str(run / "tensorboard")).Reload()
    scores = [float(row["track_accuracy"]) for row in rows_of(run / "trials.csv")]
    assert [event.value for event in events.Scalars("trials/track_accuracy")] == pytest.approx(scores)
    assert {"test/confusion_matrix", "val/confusion_matrix"} <= set(events.Tags()["images"])
    assert "_hparams_/session_start_info" in events.summary_metadata
    trial = EventAccumulator(str(run / "tensorboard" / "trial_002")).Reload()
    assert "_hparams_/session_start_info" in trial.summary_metadata
    assert trial.Scalars("trial/track_accuracy")[0].value == pytest.approx(scores[1])


def test_trials_of_a_sweep_are_a_curve_and_no_rows(tmp_path: Path) -> None:
    from pytorch_lightning.loggers import TensorBoardLogger

    from genre.commands.tensorboard import log_trials
    from genre.evaluation.trials import TrialRow

    trials = [TrialRow({"classifier.C": 1}, 0.5, 0.4, 1.0, "")]
    for rows in (False, True):
        logger = TensorBoardLogger(tmp_path / str(rows), name="", version="")
        log_trials(logger, trials, score="track_accuracy", rows=rows)
        logger.finalize("success")
        assert len(list((tmp_path / str(rows)).glob("trial_*"))) == rows
        assert list((tmp_path / str(rows)).glob("events.out.tfevents*"))


def test_a_leaked_protocol_says_so(sweep, data, tmp_path: Path) -> None:
    run = tmp_path / "run"
    result = sweep(*data, "protocol=clip_random", "classifier=ridge", "search.inner_folds=2", f"hydra.run.dir={run}")
    assert result.status == 0, result.err
    assert "LEAKED PROTOCOL" in result.out
    assert json.loads((run / "metrics.json").read_text())["leaky"] is True


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("classifier=svn",), "did you mean svm"),
        (("data=features_csv",), "data.csv is not set"),
        (("data=features_csv", "data.csv=nowhere.csv"), "nowhere.csv cannot be read"),
        (("data=features_csv", "data.csv={table}", "data.max_clips=0"), "data.max_clips=0 is not a number of clips"),
        (("data=features_csv", "data.csv={table}", "data.artist_balance=2"), "data.artist_balance=2 is out of range"),
        (("search.score=acuracy",), "search.score=acuracy is unknown"),
        (("search.jobs=-1",), "search.jobs=-1"),
        (("feature_set=dynamic",), "did you mean dynamics"),
        (("feature_set=dynamics", "frontend.n_mels=64"), "default log-mel spectrogram"),
        (("clasifier=svm",), "clasifier"),
        (("classifier.grid.CC=[1]",), "CC"),
        (("+classifier.grid.CC=[1]",), "no setting of the classifier; did you mean classifier.C"),
        (("classifier.estimator.kernel=linaer",), "no setting of SVC"),
        (("classifier=knn", "classifier.estimator.algorithm=auto"), "nearest neighbours need algorithm=brute"),
    ],
)
def test_what_the_user_gets_wrong_is_one_sentence(arguments, sentence: str, sweep, data, tmp_path: Path) -> None:
    given = [] if arguments[0].startswith("data=") else data
    if "data.csv={table}" in arguments:
        table = write_table(tmp_path / "table.csv", artists=8)
        arguments = [argument.format(table=table) for argument in arguments]
    result = sweep(*given, *arguments)
    assert result.status == 1
    assert sentence in result.err
    assert len(result.err.strip().splitlines()) == 1


def test_each_job_of_a_sweep_has_the_front_end_it_asks_for(sweep, data, tmp_path: Path) -> None:
    given = (*data, "feature_set=dynamics", "transform=none", "classifier=lda", f"hydra.sweep.dir={tmp_path / 'sweep'}")
    result = sweep("-m", *given, "frontend.n_mels=128,64")
    assert result.status == 1
    assert "default log-mel spectrogram" in result.err
    assert len(list((tmp_path / "sweep").rglob("metrics.json"))) == 1


def test_notices_of_the_data_are_printed_once_a_sweep(sweep, table: Path, tmp_path: Path) -> None:
    given = ("data=features_csv", f"data.csv={table}", "protocol=track", "transform=none", "classifier=ridge,lda")
    result = sweep("-m", *given, f"hydra.sweep.dir={tmp_path / 'sweep'}")
    assert result.status == 0, result.err
    told = [line for line in result.out.splitlines() if line.startswith("note: ")]
    assert told
    assert len(told) == len(set(told))
    for log in (tmp_path / "sweep").glob("*/run.log"):
        assert all(notice in log.read_text(encoding="utf-8") for notice in told)


def test_a_table_has_no_other_features(sweep, table: Path) -> None:
    result = sweep("data=features_csv", f"data.csv={table}", "feature_set=dynamics", "protocol=track")
    assert result.status == 1
    assert "a table has the features it has" in result.err
