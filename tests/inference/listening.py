"""What the tests of inference share: small untrained networks, sound in pieces, signals."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import torch

from genre.data.clips import ClipSpec
from genre.features.spectrogram import LogMel
from genre.inference.predictor import DeepPredictor
from genre.models.base import GenreModule
from genre.models.cnn_gru import CNNGRU
from genre.models.late_fusion import LateFusion
from genre.models.mini_vgg import MiniVGG
from genre.models.resnet import ResNet34Fusion

RATE = 8000
LABELS = ("blues", "jazz", "metal")


def settings(clip_sec: float = 1.0, rate: int = RATE, labels: tuple[str, ...] = LABELS) -> dict[str, Any]:
    """What every small network needs."""
    frontend = LogMel(sample_rate=rate, n_fft=512, hop_length=128, n_mels=32)
    clips = ClipSpec(clip_sec=clip_sec, sample_rate=rate)
    return {"labels": list(labels), "frontend": frontend.settings(), "clips": clips.settings()}


def awake(model: GenreModule, seed: int = 0) -> GenreModule:
    """Give a network weights, statistics and a temperature that make its answers differ from clip to clip."""
    generator = torch.Generator().manual_seed(seed)
    for name, parameter in model.named_parameters():
        if parameter.ndim > 1:
            parameter.data = torch.randn(parameter.shape, generator=generator) / parameter[0].numel() ** 0.5
        elif "bias" in name:
            parameter.data.zero_()
    model.spectrogram_mean.fill_(-30.0)
    model.spectrogram_std.fill_(15.0)
    model.temperature.fill_(0.5)
    return model.eval()


def mini_vgg(seed: int = 0, **changes: Any) -> DeepPredictor:
    """A network that hears each clip by itself."""
    return DeepPredictor(awake(MiniVGG(widths=(4, 8), hidden=16, **settings(**changes)), seed))


def fusion(seed: int = 0, **changes: Any) -> DeepPredictor:
    """A network that takes the features too."""
    shape = {"blocks": (1, 1), "widths": (4, 8)}
    return DeepPredictor(awake(ResNet34Fusion(**shape, **settings(**changes)), seed))


def cnn_gru(seed: int = 0, **changes: Any) -> DeepPredictor:
    """A network that can listen on."""
    shape = {"widths": (4, 8), "pool_bins": (4, 4), "pool_frames": (2, 2), "hidden": 8}
    return DeepPredictor(awake(CNNGRU(**shape, **settings(**changes)), seed))


def late_fusion(seed: int = 0, **changes: Any) -> DeepPredictor:
    """A network that takes the features beside a recurrent stream."""
    shape = {"widths": (4, 8), "pool_bins": (4, 4), "pool_frames": (2, 2), "hidden": 8, "dense_hidden": 8}
    return DeepPredictor(awake(LateFusion(**shape, **settings(**changes)), seed))


def music(seconds: float, rate: int = RATE, seed: int = 0) -> np.ndarray:
    """Notes of a quarter of a second, each of another pitch, with a little noise."""
    random = np.random.default_rng(seed)
    time = np.arange(round(seconds * rate)) / rate
    pitch = 110 * 2 ** (random.integers(0, 36, int(seconds * 4) + 1) / 12)
    phase = 2 * np.pi * np.cumsum(pitch[(time * 4).astype(int)]) / rate
    wave = sum(np.sin(k * phase) / k for k in (1, 2, 3)) * (0.2 + 0.8 * (time * 4 % 1 < 0.8))
    return (0.15 * wave + 0.002 * random.standard_normal(time.size)).astype(np.float32)


def pieces(samples: np.ndarray, seed: int, largest: int = 3000) -> Iterator[np.ndarray]:
    """The same samples in pieces of random sizes, some of them empty."""
    random = np.random.default_rng(seed)
    at = 0
    while at < len(samples):
        size = int(random.integers(0, largest))
        yield samples[at : at + size]
        at += size
