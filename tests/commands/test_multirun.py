"""What any multirun leaves, shown with train.py."""

from __future__ import annotations

import csv
from pathlib import Path

from genre.commands.sweeps import job_folder

SMALL = ("data.clip_sec=1", "model.widths=[2,2]", "model.hidden=4", "trainer.max_epochs=1", "logger=none")


def test_training_sweep_has_a_table_names_failures_and_repeats_nothing(train, music: Path, tmp_path: Path) -> None:
    folder = tmp_path / "sweep"
    common = ("data=folder", f"data.root={music}", f"hydra.sweep.dir={folder}", *SMALL)
    result = train("-m", "seed=0,1,-1", *common)
    assert result.status == 1
    assert "1 of 3 runs failed (the first, 2: seed=-1 is not a whole number" in result.err
    with (folder / "leaderboard.csv").open(newline="") as stream:
        done, failed = csv.DictReader(stream)
    assert (done["runs"], done["seeds"]) == ("2", "0 1")
    assert (failed["model"], failed["failed"][:7]) == ("2", "seed=-1")
    page = (folder / "report.html").read_text()
    assert "2 runs, 1 failed" in page
    assert page.count("<details>") > 2
    assert "python train.py -m" in (folder / "command.txt").read_text()
    first = (folder / "0" / "best.ckpt").stat().st_mtime_ns
    again = train("-m", "seed=0,1", *common)
    assert again.out.count("finished earlier with the same settings") == 2
    assert (folder / "0" / "best.ckpt").stat().st_mtime_ns == first


def test_all_that_is_swept_is_in_the_name() -> None:
    overrides = ["protocol=kfold", "protocol.fold=0,1", "+model.x=1,2", "scaler=a,b", "classifier=c,d"]
    name = job_folder("${hydra:runtime.choices.classifier}", overrides, {"protocol", "scaler", "classifier"})
    assert name == (
        "${hydra:runtime.choices.classifier}_fold${protocol.fold}_x${model.x}_${hydra:runtime.choices.scaler}"
    )
