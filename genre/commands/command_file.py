"""``command.txt``: what is typed to do a run, or a multirun, again."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf

from genre.commands.arguments import override_name
from genre.evaluation.files import write_text
from genre.evaluation.pages import COMMAND_FILE
from genre.evaluation.report import METRICS_FILE

PLACES = ("hydra.run", "hydra.sweep", "hydra.output_subdir", "hydra.mode")
"""Settings of Hydra that say where results go, or are said by ``-m``."""


def keep_command(folder: Path, *, over_finished: bool = False) -> None:
    """Write the command of this run into its folder; of the job of a multirun, that which does it alone.

    The command of a run that was finished in this folder stays until it is certain that it is done again: see
    :func:`genre.commands.runs.finished_run`.

    Parameters
    ----------
    folder
        Of the run.
    over_finished
        Whether to write it over that of a finished run too.

    Raises
    ------
    DataError
        When it cannot be written.
    """
    from hydra.core.hydra_config import HydraConfig

    if (folder / METRICS_FILE).is_file() and (folder / COMMAND_FILE).is_file() and not over_finished:
        return
    hydra: Any = HydraConfig.get()
    given: Any = OmegaConf.to_container(hydra.overrides.task, resolve=False)
    searched = "hparams_search" in map(override_name, given)
    write_text(folder / COMMAND_FILE, typed(hydra, more=["hydra.mode=RUN"] if searched else []))


def keep_multirun_command(folder: Path, cfg: DictConfig) -> None:
    """Write the command of a multirun into its folder.

    Parameters
    ----------
    folder
        Of the multirun.
    cfg
        Its configuration, with that of Hydra.

    Raises
    ------
    DataError
        When it cannot be written.
    """
    write_text(folder / COMMAND_FILE, typed(cfg.hydra, flags=["-m"]))


def typed(hydra: Any, flags: Sequence[str] = (), more: Sequence[str] = ()) -> str:
    """Return a command as it is typed: the user's settings, without those of Hydra that only say where results go."""
    given: Any = OmegaConf.to_container(hydra.overrides, resolve=False)  # any of them may hold an interpolation
    own = [override for override in given["hydra"] if not _is_place(override)]
    words = [f"{hydra.job.name}.py", *flags, *given["task"], *own, *more]
    return f"python {shlex.join(words)}\n"


def _is_place(override: str) -> bool:
    return any(f"{override_name(override)}.".startswith(f"{place}.") for place in PLACES)
