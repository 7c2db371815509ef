"""A network and its front end as one program: samples in, probabilities out, without any code of ours."""

from __future__ import annotations

import json
import warnings
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from genre.errors import ConfigError
from genre.features.filters import mel_filters
from genre.features.handcrafted import FEATURE_NAMES
from genre.features.sets import HANDCRAFTED, compute_features
from genre.features.spectrogram import LogMel
from genre.inference.predictor import DeepPredictor, Ensemble, Predictor

TOLERANCE = 1e-4
"""Largest difference between a program's probabilities and the model's that is accepted."""

DESCRIPTION = "genre.json"
"""Name of the description inside an exported program."""


class TorchLogMel(nn.Module):
    """:class:`genre.features.spectrogram.LogMel` in torch operations, for clips at its own rate.

    Parameters
    ----------
    frontend
        The settings.
    """

    window: torch.Tensor
    filters: torch.Tensor

    def __init__(self, frontend: LogMel) -> None:
        super().__init__()
        self.n_fft = frontend.n_fft
        self.hop_length = frontend.hop_length
        self.ref = frontend.ref
        self.amin = frontend.amin
        self.top_db = frontend.top_db
        fmax = frontend.sample_rate / 2 if frontend.fmax is None else frontend.fmax
        filters = mel_filters(frontend.sample_rate, frontend.n_fft, frontend.n_mels, frontend.fmin, fmax)
        self.register_buffer("window", torch.hann_window(frontend.n_fft, periodic=True, dtype=torch.float64))
        self.register_buffer("filters", torch.from_numpy(filters))

    def forward(self, samples: torch.Tensor) -> torch.Tensor:
        """Return levels in dB, shape (B, 1, n_mels, frames), of clips (B, n_samples).

        The transform is computed in double precision, as that of :mod:`genre.features.stft` is.
        """
        spectrum = torch.stft(
            samples.double(),
            self.n_fft,
            self.hop_length,
            window=self.window,
            center=True,
            pad_mode="constant",
            return_complex=True,
        )
        power = self.filters @ spectrum.abs().float().square()
        loudest = power.amax(dim=(1, 2), keepdim=True)
        ref = loudest if self.ref == "max" else torch.full_like(loudest, float(self.ref))
        level = 10 * torch.log10(power.clamp(min=self.amin)) - 10 * torch.log10(ref.clamp(min=self.amin))
        if self.top_db is not None:
            level = torch.maximum(level, level.amax(dim=(1, 2), keepdim=True) - self.top_db)
        return level.unsqueeze(1)


class Program(nn.Module):
    """Front end, network and calibration in a row.

    Parameters
    ----------
    predictor
        A network on log-mel spectrograms.

    Raises
    ------
    ConfigError
        If it cannot be written as one program.
    """

    def __init__(self, predictor: Predictor) -> None:
        super().__init__()
        if not isinstance(predictor, DeepPredictor):
            kind = "an ensemble" if isinstance(predictor, Ensemble) else "no network"
            raise ConfigError(f"export takes one network, and this is {kind}; give one checkpoint")
        frontend, rate = predictor.frontend, predictor.clips.sample_rate
        if not isinstance(frontend, LogMel) or frontend.sample_rate != rate:
            raise ConfigError(
                f"export knows log-mel spectrograms at the rate of the clips only, not {frontend.name} at "
                f"{frontend.sample_rate} Hz; train with frontend=logmel"
            )
        if predictor.model.uses_passages:
            raise ConfigError(
                f"export takes single clips, and this model hears passages of {predictor.clips.passage_sec:g} s, too; "
                "train with model.use_passages=false"
            )
        self.frontend = TorchLogMel(frontend)
        self.model = predictor.model
        self.n_features = len(self.model.feature_mean)

    def forward(self, samples: torch.Tensor, features: torch.Tensor | None = None) -> torch.Tensor:
        """Return calibrated probabilities (B, classes).

        Parameters
        ----------
        samples : shape=(B, n_samples)
            Clips at the model's rate.
        features : shape=(B, 57)
            Their features; only of a model that uses them.
        """
        if features is None:
            features = samples.new_zeros(samples.shape[0], self.n_features)
        return self.model.probabilities(self.model(self.frontend(samples), features))


def export_program(predictor: Predictor, path: Path) -> None:
    """Write a model as a ``torch.export`` program that takes the float32 samples of one clip, (1, clip length).

    ``torch.export.load(path).module()(samples)`` runs it. Its extra file ``genre.json`` holds labels and clips. A model
    that uses the 57 features takes them as a second input, (1, 57): they are those of librosa, see docs/FEATURES.md.

    Raises
    ------
    ConfigError
        If the model cannot be written as one program.
    """
    program = Program(predictor).eval()
    example: tuple[torch.Tensor, ...] = (torch.zeros(1, predictor.clips.length),)
    if program.model.uses_features:
        example = (*example, torch.zeros(1, program.n_features))
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")
        exported = torch.export.export(program, example)
        path.parent.mkdir(parents=True, exist_ok=True)
        torch.export.save(exported, path, extra_files={DESCRIPTION: json.dumps(description(predictor))})


def description(predictor: Predictor) -> dict[str, object]:
    """Return what a user of a program has to know."""
    clips = predictor.clips
    features = {}
    if isinstance(predictor, DeepPredictor) and predictor.model.uses_features:
        features = {"second_input": "float32 (1, 57), the features of the clip", "features": list(FEATURE_NAMES)}
    return {
        "model": predictor.name,
        "labels": list(predictor.labels),
        "sample_rate": clips.sample_rate,
        "clip_samples": clips.length,
        "input": "float32 (1, clip_samples), mono, full scale 1",
        **features,
        "output": "float32 (1, labels), probabilities",
    }


def largest_difference(path: Path, predictor: Predictor, clips: NDArray[np.float32]) -> float:
    """Return how far a written program's probabilities are from the model's, at most, over clips (n, clip length)."""
    program = torch.export.load(path).module()
    inputs = [torch.from_numpy(clips)]
    if isinstance(predictor, DeepPredictor) and predictor.model.uses_features:
        inputs.append(torch.from_numpy(compute_features(HANDCRAFTED, clips, predictor.clips.sample_rate)))
    with torch.no_grad():
        ours = np.concatenate([program(*(each[i : i + 1] for each in inputs)).numpy() for i in range(len(clips))])
    return float(np.abs(ours - predictor.probabilities(clips)).max())


def trial_clips(n_samples: int, sample_rate: int) -> NDArray[np.float32]:
    """Return ten clips to try a program on, shape (10, n_samples): chords, sweeps, clicks and noise, loud and soft."""
    random = np.random.default_rng(0)
    time = np.arange(n_samples) / sample_rate
    chord = sum(np.sin(2 * np.pi * hz * time) for hz in (110.0, 277.2, 329.6, 880.0)) / 8
    sweep = 0.5 * np.sin(2 * np.pi * 0.1 * sample_rate / time[-1] * time**2)
    clicks = (np.arange(n_samples) % max(1, sample_rate // 4) == 0) * 0.8 + 0.01 * random.standard_normal(n_samples)
    sounds = [level * sound for sound in (chord, sweep, clicks) for level in (1.0, 0.1, 0.001)]
    sounds.append(0.2 * random.standard_normal(n_samples))
    return np.asarray(sounds, dtype=np.float32)
