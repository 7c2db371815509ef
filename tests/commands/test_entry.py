"""Arguments and settings."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import pytest

from genre.commands.entry import quote_path
from genre.commands.training import merge_overrides

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


def test_help_imports_nothing_heavy() -> None:
    code = """
import runpy, sys
sys.argv = ["train.py", "--help"]
try:
    runpy.run_path("train.py", run_name="__main__")
except SystemExit:
    pass
heavy = {"torch", "librosa", "numba", "sklearn", "matplotlib", "scipy"} & set(sys.modules)
assert not heavy, heavy
"""
    subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, cwd=ROOT)
