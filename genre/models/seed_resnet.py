"""The residual network of the original project, weight for weight, kept to measure against."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import nn

from genre.errors import ConfigError
from genre.features.handcrafted import FEATURE_NAMES
from genre.models.base import GenreModule
from genre.models.layers import ResidualBlock
from genre.models.settings import check_count_lists, check_counts, check_shares, check_switches


class SeedResNet(GenreModule):
    """Pairs of residual blocks, then a dense layer with its own weights for every position of the picture.

    The stem is a 2 x 2 convolution of stride 2 with a border of 3, batch normalisation, ReLU and 2 x 2 max-pooling; the
    second block of each pair halves bins and frames; 2 x 2 average-pooling and a dense layer with ReLU, batch
    normalisation and dropout follow. The original scaled the features by smallest and largest value of all its clips;
    here they are standardised by the training clips, as for every model.

    Parameters
    ----------
    widths
        Channels of each pair of blocks.
    hidden
        Units of the dense layer.
    dropout
        Share of these units dropped.
    use_features
        Whether the dense layer also takes the 57 features.
    **shared
        See :class:`genre.models.base.GenreModule`.

    Raises
    ------
    ConfigError
        If a setting is out of range, or the spectrogram is too small.
    """

    any_length = False

    def __init__(
        self,
        *,
        widths: Sequence[int] = (64, 128, 256, 512),
        hidden: int = 1000,
        dropout: float = 0.25,
        use_features: bool = False,
        **shared: Any,
    ) -> None:
        super().__init__(**shared)
        check_count_lists(widths=widths)
        check_counts(hidden=hidden)
        check_shares(dropout=dropout)
        check_switches(use_features=use_features)
        self.uses_features = use_features
        bins, frames = (_pooled(size, len(widths)) for size in self.input_shape)
        if min(bins, frames) < 1:
            raise ConfigError(
                f"model.widths has {len(widths)} pairs of blocks, but a spectrogram of {self.input_shape[0]} x "
                f"{self.input_shape[1]} cannot be halved so often; use fewer pairs or longer clips"
            )
        size = widths[-1] * bins * frames + (len(FEATURE_NAMES) if use_features else 0)
        head = nn.Sequential(
            nn.Linear(size, hidden),
            nn.ReLU(),
            nn.BatchNorm1d(hidden),
            nn.Dropout(dropout),
            nn.Linear(hidden, len(self.labels)),
        )
        self.network = SeedNetwork(_trunk(widths), head, use_features).to(memory_format=torch.channels_last)


class SeedNetwork(nn.Module):
    """The flattened trunk, with or without the features at its end, and the head."""

    def __init__(self, trunk: nn.Module, head: nn.Module, use_features: bool) -> None:
        super().__init__()
        self.trunk = trunk
        self.head = head
        self.use_features = use_features

    def forward(self, spectrogram: torch.Tensor, features: torch.Tensor) -> torch.Tensor:
        """Return logits (B, classes)."""
        seen = self.trunk(spectrogram.contiguous(memory_format=torch.channels_last))
        logits: torch.Tensor = self.head(torch.cat([seen, features], dim=1) if self.use_features else seen)
        return logits


def _trunk(widths: Sequence[int]) -> nn.Sequential:
    stem = [
        nn.Conv2d(1, widths[0], 2, stride=2, padding=3, bias=False),
        nn.BatchNorm2d(widths[0]),
        nn.ReLU(inplace=True),
        nn.MaxPool2d(2),
    ]
    blocks = [
        ResidualBlock(*shape)
        for before, width in zip((widths[0], *widths[:-1]), widths, strict=True)
        for shape in ((before, width, 1), (width, width, 2))
    ]
    return nn.Sequential(*stem, *blocks, nn.AvgPool2d(2), nn.Flatten())


def _pooled(size: int, pairs: int) -> int:
    """Return how many of ``size`` bins or frames are left before the dense layer."""
    size = (size // 2 + 3) // 2
    for _ in range(pairs):
        size = (size + 1) // 2
    return size // 2
