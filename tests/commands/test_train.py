"""Whole runs, small."""

from __future__ import annotations

import csv
import io
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

from genre.commands import training
from genre.evaluation.hardest import read_hardest
from genre.models.registry import load_model

METRICS = {"clip_accuracy", "track_accuracy", "track_accuracy_ci95", "macro_f1", "ece", "n_clips", "n_tracks"}
FACTS = {"protocol", "leaky", "model", "seed", "parameters", "train_seconds", "dataset", "config_hash", "version"}
OUTPUTS = {
    "metrics.json",
    "artists.csv",
    "predictions.csv",
    "predictions_val.csv",
    "confusion_matrix.png",
    "per_class.png",
    "per_class.csv",
    "reliability.png",
    "curves.png",
    "history.csv",
    "best.ckpt",
    "last.ckpt",
    "config.yaml",
    "quarantine.csv",
    "duplicates.csv",
    "report.html",
    "command.txt",
    "run.log",
}

SMALL = (
    "data.clip_sec=1",
    "model.widths=[4,8]",
    "model.hidden=16",
    "trainer.max_epochs=2",
    "data.batch_size=8",
    "logger=none",
)


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where a run is that the tests of this module look at."""
    return tmp_path_factory.mktemp("finished") / "run"


@pytest.fixture
def finished(train, music: Path, kept: Path) -> Path:
    """A finished run; not to be changed."""
    if not kept.exists():
        result = train("data=folder", f"data.root={music}", f"hydra.run.dir={kept}", *SMALL)
        assert result.status == 0, result.err
    return kept


def read_table(path: Path) -> tuple[list[str], list[list[str]]]:
    with path.open(newline="", encoding="utf-8") as stream:
        header, *rows = csv.reader(stream)
    return header, rows


def test_run_leaves_every_file(train, music: Path, tmp_path: Path) -> None:
    finished = tmp_path / "run"
    assert train("data=folder", f"data.root={music}", f"hydra.run.dir={finished}", "report=true", *SMALL).status == 0
    names = {path.name for path in finished.iterdir()}
    assert names >= OUTPUTS
    assert not [name for name in names if name.endswith(".new")]
    metrics = json.loads((finished / "metrics.json").read_text())
    assert set(metrics) == FACTS | {"val", "test"}
    assert set(metrics["test"]) == set(metrics["val"]) == METRICS
    assert metrics["protocol"] == "artist"
    assert metrics["leaky"] is False
    assert metrics["model"] == "mini_vgg"
    assert metrics["dataset"] == music.name
    assert metrics["parameters"] == sum(p.numel() for p in load_model(finished / "best.ckpt").parameters())
    assert metrics["test"]["n_tracks"] == 3
    assert "epoch 2/2" in (finished / "run.log").read_text()
    assert (finished / "command.txt").read_text().startswith("python train.py data=folder data.root=")
    check_hardest_clips(finished, music)


def check_hardest_clips(finished: Path, music: Path) -> None:
    """The page has all tracks with a mistake, and what is heard is what the file holds."""
    _, rows = read_table(finished / "predictions.csv")
    clips = read_hardest(finished)
    assert {clip.track for clip in clips} == {row[0] for row in rows if row[2] != row[3]}
    assert (finished / "report.html").read_text().count("<audio") == len(clips)
    for clip in clips:
        samples, rate = soundfile.read(io.BytesIO(clip.sound))
        whole, _ = soundfile.read(music / clip.track)
        first = round(clip.start_sec * rate)
        assert rate == 22050
        assert np.allclose(samples, whole[first : first + rate], atol=1e-4)


def test_predictions_agree_with_metrics_and_with_the_catalogue(finished: Path, music: Path) -> None:
    header, rows = read_table(finished / "predictions.csv")
    assert header == ["track", "start_sec", "label", "predicted", "high", "low", "middle"]
    metrics = json.loads((finished / "metrics.json").read_text())["test"]
    assert len(rows) == metrics["n_clips"] == 6
    assert np.mean([row[2] == row[3] for row in rows]) == pytest.approx(metrics["clip_accuracy"])
    _, catalogue = read_table(music / "tracks.csv")
    label_of = {row[0]: row[1] for row in catalogue}
    assert all(label_of[row[0]] == row[2] for row in rows)
    assert {float(row[1]) for row in rows} == {0.0, 1.0}


@pytest.mark.parametrize("name", ["best.ckpt", "."], ids=["file", "folder"])
def test_evaluating_the_checkpoint_again_gives_the_same_numbers(
    name: str, finished: Path, train, tmp_path: Path
) -> None:
    again = tmp_path / "again"
    given = (f"ckpt={finished / name}", "logger=none", "report=false", f"hydra.run.dir={again}")
    result = train("mode=test", *given)
    assert result.status == 0, result.err
    assert not {"report.html", "hardest"} & {path.name for path in again.iterdir()}
    assert (again / "predictions.csv").read_bytes() == (finished / "predictions.csv").read_bytes()
    assert (again / "predictions_val.csv").read_bytes() == (finished / "predictions_val.csv").read_bytes()
    assert json.loads((again / "metrics.json").read_text()) == json.loads((finished / "metrics.json").read_text())


def test_both_checkpoints_are_calibrated_where_they_hold_the_same_weights(finished: Path) -> None:
    best, last = (load_model(finished / name) for name in ("best.ckpt", "last.ckpt"))
    assert float(best.temperature) == float(last.temperature) != 1.0


def test_after_training_every_side_is_predicted_once_and_every_checkpoint_read_once(
    train, music: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    predicted: list[str] = []
    read: list[str] = []
    logits, load = training.Job._logits, torch.load
    monkeypatch.setattr(training.Job, "_logits", lambda job, side: predicted.append(side) or logits(job, side))
    monkeypatch.setattr(torch, "load", lambda path, **more: read.append(Path(path).name) or load(path, **more))
    result = train("data=folder", f"data.root={music}", f"hydra.run.dir={tmp_path / 'run'}", *SMALL)
    assert result.status == 0, result.err
    assert predicted == ["val", "test"]
    assert read == ["best.ckpt", "last.ckpt"]


def test_a_run_that_is_replaced_is_told_of(finished: Path, train, make_music, tmp_path: Path) -> None:
    other, run = make_music("other", artists=3), tmp_path / "run"
    shutil.copytree(finished, run)
    arguments = ("data=folder", f"data.root={other}", f"hydra.run.dir={run}", *SMALL)
    assert f"the finished run in {run} is replaced; name another folder" in train(*arguments).out
    assert "is replaced" not in train(*arguments, "resume=true").out


def test_same_seed_same_numbers(finished: Path, train, music: Path, tmp_path: Path) -> None:
    again = tmp_path / "again"
    assert train("data=folder", f"data.root={music}", f"hydra.run.dir={again}", *SMALL).status == 0
    assert (again / "predictions.csv").read_bytes() == (finished / "predictions.csv").read_bytes()
    assert (again / "history.csv").read_bytes() == (finished / "history.csv").read_bytes()


AUGMENTED = (
    "damage=microphone",
    "data.hop_sec=0.5",
    "data.max_clips=2",
    "augment.gain_db=2",
    "augment.stretch=0.1",
    "augment.time_mask=5",
    "augment.mixup=0.5",
    "model.label_smoothing=0.1",
    "model.class_balance=true",
    "callbacks.weight_average=0.9",
    "callbacks.monitor=null",
)


def test_resumed_run_ends_as_one_that_never_stopped(train, music: Path, tmp_path: Path) -> None:
    common = (
        *AUGMENTED,
        "data=folder",
        f"data.root={music}",
        *SMALL[:-3],
        "data.batch_size=8",
        "logger=none",
        "scheduler=constant",
    )
    whole, first, second = tmp_path / "whole", tmp_path / "first", tmp_path / "second"
    assert train(*common, "trainer.max_epochs=4", f"hydra.run.dir={whole}").status == 0
    assert train(*common, "trainer.max_epochs=2", f"hydra.run.dir={first}").status == 0
    resumed = train(f"ckpt={first / 'last.ckpt'}", "trainer.max_epochs=4", f"hydra.run.dir={second}")
    assert resumed.status == 0, resumed.err
    assert "epoch 3/4" in resumed.out
    assert "epoch 2/4" not in resumed.out
    last = [torch.load(run / "last.ckpt", weights_only=True)["state_dict"] for run in (whole, second)]
    assert last[0].keys() == last[1].keys()
    assert all(torch.equal(last[0][name], last[1][name]) for name in last[0])
    assert (second / "history.csv").read_bytes() == (whole / "history.csv").read_bytes()
    assert (second / "predictions.csv").read_bytes() == (whole / "predictions.csv").read_bytes()


def test_resuming_a_finished_run_says_that_nothing_is_left(finished: Path, train, tmp_path: Path) -> None:
    for place in (finished / "last.ckpt", finished):
        result = train(f"ckpt={place}", f"hydra.run.dir={tmp_path / 'more'}")
        assert result.status == 1
        assert f"nothing is left to train: {finished / 'last.ckpt'} has finished" in result.err
        assert "raise trainer.max_epochs" in result.err


def test_checkpoint_needs_nothing_else(finished: Path) -> None:
    model = load_model(finished / "best.ckpt")
    assert model.labels == ("high", "low", "middle")
    assert model.hparams["frontend"]["name"] == "logmel"
    assert model.hparams["clips"]["clip_sec"] == 1
    assert float(model.temperature) != 1.0
    assert not torch.equal(model.feature_mean, torch.zeros(57))


@pytest.mark.parametrize("protocol", ["track", "clip_random", "kfold"])
def test_other_protocols(protocol: str, train, music: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    extra = ("protocol.n_folds=2",) if protocol == "kfold" else ()
    result = train("data=folder", f"data.root={music}", f"protocol={protocol}", f"hydra.run.dir={run}", *extra, *SMALL)
    assert result.status == 0, result.err
    metrics = json.loads((run / "metrics.json").read_text())
    assert metrics["protocol"] == protocol
    assert metrics["leaky"] is (protocol == "clip_random")
    assert ("leaked" in result.out.lower()) is (protocol == "clip_random")


def test_predefined_sides_are_kept(train, make_music, tmp_path: Path) -> None:
    root = make_music("sided", splits=("train", "train", "val", "test"))
    run = tmp_path / "run"
    result = train("data=folder", f"data.root={root}", "protocol=predefined", f"hydra.run.dir={run}", *SMALL)
    assert result.status == 0, result.err
    _, catalogue = read_table(root / "tracks.csv")
    _, rows = read_table(run / "predictions.csv")
    assert {row[0] for row in rows} == {row[0] for row in catalogue if row[3] == "test"}


def test_broken_files_are_named_and_left_alone(train, make_music, tmp_path: Path) -> None:
    root = make_music("broken")
    bad = root / "low" / "low.0.0.wav"
    bad.write_text("this is not audio")
    run = tmp_path / "run"
    result = train("data=folder", f"data.root={root}", f"hydra.run.dir={run}", *SMALL)
    assert result.status == 0, result.err
    assert "1 of 12 tracks cannot be used" in result.out
    header, rows = read_table(run / "quarantine.csv")
    assert header == ["file", "label", "reason", "detail"]
    assert [row[:3] for row in rows] == [["low/low.0.0.wav", "low", "undecodable"]]
    assert bad.read_text() == "this is not audio"


def test_stft512_front_end(train, music: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    result = train(
        "data=folder", f"data.root={music}", "frontend=stft512", "model.normalize=none", f"hydra.run.dir={run}", *SMALL
    )
    assert result.status == 0, result.err
    assert load_model(run / "best.ckpt").input_shape[0] == 512


def test_audio_that_is_gone_when_training_ends_costs_no_more_than_its_sound(
    train, make_music, tmp_path: Path, monkeypatch
) -> None:
    from genre.commands import training

    root, run = make_music("unplugged"), tmp_path / "run"
    fit_temperature = training.fit_temperature

    def unplugged(*given: np.ndarray) -> float:
        for file in root.rglob("*.wav"):
            file.unlink()
        return fit_temperature(*given)

    monkeypatch.setattr(training, "fit_temperature", unplugged)
    result = train("data=folder", f"data.root={root}", f"hydra.run.dir={run}", "logger=tensorboard", *SMALL[:-1])
    assert result.status == 0, result.err
    assert not list(root.rglob("*.wav"))
    assert "note: TensorBoard has no sound of" in result.out
    assert (run / "metrics.json").is_file()


def test_tensorboard_events(train, music: Path, tmp_path: Path) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    run = tmp_path / "run"
    result = train("data=folder", f"data.root={music}", f"hydra.run.dir={run}", "logger=tensorboard", *SMALL[:-1])
    assert result.status == 0, result.err
    events = EventAccumulator(str(run / "tensorboard"))
    events.Reload()
    tags = events.Tags()
    for side in ("train", "val"):
        for curve in ("loss", "clip_accuracy", "track_accuracy"):
            assert len(events.Scalars(f"{side}/{curve}")) == 2
    assert any("learning_rate" in tag for tag in tags["scalars"])
    assert {"test/confusion_matrix", "val/confusion_matrix", "test/per_class"} <= set(tags["images"])
    assert any(tag.startswith("clips_") for tag in tags["images"])
    assert any(tag.startswith("clips_") for tag in tags["audio"])
    assert "config/text_summary" in tags["tensors"]
    metrics = json.loads((run / "metrics.json").read_text())
    assert events.Scalars("test/final/track_accuracy")[-1].value == pytest.approx(metrics["test"]["track_accuracy"])
    assert "_hparams_/session_start_info" in events.summary_metadata
    assert {path.parent for path in run.rglob("events.out.tfevents*")} == {run / "tensorboard"}
