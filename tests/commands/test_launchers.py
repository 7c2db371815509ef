"""Jobs of a multirun side by side, by every launcher that is installed."""

from __future__ import annotations

import csv
import json
import os
import re
import threading
from importlib.util import find_spec
from pathlib import Path

import pytest
from hydra.core.utils import JobReturn
from omegaconf import OmegaConf

from genre.commands.extras import require_extras
from genre.commands.launching import THREAD_VARIABLES, JobThreads, limit_threads, wait_for_turn
from genre.errors import ConfigError

ROOT = Path(__file__).parent.parent.parent
SMALL = ("data.clip_sec=1", "model.widths=[2,2]", "model.hidden=4", "trainer.max_epochs=1", "logger=none")


PACKAGES = {"submitit": "hydra_submitit_launcher"}


def needs(extra: str) -> pytest.MarkDecorator:
    missing = find_spec(f"hydra_plugins.{PACKAGES[extra]}") is None
    return pytest.mark.skipif(missing, reason=f"{PACKAGES[extra]} is not installed: pip install -e '.[{extra}]'")


@pytest.mark.slow
@pytest.mark.parametrize(
    "choice",
    [
        pytest.param(("launcher=submitit_local",), marks=needs("submitit"), id="submitit_local"),
        pytest.param(("launcher=ray", "hydra.launcher.ray.init.num_cpus=2"), marks=pytest.mark.ray, id="ray"),
    ],
)
def test_two_jobs_side_by_side_prepare_their_clips_once(  # those of joblib: test_readme.py
    choice: tuple[str, ...], train, music: Path, tmp_path: Path, monkeypatch
) -> None:
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]))
    cores = len(os.sched_getaffinity(0))
    sweep = tmp_path / "sweep"
    settings = (*choice, "seed=0,1", "data=folder", f"data.root={music}", f"hydra.sweep.dir={sweep}", *SMALL)
    result = train(*settings, f"data.store_dir={tmp_path / 'stores'}")
    assert result.status == 0, result.out + result.err
    jobs = ("mini_vgg_seed0", "mini_vgg_seed1")
    logs = [(sweep / job / "run.log").read_text() for job in jobs]
    assert sum(log.count("prepared 24 clips of 12 tracks") for log in logs) == 1
    threads = [int(re.search(r"this job computes with (\d+) of \d+ cores", log)[1]) for log in logs]
    assert sum(threads) <= max(2, cores)
    assert [json.loads((sweep / job / "metrics.json").read_text())["seed"] for job in jobs] == [0, 1]
    with (sweep / "leaderboard.csv").open(newline="") as stream:
        (row,) = csv.DictReader(stream)
    assert (row["runs"], row["seeds"]) == ("2", "0 1")


@needs("submitit")
def test_a_slurm_array_asks_for_what_the_settings_say(train, music: Path, tmp_path: Path, monkeypatch) -> None:
    tools = tmp_path / "bin"
    tools.mkdir()
    script = tmp_path / "submitted.sh"
    for name, body in (("srun", "exit 0"), ("sbatch", f'cp "$1" {script}; echo no cluster here >&2; exit 1')):
        (tools / name).write_text(f"#!/bin/sh\n{body}\n")
        (tools / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{tools}{os.pathsep}{os.environ['PATH']}")
    asked = ("partition=gpu", "account=music", "gres=gpu:1", "timeout_min=90", "array_parallelism=2", "mem_gb=8")
    result = train(
        "launcher=slurm",
        "seed=0,1,2",
        "data=folder",
        f"data.root={music}",
        f"hydra.sweep.dir={tmp_path / 'sweep'}",
        *(f"hydra.launcher.{setting}" for setting in asked),
        "+hydra.launcher.additional_parameters={mail-type: END}",
    )
    assert result.status == 1
    assert "error: the cluster did not take the jobs (no cluster here); see hydra.launcher" in result.err
    options = dict(line.removeprefix("#SBATCH --").partition("=")[::2] for line in script.read_text().splitlines())
    wanted = {
        "partition": "gpu",
        "account": "music",
        "gres": "gpu:1",
        "time": "90",
        "mem": "8GB",
        "cpus-per-task": "4",
        "ntasks-per-node": "1",
        "array": "0-2%2",
        "mail-type": "END",
    }
    assert options.items() >= wanted.items()


@needs("submitit")
def test_slurm_without_slurm_is_told(train, monkeypatch) -> None:
    monkeypatch.setenv("PATH", "")
    result = train("-m", "launcher=slurm", "seed=0,1")
    assert result.status == 1
    assert "which are not on this machine; run it on a login node" in result.err


def test_what_is_not_installed_is_named_with_its_remedy(train, monkeypatch) -> None:
    from genre.commands import extras

    monkeypatch.setattr(extras, "_installed", lambda module: False)
    for setting, extra in (("launcher=joblib", "joblib"), ("launcher=slurm", "submitit"), ("launcher=ray", "ray")):
        result = train(setting, "seed=0,1")
        remedy = f"run pip install -e '.[{extra}]' in the folder of train.py"
        assert (result.status, result.err) == (1, f"error: {setting} needs packages that are not installed; {remedy}\n")
    require_extras(["launcher=local", "hparams_search=null", "seed=1"])
    with pytest.raises(ConfigError, match=r"pip install -e '\.\[optuna\]'"):
        require_extras(["hparams_search=mini_vgg"])


def test_threads_of_every_library_are_limited(monkeypatch) -> None:
    import numba
    import torch
    from threadpoolctl import threadpool_info, threadpool_limits

    before = torch.get_num_threads(), numba.get_num_threads()
    for variable in THREAD_VARIABLES:
        monkeypatch.setenv(variable, "")
    try:
        with threadpool_limits(2):
            assert limit_threads(1) == 1
            blas = {pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas"}
            assert (torch.get_num_threads(), numba.get_num_threads(), blas) == (1, 1, {1})
            assert {os.environ[variable] for variable in THREAD_VARIABLES} == {"1"}
            assert limit_threads(4) == 1  # OMP_NUM_THREADS is not exceeded
    finally:
        torch.set_num_threads(before[0])
        numba.set_num_threads(before[1])


def test_jobs_that_are_started_all_at_once_take_turns(tmp_path: Path) -> None:
    first, second = (wait_for_turn(tmp_path, 2) for _ in range(2))
    started = threading.Event()

    def third() -> None:
        started.set()
        wait_for_turn(tmp_path, 2).release()
        ended.set()

    ended = threading.Event()
    threading.Thread(target=third, daemon=True).start()
    started.wait()
    assert not ended.wait(0.3)
    first.release()
    assert ended.wait(5)
    second.release()


def test_the_share_of_a_job_is_what_its_launcher_says(tmp_path: Path, monkeypatch) -> None:
    import joblib

    from genre.commands import launching

    limits: list[int] = []
    monkeypatch.setattr(joblib, "cpu_count", lambda: 8)
    monkeypatch.setattr(launching, "limit_threads", lambda threads: limits.append(threads) or threads)
    monkeypatch.setenv("LOKY_MAX_CPU_COUNT", "8")
    config = OmegaConf.create({"hydra": {"sweep": {"dir": str(tmp_path)}}})
    for settings in ({"jobs": 3}, {"jobs": -1}, {"threads": 4}, {"threads": 16, "take_turns": True}):
        share = JobThreads(**settings)
        share.on_job_start(config)
        share.on_job_end(config, JobReturn())
    assert limits == [2, 1, 4, 8]
    assert os.environ["LOKY_MAX_CPU_COUNT"] == "8"
