"""What a study leaves: the table of its trials, the best of them, and pictures."""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from genre.commands.study import ended_well, open_study
from genre.commands.sweeps import SweepReport
from genre.errors import GenreError, counted

if TYPE_CHECKING:
    from omegaconf import DictConfig
    from optuna import Study
    from optuna.trial import FrozenTrial

    from genre.evaluation.failed import FailedRun
    from genre.evaluation.report import RunReport

STATES = {
    "COMPLETE": "complete",
    "PRUNED": "stopped early",
    "FAIL": "failed",
    "RUNNING": "under way",
    "WAITING": "waiting",
}
"""Optuna's states of a trial, in words."""


class StudyReport(SweepReport):
    """Also writes the table of trials and the pictures of a study."""

    def subdir(self, config: DictConfig) -> str:
        """Name the folders by the numbers of the trials: a trial that is repeated goes where it was."""
        return "trial${hydra:job.num}"

    def report(self, folder: Path, failed: Sequence[FailedRun]) -> list[RunReport]:
        """Write the tables and pictures of all trials below ``folder``; return the runs that did not fail."""
        from genre.commands.console import console
        from genre.commands.entry import fail_with

        runs = super().report(folder, failed)
        for line in write_study(folder):
            console.print(line, markup=False)
        trials = open_study(folder).trials
        if not any(ended_well(trial.state) for trial in trials):
            fail_with(
                GenreError(
                    f"no trial of the study in {folder} ended with a validation accuracy; see run.log in the folders "
                    "of its trials, then give the same command again"
                )
            )
        return runs


def write_study(folder: Path) -> list[str]:
    """Write ``trials.csv``, ``best.yaml`` and the pictures of the study in a folder, and return what to say of it."""
    from omegaconf import OmegaConf

    from genre.evaluation.files import write_csv

    study = open_study(folder)
    trials = study.trials
    names = sorted({name for trial in trials for name in trial.params})
    head = ["trial", "state", "val_track_accuracy", "epochs", "seconds", *names]
    write_csv(folder / "trials.csv", [head, *(_row(trial, names) for trial in trials)])
    found = Counter(trial.state.name for trial in trials)
    counts = ", ".join(f"{found[state]} {text}" for state, text in STATES.items() if found[state])
    said = [f"study: {counted(len(trials), 'trial')}, {counts}"]
    if found["COMPLETE"]:
        best = study.best_trial
        facts = {"trial": best.number, "val_track_accuracy": best.value, "settings": dict(best.params)}
        OmegaConf.save(OmegaConf.create(facts), folder / "best.yaml")
        chosen = " ".join(f"{name}={value}" for name, value in best.params.items())
        said.append(f"best on validation: trial {best.number}, track accuracy {best.value:.3f}: {chosen}")
    files = [str(folder / "trials.csv"), *write_pictures(study, folder)]
    return [*said, f"written to {', '.join(files)}"]


def _row(trial: FrozenTrial, names: Sequence[str]) -> list[object]:
    value = f"{trial.value:.6f}" if trial.value is not None else ""
    seconds = f"{trial.duration.total_seconds():.1f}" if trial.duration is not None else ""
    epochs = max(trial.intermediate_values, default="")
    params = [trial.params.get(name, "") for name in names]
    return [trial.number, trial.state.name.lower(), value, epochs, seconds, *params]


def write_pictures(study: Study, folder: Path) -> list[str]:
    """Write ``parallel_coordinate.png`` and ``importance.png`` if trials differ, and return the names of those written.

    The importance of a setting is how much of the differences between complete trials it explains (functional ANOVA).
    """
    import matplotlib

    matplotlib.use("agg")  # Optuna draws by way of pyplot, which would open windows
    import matplotlib.pyplot as plt
    from optuna.trial import TrialState
    from optuna.visualization import matplotlib as pictures

    from genre.evaluation.canvas import save_png

    if len({trial.value for trial in study.get_trials(states=(TrialState.COMPLETE,))}) < 2:  # nothing to compare
        return []
    written = []
    for name, draw, width in (
        ("parallel_coordinate.png", pictures.plot_parallel_coordinate, 14),
        ("importance.png", pictures.plot_param_importances, 8),
    ):
        with warnings.catch_warnings(), suppress(RuntimeError, ValueError):  # such as no variance in few trials
            warnings.simplefilter("ignore")  # that these pictures are experimental
            figure = draw(study, target_name="validation track accuracy").figure
            figure.set_size_inches(width, 6)
            figure.set_layout_engine("tight")
            save_png(figure, folder / name)
            written.append(name)
        plt.close("all")
    return written
