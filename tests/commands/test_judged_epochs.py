"""Which epoch is kept, and when training stops early."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from hydra import compose, initialize_config_dir
from pytorch_lightning.callbacks import EarlyStopping

from genre.commands.build import MONITORED, build_trainer

CONF = Path(__file__).parents[2] / "conf"
SMALL = ("data.clip_sec=1", "model.widths=[4,8]", "model.hidden=16", "data.batch_size=8", "logger=none")


@pytest.mark.parametrize("monitor", MONITORED)
def test_best_is_the_smallest_loss_and_the_largest_accuracy(monitor: str, tmp_path: Path) -> None:
    with initialize_config_dir(str(CONF), version_base="1.3"):
        asked = (f"callbacks.monitor={monitor}", "callbacks.patience=10", "logger=none", "trainer.accelerator=cpu")
        cfg = compose("train", overrides=list(asked))
    parts = build_trainer(cfg, tmp_path)
    [stopping] = [one for one in parts.trainer.callbacks if isinstance(one, EarlyStopping)]
    expected = "min" if monitor == "val/loss" else "max"
    assert parts.checkpoint.mode == stopping.mode == expected


def test_without_a_monitor_the_last_epoch_is_kept(train, music: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    result = train("data=folder", f"data.root={music}", *SMALL, "trainer.max_epochs=3", f"hydra.run.dir={run}")
    assert result.status == 0, result.err
    best, last = (torch.load(run / name, weights_only=True) for name in ("best.ckpt", "last.ckpt"))
    assert best["epoch"] == last["epoch"] == 2
    for name, weights in last["state_dict"].items():
        assert name == "temperature" or torch.equal(best["state_dict"][name], weights)


def test_the_epoch_with_the_best_accuracy_is_kept(train, music: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    common = ("data=folder", f"data.root={music}", *SMALL, "trainer.max_epochs=10")
    eager = ("optimizer.learning_rate=0.01", "model.dropout=0", "model.block_dropout=0", "seed=1")
    result = train(*common, *eager, "callbacks.monitor=val/clip_accuracy", f"hydra.run.dir={run}")
    assert result.status == 0, result.err
    history = torch.load(run / "last.ckpt", weights_only=True)["callbacks"]["History"]["values"]
    accuracy = [value for _, value in history["val/clip_accuracy"]]
    assert min(accuracy) < max(accuracy)
    kept = torch.load(run / "best.ckpt", weights_only=True)["epoch"]
    assert accuracy[kept] == max(accuracy)
    assert json.loads((run / "settings.json").read_text())["callbacks.monitor_mode"] == "max"


def test_going_on_from_an_earlier_epoch_forgets_what_came_after_it(train, music: Path, tmp_path: Path) -> None:
    common = ("data=folder", f"data.root={music}", *SMALL, "report=false", "scheduler=constant")
    early, whole, on = tmp_path / "early", tmp_path / "whole", tmp_path / "on"
    for run, epochs in ((early, 1), (whole, 3)):
        result = train(*common, f"trainer.max_epochs={epochs}", f"hydra.run.dir={run}")
        assert result.status == 0, result.err
    best = torch.load(early / "best.ckpt", weights_only=True)  # as if the first of three epochs had been the best one
    first_seconds = best["callbacks"]["History"]["seconds"]
    best["callbacks"]["History"] = torch.load(whole / "best.ckpt", weights_only=True)["callbacks"]["History"]
    best["callbacks"]["History"]["seconds"] = 1000.0
    best["callbacks"]["History"]["seconds_at"] = {1: first_seconds, 3: 1000.0}
    torch.save(best, early / "best.ckpt")
    result = train(*common, f"ckpt={early / 'best.ckpt'}", "trainer.max_epochs=4", f"hydra.run.dir={on}")
    assert result.status == 0, result.err
    history = torch.load(on / "last.ckpt", weights_only=True)["callbacks"]["History"]
    assert all([epoch for epoch, _ in points] == [1, 2, 3, 4] for points in history["values"].values())
    assert set(history["seconds_at"]) == {1, 2, 3, 4}
    assert first_seconds < json.loads((on / "metrics.json").read_text())["train_seconds"] < 1000


def test_a_training_that_diverges_ends_at_once(train, music: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    wild = ("optimizer.learning_rate=1e30", "trainer.gradient_clip_val=null", "trainer.max_epochs=6")
    result = train("data=folder", f"data.root={music}", *SMALL, *wild, f"hydra.run.dir={run}")
    assert result.status == 1
    assert result.err.splitlines()[-1] == (
        "error: the model's scores are not finite numbers: its training diverged; try a lower learning rate"
    )
    assert "epoch 3/6" not in result.out
    assert not list(run.glob("*.ckpt"))  # of weights that are no numbers nothing is kept
