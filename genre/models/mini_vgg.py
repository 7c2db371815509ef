"""Mini-VGG: a stack of small convolution blocks (Simonyan and Zisserman, 2015, in miniature)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import nn

from genre.errors import ConfigError, near_names
from genre.models.base import GenreModule
from genre.models.layers import SpectrogramNetwork
from genre.models.settings import check_count_lists, check_counts, check_shares

POOLINGS = ("global", "flatten")


class MiniVGG(GenreModule):
    """Blocks of two 3 x 3 convolutions each, then a dense layer.

    A block of width c is convolution, ReLU, batch normalisation, twice, then max-pooling by 2 and dropout of whole
    channels. The head is a dense layer with ReLU, batch normalisation and dropout, then the logits.

    Parameters
    ----------
    widths
        Channels of each block.
    input_channels
        How often the first block gets the spectrogram; 3 are the equal colours of a grey picture.
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

    uses_features = False

    def __init__(
        self,
        *,
        widths: Sequence[int] = (16, 32, 64),
        input_channels: int = 1,
        pooling: str = "global",
        hidden: int = 128,
        block_dropout: float = 0.1,
        dropout: float = 0.3,
        **shared: Any,
    ) -> None:
        super().__init__(**shared)
        if pooling not in POOLINGS:
            raise ConfigError(f"model.pooling={pooling} is unknown; {near_names(pooling, POOLINGS)}")
        check_count_lists(widths=widths)
        check_counts(input_channels=input_channels, hidden=hidden)
        check_shares(block_dropout=block_dropout, dropout=dropout)
        self.any_length = pooling == "global"
        bins, frames = (size >> len(widths) for size in self.input_shape)
        if min(bins, frames) < 1:
            raise ConfigError(
                f"model.widths has {len(widths)} blocks, but a spectrogram of {self.input_shape[0]} x "
                f"{self.input_shape[1]} cannot be halved so often; use fewer blocks or longer clips"
            )
        blocks = [
            _block(before, width, block_dropout)
            for before, width in zip((input_channels, *widths[:-1]), widths, strict=True)
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
        copies = [Copies(input_channels)] if input_channels > 1 else []
        network = SpectrogramNetwork(*copies, *blocks, *pool, *head)
        self.network = network.to(memory_format=torch.channels_last)


class Copies(nn.Module):
    """The one channel of a spectrogram, several times over."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.channels = channels

    def forward(self, spectrogram: torch.Tensor) -> torch.Tensor:
        """Return (B, channels, bins, frames) of (B, 1, bins, frames)."""
        return spectrogram.expand(-1, self.channels, -1, -1)


def _block(channels: int, width: int, dropout: float) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(channels, width, 3, padding=1),
        nn.ReLU(inplace=True),
        nn.BatchNorm2d(width),
        nn.Conv2d(width, width, 3, padding=1),
        nn.ReLU(inplace=True),
        nn.BatchNorm2d(width),
        nn.MaxPool2d(2),
        nn.Dropout2d(dropout),
    )
