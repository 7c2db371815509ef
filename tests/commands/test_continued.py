"""Runs that go on from a checkpoint with other settings, or find that their data changed: what they are, and know."""

from __future__ import annotations

import csv
import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch

from genre.commands import features
from genre.evaluation.leaderboard import read_runs

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
        stopping = ("callbacks.monitor=val/loss", "callbacks.patience=9")
        common = ("data=folder", f"data.root={music}", *stopping, *SMALL)
        result = train(*common, "trainer.max_epochs=2", f"hydra.run.dir={kept}")
        assert result.status == 0, result.err
    return kept


def read(path: Path) -> dict[str, Any]:
    return torch.load(path, weights_only=True)


def provenance(path: Path) -> dict[str, Any]:
    return read(path)["genre"]["provenance"]


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
    model = ("-m", "transform=none", "classifier=ridge", "classifier.grid={}")
    common = (*model, "data=folder", f"data.root={root}", "data.clip_sec=1")
    common = (*common, f"hydra.sweep.dir={folder}", "logger=none", "report=false")
    assert sweep(*common).status == 0
    assert "finished earlier" in sweep(*common).out
    edit_table(root, "artist", {"low artist 1": "low artist 0"})
    features._read.clear()  # a new process would not remember
    again = sweep(*common)
    assert again.status == 0, again.err
    assert "finished earlier" not in again.out


def test_a_continued_run_is_told_from_the_one_it_began_with(train, first: Path, tmp_path: Path) -> None:
    for name in ("last.ckpt", "best.ckpt"):
        (tmp_path / "start").mkdir(exist_ok=True)
        shutil.copy(first / name, tmp_path / "start")
    last = read(first / "last.ckpt")
    of_callback(last, "BestCheckpoint")["best_model_score"] = torch.tensor(-1.0)  # stays the best, whatever is learnt
    torch.save(last, tmp_path / "start" / "last.ckpt")
    run = tmp_path / "run"
    changes = ("seed=3", "trainer.max_epochs=3", "model.dropout=0.1")
    result = train(f"ckpt={tmp_path / 'start' / 'last.ckpt'}", *changes, f"hydra.run.dir={run}")
    assert result.status == 0, result.err
    assert read(run / "best.ckpt")["epoch"] == read(first / "best.ckpt")["epoch"]
    assert read(run / "last.ckpt")["epoch"] == 2
    for name in ("best.ckpt", "last.ckpt"):
        facts = provenance(run / name)
        assert facts["config_hash"] == metrics(run)["config_hash"] != metrics(first)["config_hash"]
        assert (facts["seed"], metrics(run)["seed"]) == (3, 3)
        assert set(changes) <= set(facts["overrides"])
    found = read_runs([first, run])
    assert (len(found.runs), found.notices) == (2, ())

    again = tmp_path / "again"
    assert train("mode=test", f"ckpt={run / 'best.ckpt'}", f"hydra.run.dir={again}").status == 0
    assert metrics(again) == metrics(run)


def test_going_on_with_the_same_settings_is_the_same_run(train, music: Path, tmp_path: Path) -> None:
    one, other = tmp_path / "one", tmp_path / "other"
    common = ("data=folder", f"data.root={music}", *SMALL)
    assert train(*common, "trainer.max_epochs=2", f"hydra.run.dir={one}").status == 0
    early = read(one / "last.ckpt")
    early["epoch"] = 0  # as if it had been interrupted
    epochs = early["loops"]["fit_loop"]["epoch_progress"]["current"]
    epochs.update(dict.fromkeys(epochs, 1))
    torch.save(early, one / "last.ckpt")
    result = train(f"ckpt={one / 'last.ckpt'}", f"hydra.run.dir={other}")
    assert result.status == 0, result.err
    assert metrics(other)["config_hash"] == metrics(one)["config_hash"]


@pytest.mark.parametrize("mode", ["fit", "test"])
def test_another_deal_does_not_judge_by_what_was_learnt(mode: str, train, first: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    more = ("trainer.max_epochs=3",) if mode == "fit" else ()
    dealt = ("protocol.seed=1", *more, f"mode={mode}", f"hydra.run.dir={run}")
    result = train(f"ckpt={first / 'last.ckpt'}", *dealt)
    assert result.status == 1, result.out
    (line,) = (line for line in result.err.splitlines() if line.strip())
    assert line.startswith(f"error: {first / 'last.ckpt'} was trained on ")
    assert " of the 6 validation and test tracks of this deal, such as " in line
    assert line.endswith("or train anew without ckpt")
    assert not (run / "metrics.json").exists()

    older = read(first / "last.ckpt")
    del older["genre"]["provenance"]["tracks"]
    torch.save(older, tmp_path / "older.ckpt")
    result = train(f"ckpt={tmp_path / 'older.ckpt'}", *dealt)
    assert result.status == 1, result.out
    assert " of the 6 validation and test artists of this deal, such as " in result.err
    del older["genre"]["provenance"]["artists"]
    torch.save(older, tmp_path / "older.ckpt")
    for checkpoint, extra in ((tmp_path / "older.ckpt", ()), (first / "last.ckpt", ("protocol=clip_random",))):
        result = train(f"ckpt={checkpoint}", *extra, *dealt)
        assert result.status == 0, result.err


def test_a_leaky_training_is_not_made_honest_by_going_on(train, music: Path, tmp_path: Path) -> None:
    leaky, more = tmp_path / "leaky", tmp_path / "more"
    common = ("data=folder", f"data.root={music}", "protocol=clip_random", *SMALL)
    assert train(*common, "trainer.max_epochs=1", f"hydra.run.dir={leaky}").status == 0
    result = train(f"ckpt={leaky / 'last.ckpt'}", "trainer.max_epochs=2", f"hydra.run.dir={more}")
    assert result.status == 0, result.err
    assert provenance(more / "last.ckpt")["tracks"] == provenance(leaky / "last.ckpt")["tracks"]
    result = train(f"ckpt={more / 'last.ckpt'}", "protocol=artist", "mode=test", f"hydra.run.dir={tmp_path / 'test'}")
    assert result.status == 1
    assert "of the 6 validation and test tracks" in result.err


def test_an_evaluation_by_other_music_does_not_pose_as_the_training(
    train, first: Path, make_music, tmp_path: Path
) -> None:
    other, here = tmp_path / "elsewhere", tmp_path / "here"
    root = make_music("other", seconds=3.3)
    checkpoint = f"ckpt={first / 'best.ckpt'}"
    result = train("mode=test", checkpoint, f"data.root={root}", f"hydra.run.dir={other}")
    assert result.status == 0, result.err
    assert metrics(other)["config_hash"] != metrics(first)["config_hash"]
    assert metrics(other)["seed"] == metrics(first)["seed"]
    result = train("mode=test", checkpoint, "data.batch_size=5", f"hydra.run.dir={here}")
    assert result.status == 0, result.err
    assert metrics(here)["config_hash"] == metrics(first)["config_hash"]


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


def test_a_continued_run_that_takes_no_step_is_one_sentence(train, first: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    asked = ("trainer.max_epochs=3", "+trainer.max_steps=1", f"hydra.run.dir={run}")
    result = train(f"ckpt={first / 'last.ckpt'}", *asked)
    assert result.status == 1, result.out
    (line,) = (line for line in result.err.splitlines() if line.startswith("error: "))
    assert line.startswith("error: nothing was trained")
    assert not {"metrics.json", "best.ckpt", "last.ckpt"} & {path.name for path in run.iterdir()}


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
