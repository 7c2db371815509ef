"""File names and settings on one command line."""

from __future__ import annotations

from pathlib import Path

import pytest

from genre.commands.arguments import split_arguments

ODD = (
    "odd, name (live) = x.ogg",
    "format=json.wav",
    "[a] {b}.mp3",
    'it\'s "x" ${y} \\',
    "-dash.wav",
    "sub/a=b.mp3",
    "ünï",
)


@pytest.mark.parametrize("name", ODD)
def test_what_exists_is_a_file_name(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "sub").mkdir()
    (tmp_path / name).touch()
    arguments = split_arguments(["ckpt=a.ckpt", name, "format=json"])
    assert arguments.paths == (name,)
    assert arguments.settings == ("ckpt=a.ckpt", "format=json")


def test_what_looks_like_a_setting_is_one() -> None:
    given = ["denoise=berouti", "+x.y=1", "~x", "live.seconds=3", "denoise@a.b=none", "--cfg", "job", "--help", "-m"]
    assert split_arguments(given).settings == tuple(given)


def test_what_neither_exists_nor_looks_like_a_setting_is_a_missing_file() -> None:
    assert split_arguments(["song.mp3", "my songs=1.mp3", "01 a.wav", "-"]).paths == (
        "song.mp3",
        "my songs=1.mp3",
        "01 a.wav",
        "-",
    )


def test_settings_that_may_be_repeated() -> None:
    given = ["ckpt=a b.ckpt", "format=json", "ckpt=[c],d.ckpt", "input=x"]
    arguments = split_arguments(given, may_repeat=("ckpt", "input"))
    assert arguments.repeated == {"ckpt": ("a b.ckpt", "[c],d.ckpt")}
    assert arguments.settings == ("format=json", "input=x")
