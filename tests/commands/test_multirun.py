"""What any multirun leaves, shown with train.py."""

from __future__ import annotations

import csv
import gc
import itertools
import json
import multiprocessing
import pickle
import re
import warnings
import weakref
from pathlib import Path

import pytest
from hydra._internal.callbacks import Callbacks
from omegaconf import OmegaConf
from tensorboard.backend.event_processing import data_provider, plugin_event_multiplexer
from tensorboard.context import RequestContext
from tensorboard.plugins import base_plugin
from tensorboard.plugins.hparams import api_pb2, backend_context, get_experiment, list_session_groups

from genre.commands import entry
from genre.commands.classical_sweeps import ClassicalSweepReport
from genre.commands.study_report import StudyReport
from genre.commands.sweeps import SweepReport, _failed_jobs, command_number, job_folder
from genre.evaluation.failed import FailedRun
from genre.evaluation.files import file_name, file_names
from genre.evaluation.leaderboard import leaderboard, read_runs

SMALL = ("data.clip_sec=1", "model.widths=[2,2]", "model.hidden=4", "trainer.max_epochs=1", "logger=none")


def rows_of(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as stream:
        return list(csv.DictReader(stream))


def test_a_job_leaves_no_data_behind(train, music: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Else each job of a sweep would need its own clips in memory, and those of all jobs before."""
    from genre.data.datamodule import GenreDataModule

    made: list[weakref.ref[GenreDataModule]] = []
    whole = GenreDataModule.setup

    def setup(self: GenreDataModule, stage: str | None = None) -> None:
        assert all(earlier() is None for earlier in made if earlier() is not self)
        made.append(weakref.ref(self))
        whole(self, stage)

    monkeypatch.setattr(GenreDataModule, "setup", setup)
    gc.disable()
    try:
        result = train(
            "-m", "seed=0,1", "data=folder", f"data.root={music}", f"hydra.sweep.dir={tmp_path / 's'}", *SMALL
        )
    finally:
        gc.enable()
    assert result.status == 0, result.err
    assert len(made) >= 2


def test_training_sweep_has_a_table_names_failures_and_repeats_nothing(train, music: Path, tmp_path: Path) -> None:
    folder = tmp_path / "sweep"
    common = ("data=folder", f"data.root={music}", f"hydra.sweep.dir={folder}", *SMALL)
    result = train("-m", "seed=0,1,-1", "report=true", *common)
    assert result.status == 1
    assert "1 of 3 runs failed (the first, mini_vgg_seed-1: seed=-1 is out of range" in result.err
    done, failed = rows_of(folder / "leaderboard.csv")
    assert (done["runs"], done["seeds"]) == ("2", "0 1")
    assert (failed["model"], failed["failed"][:7]) == ("mini_vgg_seed-1", "seed=-1")
    assert {"leaderboard.md", "leaderboard.png", "differences.csv"} <= {path.name for path in folder.iterdir()}
    page = (folder / "report.html").read_text()
    assert "2 runs, 1 failed" in page
    assert page.count("<details>") > 2
    assert "python train.py -m" in (folder / "command.txt").read_text()
    first = (folder / "mini_vgg_seed0" / "best.ckpt").stat().st_mtime_ns
    half = folder / "mini_vgg_seed1" / "metrics.json"
    half.write_text(half.read_text()[:99])
    again = train("-m", "seed=0,1", *common)
    assert again.out.count("finished earlier with the same settings, not repeated") == 1
    assert "mini_vgg_seed0: finished earlier" in again.out
    assert (folder / "mini_vgg_seed0" / "best.ckpt").stat().st_mtime_ns == first
    assert {**rows_of(folder / "leaderboard.csv")[0], "train_seconds": ""} == {**done, "train_seconds": ""}

    other = train("-m", "seed=0,1", "model.dropout=0.4", *common)
    assert other.status == 0, other.err  # the failed job of the first command is not one of this
    assert "mini_vgg_seed-1" in other.out
    assert "finished earlier" not in other.out
    assert (folder / "mini_vgg_seed0" / "best.ckpt").stat().st_mtime_ns == first
    assert (folder / "mini_vgg_seed0_settings2" / "best.ckpt").is_file()
    table = rows_of(folder / "leaderboard.csv")
    assert {row["settings"].partition("=")[0]: row["runs"] for row in table if not row["failed"]} == {"dropout": "2"}
    assert len([row for row in table if not row["failed"]]) == 2
    assert len(rows_of(folder / "differences.csv")) == 1

    part = train("-m", "model.dropout=0.4,0.5", "seed=1", *common)
    assert "finished earlier with the same settings in mini_vgg_seed1_settings2" in part.out
    assert (folder / "mini_vgg_dropout0.5_settings3" / "best.ckpt").is_file()
    assert not (folder / "mini_vgg_dropout0.4_settings3" / "best.ckpt").exists()


@pytest.mark.parametrize("command", ["train", "sweep_classical"])
def test_two_folders_of_one_name_are_two_lines(command: str, train, sweep, make_music, tmp_path: Path) -> None:
    roots = [make_music(f"{place}/music", genres=genres) for place, genres in (("A", ("a", "c")), ("B", ("b", "c")))]
    settings = {
        "train": SMALL,
        "sweep_classical": ("data.clip_sec=1", "transform=none", "classifier=knn", "logger=none"),
    }
    given = ("data=folder", "protocol=track", *settings[command])
    for number, (root, seed) in enumerate(itertools.product(roots, (0, 1))):
        place = f"hydra.run.dir={tmp_path / 'runs' / str(number)}"
        result = {"train": train, "sweep_classical": sweep}[command](f"data.root={root}", f"seed={seed}", place, *given)
        assert result.status == 0, result.err
    standings = leaderboard(read_runs([tmp_path / "runs"]).runs)
    assert [len(standing.runs) for standing in standings] == [2, 2]
    assert all(re.search(r" \(tracks=8 in 2 classes #[0-9a-f]{6}\)$", standing.name) for standing in standings)


def test_a_sweep_over_folders_has_a_job_for_each(sweep, make_music, tmp_path: Path) -> None:
    roots = [make_music(f"{genre} part", genres=(genre, "c")) for genre in ("a", "b")]
    given = ("data=folder", "protocol=track", "data.clip_sec=1", "transform=none", "classifier=knn", "logger=none")
    folder = tmp_path / "sweep"
    result = sweep("-m", f"data.root={roots[0]},{roots[1]},nowhere", f"hydra.sweep.dir={folder}", *given)
    assert result.status == 1
    assert "1 of 3 runs failed" in result.err
    assert "data.root=nowhere does not exist" in result.err
    assert {run.info.dataset for run in read_runs([folder]).runs} == {"a part", "b part"}


def test_a_table_that_cannot_be_written_fails_the_command_and_hides_no_failed_job(train, tmp_path: Path) -> None:
    folder = tmp_path / "sweep"
    (folder / "leaderboard.md").mkdir(parents=True)  # cannot be replaced by a file
    result = train("-m", "seed=-1,-2", f"hydra.sweep.dir={folder}", *SMALL)
    assert result.status == 1
    jobs, table = [line for line in result.err.splitlines() if line.startswith("error: ")]
    assert jobs.startswith("error: 2 runs failed (the first, mini_vgg_seed-1: seed=-1 is out of range")
    assert table.startswith(f"error: cannot write {folder / 'leaderboard.md'}")


def test_a_single_failed_job_is_counted_as_one() -> None:
    assert str(_failed_jobs([FailedRun("a", "no sound.")])) == "1 run failed (the first, a: no sound)"


def test_a_multirun_that_cannot_begin_runs_no_job(train, tmp_path: Path) -> None:
    folder = tmp_path / "sweep"
    (folder / "settings.yaml").mkdir(parents=True)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        result = train("-m", "seed=-1,-2", f"hydra.sweep.dir={folder}", *SMALL)
    assert result.status == 1
    (line,) = result.err.splitlines()
    assert line.startswith(f"error: {folder / 'settings.yaml'} cannot be used")
    assert [path.name for path in folder.iterdir()] == ["settings.yaml"]


@pytest.mark.parametrize("callback", [SweepReport, ClassicalSweepReport, StudyReport])
def test_any_error_at_the_start_of_a_multirun_ends_the_command(
    callback: type[SweepReport], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> None:
        raise ValueError("no name")

    def multirun() -> None:
        Callbacks(config).on_multirun_start(config)
        pytest.fail("a job was run")

    monkeypatch.setattr(entry, "_failures", [])
    monkeypatch.setattr("genre.commands.sweeps._failures_below", broken)
    target = f"{callback.__module__}.{callback.__qualname__}"
    config = OmegaConf.create(
        {"hydra": {"sweep": {"dir": str(tmp_path)}, "callbacks": {"report": {"_target_": target}}}}
    )
    with pytest.raises(ValueError, match="no name"):
        entry.guarded(multirun)


@pytest.mark.parametrize("callback", [SweepReport, ClassicalSweepReport])
def test_any_error_at_the_end_of_a_multirun_fails_the_command(
    callback: type[SweepReport], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> None:
        raise ValueError("no picture")

    monkeypatch.setattr(entry, "_failures", [])
    monkeypatch.setattr("genre.evaluation.leaderboard.write_leaderboard", broken)
    target = f"{callback.__module__}.{callback.__qualname__}"
    config = OmegaConf.create(
        {"hydra": {"sweep": {"dir": str(tmp_path)}, "callbacks": {"report": {"_target_": target}}}}
    )
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(ValueError, match="no picture"):
            entry.guarded(lambda: Callbacks(config).on_multirun_end(config))


@pytest.mark.usefixtures("without_pictures_in_tensorboard")
def test_tensorboard_shows_a_sweep_as_one_table(train, music: Path, tmp_path: Path) -> None:
    folder = tmp_path / "sweep"
    settings = ("protocol=kfold", "protocol.n_folds=2", "protocol.fold=0,1", "logger=tensorboard", *SMALL[:-1])
    result = train("-m", "data=folder", f"data.root={music}", f"hydra.sweep.dir={folder}", *settings)
    assert result.status == 0, result.err
    # what `tensorboard --logdir folder` does
    events = plugin_event_multiplexer.EventMultiplexer().AddRunsFromDirectory(str(folder))
    events.Reload()
    provider = data_provider.MultiplexerDataProvider(events, str(folder))
    shown = backend_context.Context(base_plugin.TBContext(data_provider=provider, logdir=str(folder)))
    request = RequestContext()
    experiment = get_experiment.Handler(request, shown, "", api_pb2.GetExperimentRequest(include_metrics=True)).run()
    columns = [metric.name.tag for metric in experiment.metric_infos]
    assert {"test/final/track_accuracy", "val/final/track_accuracy", "test/final/macro_f1"} <= set(columns)
    assert {"model", "protocol", "seed", "setting.protocol.fold"} <= {one.name for one in experiment.hparam_infos}
    wanted = api_pb2.ListSessionGroupsRequest(
        experiment_name="", start_index=0, slice_size=10, allowed_statuses=[api_pb2.STATUS_SUCCESS, 0, 3]
    )
    groups = list_session_groups.Handler(request, shown, "", wanted).run().session_groups
    assert {group.sessions[0].name.partition("/")[0] for group in groups} == {"mini_vgg_fold0", "mini_vgg_fold1"}
    for group in groups:
        run = folder / group.sessions[0].name.partition("/")[0]
        metrics = json.loads((run / "metrics.json").read_text())
        values = {value.name.tag: value.value for value in group.metric_values}
        assert values["test/final/track_accuracy"] == pytest.approx(metrics["test"]["track_accuracy"])
        assert values["val/final/clip_accuracy"] == pytest.approx(metrics["val"]["clip_accuracy"])


def test_all_that_is_swept_is_in_the_name() -> None:
    name = job_folder(
        "${hydra:runtime.choices.classifier}",
        ["classifier", "protocol", "model.x", "protocol.fold", "seed"],
        {"protocol", "scaler", "classifier"},
    )
    assert name == [
        "${hydra:runtime.choices.classifier}",
        "${hydra:runtime.choices.protocol}",
        "x${model.x}",
        "fold${protocol.fold}",
        "seed${seed}",
    ]


def test_a_job_in_another_process_can_name_its_folder() -> None:
    sent = pickle.dumps(SweepReport())
    OmegaConf.clear_resolver("file_name")
    pickle.loads(sent)
    assert OmegaConf.create({"lr": 0.1, "name": "${file_name:a,lr${lr}}"}).name == "a_lr0.1"


def test_names_can_be_written_anywhere_and_stay_different() -> None:
    assert file_name("cnn_gru", "widths[16, 32]", "lr0.001", "fold3") == "cnn_gru_widths16-32_lr0.001_fold3"
    assert file_name("seed-1") == "seed-1"
    paths = [
        file_name(f"root{path}")
        for path in ("/a/b", "/a-b", "/a b", "/a/../b", "x" * 300, "x" * 301, "ж" * 300, "\udcff")
    ]
    assert len(set(paths)) == len(paths)
    for name in paths:
        assert len(name.encode()) < 200
        assert "/" not in name
        assert ".." not in name.split("-")[-1]


def test_things_of_one_folder_have_different_names_and_usual_ones_stay_plain() -> None:
    alike = [("a_b", "c"), ("a", "b_c"), ("a", "b", "c"), ("a", "", "b_c")]
    usual = [("protocols", "mini_vgg", "demo"), ("accuracy_table", "demo", "clip_random", "", "train_share0.5")]
    names = file_names([*alike, *usual])
    assert len(set(names)) == len(names)
    assert all(name.startswith("a_b_c-") for name in names[:4])
    assert names[4:] == ["protocols_mini_vgg_demo", "accuracy_table_demo_clip_random_train_share0.5"]
    assert file_names(alike[:1]) == ["a_b_c"]
    assert file_names(reversed(alike)) == names[3::-1]


def claim(arguments: tuple[Path, str]) -> int:
    return command_number(*arguments)


def test_two_multiruns_at_once_have_different_numbers_unless_they_are_the_same(tmp_path: Path) -> None:
    with multiprocessing.get_context("fork").Pool(6) as pool:
        wanted = [(tmp_path, f"seed: {number % 3}\n") for number in range(24)]
        numbers = pool.map(claim, wanted, chunksize=1)
    assert {text: number for (_, text), number in zip(wanted, numbers, strict=True)} == {
        text: number for (_, text), number in zip(reversed(wanted), reversed(numbers), strict=True)
    }
    assert set(numbers) == {1, 2, 3}
    assert {path.name for path in tmp_path.iterdir()} == {"settings.yaml", "settings2.yaml", "settings3.yaml"}
