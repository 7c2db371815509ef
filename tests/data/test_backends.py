"""Preparation by other back ends than processes of this machine."""

from __future__ import annotations

import os
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest
from small_audio import contents, make, tracks

from genre.data import backends
from genre.data.backends import Backend
from genre.errors import ConfigError

needs_dask = pytest.mark.skipif(
    find_spec("distributed") is None, reason="Dask is not installed: pip install -e '.[dask]'"
)


@pytest.fixture
def store_of(tmp_path):
    """A function that prepares four tracks and a broken file, and returns the folder of the store."""
    files = tracks(tmp_path / "audio", 5, seconds=1.2)
    files[0].path.write_bytes(b"no audio")

    def made(name: str, **options) -> Path:
        looks: list[tuple[int, int, int]] = []
        store = make(files, tmp_path / name, progress=lambda *look: looks.append(look), **options)
        assert looks[-1] == (5, 5, 4)
        assert [look[0] for look in looks] == list(range(6))
        return store.folder

    return made


@pytest.mark.parametrize(
    "name", ["loky", pytest.param("dask", marks=needs_dask), pytest.param("ray", marks=pytest.mark.ray)]
)
def test_every_back_end_makes_the_same_bytes(name, store_of):
    plain = contents(store_of("plain", jobs=1))
    assert "spectrogram.npy" in plain
    made = store_of(name, backend=Backend(name), jobs=2)
    assert contents(made) == plain


@needs_dask
def test_a_running_cluster_is_used(store_of):
    from distributed import Client

    with Client(n_workers=1, threads_per_worker=2, processes=False, dashboard_address=None) as client:
        before = client.run_on_scheduler(lambda dask_scheduler: dask_scheduler.transition_counter)
        store_of("cluster", backend=Backend("dask", client.scheduler.address))
        assert client.run_on_scheduler(lambda dask_scheduler: dask_scheduler.transition_counter) > before


def results_of(name: str) -> list[int]:
    return list(Backend(name).run([(os.getpid, (), {})] * 2, 2))


def test_a_back_end_that_is_not_installed_is_named_with_its_remedy(monkeypatch):
    monkeypatch.setitem(sys.modules, "distributed", None)
    monkeypatch.setitem(sys.modules, "ray", None)
    for name in ("dask", "ray"):
        with pytest.raises(ConfigError, match=rf"prepare.backend={name} needs .* pip install -e '\.\[{name}\]'"):
            results_of(name)


def test_wrong_settings_are_told():
    with pytest.raises(ConfigError, match=r"prepare\.backend=dusk is unknown; did you mean dask"):
        Backend("dusk")
    with pytest.raises(ConfigError, match=r"prepare\.backend=loky has none"):
        Backend("loky", "tcp://there:8786")
    assert set(backends.BACKENDS) == {"loky", "dask", "ray"}
