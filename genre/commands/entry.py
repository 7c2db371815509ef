"""The frame of every command: arguments in, one plain sentence out when something is wrong."""

from __future__ import annotations

import contextlib
import functools
import os
import re
import shlex
import shutil
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from genre.commands.arguments import Arguments, split_arguments
from genre.commands.explaining import chain, explain
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
                if _explained(told) is not None:
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

    if _explained(error) is None:
        logging.getLogger("genre").exception("this job failed, and it is not the user's fault", exc_info=error)
    sentence = _sentence(error)
    say(f"this job failed, the others go on: {sentence}", style="red")
    with contextlib.suppress(OSError):
        file.write_text(f"{sentence}\n", encoding="utf-8")


def _explained(error: Exception) -> str | None:
    """Return the sentence for an error of this command that the user can mend, or ``None`` for one that is ours."""
    return explain(error, sys.argv[1:], going_on="".join(_if_interrupted).partition(": ")[2])


def _sentence(error: Exception) -> str:
    """Return one line for any error, its type and text where the user cannot mend it."""
    return _explained(error) or " ".join(f"{type(error).__name__}: {error}".split())


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
    with one_sentence(lambda error: None if whole else _explained(error)):
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
            _tell_interrupted(closed=any(isinstance(link, BrokenPipeError) for link in chain(end)))
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
