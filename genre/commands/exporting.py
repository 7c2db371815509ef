"""Writing a model as a program for other places: what ``infer.py export=torch`` does."""

from __future__ import annotations

from pathlib import Path

from genre.commands.console import note
from genre.errors import CheckpointError
from genre.inference.export import TOLERANCE, export_program, largest_difference, trial_clips
from genre.inference.predictor import Predictor


def export(predictor: Predictor, folder: Path) -> None:
    """Write ``model.pt2`` into a folder, try it on ten clips and say where it is.

    Raises
    ------
    GenreError
        If the model cannot be exported, or the program says something else than the model.
    """
    path = folder / "model.pt2"
    export_program(predictor, path)
    clips = trial_clips(predictor.clips.length, predictor.clips.sample_rate)
    difference = largest_difference(path, predictor, clips)
    if not difference <= TOLERANCE:
        path.unlink()
        raise CheckpointError(
            f"the exported program differs from the model by {difference:.1e}, more than {TOLERANCE:g}; "
            "use the checkpoint"
        )
    note(f"on {len(clips)} clips its probabilities are the model's within {difference:.1e}")
    print(path)
