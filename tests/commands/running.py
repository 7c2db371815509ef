"""Commands of the project, in this process and in one that is killed."""

from __future__ import annotations

import os
import runpy
import signal
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest
from command_server import run_python
from hydra._internal.hydra import Hydra
from hydra.core.global_hydra import GlobalHydra

ROOT = Path(__file__).parent.parent.parent

SAY_THE_MODE = ("launcher", "hparams_search", "hydra.mode")
"""Settings that may say that a command is a multirun, as ``-m`` does."""

KILLED_WHILE_WRITING = """
import contextlib, os, runpy, signal, sys
from genre.commands import callbacks

whole, written = callbacks.replacing, []

@contextlib.contextmanager
def replacing(path):
    with whole(path) as stream:
        yield stream
        written.extend([path] if path.name == "last.ckpt" else [])
        if len(written) == {number}:
            stream.truncate(stream.tell() // 2)
            os.killpg(0, signal.SIGKILL)

callbacks.replacing = replacing
sys.argv = {arguments}
runpy.run_path(sys.argv[0], run_name="__main__")
"""

INTERRUPTED_AFTER_AN_EPOCH = """
import contextlib, os, runpy, signal, sys
from genre.commands import callbacks

signal.signal(signal.SIGINT, signal.default_int_handler)  # as a process begins that was not started in the background
whole, written = callbacks.replacing, []

@contextlib.contextmanager
def replacing(path):
    with whole(path) as stream:
        yield stream
    if path.name == "last.ckpt" and not written:
        written.append(path)
        os.kill(os.getpid(), signal.SIGINT)

callbacks.replacing = replacing
sys.argv = {arguments}
runpy.run_path(sys.argv[0], run_name="__main__")
"""


def run_entry_point(name: str, arguments: tuple[str, ...], monkeypatch: pytest.MonkeyPatch) -> int:
    """Run a command of the project as ``python <name>.py`` would and return its exit status.

    Hydra composes the configuration an extra time to read the mode in it. None but :data:`SAY_THE_MODE` writes
    something there, so that is left out for other arguments; commands in processes of their own do all of it.
    """
    from genre.commands import entry

    GlobalHydra.instance().clear()
    entry._failures.clear()
    monkeypatch.setattr(sys, "argv", [str(ROOT / f"{name}.py"), *arguments])
    whole = os.environ.get("HYDRA_FULL_ERROR")
    try:
        with monkeypatch.context() as patch:
            if not any(argument.lstrip("+").startswith(SAY_THE_MODE) for argument in arguments):
                patch.setattr(Hydra, "get_mode", lambda *_, **__: None)
            runpy.run_path(sys.argv[0], run_name="__main__")
    except SystemExit as stop:
        return stop.code if isinstance(stop.code, int) else 1
    finally:
        if whole is not None:
            os.environ["HYDRA_FULL_ERROR"] = whole
    return 0


def killed(arguments: Sequence[str], number: int) -> None:
    """Run train.py in a group of processes that is killed when half of its ``number``-th last.ckpt is written."""
    code = KILLED_WHILE_WRITING.format(number=number, arguments=[str(ROOT / "train.py"), *arguments])
    process = run_python(["-c", code], Path.cwd())
    assert process.returncode == -signal.SIGKILL, process.stdout + process.stderr


def interrupted(arguments: Sequence[str]) -> str:
    """Run train.py in a process that gets SIGINT, as Ctrl-C sends it, after its first epoch; return what it prints."""
    code = INTERRUPTED_AFTER_AN_EPOCH.format(arguments=[str(ROOT / "train.py"), *arguments])
    process = run_python(["-c", code], Path.cwd())
    assert process.returncode == 1, process.stdout + process.stderr
    return process.stdout + process.stderr
