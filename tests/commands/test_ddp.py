"""Training and evaluation in two processes of this machine, beside one."""

from __future__ import annotations

import csv
import itertools
import json
import os
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from genre.commands.distributed import STARTED_WITH

SMALL = ("data.clip_sec=1", "model.widths=[4,8]", "model.hidden=8", "data.batch_size=4", "logger=none")
TWO = ("trainer=ddp", "trainer.accelerator=cpu", "trainer.enable_progress_bar=false", "trainer.max_epochs=2")


@pytest.fixture
def uneven(make_music) -> Path:
    """Music of which validation and test have nine clips each: five for one process, four for the other."""
    return make_music(seconds=3.2, splits=("train", "train", "val", "test"))


def metrics(run: Path) -> dict:
    return json.loads((run / "metrics.json").read_text())


def predictions(run: Path, side: str) -> dict[tuple[str, str], list[float]]:
    """Clip -> probabilities; fails if a clip comes twice."""
    name = "predictions.csv" if side == "test" else "predictions_val.csv"
    with (run / name).open(newline="", encoding="utf-8") as stream:
        _, *rows = csv.reader(stream)
    table = {(row[0], row[1]): [float(value) for value in row[4:]] for row in rows}
    assert len(table) == len(rows)
    return table


@pytest.mark.slow
def test_two_processes_say_what_one_says_of_every_clip_once(train, uneven: Path, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(sys.modules["__main__"], "__spec__", None)  # Lightning starts train.py again, not pytest
    music = ("data=folder", f"data.root={uneven}", "protocol=predefined")
    before = {name: os.environ.get(name) for name in STARTED_WITH}
    result = train("-m", "seed=1", f"hydra.sweep.dir={tmp_path / 'sweep'}", *music, *SMALL, *TWO)
    assert result.status == 0, result.err
    assert result.out.count("training MiniVGG") == 1  # only the first process speaks
    assert {name: os.environ.get(name) for name in STARTED_WITH} == before
    assert not torch.distributed.is_initialized()
    trained = tmp_path / "sweep" / "mini_vgg"
    checkpoint = f"ckpt={trained / 'best.ckpt'}"
    one, two = tmp_path / "one", tmp_path / "two"
    for folder, trainer in ((one, ()), (two, TWO)):
        result = train("mode=test", checkpoint, f"hydra.run.dir={folder}", *trainer)
        assert result.status == 0, result.err
    assert "trainer=ddp" in torch.load(trained / "best.ckpt", weights_only=True)["genre"]["provenance"]["overrides"]
    expected = metrics(one)
    assert (expected["test"]["n_clips"], expected["val"]["n_clips"]) == (9, 9)
    for run in (trained, two):
        found = metrics(run)
        assert (found["seed"], found["train_seconds"]) == (1, expected["train_seconds"])
        for side in ("val", "test"):
            assert found[side].pop("track_accuracy_ci95") == pytest.approx(
                expected[side]["track_accuracy_ci95"], abs=1e-3
            )
            assert found[side] == pytest.approx({name: expected[side][name] for name in found[side]}, abs=1e-3)
            table, wanted = predictions(run, side), predictions(one, side)
            assert list(table) == list(wanted)
            assert [*itertools.chain(*table.values())] == pytest.approx([*itertools.chain(*wanted.values())], abs=1e-5)
    with (trained / "history.csv").open(newline="") as stream:
        last = {row["curve"]: float(row["value"]) for row in csv.DictReader(stream) if row["epoch"] == "2"}
    best = torch.load(trained / "best.ckpt", weights_only=True)
    assert best["epoch"] == 1  # the last, so that of all clips and tracks, not of those of one process:
    assert last["val/clip_accuracy"] == pytest.approx(expected["val"]["clip_accuracy"])
    assert last["val/track_accuracy"] == pytest.approx(expected["val"]["track_accuracy"])


def test_processes_are_not_started_by_a_job_that_cannot(monkeypatch) -> None:
    from hydra.core.hydra_config import HydraConfig

    from genre.commands import runs
    from genre.commands.distributed import check_processes
    from genre.errors import ConfigError

    environment = SimpleNamespace(creates_processes_externally=False)
    trainer: Any = SimpleNamespace(num_devices=2, strategy=SimpleNamespace(cluster_environment=environment))
    launcher = {"_target_": "hydra_plugins.hydra_joblib_launcher.joblib_launcher.JoblibLauncher"}
    choices = SimpleNamespace(launcher="joblib")
    hydra = SimpleNamespace(launcher=launcher, runtime=SimpleNamespace(choices=choices))
    monkeypatch.setattr(HydraConfig, "get", lambda: hydra)
    monkeypatch.setattr(runs, "in_multirun", lambda: True)
    with pytest.raises(ConfigError, match=r"a job of launcher=joblib cannot start the 2 processes of trainer\.devices"):
        check_processes(trainer)
    environment.creates_processes_externally = True  # a cluster starts them
    check_processes(trainer)
    environment.creates_processes_externally = False
    launcher["_target_"] = "hydra._internal.core_plugins.basic_launcher.BasicLauncher"
    check_processes(trainer)


def test_more_processes_than_clips_are_refused(train, music: Path, tmp_path: Path) -> None:
    result = train("data=folder", f"data.root={music}", f"hydra.run.dir={tmp_path}", *SMALL, *TWO, "trainer.devices=7")
    assert result.status == 1
    assert "val has 6 clips for 7 processes; choose fewer trainer.devices" in result.err


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_a_gpu_that_is_not_there_is_told(train, music: Path, tmp_path: Path) -> None:
    result = train("data=folder", f"data.root={music}", f"hydra.run.dir={tmp_path}", *SMALL, "trainer=gpu")
    assert result.status == 1
    assert result.err.startswith("error: trainer.accelerator=gpu, trainer.devices=1 is not possible on this machine (")
