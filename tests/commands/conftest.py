"""Commands run in this process, with their exit status and what they print."""

from __future__ import annotations

import functools
import gc
import logging
import signal
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from drawing import draw_nothing, functions_that_draw
from running import run_entry_point

from genre.commands.callbacks import StepSeed


@dataclass(frozen=True)
class Result:
    """What a command did."""

    status: int
    out: str
    err: str


Command = Callable[..., Result]
JOBS = ("search.jobs=1",)
WITHOUT_PICTURES = ("logger=none", "report=false")
"""Drawing takes most of the time of a run as small as those of the tests; see :func:`train`."""


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

    _leave_what_is_imported_alone()
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    yield run
    root.setLevel(level)
    for handler in set(root.handlers) - set(handlers):
        root.removeHandler(handler)
        handler.close()


def _leave_what_is_imported_alone() -> None:
    """Spare every command the search for garbage among what all imported, as in a process of its own it is spared."""
    if gc.get_freeze_count() == 0:
        gc.collect()
        gc.freeze()


@pytest.fixture
def train(run_command: Command, monkeypatch: pytest.MonkeyPatch) -> Command:
    """``train("name=value", ...)`` runs train.py with these arguments, and draws nothing unless told to.

    A test that looks at any picture of a run or a sweep asks for its report: ``train("report=true", ...)``.
    """
    return lambda *arguments: _drawing_little(run_command, "train", arguments, monkeypatch)


def _drawing_little(
    run_command: Command, name: str, arguments: Sequence[str], monkeypatch: pytest.MonkeyPatch
) -> Result:
    with monkeypatch.context() as patch:
        if "report=true" not in arguments:
            for module, function in functions_that_draw(name):
                patch.setattr(module, function, draw_nothing)
        return run_command(name, *with_more(arguments, WITHOUT_PICTURES))


@pytest.fixture
def without_pictures_in_tensorboard(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave pictures and sound out of TensorBoard, for tests that read the numbers in it."""
    from torch.utils.tensorboard import SummaryWriter

    from genre.commands import tensorboard

    # a writer that was closed after the training is opened again, as a picture would do
    monkeypatch.setattr(SummaryWriter, "add_figure", lambda writer, *_: writer._get_file_writer())
    monkeypatch.setattr(tensorboard, "log_clips", draw_nothing)


@pytest.fixture
def interrupted_at(train, monkeypatch: pytest.MonkeyPatch) -> Iterator[Command]:
    """``interrupted_at(step, "name=value", ...)`` runs train.py and presses Ctrl-C as a step of the training begins."""
    handler = signal.getsignal(signal.SIGINT)
    seed = StepSeed.on_train_batch_start

    def run(step: int, *arguments: str) -> Result:
        def press(self: StepSeed, trainer: Any, *args: Any) -> None:
            if trainer.global_step == step:
                raise KeyboardInterrupt
            seed(self, trainer, *args)

        with monkeypatch.context() as patch:
            patch.setattr(StepSeed, "on_train_batch_start", press)
            result = train(*arguments)
        signal.signal(signal.SIGINT, handler)  # Lightning ignores further ones, for it exits
        assert result.status == 1
        assert "Traceback" not in result.out + result.err
        return result

    yield run
    signal.signal(signal.SIGINT, handler)


@pytest.fixture
def infer(run_command: Command) -> Command:
    """``infer("file", "name=value", ...)`` runs infer.py with these arguments."""
    return functools.partial(run_command, "infer")


@pytest.fixture
def sweep(run_command: Command, monkeypatch: pytest.MonkeyPatch) -> Command:
    """``sweep("name=value", ...)`` runs sweep_classical.py in this process and no other, and draws as :func:`train`."""
    return lambda *arguments: _drawing_little(run_command, "sweep_classical", with_more(arguments, JOBS), monkeypatch)


def with_more(arguments: Sequence[str], more: Sequence[str]) -> tuple[str, ...]:
    """Return the arguments with those settings that they do not have."""
    given = {argument.partition("=")[0] for argument in arguments}
    return (*arguments, *(setting for setting in more if setting.partition("=")[0] not in given))
