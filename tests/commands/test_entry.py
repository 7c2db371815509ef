"""Arguments and settings."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from genre.commands.entry import _explained, if_interrupted, quote_path
from genre.commands.explaining import explain
from genre.commands.training import merge_overrides
from genre.terminal import one_sentence

ROOT = Path(__file__).parent.parent.parent


@pytest.mark.parametrize(
    "path",
    [
        "/music/live (1999), a=b",
        "odd $name",
        "it's",
        'say "hi"',
        "[brackets] {braces}",
        "a,b",
        "x=y",
        "tab\there",
        "ünï/ß",
        "odd/x\\",
        'two\\\\ "q\\"\\\\',
    ],
)
def test_paths_with_any_characters_arrive_as_they_are(path: str) -> None:
    from hydra.core.override_parser.overrides_parser import OverridesParser

    parsed = OverridesParser.create().parse_override(quote_path(f"data.root={path}"))
    assert parsed.value() == path


@pytest.mark.parametrize(
    "argument",
    ["data.root=/plain/path-1.x_y", "data.root='already quoted'", "model.widths=[4,8]", "ckpt=null", "data=demo"],
)
def test_other_arguments_are_left_alone(argument: str) -> None:
    assert quote_path(argument) == argument


def test_a_comma_parts_paths_only_in_a_multirun_and_where_they_are(tmp_path: Path) -> None:
    one, other, both = (tmp_path / name for name in ("one, live (1999)", "other", "a,b"))
    for folder in (one, other, both):
        folder.mkdir()
    several = f"{other},{tmp_path / 'two words'}"
    assert quote_path(f"data.root={several}", multirun=True) == f'data.root="{other}","{tmp_path / "two words"}"'
    assert quote_path(f"data.root={several}") == f'data.root="{several}"'
    for path in (both, one, tmp_path / "no,where"):
        assert quote_path(f"ckpt={path}", multirun=True) == f'ckpt="{path}"'
    assert quote_path(f"hydra.sweep.dir={several}", multirun=True) == f'hydra.sweep.dir="{several}"'


def test_later_settings_replace_earlier_ones() -> None:
    earlier = ["data=folder", "data.root=a", "model.widths=[1]", "+trainer.fast_dev_run=true", "seed=1"]
    merged = merge_overrides(earlier, ["data=gtzan", "data.root=b", "seed=2"], {"data", "model"})
    assert merged == ["model.widths=[1]", "+trainer.fast_dev_run=true", "data=gtzan", "data.root=b", "seed=2"]


def test_help_is_quick() -> None:
    started = time.monotonic()
    shown = subprocess.run(
        [sys.executable, str(ROOT / "train.py"), "--help"], capture_output=True, text=True, check=True, cwd=ROOT
    ).stdout
    assert "mini_vgg" in shown
    assert time.monotonic() - started < 10  # 3 s on a machine with nothing else to do


@pytest.mark.parametrize("script", ["train.py", "sweep_classical.py", "infer.py"])
def test_help_imports_nothing_heavy(script: str) -> None:
    code = f"""
import runpy, sys
sys.argv = ["{script}", "--help"]
try:
    runpy.run_path("{script}", run_name="__main__")
except SystemExit:
    pass
heavy = {{"torch", "librosa", "numba", "sklearn", "matplotlib", "scipy"}} & set(sys.modules)
assert not heavy, heavy
"""
    subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, cwd=ROOT)


def test_a_log_that_may_not_be_written_is_told_by_its_name() -> None:
    refused = PermissionError(errno.EACCES, "Permission denied", "/runs/run.log")
    hidden = ValueError("Unable to configure handler 'file'")
    hidden.__cause__ = refused
    assert explain(hidden, ()) == "/runs/run.log cannot be used (Permission denied); choose another place for it"
    assert explain(ValueError("of ours"), ()) is None


def test_a_killed_job_of_joblib_is_one_sentence_that_says_how_to_go_on() -> None:
    killed = pytest.importorskip("joblib.externals.loky.process_executor").TerminatedWorkerError("SIGKILL(-9)")
    if_interrupted("interrupted: the same command with hydra.sweep.dir=/sweep resume=true goes on")
    assert _explained(killed) == (
        "a job was killed, most likely because memory ran out; run fewer at once with hydra.launcher.n_jobs=1: the "
        "same command with hydra.sweep.dir=/sweep resume=true goes on"
    )


def test_a_thread_that_finds_the_disk_full_shows_no_traceback(capfd: pytest.CaptureFixture[str]) -> None:
    def write(number: int) -> None:
        raise OSError(number, "refused")

    told: list[object] = []
    before, threading.excepthook = threading.excepthook, lambda thread: told.append(thread.exc_value)
    try:
        with one_sentence(str):
            for number in (errno.ENOSPC, errno.EIO):
                thread = threading.Thread(target=write, args=(number,))
                thread.start()
                thread.join()
    finally:
        threading.excepthook = before
    (error,) = told
    assert isinstance(error, OSError)
    assert error.errno == errno.EIO
    assert "Traceback" not in capfd.readouterr().err


def test_a_training_whose_reader_goes_away_says_so(music: Path, tmp_path: Path) -> None:
    command = [
        sys.executable, str(ROOT / "train.py"), "data=folder", f"data.root={music}", "data.clip_sec=1", "logger=none",
        f"data.store_dir={tmp_path / 'stores'}", f"hydra.run.dir={tmp_path / 'run'}",
    ]  # fmt: skip
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=tmp_path)
    assert process.stdout is not None
    assert process.stderr is not None
    process.stdout.close()
    said = process.stderr.read()
    assert process.wait() == 1
    (line,) = said.split("\n")[1:-1]
    assert line.startswith("ended because its output was closed before training: ")


def test_a_name_that_the_terminal_cannot_show_fails_no_training(music: Path, tmp_path: Path) -> None:
    root = tmp_path / "ümläut"
    root.symlink_to(music)
    done = subprocess.run(
        [
            sys.executable, str(ROOT / "train.py"), "data=folder", f"data.root={root}", "data.clip_sec=1",
            "model.widths=[2,2]", "model.hidden=4", "trainer.max_epochs=1", "logger=none", "report=false",
            f"data.store_dir={tmp_path / 'stores'}", f"hydra.run.dir={tmp_path / 'rün'}",
        ],
        cwd=tmp_path, env={**os.environ, "PYTHONIOENCODING": "ascii"}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert r"r\xfcn" in done.stdout
