"""Small audio that every test can make for itself."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from small_music import write_music

ROOT = Path(__file__).parent.parent
MakeMusic = Callable[..., Path]


@pytest.fixture(scope="session")
def music(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three genres of four artists with one track each, with tracks.csv; not to be changed."""
    return write_music(tmp_path_factory.mktemp("music"))


@pytest.fixture
def make_music(tmp_path: Path) -> MakeMusic:
    """A function that writes a folder of music of one's own."""

    def make(name: str = "music", **settings: object) -> Path:
        return write_music(tmp_path / name, **settings)

    return make


@pytest.fixture(scope="session")
def stores(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of prepared clips shared by the tests, so that each clip is prepared once."""
    return tmp_path_factory.mktemp("stores")


@pytest.fixture(scope="session")
def shared_audio() -> Path:
    """The folder of real recordings; skips the test where there is none."""
    folder = ROOT.parent / "shared" / "audio"
    if not folder.is_dir():
        pytest.skip("needs the real recordings in ../shared/audio")
    return folder
