"""Pictures of what a classical model listens to, and of the space of its features."""

from __future__ import annotations

from pathlib import Path

from genre.classical.explain import feature_space, importance
from genre.classical.model import ClassicalModel
from genre.commands.console import work_bar
from genre.data.feature_set import FeatureSet
from genre.data.protocols import Deal
from genre.evaluation.canvas import save_png
from genre.evaluation.files import write_csv
from genre.evaluation.report import RunInfo, heading
from genre.evaluation.sweep_plots import clusters_figure, feature_space_figure, importance_figure


def write_space(folder: Path, model: ClassicalModel, features: FeatureSet, deal: Deal, info: RunInfo) -> None:
    """Write ``feature_importance.csv`` and ``.png``, ``feature_space.png`` and ``feature_clusters.png``.

    Importance is measured on a bounded number of validation clips, drawn over the tracks, and says of how many; the
    space is that of training clips. Test clips are not looked at.

    Parameters
    ----------
    folder
        Where they are written.
    model
        The fitted model.
    features, deal
        The clips and their sides.
    info
        Facts of the run, for the headings.
    """
    val = deal.val
    with work_bar("importance of features") as progress:
        weight = importance(
            model, features.values[val], features.label[val], features.track[val], seed=info.seed, progress=progress
        )
    order = sorted(range(len(features.names)), key=lambda column: -weight.drop[column])
    measured = weight.n_clips, weight.repeats
    rows = [
        (features.names[column], f"{weight.drop[column]:.6f}", f"{weight.spread[column]:.6f}", *measured)
        for column in order
    ]
    write_csv(
        folder / "feature_importance.csv", [("feature", "accuracy_lost", "deviation", "clips", "shuffles"), *rows]
    )
    above = heading(info, "val")
    figure = importance_figure(
        features.names, weight.drop, weight.spread, above, n_clips=weight.n_clips, repeats=weight.repeats
    )
    save_png(figure, folder / "feature_importance.png")
    label = features.label[deal.train]
    space = feature_space(features.values[deal.train], label, seed=info.seed)
    above = heading(info, "train")
    save_png(
        feature_space_figure(space.points, label, features.labels, space.explained, above),
        folder / "feature_space.png",
    )
    save_png(
        clusters_figure(space.cluster, label, features.labels, space.agreement, above),
        folder / "feature_clusters.png",
    )
