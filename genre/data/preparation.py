"""From one audio file to the arrays of its clips: what is done here shapes the values in a store."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from genre.audio.decode import decode, resample
from genre.audio.files import shown
from genre.audio.health import Reason, check
from genre.data.clips import ClipSpec
from genre.errors import AudioError

Progress = Callable[[int, int, int], None]
"""Called with (tracks done, tracks in all, clips done): once when work begins, then after every track."""

KINDS = ("spectrogram", "features")

BLOCK_CLIPS = 64
"""Clips computed at a time, so that memory does not grow with the length of a track."""


@dataclass(frozen=True, slots=True)
class PreparedTrack:
    """What preparation found out about one file.

    ``reason`` is empty for a track that can be used, else one of the codes of :mod:`genre.audio.health`, and
    ``detail`` is then the sentence for the user. ``content`` is a hash of the decoded samples: equal content, equal
    hash, whatever the file format. ``seconds``, ``sample_rate`` and ``channels`` are those of the file.
    """

    file: str
    bytes_hash: str = ""
    content: str = ""
    seconds: float = 0.0
    sample_rate: int = 0
    channels: int = 0
    n_clips: int = 0
    reason: str = ""
    detail: str = ""

    @property
    def usable(self) -> bool:
        """Whether the track has clips."""
        return self.n_clips > 0

    def named(self, file: str) -> PreparedTrack:
        """Return the entry of the same recording under another name."""
        return replace(self, file=file, detail=self.detail.replace(shown(self.file), shown(file)))


@dataclass(frozen=True, slots=True)
class Job:
    """One track to prepare.

    Parameters
    ----------
    file, path
        The track's name, and where it is.
    bytes_hash, stamp
        Hash of the file's bytes, and what the file system said of it then (see :mod:`genre.data.content`).
    clips, frontend
        How it is cut; settings of the front end.
    kinds
        Which of :data:`KINDS` to compute.
    """

    file: str
    path: Path
    bytes_hash: str
    stamp: tuple[int, ...]
    clips: ClipSpec
    frontend: dict[str, Any]
    kinds: tuple[str, ...]


def prepare_track(job: Job) -> tuple[PreparedTrack, dict[str, NDArray[Any]]]:
    """Decode, check, resample and cut one track, and compute what is asked for from the very same clips.

    Silent clips are left out: they would be learnt, and counted, as music of the track's genre.

    Returns
    -------
    track
        Its entry in the store; ``reason`` says why if it cannot be used.
    arrays
        ``start`` (n_clips,) and one array of n_clips rows for each of ``job.kinds``; empty for a track without clips.
    """
    try:
        track, samples = _read(job)
        clips, starts = job.clips.cut(samples)
        if len(clips) == 0:
            raise _shorter_than_a_clip(track, job.clips)
        rows = np.flatnonzero(job.clips.with_sound(samples))
        if len(rows) == 0:
            raise _silent_clips(track, job.clips)
        arrays = _compute(clips, rows, job)
    except AudioError as error:
        return unusable(job.file, job.path, error, bytes_hash=job.bytes_hash), {}
    return replace(track, n_clips=len(rows)), {"start": starts[rows], **arrays}


def unusable(file: str, path: Path, error: AudioError, *, bytes_hash: str = "") -> PreparedTrack:
    """Return the entry of a file that cannot be used; its sentence names the track rather than where it lies."""
    detail = str(error).replace(shown(path), shown(file))
    return PreparedTrack(file, bytes_hash=bytes_hash, reason=str(error.reason), detail=detail)


def content_hash(samples: NDArray[np.float32]) -> str:
    """Return the hash of decoded samples."""
    return hashlib.sha256(np.ascontiguousarray(samples).data).hexdigest()[:32]


def _read(job: Job) -> tuple[PreparedTrack, NDArray[np.float32]]:
    """Return what the recording is, and its samples at the rate of the clips."""
    recording = decode(job.path)
    check(recording, name=job.file)
    track = PreparedTrack(
        file=job.file,
        bytes_hash=job.bytes_hash,
        content=content_hash(recording.samples),
        seconds=round(len(recording.samples) / recording.sample_rate, 6),
        sample_rate=recording.sample_rate,
        channels=recording.channels,
        detail="ends early: used as far as it could be decoded" if recording.truncated else "",
    )
    samples = resample(recording.samples, recording.sample_rate, job.clips.sample_rate)
    _require_finite(samples, job.file)
    return track, samples


def _require_finite(values: NDArray[Any], file: str) -> None:
    """Raise for samples so large (bytes of another format, taken for samples) that computing with them overflows."""
    if not np.isfinite(values).all():
        raise AudioError(
            f"{shown(file)} holds samples far beyond full scale: export it again.", reason=Reason.NON_FINITE
        )


def _shorter_than_a_clip(track: PreparedTrack, clips: ClipSpec) -> AudioError:
    return AudioError(
        f"{shown(track.file)} lasts {track.seconds:.2f} s, less than one clip of {clips.clip_sec:g} s: choose shorter "
        "clips, or data.short=pad or repeat, to keep it.",
        reason=Reason.TOO_SHORT,
    )


def _silent_clips(track: PreparedTrack, clips: ClipSpec) -> AudioError:
    return AudioError(
        f"{shown(track.file)} is silent but for a rest at its end that is less than one clip of {clips.clip_sec:g} s: "
        "choose shorter clips, or cut off the silence, to keep it.",
        reason=Reason.SILENT,
    )


def _compute(clips: NDArray[np.float32], rows: NDArray[np.int64], job: Job) -> dict[str, NDArray[Any]]:
    """Return the arrays of some rows of the clips."""
    with np.errstate(over="ignore", invalid="ignore"):
        blocks = [_compute_block(clips[block], job) for block in _blocks(rows)]
    arrays = {kind: np.concatenate([block[kind] for block in blocks]) for kind in job.kinds}
    for array in arrays.values():
        _require_finite(array, job.file)
    return arrays


def _blocks(rows: NDArray[np.int64]) -> Iterator[NDArray[np.int64]]:
    for first in range(0, len(rows), BLOCK_CLIPS):
        yield rows[first : first + BLOCK_CLIPS]


def _compute_block(clips: NDArray[np.float32], job: Job) -> dict[str, NDArray[Any]]:
    from genre.features.clips import at_rate
    from genre.features.extract import extract
    from genre.features.handcrafted import SAMPLE_RATE, handcrafted
    from genre.features.spectrogram import build_frontend

    rate = job.clips.sample_rate
    if set(job.kinds) == set(KINDS):
        spectrogram, features = extract(clips, rate, build_frontend(job.frontend))
        return {"spectrogram": spectrogram, "features": features}
    if "features" in job.kinds:
        return {"features": handcrafted(at_rate(clips, rate, SAMPLE_RATE))}
    return {"spectrogram": build_frontend(job.frontend).compute(clips, rate)}
