import shutil
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
FOLDERS = ("benchmarks", "conf", "docs", "genre", "hydra_plugins", "tests")

pytest.importorskip("setuptools")


def test_the_source_distribution_is_the_whole_project(tmp_path) -> None:
    project = tmp_path / "project"
    for folder in FOLDERS:
        shutil.copytree(ROOT / folder, project / folder, ignore=shutil.ignore_patterns("__pycache__"))
    for path in (ROOT / name for name in ("LICENSE", "Makefile", "MANIFEST.in", "README.md", "pyproject.toml")):
        shutil.copy(path, project)
    for path in ROOT.glob("*.py"):
        shutil.copy(path, project)
    expected = {str(path.relative_to(project)) for path in project.rglob("*") if path.is_file()}
    assert len(expected) > 300
    command = [sys.executable, "-c", "from setuptools import setup; setup()", "sdist", "--formats", "tar"]
    subprocess.run(command, cwd=project, check=True, capture_output=True)
    with tarfile.open(next((project / "dist").glob("*.tar"))) as archive:
        shipped = {name.partition("/")[2] for name in archive.getnames()}
    assert expected - shipped == set()
