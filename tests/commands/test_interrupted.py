"""What a process that is killed leaves behind, and how it goes on."""

from __future__ import annotations

import csv
import json
import re
import shutil
import signal
import threading
import time
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import torch
from filelock import FileLock
from running import killed

from genre.commands.callbacks import TellInterrupted
from genre.commands.training import whole_epochs
from genre.models.base import GenreModule

if TYPE_CHECKING:
    from conftest import Result

SMALL = ("data.clip_sec=1", "model.widths=[2,2]", "model.hidden=4", "trainer.max_epochs=4", "data.batch_size=4")


def same_result(one: Path, other: Path) -> bool:
    """Say whether two runs have the same weights, history and figures, bit by bit."""
    last = [torch.load(run / "last.ckpt", weights_only=True)["state_dict"] for run in (one, other)]
    figures = [{**json.loads((run / "metrics.json").read_text()), "train_seconds": 0} for run in (one, other)]
    files = ("history.csv", "predictions.csv", "predictions_val.csv")
    return (
        last[0].keys() == last[1].keys()
        and all(torch.equal(last[0][name], last[1][name]) for name in last[0])
        and figures[0] == figures[1]
        and all((one / name).read_bytes() == (other / name).read_bytes() for name in files)
    )


def test_a_killed_sweep_loses_at_most_an_epoch_and_ends_as_one_that_was_not(train, music: Path, tmp_path: Path) -> None:
    common = ["data=folder", f"data.root={music}", *SMALL, "logger=none"]
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    assert train("seed=1", *common, f"hydra.run.dir={whole}").status == 0
    again = ["-m", "seed=0,1", "resume=true", *common, f"hydra.sweep.dir={broken}"]
    killed(again, number=8)  # four epochs of the first job, its temperature, and in the third epoch of the second
    second = broken / "mini_vgg_seed1"
    assert not (second / "metrics.json").exists()
    assert not (broken / "leaderboard.csv").exists()
    assert len(list(second.glob(".last.ckpt.*"))) == 1
    last = torch.load(second / "last.ckpt", weights_only=True)
    assert last["epoch"] == 1
    last["callbacks"]["History"].update(seconds=1000.0, seconds_at={1: 500.0, 2: 1000.0})
    torch.save(last, second / "last.ckpt")

    result = train(*again)
    assert result.status == 0, result.err
    assert "mini_vgg_seed0: finished earlier" in result.out
    assert "mini_vgg_seed1: continued after epoch 2" in result.out
    assert ("epoch 3/4" in result.out, "epoch 2/4" in result.out) == (True, False)
    assert same_result(whole, second)
    assert json.loads((second / "metrics.json").read_text())["train_seconds"] > 1000
    assert not list(second.glob(".last.ckpt.*"))
    with (broken / "leaderboard.csv").open(newline="") as stream:
        [row] = csv.DictReader(stream)
    assert row["runs"] == "2"


STEPS = 3  # an epoch of SMALL


def test_interrupted_in_the_first_epoch_a_run_keeps_nothing_and_says_so(
    interrupted_at, music: Path, tmp_path: Path
) -> None:
    common = ("data=folder", f"data.root={music}", *SMALL, "logger=none")
    run = tmp_path / "run"
    result = interrupted_at(STEPS - 1, *common, f"hydra.run.dir={run}")
    assert (
        "interrupted before the first epoch was finished: nothing is kept, the same command begins anew" in result.err
    )
    assert "ckpt=" not in result.err
    assert not list(run.glob("*.ckpt"))


def test_a_run_interrupted_in_a_later_epoch_goes_on_as_if_it_had_not_been(
    interrupted_at, train, music: Path, tmp_path: Path
) -> None:
    common = ("data=folder", f"data.root={music}", *SMALL, "logger=none")
    whole, broken, again, rest = (tmp_path / name for name in ("whole", "broken", "again", "rest"))
    assert train(*common, f"hydra.run.dir={whole}").status == 0
    result = interrupted_at(2 * STEPS - 1, *common, f"hydra.run.dir={broken}")
    assert f"interrupted: continue with python train.py ckpt={broken / 'last.ckpt'}" in result.err
    assert whole_epochs(torch.load(broken / "last.ckpt", weights_only=True)) == 1

    on = (f"ckpt={broken / 'last.ckpt'}", "logger=none")
    result = interrupted_at(2 * STEPS - 1, *on, f"hydra.run.dir={again}")
    assert f"interrupted before another epoch was finished: begin again with ckpt={broken / 'last.ckpt'}" in result.err
    with warnings.catch_warnings(record=True) as warned:
        result = train(*on, f"hydra.run.dir={rest}")
    assert result.status == 0, result.err
    assert not [str(one.message) for one in warned if "resuming" in str(one.message)]  # Lightning may, within an epoch
    said = re.findall(r"epoch (\d)/4 .* (\S+) s$", result.out, re.MULTILINE)
    assert [epoch for epoch, _ in said] == ["2", "3", "4"]
    assert all(float(seconds) < 600 for _, seconds in said)
    assert same_result(whole, rest)
    assert whole_epochs(torch.load(rest / "last.ckpt", weights_only=True)) == 4


def test_a_run_interrupted_after_training_is_only_evaluated(
    train, monkeypatch: pytest.MonkeyPatch, music: Path, tmp_path: Path
) -> None:
    common = ("data=folder", f"data.root={music}", *SMALL, "logger=none", "trainer.max_epochs=1")
    run = tmp_path / "run"
    handler = signal.getsignal(signal.SIGINT)
    with monkeypatch.context() as patch:
        patch.setattr(GenreModule, "predict_step", interrupt)
        result = train(*common, f"hydra.run.dir={run}")
    signal.signal(signal.SIGINT, handler)
    assert result.status == 1
    said = f"interrupted after training: the same command with hydra.run.dir={run} resume=true only evaluates"
    assert told(result) == said
    assert said in (run / "run.log").read_text()
    result = train(*common, f"hydra.run.dir={run}", "resume=true")
    assert result.status == 0, result.err
    assert "run: trained to the end earlier" in result.out


def interrupt(*args: object, **settings: object) -> None:
    """Press Ctrl-C."""
    raise KeyboardInterrupt


def test_an_interrupted_multirun_says_how_to_go_on(interrupted_at, music: Path, tmp_path: Path) -> None:
    sweep = tmp_path / "sweep"
    common = ("data=folder", f"data.root={music}", *SMALL, "logger=none")
    result = interrupted_at(STEPS + 1, "-m", "seed=0,1", *common, f"hydra.sweep.dir={sweep}")
    settings = f"hydra.sweep.dir={sweep} resume=true"
    assert told(result) == f"interrupted: the same command with {settings} goes on and repeats no finished epoch"


def told(result: Result) -> str:
    """The one line about an interrupt."""
    assert result.status == 1
    lines = [line for line in (result.out + result.err).splitlines() if "interrupted" in line]
    assert len(lines) == 1, lines
    return lines[0]


def test_a_command_interrupted_before_its_work_says_what_is_kept(
    run_command, monkeypatch: pytest.MonkeyPatch, music: Path, tmp_path: Path
) -> None:
    monkeypatch.setattr("genre.commands.training.build_datamodule", interrupt)
    monkeypatch.setattr("genre.commands.classical.load_features", interrupt)
    given = ("data=folder", f"data.root={music}", f"hydra.run.dir={tmp_path / 'run'}")
    sentences = {
        "train": "interrupted before training: the tracks prepared so far are kept, the same command prepares the "
        "others",
        "sweep_classical": "interrupted before the model was evaluated: the features computed so far are kept, the "
        "same command computes the others and searches anew",
    }
    for command, sentence in sentences.items():
        assert told(run_command(command, *given)) == sentence
    several = run_command("sweep_classical", "-m", "seed=0,1", *given[:2], "hydra.sweep.dir=two words")
    assert told(several) == (
        "interrupted: the same command with 'hydra.sweep.dir=two words' goes on and repeats no finished run"
    )


def test_an_interrupted_evaluation_says_that_it_begins_anew(
    train, monkeypatch: pytest.MonkeyPatch, music: Path, tmp_path: Path
) -> None:
    common = ("data=folder", f"data.root={music}", *SMALL, "logger=none", "trainer.max_epochs=1")
    run = tmp_path / "run"
    handler = signal.getsignal(signal.SIGINT)
    with monkeypatch.context() as patch:
        patch.setattr("genre.commands.training.write_run_page", interrupt)
        result = train(*common, f"hydra.run.dir={run}", "report=true")
    assert told(result) == f"interrupted while the page was written: all other results are in {run}"
    assert (run / "metrics.json").is_file()
    monkeypatch.setattr(GenreModule, "predict_step", interrupt)
    result = train("mode=test", f"ckpt={run}", f"hydra.run.dir={tmp_path / 'test'}")
    signal.signal(signal.SIGINT, handler)
    assert told(result) == "interrupted before the evaluation was finished: the same command begins it anew"


def test_a_checkpoint_from_within_an_epoch_is_not_continued(
    interrupted_at, train, monkeypatch: pytest.MonkeyPatch, music: Path, tmp_path: Path
) -> None:
    def save(self: TellInterrupted, trainer: Any, *args: Any) -> None:
        trainer.save_checkpoint(tmp_path / "part.ckpt")  # as earlier versions did

    common = ("data=folder", f"data.root={music}", *SMALL, "logger=none", "trainer.max_epochs=1")
    monkeypatch.setattr(TellInterrupted, "on_exception", save)
    interrupted_at(1, *common, f"hydra.run.dir={tmp_path / 'run'}")
    result = train(f"ckpt={tmp_path / 'part.ckpt'}", f"hydra.run.dir={tmp_path / 'more'}")
    assert result.status == 1
    assert "part.ckpt was written within an epoch, of which the rest cannot be trained; train anew" in result.err


def test_a_run_killed_after_training_is_only_evaluated(train, music: Path, tmp_path: Path) -> None:
    early = ("logger=none", "callbacks.monitor=val/loss", "callbacks.patience=1", "optimizer.learning_rate=0.3")
    common = ("data=folder", f"data.root={music}", *SMALL, *early)
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    assert train(*common, f"hydra.run.dir={whole}", "trainer.max_epochs=30").status == 0
    shutil.copytree(whole, broken)
    epochs = torch.load(broken / "last.ckpt", weights_only=True)["epoch"] + 1
    assert epochs < 30  # stopped early, which a checkpoint of Lightning does not tell
    for name in ("metrics.json", "predictions.csv", "config.yaml"):
        (broken / name).unlink()
    again = (*common, f"hydra.run.dir={broken}", "trainer.max_epochs=30", "resume=true")
    result = train(*again)
    assert result.status == 0, result.err
    assert "broken: trained to the end earlier" in result.out
    assert "epoch" not in result.out
    assert same_result(whole, broken)
    assert "finished earlier" in train(*again).out

    other = train(*again, "seed=1", "trainer.max_epochs=1")  # never mistaken for what is there
    assert "trained from the beginning" in other.out
    assert "of other settings or other data" in other.out
    assert not same_result(whole, broken)


def test_a_damaged_checkpoint_is_not_picked_up(train, music: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    run.mkdir()
    (run / "last.ckpt").write_bytes(b"PK half a file")
    common = ("data=folder", f"data.root={music}", *SMALL, "logger=none", "trainer.max_epochs=1")
    result = train(*common, f"hydra.run.dir={run}", "resume=true")
    assert result.status == 0, result.err
    assert "run: trained from the beginning" in result.out
    assert torch.load(run / "last.ckpt", weights_only=True)["epoch"] == 0


def test_two_processes_are_never_in_one_folder(train, music: Path, tmp_path: Path) -> None:
    common = ("data=folder", f"data.root={music}", *SMALL, "logger=none", "trainer.max_epochs=1")
    run, sweep = tmp_path / "run", tmp_path / "sweep"
    for folder in (run, sweep / "mini_vgg"):
        folder.mkdir(parents=True)
    with FileLock(run / ".lock"):
        result = train(*common, f"hydra.run.dir={run}")
    assert result.status == 1
    assert f"another process is at work in {run}" in result.err
    assert not (run / "metrics.json").exists()

    begun, released, log = threading.Event(), [], sweep / "mini_vgg" / "run.log"

    def hold() -> None:
        with FileLock(sweep / "mini_vgg" / ".lock"):
            begun.set()
            until = time.time() + 60
            while time.time() < until and not (log.is_file() and "waiting" in log.read_text()):
                time.sleep(0.02)
            released.append(time.time())

    other = threading.Thread(target=hold)
    other.start()
    begun.wait()
    result = train("-m", "seed=0", *common, f"hydra.sweep.dir={sweep}")
    other.join()
    assert result.status == 0, result.err
    assert "mini_vgg: another process is at work on it, waiting" in result.out
    assert (sweep / "mini_vgg" / "best.ckpt").stat().st_mtime >= released[0]
