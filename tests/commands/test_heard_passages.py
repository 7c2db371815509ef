"""A model that hears passages, from training to a file: the same answers everywhere."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest
import torch

from genre.classical.model import load_classical

LABELS = ("high", "low", "middle")
NETWORK = (
    "model=late_fusion",
    "model.use_passages=true",
    "model.use_features=false",
    "model.widths=[4,6]",
    "model.pool_bins=[4,4]",
    "model.pool_frames=[2,2]",
    "model.hidden=8",
    "model.dense_hidden=8",
    "data.clip_sec=1",
    "data.passage_sec=3",
    "data.batch_size=8",
    "trainer.max_epochs=2",
    "damage=microphone",
    "damage.copies=1",
    "augment=music",
    "logger=none",
    "report=false",
)


@pytest.fixture
def run(train, music: Path, tmp_path: Path) -> Path:
    result = train("data=folder", f"data.root={music}", f"hydra.run.dir={tmp_path / 'run'}", *NETWORK)
    assert result.status == 0, result.err
    return tmp_path / "run"


def rows(file: Path) -> list[dict[str, str]]:
    with file.open() as stream:
        return list(csv.DictReader(stream))


def assert_heard_alike(infer, run: Path, music: Path) -> None:
    """Check that infer.py says of a test track what the run's predictions say."""
    predicted = rows(run / "predictions.csv")
    track = predicted[0]["track"]
    result = infer(f"ckpt={run}", str(music / track), "format=json", "clips=true")
    assert result.status == 0, result.err
    expected = [row for row in predicted if row["track"] == track]
    for clip, row in zip(json.loads(result.out)["clips"], expected, strict=True):
        assert clip["start_sec"] == pytest.approx(float(row["start_sec"]))
        found, wanted = ([float(of[label]) for label in LABELS] for of in (clip["probabilities"], row))
        np.testing.assert_allclose(found, wanted, atol=1e-4)


def test_training_evaluation_and_files_agree(run: Path, train, infer, music: Path, tmp_path: Path) -> None:
    weights = torch.load(run / "best.ckpt", weights_only=True)["state_dict"]
    assert weights["network.passage.1.weight"].abs().sum() > 0
    again = train("mode=test", f"ckpt={run / 'best.ckpt'}", f"hydra.run.dir={tmp_path / 'again'}", "report=false")
    assert again.status == 0, again.err
    assert (tmp_path / "again" / "predictions.csv").read_bytes() == (run / "predictions.csv").read_bytes()
    assert_heard_alike(infer, run, music)


def test_classical_models_hear_them_in_files_as_in_training(sweep, infer, music: Path, tmp_path: Path) -> None:
    run = tmp_path / "classical"
    data = ("data=folder", f"data.root={music}", "data.clip_sec=1", "data.passage_sec=3", "feature_set=passages")
    result = sweep(*data, "scaler=standard", "classifier=svm_rbf", f"hydra.run.dir={run}")
    assert result.status == 0, result.err
    model = load_classical(run / "model.skops")
    assert (len(model.feature_names), model.passage_sec) == (699, 3.0)
    assert_heard_alike(infer, run, music)


def test_a_checkpoint_from_before_there_were_passages_is_tested(train, music: Path, tmp_path: Path) -> None:
    settings = ("model=mini_vgg", "model.widths=[4]", "data.clip_sec=1", "trainer.max_epochs=1", "logger=none")
    run = tmp_path / "run"
    assert train("data=folder", f"data.root={music}", *settings, f"hydra.run.dir={run}").status == 0
    checkpoint = torch.load(run / "best.ckpt", weights_only=True)
    del checkpoint["hyper_parameters"]["clips"]["passage_sec"]
    torch.save(checkpoint, run / "best.ckpt")
    again = train("mode=test", f"ckpt={run / 'best.ckpt'}", f"hydra.run.dir={tmp_path / 'again'}")
    assert again.status == 0, again.err
    assert (tmp_path / "again" / "predictions.csv").read_bytes() == (run / "predictions.csv").read_bytes()
    other = train("mode=test", f"ckpt={run / 'best.ckpt'}", "data.clip_sec=2", f"hydra.run.dir={tmp_path / 'other'}")
    assert other.status == 1
    assert "was trained on other clips" in other.err


@pytest.mark.parametrize(
    ("command", "settings", "needs"),
    [("train", NETWORK, "model.use_passages=true"), ("sweep", ("feature_set=passages",), "feature_set=passages")],
)
def test_passages_have_to_be_asked_for_twice(
    command: str, settings: tuple[str, ...], needs: str, music: Path, request: pytest.FixtureRequest
) -> None:
    run = request.getfixturevalue(command)
    result = run("data=folder", f"data.root={music}", *settings, "data.passage_sec=null")
    expected = f"error: {needs} needs passages; give data.passage_sec, 30 is usual\n"
    assert (result.status, result.err) == (1, expected)
