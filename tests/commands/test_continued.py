"""Runs that find that their data changed."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

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


def metrics(run: Path) -> dict[str, Any]:
    return json.loads((run / "metrics.json").read_text())


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
