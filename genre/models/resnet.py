"""Residual networks (He, Zhang, Ren and Sun, 2016), with and without the features beside the spectrogram."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import nn

from genre.models.base import GenreModule
from genre.models.layers import FeatureNetwork, ResidualBlock, SpectrogramNetwork
from genre.models.settings import check_count_lists, check_counts, check_shares, check_switches


class ResNetTrunk(nn.Sequential):
    """Spectrogram (B, 1, bins, frames) to one vector a clip (B, widths[-1]); any number of frames.

    A convolution and a max-pooling (the stem), stages of residual blocks of which each but the first halves bins and
    frames, and the mean over what is left of both.

    Parameters
    ----------
    blocks, widths
        Blocks and channels of each stage.
    stem_kernel, stem_stride
        Of the first convolution.
    stem_pool
        Stride of the 3 x 3 max-pooling after it; 1 leaves it out.
    zero_init
        Whether every block begins as the identity: the weight of its last batch normalisation is 0 (Goyal et al.,
        2017).

    Raises
    ------
    ConfigError
        If a setting is out of range.
    """

    def __init__(
        self,
        *,
        blocks: Sequence[int],
        widths: Sequence[int],
        stem_kernel: int,
        stem_stride: int,
        stem_pool: int,
        zero_init: bool,
    ) -> None:
        check_count_lists(blocks=blocks)
        check_count_lists(len(blocks), widths=widths)
        check_counts(stem_kernel=stem_kernel, stem_stride=stem_stride, stem_pool=stem_pool)
        check_switches(zero_init=zero_init)
        layers: list[nn.Module] = [
            nn.Conv2d(1, widths[0], stem_kernel, stem_stride, padding=stem_kernel // 2, bias=False),
            nn.BatchNorm2d(widths[0]),
            nn.ReLU(inplace=True),
        ]
        if stem_pool > 1:
            layers.append(nn.MaxPool2d(3, stem_pool, padding=1))
        channels = widths[0]
        for stage, (count, width) in enumerate(zip(blocks, widths, strict=True)):
            for block in range(count):
                layers.append(ResidualBlock(channels, width, stride=2 if stage > 0 and block == 0 else 1))
                channels = width
        super().__init__(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten())
        for layer in self.modules():
            if isinstance(layer, nn.Conv2d):
                nn.init.kaiming_normal_(layer.weight, mode="fan_out", nonlinearity="relu")
            elif isinstance(layer, ResidualBlock) and zero_init:
                nn.init.zeros_(layer.second_norm.weight)


class ResNet34(GenreModule):
    """Residual network on the spectrogram; with its default settings the one of 34 layers.

    Parameters
    ----------
    blocks, widths
        Residual blocks and channels of each stage; ``blocks=(2, 2, 2, 2)`` is the network of 18 layers.
    stem_kernel, stem_stride, stem_pool
        Size and stride of the first convolution, and stride of the max-pooling after it (1: none).
    zero_init
        Whether every block begins as the identity.
    dropout
        Share of the trunk's values dropped before the logits.
    **shared
        See :class:`genre.models.base.GenreModule`.

    Raises
    ------
    ConfigError
        If a setting is out of range.
    """

    uses_features = False

    def __init__(
        self,
        *,
        blocks: Sequence[int] = (3, 4, 6, 3),
        widths: Sequence[int] = (64, 128, 256, 512),
        stem_kernel: int = 7,
        stem_stride: int = 2,
        stem_pool: int = 2,
        zero_init: bool = True,
        dropout: float = 0.2,
        **shared: Any,
    ) -> None:
        super().__init__(**shared)
        check_shares(dropout=dropout)
        trunk = ResNetTrunk(
            blocks=blocks,
            widths=widths,
            stem_kernel=stem_kernel,
            stem_stride=stem_stride,
            stem_pool=stem_pool,
            zero_init=zero_init,
        )
        head = nn.Linear(widths[-1], len(self.labels))
        self.network = SpectrogramNetwork(trunk, nn.Dropout(dropout), head).to(memory_format=torch.channels_last)


class ResNet34Fusion(GenreModule):
    """Residual network on the spectrogram, and a small dense network on the features, joined before the logits.

    Each stream ends in a vector of the same length whose values have mean 0 and variance 1 for every clip, whatever the
    scale of its input and weights. The logits are a linear function of both, so neither stream can drown the other.

    Parameters
    ----------
    blocks, widths, stem_kernel, stem_stride, stem_pool, zero_init
        See :class:`ResNet34`.
    joint
        Length of the vector of each stream.
    feature_hidden, feature_dropout
        Units of the features' hidden layer, and share of them dropped. Standardised features beyond
        ``FEATURE_LIMIT`` = 5 count as 5.
    modality_dropout
        Share of training clips that lose one of the two streams, either equally often, so that each learns to
        do without the other (Neverova et al., 2016).
    dropout
        Share of the joined values dropped before the logits.
    **shared
        See :class:`genre.models.base.GenreModule`.

    Raises
    ------
    ConfigError
        If a setting is out of range.
    """

    def __init__(
        self,
        *,
        blocks: Sequence[int] = (3, 4, 6, 3),
        widths: Sequence[int] = (64, 128, 256, 512),
        stem_kernel: int = 7,
        stem_stride: int = 2,
        stem_pool: int = 2,
        zero_init: bool = True,
        joint: int = 128,
        feature_hidden: int = 128,
        feature_dropout: float = 0.2,
        modality_dropout: float = 0.0,
        dropout: float = 0.2,
        **shared: Any,
    ) -> None:
        super().__init__(**shared)
        check_counts(joint=joint, feature_hidden=feature_hidden)
        check_shares(feature_dropout=feature_dropout, modality_dropout=modality_dropout, dropout=dropout)
        trunk = ResNetTrunk(
            blocks=blocks,
            widths=widths,
            stem_kernel=stem_kernel,
            stem_stride=stem_stride,
            stem_pool=stem_pool,
            zero_init=zero_init,
        )
        self.network = FusionNetwork(
            nn.Sequential(trunk, nn.Linear(widths[-1], joint), nn.LayerNorm(joint, elementwise_affine=False)),
            FeatureNetwork(feature_hidden, joint, feature_dropout),
            nn.Sequential(nn.Dropout(dropout), nn.Linear(2 * joint, len(self.labels))),
            modality_dropout,
        ).to(memory_format=torch.channels_last)


class FusionNetwork(nn.Module):
    """A stream of the spectrogram and a stream of the features, end to end, then the head."""

    def __init__(
        self, spectrogram_stream: nn.Module, feature_stream: nn.Module, head: nn.Module, modality_dropout: float
    ) -> None:
        super().__init__()
        self.spectrogram_stream = spectrogram_stream
        self.feature_stream = feature_stream
        self.head = head
        self.modality_dropout = modality_dropout

    def forward(self, spectrogram: torch.Tensor, features: torch.Tensor) -> torch.Tensor:
        """Return logits (B, classes)."""
        seen = self.spectrogram_stream(spectrogram.contiguous(memory_format=torch.channels_last))
        measured = self.feature_stream(features)
        if self.training and self.modality_dropout > 0:
            kept = self._kept(len(seen)).to(seen)
            seen, measured = seen * kept[:, :1], measured * kept[:, 1:]
        logits: torch.Tensor = self.head(torch.cat([seen, measured], dim=1))
        return logits

    def _kept(self, n_clips: int) -> torch.Tensor:
        """Return factors of both streams (n_clips, 2): 0 where dropped, and on average 1."""
        half = self.modality_dropout / 2
        drawn = torch.rand(n_clips)
        return torch.stack([drawn >= half, (drawn < half) | (drawn >= 2 * half)], dim=1) / (1 - half)
