"""What happens at every step of training: its own seed, and metrics over all batches of an epoch."""

from __future__ import annotations

import csv
import itertools
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from torch.nn import functional

from genre.commands.callbacks import LearningRate, StepSeed
from genre.data.randomness import step_seed
from genre.evaluation.predictions import Predictions
from genre.models.registry import load_model


def test_every_step_has_the_random_numbers_of_its_own_seed() -> None:
    model, drawn = torch.nn.Identity(), []
    model.device = torch.device("cpu")  # type: ignore[assignment]
    for step in (0, 1, 1):
        StepSeed(5).on_train_batch_start(trainer_at(step), model, None, 0)
        drawn.append(torch.rand(3))
    assert torch.equal(drawn[1], drawn[2])
    assert not torch.equal(drawn[0], drawn[1])
    torch.manual_seed(step_seed(trainer_at(1), 5, "network"))
    assert torch.equal(torch.rand(3), drawn[1])


@pytest.mark.parametrize(("every", "logged"), [(1, [0, 1, 2, 3]), (2, [0, 2]), (0, [])])
def test_the_learning_rate_is_logged_every_so_many_steps_or_never(every: int, logged: list[int]) -> None:
    optimizer = torch.optim.Adam([torch.zeros(1, requires_grad=True)], lr=0.25)
    steps: list[int] = []
    logger = SimpleNamespace(log_metrics=lambda metrics, step: steps.append(step))
    callback, metrics = LearningRate(), {}
    for step in range(4):
        trainer: Any = SimpleNamespace(
            global_step=step, log_every_n_steps=every, loggers=[logger], callback_metrics=metrics
        )
        callback.on_before_optimizer_step(trainer, torch.nn.Identity(), optimizer)  # type: ignore[arg-type]
        callback.on_train_epoch_end(trainer, torch.nn.Identity())  # type: ignore[arg-type]
    assert steps == logged
    assert float(metrics["learning_rate"]) == 0.25


def trainer_at(batch: int, rank: int = 0) -> Any:
    """Stand in for a trainer before its batch of that number."""
    progress = SimpleNamespace(total=SimpleNamespace(ready=batch))
    loop = SimpleNamespace(epoch_loop=SimpleNamespace(batch_progress=progress))
    return SimpleNamespace(fit_loop=loop, global_rank=rank)


def test_every_batch_process_and_use_has_a_seed_of_its_own() -> None:
    seeds = {
        step_seed(trainer_at(batch, rank), seed, use)
        for batch, rank, seed in itertools.product(range(20), range(3), range(3))
        for use in ("network", "augment")
    }
    assert len(seeds) == 20 * 3 * 3 * 2
    assert all(0 <= seed < 2**63 for seed in seeds)


def test_accumulated_batches_draw_other_numbers_and_the_network_others_than_augmentation(
    train, music: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: dict[str, list[int]] = {"network": [], "augment": []}

    def spy(trainer: Any, seed: int, use: Any) -> int:
        seen[use].append(step_seed(trainer, seed, use))
        return seen[use][-1]

    for module in ("genre.commands.callbacks", "genre.data.datamodule"):
        monkeypatch.setattr(f"{module}.step_seed", spy)
    result = train(
        "data=folder",
        f"data.root={music}",
        "data.batch_size=2",
        "data.clip_sec=1",
        "model.widths=[4,8]",
        "model.hidden=16",
        "trainer.max_epochs=2",
        "+trainer.accumulate_grad_batches=2",
        "augment.mixup=0.3",
        "logger=none",
        f"hydra.run.dir={tmp_path / 'run'}",
    )
    assert result.status == 0, result.err
    assert len(seen["network"]) == len(seen["augment"]) == 12
    assert len({*seen["network"], *seen["augment"]}) == 24


def test_logged_metrics_are_those_of_all_batches(train, music: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    small = ("data.clip_sec=1", "model.widths=[4,8]", "model.hidden=16", "trainer.max_epochs=1", "logger=none")
    result = train("data=folder", f"data.root={music}", "data.batch_size=4", f"hydra.run.dir={run}", *small)
    assert result.status == 0, result.err
    clips = Predictions.read_csv(run / "predictions_val.csv")
    assert len(clips.label) == 6  # a batch of four and one of two
    logged = {row["curve"]: float(row["value"]) for row in rows(run / "history.csv")}
    assert logged["val/clip_accuracy"] == pytest.approx((clips.predicted == clips.label).mean())
    temperature = load_model(run / "best.ckpt").temperature
    before = torch.tensor(clips.probabilities).log() * temperature  # as in training, before calibration
    loss = functional.cross_entropy(before, torch.tensor(clips.label)).item()
    assert logged["val/loss"] == pytest.approx(loss, rel=1e-4)
    training = logged["train/clip_accuracy"] * 12  # of six tracks with two clips each
    assert training == pytest.approx(round(training), abs=1e-4)


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as stream:
        return list(csv.DictReader(stream))


@pytest.mark.usefixtures("without_pictures_in_tensorboard")
def test_every_step_has_its_learning_rate_and_every_epoch_that_of_its_last(train, music: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    small = ("data.clip_sec=1", "model.widths=[4,8]", "model.hidden=16", "trainer.max_epochs=2", "data.batch_size=4")
    schedule = ("optimizer.learning_rate=0.01", "scheduler=step", "scheduler.at=0.75")
    result = train("data=folder", f"data.root={music}", f"hydra.run.dir={run}", "logger=tensorboard", *small, *schedule)
    assert result.status == 0, result.err
    events = EventAccumulator(str(run / "tensorboard"))
    events.Reload()
    steps = [(point.step, point.value) for point in events.Scalars("learning_rate")]
    expected = [0.01] * 5 + [0.0025]  # of six steps the last comes after three quarters
    assert [step for step, _ in steps] == list(range(6))
    assert [rate for _, rate in steps] == pytest.approx(expected)
    epochs = [float(row["value"]) for row in rows(run / "history.csv") if row["curve"] == "learning_rate"]
    assert epochs == pytest.approx([expected[2], expected[5]])
