"""Where a training that was interrupted goes on."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from genre.commands.callbacks import History
from genre.commands.console import say
from genre.data.disk import discard, remove_unfinished
from genre.errors import CheckpointError
from genre.evaluation.report import METRICS_FILE
from genre.models.registry import BEST, LAST, read_checkpoint


@dataclass(frozen=True)
class OwnCheckpoint:
    """What an interrupted run has left in its folder.

    Parameters
    ----------
    path
        Its last epoch.
    best
        Its best epoch so far.
    ended
        Whether that was the last epoch there is to train: only the evaluation is missing.
    """

    path: Path
    best: Path
    ended: bool


def own_checkpoint(folder: Path, config_hash: str) -> OwnCheckpoint | None:
    """Return what to continue from, if a run with the same configuration has finished an epoch in this folder.

    Says in one line what it is, or why there is none.
    """
    last, best = folder / LAST, folder / BEST
    try:
        fault, checkpoint = _fault(last, best, config_hash)
    except CheckpointError as error:
        fault, checkpoint = str(error), {}
    if fault:
        say(f"{folder.name}: trained from the beginning ({fault})")
        return None
    ended = bool(checkpoint.get("training_ended", False))
    epochs = int(checkpoint["epoch"]) + 1
    say(f"{folder.name}: " + ("trained to the end earlier" if ended else f"continued after epoch {epochs}"))
    return OwnCheckpoint(last, best, ended)


def _fault(last: Path, best: Path, config_hash: str) -> tuple[str, dict[str, Any]]:
    """Return why a run cannot be continued (empty if it can), and its last checkpoint."""
    if not last.is_file():
        return "there is nothing to resume", {}
    checkpoint = read_checkpoint(last)
    read_checkpoint(best)
    if checkpoint["genre"].get("provenance", {}).get("config_hash") != config_hash:
        return f"{last} is of other settings or other data", checkpoint
    if not checkpoint.get("callbacks", {}).get(History().state_key, {}).get("values"):
        return "no epoch was finished", checkpoint
    return "", checkpoint


def clear_for_training(folder: Path, start: Path | None) -> None:
    """Take away what an earlier training in this folder would make a reader believe of the one that begins.

    Parameters
    ----------
    folder
        Of the run.
    start
        The checkpoint it continues from: if that is in this folder, checkpoints and curves stay.
    """
    (folder / METRICS_FILE).unlink(missing_ok=True)
    for name in (LAST, BEST):
        remove_unfinished(folder, name)
    if start is not None and start.parent.resolve() == folder.resolve():
        return
    for name in (LAST, BEST):
        (folder / name).unlink(missing_ok=True)
    discard(folder / "tensorboard")
