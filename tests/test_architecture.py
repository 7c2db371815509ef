"""The arrows between the rooms of the package, and the size of the entry points."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "genre"

MAY_IMPORT = {
    "audio": set(),
    "features": {"audio"},
    "data": {"audio", "features"},
    "models": {"audio", "features", "data"},
    "classical": {"audio", "features", "data", "evaluation"},
    "inference": {"audio", "features", "data", "models", "classical"},
    "evaluation": set(),
    "commands": {"audio", "features", "data", "models", "classical", "inference", "evaluation"},
}
"""Room -> the rooms it may import; every room may import itself and the modules beside the rooms."""


def imports(file: Path) -> set[str]:
    """Absolute names of all modules a file imports, wherever in it."""
    names = set()
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                package = file.relative_to(ROOT).with_suffix("").parts[: -node.level]
                base = ".".join([*package, base]).rstrip(".")
            names |= {base} | {f"{base}.{alias.name}" for alias in node.names}
    return names


def rooms(file: Path) -> set[str]:
    """Rooms of the package a file imports from."""
    parts = [name.split(".") for name in imports(file)]
    return {name[1] for name in parts if name[0] == "genre" and len(name) > 1 and name[1] in MAY_IMPORT}


@pytest.mark.parametrize("file", sorted(PACKAGE.rglob("*.py")), ids=lambda file: str(file.relative_to(ROOT)))
def test_imports_go_one_way(file: Path) -> None:
    inside = file.relative_to(PACKAGE).parts
    if len(inside) == 1:
        assert rooms(file) == set()
    else:
        assert rooms(file) - {inside[0]} <= MAY_IMPORT[inside[0]]


@pytest.mark.parametrize("file", sorted(PACKAGE.rglob("*.py")), ids=lambda file: str(file.relative_to(ROOT)))
def test_only_commands_know_hydra_and_nobody_imports_an_entry_point(file: Path) -> None:
    names = {name.split(".")[0] for name in imports(file)}
    assert not names & {"train", "infer", "sweep_classical"}
    if file.relative_to(PACKAGE).parts[0] != "commands":
        assert not names & {"hydra", "omegaconf"}


def test_every_room_is_known() -> None:
    assert {folder.name for folder in PACKAGE.iterdir() if (folder / "__init__.py").is_file()} <= set(MAY_IMPORT)


@pytest.mark.parametrize("file", sorted(ROOT.glob("*.py")), ids=lambda file: file.name)
def test_entry_points_are_short(file: Path) -> None:
    assert len(file.read_text().splitlines()) < 60


@pytest.mark.parametrize("file", sorted((ROOT / "conf").rglob("*.yaml")), ids=lambda file: str(file.relative_to(ROOT)))
def test_every_config_says_which_command_uses_it(file: Path) -> None:
    lines = file.read_text(encoding="utf-8").splitlines()
    first = next(line for line in lines if not line.startswith("# @package"))
    assert first.startswith("# Used by: ")
