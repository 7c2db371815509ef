"""Writing a model as a program for other places: what ``infer.py export=torch`` does."""

from __future__ import annotations

import os
import shutil
import uuid
from pathlib import Path

from genre.commands.console import note
from genre.errors import CheckpointError
from genre.inference.export import TOLERANCE, export_program, largest_difference, trial_clips
from genre.inference.predictor import Predictor


def export(predictor: Predictor, folder: Path) -> None:
    """Write ``model.pt2`` into a folder, try it on ten clips and say where it is.

    An older one stays as it is until the new one has been tried.

    Raises
    ------
    GenreError
        If the model cannot be exported, or the program says something else than the model.
    """
    path = folder / "model.pt2"
    untried = folder / f".{uuid.uuid4().hex[:12]}" / path.name
    clips = trial_clips(predictor.clips.length, predictor.clips.sample_rate)
    try:
        export_program(predictor, untried)
        difference = largest_difference(untried, predictor, clips)
        if not difference <= TOLERANCE:
            raise CheckpointError(
                f"the exported program differs from the model by {difference:.1e}, more than {TOLERANCE:g}; "
                "use the checkpoint"
            )
        os.replace(untried, path)
    finally:
        shutil.rmtree(untried.parent, ignore_errors=True)
    note(f"on {len(clips)} clips its probabilities are the model's within {difference:.1e}")
    print(path)
