"""Packages and programs that only some settings need: what is missing is said before anything else happens."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from importlib.util import find_spec

from genre.errors import ConfigError, missing_extra

EXTRAS = {
    "launcher=joblib": ("joblib", "hydra_plugins.hydra_joblib_launcher"),
    "launcher=submitit_local": ("submitit", "hydra_plugins.hydra_submitit_launcher"),
    "launcher=slurm": ("submitit", "hydra_plugins.hydra_submitit_launcher"),
    "launcher=ray": ("ray", "hydra_plugins.hydra_ray_launcher"),
    "hparams_search=": ("optuna", "optuna"),
}
"""Beginning of a setting -> the extra of pyproject.toml that it needs, and a module that is in it."""


def require_extras(arguments: Sequence[str]) -> None:
    """Raise ConfigError if an argument of a command needs a package or a program that is not installed."""
    for argument in arguments:
        for beginning, (extra, module) in EXTRAS.items():
            if argument.startswith(beginning) and argument != "hparams_search=null" and not _installed(module):
                raise missing_extra(argument, extra)
        if argument == "launcher=slurm" and shutil.which("srun") is None:
            raise ConfigError(
                "launcher=slurm needs sbatch and srun, which are not on this machine; run it on a login node of the "
                "cluster, or try the sweep here with launcher=submitit_local"
            )


def _installed(module: str) -> bool:
    return find_spec(module) is not None
