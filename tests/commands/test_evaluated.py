"""Checkpoints that are evaluated on other music, and what is said of it."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from hydra import compose, initialize_config_dir
from omegaconf import DictConfig

from genre.commands.evaluating import ONLY_TRAINING, check_as_trained
from genre.commands.training import merge_overrides
from genre.errors import ConfigError
from genre.evaluation.leaderboard import leaderboard, read_runs

CONF = Path(__file__).parents[2] / "conf"
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


EARLIER = ["data=folder", *SMALL]


@pytest.fixture(scope="module")
def as_trained() -> DictConfig:
    """The configuration of a training."""
    with initialize_config_dir(str(CONF), version_base="1.3"):
        return compose("train", EARLIER)


@pytest.mark.parametrize(
    "settings",
    [
        ("model=resnet18",),
        ("model.hidden=5",),
        ("optimizer.learning_rate=0.5",),
        ("scheduler=step",),
        ("augment=music",),
        ("damage=microphone",),
        ("trainer.max_epochs=9",),
        ("data.max_clips=1",),
        ("callbacks.patience=2", "seed=5"),
        ("+trainer.accumulate_grad_batches=2",),
    ],
    ids=lambda settings: settings[0],
)
def test_an_evaluation_is_of_no_other_training(settings: tuple[str, ...], as_trained: DictConfig) -> None:
    asked = ["mode=test", "ckpt=run/best.ckpt", *settings, *QUIET]
    with initialize_config_dir(str(CONF), version_base="1.3"):
        cfg = compose("train", merge_overrides(EARLIER, asked, {"data", *ONLY_TRAINING}))
    with pytest.raises(ConfigError) as refused:
        check_as_trained(cfg, as_trained, asked)
    assert str(refused.value) == (
        f"mode=test evaluates run/best.ckpt as it was trained, which {' '.join(settings)} would change; "
        f"take {'it' if len(settings) == 1 else 'them'} out of the command, or train anew without ckpt"
    )


def test_a_command_that_asks_for_another_training_is_one_sentence(train, trained: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    settings = ("model=resnet18", "trainer.max_epochs=9", "data.max_clips=1", "seed=5")
    result = train("mode=test", f"ckpt={trained / 'best.ckpt'}", *settings, *QUIET, f"hydra.run.dir={run}")
    assert result.status == 1
    (line,) = (line for line in result.err.splitlines() if line.strip())
    assert line == (
        f"error: mode=test evaluates {trained / 'best.ckpt'} as it was trained, which {' '.join(settings)} would "
        "change; take them out of the command, or train anew without ckpt"
    )
    assert not (run / "metrics.json").exists()


def test_an_evaluation_is_told_with_the_settings_of_the_training(train, trained: Path, music: Path, tmp_path) -> None:
    run = tmp_path / "run"
    said = ("model=mini_vgg", "model.widths=[2,2]", "model.hidden=4")  # as it was
    where = ("data=folder", f"data.root={music}", "data.batch_size=5", "trainer=default", "trainer.precision=64-true")
    result = train("mode=test", f"ckpt={trained / 'best.ckpt'}", *said, *where, *QUIET, f"hydra.run.dir={run}")
    assert result.status == 0, result.err
    assert (run / "settings.json").read_bytes() == (trained / "settings.json").read_bytes()
    assert metrics(run)["config_hash"] == metrics(trained)["config_hash"]


def test_an_evaluation_on_other_music_does_not_displace_the_training(
    train, trained: Path, make_music, tmp_path: Path
) -> None:
    root, run = make_music("fresh", seconds=3.3, splits=("test",)), tmp_path / "run"
    fresh = ("data=folder", f"data.root={root}", "protocol=predefined", f"hydra.run.dir={run}")
    result = train("mode=test", f"ckpt={trained / 'best.ckpt'}", *fresh, *QUIET)
    assert result.status == 0, result.err
    found = read_runs([trained, run])
    assert (len(found.runs), found.notices) == (2, ())
    assert [(line.dataset, line.model) for line in leaderboard(found.runs)] == [
        ("fresh", "mini_vgg"),
        (metrics(trained)["dataset"], "mini_vgg"),
    ]


def test_the_folder_of_a_checkpoints_run_is_called_what_is_done(train, trained: Path, tmp_path: Path) -> None:
    tested, continued = (f"ckpt={trained / name}" for name in ("best.ckpt", "last.ckpt"))
    for settings in (
        ("mode=test", tested),
        (continued, "trainer.max_epochs=2"),
        ("mode=test", tested, "hydra.run.dir=mine"),
    ):
        result = train(*settings, *QUIET)
        assert result.status == 0, result.err
    time = r"\d{4}-\d\d-\d\d_\d\d-\d\d-\d\d-\d{6}"
    first, second = sorted(path.name for path in (tmp_path / "runs").iterdir())
    assert re.fullmatch(rf"{time}_tested", first)
    assert re.fullmatch(rf"{time}_continued", second)
    assert (tmp_path / "mine" / "metrics.json").is_file()
