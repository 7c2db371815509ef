from __future__ import annotations

import platform
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


def test_other_systems_do_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory.sys, "platform", "win32")
    memory._trim.cache_clear()
    memory.return_freed_memory()
    memory._trim.cache_clear()
