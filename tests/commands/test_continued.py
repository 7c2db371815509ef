"""Runs that go on from a checkpoint with other settings, or find that their data changed."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import pytest
import torch

from genre.commands import features

SMALL = (
    "data.clip_sec=1",
    "model.widths=[2,2]",
    "model.hidden=4",
    "data.batch_size=4",
    "logger=none",
    "report=false",
    "scheduler=constant",
)


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where a run is that the tests of this module continue."""
    return tmp_path_factory.mktemp("first") / "run"


@pytest.fixture
def first(train, music: Path, kept: Path) -> Path:
    """A run of two epochs, stopped early only after many; not to be changed."""
    if not kept.exists():
        common = ("data=folder", f"data.root={music}", "callbacks.patience=9", *SMALL)
        result = train(*common, "trainer.max_epochs=2", f"hydra.run.dir={kept}")
        assert result.status == 0, result.err
    return kept


def read(path: Path) -> dict[str, Any]:
    return torch.load(path, weights_only=True)


def metrics(run: Path) -> dict[str, Any]:
    return json.loads((run / "metrics.json").read_text())


def of_callback(checkpoint: dict[str, Any], name: str) -> dict[str, Any]:
    (state,) = (state for key, state in checkpoint["callbacks"].items() if key.startswith(name))
    return state


def edit_table(root: Path, column: str, values: dict[str, str]) -> None:
    """Replace values of one column of tracks.csv."""
    with (root / "tracks.csv").open(newline="", encoding="utf-8") as stream:
        rows = list(csv.DictReader(stream))
    for row in rows:
        row[column] = values.get(row[column], row[column])
    with (root / "tracks.csv").open("w", newline="", encoding="utf-8") as stream:
        writer = csv.DictWriter(stream, rows[0].keys())
        writer.writeheader()
        writer.writerows(rows)


def test_other_sides_in_the_table_are_another_run(train, make_music, tmp_path: Path) -> None:
    root, run = make_music("sided", splits=("train", "train", "val", "test")), tmp_path / "run"
    common = ("data=folder", f"data.root={root}", "protocol=predefined", f"hydra.run.dir={run}", "resume=true", *SMALL)
    assert train(*common, "trainer.max_epochs=1").status == 0
    before = metrics(run)
    assert "finished earlier" in train(*common, "trainer.max_epochs=1").out
    edit_table(root, "split", {"train": "test", "test": "train"})
    again = train(*common, "trainer.max_epochs=1")
    assert again.status == 0, again.err
    assert "finished earlier" not in again.out
    assert "trained from the beginning" in again.out
    assert "of other settings or other data" in again.out
    assert metrics(run)["config_hash"] != before["config_hash"]
    assert metrics(run)["test"]["n_tracks"] == 6


def test_other_artists_in_the_table_are_another_run_of_a_classical_model(sweep, make_music, tmp_path: Path) -> None:
    root, folder = make_music("named", artists=5), tmp_path / "sweep"
    common = ("-m", "classifier=ridge", "classifier.grid={}", "data=folder", f"data.root={root}", "data.clip_sec=1")
    common = (*common, f"hydra.sweep.dir={folder}", "logger=none", "report=false")
    assert sweep(*common).status == 0
    assert "finished earlier" in sweep(*common).out
    edit_table(root, "artist", {"low artist 1": "low artist 0"})
    features._read.clear()  # a new process would not remember
    again = sweep(*common)
    assert again.status == 0, again.err
    assert "finished earlier" not in again.out


def test_rates_and_patience_of_a_continued_run_are_those_configured(train, first: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    asked = ("optimizer.learning_rate=0.05", "optimizer.weight_decay=0.5", "callbacks.patience=4")
    result = train(f"ckpt={first / 'last.ckpt'}", "trainer.max_epochs=3", *asked, f"hydra.run.dir={run}")
    assert result.status == 0, result.err
    last = read(run / "last.ckpt")
    weights, others = last["optimizer_states"][0]["param_groups"]
    assert (weights["lr"], weights["initial_lr"], weights["weight_decay"]) == (0.05, 0.05, 0.5)
    assert (others["lr"], others["initial_lr"], others["weight_decay"]) == (0.05, 0.05, 0.0)
    assert last["lr_schedulers"][0]["base_lrs"] == [0.05, 0.05]
    assert of_callback(last, "EarlyStopping")["patience"] == 4
    steps = {row["epoch"]: row["value"] for row in history(run) if row["curve"] == "learning_rate"}
    assert (float(steps["2"]), float(steps["3"])) == (pytest.approx(0.002), pytest.approx(0.05))


def history(run: Path) -> list[dict[str, str]]:
    with (run / "history.csv").open(newline="", encoding="utf-8") as stream:
        return list(csv.DictReader(stream))


def test_another_optimizer_is_one_sentence(train, first: Path, tmp_path: Path) -> None:
    result = train(
        f"ckpt={first / 'last.ckpt'}",
        "optimizer.name=adam",
        "trainer.max_epochs=3",
        f"hydra.run.dir={tmp_path / 'run'}",
    )
    assert result.status == 1
    assert "Traceback" not in result.err + result.out
    assert "use the same model settings and the same optimizer.name" in result.err
