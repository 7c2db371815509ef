from __future__ import annotations

import platform
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from genre.inference import memory


def resident_mb() -> float:
    status = Path("/proc/self/status").read_text()
    return next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmRSS")) / 1024


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="other C libraries return memory by themselves, or not")
def test_freed_memory_goes_back_though_some_is_still_in_use() -> None:
    blocks = [np.ones(8_000) for _ in range(3_000)]  # 64 kB each, 190 MB: too small for mappings of their own
    kept = blocks[::50]
    before = resident_mb()
    del blocks
    memory.return_freed_memory()
    assert before - resident_mb() > 120
    assert all(block.sum() == 8_000 for block in kept)


FAULTS = """
import resource, sys
import numpy as np
from genre.inference import memory

if sys.argv[1] == "kept":
    memory.keep_freed_memory()
for _ in range(3):  # the first block is new in any case
    np.ones(8_000_000)  # 64 MB
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(20):
    np.ones(8_000_000)
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
memory.return_freed_memory()
status = open("/proc/self/status").read()
print(next(line.split()[1] for line in status.splitlines() if line.startswith("VmRSS")))
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="other C libraries have ways of their own")
def test_kept_memory_is_not_asked_for_again_and_can_still_be_returned() -> None:
    def run(how: str) -> list[int]:
        command = [sys.executable, "-c", FAULTS, how]
        result = subprocess.run(command, capture_output=True, text=True, check=True)
        return [int(line) for line in result.stdout.split()]

    (kept, resident), (asked, resident_as_always) = run("kept"), run("returned")
    assert kept < 100 < asked
    assert resident < resident_as_always + 30_000  # kB: the block of 64 MB is no longer there


def test_other_systems_do_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory.sys, "platform", "win32")
    memory._c_function.cache_clear()
    memory.keep_freed_memory()
    memory.return_freed_memory()
    memory._c_function.cache_clear()
