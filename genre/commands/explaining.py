"""Errors in sentences: what Hydra, a launcher or the system says, in the words of the settings."""

from __future__ import annotations

import contextlib
import re
import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any


def explain(error: BaseException, arguments: Sequence[str], *, going_on: str = "") -> str | None:
    """Return the sentence for an error the user can mend, or ``None`` for one that is ours.

    Parameters
    ----------
    error
        What went wrong.
    arguments
        Of the command.
    going_on
        How the command goes on if it is interrupted, where there is such a way.
    """
    from hydra.errors import (
        ConfigCompositionException,
        HydraException,
        MissingConfigException,
        OverrideParseException,
    )
    from omegaconf.errors import MissingMandatoryValue, OmegaConfBaseException

    from genre.errors import FULL, GenreError

    for link in chain(error):
        if isinstance(link, GenreError):
            return str(link)
    error = _shown_by_logging(error)
    match error:
        case MissingMandatoryValue():
            name = re.search(r"Missing mandatory value: (\S+)", str(error))
            setting = name.group(1) if name else (error.full_key or "a setting")
            sentence = f"{setting} is not set; add {setting}=... to the command"
        case MissingConfigException() if error.missing_cfg_file:
            sentence = _unknown_choice(error.missing_cfg_file, error.options or ())
        case OverrideParseException():
            sentence = (
                f"the argument {error.override} cannot be read; settings are name=value, and a value with special "
                "characters is quoted twice, as in 'name=\"value\"'"
            )
        case ConfigCompositionException():
            sentence = _unknown_setting(str(error), arguments)
        case OmegaConfBaseException() | HydraException():
            sentence = " ".join(str(error).split())
            if unexpected := re.search(r"unexpected keyword argument '(\w+)'", sentence):
                sentence = _added_setting(unexpected.group(1), arguments)
        case OSError() if error.filename is not None:
            sentence = f"{error.filename} cannot be used ({error.strerror}); choose another place for it"
        case OSError() if error.errno in FULL:
            sentence = (
                f"a disk is full, most likely that of the folder this command writes into ({error.strerror}); free "
                "some space, or choose another hydra.run.dir or hydra.sweep.dir"
            )
        case _:
            return _of_launcher(error, going_on) or _choice_without_name(error, arguments)
    return sentence


def _shown_by_logging(error: BaseException) -> BaseException:
    """Return what the system said, if logging could not open its file and tells that as an error of its settings."""
    hidden = isinstance(error, ValueError) and str(error).startswith("Unable to configure handler")
    return error.__cause__ if hidden and isinstance(error.__cause__, OSError) else error


def _of_launcher(error: BaseException, going_on: str) -> str | None:
    """Return the sentence if a launcher could not start the jobs of a multirun, or one of them was killed."""
    if type(error).__name__ == "TerminatedWorkerError":
        killed = "a job was killed, most likely because memory ran out; run fewer at once with hydra.launcher.n_jobs=1"
        return f"{killed}: {going_on}" if going_on else killed
    if type(error).__module__.startswith("submitit."):
        said = " ".join(str(error).split())
        return f"the cluster did not take the jobs ({said}); see hydra.launcher in conf/launcher/slurm.yaml"
    return None


def chain(error: BaseException | None) -> Iterable[BaseException]:
    """Yield an error, and those that it came from."""
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def _unknown_choice(missing: str, options: Sequence[str]) -> str:
    from genre.errors import near_names

    group, _, name = missing.rpartition("/")
    shown = [option for option in options if not option.startswith("_")]
    return f"{group}={name} is unknown; {near_names(name, shown)}" if group else f"{name} is unknown"


def _choice_without_name(error: BaseException, arguments: Sequence[str]) -> str | None:
    """Return the sentence if Hydra's error is about a group of which no name was chosen, as in ``denoise=null``."""
    from hydra.core.global_hydra import GlobalHydra

    if not isinstance(error, ValueError) or not str(error).startswith("Config group override must be"):
        return None
    with _composing():
        _, choices = _settings(())
        for group, _, value in (argument.partition("=") for argument in arguments):
            options = GlobalHydra.instance().config_loader().get_group_options(group) if group in choices else []
            if options and value not in options:
                return _unknown_choice(f"{group}/{value}", options)
    return None


def _unknown_setting(message: str, arguments: Sequence[str]) -> str:
    from genre.errors import near_names

    found = re.search(r"Could not (?:override|append to|delete from) '([^']+)'|Multiple values for ([\w./]+)", message)
    name = next((group for group in found.groups() if group), "") if found else ""
    if message.startswith("Multiple values") or not name:
        return " ".join(message.split())
    group = name.rpartition(".")[0]
    with _composing():
        known, choices = _settings(arguments)
        below = [other for other in known if other.rpartition(".")[0] == group]
        if not below and choices.get(group):
            return without_settings(name, choices[group])
    if group == "trainer" and _is_lightnings(name.rpartition(".")[2]):
        return (
            f"{name} is an argument of Lightning's Trainer that is not among the settings; add it with a plus, +{name}"
        )
    near = near_names(name, below or [other for other in known if "." not in other])
    return f"there is no setting {name}; {near}"


def _is_lightnings(argument: str) -> bool:
    import inspect

    from pytorch_lightning import Trainer

    return argument in inspect.signature(Trainer.__init__).parameters and argument != "self"


def without_settings(name: str, choice: str) -> str:
    """Return the sentence about a setting of a group of which something was chosen that has none, such as ``none``.

    It names what else may be chosen; Hydra must be initialised.

    Parameters
    ----------
    name
        The setting, such as ``denoise.floor``.
    choice
        What was chosen of its group.
    """
    from hydra.core.global_hydra import GlobalHydra

    group = name.rpartition(".")[0]
    options = GlobalHydra.instance().config_loader().get_group_options(group)
    others = [f"{group}={option}" for option in options if option != choice and not option.startswith("_")]
    return f"there is no setting {name} with {group}={choice}; choose {' or '.join(others)}"


def _added_setting(name: str, arguments: Sequence[str]) -> str:
    """Return the sentence about a setting that was added with a plus and that nothing takes."""
    added = [argument.partition("=")[0].lstrip("+") for argument in arguments if argument.startswith("+")]
    setting = next((full for full in added if full.rpartition(".")[2] == name), name)
    return f"there is no setting {setting}; take +{setting}=... out of the command"


@contextlib.contextmanager
def _composing() -> Iterator[None]:
    """Let the configuration of this command be composed again."""
    from hydra import initialize_config_dir
    from hydra.core.global_hydra import GlobalHydra

    GlobalHydra.instance().clear()
    with initialize_config_dir(str(Path(sys.argv[0]).resolve().parent / "conf"), version_base="1.3"):
        yield


def _settings(arguments: Sequence[str]) -> tuple[list[str], dict[str, str]]:
    """Return the names of all settings and groups of the configuration, and what is chosen of each group.

    They are those with the groups the user chose; groups from which this command composes nothing are none of them.
    """
    from hydra import compose
    from omegaconf import OmegaConf

    name = Path(sys.argv[0]).stem
    cfg = compose(name, return_hydra_config=True)
    groups = {str(group) for group in cfg.hydra.runtime.choices if "/" not in str(group)}
    with contextlib.suppress(Exception):
        chosen = [one for one in arguments if one.partition("=")[0] in groups]
        cfg = compose(name, overrides=chosen, return_hydra_config=True)
    choices = {group: cfg.hydra.runtime.choices[group] for group in groups}
    composed: Any = OmegaConf.to_container(cfg, resolve=False)
    del composed["hydra"]
    return sorted(groups | set(_names(composed))), choices


def _names(node: Any, prefix: str = "") -> Iterable[str]:
    if isinstance(node, dict):
        for key, value in node.items():
            name = f"{prefix}{key}"
            if not str(key).startswith("_"):
                yield name
                yield from _names(value, f"{name}.")
