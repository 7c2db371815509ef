"""What a multirun leaves: one table of all its runs, with those that failed, whatever it was that ran."""

from __future__ import annotations

import itertools
import os
import shlex
import uuid
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hydra.experimental.callback import Callback
from omegaconf import DictConfig, OmegaConf, open_dict, read_write

from genre.commands.arguments import override_name
from genre.evaluation.failed import FAILURE_FILE, FailedRun, failed_run, failure_files
from genre.evaluation.files import file_name

if TYPE_CHECKING:
    from genre.errors import GenreError
    from genre.evaluation.report import RunReport

NOT_SHAPING = (
    "hydra",
    "launcher",
    "resume",
    "report",
    "debug",
    "logger",
    "prepare",
    "data.store_dir",
    "data.jobs",
    "data.in_memory",
    "search.jobs",
)
"""Settings, or groups of them, that may change between two multiruns into one folder without being other settings."""


class SweepReport(Callback):
    """A Hydra callback that names the folders of a multirun's jobs, and writes one table of them all.

    It looks at what the jobs left in their folders, so that it does not matter in which process or on which machine
    they ran, or whether an earlier multirun into the same folder did some of them.
    """

    def __init__(self) -> None:
        OmegaConf.register_new_resolver("file_name", file_name, replace=True)
        self._earlier: dict[Path, int] = {}

    def __reduce__(self) -> tuple[type[SweepReport], tuple[()]]:
        """Be made anew in the process of a job, which finds out there what its folder is called."""
        return type(self), ()

    def on_multirun_start(self, config: DictConfig, **kwargs: Any) -> None:
        """Give every job a folder of its own, named by what is swept, unless the user says how they are named.

        If that fails the command ends before any job, which Hydra would only warn of.
        """
        from genre.commands.entry import end_with, if_interrupted

        try:
            if_interrupted(_how_to_go_on(config))
            self._start(config)
        except Exception as error:
            end_with(error)

    def _start(self, config: DictConfig) -> None:
        from genre.commands.command_file import keep_multirun_command
        from genre.evaluation.pages import COMMAND_FILE

        folder = Path(str(config.hydra.sweep.dir))
        self._earlier = _failures_below(folder)
        given = [str(override) for override in config.hydra.overrides.hydra]
        if not any(override.startswith("hydra.sweep.subdir=") for override in given):
            with read_write(config), open_dict(config):
                config.hydra.overrides.hydra = [*given, f"hydra.sweep.subdir='{self.subdir(config)}'"]
        if not (folder / COMMAND_FILE).is_file():  # that of an earlier multirun stays until this one is done
            keep_multirun_command(folder, config)

    def subdir(self, config: DictConfig) -> str:
        """Return the name of the jobs' folders, with interpolations."""
        node: Any = OmegaConf.to_container(config.hydra.sweep, resolve=False)
        parts = job_folder(str(node["subdir"]), swept_settings(config), set(config.hydra.runtime.choices))
        number = command_number(Path(str(config.hydra.sweep.dir)), common_settings(config))
        if number > 1:
            parts.append(f"settings{number}")
        return f"${{file_name:{','.join(parts)}}}"

    def on_multirun_end(self, config: DictConfig, **kwargs: Any) -> None:
        """Write the table; the command fails if that does, or one of its jobs did (not an earlier one in the folder).

        Hydra makes a warning of whatever a callback raises, so nothing is raised here.
        """
        from genre.commands.entry import fail_with

        try:
            self._end(config)
        except Exception as error:
            fail_with(error)

    def _end(self, config: DictConfig) -> None:
        from genre.commands.command_file import keep_multirun_command
        from genre.commands.entry import fail_with

        folder = Path(str(config.hydra.sweep.dir))
        failures = _failures_below(folder)
        failed = [failed_run(folder, file) for file in failures]
        new = [run for run, file in zip(failed, failures, strict=True) if self._earlier.get(file) != failures[file]]
        if new:
            fail_with(_failed_jobs(new), for_jobs=True)  # what there is to say if there comes no table
        runs = self.report(folder, failed)
        keep_multirun_command(folder, config)
        self._write_page(config, folder, runs, failed)
        if new:
            fail_with(_failed_jobs(new, folder, len(failed) + len(runs)), for_jobs=True)

    def _write_page(
        self, config: DictConfig, folder: Path, runs: Sequence[RunReport], failed: Sequence[FailedRun]
    ) -> None:
        from genre.commands.console import console
        from genre.commands.page import write_sweep_page

        if config.get("report") and (runs or failed):
            page = write_sweep_page(folder, runs)
            console.print(f"written to {page}", markup=False)

    def report(self, folder: Path, failed: Sequence[FailedRun]) -> list[RunReport]:
        """Write and show the table of all runs below ``folder``, and return those that did not fail."""
        from genre.commands.console import console
        from genre.evaluation.leaderboard import compare_standings, leaderboard, read_runs, write_leaderboard
        from genre.evaluation.leaderboard_tables import markdown
        from genre.evaluation.leakage import write_protocol_pictures

        found = read_runs([folder])
        for notice in found.notices:
            console.print(f"note: {notice}", style="yellow", markup=False)
        runs = [run for run in found.runs if not (run.folder / FAILURE_FILE).is_file()]  # older than the failure
        standings = leaderboard(runs)
        differences = compare_standings(standings)
        for notice in differences.notices:
            console.print(f"note: {notice}", style="yellow", markup=False)
        console.print(markdown(standings, failed, differences), markup=False)
        files = write_leaderboard(folder, standings, failed, differences)
        files += write_protocol_pictures(folder, standings)
        console.print(f"written to {', '.join(map(str, [files[0], *(file.name for file in files[1:])]))}", markup=False)
        return runs


def _how_to_go_on(config: DictConfig) -> str:
    """Return what there is to say if a multirun is interrupted."""
    settings = shlex.quote(f"hydra.sweep.dir={config.hydra.sweep.dir}")
    if "resume" not in config:
        return f"interrupted: the same command with {settings} goes on and repeats no finished run"
    return f"interrupted: the same command with {settings} resume=true goes on and repeats no finished epoch"


def _failed_jobs(new: Sequence[FailedRun], folder: Path | None = None, n_runs: int = 0) -> GenreError:
    """Return the error that says how many jobs failed, and of how many where a table of all is in ``folder``."""
    from genre.errors import GenreError, counted

    first = f"(the first, {new[0].name}: {new[0].fault.rstrip('.')})"
    if folder is None:
        return GenreError(f"{counted(len(new), 'run')} failed {first}")
    return GenreError(f"{len(new)} of {n_runs} runs failed {first}; all are in {folder / 'leaderboard.md'}")


def _failures_below(folder: Path) -> dict[Path, int]:
    """Return the files that say why a job failed, sorted, and when each was written, in nanoseconds."""
    return {file: file.stat().st_mtime_ns for file in failure_files(folder)}


def swept_settings(config: DictConfig) -> list[str]:
    """Return the names of the settings in which the jobs of a multirun differ: groups first, then by name."""
    from hydra.core.override_parser.overrides_parser import OverridesParser

    overrides = OverridesParser.create().parse_overrides(list(config.hydra.overrides.task))
    asked = [str(override.get_key_element()).lstrip("+~") for override in overrides if override.is_sweep_override()]
    params: Any = OmegaConf.select(config, "hydra.sweeper.params") or {}
    fixed = {str(override.get_key_element()).lstrip("+~") for override in overrides} - set(asked)
    names = {*asked, *(str(name).lstrip("+~") for name in params)} - fixed
    groups = set(config.hydra.runtime.choices)
    return sorted(names, key=lambda name: (name not in groups, name == "seed", name))


def job_folder(subdir: str, swept: Sequence[str], groups: set[str]) -> list[str]:
    """Return the parts of a name for the folders of a multirun's jobs in which all that is swept occurs.

    Parameters
    ----------
    subdir
        The configured name, with interpolations.
    swept
        Names of the settings in which the jobs differ.
    groups
        Names of the configuration groups.

    Examples
    --------
    >>> job_folder("${hydra:runtime.choices.model}", ["model", "protocol.fold"], {"model"})
    ['${hydra:runtime.choices.model}', 'fold${protocol.fold}']
    """
    parts = [subdir]
    for name in swept:
        if name in groups:
            chosen = f"${{hydra:runtime.choices.{name}}}"
            parts += [chosen] if chosen not in subdir else []
        elif f"${{{name}}}" not in subdir:
            parts.append(f"{name.rpartition('.')[2]}${{{name}}}")
    return parts


def is_shaping(setting: str) -> bool:
    """Say whether a setting of the command line is another one in another multirun into the same folder.

    >>> is_shaping("+data.jobs"), is_shaping("prepare.backend"), is_shaping("reporting")
    (False, False, True)
    """
    return not any(f"{override_name(setting)}.".startswith(f"{name}.") for name in NOT_SHAPING)


def common_settings(config: DictConfig) -> str:
    """Return what the jobs of a multirun start from, as YAML, without what does not shape a result.

    What is swept stands there as it would be if it were not.
    """
    shared: Any = OmegaConf.to_container(config, resolve=False)
    for name in NOT_SHAPING:
        *parents, last = name.split(".")
        node = shared
        for parent in parents:
            node = node.get(parent) if isinstance(node, dict) else None
        if isinstance(node, dict):
            node.pop(last, None)
    return str(OmegaConf.to_yaml(OmegaConf.create(shared), resolve=False))


def command_number(folder: Path, settings: str) -> int:
    """Return which of the different multiruns into one folder this is, counted from 1.

    Those with the same common settings have the same number. Each writes them down, ``settings.yaml``,
    ``settings2.yaml`` and so on: whoever is first to make such a file has its number, from however many processes.

    Parameters
    ----------
    folder
        Of the multirun; made if it is not there.
    settings
        What its jobs have in common.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for number in itertools.count(1):
        path = folder / f"settings{number if number > 1 else ''}.yaml"
        if not path.is_file():
            _write_if_absent(path, settings)
        if path.read_text(encoding="utf-8") == settings:
            return number
    raise AssertionError  # counting does not end


def _write_if_absent(path: Path, text: str) -> None:
    """Write a file whole, unless another process was first."""
    temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex}")
    try:
        temporary.write_text(text, encoding="utf-8")
        with suppress(FileExistsError):
            os.link(temporary, path)
    except OSError:  # a file system without links
        with suppress(FileExistsError), path.open("x", encoding="utf-8") as stream:
            stream.write(text)
    finally:
        temporary.unlink(missing_ok=True)
