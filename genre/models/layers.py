"""Layers that several networks are made of."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional

from genre.features.handcrafted import FEATURE_NAMES

FEATURE_LIMIT = 5.0
"""Standardised features further than this from their mean count as this far: the variances among them have long tails,
and a single clip twenty deviations out would set the scale of a whole batch."""


class SpectrogramNetwork(nn.Module):
    """Layers one after the other that look at the spectrogram alone."""

    def __init__(self, *layers: nn.Module) -> None:
        super().__init__()
        self.layers = nn.Sequential(*layers)

    def forward(self, spectrogram: torch.Tensor, features: torch.Tensor) -> torch.Tensor:
        """Return logits (B, classes)."""
        logits: torch.Tensor = self.layers(spectrogram.contiguous(memory_format=torch.channels_last))
        return logits


class FeatureNetwork(nn.Module):
    """Two dense layers from the features to a vector of mean 0 and variance 1 for every clip.

    Parameters
    ----------
    hidden
        Units between the layers.
    size
        Length of the vector.
    dropout
        Share of hidden units dropped.
    """

    def __init__(self, hidden: int, size: int, dropout: float) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Linear(len(FEATURE_NAMES), hidden),
            nn.BatchNorm1d(hidden),
            nn.ReLU(),
            nn.Dropout(dropout),
            nn.Linear(hidden, size),
            nn.LayerNorm(size, elementwise_affine=False),
        )

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """Return the vectors (B, size) of standardised features (B, 57)."""
        vectors: torch.Tensor = self.layers(features.clamp(-FEATURE_LIMIT, FEATURE_LIMIT))
        return vectors


LONGEST_VECTOR = 16
"""Floats in a register of AVX-512."""


class PointwiseConv2d(nn.Conv2d):
    """A 1 x 1 convolution with a stride, whose gradients are right for any number of channels.

    oneDNN's gradient of its weights writes past its workspace where values are channels-last, the stride is not 1 and
    a vector holds more floats than there are channels: the gradient is wrong, or the process crashes or hangs
    (https://github.com/uxlfoundation/oneDNN/issues/6035). So few channels are thinned out first, which is the same.

    Parameters
    ----------
    channels, width
        Channels of the input and of the result.
    stride
        In both directions.
    """

    def __init__(self, channels: int, width: int, stride: int) -> None:
        super().__init__(channels, width, 1, stride, bias=False)

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        """Return (B, width, ceil(bins / stride), ceil(frames / stride)) of (B, channels, bins, frames)."""
        if self.in_channels >= LONGEST_VECTOR:
            return super().forward(inputs)
        bins, frames = self.stride
        return functional.conv2d(inputs[..., ::bins, ::frames], self.weight)


class ResidualBlock(nn.Module):
    """Two 3 x 3 convolutions whose result is added to their input (He et al., 2016, the basic block).

    Parameters
    ----------
    channels, width
        Channels of the input and of the result.
    stride
        Of the first convolution. Where the shape changes, the input passes a 1 x 1 convolution of the same stride.
    """

    def __init__(self, channels: int, width: int, stride: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(channels, width, 3, stride, padding=1, bias=False)
        self.first_norm = nn.BatchNorm2d(width)
        self.second = nn.Conv2d(width, width, 3, padding=1, bias=False)
        self.second_norm = nn.BatchNorm2d(width)
        self.shortcut: nn.Module = nn.Identity()
        if stride != 1 or channels != width:
            self.shortcut = nn.Sequential(
                PointwiseConv2d(channels, width, stride),
                nn.BatchNorm2d(width),
            )

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        """Return (B, width, ceil(bins / stride), ceil(frames / stride)) of (B, channels, bins, frames)."""
        inner = functional.relu(self.first_norm(self.first(inputs)), inplace=True)
        return functional.relu(self.second_norm(self.second(inner)) + self.shortcut(inputs), inplace=True)
