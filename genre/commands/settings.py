"""Settings of ``infer.py`` as the rest of the program takes them."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hydra.core.hydra_config import HydraConfig
from hydra.utils import instantiate
from omegaconf import DictConfig, ListConfig, OmegaConf

from genre.commands.entry import plain_arguments
from genre.commands.explaining import without_settings
from genre.errors import ConfigError, near_names
from genre.inference.decision import Thresholds

if TYPE_CHECKING:
    from genre.inference.denoise import Denoiser

PLOTS = ("timeline", "denoise")

GROUPS = {
    "unsure": "give unsure.probability and unsure.margin, both 0 for never unsure",
    "live": "give those that you mean, such as live.seconds=10",
}
"""Settings that are made of others, and what to give instead of them."""

SWITCHES = ("clips", "devices", "debug", "live.real_time", "live.carry")
"""Settings that are true or false."""

NULL_SWITCHES = ("live.carry",)
"""Those of them that may be null too."""


def listed(cfg: DictConfig, name: str) -> list[str]:
    """Return the values of a setting that may be one, a list, or given several times."""
    repeated = plain_arguments().repeated.get(name)
    if repeated is not None:
        return list(repeated)
    value = cfg[name]
    if value is None:
        return []
    return [str(item) for item in value] if isinstance(value, ListConfig) else [str(value)]


def wanted_plots(cfg: DictConfig) -> tuple[str, ...]:
    """Return the pictures that are wanted.

    Raises
    ------
    ConfigError
        If one is unknown.
    """
    plots = tuple(listed(cfg, "plot"))
    for name in plots:
        if name not in PLOTS:
            raise ConfigError(f"plot={name} is unknown; {near_names(name, PLOTS)}")
    return plots


def check_groups(cfg: DictConfig) -> None:
    """Raise unless every setting that is made of others is still made of them.

    Raises
    ------
    ConfigError
        Naming the first that is not, as in ``unsure=0.5``.
    """
    for name, remedy in GROUPS.items():
        if not isinstance(cfg[name], DictConfig):
            shown = "null" if cfg[name] is None else cfg[name]
            raise ConfigError(f"{name}={shown} is given whole, but it is made of other settings; {remedy}")


def check_switches(cfg: DictConfig) -> None:
    """Raise unless every switch is true or false, or null where that means something.

    Raises
    ------
    ConfigError
        Naming the first that is not: ``no`` and ``off`` are texts to Hydra, and a text counts as true.
    """
    for name in SWITCHES:
        value = OmegaConf.select(cfg, name)
        may_be_null = name in NULL_SWITCHES
        if not isinstance(value, bool) and not (value is None and may_be_null):
            shown = "null" if value is None else value
            remedy = "true, false or null" if may_be_null else "true or false"
            raise ConfigError(f"{name}={shown} is not a switch; give {remedy}")


def thresholds(cfg: DictConfig) -> Thresholds:
    """Return when an answer is unsure."""
    return Thresholds(cfg.unsure.probability, cfg.unsure.margin)


def denoiser_maker(cfg: DictConfig, sample_rate: int) -> Callable[[], Denoiser]:
    """Return a function that makes the denoiser of a configuration, a new one for every sound.

    Raises
    ------
    GenreError
        If a setting is wrong or the recording of the noise cannot be used.
    """
    from genre.audio.decode import load

    settings: dict[str, Any] = {str(name): value for name, value in cfg.items() if name != "noise_file"}
    make: partial[Denoiser] = instantiate(settings, _partial_=True)
    file = cfg.get("noise_file")
    _check_taken(make.func, [*make.keywords, *([] if file is None else ["noise_file"])])
    recording = {} if file is None else {"noise": load(str(file), sample_rate)}

    def made() -> Denoiser:
        return make(sample_rate, **recording)

    made()
    return made


def _check_taken(make: Callable[..., Denoiser], names: Iterable[str]) -> None:
    """Raise unless what makes a denoiser takes every setting of ``denoise`` that is given."""
    parameters = inspect.signature(make).parameters.values()
    if any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters):
        return
    taken = {parameter.name for parameter in parameters if parameter.name != "sample_rate"}
    known = {f"denoise.{'noise_file' if name == 'noise' else name}" for name in taken}
    for setting in (f"denoise.{name}" for name in names):
        if not known:
            raise ConfigError(without_settings(setting, HydraConfig.get().runtime.choices["denoise"]))
        if setting not in known:
            raise ConfigError(f"there is no setting {setting}; {near_names(setting, known)}")


def results_folder() -> Path:
    """Return the folder for what this command writes: ``hydra.run.dir``, or else a new one below ``inference``."""
    folder = Path(HydraConfig.get().runtime.output_dir)
    if folder.resolve() != Path.cwd().resolve():
        return folder.relative_to(Path.cwd()) if folder.is_relative_to(Path.cwd()) else folder
    return Path("inference") / f"{datetime.now():%Y-%m-%d_%H-%M-%S-%f}"
