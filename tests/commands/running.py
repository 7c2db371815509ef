"""Commands of the project in this process."""

from __future__ import annotations

import os
import runpy
import sys
from pathlib import Path

import pytest
from hydra.core.global_hydra import GlobalHydra

ROOT = Path(__file__).parent.parent.parent


def run_entry_point(name: str, arguments: tuple[str, ...], monkeypatch: pytest.MonkeyPatch) -> int:
    """Run a command of the project as ``python <name>.py`` would and return its exit status."""
    from genre.commands import entry

    GlobalHydra.instance().clear()
    entry._failures.clear()
    monkeypatch.setattr(sys, "argv", [str(ROOT / f"{name}.py"), *arguments])
    whole = os.environ.get("HYDRA_FULL_ERROR")
    try:
        runpy.run_path(sys.argv[0], run_name="__main__")
    except SystemExit as stop:
        return stop.code if isinstance(stop.code, int) else 1
    finally:
        if whole is not None:
            os.environ["HYDRA_FULL_ERROR"] = whole
    return 0
