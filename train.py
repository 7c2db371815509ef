"""Train and evaluate a model: ``python train.py model=mini_vgg data=folder data.root=/path/to/music``."""

from __future__ import annotations

import hydra
from omegaconf import DictConfig

from genre.commands.entry import command, guarded
from genre.commands.importing import importing


@hydra.main(version_base="1.3", config_path="conf", config_name="train")
@command
def main(cfg: DictConfig) -> float | None:
    """Run what the configuration says and return the validation accuracy over tracks."""
    with importing():
        from genre.commands.training import run

    return run(cfg)


if __name__ == "__main__":
    guarded(main)
