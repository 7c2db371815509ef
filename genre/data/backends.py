"""What runs the preparation of tracks: processes of this machine, or the workers of a Dask or Ray cluster.

All of them are joblib's back ends, and all compute the same. Workers on other machines need the folders of the audio
and of the stores under the same names.
"""

from __future__ import annotations

import signal
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures.process import BrokenProcessPool
from contextlib import AbstractContextManager, closing, contextmanager, nullcontext
from dataclasses import dataclass
from typing import Any

from genre.errors import ConfigError, StoreError, missing_extra, near_names

BACKENDS = ("loky", "dask", "ray")

IDLE_SEC = 20
"""Processes that have nothing to do any more end after this long: they hold a hundred megabytes each."""

CALLS_AT_ONCE = 8
"""Calls a worker between two looks at how far it is, for a back end that tells only at the end."""

Call = tuple[Callable[..., Any], tuple[Any, ...], dict[str, Any]]
"""What ``joblib.delayed`` makes."""


@dataclass(frozen=True, slots=True)
class Backend:
    """A joblib back end.

    Parameters
    ----------
    name
        One of :data:`BACKENDS`.
    address
        Of a running cluster, as ``distributed.Client`` or ``ray.init`` take it; ``None`` starts workers here.

    Raises
    ------
    ConfigError
        If there is no such back end, or it has no address.
    """

    name: str = "loky"
    address: str | None = None

    def __post_init__(self) -> None:
        if self.name not in BACKENDS:
            raise ConfigError(f"prepare.backend={self.name} is unknown; {near_names(str(self.name), BACKENDS)}")
        if self.name == "loky" and self.address is not None:
            raise ConfigError(
                f"prepare.address={self.address} is of a cluster, but prepare.backend=loky has none; choose dask or ray"
            )

    def run(self, calls: Sequence[Call], workers: int) -> Generator[Any, None, None]:
        """Yield the results as they are finished; stops all work when closed.

        Parameters
        ----------
        calls
            What to run.
        workers
            Processes on this machine; a running cluster brings its own.

        Raises
        ------
        ConfigError
            If a package is missing.
        StoreError
            If a worker was killed.
        """
        return {"loky": _on_loky, "dask": _on_dask, "ray": _on_ray}[self.name](calls, workers, self.address)


def _on_loky(calls: Sequence[Call], workers: int, address: str | None) -> Generator[Any, None, None]:
    from joblib import Parallel

    with _killed(BrokenProcessPool):
        with _own_processes():
            results = Parallel(workers, return_as="generator_unordered")(calls)
        with closing(results):
            yield from results


def _own_processes() -> AbstractContextManager[Any]:
    """Return a context for processes of one thread that soon end when idle; a back end that was chosen stays chosen."""
    from joblib import parallel, parallel_config

    active, _ = parallel.get_active_backend()
    nested = bool(active.nesting_level)  # within a worker of joblib, such as a job of launcher=joblib, nobody chose
    if type(active).__name__ != "LokyBackend" and not nested:
        return nullcontext()
    config: AbstractContextManager[Any] = parallel_config(
        "loky", inner_max_num_threads=1, idle_worker_timeout=IDLE_SEC, initializer=_leave_ctrl_c_to_the_parent
    )
    return config


def _leave_ctrl_c_to_the_parent() -> None:
    """Ignore Ctrl-C, which a terminal sends to every process: the parent ends its workers, and they say nothing."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def _on_dask(calls: Sequence[Call], workers: int, address: str | None) -> Generator[Any, None, None]:
    try:
        from distributed import Client, KilledWorker
    except ImportError as error:
        raise missing_extra("prepare.backend=dask", "dask") from error
    from joblib import Parallel, parallel_config

    here = {"n_workers": workers, "threads_per_worker": 1, "dashboard_address": None}
    with _killed(KilledWorker), Client(address, **(here if address is None else {})) as client:
        with parallel_config("dask", client=client):
            results = Parallel(return_as="generator_unordered")(calls)
        with closing(results):
            yield from results


def _on_ray(calls: Sequence[Call], workers: int, address: str | None) -> Generator[Any, None, None]:
    try:
        import ray
        from ray.util.joblib import register_ray
    except ImportError as error:
        raise missing_extra("prepare.backend=ray", "ray") from error
    from joblib import Parallel, parallel_config

    started = not ray.is_initialized()  # a job of launcher=ray is within a cluster already
    if started:
        here = {"num_cpus": workers, "include_dashboard": False}
        ray.init(address, log_to_driver=False, logging_level="ERROR", **(here if address is None else {}))
    register_ray()
    at_once = CALLS_AT_ONCE * max(workers, int(ray.cluster_resources().get("CPU", 1)))
    try:
        with _killed(ray.exceptions.RayError), parallel_config("ray"):
            for first in range(0, len(calls), at_once):  # it returns nothing before it has everything
                yield from Parallel(-1)(calls[first : first + at_once])
    finally:
        if started:
            ray.shutdown()


@contextmanager
def _killed(sign: type[Exception]) -> Iterator[None]:
    """Say in plain words that a worker was killed."""
    try:
        yield
    except sign as error:
        raise StoreError(
            "a process that prepared clips was killed, most likely because memory ran out; run again with fewer "
            "processes, such as data.jobs=1: finished tracks are kept"
        ) from error
