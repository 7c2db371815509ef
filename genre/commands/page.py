"""The page of a run or a sweep: the sound of its mistakes is fetched from the audio files, then it is written."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from omegaconf import OmegaConf

from genre.errors import AudioError, GenreError
from genre.evaluation.hardest import FOLDER, HardClip, hardest, write_hardest
from genre.evaluation.pages import CONFIG_FILE, best_run, write_page
from genre.evaluation.predictions import Predictions
from genre.evaluation.report import PREDICTIONS_FILES, RunReport

SAMPLE_RATE = 22050
"""Of the sound in a page, in Hz."""


def write_run_page(folder: Path, paths: Mapping[str, Path], clip_sec: float) -> Path:
    """Keep the sound of the hardest clips in the folder of a run, and write its page.

    Parameters
    ----------
    folder
        Of the run; everything else is written already.
    paths
        The audio file of each track; none where there is no audio.
    clip_sec
        Length of a clip in seconds.

    Raises
    ------
    DataError
        When something cannot be written.
    """
    keep_hardest(folder, paths, clip_sec)
    return write_page(folder)


def before_page(folder: Path) -> str:
    """Return what there is to say if a run is interrupted while its page is written, which is done last."""
    return f"interrupted while the page was written: all other results are in {folder}"


def write_sweep_page(folder: Path, runs: Sequence[RunReport]) -> Path:
    """Write the page of a multirun, with the hardest clips of the run that was best on validation.

    Parameters
    ----------
    folder
        Of the multirun.
    runs
        Those that did not fail.

    Raises
    ------
    DataError
        When something cannot be written.
    """
    best = best_run(runs)
    if best is not None and not (best.folder / FOLDER).is_dir():
        kept: Any = OmegaConf.load(best.folder / CONFIG_FILE)
        keep_hardest(best.folder, _paths(kept), float(kept.data.get("clip_sec", 0.0)))
    return write_page(folder)


def keep_hardest(folder: Path, paths: Mapping[str, Path], clip_sec: float) -> None:
    """Keep the most confident mistakes on the test side in the folder of a run, with sound and spectrogram."""
    clips = hardest(Predictions.read_csv(folder / PREDICTIONS_FILES["test"]))
    write_hardest(folder, [_heard(clip, paths.get(clip.track), clip_sec) for clip in clips])


def _heard(clip: HardClip, path: Path | None, clip_sec: float) -> HardClip:
    from genre.audio.excerpt import excerpt

    if path is None:
        return replace(clip, fault="there is no audio file of it")
    try:
        samples = np.clip(excerpt(path, clip.start_sec, clip_sec, SAMPLE_RATE, name=clip.track), -1.0, 1.0)
    except AudioError as error:
        return replace(clip, fault=str(error))
    return replace(clip, sound=_flac(samples), spectrogram=_spectrogram(samples))


def _flac(samples: NDArray[np.float32]) -> bytes:
    import soundfile

    file = io.BytesIO()
    soundfile.write(file, samples, SAMPLE_RATE, format="FLAC", subtype="PCM_16")
    return file.getvalue()


def _spectrogram(samples: NDArray[np.float32]) -> bytes:
    """Return a PNG picture of the log-mel spectrogram, a pixel a value."""
    from matplotlib.image import imsave

    from genre.features.spectrogram import LogMel

    file = io.BytesIO()
    levels = LogMel().compute(samples[np.newaxis], SAMPLE_RATE)[0]
    imsave(file, levels, cmap="magma", origin="lower", format="png", metadata={"Software": "genre"})
    return file.getvalue()


def _paths(cfg: Any) -> Mapping[str, Path]:
    """Return the audio files of a run's data, as far as they are still there."""
    from hydra.utils import instantiate

    if "source" not in cfg.data:
        return {}
    try:
        return {track.file: track.path for track in instantiate(cfg.data.source).tracks}
    except GenreError:
        return {}
