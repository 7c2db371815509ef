"""What an evaluation takes from the checkpoint it is of: all that only its training could change."""

from __future__ import annotations

import copy
from collections.abc import Sequence

from omegaconf import DictConfig, OmegaConf

from genre.commands.arguments import override_name
from genre.commands.build import NOT_SHAPING, flat
from genre.errors import ConfigError

ONLY_TRAINING = (
    "model",
    "optimizer",
    "scheduler",
    "augment",
    "damage",
    "callbacks",
    "seed",
    "trainer.max_epochs",
    "trainer.gradient_clip_val",
    "trainer.accumulate_grad_batches",
    "data.max_clips",
    "data.artist_balance",
)
"""Settings and groups that change nothing once a model is trained."""

BRING_OTHERS = ("experiment", "hparams_search")
"""Groups that set settings of other groups."""


def check_as_trained(cfg: DictConfig, trained: DictConfig, asked: Sequence[str]) -> None:
    """Raise if an evaluation asks for another training than that of its checkpoint.

    Groups of the data and the trainer may be chosen, since they also say on what and where is evaluated.

    Parameters
    ----------
    cfg, trained
        The configurations of the evaluation, and of the training that wrote the checkpoint.
    asked
        ``name=value`` of the command line.

    Raises
    ------
    ConfigError
        Naming what was asked for.
    """
    now, then = (flat({name: _plain(one, name) for name in ONLY_TRAINING}) for one in (cfg, trained))
    other = [name for name in now.keys() | then.keys() if now.get(name) != then.get(name)]
    blamed = [override for override in asked if _may_set(override_name(override), other)]
    if blamed:
        raise ConfigError(
            f"mode=test evaluates {cfg.ckpt} as it was trained, which {' '.join(blamed)} would change; take "
            f"{'it' if len(blamed) == 1 else 'them'} out of the command, or train anew without ckpt"
        )


def keep_data_settings(cfg: DictConfig, trained: DictConfig, asked: Sequence[str]) -> None:
    """Treat the music of an evaluation as that of the training was treated, but for what the command line says."""
    names = {override_name(override) for override in asked}
    for name in map(str, trained.data):
        if name in cfg.data and name not in NOT_SHAPING and f"data.{name}" not in names:
            cfg.data[name] = trained.data[name]


def told_of(cfg: DictConfig, trained: DictConfig) -> DictConfig:
    """Return what is told of an evaluation: on what it was done, and how the model was trained, wherever it is now."""
    told = copy.deepcopy(cfg)
    told.trainer = trained.trainer
    for name in ("batch_size", "max_clips", "artist_balance"):
        told.data[name] = trained.data[name]
    return told


def _plain(cfg: DictConfig, name: str) -> object:
    value = OmegaConf.select(cfg, name)
    return OmegaConf.to_container(value, resolve=True) if OmegaConf.is_config(value) else value


def _may_set(name: str, settings: Sequence[str]) -> bool:
    """Say whether an override of ``name`` can be why any of these settings is as it is."""
    if name in BRING_OTHERS:
        return bool(settings)
    return any(one == name or (one.startswith(f"{name}.") and name not in ("data", "trainer")) for one in settings)
