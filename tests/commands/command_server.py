"""Commands in processes of their own that need not import everything first.

Importing takes longer than most commands of the tests take. Run as a program, this file imports what they need, and
then reads one command a line from standard input, forks a process that does what ``python <command>`` does, and
answers with its exit status, negative if a signal ended it.
"""

from __future__ import annotations

import functools
import importlib
import json
import os
import random
import runpy
import subprocess
import sys
import tempfile
import types
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TextIO

from drawing import draw_nothing, functions_that_draw

from genre.commands.importing import importing

ROOT = Path(__file__).parent.parent.parent
IMPORTED = ("genre.commands.training", "genre.commands.inference", "genre.commands.classical")


def run_python(
    command: Sequence[str],
    folder: Path,
    environment: Mapping[str, str] = os.environ,
    *,
    imported: bool = True,
    draw: bool = True,
) -> subprocess.CompletedProcess[str]:
    """Run ``python <command>``, without waiting for its imports where the system can fork.

    Parameters
    ----------
    command
        A script, ``-m`` and a module, or ``-c`` and code; then arguments.
    folder
        Where.
    environment
        All variables it shall have; libraries that were imported saw those of this process.
    imported
        Whether its modules may be those that were imported before.
    draw
        Whether it draws the pictures of runs and sweeps, which take most of the time of small ones. Processes that it
        starts itself draw all the same, and so does all where the system cannot fork.

    Returns
    -------
    completed
        Its exit status and what it printed.
    """
    if not imported or not hasattr(os, "fork"):
        return subprocess.run(
            [sys.executable, *command], cwd=folder, env=dict(environment), capture_output=True, text=True, check=False
        )
    server = _server()
    with tempfile.TemporaryDirectory() as printed:
        order = {
            "command": list(command),
            "folder": str(folder),
            "environment": dict(environment),
            "printed": printed,
            "draw": draw,
        }
        print(json.dumps(order), file=server.stdin, flush=True)
        status = json.loads(server.stdout.readline())
        out, err = (Path(printed, name).read_text(encoding="utf-8") for name in ("out", "err"))
    return subprocess.CompletedProcess(list(command), status, out, err)


@functools.cache
def _server() -> Any:
    """Return the process, which ends when this one does and its standard input with it."""
    return subprocess.Popen(
        [sys.executable, __file__],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )


def serve(orders: TextIO, answers: TextIO) -> None:
    """Run the commands of ``orders``; returns in every process that ran one, and at the end of them."""
    with importing():
        for name in IMPORTED:
            importlib.import_module(name)
        functions_that_draw("sweep_classical")
    for line in orders:
        pid = os.fork()
        if pid == 0:
            become(**json.loads(line))
            return
        print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), file=answers, flush=True)


def become(command: list[str], folder: str, environment: dict[str, str], printed: str, draw: bool) -> None:
    """Do in this process what ``python <command>`` does in a new one."""
    os.setsid()
    for number, name in enumerate((os.devnull, Path(printed, "out"), Path(printed, "err"))):
        file = os.open(name, os.O_RDWR | os.O_CREAT, 0o600)
        os.dup2(file, number)
        os.close(file)
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    random.seed()
    for module, name in [] if draw else functions_that_draw("sweep_classical"):
        setattr(module, name, draw_nothing)
    first, *sys.argv = command
    if first == "-m":
        sys.path[0] = folder
        runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)
    elif first == "-c":
        code, sys.argv[0], sys.path[0] = sys.argv[0], "-c", ""
        main = sys.modules["__main__"] = types.ModuleType("__main__")
        exec(compile(code, "<string>", "exec"), vars(main))
    else:
        sys.argv, sys.path[0] = command, str(Path(first).parent)
        runpy.run_path(first, run_name="__main__")


if __name__ == "__main__":
    serve(sys.stdin, sys.stdout)
