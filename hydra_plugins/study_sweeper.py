"""The sweeper of ``hparams_search=...``: Hydra looks for plugins here; what it does is in genre.commands.study.

hydra-optuna-sweeper 1.3 is not used because it cannot prune (every trial it runs counts as complete), starts a study
anew rather than going on with what is left of it, and needs Optuna below 3.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from hydra.core.plugins import Plugins
from hydra.plugins.sweeper import Sweeper
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig, OmegaConf


class StudySweeper(Sweeper):
    """Run the trials of an Optuna study as jobs of a multirun; job and trial have the same number.

    Parameters
    ----------
    settings
        See :class:`genre.commands.study.StudySettings`.
    """

    def __init__(self, **settings: Any) -> None:
        self.settings = settings

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        """Take what Hydra gives every sweeper."""
        self.config = config
        self.launcher = Plugins.instance().instantiate_launcher(
            hydra_context=hydra_context, task_function=task_function, config=config
        )

    def sweep(self, arguments: list[str]) -> None:
        """Search over what the configuration and the arguments of the command line leave open."""
        from genre.commands.study import StudySettings, run_study

        folder = Path(str(self.config.hydra.sweep.dir))
        folder.mkdir(parents=True, exist_ok=True)
        OmegaConf.save(self.config, folder / "multirun.yaml")
        run_study(folder, StudySettings(**self.settings), arguments, self.launcher.launch)
