"""What every run has in common, whatever it trains: its folder, its settings, and whether it is done already."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from omegaconf import DictConfig, OmegaConf

from genre.checks import is_whole
from genre.commands.command_file import keep_command
from genre.commands.console import log, say
from genre.commands.distributed import is_first_process
from genre.commands.entry import if_interrupted
from genre.data.disk import locked
from genre.data.randomness import LARGEST_SEED
from genre.errors import ConfigError, DataError
from genre.evaluation.failed import FAILURE_FILE
from genre.evaluation.report import METRICS_FILE, RunReport, read_run

LOCK_FILE = ".lock"


def output_folder() -> Path:
    """Return the folder of this run, which Hydra has made."""
    from hydra.core.hydra_config import HydraConfig

    return Path(HydraConfig.get().runtime.output_dir)


def folder_of_command() -> tuple[str, Path]:
    """Return the setting that says where this command writes, and the folder that it says."""
    from hydra.core.hydra_config import HydraConfig

    if in_multirun():
        return "hydra.sweep.dir", Path(HydraConfig.get().sweep.dir)
    return "hydra.run.dir", output_folder()


def in_multirun() -> bool:
    """Say whether this run is one of several of a sweep."""
    from hydra.core.hydra_config import HydraConfig
    from hydra.types import RunMode

    return bool(HydraConfig.get().mode is RunMode.MULTIRUN)


def tell_if_interrupted(sentence: str) -> None:
    """Let this be said if a run of its own is interrupted from now on; of a multirun it is known how it goes on."""
    if not in_multirun():
        if_interrupted(sentence)


def require_settings(cfg: DictConfig) -> None:
    """Raise ConfigError if a setting that has to be given is not."""
    for name in missing_settings(cfg):
        raise ConfigError(f"{name} is not set; add {name}=... to the command")


def check_seed(seed: object) -> None:
    """Raise ConfigError unless a seed is one that every library takes."""
    if not is_whole(seed, 0, LARGEST_SEED):
        shown = "null" if seed is None else seed
        raise ConfigError(f"seed={shown} is out of range; give a whole number from 0 to {LARGEST_SEED}")


def missing_settings(node: DictConfig, prefix: str = "") -> Iterator[str]:
    """Yield the names of settings that have to be given and are not."""
    for key in map(str, node):
        if OmegaConf.is_interpolation(node, key):
            continue
        if OmegaConf.is_missing(node, key):
            yield f"{prefix}{key}"
        elif isinstance(node[key], DictConfig):
            yield from missing_settings(node[key], f"{prefix}{key}.")


@contextmanager
def alone_in(folder: Path) -> Iterator[None]:
    """Keep other processes out of the folder of this run.

    The job of a sweep waits until it is alone; then it finds what the other one did. A run of its own does not wait.

    Raises
    ------
    ConfigError
        If another process is at work in the folder of a run of its own.
    """
    if not is_first_process():  # the first process of a distributed training has the lock for all
        yield
        return

    def waiting() -> None:
        if not in_multirun():
            raise ConfigError(f"another process is at work in {folder}; choose another folder with hydra.run.dir=...")
        say(f"{folder.name}: another process is at work on it, waiting")

    with ExitStack() as stack:
        with suppress(OSError):  # a file system that cannot lock files, as some of networks
            stack.enter_context(locked(folder / LOCK_FILE, waiting))
        yield


def finished_run(folder: Path, config_hash: str, *, resume: bool = False) -> RunReport | None:
    """Return what an earlier run with the same configuration left in this folder, or elsewhere in the same sweep.

    A sweep that is started again with the same ``hydra.sweep.dir`` so repeats nothing that is done. A run of its own
    is done anew, unless it is to ``resume``. A run is finished when it has a ``metrics.json``, which is written last.
    Where nothing is found, the command of this run takes the place of that of another one in its folder.
    """
    done = _finished_run(folder, config_hash) if in_multirun() or resume else None
    if done is None and is_first_process():
        keep_command(folder, over_finished=True)
    return done


def _finished_run(folder: Path, config_hash: str) -> RunReport | None:
    for file in (folder / METRICS_FILE, *(_others_of_sweep() if in_multirun() else ())):
        if not file.is_file() or (file.parent / FAILURE_FILE).is_file():
            continue
        with suppress(DataError):
            report = read_run(file)
            if report.info.config_hash == config_hash:
                where = "" if file.parent == folder else f" in {file.parent.name}"
                say(f"{folder.name}: finished earlier with the same settings{where}, not repeated")
                return report
    return None


def _others_of_sweep() -> list[Path]:
    from hydra.core.hydra_config import HydraConfig

    return sorted(Path(HydraConfig.get().sweep.dir).resolve().rglob(METRICS_FILE))


def tell_replaced(folder: Path) -> None:
    """Say that there is a finished run in this folder that another takes the place of."""
    if (folder / METRICS_FILE).is_file():
        say(f"note: the finished run in {folder} is replaced; name another folder to keep both", style="yellow")


_told: dict[str, set[str]] = {}


def tell_notices(notices: Sequence[str]) -> None:
    """Print what the user should know of the data and the deal: in a multirun once, but in every job's log."""
    from hydra.core.hydra_config import HydraConfig

    told = _told.setdefault(HydraConfig.get().sweep.dir, set()) if in_multirun() else set()
    for notice in notices:
        if notice in told:
            log.info(f"note: {notice}")
        else:
            say(f"note: {notice}", style="yellow")
    told.update(notices)
