"""What a multirun of ``sweep_classical.py`` leaves beside the table of its runs: pictures over all of them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from omegaconf import OmegaConf

from genre.commands.sweeps import SweepReport

if TYPE_CHECKING:
    from genre.evaluation.leaderboard import FailedRun
    from genre.evaluation.report import RunReport


class ClassicalSweepReport(SweepReport):
    """Also draws ``accuracy_table.png``, and what the model that was best on validation listens to."""

    def report(self, folder: Path, failed: Sequence[FailedRun]) -> list[RunReport]:
        """Write the table of all runs below ``folder``, and the pictures; return the runs that did not fail."""
        runs = super().report(folder, failed)
        if runs:
            write_accuracy_tables(folder, runs)
            write_space_of_best(folder, runs)
        return runs


def write_accuracy_tables(folder: Path, runs: Sequence[RunReport]) -> None:
    """Write ``accuracy_table.png``: mean test track accuracy by transform and classifier.

    Where a sweep has several data sets, protocols or scalers, each has a picture of its own, whose name says which.
    """
    from genre.evaluation.canvas import Heading, save_png
    from genre.evaluation.sweep_plots import accuracy_table_figure, tables_by_comparison

    tables: dict[tuple[str, ...], list[RunReport]] = {}
    for run in runs:
        tables.setdefault((run.info.dataset, run.info.protocol, _unusual(run)), []).append(run)
    for key, members in tables.items():
        cells = [(*_choices(run), run.test.track_accuracy) for run in members if run.test is not None]
        accuracy, transforms, classifiers = tables_by_comparison(cells)
        info = members[0].info
        above = Heading(info.dataset, info.protocol, info.leaky, _unusual(members[0]), "test")
        name = "accuracy_table" if len(tables) == 1 else "_".join(["accuracy_table", *filter(None, key)])
        save_png(accuracy_table_figure(accuracy, transforms, classifiers, above), folder / f"{name}.png")


def write_space_of_best(folder: Path, runs: Sequence[RunReport]) -> None:
    """Write the pictures of :func:`genre.commands.space.write_space` for the model that was best on validation."""
    from hydra.utils import instantiate

    from genre.classical.model import load_classical
    from genre.commands.classical import MODEL_FILE
    from genre.commands.console import console
    from genre.commands.features import load_features
    from genre.commands.space import write_space

    honest = [run for run in runs if not run.info.leaky] or list(runs)
    best = max(honest, key=lambda run: run.val.track_accuracy if run.val else -1.0)
    cfg: Any = OmegaConf.load(best.folder / "config.yaml")
    features = load_features(cfg)
    deal = instantiate(cfg.protocol).deal(features.table)
    write_space(folder, load_classical(best.folder / MODEL_FILE), features, deal, best.info)
    console.print(f"{best.info.model} was best on validation: see feature_importance.png in {folder}", markup=False)


def _choices(run: RunReport) -> tuple[str, str]:
    """Return transform and classifier of a run, as its ``config.yaml`` says."""
    names = _hydra_choices(run)
    return str(names["transform"]), str(names["classifier"])


def _unusual(run: RunReport) -> str:
    """Return what a model's name has before transform and classifier: another scaler, another set of features."""
    return run.info.model.removesuffix("_".join(_choices(run))).rstrip("_")


def _hydra_choices(run: RunReport) -> Any:
    return OmegaConf.load(run.folder / ".hydra" / "hydra.yaml").hydra.runtime.choices
