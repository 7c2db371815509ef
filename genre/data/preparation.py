"""From one audio file to the arrays of its clips: what is done here shapes the values in a store."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from genre.audio.decode import Resampler, joined
from genre.audio.files import shown
from genre.audio.health import Reason
from genre.data.clips import ClipSpec, with_sound
from genre.data.cutting import ClipCutter
from genre.data.listening import CheckedBlocks
from genre.data.passages import PassageRows
from genre.errors import AudioError

Progress = Callable[[int, int, int], None]
"""Called with (tracks done, tracks in all, clips done): once when work begins, then after every track."""

KINDS = ("spectrogram", "features")
PASSAGE = "passage"


def kinds_of(clips: ClipSpec) -> tuple[str, ...]:
    """Return the arrays of a store of such clips: :data:`KINDS`, and that of their passages if it is asked for."""
    return KINDS if clips.passage_sec is None else (*KINDS, PASSAGE)


BLOCK_CLIPS = 64
"""Most clips computed at a time. A track is decoded, cut and computed piece by piece: what grows with its length is its
arrays alone."""


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
        Which arrays to compute, of those of :func:`kinds_of`.
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

    All of this goes piece by piece; only for a damaged copy are the samples of the whole track held.
    Silent clips are left out: they would be learnt, and counted, as music of the track's genre.

    Returns
    -------
    track
        Its entry in the store; ``reason`` says why if it cannot be used.
    arrays
        ``start`` (n_clips,) and one array of n_clips rows for each of ``job.kinds``; empty for a track without clips.
    """
    try:
        blocks = CheckedBlocks(job.path, name=job.file)
        rows = Rows(job)
        passages = PassageRows(job.clips) if PASSAGE in job.kinds else None
        n_cut = 0
        for clips, starts, heard in _cut(job.clips, _resampled(blocks, job.clips.sample_rate), passages):
            rows.add(clips, starts, np.flatnonzero(heard))
            n_cut += len(clips)
        track = _described(job, blocks)
        if n_cut == 0:
            raise _shorter_than_a_clip(track, job.clips)
        if not rows:
            raise _silent_clips(track, job.clips)
        arrays = rows.arrays()
        if passages is not None:
            arrays[PASSAGE] = passages.of_clips(arrays["start"])
            _require_finite(arrays[PASSAGE], job.file)
    except AudioError as error:
        return unusable(job.file, job.path, error, bytes_hash=job.bytes_hash), {}
    return replace(track, n_clips=len(arrays["start"])), arrays


def unusable(file: str, path: Path, error: AudioError, *, bytes_hash: str = "") -> PreparedTrack:
    """Return the entry of a file that cannot be used; its sentence names the track rather than where it lies."""
    detail = str(error).replace(shown(path), shown(file))
    return PreparedTrack(file, bytes_hash=bytes_hash, reason=str(error.reason), detail=detail)


def _resampled(blocks: CheckedBlocks, sample_rate: int) -> Iterator[NDArray[np.float32]]:
    """Yield the sound of a file at another rate, piece by piece."""
    resampler = Resampler(blocks.sample_rate, sample_rate)
    for block in blocks:
        yield resampler.push(block)
    yield resampler.finish()


def _cut(
    spec: ClipSpec, pieces: Iterable[NDArray[np.float32]], passages: PassageRows | None
) -> Iterator[tuple[NDArray[np.float32], NDArray[np.int64], NDArray[np.bool_]]]:
    """Yield clips as they become whole, shape (n, length), with their starts and whether they have sound.

    The sound of which they are is given to ``passages`` too, and its end, before the last of them are yielded.
    """
    hear = passages.push if passages is not None else lambda samples: None
    finish = passages.finish if passages is not None else lambda: None
    if type(spec) is not ClipSpec:  # a damaged copy: what befalls a track depends on all of it
        samples = joined(pieces)
        sound = spec.sound(samples)
        hear(sound)
        finish()
        yield *ClipSpec.cut(spec, sound), spec.with_sound(samples)
        return
    cutter = ClipCutter(spec)
    for piece in pieces:
        clips, starts = cutter.push(piece)
        hear(piece)
        yield clips, starts, with_sound(clips)
    finish()
    clips, starts = cutter.finish()
    yield clips, starts, with_sound(clips)


def _described(job: Job, blocks: CheckedBlocks) -> PreparedTrack:
    """Return what the recording is, once all of it was heard."""
    return PreparedTrack(
        file=job.file,
        bytes_hash=job.bytes_hash,
        content=blocks.content,
        seconds=round(blocks.seconds, 6),
        sample_rate=blocks.sample_rate,
        channels=blocks.channels,
        detail="ends early: used as far as it could be decoded" if blocks.truncated else "",
    )


class Rows:
    """The arrays of one track, which grow as its clips come; the clips themselves are not kept.

    Parameters
    ----------
    job
        Says what is computed.
    """

    def __init__(self, job: Job) -> None:
        self._job = job
        self._blocks: dict[str, list[NDArray[Any]]] = {kind: [] for kind in ("start", *job.kinds) if kind != PASSAGE}

    def __bool__(self) -> bool:
        return bool(self._blocks["start"])

    def add(self, clips: NDArray[np.float32], starts: NDArray[np.int64], rows: NDArray[np.int64]) -> None:
        """Compute the arrays of some rows of the clips, shape (n_clips, length)."""
        for first in range(0, len(rows), BLOCK_CLIPS):
            some = rows[first : first + BLOCK_CLIPS]
            with np.errstate(over="ignore", invalid="ignore"):
                computed = _compute(clips[some], self._job) if len(self._blocks) > 1 else {}
            for name, block in {"start": starts[some], **computed}.items():
                self._blocks[name].append(block)

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Return all arrays, once: nothing is held any more then.

        Raises
        ------
        AudioError
            If a value is not finite.
        """
        arrays = {name: _stacked(blocks) for name, blocks in self._blocks.items()}
        for array in arrays.values():
            _require_finite(array, self._job.file)
        return arrays


def _stacked(blocks: list[NDArray[Any]]) -> NDArray[Any]:
    """Return blocks of rows as one array; each is let go as soon as it is copied."""
    array = np.empty((sum(map(len, blocks)), *blocks[0].shape[1:]), blocks[0].dtype)
    at = len(array)
    while blocks:
        block = blocks.pop()
        array[at - len(block) : at] = block
        at -= len(block)
    return array


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


def _compute(clips: NDArray[np.float32], job: Job) -> dict[str, NDArray[Any]]:
    from genre.features.clips import at_rate
    from genre.features.extract import extract
    from genre.features.handcrafted import SAMPLE_RATE, handcrafted
    from genre.features.spectrogram import build_frontend

    rate = job.clips.sample_rate
    if set(KINDS) <= set(job.kinds):
        spectrogram, features = extract(clips, rate, build_frontend(job.frontend))
        return {"spectrogram": spectrogram, "features": features}
    if "features" in job.kinds:
        return {"features": handcrafted(at_rate(clips, rate, SAMPLE_RATE))}
    return {"spectrogram": build_frontend(job.frontend).compute(clips, rate)}
