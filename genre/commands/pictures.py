"""Pictures of what a model has heard, gathered while it listens so that the length of the sound does not matter."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from genre.audio.files import shown
from genre.commands.listing import Answer
from genre.evaluation.canvas import save_png
from genre.evaluation.timeline import Spectrogram, Timeline, denoise_figure, timeline_figure
from genre.inference.files import FilePrediction
from genre.inference.frames import Overview, SpectrogramOverview

LONGEST_STEM = 200
"""Bytes of a file's name that its pictures are called by; with what is added, file systems take no more than 255."""


class Pictures:
    """Looks at the sound before and after denoising.

    Parameters
    ----------
    sample_rate
        In Hz.
    wanted
        ``"timeline"``, ``"denoise"``, both or none.
    """

    def __init__(self, sample_rate: int, wanted: Sequence[str]) -> None:
        self._wanted = wanted
        self._noisy = SpectrogramOverview(sample_rate)
        self._noise = SpectrogramOverview(sample_rate)
        self._denoised = SpectrogramOverview(sample_rate)
        self._waiting = np.zeros(0, np.float32)

    def raw(self, samples: NDArray[np.float32]) -> None:
        """Take some more samples as they came, shape (n,)."""
        if "denoise" in self._wanted:
            self._noisy.push(samples)
            self._waiting = np.concatenate([self._waiting, samples])

    def clean(self, samples: NDArray[np.float32]) -> None:
        """Take the same samples after denoising, which may come later."""
        if self._wanted:
            self._denoised.push(samples)
        if "denoise" in self._wanted:
            self._noise.push(self._waiting[: len(samples)] - samples)
            self._waiting = self._waiting[len(samples) :]

    def of_file(self, answer: Answer, labels: Sequence[str], folder: Path) -> None:
        """Write the pictures of a file into a folder, under its name."""
        prediction = answer.prediction
        title = shown(prediction.path.name)
        stem = _free_stem(folder, prediction.path.stem)
        if "timeline" in self._wanted:
            self.timeline(
                folder / f"{stem}.timeline.png",
                Timeline(*_stretches(prediction), labels),
                title=title,
                subtitle=_said(answer),
            )
        if "denoise" in self._wanted:
            self.denoising(folder / f"{stem}.denoise.png", title)

    def timeline(self, path: Path, timeline: Timeline, *, title: str, subtitle: str) -> None:
        """Write the probabilities over time above the spectrogram."""
        save_png(timeline_figure(timeline, _drawable(self._denoised), title=title, subtitle=subtitle), path)

    def denoising(self, path: Path, title: str) -> None:
        """Write the sound before and after denoising and what was taken out."""
        noisy, noise, denoised = (_drawable(view) for view in (self._noisy, self._noise, self._denoised))
        save_png(denoise_figure(noisy, noise, denoised, title=title), path)


class VerdictHistory:
    """Verdicts over time, of a session of any length.

    Parameters
    ----------
    n_classes
        Genres.
    hop_sec
        Seconds from verdict to verdict.
    window_sec
        Seconds that the first verdict rests on.
    """

    def __init__(self, n_classes: int, hop_sec: float, window_sec: float) -> None:
        self._overview = Overview(n_classes)
        self._hop_sec = hop_sec
        self._window_sec = window_sec
        self._first: float | None = None
        self._last = 0.0
        self._known = np.zeros(n_classes)

    def add(self, seconds: float, probabilities: NDArray[np.float64]) -> None:
        """Take the next verdict; where some were left out, the last one held until then."""
        if self._first is None:
            self._first = seconds
        else:
            for _ in range(round((seconds - self._last) / self._hop_sec) - 1):
                self._overview.add(self._known[:, np.newaxis])
        self._last, self._known = seconds, probabilities
        self._overview.add(probabilities[:, np.newaxis])

    @property
    def probabilities(self) -> NDArray[np.float32]:
        """Shape (n, n_classes)."""
        return self._overview.columns.T

    @property
    def edges(self) -> NDArray[np.float64]:
        """Where each stretch begins, and the end of the last, in seconds, shape (n + 1,)."""
        first = self._first or 0.0
        width = self._hop_sec * self._overview.per_mean
        ends = first - self._hop_sec + width * np.arange(1, self._overview.columns.shape[1] + 1)
        return np.concatenate([[first - self._window_sec], ends])


def _stretches(prediction: FilePrediction) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return edges and probabilities of stretches of time: those of clips, and of nothing (NaN) where all is silent."""
    start, unknown = prediction.start_sec, np.full(prediction.clip_probabilities.shape[1], np.nan)
    edges, rows = [start[0]], []
    for number, probabilities in enumerate(prediction.clip_probabilities):
        end = start[number] + prediction.clip_sec
        following = start[number + 1] if number + 1 < len(start) else end
        rows.append(probabilities)
        edges.append(min(end, following))
        if following > end + 1e-6:
            rows.append(unknown)
            edges.append(following)
    return np.array(edges), np.array(rows)


def _drawable(view: SpectrogramOverview) -> Spectrogram:
    return Spectrogram(view.levels, view.seconds, view.band_hz)


def _said(answer: Answer) -> str:
    decision = answer.decision
    return f"{decision.label} {100 * decision.probability:.0f} %{', unsure' if decision.unsure else ''}"


def _free_stem(folder: Path, stem: str) -> str:
    """Return a name under which there are no pictures yet: files of two folders may be called the same."""
    stem = shown(stem).encode()[:LONGEST_STEM].decode(errors="ignore")
    taken = {path.name.partition(".timeline.png")[0].partition(".denoise.png")[0] for path in folder.glob("*.png")}
    number, free = 2, stem
    while free in taken:
        free, number = f"{stem} ({number})", number + 1
    return free
