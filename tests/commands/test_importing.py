"""Imports without the garbage collector."""

from __future__ import annotations

import gc
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from genre.commands.importing import importing


@pytest.fixture(autouse=True)
def as_before() -> Iterator[None]:
    """The collector goes on as it was, and what was set aside before is set aside again, without what is here."""
    enabled, set_aside = gc.isenabled(), gc.get_freeze_count() > 0
    gc.unfreeze()
    yield
    gc.unfreeze()
    if set_aside:  # else every later test would look through all that was imported
        gc.collect()
        gc.freeze()
    (gc.enable if enabled else gc.disable)()


@pytest.fixture
def new_module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    (tmp_path / "imported_late.py").write_text(
        "import gc\ncollects, kept = gc.isenabled(), [[] for _ in range(1000)]\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    yield "imported_late"
    sys.modules.pop("imported_late", None)


def test_nothing_is_collected_while_importing_and_what_was_imported_is_set_aside(new_module: str) -> None:
    with importing():
        module = __import__(new_module)
    assert not module.collects
    assert gc.get_freeze_count() > 1000
    assert gc.isenabled()


def test_without_a_new_module_nothing_is_set_aside() -> None:
    with importing():
        import json  # noqa: F401
    assert gc.get_freeze_count() == 0
    assert gc.isenabled()


def test_a_failed_import_leaves_the_collector_as_it_was() -> None:
    for switch in (gc.enable, gc.disable):
        switch()
        collects = gc.isenabled()
        with pytest.raises(ModuleNotFoundError), importing():
            import no_such_module  # noqa: F401
        assert gc.isenabled() is collects
