"""What the folder of a run is called."""

from __future__ import annotations

from typing import Any

from hydra.experimental.callback import Callback
from omegaconf import DictConfig, OmegaConf, read_write

CHOICES = "${hydra:runtime.choices.model}_${hydra:runtime.choices.data}"
"""What the folder of a run is called after by default."""


class CheckpointRunFolder(Callback):
    """A Hydra callback that calls the folder of a checkpoint's run what is done with it.

    Hydra names folders before the checkpoint is read, from which such a run has its model and data.
    """

    def on_run_start(self, config: DictConfig, **kwargs: Any) -> None:
        """Put ``tested`` or ``continued`` for the choices of the command line, unless the user names the folder."""
        if config.ckpt is None:
            return
        run: Any = OmegaConf.to_container(config.hydra.run, resolve=False)
        with read_write(config):
            config.hydra.run.dir = run["dir"].replace(CHOICES, "tested" if config.mode == "test" else "continued")
