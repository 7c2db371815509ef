"""Commands run in this process, with their exit status and what they print."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from running import run_entry_point


@dataclass(frozen=True)
class Result:
    """What a command did."""

    status: int
    out: str
    err: str


Command = Callable[..., Result]


@pytest.fixture
def train(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, stores: Path, tmp_path: Path
) -> Iterator[Command]:
    """``train("name=value", ...)`` runs train.py with these arguments and with prepared clips in the shared folder."""
    with command_runner("train", capsys, monkeypatch, stores, tmp_path) as run:
        yield run


@pytest.fixture
def infer(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, stores: Path, tmp_path: Path
) -> Iterator[Command]:
    """``infer("file", "name=value", ...)`` runs infer.py with these arguments."""
    with command_runner("infer", capsys, monkeypatch, stores, tmp_path) as run:
        yield run


@contextmanager
def command_runner(
    name: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, stores: Path, folder: Path
) -> Iterator[Command]:
    """Yield a function that runs a command in a folder."""
    monkeypatch.chdir(folder)
    monkeypatch.setenv("GENRE_STORES", str(stores))
    monkeypatch.setenv("HYDRA_FULL_ERROR", "0")

    def run(*arguments: str) -> Result:
        status = run_entry_point(name, arguments, monkeypatch)
        shown = capsys.readouterr()
        return Result(status, shown.out, shown.err)

    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    yield run
    root.setLevel(level)
    for handler in set(root.handlers) - set(handlers):
        root.removeHandler(handler)
        handler.close()
