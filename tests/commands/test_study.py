"""Searching for settings."""

from __future__ import annotations

import csv
import json
import re
from pathlib import Path

import pytest
from filelock import FileLock
from omegaconf import OmegaConf
from running import killed

optuna = pytest.importorskip("optuna", reason="optuna is not installed: pip install -e '.[optuna]'")

from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution  # noqa: E402

from genre.commands import training  # noqa: E402
from genre.commands.study import (  # noqa: E402
    PRUNED_AT,
    STUDY_FILE,
    TRACKS,
    StudySettings,
    has_other_tracks,
    open_study,
    search_space,
)
from genre.commands.sweeps import is_shaping  # noqa: E402
from genre.errors import ConfigError  # noqa: E402

SMALL = (
    "data.clip_sec=1",
    "data.batch_size=4",
    "model.widths=[2,2]",
    "model.hidden=4",
    "model.block_dropout=0.1",
    "model.dropout=0.1",
    "model.label_smoothing=0.1",
    "optimizer.weight_decay=0.01",
    "augment=none",
    "logger=none",
    "trainer.max_epochs=2",
    "trainer.enable_progress_bar=false",
)


def table(folder: Path) -> list[dict[str, str]]:
    with (folder / "trials.csv").open(newline="") as stream:
        return list(csv.DictReader(stream))


def test_a_study_goes_by_validation_stops_the_hopeless_and_goes_on(train, music: Path, tmp_path: Path) -> None:
    folder = tmp_path / "study"
    command = (
        "hparams_search=mini_vgg",
        "optimizer.learning_rate=tag(log,interval(1.0e-7,1.0e-6))",
        "hydra.sweeper.pruning.startup_trials=1",
        "hydra.sweeper.pruning.warmup_epochs=0",
        "data=folder",
        f"data.root={music}",
        f"hydra.sweep.dir={folder}",
        *SMALL,
    )
    assert train(*command, "hydra.sweeper.n_trials=1").status == 0
    metrics = json.loads((folder / "trial0" / "metrics.json").read_text())
    (row,) = table(folder)
    assert (row["trial"], row["state"], row["epochs"]) == ("0", "complete", "2")
    assert float(row["val_track_accuracy"]) == pytest.approx(metrics["val"]["track_accuracy"], abs=1e-6)
    written = (folder / "trial0" / "metrics.json").stat().st_mtime_ns

    study = open_study(folder)
    first = study.trials[0]
    study.add_trial(
        optuna.trial.create_trial(
            value=1.0,
            params={"optimizer.learning_rate": 5e-7},
            distributions=first.distributions,
            intermediate_values={1: 1.0, 2: 1.0},
        )
    )
    under_way = study.ask(first.distributions)  # a command that was killed leaves such a trial
    again = train(*command, "hydra.sweeper.n_trials=4")
    assert again.status == 0, again.err
    assert again.out.count("stopped after epoch 1: other trials of this search did better by then") == 2
    assert "study: 4 trials, 2 complete, 2 stopped early" in again.out
    rows = table(folder)
    assert [row["state"] for row in rows] == ["complete", "complete", "pruned", "pruned"]
    assert float(rows[2]["optimizer.learning_rate"]) == under_way.params["optimizer.learning_rate"]
    assert [row["epochs"] for row in rows[2:]] == ["1", "1"]
    assert not (folder / "trial3" / "metrics.json").exists()  # the test side of a stopped trial is not even looked at
    assert (folder / "trial0" / "metrics.json").stat().st_mtime_ns == written
    assert OmegaConf.load(folder / "best.yaml").trial == 1
    assert {"parallel_coordinate.png", "importance.png", "leaderboard.csv"} <= {path.name for path in folder.iterdir()}

    other = train(*command, "hydra.sweeper.n_trials=5", "data.hop_sec=0.5")
    assert other.status == 1
    assert f"the study in {folder} was begun with another data.hop_sec; choose another hydra.sweep.dir" in other.err
    with FileLock(folder / f"{STUDY_FILE}.one"):
        busy = train(*command, "hydra.sweeper.n_trials=5")
    assert busy.status == 1
    assert "another command is at work on the study" in busy.err


@pytest.mark.filterwarnings("error:The reported value is ignored")
def test_a_search_that_is_killed_goes_on_where_it_was(train, music: Path) -> None:
    folder = Path("search")  # a relative name, as most searches have
    command = (
        "hparams_search=mini_vgg",
        "hydra.sweeper.n_trials=5",
        "optimizer.learning_rate=tag(log,interval(1.0e-4,1.0e-2))",
        "data=folder",
        f"data.root={music}",
        "report=false",
        f"hydra.sweep.dir={folder}",
        *SMALL,
    )
    killed(command, number=5)  # two epochs of the first trial, its temperature, and the second epoch of the second
    study = open_study(folder)
    first, second = study.trials
    assert (first.state.name, second.state.name) == ("COMPLETE", "RUNNING")
    assert second.intermediate_values.keys() == {1, 2}
    assert not (folder / "trials.csv").exists()
    written = (folder / "trial0" / "metrics.json").stat().st_mtime_ns
    study.add_trial(optuna.trial.create_trial(value=1.0, params=first.params, distributions=first.distributions))
    stopped = study.ask(first.distributions)  # such is one that others ran beside
    stopped.report(0.0, 1)
    stopped.set_user_attr(PRUNED_AT, 1)
    with (folder / STUDY_FILE).open("a") as journal:
        journal.write('{"op_code":8,"worker_')  # such is what is left when a line was being written

    again = train(*command)
    assert again.status == 0, again.err
    assert "study: 5 trials, 4 complete, 1 stopped early" in again.out
    rows = table(folder)
    assert [row["state"] for row in rows] == ["complete", "complete", "complete", "pruned", "complete"]
    assert [rows[number]["epochs"] for number in (0, 1, 4)] == ["2", "2", "2"]
    assert float(rows[1]["optimizer.learning_rate"]) == second.params["optimizer.learning_rate"]
    assert len({row["optimizer.learning_rate"] for row in rows}) == 4  # the last draws anew
    assert (folder / "trial0" / "metrics.json").stat().st_mtime_ns == written
    assert {path.name for path in folder.glob("trial?")} == {"trial0", "trial1", "trial4"}
    assert OmegaConf.load(folder / "best.yaml").trial == 2
    assert {"parallel_coordinate.png", "importance.png", "leaderboard.csv"} <= {path.name for path in folder.iterdir()}


def test_an_interrupted_search_goes_on_with_the_settings_it_names(interrupted_at, train, music: Path) -> None:
    command = (
        "hparams_search=mini_vgg",
        "hydra.sweeper.n_trials=1",
        "optimizer.learning_rate=tag(log,interval(1.0e-4,1.0e-2))",
        "data=folder",
        f"data.root={music}",
        *SMALL,
    )
    result = interrupted_at(4, *command, "hydra.sweep.dir=search")  # in the second epoch of the first trial
    (named,) = re.findall(r"the same command with (.*) goes on and repeats no finished epoch", result.err)
    assert named == "hydra.sweep.dir=search resume=true"
    again = train(*command, *named.split())
    assert again.status == 0, again.err
    assert "trial0: continued after epoch 1" in again.out
    assert [row["epochs"] for row in table(Path("search"))] == ["2"]

    finished = train(*command, "hydra.sweep.dir=search", "report=false", "data.jobs=1")
    assert finished.status == 0, finished.err


def test_a_setting_is_known_by_its_whole_name() -> None:
    alike = ("resume", "report", "search.jobs", "logger", "+logger.more", "prepare.backend", "launcher", "debug")
    other = ("reports", "data.jobs_more", "data", "data.hop_sec", "loggers.more", "seed")
    assert [name for name in (*alike, *other) if is_shaping(name)] == list(other)


def test_values_of_a_setting_become_what_is_drawn_from() -> None:
    space, fixed = search_space(
        [
            "a=interval(0.0,0.5)",
            "b=tag(log,interval(1.0e-4,1.0e-2))",
            "c=int(interval(1,8))",
            "d=choice([16,32],[32,64])",
            "e=range(0,6,2)",
            "augment=choice(none,music)",
            "a=0.25",
            "data.root='/m u'",
        ]
    )
    assert space == {
        "b": FloatDistribution(1e-4, 1e-2, log=True),
        "c": IntDistribution(1, 8),
        "d": CategoricalDistribution(["[16,32]", "[32,64]"]),
        "e": CategoricalDistribution([0, 2, 4]),
        "augment": CategoricalDistribution(["none", "music"]),
    }
    assert fixed == {"a": "0.25", "data.root": "'/m u'"}


def test_wrong_numbers_are_told(train) -> None:
    result = train("hparams_search=mini_vgg", "hydra.sweeper.n_trials=0")
    assert result.status == 1
    assert "hydra.sweeper.n_trials=0 is not a number of trials" in result.err


@pytest.mark.parametrize("values", ["interval(0.5,0.1)", "tag(log,int(interval(0,8)))", "tag(log,interval(0.0,1.0))"])
def test_a_range_without_values_is_told(train, tmp_path: Path, values: str) -> None:
    result = train("hparams_search=mini_vgg", f"model.hidden={values}", f"hydra.sweep.dir={tmp_path / 'study'}")
    assert result.status == 1
    assert f"model.hidden={values} is not a range; give the lower end first, above 0 where it is log" in result.err
    assert "Traceback" not in result.out + result.err


def test_wrong_settings_of_the_sweeper_are_told_before_any_trial(train, tmp_path: Path) -> None:
    folder = tmp_path / "study"
    result = train("hparams_search=mini_vgg", "hydra.sweeper.pruning.warmup_epochs=null", f"hydra.sweep.dir={folder}")
    assert result.status == 1
    told = "hydra.sweeper.pruning.warmup_epochs=null is not a whole number from 0 on; give 0 or more"
    assert told in result.err
    assert not (folder / STUDY_FILE).exists()

    StudySettings(pruning={"startup_trials": None, "warmup_epochs": 0})
    StudySettings(pruning=None)
    for name, value in (("startup_trials", 1.5), ("startup_trials", -1), ("warmup_epochs", "many")):
        with pytest.raises(ConfigError, match=rf"hydra\.sweeper\.pruning\.{name}={value} is not a whole number"):
            StudySettings(pruning={"startup_trials": 5, "warmup_epochs": 4, name: value})
    for wrong in ({"seed": None}, {"startup_trials": -1}, {"pruning": 5}):
        with pytest.raises(ConfigError, match=r"hydra\.sweeper\.\w+="):
            StudySettings(**wrong)


def search_in(folder: Path, music: Path, n_trials: int) -> tuple[str, ...]:
    return (
        "hparams_search=mini_vgg",
        f"hydra.sweeper.n_trials={n_trials}",
        "optimizer.learning_rate=tag(log,interval(1.0e-4,1.0e-2))",
        "data=folder",
        f"data.root={music}",
        f"hydra.sweep.dir={folder}",
        *SMALL,
    )


def test_trials_that_failed_are_tried_again_by_the_next_command(train, make_music, tmp_path: Path) -> None:
    folder, music = tmp_path / "study", make_music()
    away = music.rename(tmp_path / "away")
    failed = train(*search_in(folder, music, 2))
    assert failed.status == 1
    assert "study: 2 trials, 2 failed" in failed.out
    assert "2 of 2 runs failed" in failed.err
    away.rename(music)
    again = train(*search_in(folder, music, 2))
    assert again.status == 0, again.err
    assert "study: 4 trials, 2 complete, 2 failed" in again.out
    rates = [row["optimizer.learning_rate"] for row in table(folder)]
    assert rates[:2] == rates[2:]

    done = train(*search_in(folder, music, 2))
    assert done.status == 0, done.err
    assert len(table(folder)) == 4

    study = open_study(folder)
    study.enqueue_trial({"optimizer.learning_rate": 5e-3})  # such is one that a killed command did not come to
    last = train(*search_in(folder, music, 3))
    assert last.status == 0, last.err
    assert [float(row["optimizer.learning_rate"]) for row in table(folder)[4:]] == [5e-3]


def test_a_study_without_any_result_fails(train, music: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(training, "run", lambda cfg: None)  # as where there are no tracks to validate with
    folder = tmp_path / "study"
    result = train(*search_in(folder, music, 2))
    assert result.status == 1
    assert "study: 2 trials, 2 failed" in result.out
    assert f"no trial of the study in {folder} ended with a validation accuracy; see run.log" in result.err


def test_trials_of_one_study_have_the_same_tracks(train, make_music, tmp_path: Path) -> None:
    folder, music = tmp_path / "study", make_music(table=False)
    first = train(*search_in(folder, music, 1), "protocol=track")
    assert first.status == 0, first.err
    make_music(genres=("high", "low", "middle", "none"), table=False)
    other = train(*search_in(folder, music, 2), "protocol=track")
    assert other.status == 1
    assert f"the study in {folder} was begun with other tracks; choose another hydra.sweep.dir" in other.err
    assert [row["state"] for row in table(folder)] == ["complete", "fail"]
    assert not (folder / "trial1" / "metrics.json").exists()
    assert OmegaConf.load(folder / "best.yaml").trial == 0


def test_tracks_are_compared_with_those_of_trials_that_ended_well_on_the_same_data() -> None:
    study = optuna.create_study()
    clips = CategoricalDistribution([1, 2])

    def trial(tracks: str | None, state: str, clip_sec: int = 1) -> int:
        study.add_trial(
            optuna.trial.create_trial(
                state=optuna.trial.TrialState[state],
                value=0.5 if state == "COMPLETE" else None,
                params={"data.clip_sec": clip_sec},
                distributions={"data.clip_sec": clips},
                user_attrs={} if tracks is None else {TRACKS: tracks},
            )
        )
        return len(study.trials) - 1

    trial("a", "FAIL")
    assert not has_other_tracks(study, trial("b", "RUNNING"))
    trial("b", "COMPLETE")
    assert not has_other_tracks(study, trial("b", "RUNNING"))
    assert has_other_tracks(study, trial("a", "RUNNING"))
    assert not has_other_tracks(study, trial("a", "RUNNING", clip_sec=2))  # of longer clips there may be fewer tracks
    assert not has_other_tracks(study, trial(None, "RUNNING"))


def test_a_misspelt_setting_leaves_the_folder_usable(train, music: Path, tmp_path: Path) -> None:
    folder = tmp_path / "study"
    wrong = train(*search_in(folder, music, 1), "model.drop_out=interval(0.1,0.3)")
    assert wrong.status == 1
    assert "there is no setting model.drop_out" in wrong.err
    right = train(*search_in(folder, music, 1), "model.block_dropout=interval(0.1,0.3)")
    assert right.status == 0, right.err
    assert "study: 1 trial, 1 complete" in right.out
    refused = train(*search_in(folder, music, 1))
    assert f"the study in {folder} was begun with another model.block_dropout" in refused.err
