"""The ends of the tools that are run with ``python -m``."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
BEGINNING = f"import sys; sys.path.insert(0, {str(ROOT)!r}); from genre.errors import DataError\n"
END = "from genre.terminal import run_tool; run_tool(main)"


def run(body: str, stdout: int, **environment: str) -> tuple[int, str]:
    """Run a tool whose main has this body; return its status and what is on standard error."""
    code = f"{BEGINNING}def main():\n    {body}\n    return 0\n{END}"
    done = subprocess.run(
        [sys.executable, "-c", code], stdout=stdout, stderr=subprocess.PIPE, text=True, check=False,
        env={**os.environ, **environment},
    )  # fmt: skip
    return done.returncode, done.stderr


@pytest.fixture
def closed() -> int:
    """A pipe that nobody reads."""
    reading, writing = os.pipe()
    os.close(reading)
    return writing


@pytest.mark.parametrize("body", ["print(1)", "print('x' * 100000)", "print(1); sys.exit(0)"])
def test_a_reader_that_goes_away_is_no_error(body: str, closed: int) -> None:
    assert run(body, closed) == (1, "")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no /dev/full")
@pytest.mark.parametrize("body", ["print(1)", "print('x' * 100000)"])
def test_a_full_disk_is_one_sentence(body: str) -> None:
    with Path("/dev/full").open("w") as full:
        status, said = run(body, full.fileno())
    sentence = "the output cannot be written (No space left on device); free some space, or write to another disk"
    assert (status, said) == (1, f"error: {sentence}\n")


def test_what_the_user_can_mend_is_one_sentence_and_a_mistake_of_ours_a_traceback() -> None:
    assert run("raise DataError('say this.')", subprocess.DEVNULL) == (1, "error: say this\n")
    status, said = run("open('/nowhere/at/all')", subprocess.DEVNULL)
    assert (status, said.splitlines()) == (
        1,
        ["error: /nowhere/at/all cannot be used (No such file or directory); choose another place for it"],
    )
    status, said = run("1 / 0", subprocess.DEVNULL)
    assert status == 1
    assert "ZeroDivisionError" in said


def test_a_letter_that_the_terminal_does_not_know_is_escaped() -> None:
    body = "print('ü'); print('\u2500', file=sys.stderr)"
    assert run(body, subprocess.DEVNULL, PYTHONIOENCODING="ascii") == (0, "\\u2500\n")


def tools() -> list[Path]:
    """Files of the package that are run with ``python -m``."""
    files = sorted((ROOT / "genre").rglob("*.py"))
    return [file for file in files if '"__main__":' in file.read_text("utf-8")]


@pytest.mark.parametrize("file", tools(), ids=lambda file: str(file.relative_to(ROOT)))
def test_every_tool_ends_so(file: Path) -> None:
    assert file.read_text("utf-8").endswith('if __name__ == "__main__":\n    run_tool(main)\n')
