"""Jobs of a multirun side by side: how many threads each computes with, and when it is its turn."""

from __future__ import annotations

import logging
import os
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hydra.experimental.callback import Callback
from omegaconf import DictConfig

if TYPE_CHECKING:
    from filelock import BaseFileLock
    from hydra.core.utils import JobReturn

log = logging.getLogger("genre")

THREAD_VARIABLES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
TURNS = ".turns"
LOOK_SEC = 0.5


class JobThreads(Callback):
    """A Hydra callback that gives every job of a multirun its share of the cores: jobs times threads <= cores.

    Parameters
    ----------
    jobs
        Jobs that the launcher runs at once, each with an equal share; -1 is one a core.
    threads
        Threads of a job, instead of ``jobs``, where the launcher or a cluster counts in these.
    take_turns
        Let only as many jobs work at once as there are cores for, because the launcher starts all of them.
    """

    def __init__(self, *, jobs: int | None = None, threads: int | None = None, take_turns: bool = False) -> None:
        self.jobs = jobs
        self.threads = threads
        self.take_turns = take_turns
        self._turn: BaseFileLock | None = None

    def on_job_start(self, config: DictConfig, **kwargs: Any) -> None:
        """Set the threads of this process, once it is its turn."""
        import joblib

        cores = joblib.cpu_count()
        threads = threads_of_a_job(cores, self.jobs) if self.threads is None else max(1, int(self.threads))
        if self.take_turns:
            self._turn = wait_for_turn(Path(str(config.hydra.sweep.dir)) / TURNS, max(1, cores // threads))
            threads = min(threads, cores)
        threads = limit_threads(threads)
        log.info("this job computes with %d of %d cores", threads, cores)
        if self.threads is not None:
            os.environ["LOKY_MAX_CPU_COUNT"] = str(threads)  # for processes that the job starts: they are all it has

    def on_job_end(self, config: DictConfig, job_return: JobReturn, **kwargs: Any) -> None:
        """Let another job have its turn."""
        if self._turn is not None:
            self._turn.release()


def threads_of_a_job(cores: int, jobs: int | None) -> int:
    """Return how many threads each of some jobs may have; -1 jobs, or none said, is one a core.

    >>> threads_of_a_job(8, 3), threads_of_a_job(8, -1), threads_of_a_job(2, 5), threads_of_a_job(8, -2)
    (2, 1, 1, 1)
    """
    jobs = -1 if jobs is None else int(jobs)
    at_once = jobs if jobs > 0 else cores + 1 + jobs  # as joblib counts
    return max(1, cores // max(1, at_once))


def limit_threads(threads: int) -> int:
    """Let this process, and those it starts, compute with so many threads, or fewer if ``OMP_NUM_THREADS`` says so.

    Returns
    -------
    threads
        How many it is.
    """
    wanted = os.environ.get("OMP_NUM_THREADS", "")
    threads = min(threads, int(wanted)) if wanted.isdecimal() and int(wanted) > 0 else threads
    os.environ.update(dict.fromkeys(THREAD_VARIABLES, str(threads)))
    if "numba" not in sys.modules:  # afterwards it does not let the variable change
        os.environ["NUMBA_NUM_THREADS"] = str(threads)
    import numba
    import threadpoolctl
    import torch

    torch.set_num_threads(threads)
    most: Any = numba.config
    numba.set_num_threads(min(threads, most.NUMBA_NUM_THREADS))
    threadpoolctl.threadpool_limits(threads)
    return threads


def wait_for_turn(folder: Path, turns: int) -> BaseFileLock:
    """Return one of as many locks as may be held at once, when one is free; a lock ends with its process."""
    from filelock import FileLock, Timeout

    folder.mkdir(parents=True, exist_ok=True)
    while True:
        for number in range(turns):
            lock = FileLock(folder / f"{number}.lock")
            with suppress(Timeout):
                lock.acquire(timeout=0)
                return lock
        time.sleep(LOOK_SEC)
