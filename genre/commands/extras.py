"""Packages and programs that only some settings need: what is missing is said before anything else happens."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from importlib.util import find_spec

from genre.errors import ConfigError, missing_extra

EXTRAS = {
    "launcher=joblib": ("joblib", "hydra_joblib_launcher"),
    "launcher=submitit_local": ("submitit", "hydra_submitit_launcher"),
    "launcher=slurm": ("submitit", "hydra_submitit_launcher"),
    "launcher=ray": ("ray", "hydra_ray_launcher"),
    "hparams_search=": ("optuna", "hydra_optuna_sweeper"),
}
"""Beginning of a setting -> the extra of pyproject.toml that it needs, and the Hydra plugin that is in it."""


def require_extras(arguments: Sequence[str]) -> None:
    """Raise ConfigError if an argument of a command needs a package or a program that is not installed."""
    for argument in arguments:
        for beginning, (extra, plugin) in EXTRAS.items():
            if argument.startswith(beginning) and argument != "hparams_search=null" and not _installed(plugin):
                raise missing_extra(argument, extra)
        if argument == "launcher=slurm" and shutil.which("srun") is None:
            raise ConfigError(
                "launcher=slurm needs sbatch and srun, which are not on this machine; run it on a login node of the "
                "cluster, or try the sweep here with launcher=submitit_local"
            )


def _installed(plugin: str) -> bool:
    try:
        return find_spec(f"hydra_plugins.{plugin}") is not None
    except ModuleNotFoundError:  # no plugin at all is installed
        return False
