"""What the tests of the models share: settings, batches, a short training, configurations as commands compose them."""

from __future__ import annotations

import copy
import functools
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from hydra import compose, initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from hydra.utils import instantiate
from omegaconf import DictConfig
from torch.nn import functional

from genre.commands.build import build_model
from genre.data.clips import ClipSpec
from genre.features.spectrogram import LogMel
from genre.models.base import GenreModule

CONF = Path(__file__).parent.parent.parent / "conf"
LABELS = ["blues", "classical", "metal"]
TEN = [f"genre {number}" for number in range(10)]


def names(group: str) -> list[str]:
    """Names of the configurations of a group that a user can choose."""
    return sorted(file.stem for file in (CONF / group).glob("[!_]*.yaml"))


def shared(labels: Sequence[str] = LABELS, n_mels: int = 128, clip_sec: float = 3.0) -> dict[str, Any]:
    """Settings that every model needs."""
    return {
        "labels": list(labels),
        "frontend": LogMel(n_mels=n_mels).settings(),
        "clips": ClipSpec(clip_sec=clip_sec).settings(),
    }


def composed(*overrides: str) -> DictConfig:
    """The configuration of train.py; a copy of one's own."""
    return copy.deepcopy(_composed(overrides))


@functools.cache
def _composed(overrides: tuple[str, ...]) -> DictConfig:
    GlobalHydra.instance().clear()
    with initialize_config_dir(str(CONF), version_base="1.3"):
        return compose("train", overrides=list(overrides))


def narrowed(cfg: DictConfig, width: int = 4, hidden: int = 8) -> DictConfig:
    """The same network with the same layers, each a few channels wide."""
    cfg.model.widths = [width] * len(cfg.model.widths)
    for name in {"hidden", "joint", "feature_hidden"} & set(cfg.model):
        cfg.model[name] = hidden
    return cfg


class Described:
    """Stands in for a data module: what a configuration says of clips and front end."""

    def __init__(self, cfg: DictConfig, labels: Sequence[str]) -> None:
        self.cfg = cfg
        self.labels = list(labels)

    def describe(self) -> dict[str, Any]:
        data = self.cfg.data
        return {
            "clips": ClipSpec(data.clip_sec, data.hop_sec, data.short, data.sample_rate, data.passage_sec).settings(),
            "frontend": instantiate(self.cfg.frontend, _convert_="all").settings(),
            "labels": self.labels,
        }


def built(cfg: DictConfig, labels: Sequence[str] = LABELS) -> GenreModule:
    """The model of a configuration."""
    return build_model(cfg, Described(cfg, labels))  # type: ignore[arg-type]


def batch(model: GenreModule, n_clips: int = 6, frames: int | None = None, seed: int = 0) -> dict[str, torch.Tensor]:
    """Clips of noise around a level of their own, labelled in turn."""
    generator = torch.Generator().manual_seed(seed)
    bins, usual = model.input_shape
    return {
        "spectrogram": torch.randn(n_clips, 1, bins, frames or usual, generator=generator),
        "features": torch.randn(n_clips, model.n_features, generator=generator),
        "label": torch.arange(n_clips) % len(model.labels),
        "track": torch.arange(n_clips),
        "start": torch.zeros(n_clips, dtype=torch.int64),
    }


def losses(model: GenreModule, clips: dict[str, torch.Tensor], steps: int, rate: float = 3e-3) -> list[float]:
    """Train on one batch over and over and return the loss of every step."""
    optimizer = torch.optim.Adam(model.parameters(), rate)
    values = []
    model.train()
    for _ in range(steps):
        loss = functional.cross_entropy(model(clips["spectrogram"], clips["features"]), clips["label"])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        values.append(loss.item())
    model.eval()
    return values


def count_parameters(model: torch.nn.Module) -> int:
    """Number of weights."""
    return sum(parameter.numel() for parameter in model.parameters())
