"""``command.txt`` of runs, jobs and multiruns."""

from __future__ import annotations

import json
import shlex
from pathlib import Path

import pytest
from omegaconf import OmegaConf

from genre.commands.command_file import typed

SMALL = ("data.clip_sec=1", "model.widths=[2,2]", "model.hidden=4", "trainer.max_epochs=1", "logger=none")


def interrupt(*args: object, **settings: object) -> None:
    """Press Ctrl-C."""
    raise KeyboardInterrupt


def words(folder: Path) -> list[str]:
    return shlex.split((folder / "command.txt").read_text())


def test_settings_of_hydra_are_kept_unless_they_say_where_results_go() -> None:
    given = {
        "task": ["data.root='a b'", "data.hop_sec=${data.clip_sec}", "launcher=joblib"],
        "hydra": [
            "hydra.mode=MULTIRUN",
            "hydra.run.dir=x",
            "hydra.sweep.dir=x",
            "hydra.sweep.subdir='${file_name:a}'",
            "hydra.output_subdir=null",
            "hydra.sweeper.params.seed='1,2'",
            "+hydra.launcher.n_jobs=4",
            "hydra/job_logging=disabled",
        ],
    }
    hydra = OmegaConf.create({"job": {"name": "train"}, "overrides": {"task": [], "hydra": []}})
    assert typed(hydra) == "python train.py\n"
    hydra.overrides = OmegaConf.create(given)
    kept = ["hydra.sweeper.params.seed='1,2'", "+hydra.launcher.n_jobs=4", "hydra/job_logging=disabled"]
    command = typed(hydra, flags=["-m"], more=["hydra.mode=RUN"])
    assert shlex.split(command) == ["python", "train.py", "-m", *given["task"], *kept, "hydra.mode=RUN"]


@pytest.mark.parametrize("command", ["train", "sweep_classical"])
def test_a_run_keeps_its_command_from_its_start_on(
    command: str, run_command, monkeypatch: pytest.MonkeyPatch, music: Path, tmp_path: Path
) -> None:
    monkeypatch.setattr("genre.data.datamodule.GenreDataModule.prepare_data", interrupt)
    monkeypatch.setattr("genre.commands.classical.load_features", interrupt)
    given = ("data=folder", f"data.root={music}", "report=false", "hydra.sweeper.max_batch_size=3")
    assert run_command(command, *given, f"hydra.run.dir={tmp_path / 'run'}").status == 1
    assert words(tmp_path / "run") == ["python", f"{command}.py", *given]
    assert run_command(command, "-m", "seed=3,4", *given, f"hydra.sweep.dir={tmp_path / 'sweep'}").status == 1
    assert words(tmp_path / "sweep") == ["python", f"{command}.py", "-m", "seed=3,4", *given]
    (job,) = [path for path in (tmp_path / "sweep").iterdir() if path.is_dir()]
    typed_alone = words(job)
    assert typed_alone[:2] == ["python", f"{command}.py"]
    assert {"seed=3", f"data.root={music}", "report=False", "hydra.sweeper.max_batch_size=3"} <= set(typed_alone)
    assert not [word for word in typed_alone if word.startswith(("-m", "hydra.sweep.", "hydra.mode"))]


def test_a_run_that_is_not_repeated_keeps_its_command(train, music: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    given = ("data=folder", f"data.root={music}", "report=false", *SMALL, f"hydra.run.dir={run}")
    assert train(*given).status == 0
    made_by = words(run)
    again = train(*given, "resume=true")
    assert "not repeated" in again.out
    assert words(run) == made_by
    assert train("mode=test", f"ckpt={run}", "report=false", f"hydra.run.dir={run}").status == 0
    assert "mode=test" in words(run)
    assert train(*given, "seed=1", "resume=true").status == 0
    assert "seed=1" in words(run)


def test_a_job_that_is_not_repeated_keeps_its_command(sweep, music: Path, tmp_path: Path) -> None:
    given = ("data=folder", f"data.root={music}", "data.clip_sec=1", "report=false", "logger=none")
    chosen = ("-m", "transform=none", "classifier=knn", "search.jobs=1", f"hydra.sweep.dir={tmp_path}")
    assert sweep(*chosen, "seed=1", *given).status == 0
    made_by = words(tmp_path / "none_knn")
    again = sweep(*chosen, "seed=1", *given, "data.jobs=1")
    assert "not repeated" in again.out
    assert words(tmp_path / "none_knn") == made_by
    alone = (*chosen[1:-1], *given, f"hydra.run.dir={tmp_path / 'none_knn'}")
    assert sweep("seed=2", *alone).status == 0
    assert "seed=2" in words(tmp_path / "none_knn")


def test_the_command_of_a_job_does_it_again(sweep, music: Path, tmp_path: Path) -> None:
    given = ("data=folder", f"data.root={music}", "data.clip_sec=1", "report=false", "logger=none")
    chosen = ("transform=none", "classifier=knn", "search.jobs=1")
    result = sweep("-m", "seed=1,2", *chosen, *given, f"hydra.sweep.dir={tmp_path / 'sweep'}")
    assert result.status == 0, result.err
    python, program, *arguments = words(tmp_path / "sweep" / "none_knn_seed2")
    assert (python, program) == ("python", "sweep_classical.py")
    assert sweep(*arguments, f"hydra.run.dir={tmp_path / 'again'}").status == 0
    hashes = [
        json.loads((run / "metrics.json").read_text())["config_hash"]
        for run in (tmp_path / "sweep" / "none_knn_seed2", tmp_path / "again")
    ]
    assert hashes[0] == hashes[1]


def test_the_command_of_a_trial_does_it_alone(
    train, monkeypatch: pytest.MonkeyPatch, music: Path, tmp_path: Path
) -> None:
    pytest.importorskip("optuna", reason="optuna is not installed: pip install -e '.[optuna]'")
    with monkeypatch.context() as patch:
        patch.setattr("genre.data.datamodule.GenreDataModule.prepare_data", interrupt)
        given = ("data=folder", f"data.root={music}", "report=false", *SMALL)
        search = ("hparams_search=mini_vgg", "hydra.sweeper.n_trials=2", f"hydra.sweep.dir={tmp_path / 'search'}")
        assert train(*search, *given).status == 1
        assert "hydra.sweeper.n_trials=2" in words(tmp_path / "search")
        python, program, *arguments = words(tmp_path / "search" / "trial0")
        assert train(*arguments, f"hydra.run.dir={tmp_path / 'alone'}").status == 1
    assert words(tmp_path / "alone") == [python, program, *arguments]
    assert not list((tmp_path / "alone").rglob("study*"))
    assert not (tmp_path / "sweeps").exists()
