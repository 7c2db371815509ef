"""Listen with a trained model: ``python infer.py ckpt=runs/my_run/best.ckpt song.mp3 folder/``."""

from __future__ import annotations

import hydra
from omegaconf import DictConfig

from genre.commands.entry import command, guarded
from genre.commands.importing import importing


@hydra.main(version_base="1.3", config_path="conf", config_name="infer")
@command
def main(cfg: DictConfig) -> None:
    """Classify files, folders or what a microphone hears, as the configuration says."""
    with importing():
        from genre.commands.inference import run

    run(cfg)


if __name__ == "__main__":
    guarded(main, takes_files=True, may_repeat=("ckpt", "input"))
