"""Mini-VGG: a stack of small convolution blocks (Simonyan and Zisserman, 2015, in miniature)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import nn

from genre.errors import ConfigError, near_names
from genre.models.base import GenreModule

POOLINGS = ("global", "flatten")


class MiniVGG(GenreModule):
    """Blocks of two 3 x 3 convolutions each, then a dense layer.

    A block of width c is convolution, ReLU, batch normalisation, twice, then max-pooling by 2 and dropout of whole
    channels. The head is a dense layer with ReLU, batch normalisation and dropout, then the logits.

    Parameters
    ----------
    widths
        Channels of each block.
    pooling
        ``"global"`` averages over bins and frames, so that any length of clip will do; ``"flatten"`` gives every
        position its own weights, as the original did.
    hidden
        Units of the dense layer.
    block_dropout, dropout
        Share of channels dropped after a block, of units dropped before the logits.
    **shared
        See :class:`genre.models.base.GenreModule`.

    Raises
    ------
    ConfigError
        If a setting is out of range, or there are more blocks than the spectrogram can be halved.
    """

    def __init__(
        self,
        *,
        widths: Sequence[int] = (16, 32, 64),
        pooling: str = "global",
        hidden: int = 128,
        block_dropout: float = 0.1,
        dropout: float = 0.3,
        **shared: Any,
    ) -> None:
        super().__init__(**shared)
        if pooling not in POOLINGS:
            raise ConfigError(f"model.pooling={pooling} is unknown; {near_names(pooling, POOLINGS)}")
        if not widths or min(widths) < 1:
            raise ConfigError(
                f"model.widths={list(widths)} names no blocks; give the channels of each, such as [16,32,64]"
            )
        self.save_hyperparameters()
        bins, frames = (size >> len(widths) for size in self.input_shape)
        if min(bins, frames) < 1:
            raise ConfigError(
                f"model.widths has {len(widths)} blocks, but a spectrogram of {self.input_shape[0]} x "
                f"{self.input_shape[1]} cannot be halved so often; use fewer blocks or longer clips"
            )
        blocks = [
            _block(channels, width, block_dropout) for channels, width in zip((1, *widths[:-1]), widths, strict=True)
        ]
        if pooling == "global":
            pool: list[nn.Module] = [nn.AdaptiveAvgPool2d(1), nn.Flatten()]
            size = widths[-1]
        else:
            pool = [nn.Flatten()]
            size = widths[-1] * bins * frames
        head = [
            nn.Linear(size, hidden),
            nn.ReLU(),
            nn.BatchNorm1d(hidden),
            nn.Dropout(dropout),
            nn.Linear(hidden, len(self.labels)),
        ]
        self.network = SpectrogramNetwork(*blocks, *pool, *head).to(memory_format=torch.channels_last)


class SpectrogramNetwork(nn.Module):
    """Layers one after the other that look at the spectrogram alone."""

    def __init__(self, *layers: nn.Module) -> None:
        super().__init__()
        self.layers = nn.Sequential(*layers)

    def forward(self, spectrogram: torch.Tensor, features: torch.Tensor) -> torch.Tensor:
        """Return logits (B, classes)."""
        logits: torch.Tensor = self.layers(spectrogram.contiguous(memory_format=torch.channels_last))
        return logits


def _block(channels: int, width: int, dropout: float) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(channels, width, 3, padding=1),
        nn.ReLU(),
        nn.BatchNorm2d(width),
        nn.Conv2d(width, width, 3, padding=1),
        nn.ReLU(),
        nn.BatchNorm2d(width),
        nn.MaxPool2d(2),
        nn.Dropout2d(dropout),
    )
