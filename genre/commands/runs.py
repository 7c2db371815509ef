"""What every run has in common, whatever it trains: its folder, its settings, and whether it is done already."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from omegaconf import DictConfig, OmegaConf

from genre.commands.console import say
from genre.errors import ConfigError, DataError
from genre.evaluation.report import METRICS_FILE, RunReport, read_run


def output_folder() -> Path:
    """Return the folder of this run, which Hydra has made."""
    from hydra.core.hydra_config import HydraConfig

    return Path(HydraConfig.get().runtime.output_dir)


def in_multirun() -> bool:
    """Say whether this run is one of several of a sweep."""
    from hydra.core.hydra_config import HydraConfig
    from hydra.types import RunMode

    return bool(HydraConfig.get().mode is RunMode.MULTIRUN)


def require_settings(cfg: DictConfig) -> None:
    """Raise ConfigError if a setting that has to be given is not."""
    for name in missing_settings(cfg):
        raise ConfigError(f"{name} is not set; add {name}=... to the command")


def missing_settings(node: DictConfig, prefix: str = "") -> Iterator[str]:
    """Yield the names of settings that have to be given and are not."""
    for key in map(str, node):
        if OmegaConf.is_interpolation(node, key):
            continue
        if OmegaConf.is_missing(node, key):
            yield f"{prefix}{key}"
        elif isinstance(node[key], DictConfig):
            yield from missing_settings(node[key], f"{prefix}{key}.")


def finished_run(folder: Path, config_hash: str) -> RunReport | None:
    """Return what an earlier run with the same configuration left in this folder, if it is one of a sweep.

    A sweep that is started again with the same ``hydra.sweep.dir`` so repeats nothing that is done. A run of its own
    is always done anew.
    """
    if not in_multirun() or not (folder / METRICS_FILE).is_file():
        return None
    try:
        report = read_run(folder / METRICS_FILE)
    except DataError:
        return None
    if report.info.config_hash != config_hash:
        return None
    say(f"{folder.name}: finished earlier with the same settings, not repeated")
    return report


def tell_notices(notices: Sequence[str]) -> None:
    """Print what the user should know of the data and the deal."""
    for notice in notices:
        say(f"note: {notice}", style="yellow")
