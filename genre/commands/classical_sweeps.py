"""What a multirun of ``sweep_classical.py`` leaves beside the table of its runs: pictures over all of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from omegaconf import OmegaConf

from genre.commands.sweeps import SweepReport
from genre.evaluation.files import file_names
from genre.evaluation.variants import differing

if TYPE_CHECKING:
    from genre.evaluation.failed import FailedRun
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

    The mean is over seeds and folds only. Where a sweep has several data sets, protocols, scalers or values of any
    other setting, each has a picture of its own, whose name says which; several values of a setting of one transform
    or classifier have columns or rows of their own.
    """
    from genre.evaluation.canvas import Heading, save_png
    from genre.evaluation.sweep_plots import accuracy_table_figure, tables_by_comparison

    tables = _tables(runs)
    which = [(*key[:3], *(text.replace("=", "") for text in key[3])) if len(tables) > 1 else () for key in tables]
    names = file_names(("accuracy_table", *parts) for parts in which)
    for ((dataset, protocol, unusual, others), members), name in zip(tables.items(), names, strict=True):
        tested = [run for run in members if run.test is not None]
        pairs = zip(_names(tested, "transform"), _names(tested, "classifier"), strict=True)
        cells = [(*pair, run.test.track_accuracy) for pair, run in zip(pairs, tested, strict=True) if run.test]
        accuracy, transforms, classifiers = tables_by_comparison(cells)
        above = Heading(dataset, protocol, members[0].info.leaky, " ".join(filter(None, (unusual, *others))), "test")
        save_png(accuracy_table_figure(accuracy, transforms, classifiers, above), folder / f"{name}.png")


def _tables(runs: Sequence[RunReport]) -> dict[tuple[str, str, str, tuple[str, ...]], list[RunReport]]:
    """Return the runs of each table: by data set, protocol, what is unusual, and all other settings that differ."""
    alike: dict[tuple[str, str, str], list[RunReport]] = {}
    for run in runs:
        alike.setdefault((run.info.dataset, run.info.protocol, _unusual(run)), []).append(run)
    tables: dict[tuple[str, str, str, tuple[str, ...]], list[RunReport]] = {}
    for key, members in alike.items():
        for run, others in zip(members, _told([_around(run) for run in members]), strict=True):
            tables.setdefault((*key, others), []).append(run)
    return tables


def _around(run: RunReport) -> dict[str, Any]:
    """Return the settings of a run beside those of its transform and its classifier."""
    return {name: value for name, value in run.settings.items() if not name.startswith(("transform.", "classifier."))}


def _names(runs: Sequence[RunReport], group: str) -> list[str]:
    """Return what each run has chosen for a group, with those settings of it in which others of that choice differ."""
    chosen = [str(_hydra_choices(run)[group]) for run in runs]
    names = list(chosen)
    for choice in set(chosen):
        places = [place for place, other in enumerate(chosen) if other == choice]
        own = [{n: v for n, v in runs[place].settings.items() if n.startswith(f"{group}.")} for place in places]
        for place, others in zip(places, _told(own), strict=True):
            names[place] = " ".join((choice, *others))
    return names


def _told(settings: Sequence[Mapping[str, Any]]) -> list[tuple[str, ...]]:
    """Return, for each of several settings by dotted name, those in which they are not all alike, as ``name=value``."""
    short = differing(settings)
    return [tuple(f"{end}={one.get(name, 'unknown')}" for name, end in short.items()) for one in settings]


def write_space_of_best(folder: Path, runs: Sequence[RunReport]) -> None:
    """Write the pictures of :func:`genre.commands.space.write_space` for the model that was best on validation.

    They belong to the report: nothing is drawn with ``report=false``.
    """
    from hydra.utils import instantiate

    from genre.classical.model import load_classical
    from genre.commands.classical import MODEL_FILE
    from genre.commands.console import console
    from genre.commands.features import load_features
    from genre.commands.space import write_space
    from genre.evaluation.pages import best_run

    best = best_run(runs)
    if best is None:
        return
    cfg: Any = OmegaConf.load(best.folder / "config.yaml")
    if not cfg.get("report", True):
        return
    features = load_features(cfg)
    deal = instantiate(cfg.protocol).deal(features.table)
    write_space(folder, load_classical(best.folder / MODEL_FILE), features, deal, best.info)
    console.print(f"{_said_of(best, runs)}: see feature_importance.png in {folder}", markup=False)


def _said_of(best: RunReport, runs: Sequence[RunReport]) -> str:
    """Say that a run was best on validation, and how many others were just as good."""
    from genre.evaluation.pages import honest_runs, val_accuracy

    compared = honest_runs(runs)
    equal = sum(val_accuracy(run) == val_accuracy(best) for run in compared)
    if equal == 1:
        return f"{best.info.model} was best on validation"
    return f"{equal} of {len(compared)} runs were best on validation, {best.info.model} the first of them"


def _choices(run: RunReport) -> tuple[str, str]:
    """Return transform and classifier of a run, as its ``config.yaml`` says."""
    names = _hydra_choices(run)
    return str(names["transform"]), str(names["classifier"])


def _unusual(run: RunReport) -> str:
    """Return what a model's name has before transform and classifier: another scaler, another set of features."""
    return run.info.model.removesuffix("_".join(_choices(run))).rstrip("_")


def _hydra_choices(run: RunReport) -> Any:
    return OmegaConf.load(run.folder / ".hydra" / "hydra.yaml").hydra.runtime.choices
