"""Every shipped experiment, from the audio to the report, with one step of training."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from genre.models.registry import load_model

EXPERIMENTS = sorted(file.stem for file in Path(__file__).parents[2].joinpath("conf/experiment").glob("[!_]*.yaml"))

NARROW = {
    "seed_v3": ("model.widths=[2,2]", "model.hidden=4"),
    "seed_v5": ("model.widths=[2,2,2]", "model.hidden=4"),
    "seed_v7": ("model.widths=[2,2,4,4]", "model.hidden=8"),
    "seed_v10": ("model.widths=[2,2,4,4]", "model.hidden=8"),
}
"""The largest networks with as many layers, but fewer channels."""

ONE_STEP = ("trainer.max_epochs=1", "+trainer.limit_train_batches=1", "data.batch_size=4", "logger=none")


@pytest.fixture(scope="module")
def long_music(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three genres of three artists with one track of 15 s each."""
    from small_music import write_music

    return write_music(tmp_path_factory.mktemp("long_music"), artists=3, seconds=15.1)


@pytest.fixture
def one_thread() -> object:
    before = torch.get_num_threads()
    torch.set_num_threads(1)  # networks as narrow as these are quicker with one
    yield
    torch.set_num_threads(before)


@pytest.mark.usefixtures("one_thread")
@pytest.mark.parametrize("name", EXPERIMENTS)
def test_experiment_runs_one_step(name: str, train, long_music: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    arguments = (f"experiment={name}", "data=folder", f"data.root={long_music}", f"hydra.run.dir={run}")
    result = train(*arguments, *ONE_STEP, *NARROW.get(name, ()))
    assert result.status == 0, result.err
    metrics = json.loads((run / "metrics.json").read_text())
    assert metrics["test"]["n_tracks"] == 3
    assert load_model(run / "best.ckpt").labels == ("high", "low", "middle")
    if name in NARROW:
        assert metrics["model"] == name
