"""A trained model on audio files of any length."""

from __future__ import annotations

import os
from collections import deque
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from genre.audio.blocks import AudioBlocks
from genre.audio.files import Listing, list_audio, shown
from genre.audio.health import MIN_SEC, Extent, Reason, check_extent, check_range
from genre.data.clips import ClipSpec, with_sound
from genre.data.cutting import ClipCutter
from genre.data.passages import PassageRows
from genre.errors import AudioError, DataError
from genre.inference.denoise import Denoiser, NoDenoising
from genre.inference.intake import Intake, Sink, no_sink
from genre.inference.memory import return_freed_memory
from genre.inference.predictor import Predictor

BATCH_CLIPS = 16
"""Clips given to a model at once."""

BLOCKS_BETWEEN_RETURNS = 8
"""Blocks after which freed memory is returned: a minute or more of sound."""


@dataclass(frozen=True, eq=False)
class FilePrediction:
    """What a model says of a file.

    Parameters
    ----------
    path
        The file.
    seconds
        Its length.
    start_sec : shape=(n_clips,)
        Where each clip starts; silent clips are left out, as they are in training.
    clip_sec
        Length of a clip.
    clip_probabilities : shape=(n_clips, classes)
        Of each clip.
    truncated
        Whether the file ends earlier than it says.
    """

    path: Path
    seconds: float
    start_sec: NDArray[np.float64]
    clip_sec: float
    clip_probabilities: NDArray[np.float64]
    truncated: bool = False

    @property
    def probabilities(self) -> NDArray[np.float64]:
        """Mean over the clips, shape (classes,)."""
        mean: NDArray[np.float64] = self.clip_probabilities.mean(axis=0)
        return mean


def predict_file(
    path: str | os.PathLike[str],
    predictor: Predictor,
    denoiser: Denoiser,
    *,
    clips: ClipSpec | None = None,
    raw: Sink = no_sink,
    clean: Sink = no_sink,
) -> FilePrediction:
    """Decode, resample, denoise, cut and predict one file, block by block: memory does not grow with its length.

    Without denoising the clips and their probabilities are those of the training run's ``predictions.csv``.

    Parameters
    ----------
    path
        The file.
    predictor
        The model.
    denoiser
        A new one, for this file.
    clips
        How to cut, at the predictor's rate and clip length; by default as it was trained.
    raw, clean
        Are given the sound at the predictor's rate before and after denoising.

    Raises
    ------
    AudioError
        When the file cannot be used, with the reason.
    """
    clips = predictor.clips if clips is None else clips
    blocks = AudioBlocks(path)
    intake = Intake(blocks.sample_rate, clips.sample_rate, denoiser, raw=raw, clean=clean)
    judged = _JudgedClips(path, predictor, clips)
    extent = Extent()
    for number, block in enumerate(blocks, start=1):
        extent = extent.with_block(block)
        check_range(extent, name=path)
        judged.push(intake.push(block))
        if number % BLOCKS_BETWEEN_RETURNS == 0:
            return_freed_memory()
    check_extent(extent, blocks, name=path)
    seconds = extent.n_samples / blocks.sample_rate
    if intake.lead_in and seconds - intake.lead_in / clips.sample_rate < MIN_SEC:
        raise _too_little(path, seconds, intake.lead_in / clips.sample_rate)
    judged.push(intake.finish())
    judged.finish()
    if judged.n_cut and not judged.probabilities:
        raise _only_silent_clips(path, clips, denoiser)
    if not judged.probabilities:
        raise _no_clip(path, seconds, clips, intake.lead_in / clips.sample_rate)
    return FilePrediction(
        path=Path(path),
        seconds=seconds,
        start_sec=(np.concatenate(judged.starts) + intake.lead_in) / clips.sample_rate,
        clip_sec=clips.clip_sec,
        clip_probabilities=np.concatenate(judged.probabilities),
        truncated=blocks.truncated,
    )


class _JudgedClips:
    """What a model says of the clips of a file whose sound comes in pieces.

    A model that hears passages, too, judges a clip when its passage has been heard to its end; until then it waits.

    Parameters
    ----------
    path
        The file, for sentences.
    predictor
        The model.
    clips
        How to cut.

    Attributes
    ----------
    starts, probabilities : list of arrays
        First samples of the clips that have sound, and their probabilities.
    n_cut : int
        Clips so far, with those that are silent.
    """

    def __init__(self, path: str | os.PathLike[str], predictor: Predictor, clips: ClipSpec) -> None:
        self._path = path
        self._predictor = predictor
        self._cutter = ClipCutter(clips)
        sec = predictor.needs.passage_sec
        self._passages = None if sec is None else PassageRows(replace(clips, passage_sec=sec))
        self._waiting: deque[tuple[NDArray[np.float32], NDArray[np.int64]]] = deque()
        self.starts: list[NDArray[np.int64]] = []
        self.probabilities: list[NDArray[np.float64]] = []
        self.n_cut = 0

    def push(self, samples: NDArray[np.float32]) -> None:
        """Take some more samples, shape (n,), at the rate of the clips."""
        self._waiting.append(self._cutter.push(samples))
        if self._passages is not None:
            self._passages.push(samples)
        self._judge()

    def finish(self) -> None:
        """Take the end of the file."""
        if self._passages is not None:
            self._passages.finish()
        self._waiting.append(self._cutter.finish())
        self._judge()

    def _judge(self) -> None:
        for clips, starts in (self._waiting.popleft() for _ in range(len(self._waiting))):
            # those whose passage is known come first
            n_known = len(starts) if self._passages is None else int(self._passages.known(starts).sum())
            self._judge_some(clips[:n_known], starts[:n_known])
            if n_known < len(starts):
                self._waiting.append((clips[n_known:], starts[n_known:]))

    def _judge_some(self, clips: NDArray[np.float32], starts: NDArray[np.int64]) -> None:
        rows = np.flatnonzero(with_sound(clips))
        for first in range(0, len(rows), BATCH_CLIPS):
            some = rows[first : first + BATCH_CLIPS]
            passages = None if self._passages is None else self._passages.of_clips(starts[some])
            self.probabilities.append(_probabilities(self._predictor, clips[some], passages, self._path))
        self.starts.append(starts[rows])
        self.n_cut += len(clips)


def _probabilities(
    predictor: Predictor,
    batch: NDArray[np.float32],
    passages: NDArray[np.float32] | None,
    path: str | os.PathLike[str],
) -> NDArray[np.float64]:
    try:
        with np.errstate(over="ignore", invalid="ignore"):
            probabilities = predictor.probabilities(batch, passages)
    except DataError as error:
        said = str(error).rstrip(".")
        raise AudioError(
            f"{shown(path)} cannot be classified ({said}): export it again.", reason=Reason.NON_FINITE
        ) from error
    if not np.isfinite(probabilities).all():
        raise AudioError(
            f"{shown(path)} holds samples far beyond full scale: export it again.", reason=Reason.NON_FINITE
        )
    return probabilities


def _too_little(path: str | os.PathLike[str], seconds: float, lead_in_sec: float) -> AudioError:
    return AudioError(
        f"{shown(path)} lasts {seconds:.2f} s, which after {lead_in_sec:g} s of noise is less than {MIN_SEC:g} s: "
        "give a longer recording, or a smaller denoise.noise_sec.",
        reason=Reason.TOO_SHORT,
    )


def _only_silent_clips(path: str | os.PathLike[str], clips: ClipSpec, denoiser: Denoiser) -> AudioError:
    remedy = (
        "cut off the silence" if isinstance(denoiser, NoDenoising) else "choose denoise=none, or cut off the silence"
    )
    return AudioError(
        f"{shown(path)} cannot be classified (all its clips of {clips.clip_sec:g} s are silent): {remedy}.",
        reason=Reason.SILENT,
    )


def _no_clip(path: str | os.PathLike[str], seconds: float, clips: ClipSpec, lead_in_sec: float) -> AudioError:
    after = f" after {lead_in_sec:g} s of noise" if lead_in_sec else ""
    return AudioError(
        f"{shown(path)} lasts {seconds:.2f} s, which{after} is less than one clip of {clips.clip_sec:g} s: "
        "give a longer recording.",
        reason=Reason.TOO_SHORT,
    )


def files_of(path: str | os.PathLike[str]) -> Listing:
    """Return the audio files that a path stands for: a folder's, at any depth, or the file itself.

    Raises
    ------
    DataError
        If a folder holds no audio that can be decoded.
    """
    path = Path(path)
    if not path.is_dir():
        return Listing(audio=[path])
    found = list_audio(path)
    if not found.audio:
        hint = "there is no audio in it"
        if found.foreign:
            hint = "its audio is in formats that cannot be decoded"
        elif found.closed:
            hint = f"{shown(found.closed[0])} may not be listed"
        raise DataError(f"the folder {shown(path)} holds nothing to listen to ({hint}): give another, or audio files")
    return found
