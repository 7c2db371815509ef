"""Checkpoints that are evaluated on other music, and what is said of it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

SMALL = ("data.clip_sec=1", "model.widths=[2,2]", "model.hidden=4", "data.batch_size=4", "trainer.max_epochs=1")
QUIET = ("logger=none", "report=false")


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where a run is that the tests of this module evaluate."""
    return tmp_path_factory.mktemp("trained") / "run"


@pytest.fixture
def trained(train, music: Path, kept: Path) -> Path:
    """A run of one epoch; not to be changed."""
    if not kept.exists():
        result = train("data=folder", f"data.root={music}", f"hydra.run.dir={kept}", *SMALL, *QUIET)
        assert result.status == 0, result.err
    return kept


def metrics(run: Path) -> dict[str, Any]:
    return json.loads((run / "metrics.json").read_text())


def test_a_checkpoint_is_tested_on_all_of_another_folder(train, trained: Path, make_music, tmp_path: Path) -> None:
    root, run = make_music("fresh", seconds=3.3, splits=("test",)), tmp_path / "run"
    fresh = (f"data.root={root}", "protocol=predefined")
    whole = ("report=true", "logger=tensorboard", f"hydra.run.dir={run}")
    result = train("mode=test", f"ckpt={trained / 'best.ckpt'}", *fresh, *whole)
    assert result.status == 0, result.err
    found = metrics(run)
    assert found["val"] is None
    assert (found["test"]["n_tracks"], found["test"]["n_clips"]) == (12, 36)
    assert (run / "report.html").is_file()
    assert not (run / "predictions_val.csv").exists()

    continued = (f"ckpt={trained / 'last.ckpt'}", "trainer.max_epochs=2", f"hydra.run.dir={tmp_path / 'more'}")
    result = train(*continued, *fresh)
    assert result.status == 1
    assert result.err.startswith("error: of these tracks the split column has none in training and validation: ")
