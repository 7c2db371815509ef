"""Runs of several processes: who speaks and writes, and how what each of them found becomes whole again."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from genre.errors import ConfigError

if TYPE_CHECKING:
    from pytorch_lightning import Trainer

RANK_VARIABLES = ("RANK", "NODE_RANK", "GROUP_RANK", "LOCAL_RANK", "SLURM_PROCID")
"""Any of them is above 0 in all processes of a run but the first."""

STARTED_WITH = ("MASTER_ADDR", "MASTER_PORT", "NODE_RANK", "LOCAL_RANK", "WORLD_SIZE", "OMP_NUM_THREADS")
"""What Lightning leaves in the environment of a process that started others."""


def is_first_process() -> bool:
    """Say whether this is the only process of its run, or the one of several that speaks and writes."""
    return all(os.environ.get(variable, "0") == "0" for variable in RANK_VARIABLES)


@contextmanager
def job_processes() -> Iterator[None]:
    """Let Lightning start the other processes of a run with the settings of this job, and leave nothing of them behind.

    Lightning repeats the command line, which in a multirun is that of all jobs; and it takes a process that started
    others once for one that was itself started.
    """
    import torch
    from hydra.core.hydra_config import HydraConfig
    from omegaconf import open_dict, read_write

    from genre.commands.runs import in_multirun

    threads = torch.get_num_threads()
    before = {name: os.environ.get(name) for name in STARTED_WITH}
    argv = list(sys.argv)
    try:
        if in_multirun():
            hydra: Any = HydraConfig.get()
            sys.argv = [argv[0], *hydra.overrides.task, "hydra.mode=RUN"]
            with read_write(hydra), open_dict(hydra):
                hydra.run.dir = hydra.runtime.output_dir
        yield
    finally:
        sys.argv = argv
        _end_group()
        torch.set_num_threads(threads)
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


def _end_group() -> None:
    from torch import distributed

    if distributed.is_available() and distributed.is_initialized():
        distributed.destroy_process_group()


def check_processes(trainer: Trainer) -> None:
    """Raise ConfigError if this run wants to start processes where it cannot."""
    from hydra.core.hydra_config import HydraConfig

    from genre.commands.runs import in_multirun

    environment: Any = getattr(trainer.strategy, "cluster_environment", None)
    if trainer.num_devices < 2 or environment is None or environment.creates_processes_externally or not in_multirun():
        return
    hydra: Any = HydraConfig.get()
    if not str(hydra.launcher["_target_"]).startswith("hydra._internal."):
        choice = hydra.runtime.choices.launcher
        raise ConfigError(
            f"a job of launcher={choice} cannot start the {trainer.num_devices} processes of trainer.devices; choose "
            "launcher=local, or launcher=slurm with as many hydra.launcher.tasks_per_node"
        )


def gathered(part: dict[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
    """Return the rows of all processes in the order of their ranks; every process gets them all.

    Parameters
    ----------
    part
        Arrays of this process, of as many rows each.
    """
    from torch import distributed

    if not (distributed.is_available() and distributed.is_initialized()):
        return part
    parts: list[Any] = [None] * distributed.get_world_size()
    distributed.all_gather_object(parts, part)
    return {name: np.concatenate([one[name] for one in parts]) for name in part}
