"""The clips a model was most sure and most wrong about, kept with their sound in the folder of a run.

``hardest/clips.csv`` names them; ``hardest/1.flac`` is what was heard and ``hardest/1.png`` what the spectrogram shows.
Whoever can decode audio gives sound and picture; here they are only kept and found again.
"""

from __future__ import annotations

import csv
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from genre.evaluation.files import atomic, write_csv
from genre.evaluation.predictions import Predictions

FOLDER = "hardest"
TABLE = "clips.csv"
COLUMNS = ("track", "start_sec", "label", "predicted", "probability", "fault")
MOST = 8


@dataclass(frozen=True, slots=True)
class HardClip:
    """A clip that was classified wrong.

    Parameters
    ----------
    track, start_sec
        Where it is: name of the track, and seconds from its start.
    label, predicted
        What it is, and what was said.
    probability
        Of what was said.
    fault
        Why it cannot be heard; empty if it can.
    sound
        A FLAC file.
    spectrogram
        A PNG picture.
    """

    track: str
    start_sec: float
    label: str
    predicted: str
    probability: float
    fault: str = ""
    sound: bytes = b""
    spectrogram: bytes = b""


def hardest(predictions: Predictions, most: int = MOST) -> list[HardClip]:
    """Return the most confident mistakes, the worst first, at most one a track; nothing can be heard of them yet."""
    confidence, wrong = predictions.confidence, ~predictions.correct
    order = [int(row) for row in np.argsort(-confidence, kind="stable") if wrong[row]]
    first = list({predictions.track[row]: row for row in reversed(order)}.values())
    return [
        HardClip(
            track=predictions.track[row],
            start_sec=float(predictions.start_sec[row]),
            label=predictions.labels[predictions.label[row]],
            predicted=predictions.labels[predictions.predicted[row]],
            probability=float(confidence[row]),
        )
        for row in sorted(first, key=lambda row: (-confidence[row], row))[:most]
    ]


def write_hardest(run: Path, clips: Sequence[HardClip]) -> None:
    """Keep clips in the folder of a run, in the place of earlier ones.

    Raises
    ------
    DataError
        When a file cannot be written.
    """
    folder = run / FOLDER
    shutil.rmtree(folder, ignore_errors=True)
    for number, clip in enumerate(clips, start=1):
        for suffix, content in ((".flac", clip.sound), (".png", clip.spectrogram)):
            if content:
                with atomic(folder / f"{number}{suffix}") as temporary:
                    temporary.write_bytes(content)
    rows = [
        (clip.track, f"{clip.start_sec:g}", clip.label, clip.predicted, f"{clip.probability:.4f}", clip.fault)
        for clip in clips
    ]
    write_csv(folder / TABLE, [COLUMNS, *rows])


def read_hardest(run: Path) -> list[HardClip] | None:
    """Read what :func:`write_hardest` wrote; None if there is nothing, or nothing whole."""
    folder = run / FOLDER
    try:
        with (folder / TABLE).open(encoding="utf-8", errors="surrogateescape", newline="") as file:
            rows = list(csv.DictReader(file))
        return [
            HardClip(
                track=row["track"],
                start_sec=float(row["start_sec"]),
                label=row["label"],
                predicted=row["predicted"],
                probability=float(row["probability"]),
                fault=row["fault"],
                sound=_bytes(folder / f"{number}.flac"),
                spectrogram=_bytes(folder / f"{number}.png"),
            )
            for number, row in enumerate(rows, start=1)
        ]
    except (OSError, ValueError, KeyError, TypeError, csv.Error):
        return None


def _bytes(path: Path) -> bytes:
    return path.read_bytes() if path.is_file() else b""
