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
from hydra.core.global_hydra import GlobalHydra

ROOT = Path(__file__).parent.parent.parent

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


def killed(arguments: Sequence[str], number: int) -> None:
    """Run train.py in a group of processes that is killed when half of its ``number``-th last.ckpt is written."""
    code = KILLED_WHILE_WRITING.format(number=number, arguments=[str(ROOT / "train.py"), *arguments])
    process = run_python(["-c", code], Path.cwd())
    assert process.returncode == -signal.SIGKILL, process.stdout + process.stderr
