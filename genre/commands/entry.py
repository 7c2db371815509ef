"""The frame of every command: arguments in, one plain sentence out when something is wrong."""

from __future__ import annotations

import contextlib
import functools
import os
import re
import shlex
import shutil
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from genre.commands.arguments import Arguments, split_arguments
from genre.commands.extras import require_extras
from genre.evaluation.failed import FAILURE_FILE
from genre.terminal import one_sentence

if TYPE_CHECKING:
    from omegaconf import DictConfig

PATH_SETTINGS = (
    "data.root",
    "data.store_dir",
    "data.csv",
    "ckpt",
    "input",
    "live.device",
    "denoise.noise_file",
    "hydra.run.dir",
    "hydra.sweep.dir",
)

READ_PATHS = ("data.root", "data.csv", "ckpt", "input", "denoise.noise_file")
"""Those of them that name what has to be there."""

MULTIRUN_FLAGS = ("-m", "--multirun", "hydra.mode=MULTIRUN")

OPTIONS = (
    "--help",
    "--hydra-help",
    "--version",
    "--cfg",
    "--resolve",
    "--package",
    "--run",
    "--multirun",
    "--shell-completion",
    "--config-path",
    "--config-name",
    "--config-dir",
    "--experimental-rerun",
    "--info",
)
"""What Hydra takes with two dashes."""


class CommandEnded(BaseException):
    """Goes through what would only warn of an exception: see :func:`end_with`."""


_failures: list[Exception] = []
_if_interrupted: list[str] = []
_arguments = Arguments((), (), {})


def command(task: Callable[[DictConfig], float | None]) -> Callable[[DictConfig], float | None]:
    """Make a function of a configuration the body of a command: :func:`guarded` reports its error, in its own words.

    Goes between ``hydra.main`` and the function. In a multirun a failed job does not stop the others: its folder gets a
    ``failed.txt``, it counts as NaN for a sweeper that optimises, and the command as a whole fails when all are done.
    """

    @functools.wraps(task)
    def body(cfg: DictConfig) -> float | None:
        from hydra.core.hydra_config import HydraConfig
        from hydra.types import RunMode

        hydra = HydraConfig.get()
        failure = Path(hydra.runtime.output_dir) / FAILURE_FILE
        if hydra.mode is not RunMode.RUN:
            failure.unlink(missing_ok=True)
        try:
            return task(cfg)
        except Exception as error:
            told = _full_disk(error) or error
            _failures.append(told)
            if hydra.mode is RunMode.RUN:
                if explain(told, sys.argv[1:]) is not None:
                    remove_unused(Path(hydra.runtime.output_dir))
                return None
            _report_failed_job(told, failure)
            return float("nan")

    return body


def remove_unused(folder: Path) -> None:
    """Remove the folder of a command that failed before it wrote or said anything: it has only what all begin with."""
    made = {".hydra": True, ".lock": False, "run.log": False}
    with contextlib.suppress(OSError):
        if folder.resolve() in (Path.cwd(), *Path.cwd().parents):
            return
        if all(made.get(path.name) == path.is_dir() for path in folder.iterdir()) and not _said(folder / "run.log"):
            shutil.rmtree(folder)


def _said(log: Path) -> bool:
    return log.is_file() and log.stat().st_size > 0


def _full_disk(error: Exception) -> Exception | None:
    """Return the error that says where this job writes, if the system said of an unnamed file that its disk is full."""
    from genre.errors import FULL, DataError

    if not isinstance(error, OSError) or error.filename is not None or error.errno not in FULL:
        return None
    from genre.commands.runs import folder_of_command, output_folder
    from genre.models.registry import LAST

    setting, folder = folder_of_command()
    kept = (output_folder() / LAST).is_file()
    going_on = f" and go on with {shlex.quote(f'{setting}={folder}')} resume=true," if kept else ""
    told = DataError(
        f"a disk is full, most likely that of {folder} ({error.strerror}); free some space{going_on} or choose another "
        f"{setting}"
    )
    told.__cause__ = error
    return told


def if_interrupted(sentence: str) -> None:
    """Let :func:`guarded` say this, and nothing else, if the command is interrupted from now on."""
    _if_interrupted[:] = [sentence]


def _tell_interrupted(*, closed: bool = False) -> None:
    """Say what there is to say of a command that was interrupted, or whose output was closed by its reader."""
    import logging

    from genre.commands.distributed import is_first_process

    if is_first_process():
        sentence = " ".join(_if_interrupted) or "interrupted"
        if closed:
            sentence = sentence.replace("interrupted", "ended because its output was closed", 1)
        print(f"\n{sentence}", file=sys.stderr)
        logging.getLogger("genre").info(sentence)


def plain_arguments() -> Arguments:
    """Return the arguments of this command that Hydra has not seen: see :func:`guarded`."""
    return _arguments


def _report_failed_job(error: Exception, file: Path) -> None:
    import logging

    from genre.commands.console import say

    if explain(error, sys.argv[1:]) is None:
        logging.getLogger("genre").exception("this job failed, and it is not the user's fault", exc_info=error)
    sentence = _sentence(error)
    say(f"this job failed, the others go on: {sentence}", style="red")
    with contextlib.suppress(OSError):
        file.write_text(f"{sentence}\n", encoding="utf-8")


def _sentence(error: Exception) -> str:
    """Return one line for any error, its type and text where the user cannot mend it."""
    return explain(error, sys.argv[1:]) or " ".join(f"{type(error).__name__}: {error}".split())


def fail_with(error: Exception, *, for_jobs: bool = False) -> None:
    """Let :func:`guarded` end the command with this error, after those that came before.

    Parameters
    ----------
    error
        What went wrong.
    for_jobs
        Whether it stands for the errors of single jobs, each of which was said when it happened.
    """
    if for_jobs:
        _failures.clear()
    _failures.append(error)


def end_with(error: Exception) -> NoReturn:
    """End the command with this error at once, even from where Hydra makes a warning of every exception."""
    fail_with(error)
    raise CommandEnded from error


def guarded(main: Callable[[], Any], *, takes_files: bool = False, may_repeat: Sequence[str] = ()) -> None:
    """Run a Hydra command; print one sentence and exit with status 1 for what the user can mend.

    ``HYDRA_FULL_ERROR=1`` or ``debug=true`` shows the traceback instead.

    Parameters
    ----------
    main
        The command.
    takes_files
        Whether arguments may be file names; :func:`plain_arguments` has them then.
    may_repeat
        Settings that may be given several times; those that were are in :func:`plain_arguments` too.
    """
    global _arguments  # noqa: PLW0603  what Hydra must not see has to reach the task past Hydra
    if takes_files:
        _arguments = split_arguments(sys.argv[1:], may_repeat=may_repeat)
        sys.argv = [sys.argv[0], *_arguments.settings]
    multirun = any(flag in sys.argv[1:] for flag in MULTIRUN_FLAGS)
    sys.argv = [sys.argv[0], *(quote_path(argument, multirun=multirun) for argument in sys.argv[1:])]
    whole = bool(os.environ.get("HYDRA_FULL_ERROR", "") not in ("", "0") or "debug=true" in sys.argv[1:])
    _if_interrupted.clear()
    os.environ["HYDRA_FULL_ERROR"] = "1"  # lets the errors come here instead of being printed by Hydra
    with one_sentence(lambda error: None if whole else explain(error, sys.argv[1:])):
        _run(main)


def _run(main: Callable[[], Any]) -> None:
    try:
        _check_dashes(sys.argv[1:])
        require_extras(sys.argv[1:])
        with contextlib.suppress(CommandEnded):
            main()
        for error in _failures[:-1]:
            print(f"error: {_sentence(error).rstrip('.')}", file=sys.stderr)
        for error in _failures[-1:]:
            raise error
    except KeyboardInterrupt:
        _tell_interrupted()
        sys.exit(1)
    except SystemExit as end:  # so does Lightning end when it is interrupted, and Rich when its reader goes away
        if _if_interrupted:
            _tell_interrupted(closed=any(isinstance(link, BrokenPipeError) for link in _chain(end)))
        raise


def _check_dashes(arguments: Sequence[str]) -> None:
    """Raise ConfigError for a setting that is written like an option of other programs."""
    from genre.errors import ConfigError

    for argument in arguments:
        name, equals, _ = argument.partition("=")
        if not name.startswith("--") or any(option.startswith(name) for option in OPTIONS):
            continue
        rather = argument.lstrip("-") if equals else f"{name.lstrip('-')}=value"
        raise ConfigError(f"{argument} is no option; settings have no dashes and are name=value, such as {rather}")


def quote_path(argument: str, *, multirun: bool = False) -> str:
    """Quote the value of a setting that is a path, so that any character may stand in it.

    In a multirun a comma may also part two paths: it does where there is nothing of the whole name, but something of a
    part of it.

    >>> quote_path("data.root=/music/live (1999), a=b")
    'data.root="/music/live (1999), a=b"'
    """
    name, equals, value = argument.partition("=")
    if not equals or name.lstrip("+") not in PATH_SETTINGS or not re.search(r"[^A-Za-z0-9_./~:-]", value):
        return argument
    if re.fullmatch(r"""'.*'|".*"|\[.*\]""", value) or "${" in value:
        return argument  # already quoted, a list, or an interpolation
    paths = value.split(",") if multirun and name.lstrip("+") in READ_PATHS and _is_several(value) else [value]
    return f"{name}={','.join(map(_quoted, paths))}"


def _is_several(value: str) -> bool:
    return not _exists(value) and any(_exists(part) for part in value.split(","))


def _exists(path: str) -> bool:
    return os.path.lexists(os.path.expanduser(path))


def _quoted(path: str) -> str:
    escaped = re.sub(r'(\\*)("|$)', lambda found: found[1] * 2 + ('\\"' if found[2] else ""), path)
    return f'"{escaped}"'


def explain(error: BaseException, arguments: Sequence[str]) -> str | None:
    """Return the sentence for an error the user can mend, or ``None`` for one that is ours."""
    from hydra.errors import (
        ConfigCompositionException,
        HydraException,
        MissingConfigException,
        OverrideParseException,
    )
    from omegaconf.errors import MissingMandatoryValue, OmegaConfBaseException

    from genre.errors import FULL, GenreError

    for link in _chain(error):
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
            return _of_launcher(error) or _choice_without_name(error, arguments)
    return sentence


def _shown_by_logging(error: BaseException) -> BaseException:
    """Return what the system said, if logging could not open its file and tells that as an error of its settings."""
    hidden = isinstance(error, ValueError) and str(error).startswith("Unable to configure handler")
    return error.__cause__ if hidden and isinstance(error.__cause__, OSError) else error


def _of_launcher(error: BaseException) -> str | None:
    """Return the sentence if a launcher could not start the jobs of a multirun, or one of them was killed."""
    if type(error).__name__ == "TerminatedWorkerError":
        going_on = "".join(_if_interrupted).partition(": ")[2]
        killed = "a job was killed, most likely because memory ran out; run fewer at once with hydra.launcher.n_jobs=1"
        return f"{killed}: {going_on}" if going_on else killed
    if type(error).__module__.startswith("submitit."):
        said = " ".join(str(error).split())
        return f"the cluster did not take the jobs ({said}); see hydra.launcher in conf/launcher/slurm.yaml"
    return None


def _chain(error: BaseException | None) -> Iterable[BaseException]:
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
