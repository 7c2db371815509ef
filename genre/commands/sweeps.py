"""What a multirun leaves: one table of all its runs, with those that failed, whatever it was that ran."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hydra.experimental.callback import Callback
from omegaconf import DictConfig, OmegaConf, open_dict, read_write

if TYPE_CHECKING:
    from genre.evaluation.leaderboard import FailedRun
    from genre.evaluation.report import RunReport


class SweepReport(Callback):
    """A Hydra callback that writes ``leaderboard.csv`` and ``leaderboard.md`` into the folder of a multirun.

    It looks at what the jobs left in their folders, so that it does not matter in which process or on which machine
    they ran, or whether an earlier multirun into the same folder did some of them.

    Parameters
    ----------
    name_jobs
        Let the settings that are swept, but are not in ``hydra.sweep.subdir``, be part of the jobs' folder names.
    """

    def __init__(self, *, name_jobs: bool = False) -> None:
        self.name_jobs = name_jobs

    def on_multirun_start(self, config: DictConfig, **kwargs: Any) -> None:
        """Give every job a folder of its own."""
        given = [str(override) for override in config.hydra.overrides.hydra]
        if not self.name_jobs or any(override.startswith("hydra.sweep.subdir=") for override in given):
            return
        node: Any = OmegaConf.to_container(config.hydra.sweep, resolve=False)
        subdir = job_folder(str(node["subdir"]), list(config.hydra.overrides.task), set(config.hydra.runtime.choices))
        with read_write(config), open_dict(config):
            config.hydra.overrides.hydra = [*given, f"hydra.sweep.subdir={subdir}"]

    def on_multirun_end(self, config: DictConfig, **kwargs: Any) -> None:
        """Write the table; the command fails if a job did."""
        from genre.commands.console import console
        from genre.commands.entry import fail_with
        from genre.commands.page import write_sweep_page
        from genre.errors import GenreError

        folder = Path(str(config.hydra.sweep.dir))
        failed = failed_runs(folder)
        runs = self.report(folder, failed)
        if config.get("report") and (runs or failed):
            page = write_sweep_page(folder, config, runs)
            console.print(f"written to {page}", markup=False)
        if failed:
            total = len(failed) + len(runs)
            fail_with(
                GenreError(
                    f"{len(failed)} of {total} runs failed (the first, {failed[0].name}: "
                    f"{failed[0].fault.rstrip('.')}); all are in {folder / 'leaderboard.md'}"
                )
            )

    def report(self, folder: Path, failed: Sequence[FailedRun]) -> list[RunReport]:
        """Write and show the table of all runs below ``folder``, and return those that did not fail."""
        from genre.commands.console import console
        from genre.commands.entry import FAILURE_FILE
        from genre.evaluation.leaderboard import leaderboard, markdown, read_runs, write_leaderboard
        from genre.evaluation.leakage import write_protocol_pictures

        found = read_runs([folder])
        for notice in found.notices:
            console.print(f"note: {notice}", style="yellow", markup=False)
        runs = [run for run in found.runs if not (run.folder / FAILURE_FILE).is_file()]  # older than the failure
        standings = leaderboard(runs)
        write_leaderboard(folder, standings, failed)
        console.print(markdown(standings, failed), markup=False)
        pictures = [path.name for path in write_protocol_pictures(folder, standings)]
        files = ", ".join(["leaderboard.csv", *pictures])
        console.print(f"written to {folder / 'leaderboard.md'}, {files}", markup=False)
        return runs


def failed_runs(folder: Path) -> list[FailedRun]:
    """Return the jobs of a multirun that failed, sorted by folder."""
    from genre.commands.entry import FAILURE_FILE
    from genre.evaluation.leaderboard import FailedRun

    files = sorted(folder.rglob(FAILURE_FILE))
    return [
        FailedRun(file.parent.relative_to(folder).as_posix(), file.read_text(encoding="utf-8").strip())
        for file in files
    ]


def job_folder(subdir: str, overrides: Sequence[str], groups: set[str]) -> str:
    """Return a name for the folders of a multirun's jobs in which all that is swept occurs.

    Parameters
    ----------
    subdir
        The configured name, with interpolations.
    overrides
        What the command line says.
    groups
        Names of the configuration groups.

    Examples
    --------
    >>> job_folder("${hydra:runtime.choices.classifier}", ["protocol.fold=range(5)", "seed=1"], {"classifier"})
    '${hydra:runtime.choices.classifier}_fold${protocol.fold}'
    """
    from hydra.core.override_parser.overrides_parser import OverridesParser

    parts = [subdir]
    for override in OverridesParser.create().parse_overrides(list(overrides)):
        if not override.is_sweep_override():
            continue
        name = override.get_key_element().lstrip("+~")
        if name in groups:
            chosen = f"${{hydra:runtime.choices.{name}}}"
            parts += [chosen] if chosen not in subdir else []
        elif f"${{{name}}}" not in subdir:
            parts.append(f"{name.rpartition('.')[2]}${{{name}}}")
    return "_".join(parts)
