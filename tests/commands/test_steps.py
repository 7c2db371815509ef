"""What happens at every step of training: its own seed, and metrics over all batches of an epoch."""

from __future__ import annotations

import csv
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from genre.commands.callbacks import StepSeed


def test_every_step_has_the_random_numbers_of_its_own_seed() -> None:
    model, drawn = torch.nn.Identity(), []
    model.device = torch.device("cpu")  # type: ignore[assignment]
    for step in (0, 1, 1):
        trainer = SimpleNamespace(global_step=step, world_size=1, global_rank=0)
        StepSeed(5).on_train_batch_start(trainer, model, None, 0)  # type: ignore[arg-type]
        drawn.append(torch.rand(3))
    assert torch.equal(drawn[1], drawn[2])
    assert not torch.equal(drawn[0], drawn[1])
    torch.manual_seed(5 * 1_000_003 + 1)
    assert torch.equal(torch.rand(3), drawn[1])


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as stream:
        return list(csv.DictReader(stream))


def test_logged_metrics_are_those_of_all_batches(train, music: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    small = ("data.clip_sec=1", "model.widths=[4,8]", "model.hidden=16", "trainer.max_epochs=1", "logger=none")
    result = train("data=folder", f"data.root={music}", "data.batch_size=2", f"hydra.run.dir={run}", *small)
    assert result.status == 0, result.err
    clips = rows(run / "predictions_val.csv")
    right = np.array([clip["label"] == clip["predicted"] for clip in clips])
    assert len(right) == 6  # three batches
    logged = {row["curve"]: float(row["value"]) for row in rows(run / "history.csv")}
    assert logged["val/clip_accuracy"] == pytest.approx(right.mean())
    training = logged["train/clip_accuracy"] * 12  # of six tracks with two clips each
    assert training == pytest.approx(round(training), abs=1e-4)
