"""Small audio that every test can make for itself."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from small_music import write_music

if TYPE_CHECKING:
    import psutil

ROOT = Path(__file__).parent.parent
MakeMusic = Callable[..., Path]


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Skip what needs Ray where it is absent, unless just that was asked for."""
    if find_spec("hydra_plugins.hydra_ray_launcher") is not None:
        return
    if config.option.markexpr == "ray":
        raise pytest.UsageError("Ray is not installed; it has an environment of its own: make test-ray")
    for item in items:
        if item.get_closest_marker("ray"):
            item.add_marker(pytest.mark.skip(reason="Ray has an environment of its own: make test-ray"))


@pytest.fixture(autouse=True)
def ray_of_its_own(request: pytest.FixtureRequest) -> Iterator[None]:
    """A test marked ``ray`` starts Ray anew, which tells nobody of it and leaves no process and no file behind."""
    if request.node.get_closest_marker("ray") is None:
        yield
        return
    import psutil
    import ray

    before = processes_of_ray()
    with tempfile.TemporaryDirectory(prefix="ray-") as folder, pytest.MonkeyPatch.context() as patch:
        patch.setenv("RAY_TMPDIR", folder)  # not tmp_path, which is too long for the names of sockets
        patch.setenv("RAY_USAGE_STATS_ENABLED", "0")
        yield
        ray.shutdown()
        assert psutil.wait_procs(processes_of_ray() - before, timeout=20)[1] == []


def processes_of_ray() -> set[psutil.Process]:
    """All processes of Ray on this machine; they run its programs, or have a title of its own."""
    import psutil
    import ray

    home = str(Path(ray.__file__).parent)
    running = [(process, " ".join(process.info["cmdline"] or ())) for process in psutil.process_iter(["cmdline"])]
    return {process for process, command in running if home in command or command.startswith("ray::")}


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
