"""Commands run in this process, with their exit status and what they print."""

from __future__ import annotations

import functools
import logging
import os
import runpy
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from hydra.core.global_hydra import GlobalHydra

ROOT = Path(__file__).parent.parent.parent


@dataclass(frozen=True)
class Result:
    """What a command did."""

    status: int
    out: str
    err: str


Command = Callable[..., Result]
JOBS = ("search.jobs=1",)


@pytest.fixture
def run_command(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, stores: Path, tmp_path: Path
) -> Iterator[Command]:
    """``run_command("train", "name=value", ...)`` runs train.py with prepared clips in the shared folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GENRE_STORES", str(stores))
    monkeypatch.setenv("HYDRA_FULL_ERROR", "0")

    def run(name: str, *arguments: str) -> Result:
        status = run_entry_point(name, arguments, monkeypatch)
        shown = capsys.readouterr()
        return Result(status, shown.out, shown.err)

    handlers = list(logging.getLogger().handlers)
    yield run
    for handler in set(logging.getLogger().handlers) - set(handlers):
        logging.getLogger().removeHandler(handler)
        handler.close()


@pytest.fixture
def train(run_command: Command) -> Command:
    """``train("name=value", ...)`` runs train.py with these arguments."""
    return functools.partial(run_command, "train")


@pytest.fixture
def sweep(run_command: Command) -> Command:
    """``sweep("name=value", ...)`` runs sweep_classical.py with these arguments, in this process and no other."""

    def run(*arguments: str) -> Result:
        return run_command("sweep_classical", *arguments, *(() if "search.jobs" in str(arguments) else JOBS))

    return run


def run_entry_point(name: str, arguments: tuple[str, ...], monkeypatch: pytest.MonkeyPatch) -> int:
    """Run a command of the project as ``python <name>.py`` would and return its exit status."""
    from genre.commands import entry

    GlobalHydra.instance().clear()
    entry._failures.clear()
    monkeypatch.setattr(sys, "argv", [str(ROOT / f"{name}.py"), *arguments])
    whole = os.environ.get("HYDRA_FULL_ERROR")
    try:
        runpy.run_path(sys.argv[0], run_name="__main__")
    except SystemExit as stop:
        return stop.code if isinstance(stop.code, int) else 1
    finally:
        if whole is not None:
            os.environ["HYDRA_FULL_ERROR"] = whole
    return 0
